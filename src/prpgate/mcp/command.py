"""mcp: serve one client on stdio; mcp install: tell its host about it."""

from __future__ import annotations

import difflib
import importlib.util
import os
import sys
from typing import TYPE_CHECKING

from ..errors import OK, UsageError
from ..messages import mcp as say

if TYPE_CHECKING:
    import argparse

    from ..gitrepo import Repo
    from ..output import Output
    from .hosts import Plan


def serve(args: argparse.Namespace, out: Output) -> int:
    """Ends with its client. Standard output is the wire: nothing else is written to it."""
    if importlib.util.find_spec("mcp") is None:
        raise say.extra_missing()
    path = os.path.abspath(os.path.expanduser(args.path))
    if not os.path.isdir(path):
        raise say.no_folder(path)
    import anyio

    from .own import Own
    from .server import ProjectServer

    if sys.stdin.isatty():
        out.note(say.BY_HAND)
    try:
        anyio.run(ProjectServer(Own(path, url=args.redis_url, agent=args.agent)).serve)
    except* BrokenPipeError:  # the client went away with an answer under way
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return OK


def install(args: argparse.Namespace, out: Output) -> int:
    """Write, print or take out the entry of each host that was named. Nothing else in a file changes."""
    from .. import agent_hooks, gitrepo, policy
    from ..messages.agent_hooks import leads_out
    from . import hosts

    chosen = [h for h in hosts.HOSTS if getattr(args, h.name.replace("-", "_"))]
    if not chosen:
        raise say.which_host([h.name for h in hosts.HOSTS])
    if args.print and args.remove:
        raise UsageError("--print and --remove: one of the two.", code="usage", next_action="prp mcp install --help")
    repo = gitrepo.Repo.found(args.path)
    root, project = repo.root, policy.require(repo).project
    if args.print:
        shown = [(h, hosts.key(h, root, project), hosts.entry(h, root)) for h in chosen]
        for host, key, entry in shown:
            out.note(f"{hosts.path_of(host, root)}:")
            out.say(hosts.block(host, key, entry).rstrip("\n"))
        out.answer(hosts=[{"host": h.name, "path": hosts.path_of(h, root), "name": k, "entry": e} for h, k, e in shown])
        return OK
    for host in chosen:
        if host.file and agent_hooks.leads_out(repo, host.file):
            raise leads_out(host.file)
    plans = [hosts.plan(h, root, project, remove=args.remove) for h in chosen]  # all are judged before one is written
    for n, judged in enumerate(plans):
        plans[n] = hosts.carry_out(judged, root, project, remove=args.remove)
        _tell(plans[n], out, removed=args.remove)
    if not args.remove:
        for note in say.after_install([p.path for p in plans if p.host.file and not _ignored(repo, p.path)]):
            out.note(note)
        if importlib.util.find_spec("mcp") is None:
            out.note(say.not_yet())
    out.answer(hosts=[{"host": p.host.name, "path": p.path, "name": p.key, "changed": p.changes} for p in plans])
    return OK


def _tell(plan: Plan, out: Output, *, removed: bool) -> None:
    if not plan.changes:
        out.say(say.nothing_to_do(plan.path, removed=removed))
        return
    before, after = ((text or b"").decode("utf-8-sig", "replace").splitlines() for text in (plan.before, plan.after))
    # Without the lines around it: the neighbours' may hold what they sign in with.
    for line in difflib.unified_diff(before, after, plan.path, plan.path, n=0, lineterm=""):
        out.say(line.expandtabs(4))
    out.say(say.written(plan.path, plan.host.name, removed=removed, gone=plan.after is None), colour="green")


def _ignored(repo: Repo, path: str) -> bool:
    return repo.run("check-ignore", "--quiet", "--", path, check=False).returncode == 0
