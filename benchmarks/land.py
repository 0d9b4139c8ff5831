"""What landing costs: `prp land` beside the bare `git push` loop and mergetrain, on a local remote, with no gate.

    python -m benchmarks.land [--quick] [--mergetrain PROGRAM]

N branches that touch different files (1, 8 and 20) are landed at once, by N clones (mergetrain: enqueued at once from
one repository's worktrees, then deployed as one train), in rounds: every contender once a round, the median over the
rounds. Ratios are what counts; absolute times are this machine's today. Exit 1 when a bar of docs/design.md,
"Numbers", is missed. mergetrain takes part where it is found (on PATH, or named), with its approval answered at once.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pty
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.hooks import LEDGER, git, ledger
from prpgate.store.embedded import stop_all

if TYPE_CHECKING:
    from collections.abc import Sequence

LANDINGS = (1, 8, 20)
MOST = max(LANDINGS)
LINE_BAR = 1.15
OURS, LOOP, TRAIN = "prp land", "git push loop", "mergetrain"
# In and out at the remote: two of a kind in a row are two pushes at the same time.
HOOK = '#!/bin/sh\necho {word} >> "$GIT_DIR/moments"\n'
PUSH_LOOP = (
    "until git push -q origin HEAD:main; do git fetch -q origin main && git rebase -q FETCH_HEAD || exit 1; done"
)


class Clones:
    """A bare remote and clones of it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.remote, self.turn = folder, folder / "remote.git", 0
        git(folder, "init", "-q", "--bare", "-b", "main", "remote.git")
        first = self.clone("first")
        git(first, "checkout", "-q", "-B", "main")
        (first / LEDGER).parent.mkdir()
        (first / LEDGER).write_text(ledger(57))
        git(first, "add", "-A")
        git(first, "commit", "-q", "-m", "first")
        git(first, "push", "-q", "-u", "origin", "main")
        self.first = first
        self.clones: list[Path] = []

    def clone(self, name: str) -> Path:
        git(self.folder, "clone", "-q", "remote.git", name)
        return self.folder / name

    def watch(self) -> None:
        for name, word in (("pre-receive", "in"), ("post-receive", "out")):
            hook = self.remote / "hooks" / name
            hook.write_text(HOOK.format(word=word))
            hook.chmod(0o755)

    def prepare(self, count: int) -> None:
        self.turn += 1
        (self.remote / "moments").unlink(missing_ok=True)
        for clone in self.clones[:count]:
            git(clone, "fetch", "-q", "origin", "main")
            git(clone, "reset", "-q", "--hard", "origin/main")
            (clone / f"{clone.name}-{self.turn}.txt").write_text("new\n")
            git(clone, "add", "-A")
            git(clone, "commit", "-q", "-m", f"work of {clone.name}, {self.turn}")

    def overlaps(self) -> int:
        words = (self.remote / "moments").read_text().split()
        return sum(one == two for one, two in pairwise(words))


def at_once(commands: Sequence[tuple[Path, Sequence[str]]]) -> list[str]:
    """Run one command in each folder, all at the same time; what they wrote. All have to succeed."""
    running = [
        subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PRP_AGENT": folder.name},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for folder, command in commands
    ]
    said = [process.communicate(timeout=600) for process in running]
    for process, (out, err) in zip(running, said, strict=True):
        if process.returncode:
            raise SystemExit(f"{process.args!r} ended with {process.returncode}\n{out}{err}")
    return [out for out, _ in said]


class Ours(Clones):
    name = OURS

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.prp(self.first, "init", "--yes")
        toml = (self.first / "prp.toml").read_text()
        assert 'gate = "none"' in toml
        git(self.first, "add", "-A")
        git(self.first, "commit", "-q", "-m", "Use prpgate")
        git(self.first, "push", "-q")
        for n in range(MOST):
            self.clones.append(self.clone(f"agent{n:02d}"))
            self.prp(self.clones[-1], "join")
        self.watch()

    @staticmethod
    def prp(clone: Path, *args: str) -> str:
        return at_once([(clone, (sys.executable, "-m", "prpgate", *args))])[0]

    def land(self, count: int) -> None:
        at_once([(clone, (sys.executable, "-m", "prpgate", "land")) for clone in self.clones[:count]])

    def events(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.prp(self.first, "lock", "log", "main", "-n", "200", "--json"))[
            "events"
        ]
        return found


class Loop(Clones):
    name = LOOP

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.clones = [self.clone(f"agent{n:02d}") for n in range(MOST)]
        self.watch()

    def land(self, count: int) -> None:
        at_once([(clone, ("sh", "-c", PUSH_LOOP)) for clone in self.clones[:count]])


class Train(Clones):
    name = TRAIN

    def __init__(self, folder: Path, program: str) -> None:
        super().__init__(folder)
        self.program = program
        subprocess.run(
            [program, "init", "--project", "app", "--write"], cwd=self.first, check=True, capture_output=True
        )
        git(self.first, "add", "-A")
        git(self.first, "commit", "-q", "-m", "Use mergetrain")
        git(self.first, "push", "-q")
        for n in range(MOST):
            git(self.first, "worktree", "add", "-q", "-b", f"agent/{n:02d}", str(folder / f"agent{n:02d}"))
            self.clones.append(folder / f"agent{n:02d}")
        self.watch()

    def land(self, count: int) -> None:
        branches = [f"agent/{clone.name.removeprefix('agent')}" for clone in self.clones[:count]]
        at_once([(self.first, (self.program, "enqueue", "--task", "work", "--branch", b)) for b in branches])
        deploy(self.program, self.first)


def deploy(program: str, folder: Path) -> None:
    """It asks for approval, and only on a terminal: the answer lies there before it asks."""
    child, terminal = pty.fork()
    if not child:
        os.chdir(folder)
        os.execv(program, [program, "deploy"])
    said = b""
    try:
        os.write(terminal, b"y\n")
        with contextlib.suppress(OSError):  # how a terminal ends
            while more := os.read(terminal, 65536):
                said += more
        _, status = os.waitpid(child, 0)
    finally:
        os.close(terminal)
    if status:
        raise SystemExit(f"mergetrain deploy ended with {status}\n{said.decode()}")


class Turn(NamedTuple):
    """What is said of one round of ours at its largest."""

    in_order: bool
    overlaps: int
    retries: int


def turn_of(ours: Ours, count: int, before: int) -> Turn:
    events = [e for e in ours.events() if int(e["id"].partition("-")[0]) > before]
    line = [e["agent"] for e in events if e["event"] in ("queue", "acquire")]
    landed = [e["agent"] for e in events if e["event"] == "landed"]
    retried = [e for e in events if e["event"] in ("expired", "unseen", "not-landed", "foreign-push")]
    in_order = len(landed) == count and landed == list(dict.fromkeys(line))
    return Turn(in_order, ours.overlaps(), len(retried))


def landed(contender: Clones, count: int) -> None:
    """Is all of it in the remote's branch?"""
    subjects = git(contender.remote, "log", "--format=%s", "main").splitlines()
    for clone in contender.clones[:count]:
        if f"work of {clone.name}, {contender.turn}" not in subjects:
            raise SystemExit(f"{clone.name}'s work of turn {contender.turn} is not in the branch")


def measure(
    contenders: list[Ours | Loop | Train], rounds: dict[int, int]
) -> tuple[dict[int, dict[str, float]], list[Turn]]:
    took: dict[int, dict[str, float]] = {}
    turns: list[Turn] = []
    for count, times in rounds.items():
        found: dict[str, list[float]] = {c.name: [] for c in contenders}
        for n in range(times):
            for contender in contenders:
                contender.prepare(count)
                before = time.time_ns() // 1_000_000
                begun = time.perf_counter()
                contender.land(count)
                if n or times < 3:  # the first round warms everybody's caches
                    found[contender.name].append(time.perf_counter() - begun)
                landed(contender, count)
                if isinstance(contender, Ours) and count == MOST:
                    turns.append(turn_of(contender, count, before))
        took[count] = {name: median(times) for name, times in found.items()}
        show(count, took[count])
    return took, turns


def show(count: int, found: dict[str, float]) -> None:
    print(f"\n{count} at once")
    for name, seconds in found.items():
        print(f"  {name:16s} {seconds:7.3f} s  {seconds / count:7.3f} s each  {found[OURS] / seconds:5.2f} x for ours")
    sys.stdout.flush()


def judge(took: dict[int, dict[str, float]], turns: list[Turn]) -> list[str]:
    """Say of each bar whether it is held; those that are not."""
    one, all_of_them = took[1], took[MOST][OURS]
    bars: list[tuple[str, bool]] = []
    if TRAIN in one:
        ratio = one[OURS] / one[TRAIN]
        bars.append((f"one landing: {ratio:.2f} x mergetrain's enqueue and deploy of one branch, bar 1.0", ratio <= 1))
    ratio = all_of_them / (MOST * one[OURS])
    bars.append((f"{MOST} at once: {ratio:.2f} x {MOST} x one landing, bar {LINE_BAR}", ratio <= LINE_BAR))
    bars.append((f"{MOST} at once: in the order of their tickets", all(t.in_order for t in turns)))
    bars.append((f"{MOST} at once: no overlap in the remote's own hooks", not any(t.overlaps for t in turns)))
    bars.append((f"{MOST} at once: nothing retried, expired or foreign", not any(t.retries for t in turns)))
    print()
    for text, held in bars:
        print(f"{text:84s} {'held' if held else 'MISSED'}")
    return [text for text, held in bars if not held]


def main() -> int:
    parser = argparse.ArgumentParser(description="What landing costs, against bars.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds; for a look, not for a figure")
    parser.add_argument("--mergetrain", metavar="PROGRAM", help="where it is not on PATH")
    args = parser.parse_args()
    train = shutil.which(args.mergetrain or TRAIN)
    if args.mergetrain and not train:
        parser.error(f"{args.mergetrain} is no program")
    rounds = {1: 5, 8: 1, 20: 1} if args.quick else {1: 15, 8: 4, 20: 4}
    with tempfile.TemporaryDirectory(prefix="pb-", dir="/tmp") as name:
        folder = Path(name)
        for variable in [v for v in os.environ if v.startswith(("GIT_", "PRP_", "REDIS_", "XDG_"))]:
            del os.environ[variable]
        os.environ.update(HOME=name, XDG_STATE_HOME=f"{name}/state", GIT_CONFIG_NOSYSTEM="1")
        (folder / ".gitconfig").write_text(
            "[user]\n\tname = bench\n\temail = bench@example.org\n[init]\n\tdefaultBranch = main\n"
        )
        try:
            contenders: list[Ours | Loop | Train] = [Ours(folder / "ours"), Loop(folder / "loop")]
            if train:
                contenders.append(Train(folder / "train", os.path.abspath(train)))
            missed = judge(*measure(contenders, rounds))
        finally:
            stop_all(f"{name}/state/prpgate")
    if missed:
        print("missed: " + "; ".join(missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
