"""What the smoke gate costs beside its steps: `prp smoke`, and the run on a runner (ci/smoke.py, as GitHub starts it).

    python -m benchmarks.smoke [--quick]

A repository of 2,000 files and 57 PRPs, a store that runs, three steps that sleep for a second side by side: what a run
takes beyond that second is the gate's own. Three kinds, here and on a runner: run; cached (the tree is green already);
inherited (only ledger entries changed since); and, as a yardstick, `python -c "import redis"`. In rounds, each kind
once a round; the median over the rounds. Exit 1 when a bar of docs/design.md, "Numbers", is missed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tests.ci.github import LEDGER, NEW, Github
from tests.world import Server, World

if TYPE_CHECKING:
    from prpgate.lock import MergeLock
    from tests.world import Clone

FILES, PRPS, STEP_S, NEW_FILE = 2_000, 57, 1.0, "new"
RUN_BAR_S, SPARED_BAR_S = 5.0, 2.0
STEPS = "\n[[smoke]]\n".join(f'name = "{n}"\nrun = "echo ran; sleep {STEP_S:g}"' for n in "abc")
HERE, RUNNER = "prp smoke", "ci/smoke.py"
RUN, CACHED, INHERITED = "run", "cached", "inherited"


class Bench:
    """One repository, the checkouts of its landings on a runner, and a clone here."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.github = Github(World(folder), STEPS, gate="ci", more="smoke_gate.parallel = 3")
        self.lock: MergeLock = self.github.use(server)
        files = {f"src/{n // 50:02d}/{n}.txt": f"{n}\n" for n in range(FILES)}
        files |= {f"prps/P1-{n:03d}.yaml": NEW.replace("P1-001", f"P1-{n:03d}") for n in range(2, PRPS + 1)}
        self.before = self.github.base
        self.tip = self.github.land(self.lock, "files", files)
        self.on_runner(ran=True)
        self.here: Clone = self.github.world.clone("ben")
        self.here.env["PRP_REDIS_URL"] = server.url
        self.turn = 0

    def round(self) -> dict[tuple[str, str], float]:
        """Seconds of each kind. Each landing ends with its run: it frees the lane."""
        self.turn += 1
        took = {}
        for kind, ran, files in self.commits(RUNNER):
            if kind == CACHED:
                self.github.ana.git("rm", "-q", NEW_FILE)
            self.before, self.tip = self.tip, self.github.land(self.lock, kind, files)
            took[RUNNER, kind] = self.on_runner(ran=ran)
        for kind, ran, files in self.commits(HERE):
            if kind == CACHED:
                self.here.git("rm", "-q", NEW_FILE)
            self.here.commit_files(kind, files)
            took[HERE, kind] = self.in_clone(ran=ran)
        return took

    def commits(self, where: str) -> list[tuple[str, bool, dict[str, str]]]:
        """A new tree; the one from before again, which is green; and that one with another word in its ledger."""
        note = NEW.replace("First", f"First, {where} {self.turn}")
        return [
            (RUN, True, {NEW_FILE: f"{where} {self.turn}\n"}),
            (CACHED, False, {}),
            (INHERITED, False, {LEDGER: note}),
        ]

    def on_runner(self, *, ran: bool) -> float:
        checkout = self.github.checkout(self.tip)
        payload = {"before": self.before, "deleted": False}
        begun = time.perf_counter()
        ended = self.github.end(self.github.start(checkout, "push", payload, self.tip))
        took = time.perf_counter() - begun
        if ended.code or ("\nran\n" in ended.log) is not ran:
            raise SystemExit(f"not what was to be measured (ran: {ran})\n{ended.log}")
        return took - (STEP_S if ran else 0)

    def in_clone(self, *, ran: bool) -> float:
        begun = time.perf_counter()
        done = self.here.prp("smoke")
        took = time.perf_counter() - begun
        if ("3 steps passed" in done.out) is not ran:
            raise SystemExit(f"not what was to be measured (ran: {ran})\n{done!r}")
        return took - (STEP_S if ran else 0)


def yardstick() -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import redis"], check=True)
    return time.perf_counter() - begun


def judge(found: dict[tuple[str, str], list[float]], yard: float) -> list[str]:
    """Say of each kind what it took beside its steps; those that missed their bar."""
    missed = []
    print(f"import redis takes {yard:.2f} s")
    for (where, kind), times in found.items():
        bar, took = RUN_BAR_S if kind == RUN else SPARED_BAR_S, median(times)
        text = f"{where:12s} {kind:10s} {took:6.2f} s beside its steps (longest {max(times):.2f} s), bar {bar:.1f} s"
        print(f"{text}  {took / yard:5.1f} x import redis   {'held' if took <= bar else 'MISSED'}")
        if took > bar:
            missed.append(f"{where}, {kind}")
    return missed


def rounds(bench: Bench, count: int) -> tuple[dict[tuple[str, str], list[float]], float]:
    found: dict[tuple[str, str], list[float]] = {}
    yards = []
    for n in range(count):
        took = bench.round()
        if n or count < 3:  # the first one warms everything
            yards.append(yardstick())
            for key, seconds in took.items():
                found.setdefault(key, []).append(seconds)
    return found, median(yards)


def main() -> int:
    parser = argparse.ArgumentParser(description="What the smoke gate costs beside its steps, against bars.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds; for a look, not for a figure")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pb-", dir="/tmp") as name:
        for variable in [v for v in os.environ if v.startswith(("GIT_", "PRP_", "REDIS_", "XDG_", "GITHUB_"))]:
            del os.environ[variable]
        os.environ.update(HOME=name, XDG_STATE_HOME=f"{name}/state", GIT_CONFIG_NOSYSTEM="1")
        Path(name, ".gitconfig").write_text(
            "[user]\n\tname = bench\n\temail = bench@example.org\n[init]\n\tdefaultBranch = main\n"
        )
        server = Server()
        try:
            missed = judge(*rounds(Bench(Path(name), server), 2 if args.quick else 6))
        finally:
            server.close()
    if missed:
        print("missed: " + "; ".join(missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
