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


def test_release_of_what_has_landed_as_complete_promises_it_to_nobody(tmp_path: Path) -> None:
    ana, _ = small(tmp_path)
    ana.prp("start", "P2-001")
    ana.prp("complete", "P2-001")
    ana.commit_files("feat(P2-001): all of it", {"one.txt": "1"})
    ana.git("push", "-q")
    ana.prp("redis-sync")
    assert "(landed)" in ana.prp("status", "P2-001").out
    said = ana.prp("release", "P2-001").out
    assert "P2-001 is nobody's; it has landed as complete" in said and "anybody" not in said


def test_agents_show_only_claims_that_have_an_effect(project: Project) -> None:
    ana, ben = project.ana, project.join("ben")
    ana.prp("start", "P2-040")
    ana.prp("complete", "P2-040")
    ana.commit_files("feat(P2-040): all of it", {"one.txt": "1"})
    ana.git("push", "-q")
    project.settle()
    assert "P2-040" in ben.prp("agents").out
    ana.prp("smoke")
    assert json.loads(ana.prp("status", "P2-040", "--json").out)["prp"]["status"] == "complete"
    assert "P2-040" not in ben.prp("agents").out


def test_handover_takes_the_name_directly(tmp_path: Path) -> None:
    ana, ben = small(tmp_path)
    ben.prp("agents")
    ana.prp("start", "P2-001")
    refused = ana.prp("handover", "P2-001", ok=False)
    assert refused.code == 2 and "hand over to whom" in refused.text and "prp agents" in refused.text
    assert ana.prp("handover", "P2-001", "ben", "--to", "ben", ok=False).code == 2
    unseen = ana.prp("handover", "P2-001", "bne", ok=False)
    assert unseen.code == 1 and "near: ben" in unseen.text
    assert "prp handover P2-001 bne --force" in unseen.text
    assert "P2-001 is ben's" in ana.prp("handover", "P2-001", "ben").out
    assert "P2-001 is yours" in ana.prp("start", "P2-001").out
    assert "P2-001 is ben's" in ana.prp("handover", "P2-001", "--to", "ben").out


def test_the_one_to_whom_a_prp_is_handed_over_is_told(tmp_path: Path) -> None:
    ana, ben = small(tmp_path)
    ben.prp("agents")
    ana.prp("start", "P2-001", "--branch")
    ana.commit_files("feat(P2-001): half of it", {"half.txt": "1"})
    ana.prp("handover", "P2-001", "ben", "--note", "take\x1b[2J it")
    inbox = ben.prp("inbox").out
    assert "ana handed P2-001 over to you: take" in inbox and "prp start P2-001" in inbox and "\x1b" not in inbox
    said = ben.prp("next").out
    assert "handed over to you: P2-001" in said and "  prp start P2-001" in said
    taken = ben.prp("start", "P2-001").out
    assert "P2-001 is yours" in taken and "already" not in taken
    assert "handed over by ana, at work on branch feat/p2-001-some-work" in taken
    assert "(git fetch origin && git merge origin/feat/p2-001-some-work)" in taken
    assert "note of ana, " in taken and "take" in taken
    assert "it was already so" in ben.prp("start", "P2-001").out


def test_a_handover_that_is_taken_back_is_told_too(tmp_path: Path) -> None:
    ana, ben = small(tmp_path)
    ben.prp("agents")
    ana.prp("start", "P2-001")
    ana.prp("handover", "P2-001", "ben")
    ana.prp("start", "P2-001")
    assert "ana took P2-001 back before you had started it" in ben.prp("inbox").out
