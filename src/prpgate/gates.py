"""The team's own gates: steps of the lane's prp.toml that have to pass before a PRP is validated, or complete.

The steps run in the working tree, like the smoke gate's, and get the PRP in their environment: PRP_ID, PRP_TITLE and
PRP_DOC, never as part of a command line (a title is anybody's text). A red gate changes nothing. What a gate wrote is
kept in `<git dir>/prp-gates/<id>-<gate>.log`; its last line says how it ended.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from . import smoke
from .errors import CouldNotTell
from .gitrepo import clean_env
from .interrupts import alike
from .ledger_scan import is_id
from .messages import gates as say
from .model import IN_PROGRESS, NEW

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from .config import Config, SmokeStep
    from .live import PrpState
    from .milestone import Context
    from .smoke import SmokeReport

    OnLine: TypeAlias = Callable[[str, str], None]

VALIDATED, COMPLETE = "validated", "complete"
FOLDER = "prp-gates"
MARK = "prp-gate "  # begins the last line of a log
MOST_BYTES = 4 * 1024 * 1024  # of one log; what follows is cut
SPARE_S = 30  # over the steps' own time-outs, which end first


class GateRun(NamedTuple):
    """How a gate ended the last time."""

    gate: str
    result: str  # green, red or unknown; "" for one that was cut off
    at: str  # ISO 8601, UTC
    agent: str
    duration_s: float
    reason: str
    path: str


def steps(config: Config, gate: str) -> tuple[SmokeStep, ...]:
    return config.gates_validated if gate == VALIDATED else config.gates_complete


def applies(ctx: Context, gate: str, p: PrpState) -> bool:
    """Whether the milestone can be taken as things stand. If not, its script says why, and nothing has to run."""
    if not steps(ctx.config, gate):
        return False
    if gate == VALIDATED:
        return p.status == NEW
    mine = p.claim is not None and p.claim.live and p.claim.agent == ctx.agent.name
    return mine and p.status == IN_PROGRESS and p.phase is None


def require(ctx: Context, gate: str, p: PrpState, on_line: OnLine | None = None) -> list[str]:
    """Run a gate; what to say when it is green. Raises UserError "gate-red", CouldNotTell when it proved nothing."""
    declared = steps(ctx.config, gate)
    path = _path(ctx.repo.git_dir, p.id, gate)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    began = time.time()
    with open(path, "w", encoding="utf-8", errors="replace", newline="\n") as log:
        written = log.write(f"{say.header(gate, p.id, ctx.agent.name)}\n")

        def line(step: str, text: str) -> None:
            nonlocal written
            if written < MOST_BYTES:
                written += log.write(f"{step} | {text}\n")
            if on_line:
                on_line(step, text)

        with alike():
            report = smoke.run(
                declared,
                ctx.repo.top,
                budget_s=sum(s.timeout_s for s in declared) + SPARE_S,
                ledger_path=ctx.config.ledger_path,
                env={**clean_env(), **_about(p)},
                on_line=line,
            )
        run = _ended(gate, report, ctx.agent.name, began, path)
        log.write(f"{MARK}{json.dumps(run._asdict())}\n")
    if report.interrupted:
        raise KeyboardInterrupt
    if report.result == smoke.RED:
        raise say.red(run, p.id, report)
    if report.result != smoke.GREEN:
        raise CouldNotTell(say.unknown(run, p.id), code="gate-unknown", next_action=say.again(gate, p.id))
    return [say.green(run, len(declared))]


def last(git_dir: str, prp_id: str) -> list[GateRun]:
    """How the gates of a PRP ended when they last ran in this worktree."""
    found = []
    for gate in (VALIDATED, COMPLETE):
        path = _path(git_dir, prp_id, gate)
        try:
            with open(path, "rb") as f:
                f.seek(max(0, os.stat(path).st_size - 16_384))
                end = f.read().decode("utf-8", "replace").rstrip("\n").rpartition("\n")[2]
        except FileNotFoundError:
            continue
        at = _iso(os.stat(path).st_mtime)
        if end.startswith(MARK):
            found.append(GateRun(**{**json.loads(end.removeprefix(MARK)), "path": path}))
        else:
            found.append(GateRun(gate, "", at, "", 0.0, say.CUT_OFF, path))
    return found


def _path(git_dir: str, prp_id: str, gate: str) -> str:
    # An old ledger's id may be any text, "../x" too.
    name = prp_id if is_id(prp_id) else hashlib.sha256(prp_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return os.path.join(git_dir, FOLDER, f"{name}-{gate}.log")


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _about(p: PrpState) -> dict[str, str]:
    """The PRP, as environment. What no environment can hold is replaced."""
    said: dict[str, Any] = {"PRP_ID": p.id, "PRP_TITLE": p.title, "PRP_DOC": p.fields.get("doc") or ""}
    return {k: str(v).replace("\0", " ").encode("utf-8", "replace").decode() for k, v in said.items()}


def _ended(gate: str, report: SmokeReport, agent: str, began: float, path: str) -> GateRun:
    return GateRun(gate, report.result, _iso(began), agent, round(report.duration_s, 1), report.reason, path)
