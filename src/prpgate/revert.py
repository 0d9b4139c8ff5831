"""`prp land --revert`: which commits of a lane are taken back, and when that is not for a machine to do.

Nothing is changed here. What may be taken back is a commit of the lane's own line of first parents that is no revert
itself and has not been taken back already; the head of a landing stands for the whole landing, where that is on record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from . import candidate, lane
from .commit_message import message_ids
from .messages import fixes as say
from .model import ZERO
from .reverts import REVERTS

if TYPE_CHECKING:
    from .config import Config
    from .gitrepo import Repo
    from .lock import MergeLock

IN_LANE = ("landed", "late")


class Plan(NamedTuple):
    """What is to be taken back."""

    sha: str  # in full
    subject: str
    commits: tuple[str, ...]  # in the order of taking back: newest first


def plan(repo: Repo, lock: MergeLock, asked: str, tip: str) -> Plan:
    """What `asked` stands for on a lane whose tip is `tip`; "": what closed the lane. Raises UserError."""
    name = lock.lane
    sha = repo.sha(f"{asked or _culprit(lock)}^{{commit}}")
    if sha is None:
        raise say.no_such_commit(name, asked)
    if not repo.is_ancestor(sha, tip):
        raise say.not_in_lane(name, sha)
    if not candidate.follows(repo, sha, tip):
        raise say.brought_by_a_merge(name, sha, _merge_of(repo, sha, tip))
    if taken := REVERTS.search(repo.message(sha)):
        raise say.is_a_revert(name, sha, taken[1])
    gone = _taken_back(repo, sha, tip)
    if sha in gone:
        raise say.already(name, sha, gone[sha])
    commits = _landing(repo, lock, sha)
    if len(commits) > 1:
        gone |= _taken_back(repo, commits[-1], tip)
    within = []
    for commit in commits:
        takes = REVERTS.findall(repo.message(commit))
        if commit in gone or (takes and all(gone.get(what) == commit and what in commits for what in takes)):
            continue  # it and what it takes back, in this very landing, have cancelled each other
        if takes:
            raise say.is_a_revert(name, commit, takes[0], of=sha)
        within.append(commit)
    return Plan(sha, repo.text("show", "--no-patch", "--format=%s", sha), tuple(within))


def worded(repo: Repo, config: Config, tree: Repo, found: Plan, reason: str) -> str:
    """Add to the newest revert's message why, and which PRPs it is about; the new head.

    Git's own words stay: by `This reverts commit …` everybody else knows what it is.
    """
    head = tree.head
    assert head is not None
    known = lane.known_ids(repo, config, head)
    ids: dict[str, None] = {}
    for commit in found.commits:
        claimed = message_ids(repo.message(commit), config.id_pattern)[0]
        ids.update(dict.fromkeys(i for i in claimed if i in known))
    more = ([reason] if reason else []) + (["\n".join(f"Prp: {i}" for i in ids)] if ids else [])
    if not more:
        return head
    return candidate.reword(tree, "\n\n".join([repo.message(head).rstrip(), *more]) + "\n")


def _culprit(lock: MergeLock) -> str:
    state = lock.state()
    if state.closed is None or state.closed.culprit_sha is None:
        raise say.nothing_closed_it(state)
    return state.closed.culprit_sha


def _landing(repo: Repo, lock: MergeLock, sha: str) -> list[str]:
    """The lane's own commits of the landing that `sha` is the head of, newest first; only itself if nobody knows."""
    record = lock.record(sha)
    base = record.base if record and record.record in IN_LANE else None
    if not base or base == ZERO or not repo.has(base):
        return [sha]
    if not candidate.follows(repo, base, sha):
        raise say.sideways(lock.lane, sha, base)
    return list(reversed(repo.commits(base, sha, "--first-parent")))


def _taken_back(repo: Repo, sha: str, tip: str) -> dict[str, str]:
    """Commits that something in sha..tip takes back -> the revert that does, where that one was not reverted too."""
    gone: dict[str, str] = {}
    of: dict[str, list[str]] = {}
    for commit, message in reversed(repo.messages(sha, tip)):
        of[commit] = REVERTS.findall(message)
        for what in of[commit]:
            gone[what] = commit
            for back in of.get(what, ()):
                if gone.get(back) == what:
                    del gone[back]
    return gone


def _merge_of(repo: Repo, sha: str, tip: str) -> str:
    """The merge on the lane's own line that brought a commit: the oldest that has it."""
    line = repo.commits(sha, tip, "--first-parent")
    low, high = 0, len(line) - 1
    while low < high:
        middle = (low + high) // 2
        if repo.is_ancestor(sha, line[middle]):
            high = middle
        else:
            low = middle + 1
    return line[low]
