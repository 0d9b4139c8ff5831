"""notify run, status, test, allow: telling people outside of prpgate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .. import notify, ops, tellings
from ..errors import OK, REFUSED, UsageError
from ..interrupts import alike
from ..messages import notify as say
from .recovery import agreed

if TYPE_CHECKING:
    import argparse

    from ..config import Config
    from ..output import Output
    from ..tellings import Telling


def run(args: argparse.Namespace, out: Output) -> int:
    """Deliver until Ctrl-C, or for so many seconds. A store that goes away ends it (exit code 4)."""
    session = ops.Session(url=args.redis_url)
    to = _sink(session)
    if args.seconds is not None and not 0 <= args.seconds <= 86_400:
        raise UsageError("--for wants seconds, up to a day.", code="usage", next_action="prp notify run --for 60")

    def done(t: Telling, outcome: str, why: str | None) -> None:
        out.say(say.delivered(t, outcome, why), colour=None if why is None else "yellow")
        out.line(**{**_shape(t), "outcome": outcome, "error": why})

    notify.there(session.repo)
    with alike():
        out.note(say.RUNNING)
        notify.deliver(
            session.config,
            session.store(),
            to,
            session.agent.name,
            for_s=math.inf if args.seconds is None else args.seconds,
            on_done=done,
            on_look=lambda: notify.there(session.repo),
            reap=True,
        )
    return OK


def status(args: argparse.Namespace, out: Output) -> int:
    session = ops.Session(url=args.redis_url)
    config = session.config
    to = notify.sink(session.repo, config)
    ready = to if isinstance(to, str) else None
    found = tellings.summary(session.store())
    if config.notifies:
        for line in say.head(_how(config), config.notify_events, ready):
            out.say(line)
    else:
        out.say(say.NOT_SET)
    for line in say.summary_lines(found):
        out.say(line)
    out.answer(
        configured=config.notifies,
        events=list(config.notify_events),
        ready=ready is None,
        why_not=ready,
        deliverer=found.deliverer and {**found.deliverer, "at": ops.iso(found.deliverer["at"])},
        waiting=[_shape(t) for t in found.due],
        given_up=[_shape(t) for t in found.dead],
        told=[_shape(t) for t in found.told],
        dropped=found.dropped,
    )
    return OK


def test(args: argparse.Namespace, out: Output) -> int:
    session = ops.Session(url=args.redis_url)
    to = _sink(session)
    why = notify.test(session.config, to, session.agent.name)
    if why is not None:
        raise say.test_failed(why)
    out.say(say.DELIVERED.format(how=to.how), colour="green")
    out.answer(delivered=to.how)
    return OK


def allow(args: argparse.Namespace, out: Output) -> int:
    session = ops.Session(url=args.redis_url)
    config = session.config
    to = notify.sink(session.repo, config)
    if to in (say.NOT_SET, say.NOT_LANDED):
        raise say.refused(str(to))
    if config.notify_webhook:
        out.say(say.WEBHOOK_NEEDS_NONE)
        out.answer(allowed=False, command=None)
        return OK
    out.say(say.would_run(config.notify_command, config.notify_events))
    if not (args.yes or agreed(out, "Allow it?")):
        out.say(say.NOT_ALLOWED_NOW)
        out.say(f"  {say.ALLOW} --yes")
        out.refused_with(say.NOT_ALLOWED_NOW, "declined", f"{say.ALLOW} --yes", command=list(config.notify_command))
        return REFUSED
    new = notify.allow(session.repo, config)
    out.say(say.ALLOWED if new else say.ALREADY, colour="green")
    out.answer(allowed=True, command=list(config.notify_command))
    return OK


def _sink(session: ops.Session) -> notify.Sink:
    to = notify.sink(session.repo, session.config)
    if isinstance(to, str):
        raise say.refused(to)
    return to


def _how(config: Config) -> str:
    from ..webhook import address

    return (
        f"webhook {address(config.notify_webhook)}" if config.notify_webhook else f"command {config.notify_command[0]}"
    )


def _shape(t: Telling) -> dict[str, Any]:
    return {
        "id": t.id,
        "event": t.event,
        "time": ops.iso(t.at_ms),
        "lane": t.lane,
        "prp": t.prp,
        "agent": t.agent,
        "sha": t.sha,
        "detail": t.detail,
        "tries": t.tries,
        "error": t.error,
        "by": t.by,
        "ended": ops.iso(t.ended_ms) if t.ended_ms else None,
    }
