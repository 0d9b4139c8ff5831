"""server install|uninstall|allow: a bare repository that a team hosts itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import server
from ..errors import OK
from ..messages import server as say
from ..messages.install import NOTHING_HERE

if TYPE_CHECKING:
    import argparse

    from ..output import Output


def install(args: argparse.Namespace, out: Output) -> int:
    report = server.install_hooks(server.served(args.path), args.lane)
    for line in report.lines:
        out.say(line)
    out.answer(hooks=report._asdict(), next_action=None)
    return OK


def uninstall(args: argparse.Namespace, out: Output) -> int:
    report = server.uninstall_hooks(server.served(args.path))
    for line in report.lines or [NOTHING_HERE]:
        out.say(line)
    out.answer(hooks=report._asdict(), next_action=None)
    return OK


def allow(args: argparse.Namespace, out: Output) -> int:
    given = server.allow(server.served(args.path), args.sha, args.reason)
    out.say(say.allowed(args.sha, given.by))
    out.answer(sha=args.sha, by=given.by, reason=given.reason, at=given.at)
    return OK
