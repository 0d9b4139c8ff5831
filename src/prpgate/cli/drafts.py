"""new --draft, number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import ops
from ..errors import OK, UsageError
from ..messages import drafts as say
from ..output import inert

if TYPE_CHECKING:
    import argparse

    from ..output import Output


def new(args: argparse.Namespace, out: Output) -> int:
    """Write a draft. The store is not asked."""
    from .. import doc_links, drafts

    if args.new_id:
        raise UsageError(
            "a draft has no id of its own yet: --draft or --id.", code="usage", next_action="prp new --help"
        )
    session = ops.Session(url=args.redis_url)
    prp_id, file = drafts.new(session.repo, session.config, args.title, doc_links.from_here(session.repo, args.doc))
    out.say(say.made(prp_id, inert(" ".join(args.title.split()))), colour="green")
    out.say(f"Written to {file}.")
    out.say(f"  {say.NUMBER}")
    out.answer(draft=prp_id, changed_file=file, next_action=say.NUMBER)
    return OK


def number(args: argparse.Namespace, out: Output) -> int:
    from .. import drafts

    session = ops.Session(url=args.redis_url)
    ops.read_state(session)
    done = drafts.number(session.context())
    for one in done:
        out.say(say.numbered(one.draft, one.id), colour="green")
    if not done:
        out.say(say.NONE)
    then = f"prp validate {done[0].id}" if done else "prp next"
    out.say(f"  {then}")
    out.answer(numbered=[one._asdict() for one in done], next_action=then)
    return OK
