"""What the script level sees of the store itself after each step, and what must hold from one such look to the next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.chaos.checker import FINAL, TO_SOMEBODY, Violation
from tests.chaos.story import Event

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from prpgate.store.keys import LaneKeys

RANK = {"foreign": 1, "late": 2, "landed": 3}


class Stored(NamedTuple):
    """One lane as it is stored, at a moment of the server's clock."""

    now_ms: float
    s: dict[str, str]
    queue: dict[str, int]  # ticket -> number
    alive: dict[str, int]
    reserved: dict[str, int]
    used: frozenset[str]
    who: dict[str, dict[str, Any]]
    kept: dict[str, str]
    records: dict[str, str]  # head -> record
    verdicts: dict[str, str]
    events: tuple[Event, ...]  # since the last look
    last: str  # id of the last event

    @property
    def remembers(self) -> tuple[object, ...]:
        """What a restart must not change."""
        return self.s, self.queue, self.used, self.kept, self.records, self.verdicts


def look(client: redis.Redis, keys: LaneKeys, since: str) -> Stored:
    """Read it all in one transaction."""
    with client.pipeline(transaction=True) as pipe:
        pipe.time()
        for key in (keys.s, keys.i, keys.kept, keys.rec, keys.v):
            pipe.hgetall(key)
        for key in (keys.q, keys.a, keys.r):
            pipe.zrange(key, 0, -1, withscores=True)
        pipe.smembers(keys.u)
        pipe.xrange(keys.log, f"({since}" if since else "-", "+")
        (seconds, micros), s, who, kept, records, verdicts, q, a, r, used, log = pipe.execute()
    return Stored(
        seconds * 1000 + micros / 1000,
        s,
        numbers(q),
        numbers(a),
        numbers(r),
        frozenset(used),
        {t: json.loads(x) for t, x in who.items()},
        {h: json.loads(x).get("base", "") for h, x in kept.items()},
        {h: json.loads(x)["record"] for h, x in records.items()},
        {k: json.loads(x)["result"] for k, x in verdicts.items()},
        tuple(event(f) for _, f in log),
        log[-1][0] if log else since,
    )


def numbers(scores: list[tuple[str, float]]) -> dict[str, int]:
    return {member: int(score) for member, score in scores}


def event(f: dict[str, str]) -> Event:
    return Event(f["event"], int(f.get("fence") or 0), f.get("agent", ""), f.get("sha", ""), f.get("detail", ""))


def step(before: Stored, after: Stored) -> Iterator[Violation]:
    """What no single step may do, as long as the store forgets nothing."""
    for key, result in before.verdicts.items():
        if result in FINAL and after.verdicts.get(key) != result:
            yield Violation("8 written once", f"{key}: {result} became {after.verdicts.get(key)}")
    for head, record in before.records.items():
        now = after.records.get(head, "")
        if RANK.get(record, 0) > RANK.get(now, 0):
            yield Violation("6 never taken back", f"{head[:10]}: {record} became {now or 'nothing'}")
    if int(after.s.get("fence", 0)) < int(before.s.get("fence", 0)):
        yield Violation("3 fences grow", f"{before.s.get('fence')} became {after.s.get('fence')}")
    yield from order(before, after)
    yield from windows(before, after)
    yield from rest(after)


def order(before: Stored, after: Stored) -> Iterator[Violation]:
    """A grant while a lower ticket was there all the time, and eligible all the time."""
    grants = [e for e in after.events if e.event in TO_SOMEBODY and e.detail != "server"]
    if len(grants) != 1:
        return
    got = grants[0]
    late = {e.agent for e in after.events if e.event == "expired"}  # their offer ran out: they were absent for a moment
    for ticket, number in before.queue.items():
        if (
            ticket in late
            or ticket == got.agent
            or number >= before.queue.get(got.agent, after.queue.get(got.agent, 1 << 62))
        ):
            continue
        was = before.alive.get(ticket, 0) > after.now_ms and ticket in after.queue
        still = after.alive.get(ticket, 0) > after.now_ms
        shut = any("closed" in one.s for one in (before, after)) or any(e.event == "close" for e in after.events)
        if was and still and (not shut or before.who[ticket].get("fixer")):
            yield Violation("5 ticket order", f"'{got}', while {ticket} stood before it with number {number}")


def rest(now: Stored) -> Iterator[Violation]:
    """What no script may leave behind: a free lane while somebody waits, a holder who waits for itself."""
    if now.s.get("state", "free") == "free" and "window" not in now.s:
        for ticket, until in now.alive.items():
            if until > now.now_ms and ("closed" not in now.s or now.who[ticket].get("fixer")):
                yield Violation("5 handed over", f"the lane is free, and {ticket} waits")
    if now.s.get("state") == "held" and now.s.get("phase") in ("claimed", "intent"):
        over_ms = int(now.s["deadline"]) - int(now.s["cap"])
        if over_ms > 0:
            yield Violation("4 never past the cap", f"the hold may last {over_ms} ms longer than its cap")
        for ticket, who in now.who.items():
            if who.get("hold") == now.s["holder"]:
                yield Violation("3 same answer again", f"{ticket} holds the lane and stands in line for it")


def windows(before: Stored, after: Stored) -> Iterator[Violation]:
    """A window opens for a ticket that had none; who has had one keeps having had it."""
    gone = {t for t in before.used - after.used if after.queue.get(t) == before.queue.get(t)}
    if gone:
        yield Violation("7 one window", f"{', '.join(sorted(gone))} may have another window")
    opened = [e for e in after.events if e.event == "window"]
    # A ticket that was forgotten and stands in line again has another number, and may have a window again.
    fresh = {t for t in after.used if t not in before.used or after.queue.get(t) != before.queue.get(t)}
    if len(opened) == 1 and not fresh and "window" in after.s and "window" not in before.s:
        yield Violation("7 one window", "a window opened, and nobody's was used for it")
