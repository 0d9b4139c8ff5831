"""Killed, stopped and suspended in mid push: what the next one meets, and what is on record."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

from tests.e2e.processes import children, command, started, watchers
from tests.e2e.test_land import begin, end, events, nothing_left, status, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Project
    from tests.world import Clone

# The remote's hook says that it has the push, and takes it once it is told to (or after a while: nothing hangs).
HOLDING = '#!/bin/sh\ntouch "{here}"\nn=0\nwhile [ ! -e "{go}" ] && [ $n -lt 400 ]; do sleep 0.05; n=$((n + 1)); done\n'


def held_at_the_remote(project: Project) -> tuple[Path, Path]:
    """(a file that appears when a push is at the remote, a file that lets it go on)."""
    here, go = project.folder / "here", project.folder / "go"
    project.remote_hook("pre-receive", HOLDING.format(here=here, go=go))
    return here, go


def found(clone: Clone, sha: str) -> list[tuple[str, str]]:
    return [(e["event"], e["agent"]) for e in events(clone) if e["sha"] == sha]


def kept(clone: Clone) -> list[str]:
    """Temporary folders of pushes in this clone."""
    return [name for name in os.listdir(clone.path / ".git" / "prpgate") if name.startswith("push-")]


def the_push(clone: Clone) -> dict[str, Any]:
    return dict(status(clone)["holder"] or {})


def test_prp_land_killed_in_mid_push_is_told_as_soon_as_its_push_has_ended(project: Project) -> None:
    """The lease is 30 s here: it is the watcher that frees the lane."""
    ben = project.join("ben")
    ben.commit_files("before", {"b.txt": "b"})
    ben.prp("land")
    here, go = held_at_the_remote(project)
    project.ana.commit_files("killed", {"k.txt": "k"})  # goes on top of ben's: a working tree of its own is there too
    doomed = begin(project.ana)
    until(here.exists, "the push is at the remote")
    assert kept(project.ana)
    doomed.kill()
    end(doomed)
    time.sleep(0.5)
    assert the_push(ben)["phase"] == "intent", "nobody may tell while the push is under way"
    go.touch()
    until(lambda: project.subjects()[0] == "killed", "the remote took it", 5)
    until(lambda: status(ben)["state"] == "free", "the lane is free", 3)
    assert found(ben, project.tip())[-2:] == [("intent", "ana"), ("landed", "ana")]
    until(lambda: not kept(project.ana), "the push's folder is gone", 3)
    until(lambda: project.ana.git("worktree", "list").out.count("\n") == 1, "the working tree is gone", 3)
    nothing_left(project.ana)


def test_prp_land_and_its_push_killed_is_not_seen_and_the_lane_is_free(project: Project) -> None:
    ben = project.join("ben")
    here, go = held_at_the_remote(project)
    head = project.ana.commit_files("killed", {"k.txt": "k"})
    doomed = begin(project.ana)
    until(here.exists, "the push is at the remote")
    pushes = [pid for pid in children(doomed.pid) if b"push" in command(pid)]
    assert len(pushes) == 1
    doomed.kill()
    os.killpg(pushes[0], signal.SIGKILL)
    end(doomed)
    until(lambda: status(ben)["state"] == "free", "the lane is free", 3)
    assert found(ben, head)[-1] == ("unseen", "ana")
    go.touch()
    until(lambda: not kept(project.ana), "the push's folder is gone", 3)


def test_a_landing_that_went_well_is_told_once(project: Project) -> None:
    """The watcher that stands by for `prp land` has nothing to say then."""
    head = project.ana.commit_files("work", {"w.txt": "w"})
    project.ana.prp("land")
    until(lambda: not watchers(project.ana), "the watcher ends", 5)
    assert [e for e, _ in found(project.ana, head)] == ["acquire", "intent", "landed"]
    assert "renew-late" not in [e["event"] for e in events(project.ana)]
    assert json.loads(project.ana.prp("lane", "log", "--json").out)["landings"][0]["found"] == "landed"


def test_what_a_killed_landing_left_is_swept_by_the_next(project: Project) -> None:
    """Even where no watcher was left: killed with everything it had started."""
    head = project.ana.head
    left = project.ana.path / ".git" / "prpgate" / "push-4194304-1-abc"
    left.mkdir(parents=True, exist_ok=True)
    (left / "out").write_text(head)
    mine = project.ana.path / ".git" / "prpgate" / f"push-{os.getpid()}-{started(os.getpid())}-abc"
    mine.mkdir()
    project.ana.prp("land")
    assert not left.exists()
    assert mine.exists(), "its process lives"
