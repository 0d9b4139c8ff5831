"""What is found in a change to a ledger, in a whole ledger, and in a commit message."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import prpgate
from prpgate import ledger, ledger_edit, rules, seal
from prpgate.config import DEFAULT_ID_PATTERN
from prpgate.messages import ledger as say
from prpgate.model import ERROR, STATUSES, WARNING, Finding
from tests.ledgers import FILE, UNTIDY, milestone, read, tracking
from tests.world import run

BY_HAND = "prp_tracking:\n  A-1:\n    title: x\n    status: {}\n    notes: y\n"
STARTED: dict[str, Any] = {"status": "in_progress", "owner": "ann", "started_at": "2025-07-21T10:00:00Z"}


def found(before: str | bytes, after: str | bytes, *more: Any, **named: Any) -> list[tuple[str, str, str | None]]:
    return [(f.code, f.severity, f.id) for f in rules.check_change(read(before), read(after), *more, **named)]


def one(before: str | bytes, after: str | bytes, **named: Any) -> Finding:
    (finding,) = rules.check_change(read(before), read(after), **named)
    return finding


def sealed(status: str = "in_progress", number: int = 3, /, **fields: Any) -> bytes:
    """A ledger of one sealed entry, A-1."""
    data = tracking(A_1={"notes": "y"})
    return milestone(data, "A-1", number, status=status, **{"owner": "ann", **fields})


# --- how a refusal reads ---------------------------------------------------------------------------------------------
def test_a_wrong_status_is_refused_in_these_words() -> None:
    before = UNTIDY.replace("Report editor\n    status: validated", "Report editor\n    status: in_progress")
    after = before.replace("Report editor\n    status: in_progress", "Report editor\n    status: done")
    line = before.splitlines().index("  P2-040:") + 3
    assert say.refusal([one(before, after)]) == (
        f'PRP104 {FILE}:{line}:13  P2-040: "done" is no status (new, validated, in_progress, complete, deprecated)\n'
        'Not committed; your staging is unchanged. Restore "in_progress", git add, then:\n'
        "  prp complete P2-040"
    )


def test_the_outcome_and_each_fix_are_said_once() -> None:
    first = Finding("PRP1", ERROR, "f", 1, 2, "A-1", "m", "do this")
    text = say.refusal([first, first._replace(line=3), first._replace(line=4, fix=None)])
    assert text.splitlines() == [
        "PRP1 f:1:2  A-1: m",
        "Not committed; your staging is unchanged. do this",
        "PRP1 f:3:2  A-1: m",
        "PRP1 f:4:2  A-1: m",
    ]


def test_hostile_values_are_shown_on_one_line() -> None:
    shown = say.quoted("a\x1b[31m\nb\u202e" + "x" * 500)
    assert shown.isprintable()
    assert len(shown) < 120


@pytest.mark.parametrize(
    ("was", "wrote", "command"),
    [
        ("in_progress", "done", "prp complete A-1"),
        ("in_progress", "Completed", "prp complete A-1"),
        ("validated", "in progress", "prp start A-1"),
        ("validated", "in-progress", "prp start A-1"),
        ("validated", "done", "prp start A-1"),
        ("new", "valid", "prp validate A-1"),
        ("new", "done", "prp validate A-1"),
        ("complete", "wip", 'prp reopen A-1 --reason "..."'),
        ("in_progress", "xyzzy", None),
        ("in_progress", "7", None),
    ],
)
def test_a_wrong_status_names_the_verb_that_was_meant(was: str, wrote: str, command: str | None) -> None:
    fix = one(BY_HAND.format(was), BY_HAND.format(wrote)).fix
    assert fix == f'Restore "{was}"' + (f", git add, then:\n  {command}" if command else ", then git add.")


# --- schema: only of what changed ------------------------------------------------------------------------------------
def test_no_change_is_no_finding() -> None:
    assert found(UNTIDY, UNTIDY) == []
    assert found(UNTIDY, UNTIDY.replace("\n", "\r\n")) == []
    assert found(UNTIDY, UNTIDY.replace("stats:", "stat:").replace("version: '2.0'", "version: '3'")) == []


def test_what_is_untidy_already_does_not_stop_a_change_elsewhere() -> None:
    untidy = UNTIDY.replace("status: complete", "status: done", 1).replace("title: Faster reports", "title: ''")
    assert found(untidy, untidy.replace("Report editor", "Report writer")) == []
    assert found(untidy, untidy.replace("legacy_id: P0-001", "legacy_id: OLD-1")) == [("PRP104", WARNING, "P0-001")]


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({"status": None}, "PRP104"),
        ({"status": "done"}, "PRP104"),
        ({"title": None}, "PRP105"),
        ({"title": "  "}, "PRP105"),
        ({"title": ["a"]}, "PRP105"),
        ({"depends_on": [1, ["x"]]}, "PRP133"),
    ],
)
def test_schema_of_a_new_entry(entry: dict[str, Any], code: str) -> None:
    fields = {"title": "x", "status": "new", "notes": "y", **entry}
    text = "prp_tracking:\n  B-1: {title: b, status: new}\n  A-1:\n"
    text += "".join(f"    {k}: {str(v) if isinstance(v, list) else v or ''}\n" for k, v in fields.items())
    codes = [f.code for f in rules.check_change(read("prp_tracking:\n  B-1: {title: b, status: new}\n"), read(text))]
    assert codes[0] == code


def test_ids_are_judged_by_the_pattern_when_there_is_one() -> None:
    before, after = tracking(P1_1={}), tracking(P1_1={}, X_1={})
    assert found(before, after) == []
    assert found(before, after, id_pattern=DEFAULT_ID_PATTERN) == [("PRP106", ERROR, "X-1")]
    odd = 'prp_tracking:\n  P1-1: {title: x, status: new}\n  "../a": {title: x, status: new}\n'
    assert found(odd.replace('  "../a": {title: x, status: new}\n', ""), odd) == [("PRP106", ERROR, "../a")]
    assert found(odd, odd.replace("title: x", "title: y")) == []


def test_what_cannot_be_read_is_told_whoever_broke_it() -> None:
    broken = UNTIDY.replace("  P2-040:", "  P2-040")
    assert found(UNTIDY, broken) == [("PRP102", ERROR, None)]
    assert found(broken, broken.replace("first set", "second set")) == [("PRP102", ERROR, None)]
    assert found(broken, UNTIDY) == []


def test_an_entry_that_could_not_be_read_before_is_not_new() -> None:
    before = "prp_tracking:\n  B-1: {title: b, status: new}\n  A-1: 3\n"
    assert found(before, before.replace("3", "{title: x, status: complete}")) == []


def test_a_file_of_a_folder_that_somebody_else_broke_only_warns() -> None:
    good, bad = read("id: A-1\ntitle: x\nstatus: new\n", "p/A-1.yaml"), read("id: [", "p/A-2.yaml")
    changed = read("id: A-1\ntitle: y\nstatus: new\n", "p/A-1.yaml")
    findings = rules.check_change(ledger.join([good, bad]), ledger.join([changed, bad]))
    assert [(f.code, f.severity) for f in findings] == [("PRP102", WARNING)]


# --- entries come and go ---------------------------------------------------------------------------------------------
def test_a_new_entry_begins_as_new_and_without_a_seal() -> None:
    before = tracking(B_1={})
    assert found(before, tracking(B_1={}, A_1={})) == []
    assert found(before, tracking(B_1={}, A_1={"status": "complete"})) == [("PRP125", ERROR, "A-1")]
    assert found(before, tracking(B_1={}, A_1={"rev": "1-12345678"})) == [("PRP125", ERROR, "A-1")]
    assert found(before, tracking(B_1={}, A_1={"rev": "x"})) == [("PRP125", ERROR, "A-1")]
    assert found(before, milestone(tracking(B_1={}, A_1={}), "A-1", status="validated")) == []


def test_an_old_ledger_can_be_brought_in_as_it_is() -> None:
    assert found("", UNTIDY) == []
    assert rules.check_change(ledger.empty(missing=True), read(UNTIDY)) == []
    broken = milestone(UNTIDY.encode(), "P2-040", **STARTED).replace(b"owner: ann", b"owner: ben")
    assert found("", broken) == [("PRP120", ERROR, "P2-040")]


def test_an_entry_is_never_removed() -> None:
    two, first = tracking(A_1={}, A_2={}), tracking(A_1={})
    finding = one(two, first)
    assert (finding.code, finding.severity, finding.id, finding.line) == (
        "PRP124",
        ERROR,
        "A-2",
        read(two).prps["A-2"].line,
    )
    assert found(two, first, reverts=True) == [("PRP124", WARNING, "A-2")]


@pytest.mark.parametrize("after", [ledger.empty(missing=True), read(""), read("prp_tracking: {}\n")])
def test_a_ledger_that_is_gone_is_one_finding(after: ledger.Ledger) -> None:
    (finding,) = rules.check_change(read(UNTIDY), after)
    assert finding.code == "PRP124"
    assert "12 PRPs" in finding.message


def test_the_other_form_is_no_change() -> None:
    tracked = tracking(A_1={}, A_2={})
    files = [
        read(ledger_edit.add(None, f"p/{p.id}.yaml", p.id, p.fields), f"p/{p.id}.yaml")
        for p in read(tracked).prps.values()
    ]
    assert rules.check_change(read(tracked), ledger.join(files)) == []


# --- old entries, without a seal -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("was", "now", "command"),
    [
        ("new", "validated", "prp validate A-1"),
        ("new", "complete", "prp validate A-1"),
        ("validated", "in_progress", "prp start A-1"),
        ("validated", "complete", "prp start A-1"),
        ("in_progress", "complete", "prp complete A-1"),
        ("complete", "in_progress", 'prp reopen A-1 --reason "..."'),
        ("complete", "deprecated", 'prp reopen A-1 --reason "..."'),
        ("complete", "new", None),
        ("in_progress", "validated", None),
        ("deprecated", "new", None),
    ],
)
def test_a_status_edited_by_hand_names_the_verb(was: str, now: str, command: str | None) -> None:
    finding = one(BY_HAND.format(was), BY_HAND.format(now))
    assert (finding.code, finding.severity, finding.line, finding.column) == ("PRP122", ERROR, 4, 13)
    assert finding.fix == f'Restore "{was}"' + (f", git add, then:\n  {command}" if command else ", then git add.")


@pytest.mark.parametrize("was", ["new", "validated", "in_progress"])
def test_deprecating_an_old_entry_by_hand_is_told_and_allowed(was: str) -> None:
    assert found(BY_HAND.format(was), BY_HAND.format("deprecated")) == [("PRP122", WARNING, "A-1")]
    assert found(BY_HAND.format(was), BY_HAND.format(f"{was}\n    deprecated: true")) == [("PRP122", WARNING, "A-1")]


def test_evidence_typed_into_an_old_entry_is_told() -> None:
    after = UNTIDY.replace("github_commit: null", "github_commit: abcdef1", 1)
    assert found(UNTIDY, after) == [("PRP122", WARNING, "P2-030")]


def test_half_of_a_milestone_in_an_unsealed_entry_is_refused() -> None:
    """What a merge makes of it that drops status and rev and keeps the time, some lines below."""
    half = BY_HAND.format("validated\n    started_at: '2025-08-01T08:00:00Z'")
    assert found(BY_HAND.format("validated"), half) == [("PRP122", ERROR, "A-1")]
    late = BY_HAND.format("in_progress\n    started_at: '2025-08-01T08:00:00Z'")
    assert found(BY_HAND.format("in_progress"), late) == [("PRP122", WARNING, "A-1")]


def test_titles_notes_and_unknown_fields_are_free() -> None:
    after = UNTIDY.replace("Report editor", "Report writer").replace(
        "Ready when somebody is", "soon\n    mood: good", 1
    )
    assert found(UNTIDY, after) == []
    data = sealed()
    assert found(data, data.replace(b"notes: y", b"notes: z\n    legacy_id: L-1")) == []


def test_a_word_that_was_no_status_may_be_mended_by_hand() -> None:
    assert found(BY_HAND.format("done"), BY_HAND.format("complete")) == []


# --- seals -----------------------------------------------------------------------------------------------------------
def test_a_milestone_written_by_prpgate_is_no_finding() -> None:
    assert found(UNTIDY, milestone(UNTIDY.encode(), "P2-040", **STARTED)) == []


def test_a_sealed_field_edited_by_hand() -> None:
    data = sealed()
    finding = one(data, data.replace(b"status: in_progress", b"status: complete"))
    assert (finding.code, finding.severity, finding.line) == ("PRP120", ERROR, 4)
    assert finding.fix == 'Restore "in_progress", git add, then, if you are "ann": prp complete A-1'
    nobodys = sealed(owner=None)
    finding = one(nobodys, nobodys.replace(b"status: in_progress", b"status: complete"))
    assert finding.fix == 'Restore "in_progress", git add, then:\n  prp complete A-1'
    finding = one(data, data.replace(b"owner: ann", b"owner: ben"))
    assert finding.fix == 'Restore owner to "ann", git add.'
    finding = one(data, data.replace(b"    notes", b"    deprecated: true\n    notes"))
    assert finding.code == "PRP120"


@pytest.mark.parametrize("name", seal.SEALED)
def test_every_sealed_field_is_watched(name: str) -> None:
    data = sealed("complete", **dict.fromkeys(seal.SEALED[1:], "t"))
    value = read(data).prps["A-1"].fields[name]
    assert found(data, data.replace(f"{name}: {value}".encode(), f"{name}: new".encode()))[0] == (
        "PRP120",
        ERROR,
        "A-1",
    )


def test_a_seal_that_is_lost_malformed_or_another_one_s() -> None:
    data = sealed()
    rev = str(read(data).prps["A-1"].rev).encode()
    assert found(data, data.replace(b"    rev: " + rev + b"\n", b"")) == [("PRP121", ERROR, "A-1")]
    assert found(data, data.replace(rev, b"4")) == [("PRP121", ERROR, "A-1")]
    assert found(data, data.replace(rev, b"4-12345678")) == [("PRP120", ERROR, "A-1")]
    mixed = one(data, data.replace(rev, b"4-12345678").replace(b"owner: ann", b"owner: ben"))
    assert (mixed.code, mixed.line) == ("PRP120", read(data).at("A-1", "rev")[0])
    assert found(data, data.replace(b"  A-1:", b"  A-2:"))[0] == ("PRP125", ERROR, "A-2")


def test_a_milestone_on_the_wrong_one_of_two_look_alikes() -> None:
    """Seen in real git: a patch applied with an offset put P2-050's milestone on P2-060."""
    data = tracking(A_1={"notes": "y"}, A_2={"notes": "y"})
    right = read(milestone(data, "A-1", status="validated", owner="ann")).prps["A-1"].fields
    wrong = ledger_edit.change(data, FILE, "A-2", right)
    assert found(data, wrong) == [("PRP120", ERROR, "A-2")]


WAYS = {
    ("new", "validated"): 1,
    ("new", "in_progress"): 2,
    ("new", "complete"): 3,
    ("new", "deprecated"): 1,
    ("validated", "validated"): 1,
    ("validated", "in_progress"): 1,
    ("validated", "complete"): 2,
    ("validated", "deprecated"): 1,
    ("in_progress", "in_progress"): 1,
    ("in_progress", "complete"): 1,
    ("in_progress", "deprecated"): 1,
    ("complete", "in_progress"): 1,
    ("complete", "complete"): 2,
    ("complete", "deprecated"): 2,
}


@pytest.mark.parametrize("was", STATUSES)
@pytest.mark.parametrize("now", STATUSES)
@pytest.mark.parametrize("rise", [1, 2, 3])
def test_a_sealed_step_is_one_that_milestones_can_make(was: str, now: str, rise: int) -> None:
    before = sealed(was, 3)
    after = milestone(before, "A-1", 3 + rise, status=now, completed_at="t")
    allowed = 0 < WAYS.get((was, now), 0) <= rise
    assert found(before, after) == ([] if allowed else [("PRP123", ERROR, "A-1")])
    prps = read(before).prps["A-1"], read(after).prps["A-1"]
    assert (rules.transition(*prps) == []) is allowed


def test_an_old_in_progress_entry_can_be_adopted() -> None:
    assert found(UNTIDY, milestone(UNTIDY.encode(), "P2-030", owner="ann")) == []


def test_going_back_is_told_unless_the_commit_says_that_it_reverts() -> None:
    older, newer = sealed("in_progress", 3), sealed("complete", 4)
    assert found(newer, older) == [("PRP123", WARNING, "A-1")]
    assert found(newer, older, reverts=True) == []
    other = sealed("complete", 4, owner="ben")
    assert found(newer, other) == [("PRP123", WARNING, "A-1")]


def test_a_revert_may_take_the_first_seal_away_but_break_none() -> None:
    new = milestone(UNTIDY.encode(), "P2-040", **STARTED)
    assert found(new, UNTIDY, reverts=True) == [("PRP121", WARNING, "P2-040")]
    assert found(new, new.replace(b"owner: ann", b"owner: ben"), reverts=True) == [("PRP120", ERROR, "P2-040")]


def test_transition_judges_one_entry() -> None:
    entry = read(BY_HAND.format("validated")).prps["A-1"]
    assert [f.code for f in rules.transition(None, entry)] == ["PRP125"]
    assert [f.code for f in rules.transition(entry, entry._replace(status="done"))] == ["PRP104"]
    assert rules.transition(entry, entry) == []
    (finding,) = rules.transition(entry, read(BY_HAND.format("complete")).prps["A-1"])
    assert (finding.line, finding.column) == (2, 1)


# --- merges ----------------------------------------------------------------------------------------------------------
BASE = sealed("in_progress", 3)
MINE = milestone(BASE, "A-1", 4, status="complete", completed_at="t")
THEIRS = milestone(BASE, "A-1", 4, owner="ben")
LATER = milestone(THEIRS, "A-1", 5, status="complete")
BACK = BASE.replace(b"notes: y", b"notes: z")


def merged(first: bytes, result: bytes, *others: bytes, base: bytes | None = None, reverts: bool = False) -> list[str]:
    parents = [read(o) for o in others]
    findings = rules.check_change(read(first), read(result), parents, reverts, base=read(base) if base else None)
    again = rules.check_change(
        read(first), read(result), [read(first), *parents], reverts, base=read(base) if base else None
    )
    assert findings == again  # whether or not the first parent is named twice
    return [f.code for f in findings if f.severity == ERROR]


def test_a_merge_takes_an_entry_whole_from_one_side() -> None:
    assert merged(BASE, MINE, MINE) == []
    assert merged(MINE, MINE, BASE) == []
    assert merged(MINE, LATER, LATER) == []
    mixed = MINE.replace(b"owner: ann", b"owner: ben")
    assert merged(MINE, mixed, THEIRS) == ["PRP126"]


def test_a_merge_that_writes_a_milestone_of_its_own() -> None:
    assert merged(MINE, milestone(MINE, "A-1", 6, owner="carl", status="in_progress"), THEIRS) == ["PRP126"]


def test_a_merge_that_keeps_the_older_entry() -> None:
    assert merged(MINE, MINE, LATER) == ["PRP127"]
    assert merged(BASE, BASE, MINE) == ["PRP127"]
    assert merged(BASE, BASE, MINE, base=BASE) == ["PRP127"]
    assert merged(BASE, BASE, MINE, reverts=True) == []
    assert merged(MINE, THEIRS, THEIRS) == []


def test_with_the_merge_base_a_revert_that_one_side_made_is_seen_as_its() -> None:
    assert merged(MINE, BACK, BACK) == ["PRP127"]
    assert merged(MINE, BACK, BACK, base=MINE) == []
    assert merged(BACK, BACK, MINE, base=MINE) == []


def test_other_fields_merge_one_by_one() -> None:
    ours, theirs = BASE.replace(b"A title", b"Another title"), BASE.replace(b"notes: y", b"notes: z")
    both = ours.replace(b"notes: y", b"notes: z")
    assert merged(ours, both, theirs) == []


def test_entries_that_came_with_the_other_side_are_not_judged_again() -> None:
    untidy = UNTIDY.replace("status: complete", "status: done", 1)
    assert merged(BASE, untidy.encode() + b"", untidy.encode()) == ["PRP124"]
    assert merged(tracking(P0_001={"status": "new"}), untidy.encode(), untidy.encode()) == []


def test_an_entry_that_gets_lost_in_a_merge() -> None:
    two, first = tracking(A_1={}, A_2={}), tracking(A_1={})
    assert merged(two, first, first) == ["PRP124"]
    assert merged(first, first, two) == ["PRP124"]
    assert merged(two, first, first, base=first) == ["PRP124"]  # added by one side, and dropped
    assert merged(two, first, first, base=two) == []  # the other side removed it
    assert merged(two, first, two, base=two) == ["PRP124"]


def test_an_entry_that_only_the_merge_has() -> None:
    unread = b"prp_tracking:\n  A-1: ["
    assert merged(unread, sealed("complete").replace(b"rev", b"was"), unread) == []
    assert merged(tracking(A_1={}), tracking(A_1={}, A_2={}), tracking(A_1={})) == []
    assert merged(tracking(A_1={}), tracking(A_1={}, A_2={"status": "complete"}), tracking(A_1={})) == ["PRP125"]


# --- complete lines --------------------------------------------------------------------------------------------------
def test_a_complete_line_travels_with_work_or_with_evidence() -> None:
    bare, proven = sealed("complete", 4), sealed("complete", 4, github_commit="abcdef1")
    assert found(BASE, bare) == []
    assert found(BASE, bare, only_ledger=True) == [("PRP128", ERROR, "A-1")]
    assert found(BASE, proven, only_ledger=True) == []
    assert found(bare, bare.replace(b"notes: y", b"notes: z"), only_ledger=True) == []
    assert found("", UNTIDY, only_ledger=True) == []


# --- dependencies ----------------------------------------------------------------------------------------------------
def needs(**depends: list[str]) -> bytes:
    return tracking(**{name: {"depends_on": on, "legacy_id": f"OLD-{name}"} for name, on in depends.items()})


def test_dependencies_on_nobody_warn_and_suggest() -> None:
    finding = one(needs(P2_040=[], P2_050=[]), needs(P2_040=[], P2_050=["P2-04"]))
    assert (finding.code, finding.severity, finding.id) == ("PRP130", WARNING, "P2-050")
    assert "did you mean P2-040" in finding.message
    assert found(needs(A_1=[], A_2=["X"]), needs(A_1=["A-2"], A_2=["X"])) == []


def test_a_cycle_is_shown() -> None:
    start = needs(A_1=[], A_2=["A-1"], A_3=["A-2"], A_4=["A-3"])
    finding = one(start, needs(A_1=["OLD-A_3"], A_2=["A-1"], A_3=["A-2"], A_4=["A-3"]))
    assert (finding.code, finding.severity, finding.id) == ("PRP131", ERROR, "A-1")
    assert "A-1 -> A-3 -> A-2 -> A-1" in finding.message
    assert finding.line == 5
    finding = one(start, needs(A_1=["A-1"], A_2=["A-1"], A_3=["A-2"], A_4=["A-3"]))
    assert "A-1 -> A-1" in finding.message


def test_a_cycle_elsewhere_does_not_stop_a_change() -> None:
    rings = needs(A_1=["A-2"], A_2=["A-1"], A_3=[])
    assert found(rings, needs(A_1=["A-2"], A_2=["A-1"], A_3=["A-1"])) == []
    both = found(needs(A_1=[], A_2=[]), needs(A_1=["A-2"], A_2=["A-1"]))
    assert both == [("PRP131", ERROR, "A-1")]  # once, not once for each on it


def test_an_ambiguous_dependency() -> None:
    text = "prp_tracking:\n  A-1: {title: x, status: new, stable_id: S}\n  A-2: {title: x, status: new, stable_id: S}\n"
    after = text + "  A-3: {title: x, status: new, depends_on: S}\n"
    (finding,) = rules.check_change(read(text), read(after))
    assert finding.code == "PRP130"
    assert "several" in finding.message


def test_long_chains_are_judged_quickly() -> None:
    text = "prp_tracking:\n" + "".join(
        f"  A-{n}: {{title: x, status: new, depends_on: A-{n + 1}}}\n" for n in range(5000)
    )
    findings = rules.check_change(read(""), read(text))
    assert [f.code for f in findings] == ["PRP130"]


# --- everything ------------------------------------------------------------------------------------------------------
def test_check_all_remarks_on_what_an_old_ledger_cannot_show() -> None:
    findings = rules.check_all(read(UNTIDY))
    assert [(f.code, f.id) for f in findings] == [
        ("PRP142", "P0-001"),
        ("PRP141", "P0-001"),
        ("PRP144", "P0-024"),
        ("PRP143", "P0-026"),
        ("PRP140", None),
    ]
    assert {f.severity for f in findings} == {WARNING}
    lines = UNTIDY.splitlines()
    assert [lines[f.line - 1][f.column - 1 :] for f in findings][-2:] == ["complete", "14"]
    assert "deprecated_prps" in findings[-1].message


def test_what_is_shown_or_sealed_is_not_remarked_on() -> None:
    text = UNTIDY.replace("github_commit: 322579d", "github_commit: 322579e", 1).partition("stats:")[0]
    data = milestone(text.encode(), "P0-026", owner="ann")  # the landing that brought the line proves it
    assert {f.code for f in rules.check_all(read(data))} == {"PRP141", "PRP144"}


def test_right_stats_are_no_finding() -> None:
    text = UNTIDY.partition("stats:")[0] + (
        "stats:\n  total_prps: 12\n  active_prps: 11\n  deprecated_prps: 1\n  completion_rate: 0.545\n"
        "  status_distribution: {complete: 6, in_progress: 1, validated: 2, new: 2}\n"
        "  priority_distribution:\n    P0: 5\n    P1: 2\n    P2: 4\n  moods: 3\n"
    )
    assert "PRP140" not in [f.code for f in rules.check_all(read(text))]
    assert "PRP140" in [f.code for f in rules.check_all(read(text.replace("P2: 4", "P2: 5")))]
    assert "PRP140" not in [f.code for f in rules.check_all(read(text.replace("stats:\n", "stats: x\nother:\n")))]


def test_check_all_judges_every_entry() -> None:
    broken = sealed().replace(b"owner: ann", b"owner: ben")
    assert [f.code for f in rules.check_all(read(broken))] == ["PRP120"]
    assert [f.code for f in rules.check_all(read(sealed().replace(b"rev: 3-", b"rev: x-")))] == ["PRP121"]
    assert [f.code for f in rules.check_all(read(BY_HAND.format("done")))] == ["PRP104"]
    assert [f.code for f in rules.check_all(read(needs(A_1=["A-2"], A_2=["A-1"])))] == ["PRP131"]
    assert [
        f.code for f in rules.check_all(read("prp_tracking:\n  A-1: {title: x, status: new, superseded_by: B}\n"))
    ] == ["PRP132"]
    assert [f.code for f in rules.check_all(read("x: ["))] == ["PRP102"]
    assert [f.code for f in rules.check_all(read(tracking(A_1={})), DEFAULT_ID_PATTERN)] == ["PRP106"]


YAMLISH = st.text(alphabet=st.sampled_from("abst:{}[],-'\"# \n01"), max_size=80)


@settings(deadline=None)
@given(YAMLISH, YAMLISH)
def test_no_pair_of_ledgers_makes_a_rule_raise(one_text: str, other: str) -> None:
    start = "prp_tracking:\n  A-1:\n    title: x\n    status: new\n    "
    for before, after in ((one_text, other), (start + one_text, start + other), ("", start + other)):
        first, second = read(before), read(after)
        rules.check_change(first, second, [second, first], base=first, only_ledger=True)
        for finding in rules.check_all(second, DEFAULT_ID_PATTERN):
            assert "\n" not in finding.message


# --- commit messages -------------------------------------------------------------------------------------------------
IDS = ("P2-020", "P2-040", "P3-001")
CUT = "# ------------------------ >8 ------------------------"


def ids(message: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return rules.message_ids(message, DEFAULT_ID_PATTERN)


@pytest.mark.parametrize(
    ("message", "claimed", "mentioned"),
    [
        ("feat(P2-040): x", ["P2-040"], []),
        ("feat(P2-040)!: x", ["P2-040"], []),
        ("feat(P2-040,P3-001): x", ["P2-040", "P3-001"], []),
        ("feat(api/P2-040): x", ["P2-040"], []),
        ("fix: after P2-040", [], ["P2-040"]),
        ("P2-040: x", ["P2-040"], []),
        ("P2-040, P3-001: x", ["P2-040", "P3-001"], []),
        ("P2-040 and so on", [], ["P2-040"]),
        ("Why P2-040 broke: a story", [], ["P2-040"]),
        ("P2-040!: x", ["P2-040"], []),
        ("prp: say who holds the lock", [], []),
        ("prp: tidy", [], []),
        ("x\n\nPrp: P2-040 P3-001", ["P2-040", "P3-001"], []),
        ("x\n\nPRP: a prompt, such as P2-040", [], ["P2-040"]),
        ("x\n\nPrp:", [], []),
        ("x", [], []),
        ("", [], []),
        ("\n\nfeat(P2-040): x", ["P2-040"], []),
        ("# comment\nfeat(P2-040): x\n# P9-999", ["P2-040"], []),
        ("x\n\nPrp: P2-040", ["P2-040"], []),
        ("x\n\nPRP: P2-040, P3-001\nprp:P2-020", ["P2-040", "P3-001", "P2-020"], []),
        ("x\n\nPrp: P2-040\n\nSigned-off-by: a", ["P2-040"], []),
        ("x\n\nPrp: other-repo#P9-999, P2-040", ["P2-040"], []),
        ("x\n\nPrp: nonsense", ["nonsense"], []),
        ("x\n\nPrp: P2-040\r\n", ["P2-040"], []),
        ("x\n\nsee P2-040 and P2-040, and other#P9-999", [], ["P2-040"]),
        ("feat(P2-040): x\n\nsee P2-040 and P3-001", ["P2-040"], ["P3-001"]),
        ("x\n\nXP2-040 P2-040x P2-0401 -P2-040 P2-040-a", [], ["P2-0401"]),
        (f"feat(P2-040): x\n{CUT}\nPrp: P9-999\n+P9-998", ["P2-040"], []),
        ("Merge branch 'P2-040'", [], ["P2-040"]),
        ("Merge P2-040: x", [], ["P2-040"]),
        ('Revert "feat(P2-040): x"', [], ["P2-040"]),
        ('Reapply "feat(P2-040): x"', [], ["P2-040"]),
        ("fixup! feat(P2-040): x", ["P2-040"], []),
        ("squash! fixup! P2-040: x", ["P2-040"], []),
        ("Merge x\n\nPrp: P2-040", ["P2-040"], []),
        ("Prp: P2-040", ["P2-040"], []),
    ],
)
def test_what_a_message_claims_and_what_it_mentions(message: str, claimed: list[str], mentioned: list[str]) -> None:
    assert ids(message) == (tuple(claimed), tuple(mentioned))


def test_an_unknown_claim_is_an_error_and_an_unknown_mention_a_warning() -> None:
    message = "feat(P2-04): x\n\nafter P3-002\n\nPrp: P2-040, P9-999, other#X-1\n"
    findings = rules.check_message(message, IDS.__contains__, DEFAULT_ID_PATTERN, ids=IDS, file="MSG")
    assert [(f.code, f.severity, f.id, f.line, f.column) for f in findings] == [
        ("PRP150", ERROR, "P2-04", 1, 6),
        ("PRP150", ERROR, "P9-999", 5, 14),
        ("PRP151", WARNING, "P3-002", 3, 7),
    ]
    assert "did you mean P2-040" in findings[0].message
    assert {f.file for f in findings} == {"MSG"}


def test_a_known_claim_is_no_finding() -> None:
    assert rules.check_message("feat(P2-040): x\n\nPrp: P3-001", IDS.__contains__, DEFAULT_ID_PATTERN) == []


def test_another_pattern() -> None:
    assert rules.message_ids("T7: x, see P2-040", "T[0-9]+") == (("T7",), ())
    assert rules.message_ids("A-1, B-1: x", r"(A|B)-\d") == (("A-1", "B-1"), ())


@settings(deadline=None)
@given(st.text(), st.sampled_from([DEFAULT_ID_PATTERN, "[a-z]+", ".", r"\S+", "(a)|(b)"]))
def test_no_message_makes_it_raise(message: str, pattern: str) -> None:
    for finding in rules.check_message(message, lambda _: False, pattern, ids=IDS):
        assert finding.line >= 1
        assert finding.column >= 1
    rules.message_ids(message, pattern)


def test_message_rules_import_no_yaml() -> None:
    heavy = {"yaml", "redis", "dataclasses", "tomllib", "difflib", "hashlib"}
    code = f"import sys, prpgate.rules; assert not {heavy} & set(sys.modules)"
    run([sys.executable, "-c", code], Path.cwd())


# --- documentation ---------------------------------------------------------------------------------------------------
def test_every_code_is_documented_and_no_other() -> None:
    source = Path(prpgate.__file__).parent
    used = {code for path in source.glob("*.py") for code in re.findall(r'"(PRP1\d\d)"', path.read_text("utf-8"))}
    text = (Path(__file__).parent.parent / "docs" / "findings.md").read_text("utf-8")
    assert sorted(re.findall(r"^### (PRP1\d\d): ", text, re.M)) == sorted(used)
    for section in text.split("\n### ")[1:]:
        assert "**What**" in section, section[:40]
