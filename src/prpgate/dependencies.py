"""What PRPs wait for: names that nobody answers to, and cycles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .messages import ledger as say
from .model import ERROR, WARNING, Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .ledger import Ledger
    from .model import Prp


def _finding(ledger: Ledger, prp: Prp, code: str, said: say.Said, severity: str) -> Finding:
    return Finding(code, severity, prp.file, *ledger.at(prp.id, "depends_on"), prp.id, said.message, said.fix)


def nearest(name: str, ids: Iterable[str]) -> list[str]:
    """At most two ids that a person may have meant."""
    from difflib import get_close_matches

    return get_close_matches(name, list(ids), 2, 0.75)


def dependencies(ledger: Ledger, changed: Sequence[Prp]) -> Iterator[Finding]:
    """Names in `depends_on` that nobody answers to, and cycles, of these entries."""

    for prp in changed:
        for name in prp.depends_on:
            if ledger.resolve(name) is not None:
                continue
            if name in ledger.aliases:
                said = say.ambiguous_dependency(name)
            else:
                said = say.unknown_dependency(name, nearest(name, ledger.prps))
            yield _finding(ledger, prp, "PRP130", said, WARNING)
    tangled = _tangled(ledger) if any(prp.depends_on for prp in changed) else set()
    told: set[frozenset[str]] = set()
    for prp in changed:
        ring = _cycle(ledger, prp, tangled)
        if ring and frozenset(ring) not in told:
            told.add(frozenset(ring))
            yield _finding(ledger, prp, "PRP131", say.cycle(ring), ERROR)


def _needs(ledger: Ledger, prp: Prp) -> set[str]:
    found = (ledger.resolve(name) for name in prp.depends_on)
    return {other.id for other in found if other is not None}


def _tangled(ledger: Ledger) -> set[str]:
    """The PRPs that could never start: on a cycle, or behind one. Those that wait for nothing are taken off in turn."""
    needs = {prp.id: _needs(ledger, prp) for prp in ledger.prps.values()}
    waiting: dict[str, list[str]] = {}
    for prp_id, names in needs.items():
        for name in names:
            waiting.setdefault(name, []).append(prp_id)
    ready = [prp_id for prp_id, names in needs.items() if not names]
    while ready:
        done = ready.pop()
        del needs[done]
        for prp_id in waiting.get(done, ()):
            needs[prp_id].discard(done)
            if not needs[prp_id]:
                ready.append(prp_id)
    return set(needs)


def _cycle(ledger: Ledger, start: Prp, tangled: set[str]) -> list[str]:
    """A shortest way from a PRP back to itself along depends_on, itself at both ends; empty when there is none."""
    came: dict[str, str] = {}
    edge = [start.id]
    while edge:
        following = []
        for prp_id in edge:
            for other in sorted(_needs(ledger, ledger.prps[prp_id]) & tangled):
                if other == start.id:
                    way = [prp_id]
                    while way[-1] != start.id:
                        way.append(came[way[-1]])
                    return [*reversed(way), start.id]
                if other not in came:
                    came[other] = prp_id
                    following.append(other)
        edge = following
    return []
