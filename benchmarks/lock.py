"""What handing the merge lock over costs, beside a bare token in a list and other locks in Redis.

    python -m benchmarks.lock [--quick] [--peers PYTHON]

1, 10 and 50 processes wait for one lock on an embedded Valkey, as `prp land` waits. First nobody is served, and the
commands that the waiters send are counted; then the lock goes round, and the time from just before one gives it back
until the next one knows that it has it is taken. The floor is a list with one token: a BLPOP, without lease, owner, or
a way on when a holder has died. Ratios are what counts; absolute times are this machine's today. Exit 1 when a bar of
docs/design.md, "Numbers", is missed.

--peers: a Python of an environment of its own that has redis, python-redis-lock and pottery.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, NamedTuple

import redis

from benchmarks.lock_waiter import KINDS
from prpgate.store.embedded import Embedded

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS, FLOOR = "ours", "floor"
PEERS = tuple(kind for kind in KINDS if kind not in (OURS, FLOOR))
WAITERS = (1, 10, 50)
BARS = {"hand-over": 3.0, "commands": 0.3}
ASK_S = 8.0  # our waiters ask twice in so long, so only multiples of it are a fair time to count in
SENT = re.compile(rb"\+[\d.]+ \[\d+ (?!lua\])")  # by a client, not by a script
WAITER = str(Path(__file__).with_name("lock_waiter.py"))


class Figures(NamedTuple):
    p50_ms: float
    p99_ms: float
    commands: float  # per waiter-second
    out_of_turn: float  # share of holds that somebody got who had asked later than another who waited


class Trial(NamedTuple):
    """One contender at work once."""

    commands: float | None  # per waiter-second, where they were counted
    took_ms: list[float]
    odd: int  # holds out of turn


class Hold(NamedTuple):
    asked: float
    got: float
    gave: float


def sent(path: str, seconds: float) -> int:
    """Commands that all clients send in so long. As MONITOR shows them: statistics count what scripts do, too."""
    until = time.monotonic() + seconds
    got = b""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        s.sendall(b"MONITOR\r\n")
        while (left := until - time.monotonic()) > 0:
            s.settimeout(left)
            with contextlib.suppress(TimeoutError):
                got += s.recv(65536)
    return sum(bool(SENT.match(line)) for line in got.split(b"\r\n"))


def contend(kind: str, r: redis.Redis, path: str, python: str, waiters: int, wait_s: float, run_s: float) -> Trial:
    """`waiters` processes wait, and one more holds; then the lock goes round for `run_s` seconds."""
    r.flushall()
    r.lpush("token", "1")
    with tempfile.TemporaryDirectory(prefix="pb-") as folder:
        command = [python, WAITER, kind, path, folder]
        names = [f"w{n:02d}" for n in range(waiters + 1)]
        with contextlib.ExitStack() as ending:
            children = [ending.enter_context(started([*command, name])) for name in names]
            for child in children:
                if child.stdout is None or child.stdout.readline() != b"ready\n":
                    raise SystemExit(f"{kind} did not start")
            for child in children:  # one after the other, so that it is known who came first
                assert child.stdin
                child.stdin.write(b"ask\n")
                child.stdin.flush()
                time.sleep(0.3 if child is children[0] else 0.02)
            time.sleep(0.5)
            commands = sent(path, wait_s) / waiters / wait_s if wait_s else None
            sign(folder, "go")
            time.sleep(run_s)
            end = time.monotonic()
            sign(folder, "stop")
            for child in children:
                if child.wait(120):
                    raise SystemExit(f"{kind}: a waiter ended with {child.returncode}")
        return Trial(commands, *handed_over([Path(folder, name) for name in names], end))


@contextlib.contextmanager
def started(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        try:
            yield child
        finally:
            child.kill()


def sign(folder: str, name: str) -> None:
    Path(folder, name).touch()


def handed_over(files: list[Path], end: float) -> tuple[list[float], int]:
    """Milliseconds of each hand-over, and how many holds were got out of turn."""
    holds = sorted(
        (Hold(*map(float, line.split())) for file in files for line in file.read_text().splitlines()),
        key=lambda hold: hold.got,
    )
    took, odd = [], 0
    for n in range(1, len(holds)):
        if holds[n].got < end:
            took.append((holds[n].got - holds[n - 1].gave) * 1000)
            odd += any(later.asked < holds[n].asked for later in holds[n + 1 :])
    return took, odd


def figures(trials: list[Trial]) -> Figures:
    took = [ms for trial in trials for ms in trial.took_ms]
    commands = [trial.commands for trial in trials if trial.commands is not None]
    return Figures(median(took), quantiles(took, n=100)[98], max(commands), sum(t.odd for t in trials) / len(took))


def show(waiters: int, found: dict[str, Figures]) -> None:
    print(f"\n{waiters} waiting: hand-over p50, p99; commands per waiter-second; served out of turn")
    for kind, f in found.items():
        print(
            f"  {kind:18s} {f.p50_ms:7.2f} ms {f.p99_ms:8.2f} ms  {f.p50_ms / found[FLOOR].p50_ms:6.2f} x floor"
            f"  {f.commands:6.2f}/s  {f.out_of_turn:4.0%}",
            flush=True,
        )


def judge(results: dict[int, dict[str, Figures]]) -> list[str]:
    """Say of each bar whether it is held; those that are not."""
    missed = []
    print()
    for waiters, found in results.items():
        mine = found[OURS]
        for what, value, unit in (
            ("hand-over", mine.p50_ms / found[FLOOR].p50_ms, "x the floor"),
            ("commands", mine.commands, "per waiter-second"),
        ):
            held = value <= BARS[what]
            text = f"{what} at {waiters} waiting: {value:.2f} {unit}, bar {BARS[what]:.1f}"
            print(f"{text:60s} {'held' if held else 'MISSED'}")
            if not held:
                missed.append(f"{what} at {waiters}")
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(description="What handing the merge lock over costs, against bars.")
    parser.add_argument("--quick", action="store_true", help="shorter, with ours and the floor only; for a look")
    parser.add_argument("--peers", metavar="PYTHON", help="of an environment with python-redis-lock and pottery")
    args = parser.parse_args()
    if args.peers and not shutil.which(args.peers):
        parser.error(f"{args.peers} is no program")
    pythons = {OURS: sys.executable, FLOOR: sys.executable}
    if not args.quick:
        pythons |= dict.fromkeys(PEERS if args.peers else ("redis-py",), args.peers or sys.executable)
    rounds, wait_s, run_s = (1, ASK_S, 3.0) if args.quick else (2, 2 * ASK_S, 4.0)
    with tempfile.TemporaryDirectory(prefix="pb-") as folder:
        own = Embedded("example.org/bench/app", folder)
        own.ensure(10)
        try:
            with redis.Redis(unix_socket_path=own.socket, decode_responses=True) as r:
                results = {}
                for waiters in WAITERS:
                    trials: dict[str, list[Trial]] = {kind: [] for kind in pythons}
                    for n in range(rounds):  # in turn, so that a busy moment of the machine hits all alike
                        for kind, python in pythons.items():
                            count_s = 0.0 if n else wait_s
                            trials[kind].append(contend(kind, r, own.socket, python, waiters, count_s, run_s))
                    results[waiters] = {kind: figures(found) for kind, found in trials.items()}
                    show(waiters, results[waiters])
        finally:
            own.stop()
    missed = judge(results)
    if missed:
        print("missed: " + "; ".join(missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
