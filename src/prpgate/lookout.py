"""A waiter's lookout: while somebody waits in line for a landing to be judged, the first of those who are there asks
the host about it, in a thread with a connection of its own. The next two stand by, in case the first cannot ask."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from typing import TYPE_CHECKING, Self

from . import waiting
from .errors import HostRefused, StoreDown, UserError
from .gitrepo import Repo
from .interrupts import held_back
from .lane_state import LANDED, SMOKING, WAITING
from .messages import observing as say

if TYPE_CHECKING:
    from collections.abc import Callable

    from .config import Config
    from .job import Ears
    from .lock import Closed, Granted, MergeLock, Queued, Who
    from .observing import Observer
    from .store.client import Store

STORE_S = 5.0
TICK_S = 1.0
STAND_BY = 3  # waiters that look, or would if those before them do not


class Lookout:
    """Nothing happens until `answered` says that it is this waiter's to look.

    When the block ends, a look that is under way goes on beside the landing, because what a verdict proves has to be
    written down; the process ends after it (`observing.ASK_S` and a sync, at most).
    """

    def __init__(self, config: Config, root: str, url: str | None, lane: str, who: Who, ears: Ears) -> None:
        self.config, self.root, self.url = config, root, url
        self.lane, self.ticket, self.agent, self.ears = lane, who.ticket, who.agent, ears
        # No Event: it has a lock that an interrupt can leave locked, and the thread would keep the process for ever.
        self._wanted = self._over = self._first = False
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._waiter = threading.current_thread()
        self._thread = threading.Thread(target=self._watch, name="lookout")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._bell.put(None)

    def wait(
        self, lock: MergeLock, who: Who, *, max_wait_s: float, on_change: Callable[[Queued], bool | None], fixer: bool
    ) -> Granted | Queued | Closed:
        """`waiting.wait`, with an eye on every answer. Raises StoreDown."""
        return waiting.wait(lock, who, max_wait_s=max_wait_s, on_change=on_change, fixer=fixer, on_answer=self.answered)

    def answered(self, answer: Queued) -> None:
        """What the store said to this waiter: is there anything to look at, and is it among the first who are there?"""
        s = answer.state
        observed = self.config.ci_observe == "status" and s.phase in (LANDED, SMOKING)
        if not (observed or s.redispatch_due):  # a landing that waits may be of another gate than prp.toml has by now
            self._wanted = False
            return
        there = [p.id for p in s.queue if p.kind == WAITING][:STAND_BY]
        if self.ticket not in there:
            self._wanted = False
            return
        self._first = there[0] == self.ticket
        if not self._wanted:
            self._wanted = True
            self._bell.put(None)
        if self._thread.ident is None and not self._over:
            with held_back():  # interrupts are for the thread that can clean up
                self._thread.start()

    def _tell(self, text: str) -> None:
        self.ears.line("ci", text)

    def _rest(self, seconds: float) -> bool:
        """Sleep so long and then until a look is wanted. False: it is over, or the waiter is gone without a word, as
        when an interrupt struck before `__exit__` could say one."""
        until = time.monotonic() + seconds
        while not self._over and self._waiter.is_alive():
            if self._wanted and time.monotonic() >= until:
                return True
            with contextlib.suppress(queue.Empty):
                self._bell.get(timeout=min(TICK_S, max(0.0, until - time.monotonic()) if self._wanted else TICK_S))
        return False

    def _watch(self) -> None:
        from .observing import STANDING, Observer
        from .store.client import connect

        store: Store | None = None
        observer: Observer | None = None
        pause_s = 0.0 if self._first else 2.0 * self.config.ci_poll_s  # the first is the one to look
        while self._rest(pause_s):
            pause_s = float(self.config.ci_poll_s)
            try:
                if observer is None:
                    store = connect(self.config, self.root, url=self.url, timeout_s=STORE_S, start=False)
                    observer = Observer(Repo(self.root), self.config, store, self.agent)
                for news in observer.look(self.lane, late=False):
                    if news.kind not in STANDING:
                        self._tell(news.text)
                pause_s = observer.pause_s
            except StoreDown:
                continue
            except HostRefused as e:  # no token, say: another waiter may have one
                self._tell(say.cannot_ask(e))
                break
            except UserError as e:
                self._tell(e.message)
                break
        if observer and store:
            with contextlib.suppress(StoreDown):
                observer.leave(self.lane)
            store.close()
