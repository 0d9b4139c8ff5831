"""Three ledger texts -> one, entry by entry: what git's `merge=prp` driver does. Pure.

The sealed group of an entry (status to evidence, rev) is taken whole, from one side, if the other side left it as it
was at the base; else it is a conflict. All other fields merge one by one. What nobody changed stays byte for byte.
The result is read again before it is given out: every entry in it is one side's, field by field, or there is a
conflict. Nothing here asks git, a store or the network.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, NamedTuple

from . import seal
from .ledger import EMPTY, NEITHER, SINGLE, TRACKING, of_text
from .ledger_parts import STATS, TRACKED, Part, UncutError, root
from .ledger_text import BOM, read
from .messages import merging as say

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .ledger import Ledger

GROUP = frozenset({"rev", "deprecated", *seal.SEALED})
DERIVED = "last_updated"  # like the file's `stats`: counted or stamped by whoever wrote last, and nobody's word
MARK = 7  # git's own size of conflict markers

Three = tuple[Part | None, Part | None, Part | None]  # base, ours, theirs
Named = dict[str, Part]


class Merged(NamedTuple):
    """The result. With conflicts, `data` has markers around each."""

    data: bytes
    conflicts: tuple[tuple[str, str], ...]  # (id or "", what both sides changed)


class UnmergeableError(Exception):
    """The three texts are not ledgers that can be merged entry by entry; the message says why."""


def merge(
    base: bytes,
    ours: bytes,
    theirs: bytes,
    file: str,
    labels: tuple[str, str] = (say.OURS, say.THEIRS),
    mark: int = MARK,
) -> Merged:
    """Merge what `ours` and `theirs` did to `base` (b"" where there was none). `file` names it in findings.

    Raises UnmergeableError when one of them cannot be read strictly, or has a layout without lines of its own.
    """
    sides = [_Side(_settled(base), file), _Side(ours, file), _Side(theirs, file)]
    forms = {side.ledger.form for side in sides} - {EMPTY}
    if len(forms) > 1 or NEITHER in forms:
        raise UnmergeableError("its sides have different forms")
    crlf = _three([side.crlf for side in sides])
    bom = _three([side.bom for side in sides])
    writer = _Writer(labels, mark)
    if SINGLE in forms and not _one_prp(sides):
        text = writer.region("", say.FILE, sides[1].root.text, sides[2].root.text)
    else:
        text = writer.whole(tuple(side.root for side in sides), tracking=TRACKING in forms)
        if not _three([side.ended for side in sides]) and not writer.conflicts:
            text = text.removesuffix("\n")
    if not writer.conflicts and not _adds_up(text, file, sides):
        text = writer.region("", say.FILE, sides[1].root.text, sides[2].root.text)
    data = (BOM if bom else b"") + (text.replace("\n", "\r\n") if crlf else text).encode()
    return Merged(data, tuple(writer.conflicts))


def agrees(result: bytes, ours: bytes, theirs: bytes, file: str) -> bool:
    """Whether a text merge's result may stand: no less readable than its sides, and each sealed group is one side's."""
    merged, *sides = (of_text(read(data, file), data, file) for data in (result, ours, theirs))
    if merged.errors and not any(side.errors for side in sides):
        return False
    return _groups_whole(merged, sides)


def as_conflict(ours: bytes, theirs: bytes, file: str, labels: tuple[str, str], mark: int = MARK) -> Merged:
    """The two sides whole, one below the other, for a person to choose."""
    writer = _Writer(labels, mark)
    halves = [data if not data or data.endswith(b"\n") else data + b"\n" for data in (ours, theirs)]
    start, middle, end = (line.encode() for line in writer.marks)
    return Merged(start + halves[0] + middle + halves[1] + end, (("", say.FILE),))


class _Side:
    """One of the three texts: read, and cut into parts. Line breaks are LF in it, and the last line has one."""

    def __init__(self, data: bytes, file: str) -> None:
        self.crlf = b"\r\n" in data and data.count(b"\r\n") == data.count(b"\n")
        self.bom = data.startswith(BOM)
        plain = data.replace(b"\r\n", b"\n") if self.crlf else data
        self.ended = not plain or plain.endswith(b"\n")
        text = read(plain, file)
        self.ledger = of_text(text, plain, file)
        if self.ledger.errors:
            raise UnmergeableError(self.ledger.errors[0].message)
        try:
            self.root = root(text, self.ledger.form)
        except UncutError:
            raise UnmergeableError("its keys do not stand on lines of their own") from None


def _one_prp(sides: Sequence[_Side]) -> bool:
    """Whether the three files of one PRP each are the same PRP's: git takes look-alikes for renames, and two PRPs that
    got one id are no versions of each other."""
    base, ours, theirs = sides
    added = not base.ledger.prps and ours.ledger.prps and theirs.ledger.prps
    if added and ours.root.text != theirs.root.text:
        return False
    return len({prp_id for side in sides for prp_id in side.ledger.prps}) == 1


def _settled(base: bytes) -> bytes:
    """A base that is itself a merge with conflicts (of several merge bases): what was in conflict is no base at all."""
    if b"<<<<<<<" not in base:
        return base
    kept: list[bytes] = []
    region: list[bytes] = []
    for line in io.BytesIO(base):
        if region or (line.startswith(b"<<<<<<<") and line.lstrip(b"<").startswith(b" ")):
            region.append(line)
        else:
            kept.append(line)
        if region and line.startswith(b">>>>>>>"):
            region = []
    return b"".join(kept + region)  # one that never ends is none


def _three(values: Sequence[bool]) -> bool:
    base, ours, theirs = values
    return theirs if ours == base else ours


def _picked(base: str, ours: str, theirs: str) -> str | None:
    """The three-way choice between texts; None: both were changed, differently."""
    if ours == theirs or theirs == base:
        return ours
    return theirs if ours == base else None


# --- merging ---------------------------------------------------------------------------------------------------------


class _Writer:
    """Merges parts into text, and remembers where the sides could not agree."""

    def __init__(self, labels: tuple[str, str], mark: int) -> None:
        ours, theirs = (" ".join("".join(c if c.isprintable() else " " for c in name).split()) for name in labels)
        self.marks = f"{'<' * mark} {ours}\n", f"{'=' * mark}\n", f"{'>' * mark} {theirs}\n"
        self.conflicts: list[tuple[str, str]] = []

    def region(self, prp_id: str, what: str, ours: str, theirs: str) -> str:
        self.conflicts.append((prp_id, what))
        return f"{self.marks[0]}{ours}{self.marks[1]}{theirs}{self.marks[2]}"

    def whole(self, sides: tuple[Part, ...], *, tracking: bool) -> str:
        base, ours, theirs = sides
        own = "" if tracking else next((p.value.strip("'\"") for p in ours.parts or () if p.name == "id"), "")
        body = self.mapping((base, ours, theirs), own, "file" if tracking else "entry")
        return body + self.comment(own, "the end", base.tail, ours.tail, theirs.tail)

    def comment(self, prp_id: str, name: str, base: str, ours: str, theirs: str) -> str:
        picked = _picked(base, ours, theirs)
        return self.region(prp_id, say.COMMENT.format(name), ours, theirs) if picked is None else picked

    def mapping(self, three: tuple[Part, Part, Part], prp_id: str, kind: str) -> str:
        """The parts of a mapping that is there on all sides. `kind` says what they are: file, entries, entry, other."""
        base, ours, theirs = ({p.name: p for p in side.parts or ()} for side in three)
        group = _group(base, ours, theirs) if kind == "entry" else None
        agreed, open_group = group is not None, kind == "entry" and group is None
        done: list[str] = []
        for name in _order(base, ours, theirs):
            b, o, t = base.get(name), ours.get(name), theirs.get(name)
            if kind == "entry" and name in GROUP and agreed:
                done.append(self.sealed(b, o, t, group == "ours", prp_id))
            elif kind == "entry" and name in GROUP:
                if open_group:  # all its lines stand in one place, where the first of them was
                    done.append(self.region(prp_id, say.GROUP, _lines(ours), _lines(theirs)))
                    open_group = False
            else:
                done.append(self.part((b, o, t), name if kind == "entries" else prp_id, kind))
        return "".join(done)

    def sealed(self, b: Part | None, o: Part | None, t: Part | None, ours: bool, prp_id: str) -> str:
        """A line of a group that one side gives whole. Comments above it are nobody's, and merge by themselves."""
        taken = o if ours else t
        if taken is None:
            return ""
        if b is None or o is None or t is None:
            return taken.text
        return self.comment(prp_id, taken.name, b.lead, o.lead, t.lead) + taken.body

    def part(self, three: Three, prp_id: str, kind: str) -> str:
        """One key, on the sides that have it."""
        base, ours, theirs = three
        what = say.ENTRY if kind == "entries" else _name(three)
        derived = what == DERIVED or (kind == "file" and what == STATS)
        if ours is None or theirs is None:
            there = ours or theirs
            if there is None or (base is not None and (derived or base.body == there.body)):
                return ""
            if base is None:
                return there.text
            return self.region(prp_id, what, ours.text if ours else "", theirs.text if theirs else "")
        if base is None and kind == "file" and ours.parts is not None and theirs.parts is not None:
            base = Part(ours.name, "", ours.head, "", (), "")  # two first ledgers: their entries meet in one
        if base is None:
            same = derived or ours.body == theirs.body or (ours.parts is None and ours.value == theirs.value)
            return ours.text if same else self.region(prp_id, what, ours.text, theirs.text)
        lead = self.comment(prp_id, what, base.lead, ours.lead, theirs.lead)
        if base.parts is None or ours.parts is None or theirs.parts is None:
            picked = _leaf(base, ours, theirs)
            if picked is None and derived:
                picked = ours.body
            return lead + (self.region(prp_id, what, ours.body, theirs.body) if picked is None else picked)
        inside = {"file": "entries" if what == TRACKED else "other", "entries": "entry"}.get(kind, "other")
        head = self.comment(prp_id, what, base.head, ours.head, theirs.head)
        body = self.mapping((base, ours, theirs), prp_id, inside)
        return lead + head + body + self.comment(prp_id, f"the end of {what}", base.tail, ours.tail, theirs.tail)


def _name(three: Three) -> str:
    return next(p.name for p in three if p is not None)


def _leaf(base: Part, ours: Part, theirs: Part) -> str | None:
    """A part that is not cut open: by its text, else by what it says (a side that only quoted it anew gives way)."""
    picked = _picked(base.body, ours.body, theirs.body)
    if picked is None and base.parts is ours.parts is theirs.parts is None:
        value = _picked(base.value, ours.value, theirs.value)
        return None if value is None else (ours if value == ours.value else theirs).body
    return picked


def _lines(side: Named) -> str:
    return "".join(p.text for name, p in side.items() if name in GROUP)


def _group(base: Named, ours: Named, theirs: Named) -> str | None:
    """The side that gives an entry's sealed group, "ours" or "theirs"; None: both changed it, differently."""

    def said(side: Named) -> list[tuple[str, str]]:
        return sorted((n, p.value) for n, p in side.items() if n in GROUP and p.value != "None")

    if said(ours) == said(theirs) or said(theirs) == said(base):
        told = _picked(_lines(base), _lines(ours), _lines(theirs))
        only_theirs = said(ours) == said(base) == said(theirs) and told != _lines(ours) and told is not None
        return "theirs" if only_theirs else "ours"
    return "theirs" if said(ours) == said(base) else None


def _order(base: Iterable[str], ours: Iterable[str], theirs: Iterable[str]) -> list[str]:
    """All names of both sides, in ours' order (theirs', when only theirs has another than the base), the rest behind
    what it stood behind. At the same place, ours' come first."""
    known = set(base) & set(ours) & set(theirs)
    was, mine, other = ([n for n in side if n in known] for side in (base, ours, theirs))
    first, second = (theirs, ours) if mine == was != other else (ours, theirs)
    there, shared = set(first), set(second)
    behind: dict[str | None, list[str]] = {}  # what only the second has, by the name that both have before it
    before: str | None = None
    for name in second:
        if name in there:
            before = name
        else:
            behind.setdefault(before, []).append(name)
    found: list[str] = []
    before = None
    for name in first:
        if name in shared:
            found += behind.pop(before, [])
            before = name
        found.append(name)
    return found + behind.pop(before, [])


# --- the result, read again ------------------------------------------------------------------------------------------


def _adds_up(text: str, file: str, sides: Sequence[_Side]) -> bool:
    """Whether a merge without conflicts reads as it must: every entry, field by field, one side's."""
    data = text.encode()
    merged = of_text(read(data, file), data, file)
    base, ours, theirs = (side.ledger for side in sides)
    if merged.errors or not _groups_whole(merged, (ours, theirs)):
        return False
    for prp_id in {*ours.prps, *theirs.prps}:
        both = [ledger.prps[prp_id].fields for ledger in (ours, theirs) if prp_id in ledger.prps]
        prp = merged.prps.get(prp_id)
        if prp is None:
            if len(both) == 2 or prp_id not in base.prps or base.prps[prp_id].fields != both[0]:
                return False
            continue
        missing = object()
        for name in {*prp.fields, *both[0], *both[-1]}:
            if all(prp.fields.get(name, missing) != side.get(name, missing) for side in both):
                return False
    return True


def _groups_whole(merged: Ledger, sides: Sequence[Ledger]) -> bool:
    """Whether every entry's sealed group is what one side says of it."""

    def group(fields: dict[str, Any]) -> list[tuple[str, str]]:
        return [(name, repr(fields[name])) for name in sorted(GROUP) if fields.get(name) is not None]

    for prp_id, prp in merged.prps.items():
        theirs = [side.prps[prp_id].fields for side in sides if prp_id in side.prps]
        if all(group(prp.fields) != group(fields) for fields in theirs):
            return False
    return True
