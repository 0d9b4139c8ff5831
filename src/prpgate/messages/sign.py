"""The words of the status `prp/lane` (140 letters at most), and of what is commented on a pull request."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..output import inert
from .lane import PHASES, free_in_s

if TYPE_CHECKING:
    from ..errors import UserError
    from ..lane_state import LaneState, Record

MOST = 140
MARK = "<!-- prpgate: merged outside -->"


def _short(text: str) -> str:
    return text if len(text) <= MOST else text[: MOST - 1] + "…"


def _utc(in_s: float) -> str:
    """Who reads it at the host may be anywhere."""
    return time.strftime("%H:%M UTC", time.gmtime(time.time() + in_s))


def free(lane: str) -> str:
    return _short(f"{inert(lane)} is free: prp land --pr lands this, or the button")


def yours(state: LaneState) -> str:
    return _short(f"{inert(state.name)}: this one is landing")


def turn(lane: str, agent: str) -> str:
    return _short(f"{inert(lane)}: {inert(agent)} lands this right now")


def held(state: LaneState) -> str:
    h = state.holder
    who = f"{inert(h.agent)} is {PHASES.get(h.phase or '', 'next')}" if h else "somebody is next"
    return _short(f"{inert(state.name)} is held: {who}, until about {_utc(free_in_s(state))}")


def closed(state: LaneState) -> str:
    c = state.closed
    assert c is not None
    until = "a person opens it" if c.kind == "person" else "a fix is green"
    head = f"{inert(state.name)} is closed by {inert(c.by)}, until {until}: "
    return _short(head + inert(c.reason))


def not_shown(check: str, error: UserError) -> str:
    return f"The status {check} could not be set: {error.message}"


# --- on a pull request that was merged outside -----------------------------------------------------------------------


def _code(text: str) -> str:
    """Somebody's words in a comment: no mark-up, and nobody is called by it."""
    return "`" + inert(text).replace("`", "'") + "`"


def outside(lane: str, holder: str | None, gate: str, record: Record) -> str:
    """`Merged while ana held main; smoke is green; nothing to do.`"""
    when = f"Merged while {_code(holder)} held {_code(lane)}" if holder else f"Merged outside the line of {_code(lane)}"
    sha = record.head[:10]
    if gate != "ci":
        rest = "no smoke gate runs there; nothing to do."
    elif record.verdict == "green":
        rest = "smoke is green; nothing to do."
    elif record.verdict == "red":
        rest = f"smoke is red on {sha}. To take it back: `prp land --revert {record.head}`"
    else:
        rest = f"no run could say whether {sha} is sound. It stays, unproven."
    url = inert(record.run_url) if (record.run_url or "").startswith("https://") else ""
    return f"{MARK}\n{when}; {rest}" + (f"\n\n{url}" if url else "")


def told(lane: str, number: int, sha: str) -> str:
    return f"{lane}: #{number} was merged outside as {sha[:10]}; it was told what became of it"
