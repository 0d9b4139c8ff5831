"""ci protect: our checks become required at the host. What it does is shown, call by call."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from .. import ops, protection
from ..errors import OK
from ..host import choose
from ..messages import protection as say

if TYPE_CHECKING:
    import argparse

    from ..output import Output


def protect(args: argparse.Namespace, out: Output) -> int:
    session = ops.Session(url=args.redis_url)
    host = choose.of(session.repo, session.config)
    wanted = protection.calls(host, session.config)
    for one in wanted:
        out.say(f"{one.method} {one.path}", colour="bold")
        out.say(json.dumps(one.body, indent=2))
    shape = [one._asdict() for one in wanted]
    if not wanted:
        out.say(say.ALL_THERE)
        out.answer(calls=shape, done=False, next_action=None)
        return OK
    if args.dry_run:
        out.say(say.DRY_RUN)
        out.answer(calls=shape, done=False, next_action="prp ci protect")
        return OK
    if not args.yes:
        if not sys.stdin.isatty():
            raise say.needs_yes()
        out.note(f"Make these calls at {host.address}? [y/N]")
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise say.needs_yes()
    protection.do(host, wanted)
    out.say(say.done(len(wanted)), colour="green")
    out.answer(calls=shape, done=True, next_action=None)
    return OK
