"""Small values under names, in the project's store: plain calls, and the same awaited."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from ..errors import StoreDown
from .desk import DESK

if TYPE_CHECKING:
    from collections.abc import Callable

    from .desk import Desk

SCAN_PAGE = 500


class SyncRedisHelper:
    """Small values under names, in the project's store. Use `prpgate.connect()` for PRPs, lanes and messages."""

    def __init__(self, namespace: str = "compat") -> None:
        self.namespace = namespace

    def key(self, key: str) -> str:
        return f"{DESK.session().store().keys.prefix}compat:{self.namespace}:{key}"

    def call(self, call: Callable[[Any, Desk], Any]) -> Any:
        def act(desk: Desk) -> Any:
            store = desk.session().store()
            with store.faults():
                return call(store.redis, desk)

        return DESK.do(act)

    def set(self, key: str, value: Any, ttl: int | None = None) -> bool:
        """Keep a value that JSON can say, for `ttl` seconds or for good. Raises StoreDown."""
        text = json.dumps(value, default=str)
        return bool(self.call(lambda r, _: r.set(self.key(key), text, ex=ttl or None)))

    def get(self, key: str) -> Any:
        """The value, None when there is none. Raises StoreDown."""
        return _value(self.call(lambda r, _: r.get(self.key(key))))

    def delete(self, key: str) -> bool:
        """True when there was one. Raises StoreDown."""
        return bool(self.call(lambda r, _: r.delete(self.key(key))))

    def setnx(self, key: str, value: Any, ttl: int | None = None) -> bool:
        """Keep a value unless there is one. No lock: nothing says who may delete it. Raises StoreDown."""
        text = json.dumps(value, default=str)
        return bool(self.call(lambda r, _: r.set(self.key(key), text, nx=True, ex=ttl or None)))

    def lpush(self, key: str, value: Any) -> int:
        """Put a value at the head of a list; its length. Raises StoreDown."""
        text = json.dumps(value, default=str)
        return int(self.call(lambda r, _: r.lpush(self.key(key), text)))

    def blpop(self, key: str, timeout: int = 0) -> Any:
        """Take the head of a list, waiting for one `timeout` seconds (0: as long as it takes). Raises StoreDown."""
        return _blpop(self.key(key), timeout)

    def keys(self, pattern: str = "*") -> list[str]:
        """Names that match, found page by page. Raises StoreDown."""
        prefix = self.key("")
        found = self.call(lambda r, _: list(r.scan_iter(match=prefix + pattern, count=SCAN_PAGE)))
        return sorted(k.removeprefix(prefix) for k in found)

    def exists(self, key: str) -> bool:
        return bool(self.call(lambda r, _: r.exists(self.key(key))))

    def ttl(self, key: str) -> int:
        """Seconds left; -1: for good; -2: there is none. Raises StoreDown."""
        return int(self.call(lambda r, _: r.ttl(self.key(key))))

    def ping(self) -> bool:
        """Does the project's store answer?"""
        try:
            return bool(self.call(lambda r, _: r.ping()))
        except StoreDown:
            return False


def _value(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _blpop(key: str, timeout: int) -> Any:
    store = DESK.session().store()
    blocking = store.blocking(8.0)
    left = timeout or None
    try:
        while True:
            step = 8 if left is None else min(8, left)
            with store.faults():
                got: Any = blocking.blpop([key], timeout=step)
            if got:
                return _value(got[1])
            left = None if left is None else left - step
            if left is not None and left <= 0:
                return None
    finally:
        blocking.close()
        blocking.connection_pool.disconnect()


class AsyncNames:
    """The same calls, awaited. Each runs in a thread, to its end: one that is cancelled is not half done."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self._sync = SyncRedisHelper(namespace)

    async def set(self, key: str, value: Any, ttl: int | None = None) -> bool:
        return await asyncio.to_thread(self._sync.set, key, value, ttl)

    async def get(self, key: str) -> Any:
        return await asyncio.to_thread(self._sync.get, key)

    async def delete(self, key: str) -> bool:
        return await asyncio.to_thread(self._sync.delete, key)

    async def setnx(self, key: str, value: Any, ttl: int | None = None) -> bool:
        return await asyncio.to_thread(self._sync.setnx, key, value, ttl)

    async def lpush(self, key: str, value: Any) -> int:
        return await asyncio.to_thread(self._sync.lpush, key, value)

    async def blpop(self, key: str, timeout: int = 0) -> Any:
        return await asyncio.to_thread(self._sync.blpop, key, timeout)

    async def keys(self, pattern: str = "*") -> list[str]:
        return await asyncio.to_thread(self._sync.keys, pattern)

    async def exists(self, key: str) -> bool:
        return await asyncio.to_thread(self._sync.exists, key)

    async def ttl(self, key: str) -> int:
        return await asyncio.to_thread(self._sync.ttl, key)

    async def ping(self) -> bool:
        return await asyncio.to_thread(self._sync.ping)

    async def close(self) -> None:
        """Nothing to close: the process shares one connection."""
