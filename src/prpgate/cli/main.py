"""The command `prp`: one table of verbs, one boundary that catches, handlers imported when they are asked for."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from .. import __version__
from ..errors import BUG, INTERRUPTED, OK, USAGE, UserError
from ..output import Output, inert
from .verbs import GROUPS, JSON, STORE, VERBS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

PREFERRED = ("status", "list", "redis-status", *VERBS)


def usage() -> str:
    lines = ["prp: keeps many people and agents out of each other's way in one git repository", ""]
    for group, verbs in GROUPS.items():
        lines.append(f"{group}:")
        lines += [f"  {name:<20} {verb.help}" for name, verb in verbs.items()]
        lines.append("")
    lines += [
        "Every command: --help; most: --json (one object on stdout) and --redis-url URL.",
        "New here? prp demo shows it at work; prp init sets it up in your repository.",
        "Exit codes: 0 ok, 1 refused, 2 usage, 3 a fault (log file), 4 store down, 5 could not tell, 75 still in line",
        "(of listen: nothing came), 130 stopped.",
    ]
    return "\n".join(lines)


def find(argv: Sequence[str]) -> tuple[str, list[str]] | None:
    """The verb that a command line starts with, and the rest of it."""
    for words in (2, 1):
        name = " ".join(argv[:words])
        if len(argv) >= words and name in VERBS:
            return name, list(argv[words:])
    return None


def unknown(argv: Sequence[str]) -> UserError:
    import difflib

    from ..errors import UsageError

    word = argv[0]
    family = [name for name in VERBS if name.startswith(word + " ")]
    if family:
        # One that only looks, and needs nothing else to be typed.
        looks = next((name for name in family if name.endswith((" status", " log"))), f"{family[0]} --help")
        return UsageError(f"{word} what? {', '.join(family)}.", code="usage", next_action=f"prp {looks}")
    if word.startswith("-"):
        return UsageError(f"{word} goes after the command.", code="usage", next_action="prp --help")
    # What begins like it is meant rather than what is spelled like it: stat is status, not start.
    near = [n for n in PREFERRED if n.startswith(word)] or difflib.get_close_matches(word, VERBS, n=1)
    return UsageError(
        f"{word!r} is no command of prp.", code="usage", next_action=f"prp {near[0]}" if near else "prp --help"
    )


def parser(name: str) -> argparse.ArgumentParser:
    """What argparse reads a command's line with."""
    import argparse

    from ..errors import UsageError

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            usage = self.format_usage().strip()
            raise UsageError(f"{message}.", code="usage", hint=usage, next_action=f"prp {name} --help")

    verb = VERBS[name]
    made = Parser(prog=f"prp {name}", description=verb.help[0].upper() + verb.help[1:] + ".")
    for a in verb.args:
        made.add_argument(*a.names, **a.more)
    if verb.json:
        made.add_argument(*JSON.names, **JSON.more)
    else:
        made.set_defaults(json=False)
    made.add_argument(*STORE.names, **STORE.more)
    return made


def parse(name: str, rest: list[str]) -> Any:
    return parser(name).parse_args(rest)


def dispatch(argv: Sequence[str]) -> int:
    """Run one command line. Raises UserError for refusals; argparse exits by itself for wrong usage."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        more = find(argv[1:]) if argv and argv[0] == "help" else None
        if more:
            parse(more[0], ["--help"])
        print_usage()
        return OK if argv else USAGE
    if argv[0] in ("-V", "--version"):
        Output().say(f"prpgate {__version__}")
        return OK
    import importlib

    if argv[0] == "__complete":  # asked by a shell at every Tab: without argparse
        return int(importlib.import_module(".completion", __package__).answer(argv[1:], Output()))
    found = find(argv)
    if found is None:
        raise unknown(argv)
    name, rest = found
    args = parse(name, rest)
    module, _, function = VERBS[name].handler.partition(":")
    handler = getattr(importlib.import_module(f".{module}", __package__), function)
    code: int | None = handler(args, Output(json=args.json))
    return code or OK


def print_usage() -> None:
    Output().say(usage())


def _keep(error: UserError) -> None:
    """For `prp why`, where this is a repository."""
    from ..gitrepo import Repo
    from ..output import error_text
    from ..refusal import save_refusal

    try:
        save_refusal(Repo().git_dir, error_text(error))
    except UserError:
        return


def _stopped(out: Output) -> int:
    with contextlib.suppress(OSError):  # the terminal may be what went away
        out.note("prp: stopped")
    return INTERRUPTED


def run(argv: Sequence[str] | None = None) -> int:
    """Entry point: the only place that catches everything."""
    argv = sys.argv[1:] if argv is None else argv
    out = Output(json="--json" in argv)
    try:
        return dispatch(argv)
    except UserError as e:
        out.refuse(e)
        if e.exit_code != USAGE:
            _keep(e)
        return e.exit_code
    except KeyboardInterrupt:
        return _stopped(out)
    except BrokenPipeError:
        # The reader went away (`prp list | head`): not our fault, and nothing to say to nobody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as e:  # noqa: BLE001 - the one boundary
        from .. import faults

        if faults.is_interrupt(e):
            return _stopped(out)
        path = faults.record(e)
        if out.json:
            out.refuse(UserError(f"a fault in prpgate: {inert(e)}", code="bug", hint=f"The details are in {path}"))
        else:
            out.note(faults.sentence(e, path), colour="red")
        return BUG


if __name__ == "__main__":
    raise SystemExit(run())
