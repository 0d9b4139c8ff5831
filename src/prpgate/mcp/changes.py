"""Resources that change: events of the store become notices to whoever subscribed to what they are about.

Both ways to subscribe are served: `resources/subscribe` of clients that shake hands, and `subscriptions/listen`.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated
from mcp.shared.exceptions import MCPError

from ..errors import StoreDown, UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.server.session import ServerSession
    from mcp.server.subscriptions import ServerEvent

    from ..events import Event
    from .own import Own

PRP, LANE = "prp://prp/", "prp://lane/"
OVERLAP_S = 2.0  # of what went before the first subscription: told once too often rather than missed
AGAIN_S = 2.0  # how soon a store that could not be reached at all is tried again


def prp_uri(prp_id: str) -> str:
    return PRP + quote(prp_id, safe="")


def lane_uri(name: str) -> str:
    return LANE + quote(name, safe="")


class Changes(InMemorySubscriptionBus):
    """Follows the store's events from the first subscription on, in a thread of its own."""

    def __init__(self, own: Own) -> None:
        super().__init__()
        self._own = own
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told: dict[str, dict[str, ServerSession]] = {}  # resource -> as its subscriber named it -> whom
        self._tasks: set[asyncio.Task[None]] = set()

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """One `subscriptions/listen` stream."""
        self._start()
        return super().subscribe(listener)

    def add(self, session: ServerSession, uri: str) -> None:
        """One `resources/subscribe`."""
        self._told.setdefault(unquote(uri), {})[uri] = session
        self._start()

    def remove(self, uri: str) -> None:
        """One `resources/unsubscribe`. There is one client on a pipe, and each of its requests is a session."""
        self._told.get(unquote(uri), {}).pop(uri, None)

    def _start(self) -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            # A daemon: it is inside a blocking call for up to eight seconds, and keeps nobody from leaving.
            threading.Thread(target=self._follow, args=(self._loop,), name="prp-events", daemon=True).start()

    def _follow(self, loop: asyncio.AbstractEventLoop) -> None:
        from .. import events

        after: str | None = None
        with contextlib.suppress(RuntimeError):  # the loop is over
            while True:
                try:
                    session = self._own.session()
                    try:
                        start = after or events.since(session.store(), OVERLAP_S)
                        for event in events.follow(session.store(), start, None, on_away=lambda _: None):
                            if event is None:
                                continue
                            after = event.id
                            for uri in _about(session, event):
                                loop.call_soon_threadsafe(self._changed, uri)
                    finally:
                        session.close()
                except UserError:
                    time.sleep(AGAIN_S)

    def _changed(self, uri: str) -> None:
        task = asyncio.ensure_future(self._tell(uri))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self, uri: str) -> None:
        for name in dict.fromkeys((uri, unquote(uri))):  # as it is written, and as people write it
            await self.publish(ResourceUpdated(uri=name))
        for name, session in list(self._told.get(unquote(uri), {}).items()):
            with contextlib.suppress(MCPError):
                await session.send_resource_updated(name)


def _about(session: Any, event: Event) -> list[str]:
    """The resources that an event is about: a lane, or a PRP by all of its ids."""
    from .. import prps
    from ..store.client import UNREADABLE

    if event.lane is not None:
        return [lane_uri(event.lane)]
    if event.prp is None:
        return []
    try:
        found = prps.read_some(session.store(), [event.prp]).prps.get(event.prp)
    except (StoreDown, *UNREADABLE):  # it has just gone, which the next wait finds out; or it is damaged
        found = None
    return [prp_uri(i) for i in (found.ids if found else (event.prp,))]
