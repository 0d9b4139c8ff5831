"""ci clean: candidate branches that killed landings left on the remote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import candidate_branch, ops
from ..errors import OK
from ..messages import candidates as say

if TYPE_CHECKING:
    import argparse

    from ..output import Output


def clean(args: argparse.Namespace, out: Output) -> int:
    session = ops.Session(url=args.redis_url)
    gone = candidate_branch.clean(session.repo, session.config, session.store())
    for one in gone:
        out.say(say.cleaned(one.branch, one.sha))
    if not gone:
        out.say(say.NOTHING_LEFT)
    out.answer(deleted=[{"branch": one.branch, "sha": one.sha} for one in gone])
    return OK
