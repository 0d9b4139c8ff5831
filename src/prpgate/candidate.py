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
    from collections.abc import Iterator, Sequence
    from subprocess import CompletedProcess

PREFIX = "prp-land-"
NO_HOOKS = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")
THEIRS_MOST = 5


class Conflict(NamedTuple):
    """The commits do not go on top of the tip, or what they brought does not come out of it."""

    files: list[str]
    theirs: list[str]  # landed commits that touched these files: "9ab41c2 ben: subject", newest first
    taking_back: str | None = None  # the commit that could not be taken back


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
    gone: list[str] = []
    if not os.path.isdir(os.path.join(repo.common_dir, "worktrees")):  # there is none but the first
        return gone
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
    if base in (ZERO, head):
        return True
    line = repo.text("rev-list", "--first-parent", "--parents", f"{base}..{head}", "--").splitlines()
    return bool(line) and line[-1].split(" ")[1:2] == [base]


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
    if found := _conflict(repo, tree, fork, base):
        return found
    raise _could_not("rebase", done)


def merge(repo: Repo, tree: Repo, base: str, head: str, message: str) -> str | Conflict:
    """A merge commit whose first parent is `base`, checked out in the working tree `tree`, and whose second is `head`.

    The first parent is the lane's own line, so what landed reads as one commit there. The message is left as it is.
    """
    fork = repo.maybe("merge-base", head, base)
    if not fork:
        raise say.no_common_history(base)
    args = ("--no-ff", "--no-autostash", "--no-edit", "--quiet", "-m", message, head)
    done = tree.run(*NO_HOOKS, "merge", *args, env=_env(), check=False)
    made = tree.head
    if done.returncode == 0 and made and tree.sha("HEAD^1") == base and tree.sha("HEAD^2") == head:
        return made
    if found := _conflict(repo, tree, fork, base):
        return found
    raise _could_not("merge", done)


def revert(repo: Repo, tree: Repo, commits: Sequence[str]) -> str | Conflict | None:
    """Take commits back, one by one in the order given, on top of what is checked out in the working tree `tree`.

    Git's own revert commits, a merge's against its first parent. What is undone already is left out; None when that is
    all of it.
    """
    base = tree.head
    assert base is not None
    for sha in commits:
        merged = ("-m", "1") if repo.sha(f"{sha}^2") else ()
        done = tree.run(*NO_HOOKS, "revert", "--no-edit", *merged, sha, env=_env(), check=False)
        if done.returncode == 0:
            continue
        if found := _conflict(repo, tree, sha, base):
            return found._replace(taking_back=sha)
        if tree.run("diff-index", "--quiet", "HEAD", "--", check=False).returncode:
            raise _could_not("revert", done)
        tree.run(*NO_HOOKS, "reset", "--quiet", "--hard", env=_env())  # our own tree: only git's note of a revert goes
    return None if tree.head == base else tree.head


def reword(tree: Repo, message: str) -> str:
    """Give the newest commit of a working tree of ours another message; its new id."""
    args = ("--amend", "--quiet", "--no-verify", "--cleanup=verbatim", "-F", "-")
    tree.run(*NO_HOOKS, "commit", *args, stdin=message.encode("utf-8", "surrogateescape"), env=_env())
    head = tree.head
    assert head is not None
    return head


def _conflict(repo: Repo, tree: Repo, since: str, base: str) -> Conflict | None:
    """The files that git could not put together, and what landed in since..base that touched them. None: no such."""
    files = [f for f in tree.text("diff", "--name-only", "-z", "--diff-filter=U").split("\0") if f]
    if not files:
        return None
    paths = [f":(top,literal){f}" for f in files]
    most = f"--max-count={THEIRS_MOST}"
    return Conflict(files, repo.text("log", "--format=%h %an: %s", most, f"{since}..{base}", "--", *paths).splitlines())


def _could_not(what: str, done: CompletedProcess[bytes]) -> CouldNotTell:
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return CouldNotTell(f"git {what} could not go on: {said[-1] if said else done.returncode}.", code=what)
