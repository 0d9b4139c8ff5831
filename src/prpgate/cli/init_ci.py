"""prp init --ci github: steps for prp.toml, each shown before it is taken, and the workflow that runs them."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

from .. import config as settings
from .. import policy, project, recipes, workflow_file
from ..errors import UsageError
from ..messages import recipes as say

if TYPE_CHECKING:
    import argparse

    from ..config import Config
    from ..gitrepo import Repo
    from ..output import Output
    from ..recipes import Recipe

# A target of make that only calls what is taken already would run it twice: step -> what its text has then.
CALLS = {"pytest": "pytest", "npm-test": "npm", "pnpm-test": "pnpm", "yarn-test": "yarn"}
CALLS |= {"go-test": "go test", "go-vet": "go vet", "cargo-test": "cargo test"}


def show(repo: Repo, args: argparse.Namespace, out: Output) -> None:
    """--print: say what would be written; write nothing."""
    config = policy.working_tree(repo)
    found = recipes.find(repo.top)
    taken = [] if config and config.smoke else _unasked(found.recipes, out)
    added = _tables(taken) + (_check_added(config, workflow_file.gate(args.gate, repo)) or "")
    if added:
        out.say(say.would_add(settings.FILE))
        out.say(added.strip())
    out.say(say.would_write(workflow_file.PATH))
    text = _text(repo, config, found, args.gate)
    out.say(text)
    out.answer(
        workflow=text, path=workflow_file.PATH, steps=[r.name for r in taken], next_action="prp init --ci github"
    )


def write(repo: Repo, config: Config, args: argparse.Namespace, out: Output) -> list[str]:
    """Declare steps where none are, write the workflow where none is; the files that were written."""
    found = recipes.find(repo.top)
    wrote = []
    if config.smoke:
        out.say(say.steps_stay(len(config.smoke)))
    elif taken := _choose(found.recipes, args.yes, out):
        with open(os.path.join(repo.top, settings.FILE), "a", encoding="utf-8") as f:
            f.write(_tables(taken))
        settings.parse(_file(repo, settings.FILE) or "", settings.FILE)
        out.say(say.steps_written([r.name for r in taken]), colour="green")
        wrote.append(settings.FILE)
    text = _text(repo, config, found, args.gate)
    there = _file(repo, workflow_file.PATH)
    if there in (None, text) and _name_check(repo, config, workflow_file.gate(args.gate, repo), out):
        wrote.append(settings.FILE)
    if there is None:
        path = os.path.join(repo.top, workflow_file.PATH)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "x", encoding="utf-8") as f:
            f.write(text)
        out.say(say.wrote(workflow_file.PATH), colour="green")
        out.say(say.NO_SECRET)
        out.say(say.SECRET)
        wrote.append(workflow_file.PATH)
    elif there == text:
        out.say(say.same(workflow_file.PATH))
    else:
        _differs(there, text, out)
    if there is None and workflow_file.gate(args.gate, repo) is None:
        out.say(say.NO_GATE)
        out.say(f"  {say.NO_GATE_ACTION}")
    return list(dict.fromkeys(wrote))


def _check_added(config: Config | None, gate: workflow_file.Gate | None) -> str | None:
    """What prp.toml needs for the written workflow's check run; None where it says so already, or says another."""
    name = workflow_file.check(gate)
    if name == (config.ci_check if config else "smoke") or (config and config.where["ci.check"] != "default"):
        return None
    return f"\n[ci]\ncheck = {project.quoted(name)}\n"


def _name_check(repo: Repo, config: Config, gate: workflow_file.Gate | None, out: Output) -> bool:
    """Write which check run counts, below a [ci] that is there already; whether prp.toml was written."""
    name, added = workflow_file.check(gate), _check_added(config, gate)
    if added is None:
        if config.ci_check != name:
            out.say(say.other_check(config.ci_check, name), colour="yellow")
        return False
    old = _file(repo, settings.FILE) or ""
    line = added.split("\n")[2]
    new, found = re.subn(r"(?m)^[ \t]*\[[ \t]*ci[ \t]*\].*$", lambda m: f"{m[0]}\n{line}", old, count=1)
    new = new if found else old + added
    try:
        written = settings.parse(new, settings.FILE).ci_check
    except UsageError:  # a table that is not written as a table, say
        written = None
    if written != name:
        out.say(say.other_check(config.ci_check, name), colour="yellow")
        return False
    with open(os.path.join(repo.top, settings.FILE), "w", encoding="utf-8") as f:
        f.write(new)
    out.say(say.check_named(name), colour="green")
    return True


def _text(repo: Repo, config: Config | None, found: recipes.Found, given: str | None) -> str:
    gate = workflow_file.gate(given, repo)
    budget_s, retries = (config.smoke_budget_s, config.red_retries) if config else (180, 1)
    return workflow_file.text(gate, found.setup, budget_s, retries)


def _file(repo: Repo, name: str) -> str | None:
    try:
        with open(os.path.join(repo.top, name), encoding="utf-8", errors="replace") as f:
            return f.read()
    except FileNotFoundError:
        return None


def _differs(there: str, text: str, out: Output) -> None:
    import difflib

    out.say(say.differs(workflow_file.PATH), colour="yellow")
    names = (workflow_file.PATH, f"{workflow_file.PATH} as it would be")
    for line in difflib.unified_diff(there.splitlines(), text.splitlines(), *names, lineterm="", n=1):
        out.say(f"  {line}")


def _tables(taken: list[Recipe]) -> str:
    one = "\n[[smoke]]\nname = {}\nrun = {}\n"
    return "".join(one.format(project.quoted(r.name), project.quoted(r.run)) for r in taken)


def _choose(proposed: tuple[Recipe, ...], yes: bool, out: Output) -> list[Recipe]:
    """Ask for each; with --yes, or with nobody to ask, take what is safe."""
    if not proposed:
        out.say(say.NOTHING_FOUND, colour="yellow")
        return []
    if yes or not sys.stdin.isatty():
        if not yes:
            out.note(say.NO_TERMINAL)
        return _unasked(proposed, out)
    taken: list[Recipe] = []
    for r in proposed:
        out.say(say.proposed(r))
        default = r.safe and not _covered(r, taken)
        out.note(f"{say.question(r)} {'[Y/n]' if default else '[y/N]'}")
        said = sys.stdin.readline().strip().lower()
        if said in ("y", "yes") or (not said and default):
            taken.append(r)
        else:
            out.say(say.not_taken(r, say.declined()))
    return taken


def _unasked(proposed: tuple[Recipe, ...], out: Output) -> list[Recipe]:
    taken: list[Recipe] = []
    left: list[Recipe] = []
    for r in proposed:
        out.say(say.proposed(r))
        same = _covered(r, taken)
        if r.safe and not same:
            taken.append(r)
            continue
        out.say(say.not_taken(r, r.why or say.covered(same)), colour="yellow")
        left.append(r)
    if left:
        out.say(say.by_hand(left))
    return taken


def _covered(r: Recipe, taken: list[Recipe]) -> str:
    """The taken step that a target of make calls too, "" for none."""
    text = "\n".join(r.text) if r.name.startswith("make-") else ""
    return next((t.name for t in taken if t.name in CALLS and CALLS[t.name] in text), "")
