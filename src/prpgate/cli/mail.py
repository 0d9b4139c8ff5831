"""agents, send, inbox, listen."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Any

from .. import known_names, ops
from ..errors import OK, QUEUED, REFUSED, StoreDown, UsageError
from ..interrupts import alike
from ..messages import mail as say

if TYPE_CHECKING:
    import argparse

    from ..mail import Message
    from ..output import Output

READ_AT_MOST = 1 << 20  # of standard input; what is longer than a message may be is refused anyway


def unread_note(session: ops.Session, out: Output) -> None:
    """One line, beside the answer, when something waits to be read."""
    from .. import registry

    with contextlib.suppress(StoreDown):
        if count := registry.beat(session.store(), session.caller).unread:
            out.note(say.unread(count), colour="yellow")


def agents(args: argparse.Namespace, out: Output) -> int:
    from .. import registry

    session = ops.Session(url=args.redis_url)
    registry.beat(session.store(), session.caller)
    found = registry.agents(session.store(), session.config, session.lanes())
    known_names.note_agents(session.repo.common_dir, [a.name for a in found])
    shown = [a for a in found if not args.role or args.role.removeprefix("@") in a.roles]
    out.answer(agents=[ops.agent_json(a) for a in shown])
    now = time.time()
    rows = [
        (
            a.name,
            a.kind or "",
            ", ".join([*a.roles, *a.domain]),
            a.host,
            say.seen(a, now),
            str(a.unread or ""),
            ", ".join(say.held(h) for h in a.held),
        )
        for a in shown
    ]
    if not out.json and rows:
        out.table(rows, head=("NAME", "KIND", "ROLE", "HOST", "SEEN", "UNREAD", "HOLDS"))
    if args.role and not shown:
        out.note(f"Nobody has the role {args.role}. Who takes it says so: prp whoami --role {args.role}")
    elif len(found) < 2:
        out.note(say.NOBODY)
    return OK


def send(args: argparse.Namespace, out: Output) -> int:
    from .. import mail

    text = _stdin(out) if args.text == ["-"] else " ".join(args.text)
    session = ops.Session(url=args.redis_url)
    prp = ops.prp_called(session, args.prp) if args.prp is not None else None
    done = mail.send(
        *(session.store(), session.config, session.caller, args.to, text),
        prp=prp,
        priority=args.priority,
        reply_to=args.reply_to,
        id=args.own,
    )
    out.say(say.sent(args.to, done.id, done.due, done.already), colour="green")
    if not done.known:
        out.note(say.unknown_recipient(args.to, done.near), colour="yellow")
    out.answer(id=done.id, already=done.already, due=done.due, known=done.known, near=list(done.near))
    return OK


def _stdin(out: Output) -> str:
    if sys.stdin.isatty():
        out.note("Type the message; Ctrl-D ends it.")
    return sys.stdin.buffer.read(READ_AT_MOST).decode("utf-8", "replace").rstrip("\n")


def inbox(args: argparse.Namespace, out: Output) -> int:
    from .. import mail

    if sum((bool(args.ack), args.ack_all, args.sent, args.all)) > 1:
        raise UsageError("--all, --sent, --ack and --ack-all: one at a time.", code="usage", next_action="prp inbox")
    session = ops.Session(url=args.redis_url)
    store, caller = session.store(), session.caller
    if args.ack:
        return _acknowledge(session, args.ack, out)
    if args.sent:
        found = mail.inbox(store, caller, "sent")
        _show(found.messages, out, receipts=True)
        if not found.messages:
            out.note('You have sent nothing. prp send NAME "text"')
        out.answer(messages=[message_json(m, caller.agent) for m in found.messages], unread=found.unread)
        return OK
    found = mail.inbox(store, caller)
    read = mail.inbox(store, caller, "read").messages if args.all else []
    _show(found.messages, out)
    unread, acked = found.unread, list[str]()
    if args.ack_all and found.messages:
        done = mail.acknowledge(store, caller, [m.id for m in found.messages])
        unread, acked = done.unread, done.acked
        out.say(f"Acknowledged: {len(acked)}.", colour="green")
    elif found.messages:
        more = f" Shown: {len(found.messages)} of {unread}." if unread > len(found.messages) else ""
        out.say(f"{unread} unread.{more} When you have them: prp inbox --ack-all, or --ack MSGID")
    else:
        out.note(say.no_mail())
    if read:
        out.say("Acknowledged before, the newest first:")
        _show(read, out)
    out.answer(messages=[message_json(m, caller.agent) for m in [*found.messages, *read]], unread=unread, acked=acked)
    return OK


def _acknowledge(session: ops.Session, ids: list[str], out: Output) -> int:
    from .. import mail

    done = mail.acknowledge(session.store(), session.caller, ids)
    if done.acked or done.already:
        before = f" ({len(done.already)} had been before)" if done.already else ""
        out.say(f"Acknowledged: {len(done.acked)}{before}. {done.unread} unread.", colour="green")
    if done.unknown:
        out.note(f"prp: {say.not_yours(done.unknown)}.\n  prp inbox --all", colour="yellow")
    shape: dict[str, Any] = {**done._asdict()}
    if not done.unknown:
        out.answer(**shape)
        return OK
    if out.json:
        out.refused_with(say.not_yours(done.unknown), "unknown-message", "prp inbox --all", **shape)
    return REFUSED


def listen(args: argparse.Namespace, out: Output) -> int:
    from .. import mail

    if args.timeout is not None and not 0 <= args.timeout <= 7 * 24 * 3600:
        raise UsageError("--timeout wants seconds, from 0 to a week.", code="usage", next_action="prp listen")
    session = ops.Session(url=args.redis_url)
    store, caller = session.store(), session.caller
    with alike():
        out.note(say.LISTENING)
        found = mail.listen(
            store, caller, timeout_s=args.timeout, on_away=lambda e: out.note(say.store_away(e), colour="yellow")
        )
        if found is None:
            if out.json:
                out.refused_with(say.nothing_came(args.timeout), "nothing", "prp listen", messages=[], unread=0)
            else:
                out.note(say.nothing_came(args.timeout))
            return QUEUED
        _show(found.messages, out)
        out.answer(messages=[message_json(m, caller.agent) for m in found.messages], unread=found.unread)
        if args.ack:  # after it was shown: who is killed in between is shown it again
            mail.acknowledge(store, caller, [m.id for m in found.messages])
        else:
            out.say("When you have them: prp inbox --ack-all, or --ack MSGID")
    return OK


def _show(messages: list[Message], out: Output, *, receipts: bool = False) -> None:
    if out.json:
        return
    now = time.time()
    for m in messages:
        if receipts:
            m = m._replace(sender=f"to {m.to}", to="")
        out.say(say.header(m, now), colour="red" if m.priority == "urgent" else "bold")
        out.say(say.body(m))
        if receipts:
            out.say("  " + say.receipt(m, now), colour="dim")


def message_json(m: Message, reader: str) -> dict[str, Any]:
    return {
        "id": m.id,
        "from": m.sender,
        "to": m.to,
        "text": say.told(m),
        "cause": m.cause,
        "prp": m.prp,
        "priority": m.priority,
        "reply_to": m.reply_to,
        "time": ops.iso(m.at_ms),
        "acknowledged": reader in m.acked,
        "acks": [{"agent": agent, "time": ops.iso(ms)} for agent, ms in m.acked.items()],
        "due": [agent for agent in m.due if agent not in m.acked],
    }
