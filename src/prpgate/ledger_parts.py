"""A ledger's text cut into parts along its keys, so that every byte belongs to one part: for merging.

A part begins with the comments and empty lines above its key. Only mappings written as lines are cut open (the file's
own, `prp_tracking`, the entries in it); everything below an entry's field is one part, whatever it holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .ledger import SINGLE, TEXTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .ledger_text import Field, Node, Text

TRACKED, STATS = "prp_tracking", "stats"


class Part(NamedTuple):
    """One key with what belongs to it. Its text is `lead`, `head`, the text of `parts`, `tail`."""

    name: str
    lead: str  # comments and empty lines above
    head: str  # all its lines; of one that is cut open only the key's
    value: str  # tells two values apart that read differently; of one that is cut open ""
    parts: tuple[Part, ...] | None  # None: not cut open
    tail: str  # comments behind the last of `parts` that still belong here by their indent

    @property
    def body(self) -> str:
        return f"{self.head}{''.join(p.text for p in self.parts or ())}{self.tail}"

    @property
    def text(self) -> str:
        return self.lead + self.body


class UncutError(Exception):
    """The file is YAML, but its keys do not stand on lines of their own."""


def root(text: Text, form: str) -> Part:
    """The whole file as a part without a name. Raises UncutError for a layout that has no parts."""
    source = text.text if not text.text or text.text.endswith("\n") else text.text + "\n"
    if text.root is None or not text.root.fields:
        return Part("", "", "", "", (), source)
    if text.root.style != "map":
        raise UncutError
    parts, end = _cut(source, text.root.fields.items(), 0, 0 if form == SINGLE else 2)
    return Part("", "", "", "", parts, source[end:])


def _line_end(source: str, offset: int) -> int:
    """Where the line behind the one that holds `offset` begins."""
    return source.find("\n", offset) + 1


def _cut(source: str, fields: Iterable[tuple[str, Field]], start: int, deeper: int) -> tuple[tuple[Part, ...], int]:
    """(the parts of a mapping that is written as lines from `start` on, where the last of them ends)."""
    parts = []
    for name, field in fields:
        line = source.rfind("\n", 0, field.start) + 1
        if line < start or source[line : field.start].strip(" "):
            raise UncutError
        node, lead = field.node, source[start:line]
        if deeper and not (deeper == 2 and name == STATS) and _opens(name, node):
            head = _line_end(source, field.end if node.fields else max(field.end, node.end))
            inner, end = _cut(source, node.fields.items(), head, deeper - 1 if name == TRACKED else 0)
            stop = _tail(source, end, field.column - 1)
            parts.append(Part(name, lead, source[line:head], "", inner, source[end:stop]))
            start = stop
        else:
            start = _line_end(source, node.end)
            raw = name in TEXTS and node.raw and node.value is not None
            parts.append(Part(name, lead, source[line:start], repr(node.raw if raw else node.value), None, ""))
    return tuple(parts), start


def _opens(name: str, node: Node) -> bool:
    """Written as lines; or the entries of a ledger that has none yet."""
    return (node.style == "map" and bool(node.fields)) or (name == TRACKED and not node.fields)


def _tail(source: str, start: int, indent: int) -> int:
    """Where the comments end that follow a mapping and are indented deeper than its key."""
    stop = at = start
    while at < len(source):
        end = _line_end(source, at)
        line = source[at:end]
        words = line.lstrip(" ")
        if words.strip():
            if len(line) - len(words) <= indent:
                break
            stop = end
        at = end
    return stop
