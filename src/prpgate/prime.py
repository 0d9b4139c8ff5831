"""The instruction block for coding agents: its text, its size, and its place in AGENTS.md and CLAUDE.md.

The block stands between two marker lines. What is outside them is never changed, not a byte.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from . import replacing
from .messages import prime as say

if TYPE_CHECKING:
    from .config import Config
    from .gitrepo import Repo

BEGIN = "<!-- prpgate:begin (written by prp prime --write; changes in here are lost) -->"
END = "<!-- prpgate:end -->"
AGENTS, CLAUDE = "AGENTS.md", "CLAUDE.md"
MOST_TOKENS = 600
SHOWN = (48, 24, 10)  # characters of a name out of prp.toml: fewer where odd ones would make the block too long
_BEGINS, _ENDS = re.compile(r"<!-- prpgate:begin\b.*-->"), re.compile(r"<!-- prpgate:end\b.*-->")
_IMPORT = re.compile(r"@(?:\./)?AGENTS\.md")
_PIECES = re.compile(r"[A-Za-z]+|[^\S\n]+|.|\n", re.DOTALL)


class Place(NamedTuple):
    """One file, and how the block stands in it."""

    name: str  # AGENTS.md or CLAUDE.md
    state: str  # "current", "stale", "missing" (no block), "link" (leads to the other), "imports" (takes the other in)
    path: str  # the file itself, links followed
    before: bytes | None  # None: there is no file


def text(config: Config) -> str:
    """The block for one prp.toml, without markers, in at most MOST_TOKENS tokens as `tokens` counts them."""
    said = ""
    for most in SHOWN:
        said = str(say.Text(config, most))
        if tokens(said) <= MOST_TOKENS:
            break
    return said


def tokens(of: str) -> int:
    """At least as many tokens as models' tokenizers make of plain text: one for each begun four letters of a word, one
    for each other character but spaces, which belong to the next word; a run of them counts as one."""
    count = 0
    for piece in _PIECES.findall(of):
        if piece.isascii() and piece.isalpha():
            count += -(-len(piece) // 4)
        elif piece.isspace() and piece != "\n":
            count += len(piece) > 1
        else:
            count += max(1, len(piece.encode("utf-8", "surrogatepass")) - 1)
    return count


def look(repo: Repo, config: Config) -> list[Place]:
    """AGENTS.md, and CLAUDE.md where there is one. Raises UserError for markers that are damaged."""
    agents = _place(repo, config, AGENTS)
    claude = os.path.join(repo.top, CLAUDE)
    if not os.path.lexists(claude):
        return [agents]
    if os.path.realpath(claude) == agents.path:
        return [agents, Place(CLAUDE, "link", agents.path, None)]
    found = _place(repo, config, CLAUDE)
    lines = (found.before or b"").decode("utf-8").splitlines()
    if found.state == "missing" and any(_IMPORT.fullmatch(line.strip()) for line in lines):
        found = found._replace(state="imports")
    return [agents, found]


def write(repo: Repo, config: Config) -> list[tuple[str, str]]:
    """Bring the blocks up to date: (file, what was done). Writes nothing at all when a file's markers are damaged."""
    places = look(repo, config)
    done = []
    for place in places:
        if place.state in ("stale", "missing"):
            _replace(place, with_block(place.name, place.before or b"", text(config)))
        done.append((place.name, {"stale": "written", "missing": "written"}.get(place.state, place.state)))
    return [(name, "unchanged" if what == "current" else what) for name, what in done]


def remove(repo: Repo, config: Config) -> list[str]:
    """Take the blocks out again, byte for byte; the files in which there was one. A file of nothing else goes."""
    gone = []
    for place in look(repo, config):
        if place.state in ("current", "stale") and place.before is not None:
            left = without_block(place.name, place.before)
            _replace(place, left or None)
            gone.append(place.name)
    return gone


def _place(repo: Repo, config: Config, name: str) -> Place:
    path = os.path.realpath(os.path.join(repo.top, name))
    if os.path.commonpath([path, os.path.realpath(repo.top)]) != os.path.realpath(repo.top):
        raise say.leads_out(name)
    try:
        before = replacing.current(path)
    except OSError as e:
        raise say.not_text(name, e.strerror or "?") from None
    if before is None:
        return Place(name, "missing", path, None)
    try:
        before.decode("utf-8")
    except UnicodeDecodeError as e:
        raise say.not_text(name, f"byte 0x{before[e.start]:02x}") from None
    if _marks(name, before) is None:
        return Place(name, "missing", path, before)
    return Place(name, "current" if with_block(name, before, text(config)) == before else "stale", path, before)


def _marks(name: str, data: bytes) -> tuple[int, int] | None:
    """Where the block begins and ends, with its markers and the line end behind it; None for no block."""
    begins, ends, at = list[int](), list[int](), 0
    for line in data.splitlines(keepends=True):
        plain = line.decode("utf-8").strip()
        if _BEGINS.fullmatch(plain):
            begins.append(at)
        at += len(line)
        if _ENDS.fullmatch(plain):
            ends.append(at)
    if not begins and not ends:
        return None
    if len(begins) != 1 or len(ends) != 1 or ends[0] <= begins[0]:
        order = len(begins) == len(ends) == 1
        why = "the end stands before the begin" if order else f"{len(begins)} begins and {len(ends)} ends of our block"
        raise say.damaged(name, why, BEGIN, END)
    return begins[0], ends[0]


def with_block(name: str, data: bytes, block: str) -> bytes:
    """A file's bytes with this block in it: in its place, or at the end. Line ends are the file's."""
    marks = _marks(name, data)
    eol = _line_end(data if marks is None else data[marks[0] :].splitlines(keepends=True)[0])
    ours = eol.join(line.encode("utf-8") for line in [BEGIN, *block.rstrip("\n").split("\n"), END])
    if marks is None:
        # A blank line before it; none where the file's last line had no end. So `without_block` knows which it was.
        return data + (eol if data else b"") + ours + eol
    first, last = marks
    ending = b"" if not data[first:last].endswith((b"\n", b"\r")) else eol
    return data[:first] + ours + ending + data[last:]


def without_block(name: str, data: bytes) -> bytes:
    """The reverse of `with_block`."""
    marks = _marks(name, data)
    if marks is None:
        return data
    first, last = marks
    before, after = data[:first], data[last:]
    eol = _line_end(data[first:last].splitlines(keepends=True)[0])
    if before.endswith(eol + eol) or (before.endswith(eol) and not after):
        return before[: -len(eol)] + after
    return before + after


def _line_end(data: bytes) -> bytes:
    return b"\r\n" if b"\r\n" in data else b"\n"


def _replace(place: Place, after: bytes | None) -> None:
    if not replacing.replace(place.path, place.before, after):
        raise say.changed(place.name)
