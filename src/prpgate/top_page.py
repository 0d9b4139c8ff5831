"""The live screen as lines: an overview and a size in, styled text out. Nothing here asks, waits or prints.

Every line fits its width, and there are never more of them than the height. What does not fit goes in the order of
`SHARES`: what is least telling is cut first.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from . import overview
from .cells import cut, fill, plain
from .messages import feed
from .messages import lane as words
from .messages import top as say
from .messages.land import turn
from .messages.mail import held as held_words
from .messages.mail import seen as seen_words
from .model import STATUSES
from .output import width

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .events import Event
    from .lane_state import LaneState
    from .overview import LaneView, Overview

    Rows = Callable[[int], list["Row"]]

Span = tuple[str, str]  # text, style ("" for none)
Row = tuple[Span, ...]
WIDE = 10_000  # cells of a page that is not on a screen: nothing is cut

# Who gets lines, in this order: (section, up to so many lines). A section takes no more than it has to say.
SHARES = (
    *(("head", 1), ("away", 1), ("lane", 2), ("board", 1), ("queue", 1), ("strip", 1), ("board", 3)),
    *(("ready", 1), ("agents", 1), ("events", 1), ("others", 1), ("board", 5), ("queue", 3), ("foot", 1)),
    *(("events", 3), ("ready", 3), ("agents", 3), ("others", 3), ("board", 9), ("queue", 5), ("events", 6)),
    *(("ready", 5), ("agents", 5), ("board", 99), ("queue", 99), ("others", 99)),
    *(("agents", 99), ("ready", 99), ("events", 99)),
)
ORDER = ("head", "away", "lane", "queue", "strip", "others", "board", "ready", "agents", "events")
TABLE_HEAD_FROM = 18  # lines of a screen that has room for the names of columns


class View(NamedTuple):
    """What the person who looks has chosen, and what is known beside the overview."""

    lane: int = 0  # which lane is shown in full
    scroll: int = 0  # lines of the board that are passed over
    away: str = ""  # why the store does not answer; "" while it does
    away_s: float = 0.0


def page(seen: Overview, view: View, size: tuple[int, int], now: float | None = None) -> list[Row]:
    """Exactly the lines of the screen: none wider than `size[0]` cells, and `size[1]` of them.

    `now`: time.monotonic(), to tell how long ago the overview was read.
    """
    columns, lines = size
    if columns < 8 or lines < 3:
        return [_row(columns, (say.too_small(columns, lines), ""))] + [()] * (lines - 1)
    seen, gone_s = _aged(seen, now)
    sections = _sections(seen, view, columns, lines, gone_s)
    share = dict.fromkeys((*ORDER, "foot"), 0)
    left = lines
    for name, most in SHARES:
        most = min(most, sections[name][0]) - share[name]
        if most > 0 and left > 0:
            share[name] += min(most, left)
            left -= min(most, left)
    found = [row for name in ORDER for row in sections[name][1](share[name])[: share[name]]]
    found += [()] * (lines - share["foot"] - len(found))
    return found + sections["foot"][1](share["foot"])[: share["foot"]]


def lines(seen: Overview, columns: int = WIDE) -> list[Row]:
    """The same once, all of it, for a pipe or a file; cut to the columns of a terminal."""
    seen, gone_s = _aged(seen, None)
    found: list[Row] = []
    for n in range(len(seen.lanes)):
        view = View(lane=n)
        parts = _sections(seen, view, columns, 0, gone_s)
        found += [row for name in ("lane", "queue", "strip") for row in parts[name][1](parts[name][0])]
    parts = _sections(seen, View(), columns, WIDE, gone_s)
    for name in ("board", "ready", "agents", "events"):
        found += parts[name][1](max(2, parts[name][0]))
    return found


def board_lines(seen: Overview) -> int:
    """Lines that the board can be scrolled by."""
    return len(seen.working)


def _aged(seen: Overview, now: float | None) -> tuple[Overview, float]:
    """The overview with its lanes' times as they are now, and how long ago it was read."""
    gone_s = max(0.0, (time.monotonic() if now is None else now) - seen.read_at)
    return seen._replace(lanes=tuple(o._replace(state=_later(o.state, gone_s * 1000)) for o in seen.lanes)), gone_s


def _later(state: LaneState, ms: float) -> LaneState:
    h, c = state.holder, state.closed
    return state._replace(
        holder=h and h._replace(since_ms=h.since_ms + ms, deadline_ms=h.deadline_ms - ms),
        closed=c and c._replace(since_ms=c.since_ms + ms),
        queue=tuple(
            t._replace(since_ms=t.since_ms + ms, reserved_ms=max(0.0, t.reserved_ms - ms)) for t in state.queue
        ),
        window_ms=max(0.0, state.window_ms - ms),
    )


def _row(columns: int, *spans: Span) -> Row:
    """One line: plain text, cut where the columns end."""
    found: list[Span] = []
    for text, style in spans:
        shown = cut(plain(text), columns)
        columns -= width(shown)
        if shown:
            found.append((shown, style))
        if columns <= 0:
            break
    return tuple(found)


def _first_that_fits(tellings: Sequence[str], columns: int) -> str:
    return next((t for t in tellings if width(plain(t)) <= columns), tellings[-1])


# --- sections: how many lines there are to say, and the first n of them ----------------------------------------------
def _sections(seen: Overview, view: View, columns: int, height: int, gone_s: float) -> dict[str, tuple[int, Rows]]:
    chosen = seen.lanes[view.lane % len(seen.lanes)] if seen.lanes else None
    lane = _lane(chosen.state, columns) if chosen else []
    queue = _queue(chosen.state, columns) if chosen else []
    strip = [_strip(chosen, columns, seen.now_ms + gone_s * 1000)] if chosen else []
    others = [_other(o.state, columns) for o in seen.lanes if o is not chosen]
    found: dict[str, tuple[int, Rows]] = {
        "head": _all([_head(seen, columns)]),
        "away": _all([_row(columns, (say.away(view.away, view.away_s), "red"))] if view.away else []),
        "lane": _all(lane),
        "queue": (len(queue), lambda n: _some(queue, n, columns)),
        "strip": _all(strip),
        "others": (len(others), lambda n: _some(others, n, columns)),
        "board": (
            1 + max(1, len(seen.working)) + (height >= TABLE_HEAD_FROM),
            lambda n: _board(seen, view, columns, n, gone_s, headed=height >= TABLE_HEAD_FROM),
        ),
        "ready": _listed(say.ready(len(seen.ready)), _ready(seen, columns), _ready_short(seen), columns),
        "agents": _agents(seen, columns, gone_s),
        "events": _events(seen, columns),
        "foot": _all([_row(columns, (say.KEYS if len(seen.lanes) > 1 else say.KEYS_ONE, "dim"))]),
    }
    return found


def _all(rows: list[Row]) -> tuple[int, Rows]:
    return len(rows), lambda n: rows[:n]


def _some(rows: list[Row], n: int, columns: int) -> list[Row]:
    """The first n; the last line says how many more there are."""
    if len(rows) <= n or n < 2:
        return rows[:n]
    return [*rows[: n - 1], _row(columns, (f"  … {say.more(len(rows) - n + 1)}", "dim"))]


def _head(seen: Overview, columns: int) -> Row:
    right = say.wall_clock(time.time())
    room = columns - width(right) - 2
    if room < 8:
        return _row(columns, (f"prp {right}", "bold"))
    return _row(columns, (fill(plain(f"prp top  {seen.project}"), room), "bold"), ("  " + right, "dim"))


def _lane(state: LaneState, columns: int) -> list[Row]:
    sign = say.sign(state)
    front: list[Span] = [(f"{cut(plain(state.name), max(4, columns // 3))}  ", "bold")]
    front.append((f"{sign}  ", "red" if state.closed else "green"))
    room = columns - sum(width(plain(t)) for t, _ in front)
    waiting = say.lanes_in_line(len(state.queue))
    told = _first_that_fits(say.holder(state), columns - 2)
    rows = [_row(columns, *front, (cut(f"fence {state.fence}, {waiting}" if room > 30 else waiting, room), "dim"))]
    if width(plain(told)) <= room:  # a short one goes on the first line
        rows = [_row(columns, *front, (told, ""))]
        if width(plain(told)) + width(waiting) + 2 <= room:
            rows = [_row(columns, *front, (told, ""), (f"  {waiting}", "dim"))]
    else:
        rows.append(_row(columns, (f"  {told}", "")))
    if state.closed:
        rows.insert(1, _row(columns, (f"  {say.closed(state)}", "red")))
    return rows


def _queue(state: LaneState, columns: int) -> list[Row]:
    found = []
    for t in state.queue:
        when = turn(state, t.position)
        told = _first_that_fits(say.place(t, when[0] if when else None), columns - 2)
        found.append(_row(columns, (f"  {told}", "" if t.kind == "waiting" else "dim")))
    return found


def _strip(one: LaneView, columns: int, now_ms: float) -> Row:
    if not one.strip:
        return _row(columns, (f"  {say.NOTHING_LANDED}", "dim"))
    last = one.strip[-1]
    ago = words.span((now_ms - last.at_ms) / 1000)
    told = f"  {last.sha[:7]} {last.agent or 'somebody'} {last.verdict}, {ago} ago"
    room = columns - len("  landed ")
    told = told if width(plain(told)) + 12 <= room else f"  {ago} ago"
    marks = one.strip[-max(1, room - width(plain(told))) :]
    spans = [(say.STRIP[x.verdict], say.COLOURS[x.verdict] or "") for x in marks]
    return _row(columns, ("  landed ", "dim"), *spans, (told, "dim"))


def _other(state: LaneState, columns: int) -> Row:
    room = columns - width(plain(state.name)) - len(say.sign(state)) - 4
    told = _first_that_fits(say.holder(state), room)
    return _row(
        columns, (state.name, "bold"), (f"  {say.sign(state)}", "red" if state.closed else ""), (f"  {told}", "")
    )


# --- the board --------------------------------------------------------------------------------------------------------
def _board(seen: Overview, view: View, columns: int, n: int, gone_s: float, *, headed: bool) -> list[Row]:
    if n < 1:
        return []
    counts = seen.counts()
    shown = {s: counts[s] for s in (*STATUSES, *counts)}
    found = [_row(columns, ("PRPs  ", "bold"), (say.counts(shown), ""))]
    if not seen.statuses:
        return found[:n]
    if not seen.working:
        return [*found, _row(columns, (f"  {say.NOBODY_WORKS}", "dim"))][:n]
    room = n - 1
    headed = headed and room >= 3
    rows = _table(seen, columns, gone_s, headed=headed)
    top, rows = (rows[:1], rows[1:]) if headed else ([], rows)
    room -= len(top)
    first = max(0, min(view.scroll, len(rows) - room))
    part = rows[first : first + room]
    rest = len(rows) - first - len(part)
    if rest > 0 and len(part) > 1:
        part[-1] = _row(columns, (f"  … {say.more(rest + 1)}", "dim"))
    if first > 0 and len(part) > 1:
        part[0] = _row(columns, (f"  … {say.more(first + 1)} above", "dim"))
    return [*found, *top, *part]


_MOST = (24, 20, 6, 8, 16, 6, 30)  # cells of each column but the last
_LAST = (6, 2, 5, 4)  # columns that go when the title has no room, in this order
_TITLE = 14


def _table(seen: Overview, columns: int, gone_s: float, *, headed: bool) -> list[Row]:
    now_s = seen.now_ms / 1000 + gone_s
    cells: list[list[str]] = [list(say.HEAD)] if headed else []
    styles: list[str] = ["dim"] if headed else []
    for p in seen.working:
        live = p.claim is not None and p.claim.live
        held = say.short_span(now_s - p.claim.since_ms / 1000) if p.claim and live else ""
        since = overview.seconds(overview.started_at(p))
        waits = overview.waits_for(seen, p)
        blocked = ", ".join(waits) or str((p.marks.get("blocked") or {}).get("reason") or "")
        row = [p.id, say.who(p), held, say.lease(p.claim, gone_s), say.doing(p)]
        row += ["" if since is None else say.short_span(now_s - since), blocked, p.title]
        cells.append([plain(c) for c in row])
        styles.append("red" if overview.suspect(p) else "yellow" if blocked else "")
    found = [min(_MOST[k], max(width(row[k]) for row in cells)) for k in range(len(_MOST))]
    data = cells[headed:]
    keep = [k for k in range(len(_MOST)) if any(row[k] for row in data)]

    def room() -> int:
        return columns - 2 - sum(found[k] + 2 for k in keep)

    if columns < 60:
        found[1] = min(found[1], 10)
        found[0] = min(found[0], 12)
    for k in _LAST:
        if room() < _TITLE and k in keep:
            keep.remove(k)
    rows = []
    for row, style in zip(cells, styles, strict=True):
        text = "  " + "".join(fill(row[k], found[k]) + "  " for k in keep)
        rows.append(_row(columns, (text, style), (row[-1], "dim" if style == "dim" else "")))
    return rows


# --- ready, agents, events --------------------------------------------------------------------------------------------
def _listed(title: str, rows: list[Row], short: str, columns: int) -> tuple[int, Rows]:
    """A title and rows below it; with one line only, all that fits on it."""

    def first(n: int) -> list[Row]:
        if n < 1:
            return []
        if n == 1:
            return [_row(columns, (f"{title}  ", "bold"), (short, ""))]
        return [_row(columns, (title, "bold")), *_some(rows, n - 1, columns)]

    return 1 + len(rows) if len(rows) else 1, first


def _ready(seen: Overview, columns: int) -> list[Row]:
    rows = [_row(columns, (f"  {text}", "yellow")) for text in seen.held_back]
    return rows + [_row(columns, (f"  {p.id}  {p.priority}  ", ""), (p.title, "dim")) for p in seen.ready]


def _ready_short(seen: Overview) -> str:
    return ", ".join([*seen.held_back, *(p.id for p in seen.ready)]) or say.NOTHING_READY


def _agents(seen: Overview, columns: int, gone_s: float) -> tuple[int, Rows]:
    now_s = seen.now_ms / 1000 + gone_s
    suspects = sum(a.suspect for a in seen.agents)
    rows, short = [], []
    for a in seen.agents:
        holds = ", ".join(held_words(h) for h in a.held)
        style = "red" if a.suspect else "dim" if a.silent else ""
        role = f" ({', '.join(a.roles)})" if a.roles else ""
        rows.append(_row(columns, (f"  {a.name}{role}  {seen_words(a, now_s)}  ", style), (holds, "")))
        short.append(f"{'!' if a.suspect else ''}{a.name}")
    title = say.agents(len(seen.agents), suspects)
    return _listed(title, rows, ", ".join(short) or say.NO_AGENTS, columns)


def _events(seen: Overview, columns: int) -> tuple[int, Rows]:
    """The newest last, and with few lines the newest only."""

    def told(e: Event) -> Row:
        at = say.wall_clock(e.at_ms / 1000)
        return _row(columns, (f"  {at}  ", "dim"), ("  ".join(feed.parts(e)), feed.colour(e) or ""))

    def first(n: int) -> list[Row]:
        if n < 1:
            return []
        if not seen.events:
            return [_row(columns, ("EVENTS  ", "bold"), (say.NO_EVENTS, "dim"))]
        if n == 1:
            e = seen.events[-1]
            return [_row(columns, (f"{say.wall_clock(e.at_ms / 1000)}  ", "bold"), ("  ".join(feed.parts(e)), ""))]
        return [_row(columns, ("EVENTS", "bold")), *(told(e) for e in seen.events[-(n - 1) :])]

    return 1 + len(seen.events), first
