"""What people read about gate ci-first: candidates, what CI said of them, and what was left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UserError
from ..output import inert
from .lane import sentence, span
from .smoke import HOW_TO_DECLARE

if TYPE_CHECKING:
    from ..config import Times
    from ..lane_state import Candidate

OPEN = "The lane is given back and open; nothing landed, your branch is untouched."


def red(lane: str, head: str, reason: str, run_url: str | None) -> UserError:
    return UserError(
        f"CI is red on what would land on {lane} ({head[:10]}): {sentence(reason)} {OPEN}",
        code="red",
        hint=_run(run_url),
        next_action="prp smoke",
    )


def red_before(lane: str, head: str, run_url: str | None) -> UserError:
    return UserError(
        f"CI was red on exactly this tree already ({head[:10]}), and a verdict is written once. {OPEN}",
        code="red",
        hint=f"{_run(run_url)} Mend it in a commit, then land again.",
        next_action="prp smoke",
    )


def not_proven(lane: str, head: str, reason: str, run_url: str | None) -> UserError:
    return UserError(
        f"what would land on {lane} ({head[:10]}) is not proven: {sentence(reason)} {OPEN}",
        code="not-proven",
        hint=_run(run_url)
        if run_url
        else "Does CI run on pushes of prp-lane/*, and is it heard of here? prp doctor looks; docs/ci.md has it.",
        next_action="prp land",
    )


def no_steps(lane: str) -> UserError:
    return UserError(
        f"what would land on {lane} declares no smoke step, so CI can prove nothing. {OPEN}",
        code="not-proven",
        hint=HOW_TO_DECLARE,
        next_action="prp smoke",
    )


def not_taken(lane: str, branch: str, text: str) -> UserError:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return UserError(
        f"the remote did not take the candidate branch {branch}. {OPEN}",
        code="remote-refused",
        hint="\n".join(f"  | {inert(line)}" for line in lines[-20:]) or None,
        next_action="prp land",
    )


def push_not_proven(lane: str) -> UserError:
    return UserError(
        f"push to {lane} refused: its gate is ci-first, and CI has not proven what you push. Nothing was pushed.",
        code="not-proven",
        hint="prp land has CI smoke exactly that commit on a branch of its own, in your turn, and lands it when it is "
        "green.",
        next_action="prp land",
    )


def silent(run_url: str | None, times: Times) -> str:
    """Why nothing more is expected of CI."""
    if run_url:
        return f"the run that had it was not heard of for {span(times.ci_lease_ms / 1000)}, or took longer than it may"
    return f"no CI run picked it up within {span(times.ci_wait_ms / 1000)}"


def silent_again(times: Times, workflow: str) -> str:
    return f"{silent(None, times)}, nor the one of {inert(workflow)} that was started for it"


def not_started(times: Times, why: str) -> str:
    return f"{silent(None, times)}, and none could be started: {inert(why)}"


def host_silent(error: UserError) -> str:
    return f"nobody could see what CI says of it: {error.message}"


def why_given_back(result: str, reason: str) -> str:
    return f"{'red' if result == 'red' else 'not proven'}: {inert(reason)}"


def _run(run_url: str | None) -> str:
    return f"The run: {inert(run_url)}." if run_url else "The run gave no address."


# --- on a runner -----------------------------------------------------------------------------------------------------


def taken(lane: str, branch: str) -> str:
    return f"{branch} is a candidate for {lane}, and its landing waits for this run"


def nobody_waits(branch: str) -> str:
    return f"nobody waits for {branch} any more: its landing is over, so nothing was run and nobody hears of it"


def told(lane: str, result: str, stands: str | None, written: bool) -> str:
    if result == "green" and stands == "green":
        return f"{lane}: green; the landing goes on"
    if stands and stands != result:
        return f"{lane}: this run says {result}, but {stands} stands; a verdict is written once"
    if result == "unknown" or stands is None:
        return f"{lane}: {result}; nothing lands by it"
    return f"{lane}: {result}; nothing landed, the lane stays open"


def stands_already(run_url: str | None) -> str:
    return f"this tree is green already, by {inert(run_url or 'an earlier run')}; nothing was run again"


# --- for those who look on -------------------------------------------------------------------------------------------


def waits(one: Candidate) -> str:
    """`candidate 98f86bb9b6: https://…` in `prp lock status`."""
    where = inert(one.run_url) if one.run_url else f"no CI run yet, waited for {span(one.left_ms / 1000)} more"
    return f"candidate {one.head[:10]}: {where}" + (f", {one.result}" if one.result else "")


# --- what was left behind --------------------------------------------------------------------------------------------


def left(count: int, remote: str) -> str:
    return f"{count} candidate branch{'es' if count > 1 else ''} of landings that are over on {inert(remote)}"


def cleaned(branch: str, sha: str) -> str:
    return f"Deleted {inert(branch)} ({sha[:10]})."


def would_clean(branch: str, sha: str, remote: str) -> str:
    return f"{inert(branch)} ({sha[:10]}) on {inert(remote)} is of a landing that is over: it would be deleted"


NOTHING_LEFT = "No candidate branch was left behind."
