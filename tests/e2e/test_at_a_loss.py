"""Places where somebody stood and was not told what is so, or what to type."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Project
    from tests.world import Clone


def small(tmp_path: Path) -> tuple[Clone, Clone]:
    """Two clones; P2-001 and P2-002 are validated."""
    world = World(tmp_path)
    ana = world.clone("ana", first=True)
    ana.prp("init", "--yes")
    for _ in range(2):
        ana.prp("new", "Some work")
    for prp_id in ("P2-001", "P2-002"):
        ana.prp("validate", prp_id)
    ana.commit_files("Use prpgate", {})
    ana.git("push", "-q", "-u", "origin", "main")
    ana.prp("redis-sync")
    ben = world.clone("ben")
    ben.prp("join")
    return ana, ben


def test_next_says_who_has_what_when_all_is_claimed(tmp_path: Path) -> None:
    ana, ben = small(tmp_path)
    ana.prp("start", "P2-001")
    mine = ana.prp("next").out
    assert "yours: P2-001  Some work  (" in mine and "prp start P2-002" in mine
    ben.prp("start", "P2-002")
    said = ana.prp("next").out
    assert "yours: P2-001" in said and "  P2-002: claimed by ben until " in said
    assert said.rstrip().endswith("prp complete P2-001")
    answer = json.loads(ana.prp("next", "--json").out)
    assert (answer["yours"], [one["id"] for one in answer["claimed"]]) == (["P2-001"], ["P2-001", "P2-002"])


def test_next_of_an_empty_ledger_says_the_same_either_way(tmp_path: Path) -> None:
    ana = World(tmp_path).clone("ana", first=True)
    ana.prp("init", "--yes")
    assert 'prp new "title"' in ana.prp("next").out
    assert 'prp new "title"' in ana.prp("next", "--claim", ok=False).text
