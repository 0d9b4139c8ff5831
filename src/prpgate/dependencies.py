"""What PRPs wait for: names that nobody answers to, and cycles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .messages import ledger as say
from .model import ERROR, WARNING, Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .ledger import Ledger
    from .model import Prp


LONGEST = 64  # of a name that is compared with ids
MOST_GUESSES = 20  # unknown names that get ids like them told
MOST_CYCLES = 20  # that are told


def _finding(ledger: Ledger, prp: Prp, code: str, said: say.Said, severity: str) -> Finding:
    return Finding(code, severity, prp.file, *ledger.at(prp.id, "depends_on"), prp.id, said.message, said.fix)


def nearest(name: str, ids: Iterable[str]) -> list[str]:
    """At most two ids that a person may have meant. Names of no length that an id has are near to none."""
    from difflib import get_close_matches

    return get_close_matches(name, [i for i in ids if len(i) <= LONGEST], 2, 0.75) if len(name) <= LONGEST else []


def dependencies(ledger: Ledger, changed: Sequence[Prp]) -> Iterator[Finding]:
    """Names in `depends_on` that nobody answers to, and cycles, of these entries."""
    guessed = 0
    for prp in changed:
        for name in prp.depends_on:
            if ledger.resolve(name) is not None:
                continue
            if name in ledger.aliases:
                said = say.ambiguous_dependency(name)
            else:
                guessed += 1
                said = say.unknown_dependency(name, nearest(name, ledger.prps) if guessed <= MOST_GUESSES else [])
            yield _finding(ledger, prp, "PRP130", said, WARNING)
    tangled = _tangled(ledger) if any(prp.depends_on for prp in changed) else {}
    told: set[str] = set()
    cycles = 0
    for prp in changed:
        if prp.id in told or prp.id not in tangled:
            continue
        ring = _cycle(prp.id, tangled)
        told.update(ring)
        cycles += 1
        yield _finding(ledger, prp, "PRP131", say.cycle(ring), ERROR)
        if cycles == MOST_CYCLES:
            return


def _tangled(ledger: Ledger) -> dict[str, list[str]]:
    """The PRPs that are on a cycle: each with those on the same knot of cycles that it waits for.

    The knots are the strongly connected components (Tarjan 1972), without recursion: a chain may be long.
    """
    needs = {prp.id: _needs(ledger, prp) for prp in ledger.prps.values()}
    order: dict[str, int] = {}  # PRP -> when it was first seen
    low: dict[str, int] = {}  # the first seen of those that it can reach and that have no knot yet
    open_ones: list[str] = []
    knot: dict[str, int] = {}
    for start in needs:
        if start in order:
            continue
        order[start] = low[start] = len(order)
        open_ones.append(start)
        way = [(start, iter(needs[start]))]
        while way:
            one, rest = way[-1]
            other = next(rest, None)
            if other is None:
                way.pop()
                if low[one] == order[one]:
                    while one not in knot:
                        knot[open_ones.pop()] = order[one]
                if way:
                    low[way[-1][0]] = min(low[way[-1][0]], low[one])
            elif other not in order:
                order[other] = low[other] = len(order)
                open_ones.append(other)
                way.append((other, iter(needs[other])))
            elif other not in knot:
                low[one] = min(low[one], order[other])
    inside = {one: sorted(o for o in others if knot[o] == knot[one]) for one, others in needs.items()}
    return {one: others for one, others in inside.items() if others}


def _needs(ledger: Ledger, prp: Prp) -> set[str]:
    found = (ledger.resolve(name) for name in prp.depends_on)
    return {other.id for other in found if other is not None}


def _cycle(start: str, tangled: dict[str, list[str]]) -> list[str]:
    """A shortest way from a PRP on a cycle back to itself along depends_on, itself at both ends."""
    came: dict[str, str] = {}
    edge = [start]
    while edge:
        following = []
        for one in edge:
            for other in tangled[one]:
                if other == start:
                    way = [one]
                    while way[-1] != start:
                        way.append(came[way[-1]])
                    return [*reversed(way), start]
                if other not in came:
                    came[other] = one
                    following.append(other)
        edge = following
    return []
