"""A landing's way on one line of time: what was before this run, by the store's clock, and what it did, by its own.

Zero is the moment when the run looked at the lane. No two clocks are compared: the store says how long ago its events
were, seen from then.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from prpgate.errors import StoreDown
from prpgate.messages import timeline as say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prpgate.lock import LogEvent, MergeLock, Record

LOOK_BACK = 200  # events of the lane that are read
BAR = 30  # characters
OLDEST_S = 6 * 3600.0  # a push from before that is another story


class Moment(NamedTuple):
    """Something that happened. Seconds, below zero before the run."""

    at_s: float
    what: str
    took_s: float | None = None


class Timeline:
    """Moments as they come."""

    def __init__(self, payload: Any = None) -> None:
        self.zero = time.monotonic()
        self.started: dict[str, float] = {}
        self.moments = [Moment(0.0, say.PICKED_UP)]
        pushed = payload.get("pushed_at") if isinstance(payload, dict) else None
        if isinstance(pushed, int) and -OLDEST_S < (ago := pushed - time.time()) <= 0:
            self.moments.insert(0, Moment(ago, say.PUSHED))

    def mark(self, what: str, began: float | None = None) -> None:
        """Something happens now; with `began` (on the monotonic clock) it began then and ends now."""
        now = time.monotonic()
        at = now if began is None else began
        self.moments.append(Moment(at - self.zero, what, None if began is None else now - at))

    def begin(self, step: str) -> None:
        self.started[step] = time.monotonic()

    def end(self, step: str, outcome: str) -> None:
        if (began := self.started.pop(step, None)) is not None:
            self.mark(say.step(step, outcome), began)

    def read(self, lock: MergeLock, head: str) -> None:
        """What the lane's log has about this commit. A store that goes away costs the story, not the run."""
        with contextlib.suppress(StoreDown):
            record = lock.record(head)
            found = list(reversed(lock.log(LOOK_BACK)))
            with lock.store.faults():
                seconds, micros = lock.store.redis.time()
            offset = time.monotonic() - self.zero - (int(seconds) + int(micros) / 1e6)
            self.moments += [Moment(_ms(e) / 1000 + offset, what) for e, what in _story(found, head, record)]

    def ordered(self) -> list[Moment]:
        return sorted((m for m in self.moments if m.at_s > -OLDEST_S), key=lambda m: m.at_s)


def _ms(event: LogEvent) -> int:
    return int(event.id.partition("-")[0])


def _story(events: Sequence[LogEvent], head: str, record: Record | None) -> list[tuple[LogEvent, str]]:
    """The events that belong to a commit: those that name it, and how its pusher came to the lane."""
    named = [(e, said) for e in events if e.sha == head and (said := say.event(e.event, e.detail))]
    first = next((n for n, e in enumerate(events) if e.event == "intent" and e.sha == head), None)
    if record is None or first is None:
        return named
    came = [e for e in events[:first] if e.agent == events[first].agent]
    got = next((e for e in reversed(came) if e.event in ("acquire", "claim")), None)
    line = next((e for e in reversed(came) if e.event == "queue"), None)
    before = [(got, say.granted(got.agent))] if got else []
    if line and got and _ms(line) <= _ms(got):
        before.insert(0, (line, say.queued(line.agent)))
    return [*before, *named]


def bars(moments: Sequence[Moment]) -> list[str]:
    """Each moment as a bar on the whole time, `BAR` characters long."""
    if not moments:
        return []
    first = min(m.at_s for m in moments)
    whole = max(m.at_s + (m.took_s or 0.0) for m in moments) - first or 1.0
    shown = []
    for m in moments:
        begin = min(int((m.at_s - first) / whole * BAR), BAR - 1)
        length = max(1, min(round((m.took_s or 0.0) / whole * BAR), BAR - begin))
        shown.append("·" * begin + "█" * length + "·" * (BAR - begin - length))
    return shown
