"""What people read of the host's check runs: waited for, seen, told to the lane, started by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UsageError, UserError
from ..output import inert

if TYPE_CHECKING:
    from ..host import CheckRun

NO_WORKFLOW = "[ci] workflow is empty in prp.toml, so nobody starts one"
STORE_AWAY = "The store does not answer; still watching. {}"
STORE_BACK = "The store answers again."
LONGEST = 200  # of what the host says of a run


def short(text: str) -> str:
    text = inert(text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def watching(lanes: list[str], status: bool, check: str, app: str, poll_s: int) -> str:
    what = f"check run {check} of {app}, every {poll_s} s" if status else "landings that no run takes over"
    return f"Watching {', '.join(lanes)}: {what}. Ctrl-C ends it."


def waits(lane: str, sha: str, check: str, app: str) -> str:
    return f"{lane}: {sha[:10]} waits for check run {check} of {app}"


def runs(lane: str, sha: str, run: CheckRun) -> str:
    return f"{lane}: {short(run.name)} is {short(run.status) or 'under way'} on {sha[:10]}  {short(run.url)}".rstrip()


def in_ci(lane: str, sha: str) -> str:
    return f"{lane}: a run of CI has {sha[:10]}, and tells the store itself"


def elsewhere(lane: str, who: str) -> str:
    return f"{lane}: {short(who.partition(' ')[0])} looks already; one at a time does"


def idle(lane: str) -> str:
    return f"{lane}: no landing waits for CI"


def reason(run: CheckRun) -> str:
    return f"check run {short(run.name)} of {run.app}: {short(run.conclusion) or 'no conclusion'}"


CLOSED, OPENED = ", and closed the lane", ", and opened the lane"


def late(lane: str, sha: str, result: str, then: str) -> str:
    return f"{lane}: {sha[:10]}, which was unproven, is {result} after all{then}"


def started(lane: str, sha: str, workflow: str) -> str:
    return f"{lane}: nobody picked {sha[:10]} up in time; {workflow} was started for it, once"


def not_started(lane: str, sha: str, why: str) -> str:
    return f"{lane}: nobody picked {sha[:10]} up in time, and no run could be started: {why}"


def cannot_judge(lane: str, sha: str, why: str) -> str:
    return f"{lane}: the host has a verdict on {sha[:10]}, but that commit cannot be read here: {why}"


def cannot_ask(error: UserError) -> str:
    then = f" {error.next_action}" if error.next_action else ""
    return f"the host is not asked: {error.message}{then}"


def host_down(error: UserError) -> str:
    return f"{error.message} Nothing is red for it; looking again."


HOST_BACK = "The host's API answers again."


def gate_is_not_ci(gate: str) -> UsageError:
    return UsageError(
        f'gate = "{gate}": no landing waits for CI here.',
        code="no-ci",
        hint='Watching and reconciling are for gate = "ci" in prp.toml, and for "ci-first" with observe = "status".',
        next_action="prp lock status",
    )
