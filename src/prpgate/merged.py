"""Pull requests as git sees them: what merging one would make, and which commit of a lane one landed as.

A host lands a pull request as a commit of its own (a merge, a squash, commits put on top), so its head's id says
nothing. The commit's parents and tree do, whoever pressed the button. Nothing here is checked out, and no hook,
filter or merge driver runs: a fork's commits are only read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .errors import CouldNotTell
from .gitrepo import quiet_env
from .messages import pulls as say
from .model import ZERO, Intent
from .outcomes import Made

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .config import Config
    from .gitrepo import Repo
    from .lane_state import LaneState, Pulled

MOST = 200  # commits of the lane that are looked at, from the base on
PLAIN = "git merge-file %A %O %B"  # what a host does where a repository declares a driver of its own


class Conflicts(NamedTuple):
    """Files that git cannot put together."""

    files: list[str]


def _own_ref(config: Config, number: int) -> str:
    """Keeps a pull request's commits here until what became of it is known."""
    return f"refs/prpgate/{config.remote}/pull/{number}"


def forget(repo: Repo, config: Config, number: int) -> None:
    """Its commits may go: what became of it is on record."""
    repo.run("update-ref", "-d", _own_ref(config, number), check=False)


def fetch_head(repo: Repo, config: Config, number: int, sha: str) -> None:
    """Bring a pull request's commits here, from the remote's own ref for it. Raises CouldNotTell."""
    if repo.has(sha):
        return
    ref = f"refs/pull/{number}/head"
    own = _own_ref(config, number)
    args = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules")
    url = repo.push_url(config.remote)
    repo.run("fetch", *args, "--refmap=", "--", url, f"+{ref}:{own}", env=quiet_env(), timeout_s=60.0)
    if not repo.has(sha):
        raise say.head_not_there(number, sha, repo.sha(own))


def merge_tree(repo: Repo, base: str, head: str) -> str | Conflicts:
    """The tree that merging `head` into `base` makes, as a host would. Needs git 2.38. Raises CouldNotTell."""
    names = (repo.maybe("config", "--name-only", "--get-regexp", r"^merge\..*\.driver$") or "").split("\n")
    plain = [word for name in dict.fromkeys(names) if name for word in ("-c", f"{name}={PLAIN}")]
    args = ("merge-tree", "--write-tree", "--name-only", "--no-messages", base, head)
    done = repo.run(*plain, *args, check=False)
    lines = done.stdout.decode("utf-8", "surrogateescape").splitlines()
    if done.returncode == 0 and lines:
        return lines[0]
    if done.returncode == 1 and lines:
        return Conflicts(lines[1:])
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    raise say.cannot_merge_here(said[0] if said else f"git merge-tree ended with {done.returncode}")


def commit(repo: Repo, tree: str, base: str, head: str, message: str) -> str:
    """A merge commit of the two, on no branch: what is judged before anything is asked of the host."""
    args = ("commit-tree", "--no-gpg-sign", tree, "-p", base, "-p", head)
    done = repo.run(*args, stdin=message.encode("utf-8", "surrogateescape"))
    return done.stdout.decode().strip()


def found(repo: Repo, config: Config, pulls: Sequence[Pulled], tip: str | None) -> list[Made]:
    """Of the pull requests that are being merged, those that are in the lane at `tip` as another commit.

    Raises CouldNotTell when a head is needed to say so and cannot be had.
    """
    made = (_one(repo, config, pull, tip) for pull in pulls if tip and tip not in (pull.base, pull.head))
    return [one for one in made if one]


def under(state: LaneState, intent: Intent | None, made: Sequence[Made]) -> tuple[LaneState, Intent | None]:
    """The same with the commits that landed instead of the heads that were announced."""
    known = {one.head: one for one in made}
    kept = tuple(
        k._replace(head=known[k.head].sha, base=known[k.head].base) if k.head in known else k for k in state.kept
    )
    if intent and (mine := known.get(intent.head)):
        intent = Intent(mine.sha, mine.base)
    return state._replace(kept=kept), intent


def _one(repo: Repo, config: Config, pull: Pulled, tip: str) -> Made | None:
    base = None if pull.base in ("", ZERO) or not repo.has(pull.base) else pull.base
    line = repo.commits(base, tip, "--first-parent")
    line = line[:MOST] if base else line[-MOST:]
    if repo.has(pull.head) and repo.is_ancestor(pull.head, tip):
        for sha in line:
            if repo.is_ancestor(pull.head, sha):
                return None if sha == pull.head else _made(repo, pull, sha, 1)
        return None
    if pull.sha in line:
        return _made(repo, pull, pull.sha, _depth(repo, pull, pull.sha, base))
    for sha in line:
        if pull.tree and repo.tree(sha) == pull.tree and repo.tree(f"{sha}^1") != pull.tree:
            return _made(repo, pull, sha, 0, base)
    if not line:
        return None
    fetch_head(repo, config, pull.number, pull.head)
    count = _count(repo, pull, tip)
    for sha in line:
        for depth in dict.fromkeys((1, count)):
            parent = repo.sha(f"{sha}~{depth}") if depth else None
            if parent and _makes(repo, parent, pull.head, sha):
                return _made(repo, pull, sha, depth)
    return None


def _makes(repo: Repo, parent: str, head: str, sha: str) -> bool:
    """Is a commit's tree what merging `head` into `parent` makes, and more than nothing?"""
    tree = repo.tree(sha)
    return tree != repo.tree(parent) and tree == merge_tree(repo, parent, head)


def _count(repo: Repo, pull: Pulled, tip: str) -> int:
    """How many commits putting a pull request's on top of the lane makes."""
    fork = repo.maybe("merge-base", pull.head, tip)
    return len(repo.commits(fork, pull.head, "--no-merges")) if fork else 0


def _depth(repo: Repo, pull: Pulled, sha: str, base: str | None) -> int:
    """How many commits of the lane's line a landing is: one, or as many as the pull request's that went on top."""
    if base and repo.sha(f"{sha}^1") == base:
        return 1
    try:
        count = _count(repo, pull, sha) if repo.has(pull.head) else 1
        parent = repo.sha(f"{sha}~{count}") if count > 1 else None
        return count if parent and _makes(repo, parent, pull.head, sha) else 1
    except CouldNotTell:
        return 1


def _made(repo: Repo, pull: Pulled, sha: str, depth: int, base: str | None = None) -> Made:
    on = base or repo.sha(f"{sha}~{max(1, depth)}") or ZERO
    return Made(pull.head, sha, on, repo.tree(sha) or "")
