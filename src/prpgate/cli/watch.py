"""watch: everything that happens, as it happens."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from .. import ops
from ..cells import cut, plain
from ..errors import OK, StoreDown, UsageError
from ..interrupts import alike
from ..messages import feed
from ..messages import lane as words
from ..messages import mail as say
from ..output import width

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from ..events import Event
    from ..output import Output

SPAN = re.compile(r"([0-9]{1,6})([smhd])")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
EVENT_ID = re.compile(r"[0-9]{1,15}-[0-9]{1,15}")


def watch(args: argparse.Namespace, out: Output) -> int:
    """Never ends by itself. One line for an event; notes about the store go to stderr."""
    from .. import events
    from ..messages import prps as prp_words

    span = SPAN.fullmatch(args.since or "")
    if args.since and not span and not EVENT_ID.fullmatch(args.since):
        raise UsageError(
            "--since wants a time (30s, 10m, 1h, 2d) or an event's id.",
            code="usage",
            next_action="prp watch --since 1h",
        )
    kinds = _kinds(args.event)
    session = ops.Session(url=args.redis_url, command=False)
    store = session.store()
    lane = session.lanes(args.lane)[0] if args.lane else None
    ids: tuple[str, ...] = ()
    if args.prp:
        state = ops.read_state(session)
        found = state.resolve(args.prp)
        if found is None:
            raise prp_words.unknown(args.prp, state)
        ids = found.ids
    after = events.since(store, int(span[1]) * UNITS[span[2]]) if span else args.since or "$"

    def wanted(e: Event, gone: Callable[[StoreDown], None]) -> bool:
        if (lane is not None and e.lane != lane) or (kinds and e.event not in kinds):
            return False
        if args.agent and e.agent != args.agent:
            return False
        while ids:
            try:
                return events.about(store, e, ids)
            except StoreDown as down:  # the next wait would find it too, but this event is in hand
                gone(down)
                time.sleep(events.BACK_S)
        return True

    return follow(session, after, out, wanted)


def _kinds(given: Sequence[str]) -> frozenset[str]:
    """Names of events, as they were given: several options, or several in one, with commas."""
    from difflib import get_close_matches

    found = [name.strip() for text in given for name in text.split(",") if name.strip()]
    for name in found:
        if name not in feed.KNOWN:
            raise feed.no_event(name, get_close_matches(name, feed.KNOWN, n=1))
    return frozenset(found)


def follow(
    session: ops.Session,
    after: str,
    out: Output,
    wanted: Callable[[Event, Callable[[StoreDown], None]], bool],
) -> int:
    """One line for every event that is wanted, until somebody ends it. A store that goes away is waited for."""
    from .. import events, registry

    store, me = session.store(), session.caller.agent
    known = registry.beat(store, session.caller)
    mine = {"@all", *(f"@{r}" for r in session.caller.roles), *([f"@{known.role}"] if known.role else [])}
    boxes = (store.keys.mailbox(me), store.keys.mail_shared)
    away = False

    def gone(e: StoreDown) -> None:
        nonlocal away
        if not away:
            out.note(say.store_away(e), colour="yellow")
        away = True

    with alike():
        out.note(say.WATCHING)
        for event in events.follow(store, after, None, boxes, gone):
            if away:
                away = False
                out.note(say.STORE_BACK, colour="green")
            if event is None:
                registry.beat_now_and_then(session.repo, store)
            elif event.event == "message" and event.lane is None and (event.agent == me or event.to not in (me, *mine)):
                continue
            elif wanted(event, gone):
                _tell(event, out)
    return OK


def _tell(e: Event, out: Output) -> None:
    if out.json:
        out.line(**ops.feed_json(e))
        return
    columns = out.columns()  # each time: it may have been resized
    at = words.moment(e.id) + "  "
    if columns is None:
        out.spans([(at, ""), ("  ".join(map(plain, feed.parts(e))), "")])
        return
    # The date goes first where there is little room.
    at = at if columns >= 60 else at[6:]
    told = cut(plain("  ".join(feed.parts(e))), columns - width(at))
    out.spans([(cut(at, columns), "dim"), (told, feed.colour(e) or "")])
