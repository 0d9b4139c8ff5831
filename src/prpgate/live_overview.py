"""An overview that follows what happens: one thread listens to the events, another reads what they touched.

Whoever shows it never waits for the store.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from . import events, overview, registry
from .errors import StoreDown, UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .events import Event
    from .ops import Session
    from .overview import Overview

GATHER_S = 0.03  # events that come together are read together
LOOK_S = 5.0  # while somebody holds or waits: renewals make no events
LOOK_IDLE_S = 15.0  # who is there, and what lapses when somebody looks


class LiveOverview:
    """Use as a context manager. `changed` is called, from other threads, when `seen`, `away` or `failed` is another."""

    def __init__(self, session: Session, lane: str | None, changed: Callable[[], None]) -> None:
        self.session, self.lane, self._changed = session, lane, changed
        after = events.since(session.store(), 0)  # before the reading, so that nothing falls between the two
        self.seen: Overview = overview.read(session, lane)
        self.away: StoreDown | None = None
        self.away_since = 0.0
        self.failed: BaseException | None = None  # it does not go on: another store answers, or a fault of ours
        self._wanted = threading.Condition()
        self._happened: list[Event] = []
        self._whole = False
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._follow, args=(after,), name="prp-follow", daemon=True),
            threading.Thread(target=self._read, name="prp-read", daemon=True),
        ]

    def __enter__(self) -> LiveOverview:
        # A fault in a thread is the caller's to raise: printed, it would be garbage on the screen.
        self._hook, threading.excepthook = threading.excepthook, self._fault
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._wanted:
            self._over.set()
            self._wanted.notify_all()
        self.session.close()
        threading.excepthook = self._hook

    def _follow(self, after: str) -> None:
        """Hands on what happens. Ends with the process, or when the store is another."""
        try:
            for event in events.follow(self.session.store(), after, None, on_away=self._gone):
                with self._wanted:
                    if self._over.is_set():
                        return
                    if self.away is not None:  # back: whatever was missed is read anew
                        self.away, self._whole = None, True
                    if event is not None:
                        self._happened.append(event)
                    if event is not None or self._whole:
                        self._wanted.notify_all()
        except UserError as e:
            self._fail(e)

    def _gone(self, e: StoreDown) -> None:
        with self._wanted:
            if self.away is None:
                self.away_since = time.monotonic()
            self.away = e
        self._changed()

    def _fault(self, told: threading.ExceptHookArgs) -> None:
        if told.exc_value is not None:
            self._fail(told.exc_value)

    def _fail(self, e: BaseException) -> None:
        with self._wanted:
            if self._over.is_set():
                return
            self.failed = e
        self._changed()

    def _read(self) -> None:
        took_s = 0.0
        while True:
            with self._wanted:
                if not self._happened and not self._whole and not self._over.is_set():
                    self._wanted.wait(self._patience_s())
            time.sleep(max(GATHER_S, 2 * took_s))  # a storm of events takes a third of the time, not all of it
            begun = time.monotonic()
            with self._wanted:
                if self._over.is_set():
                    return
                happened, self._happened = self._happened, []
                whole, self._whole = self._whole, False
            try:
                self.seen = self._again(happened, whole)
            except StoreDown as e:
                with self._wanted:
                    if self._over.is_set():
                        return
                    self._happened, self._whole = [*happened, *self._happened], True
                if e.code in events.NOT_OURS:
                    self._fail(e)
                    return
                time.sleep(events.BACK_S)  # the listener finds it too, and says when it is back
            except UserError as e:
                self._fail(e)
                return
            took_s = min(1.0, time.monotonic() - begun)
            self._changed()

    def _again(self, happened: list[Event], whole: bool) -> Overview:
        registry.beat_now_and_then(self.session.repo, self.session.store())  # who looks on is there
        if whole:
            return overview.read(self.session, self.lane)
        if happened:
            return overview.after(self.session, self.seen, happened, self.lane)
        return overview.look_again(self.session, self.seen, self.session.lanes(self.lane))

    def _patience_s(self) -> float:
        busy = any(one.state.holder or one.state.queue for one in self.seen.lanes)
        return LOOK_S if busy else LOOK_IDLE_S
