"""mcp: serve one client on stdio; mcp install: tell its host about it."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING

from ..errors import OK
from ..messages import mcp as say

if TYPE_CHECKING:
    import argparse

    from ..output import Output


def serve(args: argparse.Namespace, out: Output) -> int:
    """Ends with its client. Standard output is the wire: nothing else is written to it."""
    if importlib.util.find_spec("mcp") is None:
        raise say.extra_missing()
    path = os.path.abspath(os.path.expanduser(args.path))
    if not os.path.isdir(path):
        raise say.no_folder(path)
    import anyio

    from .own import Own
    from .server import ProjectServer

    anyio.run(ProjectServer(Own(path, url=args.redis_url, agent=args.agent)).serve)
    return OK
