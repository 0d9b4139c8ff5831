"""The plain part of YAML, read line by line: what prpgate itself writes, and most of what people write beside it.

`root` gives the very value that ledger_text's strict reading of YAML's events gives, at a tenth of its cost, or None
where a text uses anything else: then that reading has the word, and the errors. Plain is: `key: value` and `key:` with
deeper lines below it; values on one line (bare, in quotes without escapes, or a bracketed list of words); comments and
empty lines of their own.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    Scalar = Callable[[str], Any]


class Node(NamedTuple):
    """One value. `start` and `end` are offsets in characters into the text, without a BOM; lines count from 1."""

    value: Any
    start: int
    end: int  # behind the value's last character; comments and empty lines that follow are not in it
    line: int
    column: int
    style: str  # "" plain, "'", '"', "|", ">", "{", "[" (flow), "map", "seq" (block)
    raw: str | None  # a scalar's text, whatever it reads as
    fields: dict[str, Field]  # of a mapping


class Field(NamedTuple):
    """One key of a mapping and its value."""

    start: int  # of the key
    end: int
    line: int
    column: int
    node: Node


_WORD = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_LINE = (
    r"( *)([A-Za-z0-9_][A-Za-z0-9._-]{0,99}):"
    r"(?: (?:(~|-[0-9]+|[^\W_][^:#]*(?:(?::(?! )|(?<! )#)[^:#]*)*)"  # bare: no ": " and no " #" in it
    r"|('[^']*(?:''[^']*)*')"
    r'|("[^"\\]*")'
    rf"|(\[(?:{_WORD}(?:, {_WORD})*)?\])))?"
)
_BARE, _SINGLE, _DOUBLE, _LIST = 3, 4, 5, 6


@cache
def _match() -> Callable[[str], re.Match[str] | None]:
    return re.compile(_LINE).fullmatch  # not at import: a hook that reads no ledger must not pay for it


class _Open:
    """A mapping whose lines are being read."""

    __slots__ = ("fields", "indent", "key", "line", "start")

    def __init__(self, indent: int, start: int, line: int) -> None:
        self.indent, self.start, self.line = indent, start, line
        self.fields: dict[str, Field] = {}
        self.key: tuple[str, int, int] | None = None  # that the mapping below it belongs to: name, start, line


def root(text: str, most: int, plain: Scalar) -> Node | None:
    """The whole text as one mapping; None when it is not plain, or has more than `most` nodes.

    `plain` says what a bare scalar means.
    """
    if not text.replace("\n", "").isprintable():
        return None
    match, at, count = _match(), 0, 1
    stack: list[_Open] = []
    for n, line in enumerate(text.split("\n"), 1):
        begin, at = at, at + len(line) + 1
        m = match(line)
        if m is None:
            if line.lstrip(" ")[:1] in ("", "#"):
                continue
            return None
        indent, name, kind = m.end(1), m[2], m.lastindex or 0
        if not stack or stack[-1].key is not None:
            if indent <= stack[-1].indent if stack else indent:
                return None  # a key without a value, or a text that does not begin at the left
            stack.append(_Open(indent, begin + indent, n))
        while stack[-1].indent > indent:
            _close(stack)
        top = stack[-1]
        if top.indent != indent or name in top.fields:
            return None
        start = begin + indent
        if kind == 2:
            top.key = name, start, n
            top.fields[name] = _PENDING
            count += 2
            continue
        said: str = m[kind]
        raw: str | None = said
        column, end, style = m.start(kind), at - 1, ""
        value: Any
        count += 2
        if count > most:
            return None
        if kind == _BARE:
            if line[-1] in " :":
                return None
            value = plain(said)
        elif kind == _LIST:
            items = said[1:-1].split(", ") if len(said) > 2 else []
            value, raw, style = [plain(i) for i in items], None, "["
            count += len(items)
        else:
            style = said[0]
            raw = value = said[1:-1].replace("''", "'") if kind == _SINGLE else said[1:-1]
        node = Node(value, begin + column, end, n, column + 1, style, raw, {})
        top.fields[name] = Field(start, start + len(name), n, indent + 1, node)
    if not stack or stack[-1].key is not None or count > most:
        return None
    while len(stack) > 1:
        _close(stack)
    return _node(stack[0])


_PENDING: Any = None  # keeps a mapping's place among its neighbours until it is whole


def _node(one: _Open) -> Node:
    value = {name: field.node.value for name, field in one.fields.items()}
    end = next(reversed(one.fields.values())).node.end
    return Node(value, one.start, end, one.line, one.indent + 1, "map", None, one.fields)


def _close(stack: list[_Open]) -> None:
    node, above = _node(stack.pop()), stack[-1]
    assert above.key is not None
    name, start, line = above.key
    above.fields[name] = Field(start, start + len(name), line, above.indent + 1, node)
    above.key = None
