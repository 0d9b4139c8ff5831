"""What is to land where, what `prp land` says meanwhile, and how it ended."""

from __future__ import annotations

import contextlib
import fcntl
import os
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from .errors import UserError
from .gitrepo import lane_of
from .messages import land as say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .config import Config
    from .gitrepo import Repo
    from .lock import Queued
    from .steps import StepResult, StepStart

LANDED, IN_CI, NOTHING, QUEUED, UNSEEN = "landed", "ci", "up-to-date", "queued", "unseen"
WAITING, FETCHING, REBASING, MERGING, REVERTING = "waiting", "fetching", "rebasing", "merging", "reverting"
GATE, PUSHING, LOOKING = "gate", "pushing", "looking"
OFFERING, AWAITING, SMOKING = "candidate", "waiting-for-ci", "smoking"  # gate ci-first


class Job(NamedTuple):
    """What is to land where."""

    lane: str
    branch: str | None  # None: a detached HEAD
    head: str
    checked_out: bool
    prp: str | None
    revert: str | None = None  # the commit to take back instead of landing the branch; "": what closed the lane
    hotfix: bool = False
    reason: str = ""
    pull: int | None = None  # the pull request that lands through the host's API


class Overtaken(Exception):
    """Somebody pushed past the lock: the tip is another now."""


class Stage(NamedTuple):
    """What is going on right now. For the line: the store's answer. For the gate: a step's name."""

    name: str
    queued: Queued | None = None
    detail: str = ""


class Outcome(NamedTuple):
    """How it ended, when it did not end with a refusal."""

    state: str  # LANDED, IN_CI (landed, and CI has the lane), NOTHING (it is there already), QUEUED, UNSEEN
    job: Job
    sha: str | None = None  # what was pushed
    base: str | None = None
    commits: int = 0
    queued: Queued | None = None
    catch_up: str | None = None  # the command after which the local branch is what landed
    beside: bool = False  # it is in the branch, but not on its first-parent line
    merged: bool = False  # the local branch is under what landed
    taken_back: tuple[str, str, int] | None = None  # sha, subject, and how many commits of its landing
    text: str = ""  # what git said of a push that is not seen
    run_url: str | None = None  # of the CI run that proved it before it landed (gate ci-first)


class Ears(NamedTuple):
    """Who is told meanwhile."""

    stage: Callable[[Stage], None]
    line: Callable[[str, str], None]  # of a gate's step
    step: Callable[[StepStart | StepResult], None]
    over: Callable[[], None]  # it was pushed, and what the remote says is on record: an interrupt changes nothing now


def job(
    repo: Repo,
    config: Config,
    branch: str | None = None,
    prp: str | None = None,
    *,
    revert: str | None = None,
    hotfix: bool = False,
    reason: str = "",
) -> Job:
    """A branch (default: what is checked out) and the lane that it lands on: itself, its upstream, or the record.

    With `revert` only the lane counts.
    """
    if revert is not None and (branch or prp):
        raise say.revert_alone()
    if reason and revert is None and not hotfix:
        raise say.reason_of_what()
    here = repo.branch
    name = branch or here
    if name:
        what = "--format=%(refname) %(objectname) %(upstream:remotename) %(upstream:remoteref)"
        listed = repo.text("for-each-ref", what, f"refs/heads/{name}").splitlines()
        mine = [line.split(" ") for line in listed if line.startswith(f"refs/heads/{name} ")]
    else:
        mine = [["", here_now, "", ""]] if (here_now := repo.head) else []
    if not mine:
        raise say.no_branch(name)
    _, head, remote, ref = mine[0]
    target = config.ledger_lane
    if name:
        target = lane_of(config, config.remote, f"refs/heads/{name}") or lane_of(config, remote, ref) or target
    return Job(target, name, head, name == here, prp, revert, hotfix, " ".join(reason.split()))


@contextlib.contextmanager
def alone(repo: Repo) -> Iterator[None]:
    """One `prp land` at a time in a worktree: two would share a ticket. Ends with the process, however it ends."""
    fd = os.open(repo.git_dir, os.O_RDONLY)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise say.already_running() from None
        yield
    finally:
        os.close(fd)


def may_hotfix(config: Config, agent: str) -> bool:
    """Is this agent one of those whom the lane's prp.toml lets go first?"""
    return any(fnmatchcase(agent, name) for name in config.hotfix)


def check(wait: float | None, no_wait: bool) -> float:
    """Seconds to wait: none, so many, or as long as it takes."""
    if wait is not None and (no_wait or wait < 0):
        raise UserError("--wait takes seconds, and not together with --no-wait.", code="usage")
    return 0.0 if no_wait else float("inf") if wait is None else wait
