"""What `prp doctor --fix` would change, and doing it: each fix says first what it does, and looks again after.

A fix is a function that looks and gives a Fix, or None when there is nothing to mend; FIXES lists them in the order
in which they are done. None of them touches what only a person can decide (a wiped store, a foreign hook).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from . import candidate_branch, claimfile, driver_setup, install, ledger, ledger_edit, ledger_tidy, live, policy, prime
from . import sync as syncing
from .errors import CouldNotTell, StoreDown, UserError
from .messages import candidates as candidates_say
from .messages import mending as say
from .messages import prime as prime_say
from .messages.install import INSTALL

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from .ops import Session
    from .store.client import Store

    Look: TypeAlias = Callable[[Session], "Fix | None"]


class Fix(NamedTuple):
    """One thing that can be mended."""

    name: str
    lines: list[str]  # what it would change
    act: Callable[[], list[str]]  # does it; what was done. Raises UserError


def plan(session: Session) -> list[Fix]:
    """Everything that can be mended here and now. Changes nothing."""
    return [fix for look in FIXES if (fix := look(session)) is not None]


def _store(session: Session) -> Store | None:
    """The store if it answers: what needs it is left alone otherwise."""
    if not session.config.store_id:
        return None
    try:
        return session.store(timeout_s=2.0)
    except StoreDown:
        return None


def hooks(session: Session) -> Fix | None:
    """Stubs that are missing, displaced or stale, and a filter from before the lane's prp.toml changed."""
    repo, config = session.repo, session.config
    wrong = [f for f in install.inspect(repo, config) if f.level != "ok" and f.command == INSTALL]
    if not wrong:
        return None

    def act() -> list[str]:
        done = install.install(repo, config).lines
        left = [f.text for f in install.inspect(repo, config) if f.level != "ok" and f.command == INSTALL]
        return [*done, *(say.still(text) for text in left)]

    return Fix("hooks", [f.text for f in wrong], act)


def merge_driver(session: Session) -> Fix | None:
    """The ledger's merge driver, missing or set up for another interpreter or path."""
    repo, config = session.repo, session.config
    wrong = [f for f in driver_setup.inspect(repo, config) if f.level != "ok" and f.command == INSTALL]
    if not wrong:
        return None
    return Fix("merges", [f.text for f in wrong], lambda: [driver_setup.install(repo, config).detail])


def stats(session: Session) -> Fix | None:
    """The derived figures of a tracking file in this working tree."""
    repo, config = session.repo, session.config
    if repo.bare or config.one_file_per_prp:
        return None
    data = ledger.load(repo, config, None).files.get(config.ledger_path)
    try:
        changes = ledger_tidy.tidy(data, config.ledger_path)[1] if data is not None else []
    except UserError:  # the ledger's own finding says what is wrong with it
        return None
    return Fix("stats", changes, lambda: tidy(session)) if changes else None


def tidy(session: Session) -> list[str]:
    """Refresh the derived figures in the working tree; what changed, in words. Raises UserError."""
    repo, config = session.repo, session.config
    data = None if config.one_file_per_prp else ledger.load(repo, config, None).files.get(config.ledger_path)
    if data is None:
        return []
    done, said = ledger_tidy.tidy(data, config.ledger_path)
    if said:
        ledger_edit.write(os.path.join(repo.top, config.ledger_path), data, done)
    return said


def claims(session: Session) -> Fix | None:
    """Claims kept in this worktree that are nobody's, or somebody else's, by now."""
    store = _store(session)
    git_dir = session.repo.git_dir
    kept = claimfile.mine(git_dir, session.agent.name)
    if store is None or not kept:
        return None
    raw = live.fetch(store)
    if raw.cursor is None:  # an empty store knows of nobody's claim
        return None
    gone = []
    for one in kept:
        p = live.one(one.id, raw)
        claim = p.claim if p else None
        if claim is None or claim.agent != session.agent.name or str(claim.fence) != one.fence:
            gone.append(one)

    def act() -> list[str]:
        for one in gone:
            claimfile.drop(git_dir, one.id, session.agent.name)
        return [say.forgotten([one.id for one in gone])]

    return Fix("claims", [say.not_yours(one.id, one.fence) for one in gone], act) if gone else None


def cursor(session: Session) -> Fix | None:
    """A store that answers, and has not seen the lane as far as this clone has."""
    store = _store(session)
    if store is None:
        return None
    try:
        move = syncing.preview(session.repo, store, session.config)
    except CouldNotTell:
        return None
    if not move.args:
        return None

    def act() -> list[str]:
        done = syncing.sync(session.repo, store, session.config)
        return [say.synced(done.synced, len(done.changed))]

    return Fix("sync", [say.behind(move.report)], act)


def candidates(session: Session) -> Fix | None:
    """Candidate branches that killed landings left on the remote (gate ci-first)."""
    store = _store(session) if session.config.gate == "ci-first" else None
    if store is None:
        return None
    try:
        left = candidate_branch.left_behind(session.repo, session.config, store)
    except CouldNotTell:
        return None

    def act() -> list[str]:
        done = candidate_branch.clean(session.repo, session.config, store)
        return [candidates_say.cleaned(one.branch, one.sha) for one in done]

    lines = [candidates_say.would_clean(one.branch, one.sha, session.config.remote) for one in left]
    return Fix("candidates", lines, act) if left else None


def agents_files(session: Session) -> Fix | None:
    """A block for coding agents that is not what prp.toml says. One that is damaged is left to a person."""
    repo = session.repo
    if repo.bare:
        return None
    config = policy.working_tree(repo) or session.config
    try:
        stale = [p.name for p in prime.look(repo, config) if p.state == "stale"]
    except UserError:
        return None

    def act() -> list[str]:
        return [prime_say.did(name, what) for name, what in prime.write(repo, config) if what == "written"]

    return Fix("agents", [prime_say.stale(stale)], act) if stale else None


FIXES: tuple[Look, ...] = (hooks, merge_driver, stats, claims, cursor, candidates, agents_files)
