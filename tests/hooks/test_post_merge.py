"""post-merge: a pull brings live state and the stubs' filter up to date, and never fails."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from prpgate import hook_filter, prps
from prpgate.gitrepo import Repo
from prpgate.store import client
from tests.hooks import ENTRIES, LEDGER, POLICY, STORE_ID, landed, milestone, policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.world import Clone, Server, World

VALIDATED = milestone(
    ENTRIES.replace("stats:", "  P2-050:\n    title: new one\n    status: new\nstats:"), "P2-050", 1, status="validated"
)


@pytest.fixture
def pair(world: World, server: Server) -> Iterator[tuple[Clone, Clone]]:
    """ann, with hooks and a store that has the lane; ben, who pushes without either."""
    ann = landed(world.clone("ann"))
    ben = world.clone("ben")
    config = policy()
    with client.connect(config, str(ann.path), url=server.url, adopt_check=False) as store:
        client.adopt(store, STORE_ID)
        prps.sync(Repo(str(ann.path)), store, config)
    ann.env["REDIS_URL"] = server.url
    yield ann, ben


def land(ben: Clone, **files: str) -> str:
    sha = ben.commit_files("work", files)
    ben.git("push", "-q", "origin", "HEAD:main")
    return sha


def cursor(server: Server) -> str | None:
    with server.redis() as r:
        value = r.get("prp:{example.org/team/app}:cursor")
    assert value is None or isinstance(value, str)
    return value


def test_a_pull_tells_the_store_what_landed(pair: tuple[Clone, Clone], server: Server) -> None:
    ann, ben = pair
    sha = land(ben, **{LEDGER: VALIDATED})
    assert cursor(server) != sha
    done = ann.git("pull", "--ff-only")
    assert "prp: 1 PRP changed on main; the live state has been told" in done.err
    assert cursor(server) == sha


def test_a_merge_with_nothing_new_says_nothing(pair: tuple[Clone, Clone]) -> None:
    ann, ben = pair
    land(ben, **{LEDGER: ENTRIES + "# a remark\n"})
    done = ann.git("pull", "-q", "--ff-only")
    assert done.err == ""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGSTOP])
def test_a_store_that_does_not_answer_costs_a_moment_and_no_word(
    pair: tuple[Clone, Clone], server: Server, how: signal.Signals
) -> None:
    ann, ben = pair
    sha = land(ben, **{LEDGER: VALIDATED})
    if how == signal.SIGTERM:
        server.stop()
    else:
        server.send(how)
    begun = time.monotonic()
    done = ann.git("pull", "-q", "--ff-only")
    assert time.monotonic() - begun < 3
    assert done.err == ""
    assert ann.head == sha


def test_a_new_policy_of_the_lane_reaches_the_stubs(pair: tuple[Clone, Clone]) -> None:
    ann, ben = pair
    land(ben, **{"prp.toml": POLICY + '[lane]\nbranches = ["main", "release/*"]\n'})
    done = ann.git("pull", "-q", "--ff-only")
    assert "prp: the lane's prp.toml changed; the hooks follow it now" in done.err
    known = hook_filter.read(Repo(str(ann.path))) or {}
    assert known["PRP_LANES"].splitlines() == ["origin refs/heads/main", "origin refs/heads/release/*"]
    assert known["PRP_POLICY"] == ann.git("rev-parse", "origin/main:prp.toml").out.strip()


def test_a_policy_on_a_side_branch_changes_nothing(pair: tuple[Clone, Clone]) -> None:
    ann, _ = pair
    ann.git("checkout", "-q", "-b", "side")
    ann.commit_files("looser", {"prp.toml": POLICY + '[lane]\nbranches = ["nothing"]\n'})
    ann.git("checkout", "-q", "-b", "mine", "main")
    ann.git("merge", "-q", "side")
    known = hook_filter.read(Repo(str(ann.path))) or {}
    assert known["PRP_LANES"] == "origin refs/heads/main"


def test_a_ledger_that_lost_its_seals_is_reported_and_merged(pair: tuple[Clone, Clone]) -> None:
    ann, ben = pair
    land(ben, **{LEDGER: VALIDATED})
    ann.git("pull", "-q", "--ff-only")
    sha = land(ben, **{LEDGER: VALIDATED.replace("status: validated\n    rev", "status: complete\n    rev")})
    done = ann.git("pull", "-q", "--ff-only")
    assert ann.head == sha
    assert "no valid seal" in done.err
    assert done.err.rstrip().endswith("prp sync")
