"""Pure checks: ledgers in, findings out. Nothing here reads a file, asks git or a store, or imports YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import seal
from .commit_message import check_message as check_message
from .commit_message import message_ids as message_ids
from .dependencies import dependencies
from .ledger_scan import is_draft, is_id
from .messages import drafts as unnumbered
from .messages import ledger as say
from .model import COMPLETE, DEPRECATED, ERROR, IN_PROGRESS, NEW, STATUSES, VALIDATED, WARNING, Finding
from .remarks import remarks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .ledger import Ledger
    from .model import Prp

STEPS = {
    NEW: (VALIDATED, DEPRECATED),
    VALIDATED: (VALIDATED, IN_PROGRESS, DEPRECATED),
    IN_PROGRESS: (IN_PROGRESS, COMPLETE, DEPRECATED),
    COMPLETE: (IN_PROGRESS,),
    DEPRECATED: (),
}
"""One milestone's way from each status. In progress to itself: handed over, reclaimed, adopted.
Validated to itself: said again, after a store was wiped that alone knew of the first."""

_SINCE = ((VALIDATED, IN_PROGRESS, COMPLETE), (IN_PROGRESS, COMPLETE), (COMPLETE,))
"""For each of seal.TIMES, the statuses that an entry with it can have."""

_VERBS = {VALIDATED: "prp validate {}", IN_PROGRESS: "prp start {}", COMPLETE: "prp complete {}"}
_MEANT = {
    "done": COMPLETE,
    "completed": COMPLETE,
    "finished": COMPLETE,
    "closed": COMPLETE,
    "merged": COMPLETE,
    "started": IN_PROGRESS,
    "active": IN_PROGRESS,
    "wip": IN_PROGRESS,
    "doing": IN_PROGRESS,
    "approved": VALIDATED,
    "ready": VALIDATED,
    "open": NEW,
    "todo": NEW,
    "planned": NEW,
}


# --- verbs -----------------------------------------------------------------------------------------------------------
def steps(was: str, now: str) -> int:
    """How many milestones lead from one status to another, at least one; -1 when none do."""
    reached, count = {was}, 0
    while reached and count <= len(STEPS):
        reached, count = {after for status in reached for after in STEPS.get(status, ())}, count + 1
        if now in reached:
            return count
    return -1


def meant(value: str) -> str | None:
    """The status that a wrong word most likely stands for."""
    word = value.strip().lower().replace("-", "_").replace(" ", "_")
    if word in STATUSES or word in _MEANT:
        return word if word in STATUSES else _MEANT[word]
    from difflib import get_close_matches

    close = get_close_matches(word, STATUSES, 1, 0.7)
    return close[0] if close else None


def verb(prp_id: str, was: str, wanted: str) -> str | None:
    """The command for the first milestone on the way from `was` to `wanted`; None where no command leads there."""
    straight = [wanted] if wanted in STEPS.get(was, ()) else []
    first = [*straight, *(after for after in STEPS.get(was, ()) if after != was and steps(after, wanted) > 0)][:1]
    if was == COMPLETE and first:
        return f'prp reopen {prp_id} --reason "..."'
    return _VERBS[first[0]].format(prp_id) if first and first[0] in _VERBS else None


# --- one entry -------------------------------------------------------------------------------------------------------
class _Judge:
    """Collects findings about the entries of one ledger, with the place of the value each is about."""

    def __init__(self, places: Mapping[tuple[str, str], tuple[int, int]]) -> None:
        self.places = places
        self.findings: list[Finding] = []

    def note(self, code: str, prp: Prp, field: str, said: say.Said, severity: str = ERROR) -> None:
        line, column = self.places.get((prp.id, field)) or self.places.get((prp.id, "id")) or (prp.line, 1)
        self.findings.append(Finding(code, severity, prp.file, line, column, prp.id, said.message, said.fix))

    def schema(self, before: Prp | None, after: Prp, id_pattern: str | None) -> bool:
        """The shape of one entry. False when its status says nothing, so that no transition can be judged.

        What was wrong before and is not touched is an error no more, only a warning.
        """

        def weight(field: str) -> str:
            same = before is not None and before.fields.get(field) == after.fields.get(field)
            return WARNING if same else ERROR

        if before is None and not is_draft(after.id) and not _is_id(after.id, id_pattern):
            self.note("PRP106", after, "id", say.id_shape(after.id, id_pattern))
        title = after.fields.get("title")
        if not isinstance(title, str) or not title.strip():
            self.note("PRP105", after, "title", say.no_title(title), weight("title"))
        depends = after.fields.get("depends_on")
        items = depends if isinstance(depends, list) else [depends]
        if not all(item is None or isinstance(item, str) for item in items):
            self.note("PRP133", after, "depends_on", say.dependency_shape(depends), weight("depends_on"))
        if after.status in STATUSES:
            return True
        was = before.status if before and before.status in STATUSES else None
        wanted = meant(after.status)
        command = verb(after.id, was, wanted) if was and wanted else None
        said = say.no_status(after.fields.get("status"), was, command, wanted if before else None)
        self.note("PRP104", after, "status", said, weight("status"))
        return False

    def fresh(self, after: Prp) -> None:
        """An entry that was not there before."""
        if after.rev is None:
            if after.status != NEW:
                self.note("PRP125", after, "status", say.new_with_status(after.status, f"prp validate {after.id}"))
        elif not seal.check(after):
            self.note("PRP125", after, "rev", say.new_with_rev(str(after.fields["rev"])))

    def step(self, before: Prp, after: Prp) -> None:
        """From one version of an entry to the next: the seal, then the way."""
        edited = [f for f in seal.SEALED if before.fields.get(f) != after.fields.get(f)]
        if before.status != after.status and "status" not in edited:
            edited.insert(0, "deprecated")
        if before.rev is not None and after.rev is None:
            self.note("PRP121", after, "status", say.seal_lost(before.rev))
        elif after.rev is None:
            self.unsealed(before, after, edited)
        elif not seal.well_formed(after.rev):
            self.note("PRP121", after, "rev", say.seal_malformed(after.fields["rev"]))
        elif not seal.check(after):
            self.broken(before, after, edited)
        elif before.rev != after.rev:
            self.sealed(before, after)

    def unsealed(self, before: Prp, after: Prp, edited: Sequence[str]) -> None:
        if before.status not in STATUSES:
            return  # it says something now
        if before.status == after.status:
            ahead = [t for t, since in zip(seal.TIMES, _SINCE, strict=True) if _gained(before, after, t, since)]
            if ahead:  # a merge (rebase -X ours) that took half of a milestone, without its status and rev
                self.note("PRP122", after, ahead[0], say.half_a_milestone(ahead[0], after.status))
            elif edited:
                self.note("PRP122", after, edited[0], say.old_field_by_hand(edited), WARNING)
        elif after.status == DEPRECATED and DEPRECATED in STEPS[before.status]:
            self.note("PRP122", after, edited[0], say.deprecated_by_hand(), WARNING)
        else:
            command = verb(after.id, before.status, after.status)
            self.note("PRP122", after, edited[0], say.status_by_hand(before.status, after.status, command))

    def broken(self, before: Prp, after: Prp, edited: Sequence[str]) -> None:
        rev = str(after.rev)
        if after.rev != before.rev or not edited:
            self.note("PRP120", after, "rev", say.seal_wrong(rev))
            return
        command = verb(after.id, before.status, after.status) if after.status != before.status else None
        undo = [say.back(f, before.fields.get(f)) for f in edited]
        self.note("PRP120", after, edited[0], say.by_hand(edited, rev, undo, command, before.owner))

    def sealed(self, before: Prp, after: Prp) -> None:
        """A new line with a valid seal: is it one that milestones can have written on top of the old one?"""
        if seal.check(before) is False:
            return  # what was written by hand is put right: it is no place to start from
        rise = after.number - before.number
        if rise < 0:
            self.note("PRP123", after, "rev", say.went_back(str(before.rev), str(after.rev)), WARNING)
        elif rise == 0:
            self.note("PRP123", after, "rev", say.forked(str(before.rev), str(after.rev)), WARNING)
        elif before.status in STATUSES and not 0 < steps(before.status, after.status) <= rise:
            count = steps(before.status, after.status)
            command = verb(after.id, before.status, after.status)
            self.note("PRP123", after, "status", say.no_way(before.status, after.status, count, rise, command))


def _gained(before: Prp, after: Prp, time: str, since: Sequence[str]) -> bool:
    """Whether a milestone's time came that the status has not reached."""
    came = before.fields.get(time) is None and after.fields.get(time) is not None
    return came and after.status != DEPRECATED and after.status not in since


def _is_id(prp_id: str, pattern: str | None) -> bool:
    if not is_id(prp_id):
        return False
    if pattern is None:
        return True
    import re

    return re.fullmatch(pattern, prp_id) is not None


def transition(before: Prp | None, after: Prp) -> list[Finding]:
    """What is wrong with one entry's step from `before` (None: it is new) to `after`: status, seal and way."""
    judge = _Judge({})
    if judge.schema(before, after, None):
        if before is None:
            judge.fresh(after)
        elif before.fields != after.fields:
            judge.step(before, after)
    return judge.findings


# --- a commit --------------------------------------------------------------------------------------------------------
def check_change(
    before: Ledger,
    after: Ledger,
    parents: Sequence[Ledger] = (),
    reverts: bool = False,
    *,
    base: Ledger | None = None,
    only_ledger: bool = False,
    id_pattern: str | None = None,
) -> list[Finding]:
    """Judge what a commit does to the ledger: the entries it changes, and nothing else.

    `before` is the first parent's ledger. `parents` are a merge commit's other parents' (the first may be among them;
    none for an ordinary commit), `base` is their merge base's when it is known. `reverts`: the commit says that it
    takes something back.
    `only_ledger`: nothing outside the ledger changes.

    An old ledger's untidy entries are left alone; a file that cannot be read is an error whoever broke it, but only a
    warning when this change did not touch that file.
    """
    unread = [_if_touched(f, before, after) for f in after.findings if f.severity == ERROR]
    if before.prps and not after.prps and not after.errors:
        first = next(iter(before.prps.values()))
        said = say.ledger_removed(len(before.prps), first.file)
        return [Finding("PRP124", ERROR, first.file, 1, 1, None, said.message, said.fix)]
    judge = _Judge(after.places)
    sides, merging = [before, *parents], bool(parents)
    changed: list[Prp] = []
    for prp in after.prps.values():
        was = before.prps.get(prp.id)
        if merging:
            _merged(judge, prp, sides, base, reverts)
        if any(_same(side.prps.get(prp.id), prp) for side in sides):
            continue
        changed.append(prp)
        if not judge.schema(was, prp, id_pattern) or merging:
            continue
        if was is not None:
            judge.step(was, prp)
        elif before.prps and not before.errors:
            judge.fresh(prp)
        elif seal.check(prp) is False:
            judge.note("PRP120", prp, "rev", say.seal_wrong(str(prp.fields["rev"])))
    if not after.errors:
        _removed(judge, after, sides, base)
    if reverts:
        judge.findings = [_reverted(f) for f in judge.findings if not (f.code == "PRP123" and f.severity == WARNING)]
    if only_ledger:
        judge.findings += bare_complete(before, after)
    return [*unread, *judge.findings, *dependencies(after, changed)]


def _reverted(finding: Finding) -> Finding:
    """A revert may take a PRP, or its first seal, away again."""
    return finding._replace(severity=WARNING) if finding.code in ("PRP121", "PRP124") else finding


def _same(one: Prp | None, other: Prp) -> bool:
    return one is not None and one.fields == other.fields


def _if_touched(finding: Finding, before: Ledger, after: Ledger) -> Finding:
    same = before.files.get(finding.file) == after.files.get(finding.file)
    return finding._replace(severity=WARNING) if same and finding.file in before.files else finding


def _group(prp: Prp | None) -> tuple[Any, ...] | None:
    """What a merge must take whole, from one side."""
    return None if prp is None else (prp.rev, prp.status, *(prp.fields.get(f) for f in seal.SEALED))


def _merged(judge: _Judge, prp: Prp, parents: Sequence[Ledger], base: Ledger | None, reverts: bool) -> None:
    """A merge commit's entry must be a parent's, and not older than another's unless that one went back on purpose."""
    theirs = [p for p in (parent.prps.get(prp.id) for parent in parents) if p is not None]
    mine = _group(prp)
    if not theirs:
        if not any(parent.errors for parent in parents):
            judge.fresh(prp)
        return
    if all(mine != _group(p) for p in theirs):
        revs = dict.fromkeys(p.rev or f"no rev, {p.status}" for p in theirs)
        judge.note("PRP126", prp, "rev" if prp.rev else "status", say.merge_mixed(list(revs)))
        return
    if reverts:
        return
    if base is not None:
        start = _group(base.prps.get(prp.id))
        if all(_group(p) in (mine, start) for p in theirs):
            return  # one side changed it, and this is that side's
    newest = max(theirs, key=lambda p: p.number)
    if newest.number > prp.number:
        judge.note("PRP127", prp, "rev" if prp.rev else "status", say.merge_older(prp.rev, str(newest.rev)))


def _removed(judge: _Judge, after: Ledger, sides: Sequence[Ledger], base: Ledger | None) -> None:
    """Entries that were there and are not any more. A merge may take a removal over from the side that removed it."""
    known: dict[str, Prp] = {}
    for side in sides:
        known = {**side.prps, **known}
    for prp_id, prp in known.items():
        if prp_id in after.prps or is_draft(prp_id):  # a draft goes away when it gets its number
            continue
        if len(sides) == 1:
            judge.note("PRP124", prp, "id", say.removed())
        elif base is None or prp_id not in base.prps or all(prp_id in side.prps for side in sides):
            judge.note("PRP124", prp, "id", say.merge_lost(prp.rev or prp.status))


def drafts(after: Ledger) -> list[Finding]:
    """Entries without a number, in what is about to land."""
    judge = _Judge(after.places)
    for prp in after.prps.values():
        if is_draft(prp.id):
            judge.note("PRP114", prp, "id", unnumbered.on_a_lane(prp.id))
    return judge.findings


def bare_complete(before: Ledger, after: Ledger) -> list[Finding]:
    """Complete lines that a landing of nothing but the ledger brings, and that carry no evidence."""
    judge = _Judge(after.places)
    for prp in after.prps.values():
        was = before.prps.get(prp.id)
        if prp.status != COMPLETE or prp.rev is None or (was is not None and was.rev == prp.rev):
            continue
        if all(prp.fields.get(field) is None for field in seal.EVIDENCE):
            judge.note("PRP128", prp, "status", say.bare_complete(prp.rev, prp.id))
    return judge.findings


# --- everything ------------------------------------------------------------------------------------------------------
def check_all(ledger: Ledger, id_pattern: str | None = None) -> list[Finding]:
    """Judge every entry, with remarks on what an old ledger claims and cannot show."""
    judge = _Judge(ledger.places)
    for prp in ledger.prps.values():
        judge.schema(None, prp, id_pattern)
        if seal.check(prp) is False:
            if seal.well_formed(prp.rev):
                judge.note("PRP120", prp, "rev", say.seal_wrong(str(prp.rev)))
            else:
                judge.note("PRP121", prp, "rev", say.seal_malformed(prp.fields["rev"]))
    found = (*ledger.findings, *judge.findings, *dependencies(ledger, list(ledger.prps.values())), *remarks(ledger))
    return sorted(found, key=lambda f: (f.file, f.line, f.column, f.code))
