"""init, join, install, uninstall, doctor, whoami."""

from __future__ import annotations

import os
import sys
from shlex import quote
from typing import TYPE_CHECKING, Any

from .. import config as settings
from .. import identity, ops, policy
from ..errors import OK, REFUSED, StoreDown, UsageError, UserError
from ..gitrepo import Repo
from ..messages.lane import counted

if TYPE_CHECKING:
    import argparse

    from ..config import Config
    from ..driver_setup import Setup
    from ..install import Report
    from ..output import Output


def init(args: argparse.Namespace, out: Output) -> int:
    from .. import ci_setup, project, protection
    from .. import install as hooks

    repo = Repo.found()
    if (args.gate or args.print) and not args.ci:
        raise UsageError("--gate and --print belong to --ci.", code="usage", next_action="prp init --ci github")
    if args.ci and args.print:
        from .init_ci import show

        show(repo, args, out)
        return OK
    path = os.path.join(repo.top, settings.FILE)
    config = policy.working_tree(repo)
    wrote = False
    if config is None:
        found = project.propose(repo, ledger=args.ledger, project=args.project, scope=args.scope, lane=args.lane)
        text = project.toml(found)
        config = settings.parse(text, settings.FILE)
        mode = protection.mode(repo, config)
        text = protection.in_text(text, mode)
        config = settings.parse(text, settings.FILE)
        for note in (*found.notes, *(mode.why if mode else ())):
            out.say(note)
        out.say(
            f"Project {config.project}, ledger {config.ledger_path}, lane {config.ledger_lane} on {config.remote}, "
            f"store scope {config.store_scope}."
        )
        if not args.yes and not _agreed(out, f"Write {settings.FILE} and install the hooks?"):
            raise UserError("Nothing was changed.", code="declined", next_action="prp init --help")
        there = _id_there(repo, config, args.redis_url)
        if there:  # another clone was set up and has not pushed yet: two ids would be two stores
            out.say(f"The store already has an id for {config.project}; it is taken over.")
            text = protection.in_text(project.toml(found._replace(store_id=there)), mode)
            config = settings.parse(text, settings.FILE)
        with open(path, "x", encoding="utf-8") as f:
            f.write(text)
        wrote = True
        out.say(f"Wrote {settings.FILE}.", colour="green")
    else:
        asked = [n for n in ("ledger", "project", "scope", "lane") if getattr(args, n)]
        if asked:
            raise UsageError(
                f"{settings.FILE} is there already; --{asked[0]} would not change it.",
                code="usage",
                hint=f"Edit {settings.FILE} and land it: what stands on the lane counts. Then, without --{asked[0]}:",
                next_action="prp init",
            )
        ci_setup.require(config, repo.top, args.redis_url)
        out.say(f"{settings.FILE} is there already: {config.project}. It stays as it is.")
        if advice := ci_setup.recommendation(config):
            out.say(advice)
    report = hooks.install(repo, config)
    _tell(report, out)
    driver = _merge_driver(repo, config, out)
    synced = _bring_up(repo, config, args.redis_url, out, adopt=wrote)
    shims, unsaved = _shims(repo, out) if args.ancestor_shims else ([], [])
    ci_files = _ci(repo, config, args, out) if args.ci else []
    primed = _agents(repo, config, out) if args.agents else []
    then = "prp status"
    added = " ".join(quote(f":/{f}") for f in dict.fromkeys([*unsaved, *ci_files, *primed]))
    if added and not wrote:
        what = (
            "Smoke what lands"
            if ci_files
            else "Old scripts lead to prpgate"
            if unsaved
            else "Tell agents how to work here"
        )
        then = f'git add {added} && git commit -m "{what}" && git push'
    if wrote or not repo.maybe("ls-files", "--error-unmatch", settings.FILE):
        names = " ".join(quote(f":/{f}") for f in dict.fromkeys([settings.FILE, *shims, *ci_files, *primed]))
        then = f'git add {names} && git commit -m "Use prpgate"'
        if repo.remote_url(config.remote) is not None:
            upstream = repo.maybe("rev-parse", "--abbrev-ref", "@{upstream}")
            then += " && git push" if upstream else f" && git push -u {quote(config.remote)} HEAD"
    out.say("Nothing else was touched. Next:")
    out.say(f"  {then}")
    out.answer(
        project=config.project,
        wrote=list(dict.fromkeys([*([settings.FILE] if wrote else []), *shims, *ci_files, *primed])),
        hooks=report._asdict(),
        merge_driver=driver._asdict(),
        synced=synced,
        ledger=config.ledger_path,
        scope=config.store_scope,
        next_action=then,
    )
    return OK


def _ci(repo: Repo, config: Config, args: argparse.Namespace, out: Output) -> list[str]:
    from .init_ci import write

    return write(repo, config, args, out)


def _agents(repo: Repo, config: Config, out: Output) -> list[str]:
    from .prime import write

    return [name for name, what in write(repo, config, out) if what == "written"]


def _shims(repo: Repo, out: Output) -> tuple[list[str], list[str]]:
    """Write them: those that were written, and those that are to be committed."""
    from .. import ancestor
    from ..messages.api import SHIMS_THERE, SHIMS_WRITTEN

    done = ancestor.write(repo)
    for name in done.wrote:
        out.say(f"Wrote {name}.", colour="green")
    new = ancestor.to_commit(repo, [*done.wrote, *done.same])
    out.say(SHIMS_WRITTEN if new else SHIMS_THERE)
    return done.wrote, new


def _id_there(repo: Repo, config: Config, url: str | None) -> str:
    """The id that the store which would be used holds for this project already; "" for none or no answer."""
    from ..store import client

    try:
        with client.connect(config, repo.top, url=url, timeout_s=5.0, adopt_check=False) as store:
            return store.store_id
    except StoreDown:
        return ""


def _agreed(out: Output, question: str) -> bool:
    """Ask on a terminal; without one the proposal is taken, and that is said."""
    if not sys.stdin.isatty():
        out.note("No terminal to ask on: taking what is proposed.")
        return True
    out.note(f"{question} [Y/n]")
    return sys.stdin.readline().strip().lower() in ("", "y", "yes")


def _tell(report: Report, out: Output) -> None:
    for line in report.lines:
        out.say(line)


def _bring_up(repo: Repo, config: Config, url: str | None, out: Output, *, adopt: bool) -> int | None:
    """Reach the store and fill it from the lane. A store that is down is said, and ends nothing."""
    from .. import prps
    from ..store import client

    try:
        store = client.connect(config, repo.top, url=url, timeout_s=5.0, adopt_check=not adopt)
        with store:
            if adopt:
                client.adopt(store, config.store_id)
            out.say(f"Store: {store.url} ({store.rule})")
            report = prps.sync(repo, store, config)
    except StoreDown as e:
        out.say(f"Store: not reached. {e.message}", colour="yellow")
        if e.next_action:
            out.say(f"  {e.next_action}")
        return None
    out.say(f"Synced: {counted(report.synced, 'PRP')}")
    if report.note:
        out.say(report.note)
    return int(report.synced)


def join(args: argparse.Namespace, out: Output) -> int:
    from .. import install as hooks

    repo = Repo.found()
    _ = repo.top
    config = policy.require(repo)
    report = hooks.install(repo, config)
    _tell(report, out)
    driver = _merge_driver(repo, config, out)
    synced = _bring_up(repo, config, args.redis_url, out, adopt=False)
    who = identity.agent(repo)
    out.say(f"You are {who.name} ({who.source}). Next:")
    out.say("  prp next")
    out.answer(
        project=config.project,
        hooks=report._asdict(),
        merge_driver=driver._asdict(),
        synced=synced,
        agent=who.name,
        next_action="prp next",
    )
    return OK


def install(args: argparse.Namespace, out: Output) -> int:
    from .. import install as hooks

    repo = Repo.found()
    config = policy.require(repo)
    report = hooks.install(repo, config)
    _tell(report, out)
    driver = _merge_driver(repo, config, out)
    out.answer(hooks=report._asdict(), merge_driver=driver._asdict(), next_action="prp doctor")
    return OK


def _merge_driver(repo: Repo, config: Config, out: Output) -> Setup:
    from .. import driver_setup

    done = driver_setup.install(repo, config)
    out.say(done.detail)
    return done


def uninstall(args: argparse.Namespace, out: Output) -> int:
    from .. import driver_setup
    from .. import install as hooks
    from ..messages.install import NOTHING_HERE, STAYS

    repo = Repo.found()
    report = hooks.uninstall(repo)
    _tell(report, out)
    driver = driver_setup.uninstall(repo)
    if driver.detail:
        out.say(driver.detail)
    forgotten = _forget(repo) if args.all else []
    for name in forgotten:
        out.say(f"Removed {name}.")
    out.say(STAYS if report.lines or driver.detail or forgotten else NOTHING_HERE)
    out.answer(hooks=report._asdict(), merge_driver=driver._asdict())
    return OK


def _forget(repo: Repo) -> list[str]:
    """Take away what this worktree keeps for itself; the names of it."""
    import shutil

    gone = []
    names = [identity.FILE, "prp-claim", "prp-scopes", "prp-why", "prp-renewed", "prp-seen", "prp-gates"]
    for name in [*names, *sorted(n for n in os.listdir(repo.git_dir) if n.startswith(identity.SLOT))]:
        path = os.path.join(repo.git_dir, name)
        if os.path.isdir(path):
            shutil.rmtree(path)
        elif os.path.exists(path):
            os.unlink(path)
        else:
            continue
        gone.append(name)
    return gone


def whoami(args: argparse.Namespace, out: Output) -> int:
    repo = Repo.found()
    if args.set is not None:
        name = args.set.strip()
        if not name or len(name) > 200 or not name.isprintable() or len(name.split()) > 1:
            raise UsageError(
                "an agent's name is one word of up to 200 printable characters.",
                code="usage",
                next_action=f"prp whoami --set {quote('-'.join(name.split())[:200])}" if name.isprintable() else None,
            )
        with open(os.path.join(repo.git_dir, identity.FILE), "w", encoding="utf-8") as f:
            f.write(name + "\n")
    who = identity.agent(repo)
    kind = "a person" if identity.is_person(who) else "an agent"
    out.say(f"{who.name} ({who.source}), {kind}, on {identity.host()}")
    if args.set is not None and who.source == "PRP_AGENT":
        out.say(f"{args.set.strip()} is kept for this worktree; while PRP_AGENT is set, that goes before it.")
    more = {} if args.role is None else {"role": _set_role(args, out)}
    out.answer(agent=who.name, source=who.source, person=identity.is_person(who), host=identity.host(), **more)
    return OK


def _set_role(args: argparse.Namespace, out: Output) -> str | None:
    from .. import registry
    from ..messages import mail as say

    session = ops.Session(url=args.redis_url)
    if args.role and (args.role == "all" or not registry.ROLE.fullmatch(args.role)):
        raise UsageError(say.NO_ROLE, code="usage")
    role = registry.beat(session.store(), session.caller, role=args.role).role
    out.say(say.role_set(session.agent.name, role))
    return role


def doctor(args: argparse.Namespace, out: Output) -> int:
    from .. import diagnosis

    session = ops.Session(url=args.redis_url)
    facts = diagnosis.examine(session)
    for f in facts:
        mark = {"ok": "ok   ", "warning": "warn ", "error": "ERROR"}[f.level]
        colour = {"ok": None, "warning": "yellow", "error": "red"}[f.level]
        out.say(f"{mark}  {f.text}", colour=colour)
        if f.command:
            out.say(f"         {f.command}")
    fixed: list[str] | None = None
    if args.fix:
        fixed = _mend(session, args, out)
        facts = diagnosis.examine(session) if fixed else facts
    bad = [f for f in facts if f.level == "error"]
    warnings = sum(f.level == "warning" for f in facts)
    said = f"{counted(len(bad), 'error')}, {counted(warnings, 'warning')}" if bad or warnings else "all is well"
    out.say(said, colour="red" if bad else "yellow" if warnings else "green")
    if out.json:
        shape: dict[str, Any] = {"facts": [f._asdict() for f in facts], "fixed": fixed}
        if bad:
            out.refused_with(bad[0].text, "doctor", bad[0].command, **shape)
        else:
            out.answer(**shape)
    return REFUSED if bad else OK


def _mend(session: ops.Session, args: argparse.Namespace, out: Output) -> list[str]:
    """Show what would be mended and, when that is agreed to, mend it; what was done."""
    from .. import mending
    from ..messages import mending as say
    from .recovery import agreed

    fixes = mending.plan(session)
    if not fixes:
        out.say(say.NOTHING)
        return []
    out.say("Would be mended:")
    for fix in fixes:
        for line in fix.lines:
            out.say(f"  {line}" if line.startswith(f"{fix.name}: ") else f"  {fix.name}: {line}")
    if not (args.yes or agreed(out, "Do it?")):
        out.say(say.NOT_DONE)
        out.say("  prp doctor --fix --yes")
        return []
    done: list[str] = []
    for fix in fixes:
        for line in fix.act():
            done.append(line)
            out.say(f"  {line}", colour="green")
    return done


def tidy(args: argparse.Namespace, out: Output) -> int:
    from .. import mending
    from ..messages import mending as say

    session = ops.Session(url=args.redis_url)
    said = mending.tidy(session)
    for line in said:
        out.say(f"  {line}")
    path = session.config.ledger_path
    if said:
        out.say(f"Written to {path}; commit it.", colour="green")
    else:
        out.say(say.TIDY)
    out.answer(changed=said, changed_file=path if said else None)
    return OK
