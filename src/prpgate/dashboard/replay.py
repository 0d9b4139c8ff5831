"""GET /api/events: what happened in any past hour that the streams still hold, a page at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .. import events
from ..errors import UsageError
from . import cursor as cursors
from . import reading
from .cursor import PRPS, Cursor, stream_of
from .shapes import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..store.client import Store
    from .board import Board
    from .shapes import EventsShape

USUAL, MOST = 200, 1000
LAST = 2**63 - 1  # the second half of the last id that a millisecond can have, as far as a cursor says it


def page(store: Store, board: Board, asked: Mapping[str, str]) -> EventsShape:
    """`from`, `to` (ISO 8601; both inclusive), `after` (the cursor of the page before), `limit`. Raises StoreDown;
    UsageError for a question that cannot be understood."""
    since, until = _time(asked, "from"), _time(asked, "to")
    limit = _limit(asked.get("limit", ""))
    after = asked.get("after", "")
    place = cursors.parse(after) if after else None
    if after and (place is None or place.store != board.store_mark):
        raise UsageError("that cursor is of no use here.", code="cursor", hint="Ask without it.")
    lanes: dict[str, str | None] = {PRPS: None, **{stream_of(n): n for n in board.lanes}}
    begin = f"{since - 1}-{LAST}" if since else "0-0"
    read = {s: (place.of(s) if place else begin) for s in lanes}
    read = {s: max(i, begin, key=events.order) for s, i in read.items()}
    upto = f"{until}-{LAST}" if until is not None else "+"
    found = [(e, s) for s, n in lanes.items() for e in events.between(store, n, read[s], upto, limit + 1)]
    found.sort(key=lambda one: events.order(one[0].id))
    for e, stream in found[:limit]:
        read[stream] = e.id
    further = str(Cursor.at(board.store_mark, "", read)) if len(found) > limit else None
    return {"schema": SCHEMA, "events": [reading.event_shape(e) for e, _ in found[:limit]], "next": further}


def _time(asked: Mapping[str, str], name: str) -> int | None:
    """Milliseconds since 1970."""
    text = asked.get(name)
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        ms = int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        ms = -1
    if ms < 0:
        raise UsageError(f"{name} wants a time such as 2026-01-31T09:00:00Z.", code="time")
    return ms if name == "from" or "." in text else ms + 999  # a second is meant whole


def _limit(text: str) -> int:
    if not text:
        return USUAL
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MOST:
        raise UsageError(f"limit wants a number from 1 to {MOST}.", code="limit")
    return int(text)
