"""A branch at a remote as the script level plays it: commits in a line, compare-and-swap, slow pushes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from prpgate.lock import Look
from tests.chaos.story import Took

if TYPE_CHECKING:
    from prpgate.lock import LaneState
    from prpgate.model import Intent


class Flying(NamedTuple):
    """A push that was sent and has not arrived."""

    agent: str
    intent: Intent
    announced: bool  # False: past the client's hook
    forced: bool = False


class Branch:
    """The remote's branch, and every push that is under way to it."""

    def __init__(self, name: str) -> None:
        self.name, self._count = name, 0
        self.parents: dict[str, str] = {}
        self.tip = self.first = self.commit("")
        self.took: list[Took] = []
        self.flying: list[Flying] = []
        self.forced: set[str] = set()

    def commit(self, parent: str) -> str:
        """A new commit that nobody has pushed yet."""
        self._count += 1
        sha = hashlib.sha1(f"{self.name}:{self._count}".encode(), usedforsecurity=False).hexdigest()
        self.parents[sha] = parent
        return sha

    def line(self, tip: str, until: str = "") -> list[str]:
        """Commits from `tip` down to `until`, which is not among them; newest first."""
        found = []
        while tip and tip != until:
            found.append(tip)
            tip = self.parents[tip]
        return found

    def has(self, head: str, tip: str | None = None) -> bool:
        return head in self.line(self.tip if tip is None else tip)

    def arrive(self, push: Flying) -> bool:
        """The remote compares and swaps; a forced push does not compare."""
        if push.forced:
            self.forced.add(push.intent.head)
        elif push.intent.base != self.tip:
            return False
        old, new = self.line(self.tip), self.line(push.intent.head)
        self.took.append(
            Took(
                self.tip,
                push.intent.head,
                dropped=tuple(c for c in old if c not in new),
                brought=tuple(c for c in reversed(new) if c not in old),
            )
        )
        self.tip = push.intent.head
        return True

    def observe(self, state: LaneState, intent: Intent | None = None) -> tuple[str, Look]:
        """What `prpgate.lane.observe` would say, asked of this branch."""
        intent = intent or state.intent
        kept = {k.head: k.base for k in state.kept}
        if intent:
            kept[intent.head] = intent.base
        inside = [h for h in kept if self.has(h)]
        saw = "in" if intent is None or intent.head in inside else "base" if self.tip == intent.base else "other"
        moved = [h for h, base in kept.items() if h not in inside and self.tip != base]
        since = state.seen or (intent.base if intent else "")
        foreign: list[str] = []
        if since and self.has(since):
            own = {c for h in inside for c in self.line(h, kept[h])}
            foreign = [c for c in reversed(self.line(self.tip, since)) if c not in own]
        return saw, Look(self.tip, state.seen or "", inside, foreign, moved)
