"""What `prp doctor` finds: each fact with its level and the command that mends it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from . import origin, policy
from .config import FILE
from .errors import CouldNotTell, UserError
from .messages.lane import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .ops import Session
    from .store.client import Store


class Fact(NamedTuple):
    level: str  # "ok", "warning" or "error"
    text: str
    command: str | None = None


def examine(session: Session) -> list[Fact]:
    """Look at everything that must be right for the others' work to be safe. Raises UserError outside a repository."""
    return [
        *_policy(session),
        *_hooks(session),
        *_merge_driver(session),
        *_identity(session),
        *_ledger(session),
        *_store(session),
        *_lane(session),
        *_ci(session),
        *_candidates(session),
        *_agents_files(session),
    ]


def _policy(session: Session) -> Iterator[Fact]:
    repo, config = session.repo, session.config
    yield Fact("ok", f"project {config.project}, policy from {config.where['project']}")
    here = policy.working_tree(repo)
    if here is not None and here.project != config.project:
        yield Fact("error", f"{FILE} here names project {here.project}, the lane's names {config.project}", "git pull")
    unknown = config.unknown or (here.unknown if here else ())
    if unknown:
        names = ", ".join(unknown)
        upgrade = origin.command(how="--upgrade")
        yield Fact("warning", f"{FILE}: this version does not know {names}", upgrade)
    tip = repo.known_tip(config.remote, config.ledger_lane)
    if tip is None:
        yield Fact(
            "warning",
            f"{config.remote} has no {config.ledger_lane} here yet",
            f"git push -u {config.remote} {config.ledger_lane}",
        )
    elif policy.at(repo, tip) is None:
        dirty = repo.maybe("status", "--porcelain", "--", f":/{FILE}")
        then = f"git add :/{FILE} && git commit -m 'Use prpgate' && git push" if dirty else "git push"
        yield Fact("warning", f"{FILE} is not on {config.ledger_lane} yet: it binds only this clone", then)


def _hooks(session: Session) -> Iterator[Fact]:
    from . import install

    for fact in install.inspect(session.repo, session.config):
        yield Fact(fact.level, fact.text, fact.command)


def _merge_driver(session: Session) -> Iterator[Fact]:
    from . import driver_setup

    for fact in driver_setup.inspect(session.repo, session.config):
        yield Fact(fact.level, fact.text, fact.command)


def _identity(session: Session) -> Iterator[Fact]:
    who = session.agent
    level = "ok" if who.source != "user and host" else "warning"
    yield Fact(level, f"you are {who.name} ({who.source})", None if level == "ok" else "prp whoami --set NAME")
    glass = os.path.join(session.repo.own_dir, "break-glass.jsonl")
    if os.path.exists(glass):
        yield Fact("warning", "an emergency push is recorded here and not delivered yet", "prp redis-sync")


def _ledger(session: Session) -> Iterator[Fact]:
    from . import ledger, rules
    from .model import ERROR

    path = session.config.ledger_path
    found = ledger.load(session.repo, session.config, None)
    errors = [f for f in rules.check_all(found, session.config.id_pattern) if f.severity == ERROR]
    if found.missing:
        yield Fact("warning", f"no ledger at {path} in this working tree", 'prp new "title"')
    elif errors:
        f = errors[0]
        many = counted(len(errors), "error")
        yield Fact("error", f"{f.file}:{f.line}:{f.column}: {f.message} ({many})", "prp check --all")
    else:
        yield Fact("ok", f"ledger {path}: {counted(len(found.prps), 'PRP')}")


def _store(session: Session) -> Iterator[Fact]:
    try:
        store = session.store(timeout_s=2.0)
        yield Fact("ok", f"store {store.url} ({store.rule}), answered in {store.ping_ms():.1f} ms")
    except UserError as e:
        yield Fact("error", e.message, e.next_action or "prp redis-status")
        return
    from . import ancestor, notify
    from .messages.api import old_keys

    if told := notify.examine(session.config, store):
        yield Fact(*told)
    yield from _gate(store)
    yield from _record(session, store)
    if found := ancestor.old_keys(store):
        yield Fact("warning", old_keys(found), "prp init --ancestor-shims")


def _record(session: Session, store: Store) -> Iterator[Fact]:
    """Do the store and this clone have what the lane has, and is that what its seals say?"""
    from . import sync
    from .messages import diagnosis as say

    lane = session.config.ledger_lane
    try:
        move = sync.preview(session.repo, store, session.config)
    except CouldNotTell as e:
        yield Fact("warning", e.message, e.next_action)
        return
    if move.args:
        seen = say.store_behind(lane, move.report.cursor_before, move.report.cursor_after)
        yield Fact("warning", seen, "prp redis-sync")
    if found := move.report.conflicts:
        yield Fact("error", say.damaged(lane, *found[0], len(found)), "prp sync")


def _behind(session: Session, tip: str) -> Iterator[Fact]:
    """Does this clone, or the lane checked out in it, lack something of the lane at the remote?"""
    from .messages import diagnosis as say

    repo, remote, lane = session.repo, session.config.remote, session.config.ledger_lane
    known = repo.known_tip(remote, lane)
    if known and known != tip:
        yield Fact("warning", say.clone_behind(remote, lane, known, tip), "git pull --rebase --autostash")
    elif known and repo.branch == lane and repo.head and not repo.is_ancestor(known, repo.head):
        count = int(repo.text("rev-list", "--count", f"{repo.head}..{known}"))
        yield Fact("warning", say.branch_behind(remote, lane, count), "git pull --rebase --autostash")


def _ci(session: Session) -> Iterator[Fact]:
    from . import ci_setup

    for found in ci_setup.inspect(session.repo, session.config, session.url):
        yield Fact(found.level, found.text, found.command)


def _gate(store: Store) -> Iterator[Fact]:
    from . import gate_runs
    from .messages import gate_runs as say

    runs = gate_runs.read(store)
    for klass in ("ci", "local"):
        found = gate_runs.stats(runs, klass)
        if found and found.slow:
            yield Fact("warning", say.slow(found), "prp smoke stats")


def _lane(session: Session) -> Iterator[Fact]:
    config = session.config
    if session.repo.remote_url(config.remote) is None:
        yield Fact(
            "warning",
            f"no remote named {config.remote}: nothing is pushed there",
            f"git remote add {config.remote} URL",
        )
        return
    try:
        tip = session.repo.remote_tip(config.remote, config.ledger_lane, timeout_s=5.0).sha
        yield Fact("ok", f"{config.remote} answers; {config.ledger_lane} is at {(tip or 'nothing yet')[:10]}")
        yield from _behind(session, tip) if tip else ()
    except CouldNotTell as e:
        yield Fact("warning", f"{config.remote} does not answer: {e.message}", f"git ls-remote {config.remote}")
    if not config.smoke:
        here = policy.working_tree(session.repo)
        ready = here is not None and bool(here.smoke)
        what = "is not on the lane yet: commit and push it" if ready else f"is missing: declare a step in {FILE}"
        until = f"[[smoke]] {what}; until then no landing can be proven green"
        yield Fact("warning", until, "git push" if ready else None)


def _candidates(session: Session) -> Iterator[Fact]:
    """Gate ci-first: did killed landings leave anything behind? Whether anything can be proven to it, `_ci` says."""
    config = session.config
    if config.gate != "ci-first":
        return
    from . import candidate_branch
    from .messages import candidates as say

    try:
        left = candidate_branch.left_behind(session.repo, config, session.store(timeout_s=2.0))
    except UserError:  # the store or the remote does not answer, which is said above
        return
    if left:
        yield Fact("warning", say.left(len(left), config.remote), "prp ci clean")
    else:
        yield Fact("ok", say.NOTHING_LEFT)


def _agents_files(session: Session) -> Iterator[Fact]:
    """Does the block for coding agents say what is so? A repository without one needs none."""
    from . import prime
    from .messages import prime as say

    if session.repo.bare:
        return
    try:
        places = prime.look(session.repo, policy.working_tree(session.repo) or session.config)
    except UserError as e:
        yield Fact("warning", e.message, e.next_action)
        return
    if stale := [p.name for p in places if p.state == "stale"]:
        yield Fact("warning", say.stale(stale), "prp prime --write")
    elif there := [p.name for p in places if p.state == "current"]:
        yield Fact("ok", say.current(there).rstrip("."))
