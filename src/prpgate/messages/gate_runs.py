"""What is said about earlier runs of the smoke gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .smoke import seconds

if TYPE_CHECKING:
    from ..gate_runs import Figures, Stats

NONE = "No run of the smoke gate is on record yet.\n  prp smoke"
HEAD = ("", "runs", "P50", "P95", "longest", "failed", "flaked")


def heading(s: Stats) -> str:
    where = "in CI" if s.klass == "ci" else "local"
    return f"{where}, steps {s.steps_hash}"


def row(f: Figures) -> tuple[object, ...]:
    return f.name, f.runs, seconds(f.p50_s), seconds(f.p95_s), seconds(f.most_s), f.failed or "", f.flaked or ""


def lines(s: Stats) -> list[str]:
    """The gate as a whole, in words."""
    commits = f"{s.landings} commit{'s' if s.landings != 1 else ''}"
    said = []
    if s.gate.runs:
        again = f"{s.gate.flaked} of {s.gate.runs} green only when tried again ({s.flake_rate:.1%})"
        said.append(f"{again}; budget {s.budget_s} s, {seconds(s.left_s)} left at the P95")
        each = s.minutes / s.landings
        said.append(f"{s.minutes:.1f} minutes of steps for {commits}, {each:.2f} each (without a job's set-up)")
    if s.spared:
        said.append(f"{s.spared} verdict{'s' if s.spared != 1 else ''} without a run: cached or inherited")
    return said


def slow(s: Stats) -> str:
    where = "in CI" if s.klass == "ci" else "here"
    return (
        f"The gate's P95 {where} is {seconds(s.gate.p95_s)}: while it runs nobody else lands, so a lane takes at most "
        f"{3600 / s.gate.p95_s:.0f} landings an hour. Under 90 s is the aim: fewer tests in it, or steps side by side."
    )
