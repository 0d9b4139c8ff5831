"""From one reader to many browsers: a bounded queue for each, and whoever does not keep up is let go.

Everything here runs on the server's event loop. A frame's bytes are the same object in all queues.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from .cursor import Cursor

MOST_FRAMES = 256  # that wait for one client; at most about 30 come in a second
MOST_CLIENTS = 500


class Frame(NamedTuple):
    """One server-sent event as it goes over the wire."""

    body: bytes
    cursor: Cursor | None  # read up to there once this is taken; None for what is no part of the streams
    moves: bool = False  # it tells of events; else what it tells was changed by time alone, or by nobody


class Client:
    """One open page."""

    def __init__(self, at: Cursor | None, let_go: Callable[[], None]) -> None:
        self.at = at  # what was published when it came
        self.let_go = let_go
        self.queue: asyncio.Queue[Frame | None] = asyncio.Queue(MOST_FRAMES + 1)

        self.over = False

    async def next(self) -> Frame | None:
        """The next frame; None: this stream is over."""
        return await self.queue.get()


class Fanout:
    """Who listens."""

    def __init__(self) -> None:
        self.clients: set[Client] = set()
        self.at: Cursor | None = None  # of the last frame that went out
        self.dropped = 0
        self.closed = False

    def room(self) -> bool:
        return not self.closed and len(self.clients) < MOST_CLIENTS

    def join(self, let_go: Callable[[], None]) -> Client | None:
        """A new client, from the next frame on; None when there is no room. `let_go` ends its connection."""
        if not self.room():
            return None
        client = Client(self.at, let_go)
        self.clients.add(client)
        return client

    def leave(self, client: Client) -> None:
        self.clients.discard(client)

    def publish(self, frame: Frame) -> None:
        self.at = frame.cursor or self.at
        for client in list(self.clients):
            if client.queue.qsize() >= MOST_FRAMES:
                self._drop(client)
            else:
                client.queue.put_nowait(frame)

    def _drop(self, client: Client) -> None:
        """It comes back with its Last-Event-ID, should it ever read again."""
        self.dropped += 1
        client.over = True
        self.leave(client)
        while not client.queue.empty():
            client.queue.get_nowait()
        client.queue.put_nowait(None)
        client.let_go()

    def close(self) -> None:
        """The server ends: so does every stream."""
        self.closed = True
        for client in list(self.clients):
            self.leave(client)
            client.over = True
            with contextlib.suppress(asyncio.QueueFull):
                client.queue.put_nowait(None)
