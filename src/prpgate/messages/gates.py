"""What people read of a milestone's own gate."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ..errors import UserError
from ..output import inert

if TYPE_CHECKING:
    from ..gates import GateRun
    from ..smoke import SmokeReport

TAIL = 15  # lines of the failing step that a refusal shows
CUT_OFF = "it was cut off"
VERBS = {"validated": "validate", "complete": "complete"}


def header(gate: str, prp_id: str, agent: str) -> str:
    return f"gate {gate} of {prp_id}, run by {inert(agent)}"


def again(gate: str, prp_id: str) -> str:
    return f"prp {VERBS[gate]} {prp_id}"


def red(run: GateRun, prp_id: str, report: SmokeReport) -> UserError:
    failed = next((s for s in report.steps if s.outcome in ("failed", "timeout")), None)
    shown = [f"  {failed.name} | {inert(line)}" for line in failed.tail[-TAIL:]] if failed else []
    return UserError(
        f"the gate {run.gate} is red for {prp_id}: {inert(run.reason)}. Nothing was changed.",
        code="gate-red",
        hint="\n".join([*shown, f"All it wrote is in {run.path}."]),
        next_action=again(run.gate, prp_id),
        when="once it is mended",
    )


def unknown(run: GateRun, prp_id: str) -> str:
    return f"the gate {run.gate} proved nothing for {prp_id}: {inert(run.reason)}. Nothing was changed."


def green(run: GateRun, count: int) -> str:
    return f"Gate {run.gate}: {count} {'steps' if count > 1 else 'step'} passed in {run.duration_s:.1f} s."


def last_run(run: GateRun) -> str:
    return f"gate {run.gate}: {run.result or 'unfinished'}, {run.at}, {inert(run.reason)} ({shlex.quote(run.path)})"
