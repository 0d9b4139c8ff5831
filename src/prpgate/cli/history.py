"""verify and history: what complete PRPs claim, and how they came to where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import ops
from ..errors import COULD_NOT_TELL, OK, REFUSED, StoreDown, UsageError, UserError
from ..messages import verify as said

if TYPE_CHECKING:
    import argparse

    from ..ops import Session
    from ..output import Output
    from ..store.client import Store


def _store(session: Session) -> tuple[Store | None, str | None]:
    """The store, or why there is none: git alone has much to tell."""
    if not session.config.store_id:
        return None, "prp.toml names none"
    try:
        return session.store(), None
    except StoreDown as e:
        return None, e.message


def verify(args: argparse.Namespace, out: Output) -> int:
    from .. import sync
    from .. import verify as checking

    if args.all and args.id:
        raise UsageError("an id or --all, not both.", code="usage", next_action="prp verify --help")
    session = ops.Session(url=args.redis_url)
    store, missing = _store(session)
    tip = sync.lane_tip(session.repo, session.config).tip
    out.progress("reading the lane's history …")
    found = checking.verify(session.repo, store, session.config, tip, [args.id] if args.id else None)
    if args.id and not found.checked and not found.open:
        raise UserError(
            f"the lane records no PRP {args.id}.", code="unknown-prp", next_action="prp list --status complete"
        )
    for group in found.groups:
        out.say(said.group_line(group), colour="red")
    mended: set[tuple[str, str]] = set()
    for doubt in found.doubts:
        colour = {"false": "red", "unknown": "yellow"}.get(doubt.level)
        lines = said.doubt_lines(doubt)
        for line in lines[:1] if (doubt.id, doubt.level) in mended else lines:  # one reopening is enough
            out.say(line, colour=colour)
        mended.add((doubt.id, doubt.level))
    for prp_id in found.open:
        out.say(f"{prp_id} is not complete: it claims nothing.")
    if missing:
        out.note(f"{said.NO_STORE} ({missing})")
    false, unknown = found.ids(checking.FALSE), found.ids(checking.UNKNOWN)
    out.say(said.summary(found), colour="red" if false else "yellow" if unknown else "green")
    shape: dict[str, Any] = {
        "tip": found.tip,
        "checked": found.checked,
        "doubts": [d._asdict() for d in found.doubts],
        "groups": [g._asdict() for g in found.groups],
        "false": false,
        "unknown": unknown,
        "waiting": found.waiting,
        "store": missing is None,
    }
    if not false and not unknown:
        out.answer(**shape)
        return OK
    first = next(d for d in found.doubts if d.level == (checking.FALSE if false else checking.UNKNOWN))
    if out.json:
        out.refused_with(said.summary(found), first.code, first.mend, **shape)
    return REFUSED if false else COULD_NOT_TELL


def history(args: argparse.Namespace, out: Output) -> int:
    from .. import history as past
    from .. import sync
    from ..messages import history as words

    if args.count < 1:
        raise UsageError("-n takes a number from 1 up.", code="usage", next_action="prp history --help")
    session = ops.Session(url=args.redis_url)
    store, why = _store(session)
    repo, config = session.repo, session.config
    tip = sync.lane_tip(repo, config).tip
    prp_id = past.find_id(repo, store, config, tip, args.id)
    found = past.history(repo, store, config, tip, prp_id or args.id, count=args.count, why=why or "")
    if prp_id is None and not found.moments:
        raise words.unknown(args.id)
    if found.more:
        out.say(words.older(found.id, args.count), colour="dim")
    out.table([words.row(one) for one in found.moments])
    for text in found.missing:
        out.note(text, colour="yellow")
    out.answer(
        id=found.id,
        moments=[{**m._asdict(), "time": ops.iso(m.at_ms)} for m in found.moments],
        more=found.more,
        missing=found.missing,
    )
    return OK
