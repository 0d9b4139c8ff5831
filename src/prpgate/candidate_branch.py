"""Candidate branches on the lane's remote: one commit each, named by the fence of the landing that waits for it.

A branch is pushed where nothing was before and deleted only while it still is what it was seen to be. One that a killed
landing left behind goes when the next one begins; the candidate of a hold that lives is never touched.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from . import events
from .candidate_lock import CandidateLock
from .errors import CouldNotTell
from .gitrepo import GitError, quiet_env
from .lane_state import FREE, OFFERED

if TYPE_CHECKING:
    from .config import Config
    from .gitrepo import Repo
    from .store.client import Store

ASK_S, DELETE_S = 8.0, 15.0


class Left(NamedTuple):
    """A candidate branch of a landing that is over."""

    fence: int
    branch: str
    sha: str


def on_remote(repo: Repo, config: Config) -> list[Left]:
    """Every candidate branch that the remote has. Raises CouldNotTell."""
    out = repo.text(
        *("--git-dir", repo.git_dir, "ls-remote", "--refs", "--", repo.push_url(config.remote)),
        f"refs/heads/{config.candidates}*",
        env=quiet_env(),
        timeout_s=ASK_S,
    )
    found = []
    for line in out.split("\n"):
        sha, _, ref = line.partition("\t")
        if (fence := config.fence_of(ref)) is not None:
            found.append(Left(fence, ref.removeprefix("refs/heads/"), sha))
    return sorted(found)


def left_behind(repo: Repo, config: Config, store: Store) -> list[Left]:
    """Candidates of landings that are over. The remote is asked first and the store after it, so that whoever was
    granted a lane meanwhile is seen to hold it. Raises CouldNotTell, StoreDown."""
    there = on_remote(repo, config)
    if not there:
        return []
    states = [CandidateLock(store, name, config.times).state() for name in events.lanes(store)]
    held = {s.fence for s in states if s.state not in (FREE, OFFERED)}
    newest = max((s.fence for s in states), default=0)  # a greater one is of another store: it is not ours to judge
    return [one for one in there if one.fence <= newest and one.fence not in held]


def clean(repo: Repo, config: Config, store: Store) -> list[Left]:
    """Delete what killed landings left behind; what was deleted. Raises CouldNotTell, StoreDown."""
    return [one for one in left_behind(repo, config, store) if delete(repo, config, one.branch, one.sha)]


def sweep(repo: Repo, config: Config, store: Store) -> None:
    """`clean`, by whoever has better things to do: what cannot be deleted now waits for the next."""
    with contextlib.suppress(CouldNotTell):
        clean(repo, config, store)


def delete(repo: Repo, config: Config, branch: str, sha: str) -> bool:
    """Delete a candidate branch if it still is what it was. False: it is not, or the remote did not say."""
    ref = f"refs/heads/{branch}"
    try:
        repo.run(
            *("push", "--quiet", "--no-verify", f"--force-with-lease={ref}:{sha}", config.remote, f":{ref}"),
            env=quiet_env(),
            timeout_s=DELETE_S,
        )
    except (GitError, CouldNotTell):
        return False
    return True
