"""Globs of paths, matched in bounded time. On the way of an agent's every edit, so not even typing is imported."""

from __future__ import annotations

import re

MOST_STARS = 2  # in a glob that `re` may match: of more it tries the stars in every way, which may never end
_STAR, _DEEP, _FOLDERS, _ONE = "[^/]*", ".*", "(?:.*/)?", "[^/]"
_STARS = frozenset((_STAR, _DEEP, _FOLDERS))


def covers(glob: str, path: str) -> bool:
    """Whether a path is the glob's: `*` and `?` stop at slashes, `**` does not, a folder covers what is below it."""
    parts = _parts(glob)
    if sum(part in _STARS for part in parts) > MOST_STARS:
        return _walk(parts, path)
    return re.fullmatch("".join(parts) + "(?:/.*)?", path, re.DOTALL) is not None


def _parts(glob: str) -> list[str]:
    """A glob as pieces of a regular expression: stars, of which no two mean the same as one, `[^/]`, and letters."""
    parts: list[str] = []
    i = 0
    while i < len(glob):
        end = glob.find("]", i + 2) if glob[i] == "[" else -1
        if glob.startswith("**/", i):
            part, i = _FOLDERS, i + 3
        elif glob.startswith("**", i):
            part, i = _DEEP, i + 2
        elif end > 0:
            part, i = _STAR, end + 1  # a set errs towards yes, as in the store
        else:
            part, i = {"*": _STAR, "?": _ONE}.get(glob[i], re.escape(glob[i])), i + 1
        while part in _STARS and parts and parts[-1] in _STARS and (parts[-1], part) != (_FOLDERS, _STAR):
            last = parts.pop()
            part = part if part == last else _DEEP
        parts.append(part)
    return parts


def _walk(parts: list[str], path: str) -> bool:
    """The same as `re`, all ways at once: in time of the glob's length times the path's."""
    end = len(parts)

    def enter(n: int, places: set[int]) -> None:
        places.add(n)
        while n < end and parts[n] in _STARS:  # which may stand for nothing
            n += 1
            places.add(n)

    here: set[int] = set()
    enter(0, here)
    for c in path:
        if c == "/" and end in here:
            return True
        letter, after = re.escape(c), set[int]()
        for n in here:
            part = parts[n] if n < end else ""
            if part == _DEEP or (part == _STAR and c != "/"):
                enter(n, after)
            elif part == _FOLDERS:
                after.add(n)
                if c == "/":
                    enter(n + 1, after)
            elif part == letter or (part == _ONE and c != "/"):
                enter(n + 1, after)
        here = after
    return end in here
