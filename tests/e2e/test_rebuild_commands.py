"""`prp rebuild` as a person uses it, on the project's own embedded store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from prpgate.ops import Session
from prpgate.store import client

if TYPE_CHECKING:
    from prpgate.store.client import Store
    from tests.e2e.conftest import Project
    from tests.world import Clone


def store_of(clone: Clone) -> Store:
    session = Session(str(clone.path))
    return client.connect(session.config, session.repo.root, timeout_s=5.0, adopt_check=False)


def test_the_commands_of_a_wiped_project(project: Project) -> None:
    ana = project.ana
    ben = project.join("ben")
    ben.git("checkout", "-q", "-b", "feat/forty")
    ben.prp("start", "P2-040")
    ben.commit_files("feat(P2-040): half of it", {"half.txt": "x"})
    wiped = store_of(ana)
    wiped.redis.flushall()
    for verb in (("list",), ("start", "P2-040"), ("redis-sync",), ("next",)):
        refused = ben.prp(*verb, ok=False)
        assert refused.code == 4
        assert "prp rebuild" in refused.err
    planned = ben.prp("rebuild", ok=False)
    assert planned.code == 1
    assert "Nothing was changed" in planned.out and "prp rebuild --yes" in planned.out
    assert wiped.redis.dbsize() == 0
    done = ben.prp("rebuild", "--yes")
    assert "57 PRPs in the ledger" in done.out and "57 the same" in done.out
    assert "P2-040" in done.out and "feat/forty" in done.out and "prp start P2-040" in done.out
    ben.prp("start", "P2-040")
    again = json.loads(ana.prp("rebuild", "--json").out)
    assert (again["ok"], again["state"], again["rebuilt"], again["lost"]) == (True, "intact", False, [])
    assert again["proof"]["holds"] is True
    refused = ana.git("push", "-q", "origin", "HEAD:refs/heads/main", "--dry-run", ok=False)
    assert refused.code == 0 or "let go" in refused.err
