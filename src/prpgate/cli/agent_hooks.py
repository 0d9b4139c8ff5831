"""agent-hooks install, remove, show: our hooks in a coding agent's settings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .. import agent_hooks, glance, ops
from ..errors import OK, StoreDown, UsageError
from ..gitrepo import Repo
from ..messages import agent_hooks as say

if TYPE_CHECKING:
    import argparse

    from ..output import Output


def install(args: argparse.Namespace, out: Output) -> int:
    if not args.claude_code:
        raise UsageError(say.which(), code="usage", next_action=say.INSTALL)
    if args.print:
        value = {"hooks": agent_hooks.wanted()}
        out.say(json.dumps(value, indent=2))
        out.answer(file=None, did="printed", settings=value)
        return OK
    session = ops.Session(url=args.redis_url)
    name = _file(args)
    did = "written" if agent_hooks.install(session.repo, name) else "unchanged"
    out.say(say.did(name, did), colour="green" if did == "written" else None)
    if args.shared:
        out.say(say.shared_note(name))
    elif session.repo.maybe("check-ignore", "-q", f"{session.repo.top}/{name}") is None:
        out.say(say.not_ignored(name))
    try:
        glance.keep(session.repo.own_dir, session.config, session.store())
    except StoreDown as e:
        glance.start(session.repo.own_dir)
        out.say(say.no_note(e.message), colour="yellow")
    out.answer(file=name, did=did, settings={"hooks": agent_hooks.wanted()})
    return OK


def remove(args: argparse.Namespace, out: Output) -> int:
    name = _file(args)
    did = "removed" if agent_hooks.remove(Repo.found(), name) else "nothing"
    out.say(say.did(name, did))
    out.answer(file=name, did=did)
    return OK


def show(args: argparse.Namespace, out: Output) -> int:
    repo = Repo.found()
    states = {n: agent_hooks.state(agent_hooks.read(repo, n)) for n in (agent_hooks.LOCAL, agent_hooks.TEAM)}
    for name, state in states.items():
        out.say(say.fact(name, state))
    then = None if "current" in states.values() else say.INSTALL
    if then:
        out.say(f"  {then}")
    out.answer(files=[{"file": n, "state": s} for n, s in states.items()], next_action=then)
    return OK


def _file(args: argparse.Namespace) -> str:
    return agent_hooks.TEAM if args.shared else agent_hooks.LOCAL
