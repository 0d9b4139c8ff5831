"""Runs of the smoke gate, kept in the store: what was noted of each, and what they say together.

The list is bounded (`MOST`), newest last. An interrupted run is not in it: it says nothing about the gate.
"""

from __future__ import annotations

import contextlib
import json
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

from . import smoke
from .errors import StoreDown
from .steps import FAILED, PASSED, TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .smoke import SmokeReport
    from .store.client import Store
    from .verdicts import Known

MOST = 1_000  # runs that are kept, about
LOOK_BACK = 200  # runs that figures are made of
SLOW_S = 90.0  # a gate whose P95 is over this holds its lane up: capacity goes with 1/S
RAN = "run"  # how a verdict came about; else verdicts.CACHED or INHERITED
FEW = 5  # runs under which no warning is given


class StepNote(NamedTuple):
    """How one step ended in one run."""

    name: str
    outcome: str
    duration_s: float
    tries: int


class Run(NamedTuple):
    """One run of the gate, or one verdict that spared it."""

    at_ms: int  # the store's clock
    how: str
    result: str
    klass: str
    sha: str
    tree: str
    steps_hash: str
    by: str
    run_url: str
    duration_s: float
    budget_s: int
    attempt: int  # within one CI run, from 1
    steps: tuple[StepNote, ...]


class Figures(NamedTuple):
    """A row of durations, and how often it went wrong. Seconds; percentiles by nearest rank."""

    name: str
    runs: int
    p50_s: float
    p95_s: float
    most_s: float
    failed: int
    flaked: int  # failed, and passed when tried again


class Stats(NamedTuple):
    """What the runs of one class say, since the steps last changed."""

    klass: str
    steps_hash: str
    gate: Figures
    steps: tuple[Figures, ...]
    spared: int  # verdicts that needed no run
    landings: int  # commits that were judged
    minutes: float  # that the steps took, all runs together
    budget_s: int

    @property
    def left_s(self) -> float:
        """What is left of the budget at the P95."""
        return self.budget_s - self.gate.p95_s

    @property
    def slow(self) -> bool:
        return self.gate.runs >= FEW and self.gate.p95_s > SLOW_S

    @property
    def flake_rate(self) -> float:
        return self.gate.flaked / self.gate.runs if self.gate.runs else 0.0


# --- writing ----------------------------------------------------------------------------------------------------------
def note(
    store: Store,
    report: SmokeReport,
    *,
    klass: str,
    sha: str,
    by: str,
    run_url: str | None = None,
    result: str | None = None,
    attempt: int = 1,
) -> None:
    """Keep a run. Nothing of an interrupted one, nor of one without steps. Raises StoreDown."""
    if report.interrupted or not report.steps:
        return
    _write(
        store,
        {
            "how": RAN,
            "result": result or report.result,
            "klass": klass,
            "sha": sha,
            "tree": report.tree or "",
            "steps_hash": report.steps_hash,
            "by": by,
            "run_url": run_url or "",
            "duration_s": round(report.duration_s, 3),
            "budget_s": report.budget_s,
            "attempt": attempt,
            "steps": [[s.name, s.outcome, round(s.duration_s, 3), len(s.before) + 1] for s in report.steps],
        },
    )


def note_spared(store: Store, known: Known, *, klass: str, sha: str, by: str) -> None:
    """Keep that a run was not needed. Raises StoreDown."""
    _write(
        store,
        {
            "how": known.how,
            "result": smoke.GREEN,
            "klass": klass,
            "sha": sha,
            "tree": known.tree,
            "steps_hash": known.steps,
            "by": by,
            "run_url": known.run_url or "",
            "duration_s": 0.0,
            "budget_s": 0,
            "attempt": 1,
            "steps": [],
        },
    )


def keep(write: Callable[[], None]) -> None:
    """Note something where a store that went away is no news: its verdict could not be told either."""
    with contextlib.suppress(StoreDown):
        write()


def _write(store: Store, run: dict[str, Any]) -> None:
    text = json.dumps(run, ensure_ascii=False).encode("utf-8", "replace").decode()
    client: Any = store.redis
    with store.faults():
        client.xadd(store.keys.gate_runs, {"run": text}, maxlen=MOST, approximate=True)


# --- reading ----------------------------------------------------------------------------------------------------------
def read(store: Store, count: int = LOOK_BACK) -> list[Run]:
    """The last runs, oldest first. Raises StoreDown."""
    client: Any = store.redis
    with store.faults():
        rows = client.xrevrange(store.keys.gate_runs, "+", "-", count=count)
    return [_run(key, json.loads(fields["run"])) for key, fields in reversed(rows)]


def _run(key: str, told: dict[str, Any]) -> Run:
    steps = tuple(StepNote(*one) for one in told.pop("steps"))
    return Run(at_ms=int(key.partition("-")[0]), steps=steps, **{k: told[k] for k in Run._fields if k in told})


def stats(runs: Sequence[Run], klass: str) -> Stats | None:
    """Figures over one class, of the steps as its newest run had them. None: no run of that class."""
    ours = [r for r in runs if r.klass == klass]
    if not ours:
        return None
    ours = [r for r in ours if r.steps_hash == ours[-1].steps_hash]
    ran = [r for r in ours if r.how == RAN]
    names = dict.fromkeys(s.name for r in reversed(ran) for s in r.steps)
    return Stats(
        klass,
        ours[-1].steps_hash,
        _gate(ran),
        tuple(_step(name, [s for r in ran for s in r.steps if s.name == name]) for name in names),
        len(ours) - len(ran),
        len({r.sha for r in ours}),
        sum(r.duration_s for r in ran) / 60,
        ran[-1].budget_s if ran else 0,
    )


def _gate(ran: Sequence[Run]) -> Figures:
    """The gate as a whole. A run counts once, with all its attempts: red first and green then is a flake."""
    whole: list[list[Run]] = []
    for r in ran:
        if r.attempt > 1 and whole and whole[-1][-1].sha == r.sha:
            whole[-1].append(r)
        else:
            whole.append([r])
    failed = sum(tries[-1].result == smoke.RED for tries in whole)
    flaked = sum(
        tries[-1].result == smoke.GREEN and (len(tries) > 1 or any(s.tries > 1 for s in tries[-1].steps))
        for tries in whole
    )
    return _figures("the gate", [sum(r.duration_s for r in tries) for tries in whole], failed, flaked)


def _step(name: str, notes: Sequence[StepNote]) -> Figures:
    ran = [n for n in notes if n.outcome in (PASSED, FAILED, TIMEOUT)]
    failed = sum(n.outcome != PASSED for n in ran)
    flaked = sum(n.outcome == PASSED and n.tries > 1 for n in ran)
    return _figures(name, [n.duration_s for n in ran], failed, flaked)


def _figures(name: str, durations: Iterable[float], failed: int, flaked: int) -> Figures:
    found = sorted(durations)

    def rank(share: float) -> float:
        return found[max(0, ceil(share * len(found)) - 1)] if found else 0.0

    return Figures(name, len(found), rank(0.5), rank(0.95), rank(1.0), failed, flaked)


def to_json(s: Stats) -> dict[str, Any]:
    """The figures as a program reads them. Durations are seconds."""

    def row(f: Figures) -> dict[str, Any]:
        return {
            "name": f.name,
            "runs": f.runs,
            "p50_s": round(f.p50_s, 3),
            "p95_s": round(f.p95_s, 3),
            "most_s": round(f.most_s, 3),
            "failed": f.failed,
            "flaked": f.flaked,
        }

    return {
        "class": s.klass,
        "steps_hash": s.steps_hash,
        "gate": row(s.gate),
        "steps": [row(f) for f in s.steps],
        "flake_rate": round(s.flake_rate, 4),
        "spared": s.spared,
        "budget_s": s.budget_s,
        "budget_left_s": round(s.left_s, 3),
        "landings": s.landings,
        "minutes": round(s.minutes, 3),
        "minutes_per_landing": round(s.minutes / s.landings, 3) if s.landings else 0.0,
        "slow": s.slow,
    }
