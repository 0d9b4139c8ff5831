"""`prp land` to a repository that the server's own hooks guard: two authorities over one lock, one landing."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.e2e.processes import watchers
from tests.e2e.test_land import HOLDING, SHORT_LEASE, answer, begin, end, go_local, status, until
from tests.server.conftest import Guarded, said

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import Clone


def refused(clone: Clone) -> str:
    """The first line that the server says to a push round the client's hook."""
    done = clone.git("push", "-q", "--no-verify", ok=False)
    assert done.code != 0
    return said(done)[0]


def held_at_the_remote(project: Guarded) -> tuple[Path, Path]:
    """(a file that appears when the server let a push in, a file that lets its ref move)."""
    here, go = project.folder / "here", project.folder / "go"
    project.remote_hook("update", HOLDING.format(here=here, go=go))
    return here, go


def words(project: Guarded, sha: str) -> list[str]:
    return [e for e, s, _ in project.log() if s == sha]


def test_the_holders_push_passes_and_is_told_once(guarded: Guarded) -> None:
    head = guarded.ana.commit_files("work", {"w.txt": "w"})
    done = answer(guarded.ana.prp("land", "--json"))
    assert (done["landed"], done["sha"]) == (True, head)
    assert guarded.state().state == "free"
    guarded.quiet()
    assert words(guarded, head) == ["acquire", "intent", "landed"]
    assert "server" not in {detail for _, sha, detail in guarded.log() if sha == head}, "a lock of its own"


def test_round_the_hook_while_prp_land_pushes_is_refused(guarded: Guarded) -> None:
    ben = guarded.plain("ben")
    ben.commit_files("round the hook", {"b.txt": "b"})
    here, go = held_at_the_remote(guarded)
    head = guarded.ana.commit_files("work", {"w.txt": "w"})
    landing = begin(guarded.ana, "--json")
    until(here.exists, "the server let it in")
    assert guarded.state().phase == "accepting"
    assert "main is held by ana" in refused(ben)
    go.touch()
    done = end(landing)
    assert (done.code, answer(done)["landed"]) == (0, True)
    assert guarded.tip() == head
    assert ben.git("push", "-q", "--no-verify", ok=False).code != 0, "its base is stale now"
    assert guarded.tip() == head


def test_round_the_hook_while_prp_land_is_in_its_gate_is_refused(tmp_path: Path, home: Path) -> None:
    """The lane is held from before the rebase on: nobody takes the tip away under the gate."""
    go = tmp_path / "go"
    step = f"test ! -f slow.txt || until test -e {go}; do sleep 0.05; done"
    project = Guarded(tmp_path, settings={'run = "test -f README"': f"run = '{step}'"})
    go_local(project)
    ben = project.plain("ben")
    ben.commit_files("round the hook", {"b.txt": "b"})
    head = project.ana.commit_files("slow", {"slow.txt": "slow"})
    landing = begin(project.ana, "--json")
    until(lambda: project.state().phase == "claimed", "ana has the lane")
    assert "main is held by ana" in refused(ben)
    go.touch()
    done = end(landing)
    assert (done.code, answer(done)["landed"]) == (0, True), done
    assert project.tip() == head
    project.quiet()


def test_a_closed_lane_takes_only_the_fix_by_either_way(guarded: Guarded) -> None:
    culprit = guarded.ana.commit_files("culprit", {"c.txt": "c"})
    guarded.ana.prp("land")
    ben = guarded.join("ben")
    lock = guarded.lock()
    lock.close("ci", "the tests are red.", person=False, head=culprit)
    lock.store.close()
    ben.commit_files("anything", {"b.txt": "b"})
    assert refused(ben).startswith("prp: main is closed by ci since ")
    done = ben.prp("land", "--json", ok=False)
    assert (done.code, answer(done)["error"]["code"]) == (1, "closed")
    assert guarded.tip() == culprit
    ben.git("reset", "-q", "--hard", "HEAD~1")
    ben.git("revert", "--no-edit", culprit)
    assert answer(ben.prp("land", "--json"))["landed"] is True
    assert guarded.tip() == ben.head


def test_prp_land_killed_after_the_server_let_it_in_is_told_by_the_server(guarded: Guarded) -> None:
    here, go = held_at_the_remote(guarded)
    head = guarded.ana.commit_files("killed", {"k.txt": "k"})
    doomed = begin(guarded.ana)
    until(here.exists, "the server let it in")
    doomed.send_signal(signal.SIGKILL)
    end(doomed)
    for pid in watchers(guarded.ana):  # nobody is left there but the push
        os.kill(pid, signal.SIGKILL)
    go.touch()
    until(lambda: guarded.tip() == head, "the ref moved")
    until(lambda: status(guarded.ana)["state"] == "free", "the lane is free", 3)
    guarded.quiet()
    assert words(guarded, head) == ["acquire", "intent", "landed"]


@pytest.mark.parametrize("how", ["git push", "prp land"])
def test_a_fence_of_the_past_does_not_pass_the_server(tmp_path: Path, home: Path, how: str) -> None:
    """Announced, then taken away by a person: the push that comes all the same is nobody's any more. It is long enough
    under way for `prp land` to notice, which is no Ctrl-C."""
    guarded = Guarded(tmp_path, settings=SHORT_LEASE)
    ben = guarded.join("ben")
    head = guarded.ana.commit_files("announced", {"a.txt": "a"})
    hook = guarded.ana.path / ".git" / "hooks" / "pre-push"
    ours = hook.with_name("pre-push.ours")
    hook.rename(ours)
    # Between our hook's yes and the transfer somebody breaks the lock, and another lands. `prp land` hears of it after.
    folder = guarded.folder
    hook.write_text(
        f'#!/bin/sh\n"{ours}" "$@" || exit 1\n[ ! -e {folder}/done ] || exit 0\ntouch {folder}/done\n'
        "land=${PRP_LAND_HOLD#*:}\nland=${land%%:*}\nunset PRP_LAND_FENCE PRP_LAND_HOLD\n"
        '[ -z "$land" ] || kill -STOP "$land"\n'
        f"sh {folder}/meanwhile >{folder}/out 2>&1\n"
        '[ -z "$land" ] || { kill -CONT "$land"; sleep 20; }\nexit 0\n'
    )
    hook.chmod(0o755)
    write_meanwhile(guarded, ben)
    done = guarded.ana.prp("land", ok=False) if how == "prp land" else guarded.ana.git("push", "-q", ok=False)
    out = (guarded.folder / "out").read_text()
    if how == "git push":
        assert done.code != 0, (done, out)
        assert guarded.subjects()[0] == "another", out
    else:
        assert done.code == 0, (done, out)
        assert guarded.subjects()[:2] == ["announced", "another"], "again, on top"
    assert "landed" not in words(guarded, head)
    guarded.quiet()


def write_meanwhile(project: Guarded, clone: Clone) -> None:
    """A script: break the lock of main, then land a commit of this clone."""
    clone.commit_files("another", {"x.txt": "x"})
    prp = f"PRP_AGENT=ben {sys.executable} -m prpgate"
    (project.folder / "meanwhile").write_text(
        f"cd {clone.path}\nunset GIT_DIR\n"
        f"fence=$({prp} lock status main --json | sed 's/.*\"fence\": \\([0-9]*\\).*/\\1/')\n"
        f"{prp} lock break main --fence $fence --reason 'too slow'\n{prp} land\n"
    )
