"""The merge driver's core: three texts in, one out; whole groups, single fields, every other byte as it was."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prpgate import ledger, ledger_edit, merge_driver, seal
from prpgate.merge_driver import GROUP, UnmergeableError, merge
from prpgate.messages import merging as say
from tests.ledgers import UNTIDY, many
from tests.prps import OLD, entry

if TYPE_CHECKING:
    from collections.abc import Callable

FILE = "plans/prps.yaml"
ONE = entry("P1-003", "validated", 1003).replace("  P1-003:", "id: P1-003").replace("\n    ", "\n")


def milestone(text: str, prp_id: str, status: str, owner: str, number: int = 1) -> str:
    """The text with a sealed milestone of one PRP, as prpgate's own commands write it."""
    fields = {**ledger.parse(text.encode(), FILE).prps[prp_id].fields, "status": status, "owner": owner}
    rev = seal.compute(prp_id, number, fields)
    return ledger_edit.change(text.encode(), FILE, prp_id, {"status": status, "owner": owner, "rev": rev}).decode()


def edited(text: str, prp_id: str, **fields: Any) -> str:
    return ledger_edit.change(text.encode(), FILE, prp_id, fields).decode()


def merged(base: str, ours: str, theirs: str) -> tuple[str, list[tuple[str, str]]]:
    done = merge(base.encode(), ours.encode(), theirs.encode(), FILE)
    return done.data.decode(), list(done.conflicts)


def clean(base: str, ours: str, theirs: str) -> str:
    """The merge, which must be without conflict, and the same whichever side is which."""
    text, conflicts = merged(base, ours, theirs)
    assert conflicts == [] and merged(base, theirs, ours) == (text, [])
    return text


def fields(text: str, prp_id: str) -> dict[str, Any]:
    found = ledger.parse(text.encode(), FILE)
    assert not found.errors, found.errors
    return found.prps[prp_id].fields


def group(text: str, prp_id: str) -> dict[str, Any]:
    return {n: v for n, v in fields(text, prp_id).items() if n in GROUP and v is not None}


FORMS = pytest.mark.parametrize("base", [OLD, ONE], ids=["one file", "file per PRP"])


@FORMS
def test_a_group_on_one_side_and_a_title_on_the_other(base: str) -> None:
    ours = milestone(base, "P1-003", "in_progress", "ann")
    theirs = edited(base, "P1-003", title="Better")
    text = clean(base, ours, theirs)
    assert group(text, "P1-003") == group(ours, "P1-003")
    assert fields(text, "P1-003")["title"] == "Better"
    assert text == edited(ours, "P1-003", title="Better")  # byte for byte


@FORMS
def test_groups_on_both_sides_are_one_conflict_around_them(base: str) -> None:
    ours = edited(milestone(base, "P1-003", "in_progress", "ann"), "P1-003", title="Better")
    theirs = milestone(base, "P1-003", "in_progress", "ben")
    text, conflicts = merged(base, ours, theirs)
    assert conflicts == [("P1-003", say.GROUP)]
    before, _, rest = text.partition("<<<<<<< ours\n")
    mine, _, rest = rest.partition("=======\n")
    his, _, after = rest.partition(">>>>>>> theirs\n")
    assert before + mine + after == ours
    assert before + his + after == edited(theirs, "P1-003", title="Better")
    assert "title" not in mine and "stable_id" not in mine and "status" in mine and "ann" in mine


@FORMS
def test_the_same_milestone_on_both_sides_is_no_conflict(base: str) -> None:
    ours = milestone(base, "P1-003", "in_progress", "ann")
    assert clean(base, ours, edited(ours, "P1-003", title="x")) == edited(ours, "P1-003", title="x")


@FORMS
def test_a_group_is_never_mixed_where_the_lines_would_merge(base: str) -> None:
    """git merges these two: complete from one side, the owner from the other."""
    wide = milestone(base, "P1-003", "in_progress", "ann")
    ours = edited(wide, "P1-003", github_commit="322579d", ci_run_url="https://ci.example.org/1")
    theirs = edited(wide, "P1-003", owner="ben")
    assert merged(wide, ours, theirs)[1] == [("P1-003", say.GROUP)]


@FORMS
def test_single_fields_merge_one_by_one(base: str) -> None:
    base = edited(base, "P1-003", notes="n", depends_on=["P1-001"], paths=["src/"])
    ours = edited(base, "P1-003", title="Better", depends_on=["P1-002"])
    theirs = edited(base, "P1-003", notes="m", wish="new")
    text = clean(base, ours, theirs)
    found = fields(text, "P1-003")
    assert (found["title"], found["depends_on"], found["notes"], found["wish"]) == ("Better", ["P1-002"], "m", "new")


@FORMS
@pytest.mark.parametrize("field", ["title", "notes", "depends_on"])
def test_one_field_changed_on_both_sides_is_a_conflict_of_that_field(base: str, field: str) -> None:
    base = edited(base, "P1-003", notes="n", depends_on=["P1-001"])
    ours = edited(base, "P1-003", **{field: "P1-004"})
    theirs = milestone(edited(base, "P1-003", **{field: "P1-005"}), "P1-003", "in_progress", "ben")
    text, conflicts = merged(base, ours, theirs)
    assert conflicts == [("P1-003", field)]
    region = text[text.index("<<<<<<<") : text.index(">>>>>>>")]
    assert "P1-004" in region and "P1-005" in region and "status" not in region


def test_two_additions_at_the_end_are_both_kept() -> None:
    base = OLD[: OLD.index("stats:")]
    ours = ledger_edit.add(base.encode(), FILE, "P1-007", {"title": "ann's", "status": "new"}).decode()
    theirs = ledger_edit.add(base.encode(), FILE, "P1-008", {"title": "ben's", "status": "new"}).decode()
    text, conflicts = merged(base, ours, theirs)
    assert conflicts == []
    assert text == ledger_edit.add(ours.encode(), FILE, "P1-008", {"title": "ben's", "status": "new"}).decode()


def test_two_first_files_keep_both_entries() -> None:
    ours = ledger_edit.add(None, FILE, "P1-007", {"title": "ann's", "status": "new"}).decode()
    theirs = ledger_edit.add(None, FILE, "P1-008", {"title": "ben's", "status": "new"}).decode()
    text, conflicts = merged("", ours, theirs)
    assert conflicts == [] and list(ledger.parse(text.encode(), FILE).prps) == ["P1-007", "P1-008"]
    empty = "prp_tracking: {}\n"
    assert merged(empty, ours, theirs) == (text, [])


def test_one_id_added_on_both_sides_is_a_conflict_unless_it_is_the_same() -> None:
    ours = ledger_edit.add(OLD.encode(), FILE, "P1-007", {"title": "ann's", "status": "new"}).decode()
    theirs = ledger_edit.add(OLD.encode(), FILE, "P1-007", {"title": "ben's", "status": "new"}).decode()
    text, conflicts = merged(OLD, ours, theirs)
    assert conflicts == [("P1-007", say.ENTRY)] and "ann's" in text and "ben's" in text
    assert merged("", ONE, ONE + "wish: x\n")[1] == [("", say.FILE)] and merged("", ONE, ONE) == (ONE, [])
    assert clean(OLD, ours, ours) == ours


def test_a_result_that_does_not_read_back_is_a_conflict() -> None:
    """One side takes the last entry away and leaves braces behind, the other adds one: the lines would be no YAML."""
    base = "prp_tracking:\n  P1-001:\n    title: a\n    status: new\n"
    ours, theirs = "prp_tracking: {}\n", base + "  P1-002:\n    title: b\n    status: new\n"
    text, conflicts = merged(base, ours, theirs)
    assert conflicts == [("", say.FILE)] and ours in text and theirs in text


def test_an_entry_that_one_side_removed() -> None:
    gone = OLD.replace(entry("P1-003", "validated", 1003), "")
    assert clean(OLD, gone, edited(OLD, "P1-001", title="x")) == edited(gone, "P1-001", title="x")
    text, conflicts = merged(OLD, gone, edited(OLD, "P1-003", title="x"))
    assert conflicts == [("P1-003", say.ENTRY)] and "title: x" in text
    assert merged(OLD, edited(OLD, "P1-003", title="x"), gone)[1] == conflicts


def test_stats_and_last_updated_are_never_a_conflict() -> None:
    ours = UNTIDY.replace("total_prps: 14", "total_prps: 15").replace("20T21:08:12.943101Z", "21T00:00:00Z")
    theirs = UNTIDY.replace("total_prps: 14", "total_prps: 16").replace("20T21:08:12.943101Z", "22T00:00:00Z")
    text, conflicts = merged(UNTIDY, ours, edited(theirs, "P2-040", title="x"))
    assert conflicts == [] and text == edited(ours, "P2-040", title="x")
    assert clean(UNTIDY, UNTIDY, theirs) == theirs


def test_other_keys_of_the_file_merge_one_by_one() -> None:
    ours = UNTIDY.replace("version: '2.0'", "version: '2.1'")
    theirs = UNTIDY.replace("stable_id_system: true", "stable_id_system: false")
    assert clean(UNTIDY, ours, theirs) == ours.replace("stable_id_system: true", "stable_id_system: false")
    assert merged(UNTIDY, ours, UNTIDY.replace("version: '2.0'", "version: '3'"))[1] == [("", "version")]


def test_comments_quotes_and_order_of_what_nobody_changed_stay() -> None:
    base = OLD.replace("  P1-004:\n", "  # about 4\n\n  P1-004:   # right here\n    # the first\n") + "# the end\n"
    base = base.replace("title: The work of P1-003", "title:   'The work of P1-003'  # why")
    ours = milestone(base, "P1-003", "in_progress", "ann")
    theirs = edited(
        base.replace("# about 4", "# about four").replace("# the end", "# the very end"), "P1-006", wish="x"
    )
    want = edited(ours.replace("# about 4", "# about four").replace("# the end", "# the very end"), "P1-006", wish="x")
    assert clean(base, ours, theirs) == want


def test_a_comment_above_a_sealed_line_survives_the_other_sides_milestone() -> None:
    ours = milestone(OLD, "P1-004", "validated", "ann")
    theirs = OLD.replace(
        "    validated_at: '2025-07-16T08:00:00Z'\n    started_at: null\n    completed_at: null\n"
        "    github_commit: null\n    ci_run_url: null\n    # nobody",
        "    # seen\n    validated_at: '2025-07-16T08:00:00Z'\n    started_at: null\n"
        "    completed_at: null\n    github_commit: null\n    ci_run_url: null\n    # nobody",
    )
    assert theirs != OLD
    text = clean(OLD, ours, theirs)
    assert "    # seen\n    validated_at" in text and group(text, "P1-004") == group(ours, "P1-004")


def test_two_comments_in_one_place_are_a_conflict() -> None:
    ours, theirs = (OLD.replace("# nobody looked at it yet", f"# {n} did") for n in ("ann", "ben"))
    text, conflicts = merged(OLD, ours, theirs)
    assert conflicts == [("P1-004", "the comment above depends_on")] and "# ann did" in text and "# ben did" in text


def test_quoting_anew_is_no_change_of_the_group() -> None:
    ours = OLD.replace(
        "  P1-003:\n    title: The work of P1-003\n    status: validated",
        "  P1-003:\n    title: The work of P1-003\n    status: 'validated'",
    )
    theirs = milestone(OLD, "P1-003", "in_progress", "ben")
    assert clean(OLD, ours, theirs) == theirs
    assert clean(OLD, ours, OLD) == ours
    assert clean(OLD, ours.replace("1003\n", "1003 # x\n"), theirs) == theirs.replace("1003\n", "1003 # x\n")


def test_crlf_bom_and_a_missing_last_line_break() -> None:
    base = OLD[: OLD.index("stats:")].replace("\n", "\r\n")
    ours = milestone(base, "P1-003", "in_progress", "ann")
    theirs = edited(base, "P1-003", title="Better")
    assert clean(base, ours, theirs) == edited(ours, "P1-003", title="Better")
    conflicted = merged(base, ours, milestone(base, "P1-003", "in_progress", "ben"))[0]
    assert conflicted.count("\n") == conflicted.count("\r\n")
    marked = merge(b"\xef\xbb\xbf" + base.encode(), b"\xef\xbb\xbf" + ours.encode(), theirs.encode(), FILE)
    assert not marked.data.startswith(b"\xef")
    bare = base.rstrip()
    added = ledger_edit.add(bare.encode(), FILE, "P1-007", {"title": "t", "status": "new"}).decode()
    assert clean(bare, added, edited(bare, "P1-003", title="x")) == edited(added, "P1-003", title="x")
    assert not clean(bare, edited(bare, "P1-001", title="y"), edited(bare, "P1-003", title="x")).endswith("\n")


def test_a_side_in_other_line_breaks_is_read_by_what_it_says() -> None:
    ours = OLD.replace("\n", "\r\n")
    theirs = milestone(OLD, "P1-003", "in_progress", "ben")
    assert clean(OLD, ours, theirs) == theirs.replace("\n", "\r\n")


def test_another_order_of_one_side_is_taken() -> None:
    one, two = entry("P1-001", "complete", 1001), entry("P1-002", "in_progress", 1002)
    theirs = OLD.replace(one + two, two + one)
    text = clean(OLD, milestone(OLD, "P1-003", "in_progress", "ann"), theirs)
    assert text == milestone(theirs, "P1-003", "in_progress", "ann")


def test_look_alike_entries_are_told_apart_by_their_id() -> None:
    base = "prp_tracking:\n" + "".join(entry(f"P1-00{n}", "validated", 7) for n in range(1, 8))
    ours = milestone(base, "P1-002", "in_progress", "ann")
    moved = base.replace(entry("P1-001", "validated", 7), "") + entry("P1-001", "validated", 7)
    text, conflicts = merged(base, ours, moved)
    assert conflicts == [] and text == milestone(moved, "P1-002", "in_progress", "ann")


def test_a_file_that_git_takes_for_another_prps_renamed_is_a_conflict() -> None:
    theirs = ONE.replace("P1-003", "P1-009")
    text, conflicts = merged(ONE, milestone(ONE, "P1-003", "in_progress", "ann"), theirs)
    assert conflicts == [("", say.FILE)] and "id: P1-003" in text and "id: P1-009" in text


def test_entries_in_braces_merge_as_a_whole() -> None:
    base = "prp_tracking:\n  P1-001: {title: a, status: new}\n  P1-002:\n    title: b\n    status: new\n"
    ours = base.replace("{title: a,", "{title: aa,")
    theirs = base.replace("title: b", "title: bb")
    assert clean(base, ours, theirs) == ours.replace("title: b", "title: bb")
    assert merged(base, ours, base.replace("{title: a,", "{title: ab,"))[1] == [("P1-001", say.ENTRY)]


@pytest.mark.parametrize(
    "text",
    ["prp_tracking:\n  P1-001: {\n", "a: &x 1\n", OLD + OLD, "nothing: here\n", "{prp_tracking: {A: {title: t}}}\n"],
    ids=["not yaml", "anchor", "twice", "no ledger", "braces"],
)
def test_what_cannot_be_read_or_cut_is_left_to_git(text: str) -> None:
    for sides in set(itertools.permutations([OLD, OLD, text])):
        with pytest.raises(UnmergeableError):
            merged(*sides)


def test_a_base_that_is_itself_in_conflict() -> None:
    """Several merge bases: git merges them first, with this driver, and what was in conflict there is no base."""
    ann, ben = (milestone(OLD, "P1-003", "in_progress", name) for name in ("ann", "ben"))
    base = merged(OLD, ann, ben)[0]
    assert clean(base, ann, edited(ann, "P1-003", title="x")) == edited(ann, "P1-003", title="x")
    assert merged(base, ann, ben)[1] == [("P1-003", say.GROUP)]


def test_labels_cannot_break_out_of_their_line() -> None:
    ours, theirs = (edited(OLD, "P1-003", title=name) for name in ("a", "b"))
    done = merge(OLD.encode(), ours.encode(), theirs.encode(), FILE, ("x\n>>>>>>> y", "z\x1b[1m"), 9)
    assert b"<<<<<<<<< x >>>>>>> y\n" in done.data and b">>>>>>>>> z [1m\n" in done.data


def test_a_text_merge_that_mixes_a_group_does_not_agree() -> None:
    wide = milestone(OLD, "P1-003", "in_progress", "ann")
    ours, theirs = edited(wide, "P1-003", ci_run_url="u"), edited(wide, "P1-003", owner="ben")
    mixed = edited(ours, "P1-003", owner="ben")
    assert not merge_driver.agrees(mixed.encode(), ours.encode(), theirs.encode(), FILE)
    assert merge_driver.agrees(ours.encode(), ours.encode(), theirs.encode(), FILE)
    assert not merge_driver.agrees(b"a: [", ours.encode(), theirs.encode(), FILE)
    assert merge_driver.agrees(b"a: [", b"a: [", theirs.encode(), FILE)


# --- any edits at all ------------------------------------------------------------------------------------------------

IDS = [f"P1-00{n}" for n in range(1, 7)]
EDITS = st.one_of(
    st.tuples(st.just("title"), st.sampled_from(IDS), st.sampled_from(["a", "b: c"])),
    st.tuples(st.just("milestone"), st.sampled_from(IDS), st.sampled_from(["ann", "ben"])),
    st.tuples(st.just("notes"), st.sampled_from(IDS), st.sampled_from(["x", "y"])),
    st.tuples(st.just("remove"), st.sampled_from(IDS), st.just("")),
    st.tuples(st.just("add"), st.sampled_from(["P2-001", "P2-002"]), st.sampled_from(["a", "b"])),
    st.tuples(st.just("comment"), st.sampled_from(IDS), st.sampled_from(["# one", "# two"])),
)


def applied(text: str, steps: list[tuple[str, str, str]]) -> str:
    for what, prp_id, value in steps:
        there = ledger.parse(text.encode(), FILE).prps
        if what == "add" and prp_id not in there:
            text = ledger_edit.add(text.encode(), FILE, prp_id, {"title": value, "status": "new"}).decode()
        elif prp_id not in there or what == "add":
            continue
        elif what == "milestone":
            text = milestone(text, prp_id, "in_progress", value, there[prp_id].number + 1)
        elif what == "remove":
            text = _without(text, prp_id)
        elif what == "comment":
            text = text.replace(f"  {prp_id}:\n", f"  {value}\n  {prp_id}:\n")
        else:
            text = edited(text, prp_id, **{what: value})
    return text


def _without(text: str, prp_id: str) -> str:
    lines, out, inside = text.splitlines(keepends=True), [], False
    for line in lines:
        inside = line == f"  {prp_id}:\n" or (inside and line.startswith("    "))
        out += [] if inside else [line]
    return "".join(out)


@settings(max_examples=150, deadline=None)
@given(st.lists(EDITS, max_size=4), st.lists(EDITS, max_size=4))
def test_any_edits_merge_to_what_the_sides_say(
    mine: list[tuple[str, str, str]], others: list[tuple[str, str, str]]
) -> None:
    ours, theirs = applied(OLD, mine), applied(OLD, others)
    text, conflicts = merged(OLD, ours, theirs)
    sides = [ledger.parse(t.encode(), FILE).prps for t in (OLD, ours, theirs)]
    assert merged(OLD, theirs, OLD) == (theirs, []) and merged(OLD, OLD, ours) == (ours, [])
    if conflicts:
        assert "<<<<<<< ours\n" in text
        return
    found = ledger.parse(text.encode(), FILE)
    assert not found.errors
    for prp_id in {*sides[1], *sides[2]}:
        was, o, t = (side.get(prp_id) for side in sides)
        here = found.prps.get(prp_id)
        if here is None:
            assert was is not None and (o is None or t is None)
            continue
        for name in here.fields:
            b, x, y = (p.fields.get(name) if p else None for p in (was, o, t))
            want = x if y == b or x == y or t is None else y
            assert here.fields[name] == want, (prp_id, name)
        assert seal.check(here) is not False


@pytest.mark.parametrize(("text", "budget_s"), [(many(57), 0.3), ("10,000", 10.0)], ids=["57", "10,000"])
def test_it_is_quick(text: str, budget_s: float) -> None:
    if text == "10,000":
        one: Callable[[int], str] = lambda n: f"  P7-{n:05d}:\n    title: t{n}\n    status: new\n    notes: n\n"  # noqa: E731
        text = "prp_tracking:\n" + "".join(one(n) for n in range(10_000))
    start = time.process_time()
    last = list(ledger.parse(text.encode(), FILE).prps)[-1]
    again = time.process_time()
    assert merged(text, edited(text, last, title="x"), edited(text, last, notes="y"))[1] == []
    assert time.process_time() - again < budget_s or again - start > budget_s / 8, "eight readings, with the edits"
