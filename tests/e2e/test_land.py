"""`prp land`: in turn, apart from what the user has open, true to the remote, and with nothing left behind."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import LEDGER, Project
from tests.world import Result, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.world import Clone

PRE = '#!/bin/sh\necho "in $(date +%s%N)" >> "{log}"\nsleep {pause}\n'
POST = '#!/bin/sh\necho "out $(date +%s%N)" >> "{log}"\n'
# The remote's hook says that it has the push, and takes it once it is told to (or after a while: nothing hangs).
HOLDING = (
    '#!/bin/sh\ntouch "{here}"\nn=0\nwhile [ ! -e "{go}" ] && [ $n -lt 2000 ]; do sleep 0.05; n=$((n + 1)); done\n'
)
SHORT_LEASE = {"[lane]\n": "[lane]\nlease = 3\n"}


def pausing(project: Project, pause: float) -> Path:
    log = project.folder / "remote.log"
    project.remote_hook("pre-receive", PRE.format(log=log, pause=pause))
    project.remote_hook("post-receive", POST.format(log=log))
    return log


def held_at_the_remote(project: Project) -> tuple[Path, Path]:
    """(a file that appears when a push is at the remote, a file that lets it, and all after it, go on)."""
    here, go = project.folder / "here", project.folder / "go"
    project.remote_hook("pre-receive", HOLDING.format(here=here, go=go))
    return here, go


def begin(clone: Clone, *args: str) -> subprocess.Popen[str]:
    """`prp land`, started and not waited for."""
    return subprocess.Popen(
        [sys.executable, "-m", "prpgate", "land", *args],
        cwd=clone.path,
        env={**os.environ, **clone.env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str], timeout: float = 60) -> Result:
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"still there after {timeout} s, and had said: {out}{err}") from None
    return Result(process.returncode, out, err)


def answer(done: Result) -> dict[str, Any]:
    assert done.out.count("\n") == 1, done
    return dict(json.loads(done.out))


def status(clone: Clone) -> dict[str, Any]:
    return dict(json.loads(clone.prp("lock", "status", "main", "--json").out)["lanes"][0])


def events(clone: Clone) -> list[dict[str, Any]]:
    return list(json.loads(clone.prp("lock", "log", "main", "-n", "500", "--json").out)["events"])


def moment(event: dict[str, Any]) -> float:
    """When it was, in seconds: ids of the log begin with the server's milliseconds."""
    return int(event["id"].partition("-")[0]) / 1000


def until(true: Callable[[], bool], what: str, give_up_s: float = 60) -> None:
    end_s = time.monotonic() + give_up_s
    while not true():
        assert time.monotonic() < end_s, what
        time.sleep(0.05)


def nothing_left(clone: Clone) -> None:
    """No ticket, no hold, no working tree, no ref but our own look at the remote."""
    lane = status(clone)
    assert (lane["state"], lane["queue"]) == ("free", []), lane
    assert clone.git("worktree", "list").out.count("\n") == 1
    refs = clone.git("for-each-ref", "--format=%(refname)", "refs/prpgate").out.split()
    assert set(refs) <= {"refs/prpgate/origin/main"}, refs


def hold_the_lane(project: Project) -> tuple[subprocess.Popen[str], Path]:
    """Somebody's landing that is under way at the remote, and the file that lets it go on."""
    here, go = held_at_the_remote(project)
    project.ana.commit_files("slow", {"slow.txt": "slow"})
    process = begin(project.ana)
    until(here.exists, "the slow push is at the remote")
    return process, go


def stands_in_line(clone: Clone) -> bool:
    """Is somebody of this clone's name there, waiting?"""
    return (clone.agent, "waiting") in [(t["agent"], t["kind"]) for t in status(clone)["queue"]]


def test_eight_clones_land_at_once(project: Project) -> None:
    """benchmarks/land.py does the same with twenty."""
    clones = [project.join(f"agent{n}") for n in range(8)]
    for clone in clones:
        clone.commit_files(f"work of {clone.agent}", {f"{clone.agent}.txt": clone.agent})
    log = pausing(project, 0.2)
    processes = [begin(c, "--json") for c in clones]
    done = [end(p) for p in processes]
    assert [d.code for d in done] == [0] * 8, done
    answers = [answer(d) for d in done]
    assert all(a["landed"] and a["state"] == "landed" for a in answers)
    subjects = project.subjects()
    assert sorted(subjects[:8]) == [f"work of agent{n}" for n in range(8)]
    words = [line.split()[0] for line in log.read_text().splitlines()]
    assert words == ["in", "out"] * 8, words
    seen = events(project.ana)
    line = [e["agent"] for e in seen if e["event"] in ("queue", "acquire") and e["agent"].startswith("agent")]
    landed = [e["agent"] for e in seen if e["event"] == "landed" and e["agent"].startswith("agent")]
    assert landed == list(dict.fromkeys(line)), "in the order of their tickets"
    assert not [e for e in seen if e["event"] in ("expired", "unseen", "not-landed", "foreign-push")]
    heads = run(["git", "log", "--format=%H", "--first-parent", "main"], project.remote).out.split()
    assert {a["sha"] for a in answers} <= set(heads)
    for clone, said in zip(clones, answers, strict=True):
        nothing_left(clone)
        if said["next_action"]:
            run(["sh", "-c", said["next_action"]], clone.path, env=clone.env)
        else:
            clone.git("pull", "-q", "--rebase")
        assert clone.head == project.tip()


def test_authors_and_their_dates_stay(project: Project) -> None:
    ben = project.join("ben")
    dates = {
        "GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z",
        "GIT_AUTHOR_NAME": "Zoe",
        "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z",
    }
    ben.write("b.txt", "b")
    ben.git("add", "-A")
    ben.git("commit", "-q", "-m", "work of ben", env=dates)
    project.ana.commit_files("before", {"a.txt": "a"})
    project.ana.prp("land")
    ben.prp("land")
    said = run(["git", "log", "-1", "--format=%an %aI %cn", "main"], project.remote).out.strip()
    assert said == "Zoe 2026-01-02T03:04:05+00:00 ben"


def test_a_conflict_gives_the_lane_back_and_names_who_and_what(project: Project) -> None:
    ben = project.join("ben")
    project.ana.commit_files("ana writes it", {"shared.txt": "ana\n"})
    ben.commit_files("ben writes it", {"shared.txt": "ben\n"})
    mine = ben.head
    project.ana.prp("land")
    done = ben.prp("land", "--json", ok=False)
    said = answer(done)
    assert (done.code, said["landed"], said["error"]["code"]) == (1, False, "conflict")
    assert "shared.txt" in said["error"]["message"]
    assert "ana: ana writes it" in said["error"]["message"]
    assert said["next_action"] == "git pull --rebase && prp land"
    assert ben.head == mine
    assert ben.git("status", "--porcelain").out == ""
    nothing_left(ben)
    assert "ben" not in [e["agent"] for e in events(ben) if e["event"] == "intent"]


def test_what_is_open_in_the_working_tree_stays_as_it_is(project: Project) -> None:
    ben = project.join("ben")
    project.ana.commit_files("before", {"a.txt": "a"})
    project.ana.prp("land")
    ben.commit_files("work of ben", {"b.txt": "b", "c.txt": "c\n"})
    ledger = ben.read(LEDGER) + "# not committed\n"
    ben.write(LEDGER, ledger)
    ben.write("c.txt", "half done\n")
    ben.write("staged.txt", "staged\n")
    ben.git("add", "staged.txt")
    ben.write("untracked.txt", "untracked\n")
    before = ben.git("status", "--porcelain=v2", "--branch").out.splitlines()
    index = (ben.path / ".git" / "index").read_bytes()
    said = answer(ben.prp("land", "--json"))
    assert said["landed"] is True
    after = ben.git("status", "--porcelain=v2", "--branch").out.splitlines()
    assert [x for x in before if "branch.ab" not in x] == [x for x in after if "branch.ab" not in x]
    assert (ben.path / ".git" / "index").read_bytes() == index
    assert (ben.read(LEDGER), ben.read("c.txt")) == (ledger, "half done\n")
    assert said["next_action"] == "git pull --rebase --autostash"
    run(["sh", "-c", said["next_action"]], ben.path, env=ben.env)
    assert ben.head == project.tip() == said["sha"]
    assert (ben.read("c.txt"), ben.read("staged.txt")) == ("half done\n", "staged\n")


def test_another_branch_lands_without_being_checked_out(project: Project) -> None:
    ben = project.join("ben")
    ben.git("switch", "-q", "-c", "feature")
    head = ben.commit_files("on a branch", {"f.txt": "f"})
    ben.git("switch", "-q", "main")
    hook = ben.path / ".git" / "hooks" / "pre-push.prp-chained"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    said = answer(ben.prp("land", "--from", "feature", "--for", "P2-040", "--json", ok=False))
    assert said["next_action"] == "prp land --from feature --for P2-040", "not what is checked out"
    hook.unlink()
    said = answer(ben.prp("land", "--from", "feature", "--for", "P2-040", "--json"))
    assert (said["landed"], said["sha"], said["lane"]) == (True, head, "main")
    assert project.tip() == head
    assert ben.git("branch", "--show-current").out.strip() == "main"
    done = ben.prp("land", "--for", "P9-999", ok=False)
    assert (done.code, "no PRP P9-999" in done.err) == (1, True)
    done = ben.prp("land", "--from", "nosuch", ok=False)
    assert (done.code, "no branch 'nosuch'" in done.err) == (2, True)


def test_a_merge_of_the_lane_does_not_become_its_first_parent(project: Project) -> None:
    ben = project.join("ben")
    ben.commit_files("work of ben", {"b.txt": "b"})
    project.ana.commit_files("before", {"a.txt": "a"})
    project.ana.prp("land")
    ben.git("pull", "-q", "--no-rebase", "--no-edit")
    said = answer(ben.prp("land", "--json"))
    line = run(["git", "log", "--format=%s", "--first-parent", "main"], project.remote).out.splitlines()
    assert (said["landed"], line[:2]) == (True, ["work of ben", "before"])


def test_nothing_to_land(project: Project) -> None:
    done = project.ana.prp("land", "--json")
    assert (answer(done)["state"], answer(done)["landed"]) == ("up-to-date", True)
    nothing_left(project.ana)


@pytest.mark.parametrize("option", [("--no-wait",), ("--wait", "1")])
def test_out_of_patience_the_place_is_kept(project: Project, option: tuple[str, ...]) -> None:
    ben = project.join("ben")
    ben.commit_files("work of ben", {"b.txt": "b"})
    slow, go = hold_the_lane(project)
    done = ben.prp("land", *option, "--json", ok=False)
    said = answer(done)
    assert (done.code, said["state"], said["position"], said["landed"]) == (75, "queued", 1, False)
    assert said["next_action"] == "prp land"
    assert [(t["agent"], t["kind"]) for t in status(ben)["queue"]] == [("ben", "reserved")]
    cleo = project.join("cleo")
    cleo.commit_files("work of cleo", {"c.txt": "c"})
    behind = begin(cleo)
    until(lambda: stands_in_line(cleo), "cleo stands in line")
    again = begin(ben)
    until(lambda: stands_in_line(ben), "ben is back")
    go.touch()
    assert [end(p).code for p in (slow, again, behind)] == [0, 0, 0]
    assert project.subjects()[:3] == ["work of cleo", "work of ben", "slow"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_leaving_the_line_leaves_nothing(project: Project, number: int) -> None:
    ben = project.join("ben")
    ben.commit_files("work of ben", {"b.txt": "b"})
    slow, go = hold_the_lane(project)
    waiting = begin(ben)
    until(lambda: stands_in_line(ben), "ben stands in line")
    waiting.send_signal(number)
    done = end(waiting)
    assert (done.code, "your branch is untouched" in done.err) == (130, True), done
    assert status(ben)["queue"] == []
    go.touch()
    assert end(slow).code == 0
    nothing_left(ben)


def test_the_line_is_shown_as_it_moves(project: Project) -> None:
    ben = project.join("ben")
    ben.commit_files("work of ben", {"b.txt": "b"})
    slow, go = hold_the_lane(project)
    waiting = begin(ben)
    assert waiting.stderr
    first = waiting.stderr.readline().rstrip("\n")
    go.touch()
    assert [end(p).code for p in (slow, waiting)] == [0, 0]
    assert first.startswith("main: 1st of 1 · ana pushing "), first
    assert "your turn about" in first
    assert first.endswith("Ctrl-C leaves, your branch is untouched")


def test_on_a_terminal_one_line_is_rewritten(project: Project) -> None:
    ben = project.join("ben")
    ben.commit_files("work of ben", {"b.txt": "b"})
    slow, go = hold_the_lane(project)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))
    command = [sys.executable, "-m", "prpgate", "land"]
    env = {**os.environ, **ben.env, "TERM": "xterm", "COLUMNS": "200"}
    process = subprocess.Popen(command, cwd=ben.path, env=env, stderr=theirs, stdout=subprocess.PIPE)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # the end of a terminal whose last writer is gone
        while chunk := os.read(ours, 4096):
            shown += chunk
            if len({line for line in shown.split(b"\r\x1b[K")[:-1] if b"ana pushing" in line}) >= 2:
                go.touch()
    os.close(ours)
    assert process.wait(30) == 0
    assert process.stdout
    process.stdout.close()
    assert end(slow).code == 0
    drawn = shown.split(b"\r\x1b[K")
    assert b"\n" not in shown
    assert len({line for line in drawn if b"ana pushing" in line}) >= 2, "the time goes on between two changes"
    assert drawn[-1] == b"", "it is taken away at the end"


def test_a_refused_push_names_the_way_to_wait_and_that_way_has_its_place(project: Project) -> None:
    ben, cleo = project.join("ben"), project.join("cleo")
    for clone in (ben, cleo):
        clone.commit_files(f"work of {clone.agent}", {f"{clone.agent}.txt": "x"})
    slow, go = hold_the_lane(project)
    refused = ben.git("push", "-q", ok=False)
    assert refused.code != 0
    assert "or wait in line:  prp land" in refused.err
    assert "git pull --rebase --autostash && git push\n" in refused.err
    ben.git("branch", "--unset-upstream")
    refused = ben.git("push", "-q", "origin", "main", ok=False)
    assert "git pull --rebase --autostash origin main && git push origin HEAD:main\n" in refused.err
    behind = begin(cleo)
    until(lambda: stands_in_line(cleo), "cleo stands in line")
    again = begin(ben)
    until(lambda: stands_in_line(ben), "ben is back")
    go.touch()
    assert [end(p).code for p in (slow, again, behind)] == [0, 0, 0]
    assert project.subjects()[:2] == ["work of cleo", "work of ben"]


# --- deaths ----------------------------------------------------------------------------------------------------------


def local(tmp_path: Path, step: str, **more: str) -> Project:
    """A project whose gate is local; `step` is what its one smoke step runs."""
    return Project(tmp_path, settings={**SHORT_LEASE, 'run = "test -f README"': f"run = '{step}'", **more})


def go_local(project: Project) -> None:
    """Turn the gate to local, by a landing like any other."""
    text = project.ana.read("prp.toml").replace('gate = "none"', 'gate = "local"')
    project.ana.commit_files("gate local", {"prp.toml": text})
    project.ana.git("push", "-q")
    project.settle()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_ended_in_the_gate_the_next_one_lands(tmp_path: Path, home: Path, number: int) -> None:
    inside = tmp_path / "inside"
    project = local(tmp_path, f"test ! -f slow.txt || {{ touch {inside}; sleep 60; }}")
    go_local(project)
    ben = project.join("ben")
    ben.commit_files("work of ben", {"b.txt": "b"})
    project.ana.commit_files("never", {"slow.txt": "slow"})
    doomed = begin(project.ana)
    until(inside.exists, "the gate runs")
    assert project.ana.git("worktree", "list").out.count("\n") == 2
    ended = time.time()
    doomed.send_signal(number)
    if number == signal.SIGINT:
        assert end(doomed).code == 130
        nothing_left(project.ana)
    else:
        doomed.wait()
        for pipe in (doomed.stdout, doomed.stderr):
            assert pipe
            pipe.close()
    assert answer(ben.prp("land", "--json"))["landed"] is True
    mine = [e for e in events(ben) if e["agent"] == "ben"]
    asked = next((moment(e) for e in mine if e["event"] == "queue"), ended)
    had = next(moment(e) for e in mine if e["event"] in ("acquire", "claim"))
    assert had - max(asked, ended) < 15, "a lease of 3 s, and not the gate's 60"
    assert project.subjects()[0] == "work of ben"
    project.ana.git("reset", "-q", "--hard", "origin/main~0")
    project.ana.commit_files("after", {"after.txt": "x"})
    project.ana.git("pull", "-q", "--rebase")
    project.ana.prp("land")
    nothing_left(project.ana)


def test_killed_during_the_push_the_next_one_lands_and_the_record_is_the_remotes(tmp_path: Path, home: Path) -> None:
    project = Project(tmp_path, settings=SHORT_LEASE)
    ben = project.join("ben")
    ben.commit_files("work of ben", {"b.txt": "b"})
    doomed, go = hold_the_lane(project)
    doomed.kill()
    end(doomed)
    next_one = begin(ben, "--json")
    until(lambda: stands_in_line(ben) or (status(ben)["holder"] or {}).get("agent") == "ben", "ben asks")
    go.touch()
    assert answer(end(next_one))["landed"] is True
    landed = project.subjects().count("slow")
    found = [e["event"] for e in events(ben) if e["sha"] == project.ana.head]
    # Where the lease was over first, ben looked before it arrived.
    assert found[-1] == (("late" if "unseen" in found else "landed") if landed else "not-landed"), found


@pytest.mark.parametrize("plain", [False, True])
def test_a_hold_that_is_broken_while_it_pushes_still_says_what_landed(project: Project, plain: bool) -> None:
    if plain:
        here, go = held_at_the_remote(project)
        project.ana.commit_files("slow", {"slow.txt": "slow"})
        slow = subprocess.Popen(
            ["git", "push", "-q"],
            cwd=project.ana.path,
            env={**os.environ, **project.ana.env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        until(here.exists, "the slow push is at the remote")
    else:
        slow, go = hold_the_lane(project)
    fence = str(status(project.ana)["fence"])
    said = project.ana.prp("lock", "break", "main", "--fence", fence, "--reason", "it hangs")
    assert "Its push may still arrive" in said.out
    go.touch()
    assert end(slow).code == 0
    told = [(e["event"], e["sha"]) for e in events(project.ana)]
    assert ("unseen", project.ana.head) in told
    until(lambda: ("late", project.ana.head) in [(e["event"], e["sha"]) for e in events(project.ana)], "told")
    assert project.tip() == project.ana.head
    nothing_left(project.ana)


def test_a_hold_that_is_broken_while_the_remote_refuses_says_that_it_never_lands(project: Project) -> None:
    slow, go = hold_the_lane(project)
    project.remote_hook("update", "#!/bin/sh\nexit 1\n")
    project.ana.prp("lock", "break", "main", "--fence", str(status(project.ana)["fence"]), "--reason", "it hangs")
    go.touch()
    assert "refused the push" in end(slow).err
    found = [e["event"] for e in events(project.ana) if e["sha"] == project.ana.head]
    assert found[-2:] == ["break", "not-landed"], found
    nothing_left(project.ana)


def test_ctrl_c_during_the_push_says_what_the_remote_says(project: Project) -> None:
    slow, go = hold_the_lane(project)
    slow.send_signal(signal.SIGINT)
    done = end(slow)
    go.touch()
    assert done.code == 5, done
    assert "may still arrive" in done.text
    nothing_left(project.ana)
    project.remote_hook("pre-receive", "#!/bin/sh\n")
    ben = project.join("ben")
    ben.commit_files("work of ben", {"b.txt": "b"})
    assert ben.prp("land").code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_at_any_moment_nothing_is_left_and_the_exit_code_is_true(project: Project, number: int) -> None:
    """From before the line to after the push, in steps; each time on top of somebody else's new commit."""
    ben = project.join("ben")
    pausing(project, 0.1)
    codes = []
    for n in range(10):
        ben.commit_files(f"ben {n}", {"b.txt": str(n)})
        begun = time.monotonic()
        ben.prp("land")
        whole_s = time.monotonic() - begun  # how long one takes, here and now
        subject = f"ana {n}"
        project.ana.commit_files(subject, {"a.txt": str(n)})
        process = begin(project.ana)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(whole_s * (n + 2) / 9 if n < 9 else 60)  # the last one comes too late
        process.send_signal(number)
        done = end(process)
        codes.append(done.code)
        landed = subject in project.subjects()
        # An interrupt inside of an import may make CPython end itself by SIGINT, at its very end, whichever it was.
        assert done.code in ((0,) if landed else (130, 5, -number, -signal.SIGINT)), (n, landed, done)
        assert "Traceback" not in done.err or done.code == -number, done
        nothing_left(project.ana)
        # Git at the remote is this machine's here, and is ended with the push: what it leaves when it is killed.
        (project.remote / "refs/heads/main.lock").unlink(missing_ok=True)
        project.ana.git("pull", "-q", "--rebase")
        ben.git("pull", "-q", "--rebase")
        if not landed:
            project.ana.git("reset", "-q", "--hard", "origin/main")
    print(codes)
    assert len(set(codes)) >= 2, codes


# --- what refuses ----------------------------------------------------------------------------------------------------


def test_a_red_gate_does_not_push(tmp_path: Path, home: Path) -> None:
    project = local(tmp_path, "test ! -f bad.txt || { echo it is bad; exit 1; }")
    go_local(project)
    before = project.tip()
    project.ana.commit_files("bad", {"bad.txt": "bad"})
    done = project.ana.prp("land", "--json", ok=False)
    said = answer(done)
    assert (done.code, said["landed"], said["error"]["code"]) == (1, False, "red")
    assert "it is bad" in said["error"]["hint"]
    assert project.tip() == before
    nothing_left(project.ana)
    (project.ana.path / "bad.txt").unlink()
    project.ana.commit_files("mended", {"good.txt": "good"})
    assert answer(project.ana.prp("land", "--json"))["landed"] is True


def test_a_lock_that_does_not_cover_the_push_any_more_pushes_nothing(tmp_path: Path, home: Path) -> None:
    project = local(tmp_path, "test ! -f slow.txt || sleep 4", **{"[lane]\n": "[lane]\nlease = 3\ncap = 3\n"})
    go_local(project)
    before = project.tip()
    project.ana.commit_files("slow", {"slow.txt": "slow"})
    done = project.ana.prp("land", "--json", ok=False)
    said = answer(done)
    assert (done.code, said["error"]["code"], said["next_action"]) == (1, "lost", "prp land")
    assert project.tip() == before
    nothing_left(project.ana)
    assert answer(project.ana.prp("land", "--json"))["landed"] is True, "the gate was green, and that stands"


def test_a_lane_that_is_not_there_yet(tmp_path: Path, home: Path) -> None:
    project = Project(tmp_path, settings={'branches = ["main"]': 'branches = ["main", "release/*"]'})
    project.ana.git("switch", "-q", "-c", "release/1")
    head = project.ana.commit_files("a release", {"r.txt": "r"})
    said = answer(project.ana.prp("land", "--json"))
    assert (said["lane"], said["landed"], said["sha"]) == ("release/1", True, head)
    assert project.tip("release/1") == head


def test_a_remote_that_cannot_be_reached(project: Project) -> None:
    project.ana.commit_files("work", {"w.txt": "w"})
    project.remote.rename(project.folder / "away")
    done = project.ana.prp("land", "--json", ok=False)
    (project.folder / "away").rename(project.remote)
    assert (done.code, answer(done)["error"]["code"]) == (5, "fetch")
    nothing_left(project.ana)
    assert project.ana.prp("land").code == 0


def test_the_gate_sees_the_commit_and_not_the_working_tree(tmp_path: Path, home: Path) -> None:
    project = local(tmp_path, "test -f needed.txt")
    project.ana.commit_files("needed", {"needed.txt": "x"})
    go_local(project)
    project.ana.git("rm", "-q", "needed.txt")
    project.ana.git("commit", "-q", "-m", "without it")
    project.ana.write("needed.txt", "only here")
    assert project.ana.prp("land", ok=False).code == 1
    assert "without it" not in project.subjects()


def test_with_gate_local_a_plain_push_has_to_be_proven(tmp_path: Path, home: Path) -> None:
    project = local(tmp_path, "true")
    go_local(project)
    project.ana.commit_files("plain", {"p.txt": "p"})
    done = project.ana.git("push", "-q", ok=False)
    assert done.code != 0
    assert "not proven green" in done.err
    assert "prp land" in done.err
    assert status(project.ana)["queue"] == []
    project.ana.prp("smoke")
    project.ana.git("push", "-q")
    assert project.subjects()[0] == "plain"


def test_a_closed_lane_lands_nothing_and_a_program_does_not_open_what_a_person_closed(project: Project) -> None:
    ben = project.join("ben")
    ben.commit_files("work of ben", {"b.txt": "b"})
    ana = project.ana
    ana.env = {}  # a person: no PRP_AGENT
    ana.prp("lane", "close", "--reason", "the demo is on")
    done = ben.prp("land", "--json", ok=False)
    said = answer(done)
    assert (done.code, said["error"]["code"], said["landed"]) == (1, "closed", False)
    assert "ana@example.org" in said["error"]["message"]
    assert "the demo is on" in said["error"]["message"]
    assert status(ben)["closed"]["reason"] == "the demo is on"
    refused = ben.prp("lane", "open", "--reason", "I want to", ok=False)
    assert (refused.code, "a person opens" in refused.err) == (1, True)
    ana.prp("lane", "open", "--reason", "it is over")
    assert ben.prp("land").code == 0
    said_by = [(e["event"], e["detail"]) for e in events(ben) if e["event"] in ("close", "open")]
    assert said_by == [("close", "the demo is on"), ("open", "it is over")]


def test_a_hook_of_the_team_that_refuses_is_not_called_unknown(project: Project) -> None:
    hook = project.ana.path / ".git" / "hooks" / "pre-push.prp-chained"
    hook.write_text("#!/bin/sh\necho the team says no >&2\nexit 1\n")
    hook.chmod(0o755)
    project.ana.commit_files("work", {"w.txt": "w"})
    done = project.ana.prp("land", "--json", ok=False)
    said = answer(done)
    assert (done.code, said["error"]["code"]) == (1, "hook")
    assert "the team says no" in said["error"]["hint"]
    nothing_left(project.ana)


def test_the_remote_that_refuses_is_quoted(project: Project) -> None:
    project.remote_hook("pre-receive", "#!/bin/sh\necho not on a Friday\nexit 1\n")
    project.ana.commit_files("work", {"w.txt": "w"})
    done = project.ana.prp("land", "--json", ok=False)
    said = answer(done)
    assert (done.code, said["error"]["code"]) == (1, "remote-refused")
    assert "not on a Friday" in said["error"]["hint"]
    nothing_left(project.ana)


def test_a_push_past_the_lock_is_met_by_landing_again(project: Project) -> None:
    """Somebody pushes with --no-verify while a landing is between its fetch and its push."""
    ben = project.join("ben")
    ben.commit_files("past the lock", {"b.txt": "b"})
    hook = project.ana.path / ".git" / "hooks" / "pre-push.prp-chained"
    marker = project.folder / "done"
    once = f"test -e {marker} && exit 0\ntouch {marker}\n"
    hook.write_text(f"#!/bin/sh\n{once}cd {ben.path} && env -u GIT_DIR git push -q --no-verify\n")
    hook.chmod(0o755)
    project.ana.commit_files("work of ana", {"a.txt": "a"})
    said = answer(project.ana.prp("land", "--json"))
    assert said["landed"] is True
    assert project.subjects()[:2] == ["work of ana", "past the lock"]
    nothing_left(project.ana)


def test_two_in_one_worktree_are_one_too_many(project: Project) -> None:
    slow, go = hold_the_lane(project)
    done = project.ana.prp("land", ok=False)
    assert (done.code, "another prp land" in done.err) == (1, True)
    go.touch()
    assert end(slow).code == 0


def test_a_borrowed_fence_opens_nothing(project: Project) -> None:
    """What the hook believes of a landing is in the store, not in the environment."""
    ben = project.join("ben")
    ben.commit_files("not mine", {"b.txt": "b"})
    slow, go = hold_the_lane(project)
    fence = str(status(ben)["fence"])
    done = ben.git("push", "-q", ok=False, env={"PRP_LAND_FENCE": fence, "PRP_LAND_HOLD": "made up"})
    assert (done.code != 0, "lock of main was lost" in done.err) == (True, True), done
    go.touch()
    assert end(slow).code == 0
    assert "not mine" not in project.subjects()


def test_where_the_landing_cannot_vouch_for_its_push_the_hook_asks_the_store(project: Project) -> None:
    folder = project.folder / ("long" * 30)  # too long for a socket's path
    folder.mkdir()
    project.ana.commit_files("work", {"w.txt": "w"})
    said = answer(project.ana.prp("land", "--json", env={"TMPDIR": str(folder)}))
    assert (said["landed"], project.subjects()[0]) == (True, "work")
    assert not any(folder.iterdir())
    nothing_left(project.ana)


def test_with_gate_ci_the_lane_is_cis(tmp_path: Path, home: Path) -> None:
    project = Project(tmp_path)
    text = project.ana.read("prp.toml").replace('gate = "none"', 'gate = "ci"')
    project.ana.commit_files("gate ci", {"prp.toml": text})
    said = answer(project.ana.prp("land", "--json"))
    assert (said["landed"], said["state"]) == (True, "landed"), "the gate is the lane's, as of before this landing"
    head = project.ana.commit_files("work", {"w.txt": "w"})
    said = answer(project.ana.prp("land", "--json"))
    assert (said["landed"], said["state"], said["sha"]) == (True, "ci", head)
    lane = status(project.ana)
    assert (lane["state"], lane["holder"]["phase"], lane["holder"]["sha"]) == ("held", "landed", head)


def test_without_a_store_nothing_lands(project: Project) -> None:
    before = project.tip()
    project.ana.commit_files("work", {"w.txt": "w"})
    done = project.ana.prp("land", "--json", ok=False, env={"REDIS_URL": "redis://127.0.0.1:1/0"})
    assert (done.code, answer(done)["landed"]) == (4, False)
    assert project.tip() == before


def test_what_the_hook_refuses_land_refuses_too(project: Project) -> None:
    before = project.tip()
    text = project.ana.read(LEDGER)
    project.ana.write(LEDGER, text.replace("status: validated", "status: done", 1))
    project.ana.git("add", "-A")
    project.ana.git("commit", "-q", "--no-verify", "-m", "a wrong ledger")
    done = project.ana.prp("land", "--json", ok=False)
    assert (done.code, answer(done)["error"]["code"]) == (1, "findings")
    assert project.tip() == before
    nothing_left(project.ana)


def test_lane_log_says_what_was_claimed_and_what_was_found(project: Project) -> None:
    head = project.ana.commit_files("work", {"w.txt": "w"})
    project.ana.prp("land")
    ben = project.join("ben")
    past = ben.commit_files("past the lock", {"b.txt": "b"})
    ben.git("push", "-q", "--no-verify")
    project.ana.git("pull", "-q", "--rebase")
    project.ana.commit_files("more", {"m.txt": "m"})
    project.ana.prp("land")
    found = json.loads(project.ana.prp("lane", "log", "--json").out)["landings"]
    known = {one["sha"]: (one["claimed"], one["found"], one["agent"]) for one in found}
    assert known[head] == (True, "landed", "ana")
    assert known[past] == (False, "foreign-push", None)
