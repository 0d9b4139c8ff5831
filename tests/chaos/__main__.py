"""python -m tests.chaos --steps 10000 --seed 1: the long form. Exit code 1 when anything is violated."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from functools import partial

from tests.chaos import process_level, script_level

PROCESS_SHARE = 0.06  # of the steps run real git and prp; the rest drives the scripts


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--steps", type=int, default=10_000, help="steps of both levels together (default 10000)")
    parser.add_argument("--seed", type=int, help="which schedule (default: a new one, printed)")
    parser.add_argument(
        "--process-share", type=float, default=PROCESS_SHARE, help="part of the steps with real processes"
    )
    args = parser.parse_args()
    seed = secrets.randbelow(10**6) if args.seed is None else args.seed
    processes = round(args.steps * args.process_share)
    print(f"seed {seed}, {args.steps} steps, {processes} of them with real processes", flush=True)
    begun = time.monotonic()
    levels = {}
    for name, level, steps in (
        ("scripts", script_level.run, args.steps - processes),
        ("processes", partial(process_level.run, tell=partial(print, flush=True)), processes),
    ):
        since = time.monotonic()
        done = levels[name] = level(seed, steps)
        print(f"{name}: {done.steps} steps in {time.monotonic() - since:.0f} s; the branch moved {done.landings} times")
        for kind, count in done.faults.most_common():
            print(f"  {count:5d}  {kind}")
        for trace in done.violations:
            print(f"\nVIOLATION, seed {seed}\n{trace}\n", flush=True)
    violations = sum(len(done.violations) for done in levels.values())
    steps = sum(done.steps for done in levels.values())
    faults = sum(done.faults.total() for done in levels.values())
    landings = sum(done.landings for done in levels.values())
    print(
        f"seed {seed}: {steps} steps, {faults} faults, {landings} landings, "
        f"{violations} scenes with a violation, {time.monotonic() - begun:.0f} s"
    )
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
