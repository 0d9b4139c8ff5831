"""A lane's landings, out of its log: what was claimed before each push, and what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .live import iso

if TYPE_CHECKING:
    from .lock import LogEvent, MergeLock

LOG_MOST = 10_000  # events that a lane's log keeps
LOOKED = ("landed", "late", "unseen", "not-landed", "foreign-push")
ANNOUNCED = {"intent": "pushing", "candidate": "candidate"}


class LandingSeen(NamedTuple):
    """One commit of a lane's history as the log has it: what was claimed before the push, and what was found."""

    time_ms: int  # of the newest event about it
    lane: str
    sha: str
    agent: str
    claimed: str  # "pushing" once the intent was written, "candidate" before, "" for a push that nobody announced
    found: str  # landed, late, unseen (may still arrive), not-landed, foreign-push; "" while nobody has looked. Of a
    #             candidate that never went further: red, unknown or green, as CI said


def _judged(e: LogEvent) -> str:
    """What CI said of a candidate, "" for any other event."""
    what, _, result = e.detail.partition(" ")
    return result if e.event == "verdict" and what == "candidate" else ""


def landings(lock: MergeLock, count: int) -> list[LandingSeen]:
    """The newest `count` of them, newest first."""
    found: dict[str, LandingSeen] = {}
    for e in reversed(lock.log(LOG_MOST)):
        if e.event == "merged" and e.detail in found:  # the host made another commit of what was announced
            found[e.sha] = found.pop(e.detail)._replace(sha=e.sha)
        if (e.event not in ANNOUNCED and e.event not in LOOKED and not _judged(e)) or not e.sha:
            continue
        before = found.pop(e.sha, None) or LandingSeen(0, e.lane, e.sha, "", "", "")
        claimed = ANNOUNCED.get(e.event, before.claimed)
        looked = e.event if e.event in LOOKED else _judged(e) or ("" if before.found != "landed" else before.found)
        time_ms = int(e.id.partition("-")[0])
        found[e.sha] = LandingSeen(time_ms, e.lane, e.sha, e.agent or before.agent, claimed, looked)
    return list(reversed(found.values()))[:count]


def as_json(one: LandingSeen) -> dict[str, Any]:
    return {
        "time": iso(one.time_ms),
        "lane": one.lane,
        "sha": one.sha,
        "agent": one.agent or None,
        "claimed": bool(one.claimed),
        "found": one.found or None,
    }
