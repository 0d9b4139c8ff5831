"""Whether a team's id pattern is matched in bounded time.

`re` tries the ways in which ambiguous repeats can share out a text one after the other: `(a+)+$` over 60 letters takes
longer than anybody lives, in every commit. Ids are short, so only words of up to MOST letters are compared
(`commit_message`), and a pattern is taken only if its repeats can share out such a word in few ways. Errs towards
refusing: a pattern that is refused can always be written without the nesting.
"""

from __future__ import annotations

import importlib
import re
from functools import reduce
from itertools import combinations
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 64  # letters of an id (`ledger_scan.is_id`)
LONGEST = 500  # letters of a pattern
REPEATS = 4  # that may share out the same letters between them: some 800,000 ways over 64 letters at the worst

_ALL = frozenset(range(-1, 128))  # the letters of ASCII, and -1 for all others
_KINDS = {
    "CATEGORY_DIGIT": frozenset({-1, *b"0123456789"}),
    "CATEGORY_SPACE": frozenset({-1, *b" \t\n\r\f\v"}),
    "CATEGORY_WORD": frozenset({-1, *(n for n in range(128) if chr(n).isalnum() or n == ord("_"))}),
}


def inside(pattern: str) -> str:
    """The pattern as a group that may stand inside another: flags for all of it, as in (?i)P-[0-9]+, are only allowed
    at the very beginning."""
    flags = ""
    while found := re.match(r"\(\?([aimsux]+)\)", pattern):
        flags, pattern = flags + found[1], pattern[found.end() :]
    flags = "".join(dict.fromkeys(flags))
    return f"(?{flags}:{pattern}\n)" if "x" in flags else f"(?{flags}:{pattern})"  # a comment ends with its line


def slow(pattern: str) -> bool:
    """Whether comparing a word with it may take too long. Raises re.error for what is no regular expression."""
    if len(pattern) > LONGEST:
        return True
    parsed: Any = importlib.import_module("re._parser").parse(pattern)
    if any(not _one_way(body) for most, body in _loops(parsed) if most > 1):
        return True
    shared = list(_choices(parsed))
    return sum(any(a & b for m, b in enumerate(shared) if m != n) for n, a in enumerate(shared)) > REPEATS


def _one_way(body: Any) -> bool:
    """Whether a text is only one row of such pieces, each of them matched in one way: pieces of one length, or with a
    letter at the beginning or the end that is nowhere else in them."""
    if any(a & b for a, b in combinations(_choices(body), 2)):
        return False
    if any(op == "BRANCH" and _overlap(of) for op, of in _nodes(body)):
        return False
    least, most = body.getwidth()
    if least == most and least > 0:
        return True
    items = list(_flat(body))
    if len(items) < 2:
        return False
    ends = ((items[0], items[1:]), (items[-1], items[:-1]))
    return any(_is_letter(end) and not _letters(end) & _union(rest) for end, rest in ends)


def _loops(parsed: Any) -> Iterator[tuple[int, Any]]:
    for op, of in _nodes(parsed):
        if op.endswith("_REPEAT"):
            yield int(of[1]), of[2]


def _choices(parsed: Any) -> Iterator[frozenset[int]]:
    """The letters of each part that can be of more than one length, or be read in more than one way."""
    for op, of in _nodes(parsed):
        if (op.endswith("_REPEAT") and int(of[0]) != int(of[1])) or (op == "BRANCH" and _overlap(of)):
            yield _letters((op, of))
        elif op.startswith("GROUPREF"):
            yield _ALL


def _overlap(branch: Any) -> bool:
    firsts = [_letters(items[0]) if (items := list(_flat(one))) else _ALL for one in branch[1]]
    return any(a & b for a, b in combinations(firsts, 2))


def _flat(parsed: Any) -> Iterator[tuple[str, Any]]:
    """The parts of a sequence, groups opened."""
    for op, of in parsed:
        name = str(op)
        if name == "SUBPATTERN":
            yield from _flat(of[3])
        elif name == "ATOMIC_GROUP":
            yield from _flat(of)
        elif name != "AT":
            yield name, of


def _nodes(parsed: Any) -> Iterator[tuple[str, Any]]:
    """Every part, also of parts."""
    for op, of in _flat(parsed):
        yield op, of
        for inner in _inside(op, of):
            yield from _nodes(inner)


def _inside(op: str, of: Any) -> list[Any]:
    if op.endswith("_REPEAT"):
        return [of[2]]
    if op == "BRANCH":
        return list(of[1])
    if op.startswith("ASSERT"):
        return [of[1]]
    return [one for one in of[1:] if one is not None] if op == "GROUPREF_EXISTS" else []


def _is_letter(part: tuple[str, Any]) -> bool:
    return part[0] in ("LITERAL", "NOT_LITERAL", "IN", "ANY")


def _union(parts: list[tuple[str, Any]]) -> frozenset[int]:
    return reduce(frozenset.union, map(_letters, parts), frozenset())


def _letters(part: tuple[str, Any]) -> frozenset[int]:
    """Every letter that a part may have in it, and perhaps more."""
    op, of = part
    if op == "LITERAL":
        return frozenset(_number(ord(c)) for c in (chr(of), chr(of).lower()[:1], chr(of).upper()[:1]))
    if op == "NOT_LITERAL":
        return _ALL - {of}
    if op == "RANGE":
        return frozenset(n for low in range(of[0], min(of[1], 127) + 1) for n in _letters(("LITERAL", low))) | (
            {-1} if of[1] > 127 else set()
        )
    if op == "CATEGORY":
        return _KINDS.get(str(of), _ALL)
    if op == "IN":
        inside = [(str(kind), value) for kind, value in of]
        if inside[0][0] != "NEGATE":
            return _union(inside)
        out = {v for kind, v in inside if kind == "LITERAL"}
        return _ALL - {n for n in out if 0 <= n < 128}
    inner = _inside(op, of)
    return _union([p for one in inner for p in _flat(one)]) if inner else _ALL


def _number(code: int) -> int:
    return code if code < 128 else -1
