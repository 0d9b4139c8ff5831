"""top: the lanes and the board in one live screen."""

from __future__ import annotations

import importlib.util
import time
from typing import TYPE_CHECKING

from .. import events, known_names, ops, overview, terminal, top_page
from ..errors import OK
from ..messages import top as say
from ..output import inert

if TYPE_CHECKING:
    import argparse

    from ..live_overview import LiveOverview
    from ..output import Output
    from ..top_page import View

TICK_S = 1.0


def top(args: argparse.Namespace, out: Output) -> int:
    """Ends with q or a signal. Without a terminal, or without rich: once in lines, then one line an event."""
    session = ops.Session(url=args.redis_url, command=False)
    live = not args.once and not out.json
    if live and terminal.can_show():
        if importlib.util.find_spec("rich") is not None:
            return _screen(session, args.lane)
        out.note(say.no_rich(), colour="yellow")
    after = events.since(session.store(), 0)
    seen = overview.read(session, args.lane)
    if out.json:
        _answer(seen, out)
        return OK
    known_names.note_agents(session.repo.common_dir, [a.name for a in seen.agents])
    columns = out.columns() or top_page.WIDE
    for row in top_page.lines(seen, columns):
        out.spans(row)
    if live:
        from .watch import follow

        return follow(session, after, out, lambda e, _: args.lane is None or e.lane == args.lane)
    return OK


def _answer(seen: overview.Overview, out: Output) -> None:
    out.answer(
        **overview.to_json(seen),
        agents=[ops.agent_json(a) for a in seen.agents],
        events=[ops.feed_json(e) for e in seen.events],
    )


def _screen(session: ops.Session, lane: str | None) -> int:
    from ..live_overview import LiveOverview

    shown: list[terminal.Terminal] = []

    def changed() -> None:
        for screen in shown:
            screen.wake()

    with LiveOverview(session, lane, changed) as live, terminal.Terminal() as screen:
        shown.append(screen)
        known_names.note_agents(session.repo.common_dir, [a.name for a in live.seen.agents])
        code = _look_on(live, screen)
    if live.failed:
        raise live.failed
    if code is None:
        raise KeyboardInterrupt
    return code


def _look_on(live: LiveOverview, screen: terminal.Terminal) -> int | None:
    """Draw until somebody ends it: OK for q, None for a signal."""
    view = top_page.View()
    while live.failed is None:
        away = live.away
        since = time.monotonic() - live.away_since if away else 0.0
        view = view._replace(away=inert(away.message) if away else "", away_s=since)
        screen.draw(top_page.page(live.seen, view, screen.size()))
        came = screen.wait(TICK_S - time.time() % TICK_S)
        if came.ended:
            return None
        for key in came.keys:
            if key in ("q", "Q"):
                return OK
            view = _turned(view, key, live.seen)
    return OK


STEPS = {"j": 1, "k": -1, "J": 10, "K": -10}


def _turned(view: View, key: str, seen: overview.Overview) -> View:
    if key == "l" and seen.lanes:
        return view._replace(lane=(view.lane + 1) % len(seen.lanes))
    if key in STEPS:
        last = max(0, top_page.board_lines(seen) - 1)
        return view._replace(scroll=min(last, max(0, view.scroll + STEPS[key])))
    return view
