"""prime: the instruction block for coding agents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import policy, prime
from ..errors import OK, UsageError
from ..gitrepo import Repo
from ..messages import prime as say

if TYPE_CHECKING:
    import argparse

    from ..config import Config
    from ..output import Output


def prime_(args: argparse.Namespace, out: Output) -> int:
    """Print the block; or write it, compare it, take it out again."""
    repo = Repo.found()
    chosen = [n for n in ("write", "check", "remove") if getattr(args, n)]
    if len(chosen) > 1:
        raise UsageError("one of --write, --check and --remove.", code="usage", next_action="prp prime --help")
    if not chosen:
        text = prime.text(policy.require(repo))
        out.say(text.rstrip("\n"))
        out.answer(text=text, tokens=prime.tokens(text))
        return OK
    config = here(repo)
    if args.write:
        files = write(repo, config, out)
        out.answer(files=[{"file": n, "did": what} for n, what in files])
    elif args.remove:
        gone = prime.remove(repo, config)
        for name in gone:
            out.say(say.did(name, "removed"))
        if not gone:
            out.say(say.NOTHING_TO_REMOVE)
        out.answer(files=[{"file": n, "did": "removed"} for n in gone])
    else:
        check(repo, config, out)
    return OK


def here(repo: Repo) -> Config:
    """The prp.toml that stands beside AGENTS.md: the two are committed together. Where there is none, the lane's."""
    return policy.working_tree(repo) or policy.require(repo)


def write(repo: Repo, config: Config, out: Output) -> list[tuple[str, str]]:
    done = prime.write(repo, config)
    for name, what in done:
        out.say(say.did(name, what), colour="green" if what == "written" else None)
    return done


def check(repo: Repo, config: Config, out: Output) -> None:
    """For CI: raises UserError, exit 1, when a block is missing or stale."""
    places = prime.look(repo, config)
    stale = [p.name for p in places if p.state == "stale"]
    missing = [p.name for p in places if p.state == "missing"]
    if stale or missing:
        raise say.outdated(say.stale(stale) if stale else say.missing(missing))
    names = [p.name for p in places if p.state == "current"]
    out.say(say.current(names))
    out.answer(files=[{"file": p.name, "state": p.state} for p in places])
