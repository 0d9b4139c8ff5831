"""Bring the derived part of a tracking file up to date: `stats`, and `last_updated` with it.

Milestones never touch these (two branches would conflict on them each time), so they go stale, and this is what
refreshes them. Only the values that are wrong are rewritten, each in its own quotes; a figure that a file does not
give is not added, except a part of a distribution that is missing.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from .errors import UserError
from .ledger import TRACKING, parse
from .ledger_edit import line_end
from .ledger_text import BOM, read
from .messages import ledger as say
from .remarks import counted
from .yaml_scalar import scalar

if TYPE_CHECKING:
    from .ledger import Ledger
    from .ledger_text import Field, Node

SHARE = re.compile(r"[0-9]+ \([0-9]+%\)")  # "28 (51%)", of the active ones
OF = re.compile(r".*_(p[0-9]+)")


def tidy(data: bytes, file: str, now: float | None = None) -> tuple[bytes, list[str]]:
    """The file with right stats, and what changed in words; the same bytes when nothing is stale.

    A file without `stats`, and the form of one file per PRP, have nothing to tidy. Raises UserError when the file
    cannot be read, or when the result, read again, would differ in anything else.
    """
    before = parse(data, file)
    if before.errors:
        raise UserError(
            say.unreadable(file, before.errors[0], len(before.errors)),
            code="ledger-unreadable",
            next_action="prp check",
        )
    source = read(data, file)
    stats = source.root.fields.get("stats") if before.form == TRACKING and source.root else None
    if stats is None or source.root is None:
        return data, []
    edits: list[tuple[int, int, str]] = []
    said: list[str] = []
    figures = counted(before)
    for name, field in stats.node.fields.items():
        if field.node.fields:
            _parts(source.text, name, field, figures, edits, said)
        elif name in figures and not isinstance(figures[name], dict):
            _set(f"stats.{name}", field.node, figures[name], edits, said)
    if not edits:
        return data, []
    meta = source.root.fields.get("metadata")
    updated = (meta.node.fields if meta else {}).get("last_updated") or source.root.fields.get("last_updated")
    if updated is not None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now if now is not None else time.time()))
        _set("last_updated", updated.node, stamp, edits, said)
    text = source.text
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    done = (BOM if source.bom else b"") + text.encode("utf-8")
    _verify(before, done, file)
    return done, said


def _parts(
    text: str, name: str, field: Field, figures: dict[str, Any], edits: list[tuple[int, int, str]], said: list[str]
) -> None:
    """A distribution: its parts set, those that have come up since added behind the last one."""
    want = figures.get(name)
    active = figures["active_prps"]
    for part, one in field.node.fields.items():
        value: Any = None
        if isinstance(want, dict):
            value = want.get(part, 0)
        elif (of := OF.fullmatch(part)) and SHARE.fullmatch(str(one.node.raw)):
            count = figures["priority_distribution"].get(of[1].upper(), 0)
            value = f"{count} ({round(100 * count / active) if active else 0}%)"
        if value is not None:
            _set(f"stats.{name}.{part}", one.node, value, edits, said)
    if not isinstance(want, dict):
        return
    missing = [(part, n) for part, n in want.items() if n and part not in field.node.fields]
    last = list(field.node.fields.values())[-1]
    if missing and field.node.style == "map":
        stop, newline = line_end(text, last.node.end)
        indent = " " * (last.column - 1)
        edits.append((stop, stop, "".join(f"{newline}{indent}{scalar(part)}: {n}" for part, n in missing)))
    elif missing:
        end = last.node.end
        edits.append((end, end, "".join(f", {scalar(part)}: {n}" for part, n in missing)))
    said += [f"stats.{name}.{part}: nothing -> {n}" for part, n in missing]


def _set(where: str, node: Node, value: Any, edits: list[tuple[int, int, str]], said: list[str]) -> None:
    if str(node.raw) == str(value) or node.fields:
        return
    quoted = node.style in ("'", '"')
    plain = not quoted and isinstance(value, str) and re.fullmatch(r"[0-9.]+", value)  # a rate is a number there
    new = str(value) if plain else scalar(str(value) if quoted else value, node.style if quoted else "")
    edits.append((node.start, node.end, new))
    said.append(f"{where}: {node.raw} -> {value}")


def _verify(before: Ledger, done: bytes, file: str) -> None:
    after = parse(done, file)
    same = list(after.prps) == list(before.prps) and all(
        after.prps[i].fields == p.fields for i, p in before.prps.items()
    )
    if after.errors or not same:
        why = "its form is one that cannot be edited without touching more than was asked"
        raise UserError(say.cannot_edit(file, "stats", why), code="ledger-edit", next_action="prp check")
