"""Writing to a ledger so that git sees only what changed: no line moves, no quote turns, no comment is lost."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from . import replacing, seal
from .errors import UserError
from .ledger import EMPTY, SINGLE, TEXTS, TRACKING, parse
from .ledger_scan import is_id
from .ledger_text import BOM, read
from .messages import ledger as say
from .yaml_scalar import scalar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .ledger import Ledger
    from .ledger_text import Field, Node

LAYOUT = ("title", "status", "rev", "owner", *seal.TIMES, *seal.EVIDENCE)
"""The order of an entry's first fields: part of the protocol, see docs/design.md. Two branches that bring one PRP a
milestone each, or two PRPs' milestones side by side, merge or conflict as they should only in this order."""

LAST = "notes"  # what a new entry ends with when nothing else is given: a line that no milestone touches


def _refuse(file: str, prp_id: str, why: str) -> UserError:
    return UserError(say.cannot_edit(file, prp_id, why), code="ledger-edit", next_action="prp check")


def _readable(data: bytes, file: str) -> Ledger:
    ledger = parse(data, file)
    if ledger.errors:
        raise UserError(
            say.unreadable(file, ledger.errors[0], len(ledger.errors)),
            code="ledger-unreadable",
            hint=ledger.errors[0].fix,
            next_action="prp check",
        )
    return ledger


def _as_text(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields as they read back: what is always text (a commit, a title) as text, every sequence as a list."""
    done: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, int) and name in TEXTS:
            value = str(value).lower() if isinstance(value, bool) else str(value)
        done[name] = list(value) if isinstance(value, tuple) else value
    return done


class _Entry:
    """One entry in its text, and the edits to it."""

    def __init__(self, text: str, node: Node) -> None:
        self.text, self.node = text, node
        self.edits: list[tuple[int, int, int, str]] = []  # start, end, 0 for a value and 1 for a new line, text
        self.flow = node.style == "{"
        styles = [f.node.style for f in node.fields.values()]
        self.quote = '"' if styles.count('"') > styles.count("'") else "'"

    def written(self, value: Any, style: str = "") -> str:
        if isinstance(value, str) and style in ("'", '"'):
            return scalar(value, style, self.flow)
        done = scalar(value, "", self.flow)
        return scalar(value, self.quote) if isinstance(value, str) and done[:1] == "'" else done

    def replace(self, field: Field, value: Any) -> None:
        node, colon = field.node, self.text.index(":", field.end)
        new = self.written(value, node.style)
        below = "\n" in self.text[colon : node.start]
        start = colon + 1 if below else node.start
        self.edits.append((start, node.end, 0, f" {new}" if start == colon + 1 else new))

    def insert(self, after: Field, items: list[tuple[str, Any]]) -> None:
        end = after.node.end
        if self.flow:
            self.edits.append((end, end, 1, "".join(f", {name}: {self.written(value)}" for name, value in items)))
            return
        stop, newline = line_end(self.text, end)
        indent = " " * (next(iter(self.node.fields.values())).column - 1)
        new = "".join(f"{newline}{indent}{name}: {self.written(value)}" for name, value in items)
        self.edits.append((stop, stop, 1, new))

    def done(self) -> str:
        text = self.text
        for start, end, _, new in sorted(self.edits, reverse=True):
            text = text[:start] + new + text[end:]
        return text


def line_end(text: str, offset: int) -> tuple[int, str]:
    """Where the line that holds `offset` ends, and with which line break (the file's, for a last line without one)."""
    stop = text.find("\n", offset)
    if stop < 0:
        return len(text), "\r\n" if "\r\n" in text else "\n"
    return (stop - 1, "\r\n") if text[stop - 1] == "\r" else (stop, "\n")


def _above(name: str, fields: Mapping[str, Field]) -> Field:
    """The field that a missing one belongs under: the nearest before it in the layout that the entry has."""
    order = LAYOUT.index(name) if name in LAYOUT else len(LAYOUT)
    for other in reversed(LAYOUT[:order]):
        if other in fields:
            return fields[other]
    return next(iter(fields.values()))


def _encode(text: str, bom: bool) -> bytes:
    return (BOM if bom else b"") + text.encode("utf-8")


def _verify(before: Ledger, data: bytes, file: str, prp_id: str, fields: Mapping[str, Any]) -> None:
    """Read what would be written: it differs from before in these fields of this entry, and in nothing else."""
    after = parse(data, file)
    if after.errors:
        raise _refuse(file, prp_id, f"the result would not be readable ({after.errors[0].message})")
    old = before.prps[prp_id].fields if prp_id in before.prps else {}
    wanted = {**old, **{k: v for k, v in fields.items() if v is not None or k in old or prp_id not in before.prps}}
    ids = list(dict.fromkeys((*before.prps, prp_id)))
    if list(after.prps) != ids or after.extra != before.extra or after.prps[prp_id].fields != wanted:
        raise _refuse(file, prp_id, "its form is one that cannot be edited without touching more than was asked")
    for other in before.prps:
        if other != prp_id and after.prps[other].fields != before.prps[other].fields:
            raise _refuse(file, prp_id, f"the entry of {other} would change with it")


def change(data: bytes, file: str, prp_id: str, fields: Mapping[str, Any]) -> bytes:
    """The file with these fields of one entry set. Only the lines of what changed differ.

    A field that is not there yet takes its place in the layout (`rev` right under `status`); other new fields follow
    the evidence. None writes `null` over a field that is there, and adds none. Values are texts, whole numbers,
    booleans and lists of these. Raises UserError when the file cannot be read, has no such entry, or when the result,
    read again, would differ in anything else.
    """
    fields = _as_text(fields)
    before = _readable(data, file)
    if prp_id not in before.prps:
        raise UserError(f"{file} has no entry {prp_id}.", code="unknown-prp", next_action="prp list")
    source = read(data, file)
    assert source.root is not None
    root = source.root
    node = root if before.form == SINGLE else root.fields["prp_tracking"].node.fields[prp_id].node
    entry = _Entry(source.text, node)
    old = before.prps[prp_id].fields
    new: dict[int, tuple[Field, list[tuple[str, Any]]]] = {}
    try:
        for name in sorted(fields, key=lambda n: LAYOUT.index(n) if n in LAYOUT else len(LAYOUT)):
            value = fields[name]
            if name in old:
                if old[name] != value or type(old[name]) is not type(value):
                    entry.replace(node.fields[name], value)
            elif value is not None:
                above = _above(name, node.fields)
                new.setdefault(above.start, (above, []))[1].append((name, value))
        for above, items in new.values():
            entry.insert(above, items)
    except ValueError as e:
        raise _refuse(file, prp_id, str(e)) from None
    done = _encode(entry.done(), source.bom)
    _verify(before, done, file, prp_id, fields)
    return done


def _lines(fields: Mapping[str, Any], indent: str, newline: str) -> str:
    """A new entry's fields, each behind a line break: the layout first, what milestones never touch last."""
    sealed = [name for name in (*LAYOUT, *seal.SEALED) if name in fields]
    order = dict.fromkeys((*sealed, *fields))
    return "".join(f"{newline}{indent}{name}: {scalar(fields[name])}" for name in order)


def add(data: bytes | None, file: str, prp_id: str, fields: Mapping[str, Any]) -> bytes:
    """The file with a new entry behind the last one, or the text of a PRP's own file when there is none yet.

    With no data, a file named by the id is the one-file form, any other name a tracking file. Raises UserError when the
    id is taken or no id, or when the file cannot be read or extended.
    """
    if not is_id(prp_id):
        raise UserError(f"{say.quoted(prp_id)} is no PRP id.", code="id-shape")
    fields = _as_text(fields)
    if all(name in LAYOUT or name in seal.SEALED for name in fields):
        fields[LAST] = None
    before = _readable(data or b"", file)
    if prp_id in before.prps or prp_id in before.aliases:
        raise UserError(f"{prp_id} is taken in {file}.", code="id-taken", next_action="prp list")
    try:
        if not data and os.path.basename(file) == f"{prp_id}.yaml":
            done = f"id: {scalar(prp_id)}{_lines(fields, '', chr(10))}\n".encode()
        else:
            done = _appended(data or b"", before, file, prp_id, fields)
    except ValueError as e:
        raise _refuse(file, prp_id, str(e)) from None
    _verify(before, done, file, prp_id, fields)
    return done


def _appended(data: bytes, before: Ledger, file: str, prp_id: str, fields: Mapping[str, Any]) -> bytes:
    source = read(data, file)
    text, newline = source.text, line_end(source.text, 0)[1]
    if before.form == EMPTY:
        start = text if not text or text.endswith("\n") else text + newline
        new = f"prp_tracking:{newline}  {scalar(prp_id)}:{_lines(fields, '    ', newline)}{newline}"
        return _encode(start + new, source.bom)
    if before.form != TRACKING or source.root is None:
        raise ValueError("the file is the file of another PRP")
    key = source.root.fields["prp_tracking"]
    entries = list(key.node.fields.values())
    if not entries:
        colon = text.index(":", key.end) + 1
        new = f"{newline}  {scalar(prp_id)}:{_lines(fields, '    ', newline)}"
        return _encode(text[:colon] + new + text[max(colon, key.node.end) :], source.bom)
    if key.node.style == "{":
        raise ValueError("prp_tracking is written in braces; write its entries as lines first")
    last = entries[-1]
    stop, newline = line_end(text, last.node.end)
    first = next(iter(last.node.fields.values()), None)
    step = first.column - last.column if first and last.node.style == "map" else 2
    indent = " " * (last.column - 1)
    new = f"{newline}{indent}{scalar(prp_id)}:{_lines(fields, indent + ' ' * step, newline)}"
    return _encode(text[:stop] + new + text[stop:], source.bom)


# --- the file itself -------------------------------------------------------------------------------------------------
def write(path: str, old: bytes | None, new: bytes) -> None:
    """Put `new` in the place of `old` (None: a file that is not there yet), whole or not at all.

    A reader sees the old file or the new one. Mode and symlinks stay. Raises UserError "changed-underneath" when the
    file is no longer `old`, "write-failed" when the system refuses; the file is as it was then.
    """
    try:
        done = replacing.replace(path, old, new)
    except OSError as e:
        raise UserError(say.cannot_write(path, e.strerror or e), code="write-failed") from None
    if not done:
        raise UserError(say.changed_underneath(path), code="changed-underneath", hint="Run the command again.")
