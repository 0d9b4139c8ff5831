"""Killed, stopped and suspended in mid push: what the next one meets, and what is on record."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import Project
from tests.e2e.processes import Halting, children, command, started, watchers
from tests.e2e.test_land import (
    answer,
    begin,
    end,
    events,
    go_local,
    held_at_the_remote,
    moment,
    nothing_left,
    status,
    until,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.world import Clone, Server


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
    until(lambda: project.subjects()[0] == "killed", "the remote took it")
    until(lambda: status(ben)["state"] == "free", "the lane is free")
    assert found(ben, project.tip())[-2:] == [("intent", "ana"), ("landed", "ana")], "its lease never ran out"
    until(lambda: not kept(project.ana), "the push's folder is gone")
    until(lambda: project.ana.git("worktree", "list").out.count("\n") == 1, "the working tree is gone")
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
    until(lambda: status(ben)["state"] == "free", "the lane is free")
    assert found(ben, head)[-2:] == [("intent", "ana"), ("unseen", "ana")], "its lease never ran out"
    go.touch()
    until(lambda: not kept(project.ana), "the push's folder is gone")


def test_a_landing_that_went_well_is_told_once(project: Project) -> None:
    """The watcher that stands by for `prp land` has nothing to say then."""
    head = project.ana.commit_files("work", {"w.txt": "w"})
    project.ana.prp("land")
    until(lambda: not watchers(project.ana), "the watcher ends")
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


# --- suspended -------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["lease = 3"])
def shared(
    tmp_path: Path, home: Path, server: Server, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Project]:
    """A project on a store of the test's own; its lease is short unless the test wants another."""
    monkeypatch.setenv("PRP_REDIS_URL", server.url)
    lane = {"[lane]\n": f"[lane]\n{request.param}\n"}
    one = Project(tmp_path, settings={'scope = "machine"': 'scope = "team"', **lane})
    yield one
    if server.process is None:
        server.start()
    until(lambda: not watchers(one.ana), "whoever watches a push of ana's ends")


def test_prp_land_suspended_before_its_push_overwrites_nothing(shared: Project, server: Server) -> None:
    """It wrote its intent and hears of that when its time is over and another has landed."""
    ben, ana = shared.join("ben"), shared.ana
    head = ana.commit_files("suspended", {"s.txt": "s"})
    with Halting(server, b'"intent": {', b'"fence": "') as halting:
        ana.env["PRP_REDIS_URL"] = halting.url
        sleeper = begin(ana, "--json")
        halting.halted()
        del ana.env["PRP_REDIS_URL"]
        ben.commit_files("meanwhile", {"m.txt": "m"})
        assert answer(ben.prp("land", "--json"))["landed"] is True
        halting.go_on()
        done = end(sleeper)
        until(lambda: not watchers(ana), "who watches ends, while there is a way to its store")
    assert (done.code, answer(done)["landed"]) == (0, True), done
    assert shared.subjects()[:3] == ["suspended", "meanwhile", "Use prpgate"], "on top of what landed meanwhile"
    assert "not-landed" in [e for e, _ in found(ana, head)], "the commit that was announced first"


def test_what_was_pushed_past_the_lock_under_the_gate_is_not_overwritten(tmp_path: Path, home: Path) -> None:
    """Without any hook of ours there: it is the expected old value that the remote compares."""
    ben = tmp_path / "ben"
    once = f"test ! -f work.txt || test -e {tmp_path}/done"
    past = f"{once} || {{ touch {tmp_path}/done; git -C {ben} push -q --no-verify; }}"
    project = Project(tmp_path, settings={'run = "test -f README"': f"run = '{past}'"})
    go_local(project)
    project.join("ben").commit_files("past the lock", {"b.txt": "b"})
    project.ana.git("config", "core.hooksPath", "/dev/null")
    project.ana.commit_files("work", {"work.txt": "w"})
    assert answer(project.ana.prp("land", "--json"))["landed"] is True
    assert project.subjects()[:2] == ["work", "past the lock"]


def test_prp_land_suspended_in_mid_push_is_told_once_and_says_so_itself(shared: Project) -> None:
    """Its push goes on without it. Whoever comes next looks, under the owner's name."""
    ben, ana = shared.join("ben"), shared.ana
    here, go = held_at_the_remote(shared)
    head = ana.commit_files("suspended", {"s.txt": "s"})
    sleeper = begin(ana, "--json")
    until(here.exists, "the push is at the remote")
    sleeper.send_signal(signal.SIGSTOP)
    go.touch()
    until(lambda: shared.tip() == head, "the remote took it")
    assert the_push(ben)["agent"] == "ana"
    ben.commit_files("meanwhile", {"m.txt": "m"})
    assert answer(ben.prp("land", "--json"))["landed"] is True
    sleeper.send_signal(signal.SIGCONT)
    done = end(sleeper)
    assert (done.code, answer(done)["landed"]) == (0, True), done
    assert shared.subjects()[:2] == ["meanwhile", "suspended"]
    assert [e for e, _ in found(ben, head)].count("landed") == 1


# --- the remote, or the store, goes away meanwhile -------------------------------------------------------------------


def test_killed_with_the_remote_out_of_reach_the_lane_says_so_and_can_be_broken(shared: Project) -> None:
    ben, ana = shared.join("ben"), shared.ana
    here, go = held_at_the_remote(shared)
    head = ana.commit_files("killed", {"k.txt": "k"})
    doomed = begin(ana)
    until(here.exists, "the push is at the remote")
    pushes = [pid for pid in children(doomed.pid) if b"push" in command(pid)]
    away = shared.folder / "away.git"
    shared.remote.rename(away)
    doomed.kill()
    os.killpg(pushes[0], signal.SIGKILL)
    end(doomed)
    go.touch()
    until(lambda: status(ben)["state"] == "reconciling", "its lease is over")
    assert "ana" in ben.prp("lock", "status").out
    ben.commit_files("next", {"n.txt": "n"})
    assert answer(ben.prp("land", "--no-wait", "--json", ok=False))["landed"] is False
    shown = ben.prp("lock", "status").out
    command_line = next(line.strip() for line in shown.splitlines() if line.strip().startswith("prp lock break"))
    assert status(ben)["state"] == "reconciling", "nobody may guess"
    fence = str(status(ben)["fence"])
    assert fence in command_line
    assert ben.prp("lock", "break", "main", "--fence", "1", "--reason", "guessed", ok=False).code == 1
    ben.prp("lock", "break", "main", "--fence", fence, "--reason", "the remote burns")
    away.rename(shared.remote)
    assert answer(ben.prp("land", "--json"))["landed"] is True
    names = [e for e, _ in found(ben, head)]
    assert "unseen" in names and names[-1] in ("late", "not-landed"), names
    assert (names[-1] == "late") == ("killed" in shared.subjects())


@pytest.mark.parametrize("shared", ["lease = 30"], indirect=True)
def test_the_store_is_killed_while_the_lane_is_held_and_waited_for(shared: Project, server: Server) -> None:
    """Nobody hangs, fences go on growing, and places are as they were."""
    ben, cem, ana = shared.join("ben"), shared.join("cem"), shared.ana
    here, go = held_at_the_remote(shared)
    for clone in (ana, ben, cem):
        clone.commit_files(f"work of {clone.agent}", {f"{clone.agent}.txt": "x"})
    waiting = [begin(ana)]
    until(here.exists, "the push is at the remote")
    for n, clone in enumerate((ben, cem)):
        waiting.append(begin(clone))
        until(lambda n=n: len(status(ana)["queue"]) == n + 1, "in line")  # type: ignore[misc]
    before = status(ana)["fence"]
    server.stop(signal.SIGKILL)
    assert [end(p, 20).code for p in waiting[1:]] == [4, 4]
    server.start()
    assert status(ana)["fence"] == before
    assert [t["agent"] for t in status(ana)["queue"]] == ["ben", "cem"]
    waiting[1:] = [begin(cem)]  # the second of them is back first
    until(lambda: [t["kind"] for t in status(ana)["queue"]][-1:] == ["waiting"], "cem is back")
    waiting.append(begin(ben))
    until(lambda: {t["kind"] for t in status(ana)["queue"]} == {"waiting"}, "ben is back")
    go.touch()
    for p in waiting:
        assert end(p, 60).code in (0, 4)
    assert shared.subjects()[:3] == ["work of cem", "work of ben", "work of ana"]
    until(lambda: status(ana)["state"] == "free", "the lane is free")
    assert status(ana)["fence"] > before
    landed = [e["agent"] for e in events(ana) if e["event"] == "landed"]
    assert landed[-3:] == ["ana", "ben", "cem"]


# --- waiters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 1, 2], ids=["head", "middle", "tail"])
def test_a_waiter_killed_anywhere_in_the_line_costs_nobody_else_a_place(project: Project, place: int) -> None:
    clones = [project.join(f"agent{n}") for n in range(3)]
    for clone in clones:
        clone.commit_files(f"work of {clone.agent}", {f"{clone.agent}.txt": "x"})
    here, go = held_at_the_remote(project)
    project.ana.commit_files("slow", {"slow.txt": "slow"})
    slow = begin(project.ana)
    until(here.exists, "the push is at the remote")
    waiting = []
    for n, clone in enumerate(clones):
        waiting.append(begin(clone))
        until(lambda n=n: len(status(project.ana)["queue"]) == n + 1, "in line")  # type: ignore[misc]
    waiting[place].kill()
    end(waiting[place])
    go.touch()
    assert end(slow).code == 0
    rest = [(c, p) for n, (c, p) in enumerate(zip(clones, waiting, strict=True)) if n != place]
    assert [end(p).code for _, p in rest] == [0, 0]
    assert project.subjects()[:3] == [*(f"work of {c.agent}" for c, _ in reversed(rest)), "slow"]
    log = events(project.ana)
    freed = next(moment(e) for e in log if (e["event"], e["sha"]) == ("landed", project.ana.head))
    first = next(moment(e) for e in log if (e["event"], e["agent"]) == ("claim", rest[0][0].agent))
    assert first - freed < 3
