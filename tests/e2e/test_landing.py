"""Pushes to one lane: in turn, none lost, and told the truth when somebody dies."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import Project

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import Clone

# The remote's own log: every push is under way from its pre-receive to its post-receive.
PRE = '#!/bin/sh\necho "in $(date +%s%N)" >> "{log}"\nsleep {pause}\n'
POST = '#!/bin/sh\necho "out $(date +%s%N)" >> "{log}"\n'


def pausing(project: Project, pause: float) -> Path:
    log = project.folder / "remote.log"
    project.remote_hook("pre-receive", PRE.format(log=log, pause=pause))
    project.remote_hook("post-receive", POST.format(log=log))
    return log


def push_until_landed(clone: Clone, give_up_s: float = 90) -> int:
    """Do what the refusal says until the push lands; the number of tries."""
    until = time.monotonic() + give_up_s
    tries = 0
    while time.monotonic() < until:
        tries += 1
        done = clone.git("push", "-q", ok=False)
        if done.code == 0:
            return tries
        assert "git pull --rebase" in done.err, done
        clone.git("pull", "-q", "--rebase", ok=False)
        time.sleep(random.uniform(0.05, 0.3))
    raise AssertionError(f"{clone.agent} never landed: {done!r}")


def test_eight_clones_push_at_once(project: Project) -> None:
    clones = [project.join(f"agent{n}") for n in range(8)]
    for clone in clones:
        clone.commit_files(f"work of {clone.agent}", {f"{clone.agent}.txt": clone.agent})
    log = pausing(project, 0.3)
    threads = [threading.Thread(target=push_until_landed, args=(c,)) for c in clones]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    subjects = project.subjects()
    assert all(subjects.count(f"work of {c.agent}") == 1 for c in clones)
    words = [line.split()[0] for line in log.read_text().splitlines()]
    assert words == ["in", "out"] * 8, words
    project.settle()
    events = json.loads(project.ana.prp("lock", "log", "main", "-n", "500", "--json").out)["events"]
    landed = [e["sha"] for e in events if e["event"] == "landed"]
    assert len(set(landed)) >= 8


def test_some_of_the_eight_are_killed(project: Project) -> None:
    seed = random.randrange(10**6)
    rnd = random.Random(seed)
    print("seed", seed)
    clones = [project.join(f"agent{n}") for n in range(8)]
    for clone in clones:
        clone.commit_files(f"work of {clone.agent}", {f"{clone.agent}.txt": clone.agent})
    pausing(project, 0.2)
    doomed = rnd.sample(clones, 3)

    def killed(clone: Clone) -> None:
        env = {**os.environ, **clone.env}
        push = subprocess.Popen(
            ["git", "push", "-q"],
            cwd=clone.path,
            env=env,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(rnd.uniform(0.0, 1.2))
        os.killpg(push.pid, signal.SIGKILL)
        push.wait()

    threads = [threading.Thread(target=killed if c in doomed else push_until_landed, args=(c,)) for c in clones]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for clone in doomed:  # the dead come back and simply push again
        clone.git("pull", "-q", "--rebase", ok=False)
        push_until_landed(clone)
    subjects = project.subjects()
    assert {c.agent: subjects.count(f"work of {c.agent}") for c in clones} == {c.agent: 1 for c in clones}


def test_killed_during_the_push_the_lane_is_free_again(project: Project) -> None:
    ben = project.join("ben")
    pausing(project, 1.5)
    project.ana.commit_files("killed", {"k.txt": "k"})
    env = {**os.environ, **project.ana.env}
    push = subprocess.Popen(
        ["git", "push", "-q"],
        cwd=project.ana.path,
        env=env,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 10
    while "held by ana" not in ben.prp("lock", "status").out and time.monotonic() < until:
        time.sleep(0.05)
    os.killpg(push.pid, signal.SIGKILL)
    push.wait()
    project.settle()
    events = json.loads(ben.prp("lock", "log", "--json").out)["events"]
    said = [e["event"] for e in events if e["sha"] == project.ana.head]
    assert said[-1] in ("unseen", "landed", "not-landed"), events
    ben.commit_files("after", {"b.txt": "b"})
    push_until_landed(ben)
    time.sleep(2)
    landed = project.subjects().count("killed")
    project.settle()
    again = json.loads(ben.prp("lock", "log", "--json").out)["events"]
    truth = [
        e["event"] for e in again if e["sha"] == project.ana.head and e["event"] in ("landed", "late", "not-landed")
    ]
    assert truth[-1:] == (["landed"] if landed and "landed" in truth else ["late"] if landed else ["not-landed"]), again


@pytest.mark.parametrize("after_s", [0.02, 0.1, 0.2, 0.3, 0.45, 0.8])
def test_killed_at_any_moment_the_lane_frees_itself(tmp_path: Path, home: Path, after_s: float) -> None:
    """Before, during and after the push; the lock's own processes are killed with it (but not the detached watcher)."""
    project = Project(tmp_path, settings={"[lane]\n": "[lane]\nlease = 3\n"})
    ben = project.join("ben")
    pausing(project, 0.2)
    project.ana.commit_files("killed", {"k.txt": "k"})
    env = {**os.environ, **project.ana.env}
    push = subprocess.Popen(
        ["git", "push", "-q"],
        cwd=project.ana.path,
        env=env,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(after_s)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(push.pid, signal.SIGKILL)
    push.wait()
    ben.commit_files("after", {"b.txt": "b"})
    began = time.monotonic()
    push_until_landed(ben)
    assert time.monotonic() - began < 3 + 10
    time.sleep(1)
    project.settle()
    landed = "killed" in project.subjects()
    events = json.loads(ben.prp("lock", "log", "-n", "200", "--json").out)["events"]
    said = [e["event"] for e in events if e["sha"] == project.ana.head]
    last = [e for e in said if e in ("landed", "late", "unseen", "not-landed")][-1:]
    if landed:
        assert last in (["landed"], ["late"]), said
    else:
        assert last in ([], ["not-landed"], ["unseen"]), said


def test_watcher_killed_the_next_push_reconciles(tmp_path: Path, home: Path) -> None:
    project = Project(tmp_path, settings={"[lane]\n": "[lane]\nlease = 3\n"})
    ben = project.join("ben")
    pausing(project, 1.0)
    project.ana.commit_files("the watcher dies", {"w.txt": "w"})
    env = {**os.environ, **project.ana.env}
    push = subprocess.Popen(
        ["git", "push", "-q"], cwd=project.ana.path, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    watcher = None
    until = time.monotonic() + 10
    while watcher is None and time.monotonic() < until:
        watcher = _watcher_of(project.ana.path)
        time.sleep(0.02)
    assert watcher is not None
    os.kill(watcher, signal.SIGKILL)
    push.wait()
    ben.git("pull", "-q", "--rebase")
    ben.commit_files("after", {"b.txt": "b"})
    began = time.monotonic()
    push_until_landed(ben)
    assert time.monotonic() - began < 3 + 10
    assert "the watcher dies" in project.subjects()
    events = json.loads(ben.prp("lock", "log", "--json").out)["events"]
    assert any(e["event"] == "landed" and e["sha"] == project.ana.head for e in events), events


def _watcher_of(path: Path) -> int | None:
    """The detached process of our pre-push hook that works in this clone, once git's own hook process is not it."""
    for pid in (int(p) for p in os.listdir("/proc") if p.isdigit()):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                words = f.read().split(b"\0")
            with open(f"/proc/{pid}/stat") as f:
                parent = int(f.read().rpartition(")")[2].split()[1])
            if any(w.endswith(b"/pre-push") for w in words) and b"python" in words[0]:
                with open(f"/proc/{parent}/comm") as f:
                    orphan = f.read().strip() not in ("sh", "pre-push", "git", "dash", "python", "python3")
                if os.readlink(f"/proc/{pid}/cwd") == str(path) and orphan:
                    return pid
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return None


def test_store_stopped_refuses_in_time_and_commits_go_through(project: Project) -> None:
    project.ana.prp("store", "stop")
    project.ana.write("prp.toml", project.ana.read("prp.toml"))
    env = {"PRP_REDIS_URL": f"unix://{project.folder}/nobody.sock"}
    project.ana.write("x.txt", "x")
    project.ana.git("add", "-A", env=env)
    project.ana.git("commit", "-q", "-m", "feat(P2-040): x", env=env)
    began = time.monotonic()
    refused = project.ana.git("push", "-q", ok=False, env=env)
    assert time.monotonic() - began < 3
    assert refused.code != 0
    assert "PRP_BREAK_GLASS" in refused.err
    assert "prp redis-status" in refused.err
    project.ana.git("push", "-q", "origin", "HEAD:refs/heads/other", env=env)


def test_store_that_never_answers_refuses_in_time(project: Project) -> None:
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        env = {"PRP_REDIS_URL": f"redis://:hunter2@127.0.0.1:{silent.getsockname()[1]}"}
        project.ana.commit_files("x", {"x.txt": "x"})
        began = time.monotonic()
        refused = project.ana.git("push", "-q", ok=False, env=env)
        assert time.monotonic() - began < 3
        assert refused.code != 0
        assert "did not answer" in refused.err
        assert "hunter2" not in refused.text


def test_break_glass_is_recorded_and_delivered(project: Project) -> None:
    project.ana.commit_files("urgent", {"u.txt": "u"})
    env = {"PRP_REDIS_URL": f"unix://{project.folder}/nobody.sock", "PRP_BREAK_GLASS": "the shop is down"}
    project.ana.git("push", "-q", env=env)
    assert project.subjects()[0] == "urgent"
    events = json.loads(project.ana.prp("lock", "log", "--json").out)["events"]
    emergency = [e for e in events if e["event"] == "break-glass"]
    assert [e["sha"] for e in emergency] == [project.ana.head]
    assert "the shop is down" in emergency[0]["detail"]


def test_a_record_of_an_emergency_that_was_cut_off_stops_nobody(project: Project) -> None:
    """The machine lost its power while it was written down."""
    ana, folder = project.ana, project.ana.path / ".git" / "prpgate"
    (folder / "break-glass.jsonl").write_text('{"at": "2026-01-02T03:0')
    ana.commit_files("urgent", {"u.txt": "u"})
    ana.git("push", "-q", env={"PRP_REDIS_URL": f"unix://{project.folder}/nobody.sock", "PRP_BREAK_GLASS": "it burns"})
    urgent = ana.head
    ana.commit_files("next", {"n.txt": "n"})
    ana.git("push", "-q")
    events = json.loads(ana.prp("lock", "log", "-n", "200", "--json").out)["events"]
    assert [(e["sha"], e["agent"]) for e in events if e["event"] == "break-glass"] == [(urgent, "ana")]
    assert not list(folder.glob("break-glass*"))


def test_two_lanes_never_block_each_other(tmp_path: Path, home: Path) -> None:
    project = Project(tmp_path, settings={'branches = ["main"]': 'branches = ["main", "release/*"]'})
    ben = project.join("ben")
    pausing(project, 2.0)
    project.ana.commit_files("on main", {"m.txt": "m"})
    ben.commit_files("on release", {"r.txt": "r"})
    env = {**os.environ, **project.ana.env}
    slow = subprocess.Popen(["git", "push", "-q"], cwd=project.ana.path, env=env)
    time.sleep(0.5)
    ben.git("push", "-q", "origin", "HEAD:refs/heads/release/1")
    assert slow.wait(30) == 0
    project.settle("release/1")


def test_the_refused_one_reads_it_again(project: Project) -> None:
    ben = project.join("ben")
    pausing(project, 2.0)
    project.ana.commit_files("slow", {"s.txt": "s"})
    ben.commit_files("quick", {"q.txt": "q"})
    env = {**os.environ, **project.ana.env}
    slow = subprocess.Popen(["git", "push", "-q"], cwd=project.ana.path, env=env)
    time.sleep(0.8)
    refused = ben.git("push", "-q", ok=False)
    assert refused.code != 0
    first = next(line for line in refused.err.splitlines() if line.startswith("prp: "))
    assert "main is held by ana" in first
    assert "Nothing is lost; you are next in line, your place is kept until" in first
    assert "git pull --rebase --autostash && git push" in refused.err
    assert first in ben.prp("why").out
    assert slow.wait(30) == 0
