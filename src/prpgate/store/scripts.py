"""Lua scripts: one verb a file in prpgate/lua, sent once and called by hash ever after.

A file may name shared functions on its first lines with `-- include: lane`; the text of `_lane.lua` then stands
before it, after what that one includes. Scripts answer one JSON text, decoded here.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError, ResponseError

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
    said = [str(a) for a in args]
    try:
        raw = exchange(redis, _evalsha(name, tuple(keys), len(said)) + packed(said))
    except NoScriptError:
        raw = redis.eval(text(name), len(keys), *keys, *said)
    return json.loads(raw) if isinstance(raw, (str, bytes)) else raw


def exchange(redis: Redis, command: bytes) -> Any:
    """Send one command and read its reply: a third of what redis-py's own way costs, and a hand-over has two of them.

    As there: once on the way, a connection that was left in between is never used again.
    """
    pool = redis.connection_pool
    connection: Any = pool.get_connection()
    whole = False
    try:
        connection.send_packed_command([command])
        reply = connection.read_response()
        whole = True
        return reply
    except ResponseError:
        whole = True
        raise
    finally:
        if not whole:
            connection.disconnect()
        pool.release(connection)


def command(*words: str) -> bytes:
    """A command as it goes over the wire."""
    return b"*%d\r\n" % len(words) + packed(words)


def packed(words: Sequence[str]) -> bytes:
    """Words of a command as they go over the wire."""
    raw = [word.encode() for word in words]
    return b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in raw])


@lru_cache(maxsize=256)
def _evalsha(name: str, keys: tuple[str, ...], args: int) -> bytes:
    return b"*%d\r\n" % (3 + len(keys) + args) + packed(["EVALSHA", sha(name), str(len(keys)), *keys])
