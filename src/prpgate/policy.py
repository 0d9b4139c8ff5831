"""Which prp.toml counts: the lane's, as of its last fetched tip, not the working tree's.

Old branches have no prp.toml and an agent can edit the one it has; the lane's own file binds everybody alike. Before
it has landed (right after `prp init`) the working tree's is all there is.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .config import FILE, Config, parse
from .errors import UsageError
from .model import ZERO

if TYPE_CHECKING:
    from .gitrepo import Repo

LOOK_BACK = 50  # versions of prp.toml on the lane to go back at most
RECORD = "prp.record"  # git config, written by `prp install`: "<remote> <branch>" of the lane that is the record


def working_tree(repo: Repo) -> Config | None:
    """The working tree's own prp.toml, None when there is none (or no working tree)."""
    if repo.bare:
        return None
    try:
        with open(os.path.join(repo.root, FILE), encoding="utf-8") as f:
            return parse(f.read(), FILE)
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise UsageError(f"{FILE} is not UTF-8.", code="config") from None


def record(repo: Repo) -> tuple[str, str] | None:
    """(remote, branch) of the lane that is the record: as installed, else as the working tree says."""
    remote, _, branch = (repo.setting(RECORD) or "").partition(" ")
    if remote and branch:
        return remote, branch
    try:
        here = working_tree(repo)
    except UsageError:  # a fresh clone of a lane whose prp.toml is broken: its default branch tells enough to mend it
        head = repo.maybe("symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD")
        return ("origin", head.removeprefix("origin/")) if head else None
    return (here.remote, here.ledger_lane) if here else None


def at(repo: Repo, rev: str) -> Config | None:
    """prp.toml as of a commit, None when it has none."""
    data = repo.blob(f"{rev}:{FILE}")
    if data is None:
        return None
    return parse(data.decode("utf-8", "replace"), f"{FILE} of {rev[:12]}")


def find(repo: Repo) -> Config | None:
    """The Config that binds this clone, None when neither the lane nor the working tree has a prp.toml."""
    where = record(repo)
    if where:
        tip = repo.known_tip(*where)
        config = _of_tip(repo, tip) if tip else None
        if config:
            return config
    return working_tree(repo)


def _of_tip(repo: Repo, tip: str) -> Config | None:
    """The tip's policy; where that cannot be read, the last one on the lane that can, so that it can be mended."""
    try:
        return at(repo, tip)
    except UsageError:
        for sha in repo.text("rev-list", f"--max-count={LOOK_BACK}", "--first-parent", tip, "--", f":/{FILE}").split():
            try:
                found = at(repo, sha)
            except UsageError:
                continue
            if found:
                return found
        raise


def require(repo: Repo) -> Config:
    """`find`, or a UsageError that names `prp init`."""
    config = find(repo)
    if config is None:
        _ = repo.top  # a bare repository has none, and says so
        raise UsageError(
            f"no {FILE} here: this repository does not use prpgate yet.", code="no-config", next_action="prp init"
        )
    return config


def is_new(repo: Repo, config: Config, lane: str, base: str) -> bool:
    """Does a push on top of `base` bring the lane its first prp.toml? Nothing can be proven by that yet."""
    return lane == config.ledger_lane and (base == ZERO or repo.blob(f"{base}:{FILE}") is None)
