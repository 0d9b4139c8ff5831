"""Where a reader stands in all streams at once: one short text, which is what a browser sends back as Last-Event-ID.

Each stream has ids of its own, so one id cannot say it: two streams may hold the same one, and after a jump of the
server's clock a younger event may have the smaller. A cursor is the last id that was read of each, of one store, as
it was filled (wiped and filled anew it is another), at one tip of the record.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple

from ..events import order

if TYPE_CHECKING:
    from collections.abc import Mapping

PRPS = "p"  # the stream of PRP events; a lane's log goes by a hash of the lane's name, which may be any text
TEXT = re.compile(r"1\.[0-9a-f]{12}\.[0-9a-f]{0,12}(\.(p|[0-9a-f]{12})-[0-9a-z]{1,13}-[0-9a-z]{1,13}){0,1000}")
LONGEST = 40_000  # letters: a thousand lanes, and less than what a request's head may hold
LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"
NOTHING = "0-0"


class Cursor(NamedTuple):
    """Read up to here."""

    store: str  # which store, and which filling of it
    tip: str  # the record's tip when it was read, shortened: what a sync changes is told by no event
    ids: tuple[tuple[str, str], ...]  # (stream, last id read), sorted; a stream that is missing had nothing in it

    @classmethod
    def at(cls, store: str, tip: str, ids: Mapping[str, str]) -> Cursor:
        return cls(store, tip, tuple(sorted((s, i) for s, i in ids.items() if i != NOTHING)))

    def of(self, stream: str) -> str:
        return dict(self.ids).get(stream, NOTHING)

    def covers(self, other: Cursor) -> bool:
        """Whether all that `other` has read is read here too."""
        mine = dict(self.ids)
        return self.store == other.store and all(order(i) <= order(mine.get(s, NOTHING)) for s, i in other.ids)

    def __str__(self) -> str:
        parts = []
        for stream, stream_id in self.ids:
            ms, n = order(stream_id)
            parts.append(f".{stream}-{_short(ms)}-{_short(n)}")
        return f"1.{self.store}.{self.tip}{''.join(parts)}"


def parse(text: str) -> Cursor | None:
    """A cursor out of what somebody sent; None for anything else."""
    if len(text) > LONGEST or not TEXT.fullmatch(text):
        return None
    _, store, tip, *parts = text.split(".")
    ids = {}
    for part in parts:
        stream, ms, n = part.split("-")
        ids[stream] = f"{int(ms, 36)}-{int(n, 36)}"
    return Cursor.at(store, tip, ids)


def stream_of(lane: str) -> str:
    """What a lane's log is called in a cursor."""
    return mark(lane)


def mark(*texts: str) -> str:
    """Twelve letters that stand for these texts."""
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogateescape")).hexdigest()[:12]


def _short(n: int) -> str:
    found = ""
    while True:
        n, digit = divmod(n, 36)
        found = LETTERS[digit] + found
        if not n:
            return found
