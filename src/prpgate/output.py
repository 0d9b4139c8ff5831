"""The only module that prints: text for people, one JSON object for programs, annotations for GitHub.

What is printed was decided elsewhere; here it is only made safe to look at and put on the right stream.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .errors import UserError
    from .model import Finding

SCHEMA = 1
_COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}


def inert(text: object) -> str:
    """Text in which nothing can steer a terminal: control and direction-changing characters become visible escapes."""
    plain = str(text)
    if plain.isascii() and plain.isprintable():
        return plain
    return "".join(
        c
        if c == " " or unicodedata.category(c)[0] not in "CZ"
        else f"\\u{ord(c):04x}"
        if ord(c) > 255
        else f"\\x{ord(c):02x}"
        for c in plain
    )


def inert_lines(text: object) -> str:
    """Like `inert`, but line breaks stay: for text whose lines are our own."""
    return "\n".join(inert(line) for line in str(text).split("\n"))


def coloured(stream: Any) -> bool:
    """Colour only on a terminal, and never with NO_COLOR set (https://no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def paint(text: str, colour: str, stream: Any) -> str:
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if coloured(stream) else text


class Output:
    """Where one command's answer goes. With `json`, stdout carries one object and people read stderr."""

    def __init__(self, *, json: bool = False) -> None:
        self.json = json
        self._progress_shown = False

    def say(self, text: str = "", *, colour: str | None = None) -> None:
        """A line (or lines) for a person."""
        stream = sys.stderr if self.json else sys.stdout
        self._clear_progress()
        safe = inert_lines(text)
        print(paint(safe, colour, stream) if colour else safe, file=stream, flush=True)

    def spans(self, row: Sequence[tuple[str, str]]) -> None:
        """One line for a person, in pieces, each with a colour or "" for none."""
        stream = sys.stderr if self.json else sys.stdout
        self._clear_progress()
        print("".join(paint(inert(t), c, stream) if c else inert(t) for t, c in row), file=stream, flush=True)

    def columns(self) -> int | None:
        """Of the terminal that standard output is; None: it is none, and nothing needs to be cut."""
        if not sys.stdout.isatty():
            return None
        try:
            return os.get_terminal_size(sys.stdout.fileno()).columns or None
        except OSError:
            return None

    def pair(self, word: str, about: str) -> None:
        """A line of two parts with a tab between them, for a shell that completes a word."""
        print(f"{inert(word)}\t{inert(about)}", flush=True)

    def note(self, text: str, *, colour: str | None = None) -> None:
        """A line beside the answer: always on stderr."""
        self._clear_progress()
        safe = inert_lines(text)
        print(paint(safe, colour, sys.stderr) if colour else safe, file=sys.stderr, flush=True)

    def progress(self, text: str) -> None:
        """What is going on right now; overwritten on a terminal, silent elsewhere."""
        if sys.stderr.isatty():
            print(f"\r\x1b[K{inert(text)}", end="", file=sys.stderr, flush=True)
            self._progress_shown = True

    def _clear_progress(self) -> None:
        if self._progress_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._progress_shown = False

    def answer(self, **fields: Any) -> None:
        """The JSON answer of a command that went well. Nothing without --json."""
        if self.json:
            self._clear_progress()
            _dump({"schema": SCHEMA, "ok": True, **fields})

    def line(self, **fields: Any) -> None:
        """One JSON object of many, each on a line of its own. Nothing without --json."""
        if self.json:
            _dump({"schema": SCHEMA, **fields})

    def refuse(self, error: UserError) -> None:
        """A refusal: the fact, the reason, and last the command to type next."""
        self._clear_progress()
        if self.json:
            said = {"code": error.code, "message": error.message, "hint": error.hint}
            _dump({"schema": SCHEMA, "ok": False, "error": said, "next_action": error.next_action})
        first, _, rest = error_text(error).partition("\n")
        print(paint(first, "red", sys.stderr), file=sys.stderr)
        if rest:
            print(rest, file=sys.stderr, flush=True)

    def refused_with(
        self, message: str, code: str, next_action: str | None, *, hint: str | None = None, **fields: Any
    ) -> None:
        """The JSON answer of a command that looked and found something wrong: the refusal and what it found."""
        self._clear_progress()
        said = {"code": code, "message": message, "hint": hint}
        _dump({"schema": SCHEMA, "ok": False, "error": said, "next_action": next_action, **fields})

    def table(
        self, rows: Sequence[Sequence[object]], head: Sequence[str] = (), widths: list[int] | None = None
    ) -> None:
        """Columns aligned by their widest cell; the last one is left as it is.

        `widths` of a table that comes in parts: empty before the first, and kept by the caller.
        """
        cells = [[inert(c) for c in row] for row in ([head] if head else []) + list(rows)]
        if not cells:
            return
        widths = [] if widths is None else widths
        before = widths or [0] * len(cells[0])
        widths[:] = [max(before[n], *(width(row[n]) for row in cells)) for n in range(len(cells[0]))]
        for n, row in enumerate(cells):
            line = "  ".join(
                c if k == len(row) - 1 else c + " " * (widths[k] - width(c)) for k, c in enumerate(row)
            ).rstrip()
            self.say(line, colour="dim" if head and n == 0 else None)

    def findings(self, found: Iterable[Finding], *, github: bool = False) -> None:
        for f in found:
            if github:
                print(annotation(f), flush=True)
            else:
                self.say(finding_line(f), colour="red" if f.severity == "error" else "yellow")


def width(text: str) -> int:
    """Columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    marks = ("Mn", "Me")  # they stand on the character before them
    return sum(
        0 if unicodedata.category(c) in marks else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def error_text(error: UserError) -> str:
    """A refusal as people read it, without colour."""
    lines = ["prp: " + inert_lines(error.message)]
    if error.hint:
        lines.append(inert_lines(error.hint))
    if error.next_action:
        when = f"{inert(error.when)}:  " if error.when else ""
        lines += [f"  {when}{inert(line)}" for line in error.next_action.split("\n")]
    if error.otherwise:
        lines.append("  {}:  {}".format(*map(inert, error.otherwise)))
    return "\n".join(lines)


def finding_line(f: Finding) -> str:
    """`CODE file:line:column  ID: message`, as editors can jump to."""
    who = ("warning: " if f.severity != "error" else "") + (f"{f.id}: " if f.id else "")
    return f"{f.code} {inert(f.file)}:{f.line}:{f.column}  {inert(who + f.message)}"


def annotation(f: Finding) -> str:
    """One GitHub workflow command. Escapes as GitHub's own toolkit does, so that no value can end or start another."""

    def data(text: str) -> str:
        return inert_lines(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")

    def prop(text: str) -> str:
        return data(text).replace(":", "%3A").replace(",", "%2C")

    said = f"{f.id}: {f.message}" if f.id else f.message
    more = f"\n{f.fix}" if f.fix else ""
    place = f"file={prop(f.file)},line={f.line},col={f.column},title={prop(f.code)}"
    return f"::{f.severity} {place}::{data(said + more)}"


def _dump(value: dict[str, Any]) -> None:
    import json

    # Escaped: what steers a terminal must not come through here either, and any stream can carry it.
    print(json.dumps(value, default=str), flush=True)
