"""ci watch, ci reconcile: what the host says of landings, told to their lanes."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING

from .. import observing, ops, outside, policy
from ..errors import COULD_NOT_TELL, OK, StoreDown
from ..interrupts import alike
from ..messages import observing as say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from ..observing import News, Observer
    from ..output import Output

LATE_EVERY_S = 60.0  # landings that went on unproven are asked about less often
POLICY_EVERY_S = 30.0
COLOURS = {"green": "green", "red": "red", "unknown": "yellow"}


def watch(args: argparse.Namespace, out: Output) -> int:
    """Never ends by itself. A line for what happens, and on a terminal a live one for what goes on."""
    session = _session(args)
    store, config = session.store(), session.config
    lanes = session.lanes(args.lane)
    observer = observing.Observer(session.repo, config, store, session.agent.name)
    status = config.ci_observe == observing.STATUS
    with alike():
        out.note(say.watching(lanes, status, config.ci_check, config.ci_app, config.ci_poll_s))
        try:
            _watch(session, observer, lanes, out)
        finally:
            _leave(observer, lanes)
    return OK


def _watch(session: ops.Session, observer: Observer, lanes: list[str], out: Output) -> None:
    told: dict[str, str] = {}
    late_at = read_at = time.monotonic()
    away = False
    pulls = outside.PullWatch(session.repo, observer.config, observer.store)
    while True:
        now = time.monotonic()
        late = now >= late_at
        late_at = now + LATE_EVERY_S if late else late_at
        if now >= read_at:  # what has landed on the lane counts
            read_at = now + POLICY_EVERY_S
            observer.config = pulls.config = policy.find(session.repo) or observer.config
        standing, pause_s = [], float(observer.config.ci_poll_s)
        try:
            for name in lanes:
                pulls.attribute(name)
                found = observer.look(name, late=late)
                pause_s = max(pause_s, observer.pause_s)
                standing += [n.text for n in found if n.kind in observing.STANDING]
                _tell([*found, *pulls.look(name, found)], told, out)
            if away:
                out.note(say.STORE_BACK, colour="green")
            away = False
        except StoreDown as e:
            if not away:
                out.note(say.STORE_AWAY.format(e.message), colour="yellow")
            away = True
        _wait(pause_s, standing, out)


def _tell(found: Iterable[News], told: dict[str, str], out: Output) -> None:
    """What stands is said when it is new, what has happened always."""
    for news in found:
        if news.kind in observing.STANDING:
            if told.get(news.lane, "") == news.text or (news.kind == observing.IDLE and news.lane not in told):
                continue
            told[news.lane] = news.text
        _line(news, out)


def _line(news: News, out: Output) -> None:
    if out.json:
        shape = {"lane": news.lane, "event": news.kind, "sha": news.sha or None, "result": news.result or None}
        out.line(time=ops.iso(time.time() * 1000), **shape, run_url=news.run_url or None, detail=news.text)
        return
    url = f"  {say.short(news.run_url)}" if news.run_url and news.result else ""
    out.say(news.text + url, colour=COLOURS.get(news.result))


def _wait(pause_s: float, standing: list[str], out: Output) -> None:
    """Sleep; on a terminal with a line that says what is waited for."""
    until = time.monotonic() + pause_s
    while (left_s := until - time.monotonic()) > 0:
        if sys.stderr.isatty() and standing:
            line = f"{'; '.join(standing)}; next look in {left_s:.0f} s"
            out.progress(line[: shutil.get_terminal_size().columns - 1])
        time.sleep(min(1.0, left_s))


def _leave(observer: Observer, lanes: list[str]) -> None:
    for name in lanes:
        try:
            observer.leave(name)
        except StoreDown:  # the others wait until its lease is over
            return


def reconcile(args: argparse.Namespace, out: Output) -> int:
    """One look at each lane. Exit 5 when the host could not be asked: nothing is known then, nothing was changed."""
    session = _session(args)
    observer = observing.Observer(session.repo, session.config, session.store(), session.agent.name)
    pulls = outside.PullWatch(session.repo, session.config, session.store())
    lanes = session.lanes(args.lane)
    found: list[News] = []
    try:
        for name in lanes:
            pulls.attribute(name)
            seen = observer.look(name)
            found += [*seen, *pulls.look(name, seen)]
    finally:
        _leave(observer, lanes)
    error = next((n.error for n in found if n.error), None)
    for news in found:
        if not out.json:
            _line(news, out)
    events = [
        {"lane": n.lane, "event": n.kind, "sha": n.sha or None, "result": n.result or None, "detail": n.text}
        for n in found
    ]
    if error is None:
        out.answer(events=events, next_action=None)
        return OK
    if out.json:
        out.refused_with(error.message, error.code, error.next_action, hint=error.hint, events=events)
    return COULD_NOT_TELL


def _session(args: argparse.Namespace) -> ops.Session:
    session = ops.Session(url=args.redis_url)
    config = session.config  # with ci-first a landing asks for itself; what came round the hooks is left for others
    observed = config.gate == "ci" or (config.gate == "ci-first" and config.ci_observe == observing.STATUS)
    if not observed and config.via != "pr":
        raise say.gate_is_not_ci(config.gate)
    return session
