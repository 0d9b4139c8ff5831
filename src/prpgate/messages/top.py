"""What people read on the live screen of `prp top`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..origin import command
from ..output import inert
from .lane import PHASES, clock, counted, span

if TYPE_CHECKING:
    from ..lane_state import LaneState, Place
    from ..live import Claim, PrpState

KEYS = "q quit   j k scroll   l next lane"
KEYS_ONE = "q quit   j k scroll"
NOBODY_WORKS = "Nothing is in progress. prp next shows what is ready."
NOTHING_READY = "nothing is ready: prp why ID says why"
NO_PRPS = 'No PRPs yet. prp new "title" adds the first one.'
NO_AGENTS = "nobody has been seen yet"
NO_EVENTS = "nothing has happened yet"
NOTHING_LANDED = "nothing has landed yet"
HEAD = ("ID", "WHO", "HELD", "LEASE", "PHASE", "SINCE", "BLOCKED BY", "TITLE")
STRIP = {"green": "+", "red": "x", "unknown": "?", "pending": "~", "pushed": "."}
COLOURS = {"green": "green", "red": "red", "unknown": "yellow", "pending": "yellow", "pushed": None}
WORDS = {"in_progress": "in progress"}


def short_span(seconds: float) -> str:
    """12s, 4m, 1h58m, 3d: four or five letters, for a column."""
    s = max(0, int(seconds))
    if s < 60:
        return f"{s}s"
    if s < 3600:
        return f"{s // 60}m"
    if s < 100 * 3600:
        return f"{s // 3600}h{s % 3600 // 60:02d}"
    return f"{s // 86400}d"


def away(message: str, since_s: float) -> str:
    return f"STORE AWAY for {span(since_s)}, shown as it was: {message}"


def sign(state: LaneState) -> str:
    return "CLOSED" if state.closed else "open"


def closed(state: LaneState) -> str:
    c = state.closed
    if c is None:
        return ""
    culprit = f" ({inert(c.culprit_sha[:7])})" if c.culprit_sha else ""
    return f"closed by {c.by} {span(c.since_ms / 1000)} ago: {c.reason}{culprit}"


def holder(state: LaneState) -> list[str]:
    """Who has the lane, what for and until when; the shorter tellings after the longer."""
    h = state.holder
    if h is None:
        if state.window_ms > 0:
            kept = span(state.window_ms / 1000)
            return [f"free, kept for the first in line for {kept}", f"free, kept {kept}"]
        return ["free"]
    about = ", ".join(x for x in (h.prp, (h.sha or "")[:7]) if x)
    who = f"{h.agent} ({about})" if about else h.agent
    gone, left = span(h.since_ms / 1000), h.deadline_ms / 1000
    if state.state == "reconciling":
        return [f"held by {who}, not heard of for {gone}: the remote is to be asked", f"{h.agent} not heard of, {gone}"]
    if state.state == "offered":
        return [f"it is the turn of {who}", f"turn of {h.agent}"]
    doing = PHASES.get(h.phase or "", h.phase or "there")
    until = f"until {clock(left)}, {span(left)} left" if left > 0 else f"overdue since {clock(left)}"
    hotfix = f", hotfix: {h.hotfix}" if h.hotfix else ""
    run = f", {state.run_url}" if state.run_url else ""
    return [
        f"held by {who}, {doing} for {gone}, {until}{hotfix}{run}",
        f"held by {who}, {doing} for {gone}, {until}{hotfix}",
        f"held by {who}, {doing} for {gone}, {span(left)} left",
        f"{h.agent} {doing} {gone}, {span(left)} left",
        f"{h.agent} {doing} {gone}",
    ]


def place(t: Place, turn_s: float | None) -> list[str]:
    """One in line."""
    gone, there = span(t.since_ms / 1000), ""
    if t.kind == "waiting":
        what = f"waiting for {gone}"
    else:
        what = f"place kept, {span(t.reserved_ms / 1000)} more"
        there = " (not there)"
    prp = f" ({t.prp})" if t.prp else ""
    hotfix = f", hotfix: {t.hotfix}" if t.hotfix is not None else ""
    when = f", turn about {clock(turn_s)}" if turn_s is not None else ""
    short = gone if t.kind == "waiting" else "kept"
    return [
        f"{t.position}. {t.agent}{prp}  {what}{there}{when}{hotfix}",
        f"{t.position}. {t.agent}  {what}",
        f"{t.position}. {t.agent} {short}",
    ]


def lease(claim: Claim | None, gone_s: float) -> str:
    """What is left of a claim's lease."""
    if claim is None or not claim.live:
        return "no claim"
    if claim.suspect:
        return "SUSPECT"
    return short_span(claim.deadline_s - gone_s)


def who(p: PrpState) -> str:
    return p.claim.agent if p.claim and p.claim.live else p.owner or "nobody"


def doing(p: PrpState) -> str:
    return p.phase or p.stage or ("blocked" if "blocked" in p.marks else "")


def counts(found: dict[str, int]) -> str:
    return "  ".join(f"{n} {WORDS.get(status, status)}" for status, n in found.items() if n) or NO_PRPS


def wall_clock(now: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(now))


def more(count: int) -> str:
    return f"{count} more"


def no_rich() -> str:
    return f"The live screen needs rich ({command('terminal')}); here is the same in lines."


def lanes_in_line(count: int) -> str:
    return f"{count} in line" if count else "nobody in line"


def ready(count: int) -> str:
    return f"READY {count}{'+' if count >= 50 else ''}"


def agents(total: int, suspects: int) -> str:
    return f"AGENTS {total}" + (f", {counted(suspects, 'suspect')}" if suspects else "")


def too_small(width: int, height: int) -> str:
    return f"{width}x{height}: too small"
