"""The dashboard's addresses."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from . import board

if TYPE_CHECKING:
    from starlette.requests import Request

    from ..ops import Session

STATIC = os.path.join(os.path.dirname(__file__), "static")


def make(session: Session) -> Starlette:
    async def page(request: Request) -> Response:
        return FileResponse(os.path.join(STATIC, "index.html"))

    async def state(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(board.whole, session))

    return Starlette(
        routes=[
            Route("/", page),
            Route("/api/state", state),
            Mount("/static", StaticFiles(directory=STATIC, check_dir=False)),
        ]
    )
