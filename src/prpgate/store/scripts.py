"""Lua scripts: one verb a file in prpgate/lua, sent once and called by hash ever after.

A file may name shared functions on its first lines with `-- include: lane`; the text of `_lane.lua` then stands
before it, after what that one includes. Scripts answer one JSON text, decoded here.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis


@cache
def text(name: str) -> str:
    """The whole script `name`, with what it includes."""
    body = (files("prpgate") / "lua" / f"{name}.lua").read_text("utf-8")
    includes = [line for line in body.splitlines() if line.startswith("-- include:")]
    return "\n".join([*(text("_" + line.removeprefix("-- include:").strip()) for line in includes), body])


@cache
def sha(name: str) -> str:
    return hashlib.sha1(text(name).encode(), usedforsecurity=False).hexdigest()


def run(redis: Redis, name: str, keys: Sequence[str], args: Sequence[str | int]) -> Any:
    """Run script `name`; a server that forgot it (SCRIPT FLUSH, restart, failover) is sent it again."""
    try:
        raw = redis.evalsha(sha(name), len(keys), *keys, *[str(a) for a in args])
    except NoScriptError:
        raw = redis.eval(text(name), len(keys), *keys, *[str(a) for a in args])
    return json.loads(raw) if isinstance(raw, (str, bytes)) else raw
