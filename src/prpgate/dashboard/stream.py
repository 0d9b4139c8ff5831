"""GET /events: what happens, as it happens, and first what a page missed while it was away."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from .. import events
from ..errors import StoreDown
from ..messages import dashboard as say
from . import cursor as cursors
from .cursor import NOTHING, PRPS, Cursor
from .feed import frame
from .shapes import SCHEMA

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from ..events import Event
    from .fanout import Client, Fanout, Frame
    from .feed import Feed

HEARTBEAT_S = 10
SEND_S = 10.0  # a client that takes nothing for so long is let go
RETRY_MS = 1000  # how soon a browser that lost us asks again
MOST_MISSED = 2000  # events; who missed more reads the whole state again
SURELY_WHOLE = 9000  # entries of a stream that has not been trimmed yet (it is at 10,000, about)


class Stream(EventSourceResponse):
    """A response that cuts the connection of who takes nothing: to close it would wait for a reader, too."""

    def __init__(self, content: AsyncIterator[bytes], let_go: Callable[[], None]) -> None:
        super().__init__(content, ping=HEARTBEAT_S, ping_message_factory=_heartbeat, send_timeout=SEND_S, sep="\n")
        self.let_go = let_go

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            self.let_go()


def _heartbeat() -> ServerSentEvent:
    """An event, not a comment: a page cannot see those, and would take a dead connection for a quiet one."""
    return ServerSentEvent("{}", event="beat", sep="\n")


async def respond(request: Request, feed: Feed, fanout: Fanout, let_go: Callable[[Any], None]) -> Response:
    """The stream; 503 when too many pages are open."""
    if not fanout.room():
        said = {"code": "too-many-pages", "message": say.PAGES_FULL, "hint": None}
        return JSONResponse({"schema": SCHEMA, "error": said}, 503, {"Retry-After": "5"})
    asked = request.headers.get("last-event-id") or request.query_params.get("after") or ""
    if request.method == "HEAD":
        return Response(media_type="text/event-stream")
    cut = partial(let_go, request.scope)
    return Stream(_bodies(feed, fanout, asked, cut), cut)


async def _bodies(feed: Feed, fanout: Fanout, asked: str, let_go: Callable[[], None]) -> AsyncIterator[bytes]:
    client = fanout.join(let_go)
    if client is None:
        return
    try:
        yield f"retry: {RETRY_MS}\n\n".encode()
        at, wanted = client.at, cursors.parse(asked)
        if asked and wanted is None and at is not None:
            yield frame("reset", {}, at).body
        async for body in _missed(feed, client, at, wanted):
            yield body
        while (one := await client.next()) is not None:
            if wanted is not None and one.moves and one.cursor is not None:
                if wanted.covers(one.cursor):  # the state that the page has was read after this was queued
                    continue
                wanted = None
            yield one.body
    finally:
        fanout.leave(client)


async def _missed(feed: Feed, client: Client, at: Cursor | None, wanted: Cursor | None) -> AsyncIterator[bytes]:
    """What came between what a page has seen and what it will get from the queue."""
    said = None
    while True:
        # It may have gone or come back since the page read the state, when nobody listened yet. "": it was never away.
        if feed.said["message"] and said != feed.said:
            said = feed.said
            yield frame("store", said).body
        try:
            if at is not None and wanted is not None and not (wanted.covers(at) and wanted.tip == at.tip):
                yield (await run_in_threadpool(catch_up, feed, at, wanted)).body
            return
        except StoreDown:
            if client.over:
                return
            await asyncio.sleep(events.BACK_S)


def catch_up(feed: Feed, at: Cursor, wanted: Cursor) -> Frame:
    """What happened from `wanted` up to `at`, in one frame; a reset where that cannot be told whole. Raises
    StoreDown."""
    if not at.covers(wanted) or at.tip != wanted.tip:
        return frame("reset", {}, at)
    store, lanes = feed.store, {cursors.stream_of(n): n for n in feed.board.lanes}
    client: Any = store.redis
    happened: list[Event] = []
    for stream, upto in at.ids:
        lane, after = lanes.get(stream), wanted.of(stream)
        if lane is None and stream != PRPS:
            return frame("reset", {}, at)
        if after == upto:
            continue
        key = store.keys.events if lane is None else store.keys.lane(lane).log
        with store.faults():
            there = client.xlen(key) < SURELY_WHOLE if after == NOTHING else client.xrange(key, after, after)
        if not there:
            return frame("reset", {}, at)
        happened += events.between(store, lane, after, upto, MOST_MISSED + 1 - len(happened))
        if len(happened) > MOST_MISSED:
            return frame("reset", {}, at)
    happened.sort(key=lambda e: events.order(e.id))
    with feed.board.lock:
        change = feed.board.since(happened)
    return frame("change", change, at, moves=True)
