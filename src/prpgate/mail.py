"""Messages between agents: kept in the store until each recipient has acknowledged them (docs/messages.md).

A message is handed over at least once and acknowledged once. Reading acknowledges nothing. Waiting blocks on the
recipient's own stream, so nothing that was sent while nobody listened is missed.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

from . import live, registry
from .errors import StoreDown
from .events import BACK_S, BLOCK_S, NOT_OURS
from .messages import mail as say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .config import Config
    from .registry import Me
    from .store.client import Store

BOXES = ("unread", "read", "sent")
PRIORITIES = ("low", "normal", "high", "urgent")
MOST_BYTES = 16 * 1024  # of one message, as UTF-8
OWN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # no colon: prpgate's own messages have one in theirs
PAGE = 100  # messages that one look shows
TRIES, AGAIN_S = 3, 0.3  # of sending under one id, when it is not known whether the store has it


class Message(NamedTuple):
    """One message, as the store has it."""

    id: str
    sender: str
    to: str  # a name, "@role" or "@all"
    text: str
    cause: str | None  # of prpgate's own: what happened; `text` is empty then, or a person's note
    detail: str
    prp: str | None
    priority: str
    reply_to: str | None
    at_ms: int  # of the server's clock
    due: tuple[str, ...]  # whom it waits for, when it was sent
    acked: dict[str, int]  # agent -> when, in ms of the server's clock


class Sent(NamedTuple):
    """What became of a message."""

    id: str
    already: bool  # this id had been sent before
    due: int  # how many agents are to acknowledge it
    known: bool  # whether anybody answers to the name
    near: tuple[str, ...]  # names like it, if nobody does


class Inbox(NamedTuple):
    """One look."""

    messages: list[Message]
    unread: int  # all there are, also beyond this page
    after: dict[str, str]  # stream -> its last id at that moment


class Acked(NamedTuple):
    """What was acknowledged now, what had been before, and what is no message to the caller."""

    acked: list[str]
    already: list[str]
    unknown: list[str]
    unread: int


def new_id() -> str:
    return f"m-{uuid.uuid4().hex[:16]}"


def send(
    store: Store,
    config: Config,
    sender: Me,
    to: str,
    text: str,
    *,
    prp: str | None = None,
    priority: str = "normal",
    reply_to: str | None = None,
    id: str | None = None,
) -> Sent:
    """Send once. Asked again with the same `id`, the same message is not sent again: so a lost reply is asked for.

    A name that nobody has answered to yet gets a mailbox all the same. Raises UserError when it is too long, empty, or
    the mailbox is full; StoreDown, whose next_action sends under the same id, when it is not known whether it was sent.
    """
    _check(to, text, priority)
    own = id or new_id()
    for name, value in (("--id", own), ("--reply-to", reply_to)):
        if value and not (OWN_ID.fullmatch(value) or (name == "--reply-to" and len(value) <= 200)):
            raise say.bad_id(name)
    if prp is not None and len(prp) > 200:
        raise say.bad_id("--prp")
    one = {"id": own, "from": sender.agent, "to": to, "text": text, "priority": priority}
    one |= {k: v for k, v in (("prp", prp), ("reply_to", reply_to)) if v}
    args = [registry.dump(one), sender.told(), registry.dump(registry.patterns(config))]
    for n in range(TRIES):
        try:
            answer = store.run("msg_send", live.script_keys(store.keys), args)
            break
        except StoreDown as e:
            if n == TRIES - 1:
                raise say.unsure(e, own) from None
            time.sleep(AGAIN_S)
    if not answer["ok"] and answer["code"] == "id-taken":
        raise say.id_taken(own)
    near = say.near(to, list(answer["names"] or ())) if not answer["known"] else ()
    if not answer["ok"]:
        raise say.full(to) if answer["known"] or to.startswith("@") else say.full_of_strangers(to, near)
    return Sent(own, answer["code"] == "already", int(answer["due"]), bool(answer["known"]), near)


def _check(to: str, text: str, priority: str) -> None:
    if not to.strip() or len(to) > 200 or not to.isprintable() or to == "@":
        raise say.bad_recipient()
    if priority not in PRIORITIES:
        raise say.bad_priority(priority, PRIORITIES)
    if not text.strip():
        raise say.empty()
    size = len(text.encode("utf-8", "replace"))
    if size > MOST_BYTES:
        raise say.too_long(size, MOST_BYTES)


def inbox(store: Store, caller: Me, which: str = "unread", most: int = PAGE) -> Inbox:
    """Messages to the caller, or ("sent") from it. Changes none of them. Raises StoreDown, UsageError.

    `which`: "unread", urgent ones first, then the oldest; "read" and "sent", the newest first.
    """
    if which not in BOXES:
        raise say.no_box(which, BOXES)
    args: list[str | int] = [caller.told(), registry.dump(list(caller.roles)), which, most]
    answer = store.run("msg_inbox", live.script_keys(store.keys), args)
    own, shared = answer["after"]
    streams = {store.keys.mailbox(caller.agent): own, store.keys.mail_shared: shared}
    return Inbox([_message(text) for text in answer["messages"] or ()], int(answer["unread"]), streams)


def acknowledge(store: Store, caller: Me, ids: Iterable[str]) -> Acked:
    """Say that the caller has these. Said again it changes nothing. Raises StoreDown."""
    args = [caller.told(), registry.dump(list(caller.roles)), registry.dump(list(ids))]
    answer = store.run("msg_ack", live.script_keys(store.keys), args)
    acked, already, unknown = (list[str](answer[name] or ()) for name in ("acked", "already", "unknown"))
    return Acked(acked, already, unknown, int(answer["unread"]))


def listen(
    store: Store, caller: Me, *, timeout_s: float | None = None, on_away: Callable[[StoreDown], None] | None = None
) -> Inbox | None:
    """Wait until there is something unread; None when `timeout_s` passed first. What is unread already counts.

    A store that goes away meanwhile is waited for (`on_away` is told, once each time); raises StoreDown when the time
    is over while it is away, and at once when it is away from the start.
    """
    until = None if timeout_s is None else time.monotonic() + timeout_s
    found = inbox(store, caller)
    blocking: Any = store.blocking(BLOCK_S)
    away = False
    try:
        while not found.messages:
            left_s = BLOCK_S if until is None else min(BLOCK_S, until - time.monotonic())
            if left_s <= 0:
                return None
            try:
                if away:
                    store.check_still_ours()
                with store.faults():
                    blocking.xread(found.after, block=max(1, int(left_s * 1000)))
                found = inbox(store, caller)
                away = False
            except StoreDown as e:
                if e.code in NOT_OURS or (until is not None and time.monotonic() + BACK_S >= until):
                    raise
                if not away and on_away:
                    on_away(e)
                away = True
                time.sleep(BACK_S)
        return found
    finally:
        blocking.close()
        blocking.connection_pool.disconnect()


def _message(text: str) -> Message:
    raw = json.loads(text)
    return Message(
        id=raw["id"],
        sender=raw["from"],
        to=raw["to"],
        text=raw["text"],
        cause=raw.get("cause"),
        detail=raw.get("detail") or "",
        prp=raw.get("prp"),
        priority=raw["priority"],
        reply_to=raw.get("reply_to"),
        at_ms=int(raw["at"]),
        due=tuple(raw["due"] or ()),  # cjson writes an empty list as {}
        acked={agent: int(ms) for agent, ms in dict(raw["acked"] or {}).items()},
    )
