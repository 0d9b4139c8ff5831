"""Which paths a PRP says that it works on, and which of them are somebody's alone right now.

An entry declares them in `paths: {exclusive: [globs], shared: [globs]}`; the store's claim carries them while somebody
works on the PRP. A worktree keeps the others' exclusive ones in `<git dir>/prp-scopes`, so that a commit can tell
without asking anybody. That file is a courtesy: it is as old as the last prp command or merge here.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FILE = "prp-scopes"  # in the worktree's git dir; hooks/shim.sh looks whether it is there
FIELD = "paths"
LONGEST = 200  # of a glob
MOST = 50  # globs of each kind that count
MOST_STARS = 2  # in a glob that `re` may match: of more it tries the stars in every way, which may never end
_STAR, _DEEP, _FOLDERS, _ONE = "[^/]*", ".*", "(?:.*/)?", "[^/]"
_STARS = frozenset((_STAR, _DEEP, _FOLDERS))


class Held(NamedTuple):
    """A glob that is somebody's alone for now."""

    until: int  # seconds since 1970, of this machine's clock: the end of the lease, as `prp status` shows it
    id: str
    agent: str
    glob: str
    over: int = 0  # likewise: then anybody may take the PRP; 0: when the lease ends


def declared(fields: Mapping[str, Any]) -> dict[str, list[str]]:
    """{"exclusive": [...], "shared": [...]} of an entry; what is no glob is left out. A list alone is exclusive."""
    given = fields.get(FIELD)
    if not given:
        return {}
    kinds = given if isinstance(given, dict) else {"exclusive": given}
    return {kind: globs for kind in ("exclusive", "shared") if (globs := _globs(kinds.get(kind)))}


def _globs(value: object) -> list[str]:
    items = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    plain = (i.strip().removeprefix("./").strip("/") for i in items if isinstance(i, str) and i.isprintable())
    return [g for g in dict.fromkeys(plain) if g and len(g) <= LONGEST][:MOST]


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


# --- what this worktree knows ----------------------------------------------------------------------------------------


def _plain(text: str) -> str:
    return re.sub(r"[\t\r\n]", " ", text)


def note(git_dir: str, held: Iterable[Held]) -> None:
    """Keep what others hold; the file goes when that is nothing. That it cannot be written is no reason to fail."""
    text = "".join(f"{h.until}\t{_plain(h.id)}\t{_plain(h.agent)}\t{_plain(h.glob)}\t{h.over}\n" for h in held)
    path = os.path.join(git_dir, FILE)
    if not text:
        with contextlib.suppress(OSError):
            os.unlink(path)
        return
    spare = f"{path}.{os.getpid()}"
    with contextlib.suppress(OSError):
        with open(spare, "w", encoding="utf-8", errors="replace") as f:
            f.write(text)
        os.replace(spare, path)


def _is_time(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16


def known(git_dir: str, now_s: float) -> list[Held]:
    """What others hold as far as this worktree knows, overdue ones left out; the file goes with the last of them."""
    held = known_to(git_dir, now_s)
    if not held and os.path.exists(os.path.join(git_dir, FILE)):
        note(git_dir, [])
    return held


def known_to(git_dir: str, now_s: float) -> list[Held]:
    """The same, for those who only read."""
    try:
        with open(os.path.join(git_dir, FILE), encoding="utf-8", errors="replace", newline="\n") as f:
            rows = [line.rstrip("\n").split("\t") for line in f]
    except OSError:
        return []
    rows = [r for r in rows if len(r) in (4, 5) and all(_is_time(t) for t in (r[0], *r[4:]))]
    held = [Held(int(r[0]), r[1], r[2], r[3], *map(int, r[4:])) for r in rows]
    return [h for h in held if max(h.until, h.over) > now_s]


def in_the_way(held: Iterable[Held], agent: str, paths: Iterable[str]) -> list[tuple[Held, list[str]]]:
    """Which of these paths lie in somebody else's, by holder."""
    paths = list(paths)
    mine = _plain(agent)
    found = ((h, [p for p in paths if covers(h.glob, p)]) for h in held if h.agent != mine)
    return [(h, hit) for h, hit in found if hit]
