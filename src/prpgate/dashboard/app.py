"""The dashboard's addresses. All of them only read."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ..errors import StoreDown, UserError
from . import page, replay, stream
from .prps import dump
from .shapes import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from .fanout import Fanout
    from .feed import Feed

STATIC = os.path.join(os.path.dirname(__file__), "static")
PAGES_AT_ONCE = 2  # of one PRP each: they run git
JSON = "application/json"


def make(feed: Feed, fanout: Fanout, let_go: Callable[[Any], None]) -> Starlette:
    """The application, without its guard. `let_go` ends the connection of a request's scope."""
    git = asyncio.Semaphore(PAGES_AT_ONCE)

    async def index(request: Request) -> Response:
        return FileResponse(os.path.join(STATIC, "index.html"))

    async def state(request: Request) -> Response:
        zipped = "gzip" in request.headers.get("accept-encoding", "")
        body = await run_in_threadpool(feed.board.whole, feed.said, zipped=zipped)
        return Response(body, media_type=JSON, headers={"Content-Encoding": "gzip"} if zipped else None)

    async def one(request: Request) -> Response:
        async with git:
            found = await run_in_threadpool(page.read, feed, request.path_params["id"])
        if found is None:
            return error(404, "unknown-prp", "there is no such PRP.")
        return Response(dump(found), media_type=JSON)

    async def past(request: Request) -> Response:
        found = await run_in_threadpool(replay.page, feed.store, feed.board, request.query_params)
        return Response(dump(found), media_type=JSON)

    async def live(request: Request) -> Response:
        return await stream.respond(request, feed, fanout, let_go)

    made = Starlette(
        routes=[
            Route("/", index),
            Route("/events", live),
            Route("/api/state", state),
            Route("/api/events", past),
            Route("/api/prp/{id:path}", one),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        exception_handlers={StoreDown: _away, UserError: _wrong},
    )
    made.router.redirect_slashes = False  # what is not there is not looked for nearby
    return made


def error(status: int, code: str, message: str, hint: str | None = None) -> Response:
    return JSONResponse({"schema": SCHEMA, "error": {"code": code, "message": message, "hint": hint}}, status)


async def _away(request: Request, e: Exception) -> Response:
    assert isinstance(e, UserError)
    return error(503, e.code, e.message, e.hint)


async def _wrong(request: Request, e: Exception) -> Response:
    assert isinstance(e, UserError)
    return error(400, e.code, e.message, e.hint)
