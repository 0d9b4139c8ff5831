"""The lanes and the board at one moment, for who looks on: read whole once, and then only what an event touched.

Times in it are as the store said them; `aged` brings them up to now, without asking.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from . import events, live, ops, prps, registry
from .model import COMPLETE, DEPRECATED, IN_PROGRESS, STATUSES
from .ops import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .events import Event
    from .lane_state import LaneState
    from .live import PrpState
    from .ops import Session
    from .registry import Entry

LOG = 200  # events of a lane's log that its strip of landings is made of
FEED = 50  # events that are kept
STRIP = 40  # landings that are kept of each lane
IN_BRANCH = ("landed", "late", "foreign-push", "merged")
GREEN, RED, UNKNOWN, PENDING, PUSHED = "green", "red", "unknown", "pending", "pushed"


class Landed(NamedTuple):
    """One commit that reached a lane's branch."""

    sha: str
    at_ms: int
    agent: str
    verdict: str  # GREEN, RED, UNKNOWN, PENDING: CI has it; PUSHED: nobody judges it


class LaneView(NamedTuple):
    """One lane, and what landed there last."""

    state: LaneState
    strip: tuple[Landed, ...]  # oldest first


class Overview(NamedTuple):
    """Everything that the live screen shows. `read_at`: time.monotonic() when the store was asked."""

    project: str
    read_at: float
    now_ms: int  # of the store's clock, then
    lanes: tuple[LaneView, ...]
    statuses: dict[str, str]  # status of every PRP, by its own id
    names: dict[str, str]  # any id of a PRP -> its own
    working: tuple[PrpState, ...]  # in progress: suspect ones first, then those that have been so for longest
    ready: tuple[PrpState, ...]  # best first, 50 at most
    held_back: tuple[str, ...]  # what keeps everything from being picked
    agents: tuple[Entry, ...]  # suspect ones first
    events: tuple[Event, ...]  # the newest last

    def counts(self) -> dict[str, int]:
        """How many PRPs have each status."""
        found = dict.fromkeys(STATUSES, 0)
        for status in self.statuses.values():
            found[status] = found.get(status, 0) + 1
        return found


# --- reading ----------------------------------------------------------------------------------------------------------
def read(session: Session, lane: str | None = None) -> Overview:
    """All of it, or with one lane only. Raises StoreDown, UsageError for what is no lane."""
    state = ops.read_state(session)
    names = live.names(state)
    working = [p for p in state.prps.values() if p.status == IN_PROGRESS]
    view = Overview(
        session.config.project,
        time.monotonic(),
        state.now_ms,
        (),
        {p.id: p.status for p in state.prps.values()},
        names,
        _sorted(working),
        *((), (), (), ()),
    )
    lanes = session.lanes(lane)
    found = [*events.tail(session.store(), FEED), *(e for name in lanes for e in _tail(session, name))]
    view = view._replace(events=_newest(found))
    return look_again(session, view, lanes)


def look_again(session: Session, view: Overview, lanes: Sequence[str]) -> Overview:
    """The same with lanes, agents and what can be started as they stand now. Raises StoreDown."""
    store = session.store()
    working = live.read_some(store, [p.id for p in view.working])
    choice = prps.choice(session.context())
    now_ms = working.now_ms
    return view._replace(
        read_at=time.monotonic(),
        now_ms=now_ms,
        lanes=tuple(_lane(session, name) for name in lanes),
        statuses={**view.statuses, **{p.id: p.status for p in working.prps.values()}},
        working=_sorted([p for p in working.prps.values() if p.status == IN_PROGRESS]),
        ready=tuple(choice.ready),
        held_back=tuple(choice.general),
        agents=tuple(_suspect_first(registry.agents(store, session.config, lanes))),
    )


def after(session: Session, view: Overview, happened: Sequence[Event], lane: str | None = None) -> Overview:
    """The overview once these events have happened: only the PRPs that they name are read again. Raises StoreDown."""
    about_prps = [e for e in happened if e.lane is None and e.event != "message"]
    if any(not e.prp and e.event != "verdict" for e in about_prps):  # filled, rebuilt: nothing is as it was
        return read(session, lane)
    ids = list(dict.fromkeys(view.names.get(e.prp, e.prp) for e in about_prps if e.prp))
    changed = live.read_some(session.store(), ids)
    statuses = {i: s for i, s in view.statuses.items() if i not in ids or i in changed.prps}
    statuses |= {p.id: p.status for p in changed.prps.values()}
    working = {p.id: p for p in view.working if p.id not in ids}
    working |= {p.id: p for p in changed.prps.values() if p.status == IN_PROGRESS}
    view = view._replace(
        statuses=statuses,
        names={**view.names, **{name: p.id for p in changed.prps.values() for name in p.ids if name not in view.names}},
        working=tuple(working.values()),
        events=_newest([*view.events, *happened]),
    )
    return look_again(session, view, session.lanes(lane))


def _tail(session: Session, name: str) -> list[Event]:
    return events.tail(session.store(), FEED, lane=name)


def _newest(found: Iterable[Event]) -> tuple[Event, ...]:
    """Each once, the newest last."""
    once = {(e.lane, e.to, e.id): e for e in found}
    return tuple(sorted(once.values(), key=lambda e: events.order(e.id))[-FEED:])


def _lane(session: Session, name: str) -> LaneView:
    state = session.lock(name).state()
    log = events.tail(session.store(), LOG, lane=name)
    return LaneView(state, strip(log, judged=session.config.gate != "none", waiting=_in_ci(state)))


def _in_ci(state: LaneState) -> str | None:
    """The landing that CI has right now."""
    h = state.holder
    return h.sha if h is not None and h.phase in ("landed", "smoking") else None


def strip(log: Sequence[Event], *, judged: bool, waiting: str | None = None) -> tuple[Landed, ...]:
    """What landed, oldest first, with the last verdict on each, out of a lane's log (oldest first).

    `judged`: whether the lane has a gate; `waiting`: the landing that CI has.
    """
    found: dict[str, Landed] = {}
    for e in log:
        sha = e.sha or ""
        if e.event in IN_BRANCH and sha:
            found[sha] = Landed(sha, e.at_ms, e.agent or "", UNKNOWN if judged else PUSHED)
        elif e.event == "verdict":
            said = e.detail.removeprefix("late ").removeprefix("candidate ").partition(" ")
            final = said[0] in (GREEN, RED, UNKNOWN) and not said[2].startswith("(")
            if final and sha in found:
                found[sha] = found[sha]._replace(verdict=said[0])
    return tuple(
        one._replace(verdict=PENDING) if one.sha == waiting and one.verdict in (UNKNOWN, PUSHED) else one
        for one in list(found.values())[-STRIP:]
    )


def _sorted(working: Iterable[PrpState]) -> tuple[PrpState, ...]:
    return tuple(sorted(working, key=lambda p: (not suspect(p), started_at(p) or "9", p.id)))


def _suspect_first(found: Iterable[Entry]) -> list[Entry]:
    return sorted(found, key=lambda a: (not a.suspect, not a.held, a.silent, -a.seen_ms, a.name))


# --- what follows from it ---------------------------------------------------------------------------------------------
def suspect(p: PrpState) -> bool:
    """Nobody is known to work on it, though it is in progress: its claim's lease is over, or there is none."""
    return p.claim is None or not p.claim.live or p.claim.suspect


def started_at(p: PrpState) -> str | None:
    """Since when it is as it is: its team's phase, completing or landed, else in progress. ISO 8601, or None."""
    if p.phase:
        return _text(p.fields.get("completed_at")) or _text(p.fields.get("started_at"))
    if p.stage and "at" in p.marks["phase"]:
        return iso(p.marks["phase"]["at"])
    return _text(p.fields.get("started_at"))


def seconds(iso_time: str | None) -> float | None:
    """Seconds since 1970 of a time as the ledger has it; None for what is no time."""
    try:
        at = datetime.fromisoformat(iso_time or "")
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def waits_for(view: Overview, p: PrpState) -> list[str]:
    """Ids that it depends on, or was said to wait for, and that are not done."""
    wanted = [*p.depends_on, *([by] if (by := (p.marks.get("blocked") or {}).get("waits_for")) else [])]
    done = (COMPLETE, DEPRECATED)
    return [i for i in dict.fromkeys(wanted) if view.statuses.get(view.names.get(i, i)) not in done]


# --- as a program reads it --------------------------------------------------------------------------------------------
def to_json(view: Overview) -> dict[str, Any]:
    """The object of `prp top --json`, agents and events left out: they have shapes of their own."""
    return {
        "project": view.project,
        "now": iso(view.now_ms),
        "lanes": [
            {
                **ops.lane_json(one.state),
                "landings": [
                    {"sha": x.sha, "time": iso(x.at_ms), "agent": x.agent or None, "verdict": x.verdict}
                    for x in one.strip
                ],
            }
            for one in view.lanes
        ],
        "counts": view.counts(),
        "in_progress": [
            {**ops.prp_json(p), "since": started_at(p), "suspect": suspect(p), "blocked_by": waits_for(view, p)}
            for p in view.working
        ],
        "ready": [{"id": p.id, "priority": p.priority, "title": p.title} for p in view.ready],
        "held_back": list(view.held_back),
    }
