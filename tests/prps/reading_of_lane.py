"""docs/prps.md, read as plainly as can be, first half: what the lane records, from commits as somebody saw them."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SEALED = ("status", "owner", "validated_at", "started_at", "completed_at", "github_commit", "ci_run_url", "verdict")


class Entry(NamedTuple):
    """An entry as a ledger says it: texts, without what is null. `waits_for` is its depends_on."""

    id: str
    fields: Mapping[str, str]
    waits_for: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        return "deprecated" if self.fields.get("deprecated") == "true" else self.fields.get("status", "")

    @property
    def rev(self) -> str | None:
        return self.fields.get("rev")

    def sealed_as(self, number: int) -> str:
        hashed = b"prp-seal 1\n"
        group = [("id", self.id), ("n", str(number)), ("status", self.status)]
        group += [(name, self.fields[name]) for name in (*SEALED[1:], "superseded_by") if name in self.fields]
        for name, value in group:
            hashed += f"{name} {len(value.encode())}\n{value}\n".encode()
        return f"{number}-{hashlib.sha256(hashed).hexdigest()[:8]}"

    @property
    def seal(self) -> str | None:
        """By what it is known; None when it is not what its `rev` says."""
        if self.rev is None:
            return self.sealed_as(0)
        return self.rev if self.rev == self.sealed_as(int(self.rev.partition("-")[0])) else None


class Line(NamedTuple):
    """A recorded or pending line."""

    seal: str
    status: str
    owner: str | None = None
    evidence: bool = False
    title: str = ""
    waits_for: tuple[str, ...] = ()
    on: str = ""  # of a pending one: the seal that it stands on
    agent: str = ""
    verb: str = ""

    @property
    def number(self) -> int:
        return int(self.seal.partition("-")[0])


class Commit(NamedTuple):
    """A commit as far as it matters: `code` stands for everything outside the ledger."""

    sha: str
    parents: tuple[str, ...]
    tree: str
    code: str
    message: str
    entries: Mapping[str, Entry]


class History:
    """Every commit that anybody made, and what the lane records at one of them."""

    def __init__(self) -> None:
        self.commits: dict[str, Commit] = {}
        self._under: dict[str, frozenset[str]] = {}
        self._recorded: dict[str, dict[str, Line]] = {}

    def under(self, sha: str) -> frozenset[str]:
        """The commit and its ancestors."""
        todo = [sha]
        while todo:
            one = todo[-1]
            missing = [p for p in self.commits[one].parents if p not in self._under]
            if one in self._under or not missing:
                self._under[one] = frozenset([one]).union(*(self._under[p] for p in self.commits[one].parents))
                todo.pop()
            todo += missing
        return self._under[sha]

    def chain(self, sha: str) -> list[Commit]:
        """First parents, newest first."""
        found = [self.commits[sha]]
        while found[-1].parents:
            found.append(self.commits[found[-1].parents[0]])
        return found

    def between(self, base: str | None, tip: str) -> list[Commit]:
        return [self.commits[c] for c in self.under(tip) - (self.under(base) if base else frozenset())]

    def merge_base(self, one: str, other: str) -> str:
        both = self.under(one) & self.under(other)
        return max(both, key=lambda c: len(self.under(c)))

    def recorded(self, tip: str) -> dict[str, Line]:
        """R(tip)."""
        if tip not in self._recorded:
            chain = self.chain(tip)
            self._recorded[tip] = {i: self._line(chain, e) for i, e in chain[0].entries.items()}
        return self._recorded[tip]

    def _line(self, chain: list[Commit], tip: Entry) -> Line:
        valid, key = tip, self._valid(chain, tip)
        for commit in chain[1:]:
            if key is None and tip.id in commit.entries:
                valid = commit.entries[tip.id]
                key = self._valid(chain, valid)
        if key is None:  # it never was valid: what it says is all there is
            valid, key = tip, tip.sealed_as(0)
        f = valid.fields
        evidence = "verdict" in f and "github_commit" in f and not key.startswith("0-")
        return Line(key, valid.status, f.get("owner"), evidence, tip.fields.get("title", ""), tip.waits_for)

    def _valid(self, chain: list[Commit], entry: Entry) -> str | None:
        """Its seal. One that lost its rev is valid when it says again what was recorded before there was a seal."""
        if entry.rev is not None:
            return entry.seal
        there = [c.entries[entry.id] for c in chain if entry.id in c.entries]
        first = max((n for n, e in enumerate(there) if e.rev is not None), default=None)
        if first is None or any(e.rev is None and e.seal == entry.seal for e in there[first + 1 :]):
            return entry.seal
        return None

    def taken_back(self, commits: Iterable[Commit]) -> set[str]:
        """What these commits revert, but for reverts that were reverted."""
        gone: set[str] = set()
        for c in sorted(commits, key=lambda c: -len(self.under(c.sha))):
            if c.sha not in gone:
                gone |= reverted(c)
        return gone


def reverted(commit: Commit) -> set[str]:
    return set(re.findall(r"(?m)^This reverts commit ([0-9a-f]{40})", commit.message))
