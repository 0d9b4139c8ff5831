"""Commits that take others back, as git's own sentence in their messages says it ("This reverts commit ...")."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from . import record
from .commit_message import named
from .model import COMPLETE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .config import Config
    from .gitrepo import Repo
    from .record import Entry

REVERTS = re.compile(r"^This reverts commit ([0-9a-f]{40,64})", re.MULTILINE)


def taken_back(messages: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Commit -> the commit that takes it back, of (sha, message) newest first. A revert that was reverted is none."""
    gone: dict[str, str] = {}
    for sha, message in messages:  # what takes a revert back is newer, and was seen before it
        if sha not in gone:
            gone.update((what, sha) for what in REVERTS.findall(message))
    return gone


def is_taken_back(repo: Repo, what: str | None, tip: str) -> bool:
    """Does the branch at `tip` have a commit that takes another of its commits back, and is not taken back itself?

    False also where too little history is here to say.
    """
    if not what or not repo.has(what) or not repo.is_ancestor(what, tip):
        return False
    gone: set[str] = set()
    for sha, message in repo.messages(what, tip):  # newest first
        for back in REVERTS.findall(message) if sha not in gone else ():
            gone.add(back)
            if repo.sha(f"{back}^2"):  # a merge that is taken back takes along what it brought, reverts too
                gone.update(repo.commits(f"{back}^1", back))
    return what in gone


def evidence_reverted(
    repo: Repo, config: Config, base: str | None, tip: str, before: Mapping[str, str], now: Mapping[str, Entry]
) -> list[tuple[str, str, str]]:
    """(id, owner, what) of complete PRPs whose work base..tip takes back while their line stays as it was.

    `before` is what was recorded, as the store has it. Work is the commit that the line names, a commit whose message
    claims the PRP, or the one that brought the line.
    """
    gone = taken_back(repo.messages(base, tip)) if base and base != tip else {}
    gone = {what: by for what, by in gone.items() if repo.has(what) and repo.is_ancestor(what, tip)}
    found: dict[str, tuple[str, str, str]] = {}
    for what, by in gone.items():
        claims = {n.id for n in named(repo.message(what), config.id_pattern) if n.claimed}
        brought = {s.seal for s in record.seals(repo, config, f"{what}^", what)} if repo.sha(f"{what}^") else set()
        for entry in now.values():
            old = before.get(entry.id)
            if entry.status != COMPLETE or old is None or entry.id in found:
                continue
            if record.parse(entry.id, old).seal != entry.seal:
                continue
            commit = str(entry.fields.get("github_commit") or "")
            named_here = not claims.isdisjoint({entry.id, *_aliases(entry)})
            if named_here or entry.seal in brought or (len(commit) >= 7 and what.startswith(commit)):
                owner = str(entry.fields.get("owner") or "")
                found[entry.id] = entry.id, owner, f"{by} reverts {what}, {entry.seal} stays"
    return list(found.values())


def _aliases(entry: Entry) -> list[str]:
    return [str(v) for n in ("stable_id", "legacy_id") if (v := entry.fields.get(n))]
