"""The command `prp dashboard`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import ops
from ..errors import OK

if TYPE_CHECKING:
    import argparse

    from ..output import Output


def dashboard(args: argparse.Namespace, out: Output) -> int:
    """Serves until it is stopped."""
    import uvicorn

    from . import app

    session = ops.Session(url=args.redis_url)
    session.store()
    out.say(f"http://127.0.0.1:{args.port or 8137}/")
    uvicorn.run(app.make(session), host="127.0.0.1", port=args.port or 8137, log_level="error")
    return OK
