"""What happened: the stream of PRP events and the lanes' logs, oldest first. Scripts write them, nobody edits them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import StoreDown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable, Iterator

    from .store.client import Store

BLOCK_S = 8.0
NEW_LANE_S = 1.0  # how soon a lane that was never used before is noticed
BACK_S = 0.5  # how often to ask whether a store that went away is back
PAGE = 500  # events of one stream in one answer
NOT_OURS = ("store-other", "store-empty")  # waiting does not help: another server answers there


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
    to: str | None = None  # of a message


def event_of(lane: str | None, key: str, fields: dict[str, str]) -> Event:
    """An entry of a lane's log, or of the stream of PRP events (`lane` None), as a value."""
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
    return [event_of(lane, i, f) for i, f in reversed(rows)]


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


def between(store: Store, lane: str | None, after: str, upto: str = "+", most: int | None = None) -> Iterator[Event]:
    """Events of PRPs, or of one lane, behind one id up to another, oldest first. Raises StoreDown."""
    client: Any = store.redis
    key = store.keys.events if lane is None else store.keys.lane(lane).log
    left = PAGE if most is None else most
    while left > 0:
        with store.faults():
            rows = client.xrange(key, f"({after}", upto, count=min(PAGE, left))
        yield from (event_of(lane, i, f) for i, f in rows)
        if len(rows) < min(PAGE, left):
            return
        after, left = rows[-1][0], left if most is None else left - len(rows)


def _all(store: Store, lane: str | None, key: str, page: int = 1000) -> Iterator[Event]:
    client: Any = store.redis
    start = "-"
    while True:
        with store.faults():
            rows = client.xrange(key, start, "+", count=page)
        yield from (event_of(lane, i, f) for i, f in rows)
        if len(rows) < page:
            return
        start = f"({rows[-1][0]}"


def follow(
    store: Store,
    after: str = "$",
    lanes_too: Iterable[str] | None = (),
    boxes: Iterable[str] = (),
    on_away: Callable[[StoreDown], None] | None = None,
) -> Generator[Event | None, None, None]:
    """Every event from now on (or after a stream id), each once, in the order of the server's clock; None each time a
    wait ends without one.

    `lanes_too` None: every lane, also one that is first used later. `boxes`: streams of mailboxes, whose entries come
    as events "message". Holds a connection of its own. Ends when the caller stops asking. Raises StoreDown; with
    `on_away` it calls that instead, waits until the store is back, and goes on where it was.
    """
    names: dict[str, str | None] = {store.keys.events: None, **dict.fromkeys(boxes)}
    mail = set(boxes)
    names |= {store.keys.lane(name).log: name for name in (lanes(store) if lanes_too is None else lanes_too)}
    read = _last(store, names) if after == "$" else dict.fromkeys(names, after)
    block_s = NEW_LANE_S if lanes_too is None else BLOCK_S
    client: Any = store.blocking(block_s)
    away = False
    try:
        while True:
            try:
                if away:
                    store.check_still_ours()
                with store.faults():
                    for name in client.smembers(store.keys.lanes) if lanes_too is None else ():
                        if (log := store.keys.lane(name).log) not in names:
                            names[log], read[log] = name, "0-0" if after == "$" else after
                    got = client.xread(dict(read), count=PAGE, block=int(block_s * 1000))
            except StoreDown as e:
                if on_away is None or e.code in NOT_OURS:
                    raise
                if not away:
                    on_away(e)
                away = True
                time.sleep(BACK_S)
                continue
            away = False
            if not got:
                yield None
            for key, i, fields in _in_order(got or []):
                read[key] = i
                yield _message(i, fields) if key in mail else event_of(names[key], i, fields)
    finally:
        client.close()
        client.connection_pool.disconnect()


def _in_order(got: list[tuple[str, list[tuple[str, dict[str, str]]]]]) -> list[tuple[str, str, dict[str, str]]]:
    """(stream, id, fields) of several streams, oldest first; of a stream that has more, nothing behind its page."""
    horizon = min((order(rows[-1][0]) for _, rows in got if len(rows) == PAGE), default=None)
    found = sorted(((order(i), key, i, fields) for key, rows in got for i, fields in rows), key=lambda x: x[:2])
    return [(key, i, fields) for at, key, i, fields in found if horizon is None or at <= horizon]


def _last(store: Store, keys: Iterable[str]) -> dict[str, str]:
    """The last id of each stream now: "$" in each call would lose what comes between two calls."""
    client: Any = store.redis
    keys = list(keys)
    with store.faults():
        pipe = client.pipeline(transaction=True)
        for key in keys:
            pipe.xrevrange(key, "+", "-", count=1)
        return {key: rows[0][0] if rows else "0-0" for key, rows in zip(keys, pipe.execute(), strict=True)}


def order(stream_id: str) -> tuple[int, int]:
    """What stream ids are sorted by."""
    ms, _, n = stream_id.partition("-")
    return int(ms), int(n or 0)


def since(store: Store, seconds: float) -> str:
    """The stream id after which everything is younger than that, by the server's clock. Raises StoreDown."""
    client: Any = store.redis
    with store.faults():
        now_s, micros = client.time()
    return f"{max(0, int(now_s * 1000 + micros / 1000 - seconds * 1000))}-0"


def _message(key: str, fields: dict[str, str]) -> Event:
    detail = f"{fields.get('priority', '')} {fields.get('id', '')}"
    to, prp = fields.get("to"), fields.get("prp") or None
    return Event(key, order(key)[0], None, "message", prp, fields.get("from"), None, None, detail, to)


def about(store: Store, event: Event, ids: Collection[str]) -> bool:
    """Whether an event is about a PRP (any of its ids): its own, or of a landing that names it. Raises StoreDown."""
    if event.lane is None:
        return event.prp in ids
    if event.sha is None:
        return False
    client: Any = store.redis
    with store.faults():
        text = client.hget(store.keys.lane(event.lane).rec, event.sha)
    return text is not None and any(_names(text, prp_id) for prp_id in ids)
