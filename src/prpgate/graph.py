"""What waits for what, as a tree of text and as Mermaid. Values in, text out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import live
from .model import COMPLETE, DEPRECATED
from .output import inert

if TYPE_CHECKING:
    from .live import PrpState, State

DEEPEST = 50  # levels of a tree that are shown


def needs(state: State) -> dict[str, list[str]]:
    """PRP -> what it depends on, by own ids where there is a PRP, else by the name as written."""
    known = live.names(state)
    return {p.id: list(dict.fromkeys(known.get(d, d) for d in p.depends_on)) for p in state.prps.values()}


def ring(state: State, start: str) -> list[str]:
    """A shortest way from a PRP back to itself along what it depends on, itself at both ends; empty: there is none."""
    graph, came, edge = needs(state), dict[str, str](), [start]
    while edge:
        following = []
        for one in edge:
            for other in graph.get(one, ()):
                if other == start:
                    way = [one]
                    while way[-1] != start:
                        way.append(came[way[-1]])
                    return [*reversed(way), start]
                if other not in came and other != start:
                    came[other] = one
                    following.append(other)
        edge = following
    return []


def members(state: State, root: str | None) -> list[str]:
    """What is shown: with a root, all that it depends on and all that depends on it; else all that is open or tied to
    what is open."""
    graph = needs(state)
    back: dict[str, list[str]] = {}
    for one, others in graph.items():
        for other in others:
            back.setdefault(other, []).append(one)
    if root is not None:
        return sorted({root, *_reach(graph, root), *_reach(back, root)})
    open_ones = {p.id for p in state.prps.values() if p.status not in (COMPLETE, DEPRECATED)}
    tied = {i for i in open_ones if graph[i] or back.get(i)}
    return sorted(tied | {d for i in tied for d in graph[i]})


def _reach(graph: dict[str, list[str]], start: str) -> set[str]:
    found: set[str] = set()
    edge = [start]
    while edge:
        following = [o for one in edge for o in graph.get(one, ()) if o not in found]
        found.update(following)
        edge = list(dict.fromkeys(following))
    return found


def tree(state: State, root: str | None = None) -> list[str]:
    """Each PRP with what it depends on below it; with a root, what waits for the root too. Cycles are named."""
    graph, shown = needs(state), members(state, root)
    told: set[str] = set()
    lines: list[str] = []

    def show(one: str, depth: int, above: tuple[str, ...]) -> None:
        mark = "  " * depth + ("needs " if depth else "")
        if one in above:
            lines.append(f"{mark}{inert(one)}  (a cycle: {' -> '.join(map(inert, (*above[above.index(one) :], one)))})")
            return
        again = one in told and graph.get(one)
        lines.append(f"{mark}{_label(state, one)}{'  (above)' if again else ''}")
        told.add(one)
        if again:
            return
        if depth == DEEPEST and graph.get(one):
            lines.append(f"{mark}  ...")
            return
        for other in graph.get(one, ()):
            show(other, depth + 1, (*above, one))

    if root is not None:
        show(root, 0, ())
        waiting = [i for i in shown if root in graph.get(i, ())]
        lines += [f"  needed by {_label(state, i)}" for i in waiting]
        return lines
    needed = {d for i in shown for d in graph.get(i, ())}
    for one in [*(i for i in shown if i not in needed), *shown]:  # those on a cycle have nobody before them
        if one not in told:
            show(one, 0, ())
    return lines


def mermaid(state: State, root: str | None = None) -> list[str]:
    """A Mermaid flowchart: an arrow leads from what has to be done to what waits for it."""
    graph, shown = needs(state), members(state, root)
    node = {one: f"n{n}" for n, one in enumerate(shown)}
    lines = ["graph LR"]
    lines += [f'  {node[i]}["{_quoted(_label(state, i))}"]' for i in shown]
    lines += [f"  {node[d]} --> {node[i]}" for i in shown for d in graph.get(i, ()) if d in node]
    for i in shown:
        p = state.prps.get(i)
        if p is not None and p.status in (COMPLETE, DEPRECATED):
            lines.append(f"  style {node[i]} stroke-dasharray: 3")
    return lines


def _label(state: State, one: str) -> str:
    p = state.prps.get(one)
    return f"{inert(one)}  {_status(p)}  {inert(p.title)}" if p else f"{inert(one)}  no PRP has this id"


def _status(p: PrpState) -> str:
    claim = f", {inert(p.claim.agent)}" if p.claim and p.claim.live else ""
    return f"[{inert(p.status)}{f' ({p.phase or inert(p.stage)})' if p.phase or p.stage else ''}{claim}]"


def _quoted(text: str) -> str:
    """Mermaid's own escapes: nothing in a title ends the label or becomes HTML."""
    return "".join(c if c.isalnum() or c in " .,-_()[]:/" else f"#{ord(c)};" for c in text)
