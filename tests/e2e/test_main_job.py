"""The main job, as a person does it, on a ledger as untidy as a real one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.e2e.conftest import LEDGER
from tests.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Project


def test_start_commit_push_smoke_complete(project: Project) -> None:
    ana = project.ana
    ben = project.join("ben")
    assert "57" in ana.prp("redis-sync").out
    listed = json.loads(ana.prp("list", "--json").out)["prps"]
    assert len(listed) == 57
    assert "prp start" in ana.prp("next").out

    start = ana.head
    ana.prp("start", "P2-040")
    seen = json.loads(ben.prp("status", "P2-040", "--json").out)["prp"]
    assert (seen["status"], seen["claim"]["agent"]) == ("in_progress", "ana")

    ana.commit_files("feat(P2-040): the designer", {"designer.py": "x = 1\n"})
    ana.git("push", "-q")
    project.settle()
    assert json.loads(ben.prp("status", "P2-040", "--json").out)["prp"]["recorded"] == "in_progress"

    assert "green" in ana.prp("smoke").out
    ana.prp("complete", "P2-040")
    done = json.loads(ben.prp("status", "P2-040", "--json").out)["prp"]
    assert done["status"] == "complete"
    assert done["github_commit"] == ana.head[: len(done["github_commit"])]

    whole = ana.read(LEDGER).splitlines()
    first = next(n for n, line in enumerate(whole) if line.startswith("  P2-040:"))
    last = next(n for n in range(first + 1, len(whole)) if not whole[n].startswith("    "))
    before = ana.git("show", f"{start}:{LEDGER}").out.splitlines()
    end = len(before) - (len(whole) - last)
    assert whole[:first] == before[:first]
    assert whole[last:] == before[end:]
    assert [line for line in before[first:end] if line not in whole[first:last]] == [
        line
        for line in before[first:end]
        if line.split()[0] in ("status:", "started_at:", "completed_at:", "github_commit:")
    ]


def test_a_complete_prp_is_not_started_again(project: Project) -> None:
    done = project.ana.prp("start", "P2-020", ok=False)
    assert done.code == 1
    assert "prp reopen P2-020" in done.err
    as_json = json.loads(project.ana.prp("start", "P2-020", "--json", ok=False).out)
    assert as_json["ok"] is False
    assert as_json["next_action"].startswith("prp reopen P2-020")


def test_the_other_agent_is_told_who_has_it(project: Project) -> None:
    ben = project.join("ben")
    project.ana.prp("start", "P2-040")
    refused = ben.prp("start", "P2-040", ok=False)
    assert refused.code == 1
    assert "ana" in refused.err
    assert "prp next" in refused.err


def test_init_can_be_repeated_and_touches_nothing_else(tmp_path: Path) -> None:
    world = World(tmp_path)
    ana = world.clone("ana", first=True)
    before = ana.git("status", "--porcelain").out
    ana.prp("init", "--yes")
    text = ana.read("prp.toml")
    assert ana.git("status", "--porcelain").out == before + "?? prp.toml\n"
    again = ana.prp("init", "--yes")
    assert ana.read("prp.toml") == text
    assert "stays as it is" in again.out


def test_new_repository_without_a_ledger(tmp_path: Path) -> None:
    world = World(tmp_path)
    ana = world.clone("ana", first=True)
    ana.prp("init", "--yes")
    assert "empty" in ana.prp("list").text
    first = json.loads(ana.prp("new", "Log in: with a passkey", "--json").out)["prp"]["id"]
    ana.prp("validate", first)
    ana.prp("start", first)
    ana.commit_files(f"feat({first}): start", {"a.txt": "1"})
    ana.git("push", "-q")
    assert ana.prp("status", first).out.splitlines()[0].endswith("Log in: with a passkey")
