"""One member of a JSON object, set or taken out in the text: every other byte stays as somebody wrote it."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


class NotPlain(ValueError):
    """The text is no plain JSON object, or says something twice."""


class Member(NamedTuple):
    """One `"key": value` of an object: where its key begins, and where its value begins and ends."""

    key: str
    start: int
    value: int
    end: int


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotPlain("a name stands there twice")
    return found


def _constant(name: str) -> None:
    raise NotPlain(f"{name} is no JSON")


def parse(text: str) -> dict[str, Any]:
    """The object. Raises NotPlain for comments, a trailing comma, a name that is there twice, or no object."""
    try:
        found = json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant)
    except (ValueError, RecursionError) as e:
        raise NotPlain(str(e)) from None
    if not isinstance(found, dict):
        raise NotPlain("it is no object")
    return found


def _members(text: str, at: int) -> list[Member]:
    """The members of the object that begins at `at`, in a text that `parse` has taken."""
    found, at = list[Member](), _skip(text, at + 1)
    while text[at] != "}":
        start = at
        key, at = _DECODER.raw_decode(text, at)
        value = _skip(text, _skip(text, at) + 1)
        _, end = _DECODER.raw_decode(text, value)
        found.append(Member(key, start, value, end))
        at = _skip(text, end)
        at = _skip(text, at + 1) if text[at] == "," else at
    return found


def _indent(text: str) -> str:
    found = re.search(r"^([ \t]+)\"", text, re.MULTILINE)
    return found[1] if found else "  "


def _dump(value: Any, unit: str, depth: int, newline: str) -> str:
    return json.dumps(value, indent=unit, ensure_ascii=False).replace("\n", newline + unit * depth)


def _put(text: str, at: int, key: str, value: Any, depth: int) -> str:
    """Set a member of the object that begins at `at`, which stands `depth` deep."""
    unit, newline = _indent(text), "\r\n" if "\r\n" in text else "\n"
    members = _members(text, at)
    for m in members:
        if m.key == key:
            return text[: m.value] + _dump(value, unit, depth + 1, newline) + text[m.end :]
    one = (
        f"{newline}{unit * (depth + 1)}{json.dumps(key, ensure_ascii=False)}: {_dump(value, unit, depth + 1, newline)}"
    )
    if members:
        return text[: members[-1].end] + "," + one + text[members[-1].end :]
    close = text.index("}", at)
    return text[: at + 1] + one + newline + unit * depth + text[close:]


def _cut(text: str, at: int, key: str) -> str:
    members = _members(text, at)
    n = next(n for n, m in enumerate(members) if m.key == key)
    if n > 0:
        return text[: members[n - 1].end] + text[members[n].end :]
    if len(members) > 1:
        return text[: members[0].start] + text[members[1].start :]
    return text[: at + 1] + text[text.index("}", members[0].end) :]


def put(text: str, group: str, key: str, value: Any) -> str:
    """The text with `value` as `key` of the object `group`. Raises NotPlain, and nothing was changed."""
    text = text if text.strip() else "{}\n"
    if not isinstance(parse(text).get(group, {}), dict):
        raise NotPlain(f'"{group}" is no object')
    root = _skip(text, 0)
    there = {m.key: m for m in _members(text, root)}
    if group not in there:
        return _put(text, root, group, {key: value}, 0)
    return _put(text, there[group].value, key, value, 1)


def cut(text: str, group: str, key: str) -> str:
    """The text without `key` of the object `group`; as it is, where there is none. Raises NotPlain."""
    if not text.strip():
        return text
    servers = parse(text).get(group)
    if not isinstance(servers, dict) or key not in servers:
        return text
    there = {m.key: m for m in _members(text, _skip(text, 0))}
    return _cut(text, there[group].value, key)
