"""watch: everything that happens, as it happens."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from .. import ops
from ..errors import OK, StoreDown, UsageError
from ..interrupts import alike
from ..messages import lane as words
from ..messages import mail as say

if TYPE_CHECKING:
    import argparse

    from ..events import Event
    from ..output import Output

SPAN = re.compile(r"([0-9]{1,6})([smhd])")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
EVENT_ID = re.compile(r"[0-9]{1,15}-[0-9]{1,15}")


def watch(args: argparse.Namespace, out: Output) -> int:
    """Never ends by itself. One line for an event; notes about the store go to stderr."""
    from .. import events, registry
    from ..messages import prps as prp_words

    span = SPAN.fullmatch(args.since or "")
    if args.since and not span and not EVENT_ID.fullmatch(args.since):
        raise UsageError(
            "--since wants a time (30s, 10m, 1h, 2d) or an event's id.",
            code="usage",
            next_action="prp watch --since 1h",
        )
    session = ops.Session(url=args.redis_url)
    store = session.store()
    lane = session.lanes(args.lane)[0] if args.lane else None
    ids: tuple[str, ...] = ()
    if args.prp:
        state = ops.read_state(session)
        found = state.resolve(args.prp)
        if found is None:
            raise prp_words.unknown(args.prp, state)
        ids = found.ids
    me = session.caller.agent
    known = registry.beat(store, session.caller)
    mine = {"@all", *(f"@{r}" for r in session.caller.roles), *([f"@{known.role}"] if known.role else [])}
    after = events.since(store, int(span[1]) * UNITS[span[2]]) if span else args.since or "$"
    boxes = (store.keys.mailbox(me), store.keys.mail_shared)

    def wanted(e: Event) -> bool:
        if e.event == "message" and e.lane is None and (e.agent == me or e.to not in (me, *mine)):
            return False
        if lane is not None and e.lane != lane:
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
            elif wanted(event):
                _tell(event, out)
    return OK


def _tell(e: Event, out: Output) -> None:
    if out.json:
        shape = {"id": e.id, "time": ops.iso(e.at_ms), "lane": e.lane, "event": e.event, "prp": e.prp}
        out.line(**shape, agent=e.agent, fence=e.fence, sha=e.sha, detail=e.detail, to=e.to)
        return
    what = e.lane or e.prp or "-"
    parts = [words.moment(e.id), what, e.event, e.agent or "", (e.sha or "")[:10]]
    if e.event == "message":
        parts[1] = e.prp or "-"
        parts.append(f"to {e.to}")
    parts.append(e.detail)
    out.say("  ".join(say.cut(p) for p in parts if p))
