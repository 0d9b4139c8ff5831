"""A remote with two push URLs: git pushes to one after the other, and calls pre-push for each.

The lane is the branch at the first of them: that is the place that is asked, and what is on record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.processes import watchers
from tests.e2e.test_land import answer, events, status, until
from tests.world import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Project
    from tests.world import Clone, Result

NO = "#!/bin/sh\necho not here >&2\nexit 1\n"


@pytest.fixture
def second(project: Project) -> Path:
    """Another repository, with all of the first; ana's pushes go to both."""
    path = project.folder / "second.git"
    run(["git", "clone", "-q", "--mirror", project.remote, path], project.folder)
    project.ana.git("remote", "set-url", "--push", "origin", str(project.remote))
    project.ana.git("remote", "set-url", "--add", "--push", "origin", str(path))
    return path


def tip(repository: Path) -> str:
    return run(["git", "rev-parse", "refs/heads/main"], repository).out.strip()


def told(clone: Clone, sha: str) -> list[str]:
    """What the log says of a commit, once all is said."""
    until(lambda: not watchers(clone) and status(clone)["state"] == "free", "the lane is free")
    return [e["event"] for e in events(clone) if e["sha"] == sha]


def push(clone: Clone, how: str) -> Result:
    return clone.prp("land", "--json", ok=False) if how == "prp land" else clone.git("push", "-q", ok=False)


HOWS = pytest.mark.parametrize("how", ["git push", "prp land"])


@HOWS
def test_both_take_it(project: Project, second: Path, how: str) -> None:
    for n in range(2):
        head = project.ana.commit_files(f"work {n}", {"w.txt": str(n)})
        assert push(project.ana, how).code == 0
        assert told(project.ana, head) == ["acquire", "intent", "landed"]
        assert (project.tip(), tip(second)) == (head, head)


@HOWS
def test_the_second_refuses(project: Project, second: Path, how: str) -> None:
    """git says that the push failed; the lane has it all the same, and that is on record."""
    before = tip(second)
    hook = second / "hooks" / "pre-receive"
    hook.write_text(NO)
    hook.chmod(0o755)
    head = project.ana.commit_files("work", {"w.txt": "w"})
    done = push(project.ana, how)
    assert told(project.ana, head) == ["acquire", "intent", "landed"]
    assert (project.tip(), tip(second)) == (head, before)
    if how == "prp land":
        assert (done.code, answer(done)["landed"]) == (0, True)
    else:
        assert done.code != 0
        assert "not here" in done.err


@HOWS
def test_the_second_is_behind(project: Project, second: Path, how: str) -> None:
    """Somebody who pushes to the first alone was there: a plain push catches it up."""
    ben = project.join("ben")
    ben.commit_files("to the first alone", {"b.txt": "b"})
    ben.git("push", "-q")
    project.settle()
    before = tip(second)
    project.ana.git("pull", "-q", "--rebase")
    head = project.ana.commit_files("work", {"w.txt": "w"})
    assert push(project.ana, how).code == 0
    assert told(project.ana, head) == ["acquire", "intent", "landed"]
    assert project.tip() == head
    assert tip(second) == (before if how == "prp land" else head), "prp land pushes onto the tip that it saw"
    assert not [e for e in events(project.ana) if e["event"] in ("foreign-push", "not-landed", "unseen")]


@HOWS
def test_the_first_refuses(project: Project, second: Path, how: str) -> None:
    before = project.tip()
    project.remote_hook("pre-receive", NO)
    head = project.ana.commit_files("work", {"w.txt": "w"})
    assert push(project.ana, how).code != 0
    assert told(project.ana, head)[-1] == ("not-landed" if how == "prp land" else "unseen")
    assert project.tip() == before
    project.remote_hook("pre-receive", "#!/bin/sh\n")
    assert push(project.ana, how).code == 0
    assert told(project.ana, head)[-1] == "landed"
    assert (project.tip(), tip(second)) == (head, head)
