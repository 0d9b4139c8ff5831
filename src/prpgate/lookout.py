"""A waiter's lookout: while somebody waits in line for a landing to be judged, the first of those who are there asks
the host about it, in a thread with a connection of its own."""

from __future__ import annotations

import contextlib
import threading
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
END_S = 1.0  # a look that is under way may go on for a moment; nobody waits for it


class Lookout:
    """Nothing happens until `answered` says that it is this waiter's to look."""

    def __init__(self, config: Config, root: str, url: str | None, lane: str, who: Who, ears: Ears) -> None:
        self.config, self.root, self.url = config, root, url
        self.lane, self.ticket, self.agent, self.ears = lane, who.ticket, who.agent, ears
        self._wanted, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lookout", daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._wanted.set()
        if self._thread.ident is not None:
            self._thread.join(END_S)

    def wait(
        self, lock: MergeLock, who: Who, *, max_wait_s: float, on_change: Callable[[Queued], bool | None], fixer: bool
    ) -> Granted | Queued | Closed:
        """`waiting.wait`, with an eye on every answer. Raises StoreDown."""
        return waiting.wait(lock, who, max_wait_s=max_wait_s, on_change=on_change, fixer=fixer, on_answer=self.answered)

    def answered(self, answer: Queued) -> None:
        """What the store said to this waiter: is there anything to look at, and is it the first who is there?"""
        s = answer.state
        observed = self.config.ci_observe == "status" and s.phase in (LANDED, SMOKING)
        first = next((p.id for p in s.queue if p.kind == WAITING), None)
        if self.config.gate != "ci" or first != self.ticket or not (observed or s.redispatch_due):
            self._wanted.clear()
            return
        self._wanted.set()
        if self._thread.ident is None and not self._over.is_set():
            with held_back():  # interrupts are for the thread that can clean up
                self._thread.start()

    def _tell(self, text: str) -> None:
        if not self._over.is_set():
            self.ears.line("ci", text)

    def _watch(self) -> None:
        from .observing import STANDING, Observer
        from .store.client import connect

        store: Store | None = None
        observer: Observer | None = None
        pause_s = 0.0
        while not self._over.wait(pause_s):
            self._wanted.wait()
            if self._over.is_set():
                break
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
