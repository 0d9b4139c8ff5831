"""One lane as the dashboard keeps it: what stands, and its last 24 hours."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

from .. import events, ops, smoke
from ..lane_state import HELD, LANDED, RESERVED, SMOKING, LaneState
from ..lock import MergeLock
from ..messages.land import turn
from .day import DAY_MS, Day, Known

if TYPE_CHECKING:
    from ..config import Config
    from ..registry import Held
    from ..store.client import Store
    from .shapes import GateShape, LaneShape

AGAIN_S = 5.0  # when something is overdue and nobody moves it on
SOON_S = 0.05  # what is due is looked at this much later: the store decides, by its own clock


class Lane:
    """Read anew when an event names it, or when something in it is due."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.day = Day()
        self.state: LaneState | None = None
        self.read_at = 0.0  # time.time()
        self.shape: LaneShape | None = None

    def read(self, store: Store, config: Config, gate: GateShape) -> bool:
        """Look, and say whether anything changed that a person would see. Raises StoreDown."""
        lock = MergeLock(store, self.name, config.times)
        state = lock.state()
        self.read_at = time.time()
        self.day.forget(self.read_at * 1000)
        for sha in self.day.unread():
            self.day.known[sha] = _known(lock, config, sha)
        before, was = self.state, self.shape
        self.state = state
        now_ms = self.read_at * 1000
        in_ci = state.holder.sha if state.holder and state.phase in (LANDED, SMOKING) else None
        shape: dict[str, Any] = ops.lane_json(state)
        for place, told in zip(state.queue, shape["queue"], strict=True):
            when = turn(state, place.position)
            told["eta_s"] = None if when is None else round(when[0], 1)
            told["reserved"] = place.kind == RESERVED
        shape["today"] = self.day.today(now_ms, in_ci, gated=config.gate != "none")
        shape["gate"] = gate
        shape["utilisation"] = self.day.utilisation(now_ms, held=state.state == HELD)
        self.shape = cast("LaneShape", shape)
        return before is None or was is None or _seen(before, was) != _seen(state, self.shape)

    def fold(self, store: Store, upto: str) -> None:
        """Read the last day's log, up to an event. Raises StoreDown."""
        self.day = Day()
        since = events.since(store, DAY_MS / 1000)
        for e in events.between(store, self.name, since, upto):
            self.day.take(e)

    def due_at(self) -> float | None:
        """When something in it is over by itself (time.time()); None for never."""
        s = self.state
        if s is None:
            return None
        left = [s.holder.deadline_ms] if s.holder else []
        left += [s.look_ms] if s.looker else []
        left += [s.window_ms] if s.window_ms else []
        left += [s.candidate.left_ms] if s.candidate and not s.candidate.result else []
        left += [p.reserved_ms for p in s.queue if p.reserved_ms > 0]
        if not left:
            return self.read_at + AGAIN_S if len(s.queue) else None  # a waiter who is gone is noticed by looking
        soonest = min(left) / 1000 + SOON_S
        soonest = soonest if soonest > SOON_S else AGAIN_S
        return self.read_at + (min(soonest, AGAIN_S) if len(s.queue) else soonest)

    def held(self) -> list[tuple[str, Held]]:
        """(agent, what it has in hand here)."""
        from ..registry import Held

        found = []
        if self.state and (h := self.state.holder):
            phase = h.phase or self.state.state
            found.append((h.agent, Held("lane", self.name, phase, max(0.0, h.deadline_ms / 1000))))
        for place in self.state.queue if self.state else ():
            found.append((place.agent, Held("line", self.name, str(place.position), None)))
        return found


def _seen(s: LaneState, shape: LaneShape) -> tuple[Any, ...]:
    """What a person sees of a lane, without what passes with time alone. Two looks differ by a little."""
    holder = s.holder and s.holder._replace(since_ms=0, deadline_ms=0, cap_ms=None)
    line = tuple((p.id, p.position, p.kind, p.hotfix) for p in s.queue)
    rest = (shape["closed"] and shape["closed"]["reason"], s.run_url, s.candidate and s.candidate.result)
    until = round((time.time() * 1000 + s.holder.deadline_ms) / 5000) if s.holder else None
    today = [(one["sha"], one["verdict"]) for one in shape["today"]]
    return (s.state, s.phase, s.fence, holder, until, line, rest, today, shape["gate"])


def _known(lock: MergeLock, config: Config, sha: str) -> Known:
    record = lock.record(sha)
    if record is None:
        return Known()
    verdict = record.verdict
    if verdict is None and record.tree:
        steps = smoke.hash_of(config)
        for klass in ("ci", "local") if config.gate not in ("ci", "ci-first") else ("ci",):
            standing = lock.standing(record.tree, steps, klass)
            verdict = verdict or (standing and standing.result)
    prps = record.prps or ((record.prp,) if record.prp else ())
    return Known(record.agent, prps, verdict)
