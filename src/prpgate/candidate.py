"""What is about to land: a branch's commits on top of the lane's tip, made in a working tree of their own.

The user's working tree, index and branch are never touched. The temporary working tree is a linked worktree with a
detached HEAD and no hooks; it is removed on every way out, and what a killed process left is removed by the next.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from typing import TYPE_CHECKING, NamedTuple

from . import identity
from .errors import CouldNotTell
from .gitrepo import Repo, clean_env
from .interrupts import held_back
from .messages import land as say
from .model import ZERO

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "prp-land-"
NO_HOOKS = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")
THEIRS_MOST = 5


class Conflict(NamedTuple):
    """The commits do not go on top of the tip."""

    files: list[str]
    theirs: list[str]  # landed commits that touched these files: "9ab41c2 ben: subject", newest first


def _env() -> dict[str, str]:
    """Nobody is asked anything: an editor that opened would hold the lane."""
    return {**clean_env(), "GIT_EDITOR": "true", "GIT_SEQUENCE_EDITOR": "true", "GIT_TERMINAL_PROMPT": "0"}


@contextlib.contextmanager
def worktree(repo: Repo, rev: str) -> Iterator[Repo]:
    """A clean working tree of a commit, for as long as the block lasts."""
    me = identity.process(os.getpid())
    path = ""
    try:
        with held_back():
            path = os.path.realpath(tempfile.mkdtemp(prefix=identity.owned(PREFIX, me)))
        repo.run(*NO_HOOKS, "worktree", "add", "--quiet", "--detach", path, rev, env=_env())
        yield Repo(path)
    finally:
        with held_back():
            if path:
                _remove(repo, path)


def _remove(repo: Repo, path: str) -> None:
    # One that was interrupted while git made it is locked; twice --force takes that too.
    repo.run("worktree", "remove", "--force", "--force", path, check=False, env=_env())
    shutil.rmtree(path, ignore_errors=True)


def sweep(repo: Repo) -> list[str]:
    """Remove the temporary working trees of processes that are dead; their paths."""
    gone = []
    for line in repo.text("worktree", "list", "--porcelain").splitlines():
        path = line.removeprefix("worktree ")
        owner = identity.owner(PREFIX, os.path.basename(path)) if path != line else None
        if owner and not identity.alive(owner):
            with held_back():
                _remove(repo, path)
            gone.append(path)
    return gone


def follows(repo: Repo, base: str, head: str) -> bool:
    """Is `base` on the first-parent chain of `head`? Then pushing `head` keeps the lane's own line of commits first."""
    if base == ZERO:
        return True
    if not repo.is_ancestor(base, head):
        return False
    line = repo.commits(base, head, "--first-parent")
    return not line or repo.sha(f"{line[0]}^1") == base


def rebase(repo: Repo, tree: Repo, base: str) -> str | Conflict:
    """Put what is checked out in the working tree `tree` on top of `base`: the new head, or what is in the way.

    As `git pull --rebase` does it: merges are flattened, commits that are there already are left out, authors and
    their dates stay.
    """
    old = tree.head
    assert old is not None
    fork = repo.maybe("merge-base", old, base)
    if not fork:
        raise say.no_common_history(base)
    args = ("--no-autostash", "--no-autosquash", "--no-fork-point", "--no-update-refs", "--no-rebase-merges", "--quiet")
    done = tree.run(*NO_HOOKS, "-c", "advice.detachedHead=false", "rebase", *args, base, env=_env(), check=False)
    head = tree.head
    if done.returncode == 0 and head:
        return head
    files = tree.text("diff", "--name-only", "-z", "--diff-filter=U").split("\0")
    files = [f for f in files if f]
    if not files:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise CouldNotTell(f"git rebase could not go on: {said[-1] if said else done.returncode}.", code="rebase")
    paths = [f":(top,literal){f}" for f in files]
    most = f"--max-count={THEIRS_MOST}"
    theirs = repo.text("log", "--format=%h %an: %s", most, f"{fork}..{base}", "--", *paths).splitlines()
    return Conflict(files, theirs)
