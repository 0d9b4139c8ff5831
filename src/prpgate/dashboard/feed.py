"""The one reader of the store: a thread that waits for events, lets the board look at what they name, and tells it on.

It holds a connection of its own for waiting. A store that goes away is waited for; what was read last is where it goes
on, and a store that cannot go on there (wiped, filled anew, trimmed too far) is read from the beginning, which the
clients are told too.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from .. import events
from ..errors import StoreDown, UserError
from ..messages import dashboard as say
from ..store.client import UNREADABLE, connect
from .board import Board
from .cursor import NOTHING, PRPS, stream_of
from .fanout import Frame
from .prps import dump

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from ..events import Event
    from ..ops import Session
    from ..store.client import Store
    from .cursor import Cursor
    from .shapes import ChangeShape, StoreShape

BLOCK_S = 2.0  # at most: and how soon a lane that was never used before, or an emptied store, is noticed
GAP_S = 0.03  # between two frames: what comes meanwhile goes into one
PAGE = 500  # events of one stream at once
MAILBOXES = 200  # that are listened to, so that unread messages show


def frame(name: str, data: object, cursor: Cursor | None = None, *, moves: bool = False) -> Frame:
    """A server-sent event; with a cursor, one that a page may go on from."""
    head = f"id: {cursor}\n".encode() if cursor else b""
    return Frame(head + b"event: " + name.encode() + b"\ndata: " + dump(data) + b"\n\n", cursor, moves)


class Feed:
    """`run` is for a thread of its own; `publish` is called for every frame, in order, from there."""

    def __init__(self, session: Session) -> None:
        """Reads the board once. Raises StoreDown."""
        self.session = session
        self.publish: Callable[[Frame], None] = lambda _: None
        self.store: Store = session.store()
        self.board = Board(session.config)
        self.board.fill(self.store)
        self.said: StoreShape = {"connected": True, "message": "", "next_action": None}
        self._stopping = threading.Event()
        self._waits: redis.Redis | None = None  # the connection that waits
        self._signals: dict[str, str] = {}  # further streams that are only listened to: key -> last id
        self._told_at = self._looked_at = 0.0

    # --- from other threads ------------------------------------------------------------------------------------------
    def stop(self) -> None:
        """End soon, also while it waits."""
        self._stopping.set()
        waits = self._waits
        if waits is not None:
            waits.connection_pool.disconnect()

    # --- the thread --------------------------------------------------------------------------------------------------
    def run(self) -> None:
        """Until `stop`."""
        while not self._stopping.is_set():
            try:
                self._follow()
            except StoreDown as e:
                if self._stopping.is_set():
                    return
                self._away(e)
                self._come_back()
            except (*UNREADABLE, OSError) as e:
                if self._stopping.is_set():  # its connection was closed while it waited
                    return
                if not isinstance(e, UNREADABLE):
                    raise
                self._say(connected=False, message=say.unreadable(e), next_action="prp doctor")
                self._stopping.wait(BLOCK_S)  # and then once more: somebody may have mended it

    def _follow(self) -> None:
        block_s = BLOCK_S
        waits: Any = self.store.blocking(block_s)
        self._waits = waits
        try:
            self._listen()
            while not self._stopping.is_set():
                wait_s = min(block_s, self.board.due_in())
                got = self._read(waits, int(wait_s * 1000))
                rest_s = self._told_at + GAP_S - time.monotonic()
                if got and rest_s > 0:
                    time.sleep(rest_s)
                    got = self._read(waits, 0)
                self._take(got)
                if not self.said["connected"]:
                    self._say(connected=True, message=say.READABLE)
        finally:
            self._waits = None
            waits.close()
            waits.connection_pool.disconnect()

    def _keys(self) -> dict[str, str]:
        """Key of each stream that is read -> the last id."""
        keys, read = self.store.keys, self.board.read
        lanes = {keys.lane(n).log: read[stream_of(n)] for n in self.board.lanes}
        return {keys.events: read[PRPS], **lanes, **self._signals}

    def _read(self, client: Any, block_ms: int) -> list[Any]:
        """What is new; nothing has been taken of it yet, so it may be read again."""
        with self.store.faults():
            found = client.xread(self._keys(), count=PAGE, block=block_ms or None)
        return list(found or [])

    def _take(self, got: list[Any]) -> None:
        keys = self.store.keys
        lanes: dict[str, str | None] = {keys.events: None, **{keys.lane(n).log: n for n in self.board.lanes}}
        happened: list[Event] = []
        signals = {key: rows[-1][0] for key, rows in got if key not in lanes}
        for key, rows in got:
            if key in lanes:
                happened += [events.event_of(lanes[key], i, fields) for i, fields in rows]
        if time.monotonic() - self._looked_at > BLOCK_S:
            self._looked_at = time.monotonic()
            if not self._look_around():
                return
        if any(e.event == "rebuilt" for e in happened):
            self._begin_anew()
            return
        happened.sort(key=lambda e: events.order(e.id))
        ran, mail = keys.gate_runs in signals, bool(signals.keys() - {keys.gate_runs})
        change = self.board.change(self.store, happened, gate_ran=ran, mail=mail)
        self._signals |= signals
        if change is not None:
            self._tell(change)
            if change["agents"]:
                self._listen()

    def _tell(self, change: ChangeShape) -> None:
        self._told_at = time.monotonic()
        self.publish(frame("change", change, self.board.cursor(), moves=bool(change["events"])))

    def _look_around(self) -> bool:
        """Is there a lane that was never used before, and is it still the same store? False: all was read anew."""
        if not self.board.same_store(self.store):
            self.store.check_still_ours()
            self._begin_anew()
            return False
        self.board.new_lanes(self.store)
        return True

    def _listen(self) -> None:
        """To the mail of everybody who is known, and to runs of the gate: that something came, not what."""
        keys, client = self.store.keys, self.store.redis
        wanted = [keys.gate_runs, keys.mail_shared, *map(keys.mailbox, self.board.agents.names()[:MAILBOXES])]
        new = [key for key in wanted if key not in self._signals]
        if new:
            pipe: Any = client.pipeline(transaction=False)
            with self.store.faults():
                for key in new:
                    pipe.xrevrange(key, "+", "-", count=1)
                last = pipe.execute()
            self._signals |= {key: rows[0][0] if rows else NOTHING for key, rows in zip(new, last, strict=True)}

    # --- a store that goes away --------------------------------------------------------------------------------------
    def _away(self, e: UserError) -> None:
        self._say(connected=False, message=e.message, next_action=e.next_action)

    def _say(self, *, connected: bool, message: str, next_action: str | None = None) -> None:
        """How the store is, told once."""
        said: StoreShape = {"connected": connected, "message": message, "next_action": next_action}
        if said != self.said:
            self.said = said
            self.publish(frame("store", said))

    def _come_back(self) -> None:
        """Wait until the project's store answers again, wherever it is then."""
        while not self._stopping.wait(events.BACK_S):
            try:
                found = connect(self.session.config, self.session.repo.root, url=self.session.url, start=False)
            except UserError as e:  # also a store that is not ours, or empty: it may still be rebuilt
                self._away(e)
                continue
            before, self.store = self.store, found
            before.close()
            try:
                same = self.board.same_store(found)
                self.board.look_round()
                if not same:
                    self._begin_anew()
            except StoreDown:
                continue
            self._say(connected=True, message=say.BACK)
            return

    def _begin_anew(self) -> None:
        self.board.fill(self.store)
        self._signals.clear()
        self._listen()
        self.publish(frame("reset", {}, self.board.cursor()))
