"""What happened: the stream of PRP events and the lanes' logs, oldest first. Scripts write them, nobody edits them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from .store.client import Store

BLOCK_S = 8.0


class Event(NamedTuple):
    """One event. `lane` is None for PRP events."""

    id: str  # of the stream: "<ms of the server's clock>-<n>"
    at_ms: int
    lane: str | None
    event: str
    prp: str | None
    agent: str | None
    fence: int | None
    sha: str | None
    detail: str


def _event(lane: str | None, key: str, fields: dict[str, str]) -> Event:
    fence = fields.get("fence") or ""
    return Event(
        id=key,
        at_ms=int(key.partition("-")[0]),
        lane=lane,
        event=fields.get("event", ""),
        prp=fields.get("prp") or None,
        agent=fields.get("agent") or None,
        fence=int(fence) if fence.isdigit() and fence != "0" else None,
        sha=fields.get("sha") or None,
        detail=fields.get("detail", ""),
    )


def tail(store: Store, count: int = 30, *, lane: str | None = None, before: str = "+") -> list[Event]:
    """The last `count` events of PRPs, or of one lane, oldest first. Raises StoreDown."""
    key = store.keys.events if lane is None else store.keys.lane(lane).log
    client: Any = store.redis
    with store.faults():
        rows = client.xrevrange(key, before, "-", count=count)
    return [_event(lane, i, f) for i, f in reversed(rows)]


def lanes(store: Store) -> list[str]:
    """Names of the lanes that were ever used."""
    client: Any = store.redis
    with store.faults():
        return sorted(client.smembers(store.keys.lanes))


def history(store: Store, prp_id: str, count: int = 1000) -> list[Event]:
    """What the store still knows of one PRP, oldest first: its own events and its landings. Raises StoreDown."""
    found = [e for e in _all(store, None, store.keys.events) if e.prp == prp_id]
    client: Any = store.redis
    for lane in lanes(store):
        keys = store.keys.lane(lane)
        with store.faults():
            heads = {h for h, text in client.hgetall(keys.rec).items() if _names(text, prp_id)}
        if heads:
            found += [e for e in _all(store, lane, keys.log) if e.sha in heads]
    return sorted(found, key=lambda e: (e.at_ms, e.id))[-count:]


def _names(text: str, prp_id: str) -> bool:
    one = json.loads(text)
    return one.get("prp") == prp_id or prp_id in (one.get("prps") or ())


def _all(store: Store, lane: str | None, key: str, page: int = 1000) -> Iterator[Event]:
    client: Any = store.redis
    start = "-"
    while True:
        with store.faults():
            rows = client.xrange(key, start, "+", count=page)
        yield from (_event(lane, i, f) for i, f in rows)
        if len(rows) < page:
            return
        start = f"({rows[-1][0]}"


def follow(store: Store, after: str = "$", lanes_too: Iterable[str] = ()) -> Generator[Event | None, None, None]:
    """Every event from now on (or after a stream id), as it comes; None each time a wait ends without one.

    Holds a connection of its own. Ends when the caller stops asking. Raises StoreDown.
    """
    streams = {store.keys.events: after, **{store.keys.lane(name).log: after for name in lanes_too}}
    names = {store.keys.lane(name).log: name for name in lanes_too}
    if after == "$":  # fixed now: "$" again in each call would lose what comes between two calls
        now: Any = store.redis
        for key in streams:
            with store.faults():
                last = now.xrevrange(key, "+", "-", count=1)
            streams[key] = last[0][0] if last else "0-0"
    client: Any = store.blocking(BLOCK_S)
    try:
        while True:
            with store.faults():
                got = client.xread(dict(streams), block=int(BLOCK_S * 1000))
            if not got:
                yield None
            for key, rows in got or []:
                for i, fields in rows:
                    streams[key] = i
                    yield _event(names.get(key), i, fields)
    finally:
        client.close()
