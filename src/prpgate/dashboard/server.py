"""uvicorn around the application: one process, one event loop, one reader of the store."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from . import app, fanout
from .fanout import Fanout, Frame
from .guard import LET_IN, Guard

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from .address import Address
    from .feed import Feed
    from .login import Login

MOST_CONNECTIONS = fanout.MOST_CLIENTS + 200  # fewer than the files that a process may usually open
END_S = 2  # for answers that are under way when it ends
STRANGER_S = 10.0  # how long a connection may be open on which nobody has been let in
AT_ONCE = 256  # connections that are taken in one turn of the loop: with those above fewer than files, too


class _Connection(H11Protocol):
    """Any program of this machine may connect. Whoever is not let in keeps nobody else out: such a connection is cut
    after a while, and the oldest of them at once when there is no room."""

    since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.since = self.loop.time()
        self.loop.call_later(STRANGER_S, self.cut)
        if len(self.connections) >= MOST_CONNECTIONS:
            others = [c for c in self.connections if isinstance(c, _Connection) and c is not self and c.is_stranger]
            if others:
                min(others, key=lambda c: c.since).cut()

    @property
    def is_stranger(self) -> bool:
        """Whether nobody was let in by what was asked last, if anything was."""
        asked: Any = self.scope  # None at first
        return asked is None or not asked.get(LET_IN)

    def cut(self) -> None:
        if self.is_stranger:
            self.connections.discard(self)
            self.transport.abort()


class _Server(uvicorn.Server):
    """Ends every stream at once when it is told to end: they would last for ever."""

    def __init__(self, config: uvicorn.Config, end: Callable[[], None]) -> None:
        super().__init__(config)
        self._end = end

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._end()


def serve(feed: Feed, login: Login, at: Address, ready: Callable[[], None]) -> None:
    """Until SIGINT or SIGTERM, which is a KeyboardInterrupt then. `ready` is called once it answers."""
    asyncio.run(_serve(feed, login, at, ready))


async def _serve(feed: Feed, login: Login, at: Address, ready: Callable[[], None]) -> None:
    loop, many = asyncio.get_running_loop(), Fanout()
    many.at = feed.board.cursor()

    def publish(frame: Frame) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(many.publish, frame)

    def end() -> None:
        loop.call_soon_threadsafe(many.close)

    def let_go(scope: Any) -> None:
        for connection in list(server.server_state.connections):
            if isinstance(connection, H11Protocol) and connection.client == scope["client"]:
                connection.transport.abort()  # closing would wait for a reader that does not read

    guarded = Guard(app.make(feed, many, let_go), login, names=at.names, public=at.public)
    config = uvicorn.Config(
        guarded,
        http=_Connection,
        backlog=AT_ONCE,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=END_S,
    )
    server = _Server(config, end)
    feed.publish = publish
    reading = loop.create_task(asyncio.to_thread(feed.run))

    def ended(_: object) -> None:
        server.should_exit = True
        many.close()

    reading.add_done_callback(ended)
    loop.call_later(0.05, ready)
    try:
        await server.serve(sockets=[at.socket])
    finally:
        feed.stop()
        await reading
