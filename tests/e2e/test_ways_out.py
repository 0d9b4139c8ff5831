"""Where a verb refuses or falls short, the command that is printed leads on: it is run here."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import Project
from tests.world import run

if TYPE_CHECKING:
    from tests.world import Clone, Result


@pytest.fixture
def project(tmp_path: Path, home: Path) -> Project:
    return Project(tmp_path)


def answer(done: Result) -> dict[str, Any]:
    return dict(json.loads(done.out))


def shell(clone: Clone, command: str) -> str:
    """Type a command as it was printed."""
    here = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return run(["bash", "-c", command], clone.path, env={**clone.env, **here}).text


def landed_on_top_of_others(project: Project) -> Clone:
    """ben's P2-040 has landed as complete, on top of ana's work; his branch has a tree of its own."""
    ben = project.join("ben")
    ben.prp("start", "P2-040")
    ben.git("switch", "-q", "-c", "work")
    ben.commit_files("feat(P2-040): all of it", {"work.txt": "1"})
    ben.prp("complete", "P2-040")
    ben.git("commit", "-q", "-a", "-m", "P2-040: complete")
    project.ana.commit_files("of ana", {"ana.txt": "1"})
    project.ana.git("push", "-q")
    project.settle()
    ben.prp("land")
    project.settle()
    assert answer(ben.prp("status", "P2-040", "--json"))["prp"]["phase"] == "landed"
    return ben


@pytest.mark.parametrize("more", [False, True], ids=["nothing more", "work that has not landed"])
def test_a_landed_completion_gets_its_verdict_by_what_is_printed(project: Project, more: bool) -> None:
    ben = landed_on_top_of_others(project)
    if more:
        ben.commit_files("what comes next", {"next.txt": "1"})
    smoked = answer(ben.prp("smoke", "--json"))
    assert smoked["result"] == "green"
    then = smoked["next_action"]
    assert then == "git pull --rebase --autostash origin main && prp smoke"
    again = ben.prp("smoke")  # the verdict is known by now
    assert "P2-040 waits all the same for a green verdict" in again.out and then in again.out
    refused = answer(ben.prp("complete", "P2-040", "--json", ok=False))
    assert (refused["error"]["code"], refused["next_action"]) == ("landed", then)
    noted = answer(ben.prp("verify", "P2-040", "--json"))["doubts"]
    assert [(d["code"], d["mend"]) for d in noted] == [("waits", then)]
    text = shell(ben, then)
    if more:
        then = answer(ben.prp("smoke", "--json"))["next_action"]
        assert then == "git switch --detach origin/main && prp smoke; git switch -"
        text = shell(ben, then)
        assert ben.git("branch", "--show-current").out.strip() == "work"
    assert "P2-040 is complete" in text
    assert answer(ben.prp("status", "P2-040", "--json"))["prp"]["status"] == "complete"
    assert answer(ben.prp("smoke", "--json"))["next_action"] is None


def test_a_completion_with_nothing_to_land_it_says_so(project: Project) -> None:
    """The work landed under a subject that does not name the PRP: its line alone is refused, and no command is printed
    that would run into that."""
    ben = project.join("ben")
    ben.prp("start", "P2-040")
    ben.git("switch", "-q", "-c", "work")
    ben.commit_files("all of it", {"work.txt": "1"})
    ben.prp("land")
    project.settle()
    done = ben.prp("complete", "P2-040")
    assert "No landing since it was claimed names P2-040" in done.out and "git commit" not in done.out
    ben.git("commit", "-q", "-a", "-m", "P2-040: complete")
    again = answer(ben.prp("complete", "P2-040", "--json"))
    assert (again["already"], again["next_action"]) == (True, "prp complete P2-040 --undo")
    assert "PRP128" in ben.prp("land", ok=False).err
    shell(ben, again["next_action"])
    ben.write("CHANGES", "work")
    ben.git("add", "CHANGES")
    assert "PRP123" not in ben.git("commit", "-a", "-m", "feat(P2-040): tell of it").err
    said = answer(ben.prp("complete", "P2-040", "--json"))["next_action"]
    assert said == 'git commit -a -m "P2-040: complete" && prp land'  # there is work to land it now
    shell(ben, said)
    project.settle()
    assert answer(ben.prp("status", "P2-040", "--json"))["prp"]["phase"] == "landed"


def test_a_completion_whose_work_landed_before_its_line(project: Project) -> None:
    ben = project.join("ben")
    ben.prp("start", "P2-040")
    ben.commit_files("feat(P2-040): all of it", {"work.txt": "1"})
    ben.prp("complete", "P2-040")
    ben.git("stash", "-q")
    ben.git("push", "-q")
    project.settle()
    ben.git("stash", "pop", "-q")
    assert "prp complete P2-040 --undo && prp complete P2-040" in ben.prp("inbox").out
    said = answer(ben.prp("complete", "P2-040", "--json"))
    assert said["next_action"] == "prp complete P2-040 --undo && prp complete P2-040"
    ben.git("commit", "-q", "-a", "-m", "P2-040: complete")
    assert "PRP128" in ben.git("push", ok=False).err
    ben.git("reset", "-q", "HEAD~1")
    ben.prp("smoke", "--no-cache")
    assert "P2-040 is complete" in shell(ben, said["next_action"])


def test_a_completion_that_was_taken_back_is_no_slip(project: Project) -> None:
    """The line before has not landed either, so only the store knows that it is the right one."""
    ben = project.join("ben")
    ben.git("switch", "-q", "-c", "work")
    ben.prp("start", "P2-040")
    ben.commit_files("feat(P2-040): begin", {"work.txt": "1"})
    ben.prp("complete", "P2-040")
    ben.git("commit", "-q", "-a", "-m", "P2-040: complete")
    ben.prp("complete", "P2-040", "--undo")
    assert "PRP123" not in ben.git("commit", "-a", "-m", "feat(P2-040): go on").err
