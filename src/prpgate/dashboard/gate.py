"""How long the smoke gate takes, for the chart beside a lane."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import gate_runs
from ..live import iso

if TYPE_CHECKING:
    from ..config import Config
    from ..store.client import Store
    from .shapes import GateShape

SHOWN = 50  # runs, the newest


def read(store: Store, config: Config) -> GateShape:
    """The runs of the class that decides landings here; of any class where there is none. Raises StoreDown."""
    runs = gate_runs.read(store)
    wanted = "ci" if config.gate in ("ci", "ci-first") else "local"
    klass = wanted if any(r.klass == wanted for r in runs) else runs[-1].klass if runs else wanted
    figures = gate_runs.stats(runs, klass)
    ran = [r for r in runs if r.klass == klass and r.how == gate_runs.RAN]
    told = figures.gate if figures and figures.gate.runs else None
    return {
        "budget_s": config.smoke_budget_s,
        "runs": [{"time": iso(r.at_ms), "seconds": r.duration_s, "result": r.result} for r in ran[-SHOWN:]],
        "p50_s": told and round(told.p50_s, 3),
        "p95_s": told and round(told.p95_s, 3),
    }
