"""What people are to be told outside of prpgate, as the store keeps it: noticed once, taken by one, told or given up.

At least once, in practice once: who took a telling and died is followed by another after HOLD_S. Everything that is
told carries its cause, so a receiver can tell a second time from the first.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .store.client import Store

HOLD_S = 60.0  # a telling is its taker's for so long; delivering takes no longer than a quarter of it
RETRY_S = (5, 15, 60, 300, 900)  # after the first, second ... try
TRIES = len(RETRY_S) + 1


class Telling(NamedTuple):
    """One thing to tell, and what came of it so far."""

    id: str  # its cause: "<lane, or prps>:<id in that stream>:<event>"
    event: str  # a name out of config.NOTIFY_EVENTS
    at_ms: int  # of the server's clock
    lane: str | None
    prp: str | None
    agent: str | None
    sha: str | None
    detail: str
    tries: int
    error: str | None = None
    by: str | None = None  # who took it last
    ended_ms: int | None = None


class Noticed(NamedTuple):
    """One look."""

    due: int
    next_s: float | None  # until the first may be taken
    after: dict[str, str]  # stream -> the last id that was seen


class Taken(NamedTuple):
    """One that is ours to tell, or how long to wait for one."""

    one: Telling | None
    token: str
    next_s: float | None


class Summary(NamedTuple):
    """Everything that is kept."""

    due: list[Telling]
    told: list[Telling]  # newest first
    dead: list[Telling]
    dropped: int  # found no room among what is due
    deliverer: dict[str, Any] | None  # who last asked for something to deliver: agent, host, at (ms)
    now_ms: int


def _keys(store: Store) -> list[str]:
    return [store.keys.notify(part) for part in ("places", "due", "when", "told", "dead")]


def look(store: Store, events: Sequence[str], lanes: Sequence[str], agent: str, host: str) -> Noticed:
    """Take notice of what happened since anybody's last look; who looks means to deliver. Raises StoreDown."""
    streams = [store.keys.events, *(store.keys.lane(name).log for name in lanes)]
    asked = _dump({"events": list(events), "lanes": list(lanes), "who": {"agent": agent, "host": host}})
    answer = store.run("notify_look", [*_keys(store), *streams], [asked])
    return Noticed(int(answer["due"]), _seconds(answer), dict(zip(streams, answer["at"], strict=True)))


def take(store: Store, agent: str) -> Taken:
    """Raises StoreDown."""
    token = uuid.uuid4().hex
    answer = store.run("notify_take", _keys(store), [agent, token, int(HOLD_S * 1000), TRIES])
    return Taken(_telling(answer["one"]) if answer.get("one") else None, token, _seconds(answer))


def done(store: Store, taken: Taken, why_not: str | None) -> str:
    """ "told", "again", "dead", or "lost" to another taker. Raises StoreDown."""
    assert taken.one is not None
    tries = taken.one.tries
    wait_ms = RETRY_S[min(tries, len(RETRY_S)) - 1] * 1000
    args = [taken.one.id, taken.token, "" if why_not else "1", why_not or "", wait_ms, TRIES]
    return str(store.run("notify_done", _keys(store), args)["outcome"])


def summary(store: Store) -> Summary:
    """Raises StoreDown."""
    places, due, _, told, dead = _keys(store)
    client: Any = store.redis
    with store.faults():
        pipe = client.pipeline(transaction=False)  # MULTI is not among the least rights
        pipe.hgetall(places)
        pipe.hvals(due)
        pipe.xrevrange(told, "+", "-")
        pipe.xrevrange(dead, "+", "-")
        pipe.time()
        known, waiting, ok, bad, now = pipe.execute()
    who = json.loads(known["deliverer"]) if "deliverer" in known else None
    found = sorted((_telling(json.loads(text)) for text in waiting), key=lambda t: (t.at_ms, t.id))
    gone, lost = ([_telling(json.loads(fields["one"])) for _, fields in rows] for rows in (ok, bad))
    return Summary(found, gone, lost, int(known.get("dropped", 0)), who, int(now[0] * 1000 + now[1] / 1000))


def _dump(value: dict[str, Any]) -> str:
    """JSON as the store's reader takes it."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()


def _seconds(answer: dict[str, Any]) -> float | None:
    ms = answer.get("next_ms")
    return None if ms is None else float(ms) / 1000


def _telling(raw: dict[str, Any]) -> Telling:
    return Telling(
        id=raw["id"],
        event=raw["event"],
        at_ms=int(raw["at"]),
        lane=raw.get("lane") or None,
        prp=raw.get("prp") or None,
        agent=raw.get("agent") or None,
        sha=raw.get("sha") or None,
        detail=raw.get("detail") or "",
        tries=int(raw["tries"]),
        error=raw.get("error"),
        by=raw.get("by"),
        ended_ms=int(raw["ended"]) if raw.get("ended") else None,
    )
