"""Standing in a lane's line: blocking on one's own wake list, so that waiting costs next to nothing.

A waiter asks the store once in eight seconds, and at once when its turn comes: 0.25 commands a second. Its ticket
counts as there between two questions, and every way out of waiting gives it back or leaves its place behind.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from .errors import StoreDown
from .lane_state import WAITING
from .outcomes import Closed, Granted, Queued, boottime_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from .lock import MergeLock
    from .outcomes import Who
    from .store.client import Store

MOST_S = 8.0  # between two questions; shorter than Times.alive_ms, and Store.pop sleeps no longer
LATE_S = 0.02  # how long after a deadline to look: before it there is nothing to see


def wait(
    lock: MergeLock,
    who: Who,
    *,
    max_wait_s: float,
    on_change: Callable[[Queued], bool | None] | None = None,
    fixer: bool = False,
    keep: bool = True,
    stop: Callable[[], bool] | None = None,
    on_answer: Callable[[Queued], None] | None = None,
) -> Granted | Queued | Closed:
    """Wait for the lane at most `max_wait_s` seconds. Anything but Granted means that nobody waits any more: the
    place is then kept for ten minutes, or given up with `keep=False`; so also when an exception ends the wait.

    `on_change` is called with each answer that differs from the one before: position, holder, phase, a look or a new
    run that is due. What it does about it (say so, look at the remote) is its business; True asks the store again at
    once. `on_answer` is called with every answer that leaves us in line. `stop` is asked before each sleep: True ends
    the waiting as its time does. Raises StoreDown.
    """
    until = boottime_s() + max_wait_s
    last: tuple[object, ...] = ()
    answer: Granted | Queued | Closed | None = None
    try:
        while True:
            got = lock.acquire(who, plain=False, fixer=fixer)
            if isinstance(got, Granted | Closed):
                answer = got
                return got
            assert isinstance(got, Queued)
            if on_answer:
                on_answer(got)
            seen = _visible(got)
            if on_change and seen != last:
                last = seen
                if on_change(got):
                    continue
            left_s = until - boottime_s()
            if left_s <= 0 or (stop and stop()):
                return got
            _sleep(lock.store, lock.keys.w + who.ticket, min(left_s, _next_s(got, who.ticket)))
    finally:
        if not isinstance(answer, Granted):
            with contextlib.suppress(StoreDown):  # its ticket ends by itself, a little later
                lock.leave(who.ticket, keep)


def _visible(answer: Queued) -> tuple[object, ...]:
    s = answer.state
    holder = (s.holder.id, s.fence, s.holder.phase) if s.holder else None
    return answer.position, s.state, s.phase, holder, s.needs_look, s.redispatch_due


def _next_s(answer: Queued, ticket: str) -> float:
    """When to ask again if nobody wakes us. The first two in line look at the next deadline: past it somebody has to
    ask, or nothing moves on."""
    s = answer.state
    if ticket not in [p.id for p in s.queue if p.kind == WAITING][:2]:
        return MOST_S
    times = [s.window_ms, s.look_ms, s.holder.deadline_ms if s.holder else 0]
    return min([MOST_S, *(t / 1000 + LATE_S for t in times if t > 0)])


def _sleep(store: Store, key: str, seconds: float) -> None:
    """Until woken, or so long. The second in line is told how long the first has to claim, and sleeps on."""
    word = store.pop(key, seconds)
    if word and word.isdigit():
        store.pop(key, min(seconds, int(word) / 1000 + LATE_S))
