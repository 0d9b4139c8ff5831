"""Keeping hold of a lane while something else is done: a thread that renews the lease, on its own connection."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Self

from .errors import UserError
from .interrupts import held_back
from .lock import Granted, Lost, MergeLock

if TYPE_CHECKING:
    from .config import Config
    from .lane_state import LaneState
    from .outcomes import Lease
    from .store.client import Store

STORE_S = 5.0


class Grip:
    """A lease that is renewed at a third of its length while the `with` block lasts; `lease` is the newest one."""

    def __init__(self, config: Config, root: str, url: str | None, lease: Lease) -> None:
        self.config, self.root, self.url, self.lease = config, root, url, lease
        self.ended: Lost | None = None  # somebody or something ended the hold
        self.state: LaneState | None = None  # the lane, as of the last renewal
        # An Event has a lock that an interrupt can leave locked; what C puts here is there or is not.
        self._stop: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._renew, name="renew", daemon=True)

    def __enter__(self) -> Self:
        with held_back():  # interrupts are for the thread that can clean up
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.put(None)
        self._thread.join(STORE_S + 1)

    def lost(self) -> bool:
        """Is it no longer sure that the lane is held?"""
        return self.ended is not None or self.lease.left_s <= 0

    def covers(self, seconds: float) -> bool:
        """Is the lane held for at least so long from now?"""
        return self.ended is None and self.lease.left_s >= seconds

    def _stopped(self, within_s: float) -> bool:
        try:
            self._stop.get(timeout=within_s)
        except queue.Empty:
            return False
        return True

    def _renew(self) -> None:
        from .store.client import connect

        store: Store | None = None
        while not self._stopped(self.config.times.lease_ms / 3000):
            try:
                store = store or connect(self.config, self.root, url=self.url, timeout_s=STORE_S, start=False)
                answer = MergeLock(store, self.lease.lane, self.config.times).renew(self.lease)
            except UserError:
                if store:
                    store.close()
                store = None  # it may be back before the lease is over
                continue
            if isinstance(answer, Granted):
                self.lease, self.state = answer.lease, answer.state
            else:
                self.ended = answer
                break
        if store:
            store.close()
