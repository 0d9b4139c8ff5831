"""Writing to ledgers: only what was asked changes, any text survives, and the file is replaced whole or not at all."""

from __future__ import annotations

import difflib
import multiprocessing
import os
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from prpgate import ledger, ledger_edit, seal
from prpgate.errors import UserError
from prpgate.yaml_scalar import scalar
from tests.ledgers import FILE, UNTIDY, UNTIDY_IDS, milestone, read

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import World

STARTED: dict[str, Any] = {"status": "in_progress", "owner": "ann@example.org", "started_at": "2025-07-21T10:00:00Z"}


def change(text: str, prp_id: str, file: str = FILE, **fields: Any) -> str:
    return ledger_edit.change(text.encode(), file, prp_id, fields).decode()


def diff(old: str, new: str) -> list[str]:
    """The lines that a diff shows, without their surroundings."""
    lines = difflib.ndiff(old.splitlines(keepends=True), new.splitlines(keepends=True))
    return [line.rstrip("\r\n") for line in lines if line[0] in "+-"]


# --- a milestone in an untidy ledger ---------------------------------------------------------------------------------
def test_a_milestone_touches_the_lines_of_what_changed_and_no_other() -> None:
    new = milestone(UNTIDY.encode(), "P2-040", **STARTED)
    assert diff(UNTIDY, new.decode()) == [
        "-     status: validated",
        "+     status: in_progress",
        f"+     rev: {read(new).prps['P2-040'].rev}",
        "+     owner: ann@example.org",
        "-     started_at: null",
        "+     started_at: '2025-07-21T10:00:00Z'",
    ]
    assert seal.check(read(new).prps["P2-040"]) is True


def test_new_lines_take_their_place_in_the_layout() -> None:
    text = "prp_tracking:\n  A-1:\n    title: x\n    status: new\n    notes: last\n"
    new = change(
        text, "A-1", verdict="green", completed_at="t", rev="1-00000000", owner="ann", extra=1, validated_at="t"
    )
    assert new.splitlines()[2:] == [
        "    title: x",
        "    status: new",
        "    rev: 1-00000000",
        "    owner: ann",
        "    validated_at: t",
        "    completed_at: t",
        "    verdict: green",
        "    extra: 1",
        "    notes: last",
    ]


def test_what_is_there_stays_where_it_is() -> None:
    text = (
        "prp_tracking:\n  A-1:\n    owner: ann\n    status: new\n    github_commit: abc\n    title: x\n    notes: y\n"
    )
    new = change(text, "A-1", rev="1-00000000", owner="ben", started_at="t", ci_run_url="u")
    assert [line.split(":")[0].strip() for line in new.splitlines()[2:]] == (
        ["owner", "started_at", "status", "rev", "github_commit", "ci_run_url", "title", "notes"]
    )


def test_none_writes_null_over_what_is_there_and_adds_nothing() -> None:
    assert diff(UNTIDY, change(UNTIDY, "P2-030", started_at=None, owner=None, completed_at=None)) == [
        "-     started_at: '2025-07-19T02:48:00Z'",
        "+     started_at: null",
    ]


def test_the_same_values_change_nothing() -> None:
    fields = read(UNTIDY).prps["P2-020"].fields
    assert change(UNTIDY, "P2-020", **fields) == UNTIDY


def test_quotes_stay_as_they_are() -> None:
    text = 'prp_tracking:\n  A-1:\n    title: "x"\n    owner: \'ann\'\n    status: new\n    at: "t"\n'
    new = change(
        text, "A-1", title='say "hi"', owner="it's ben", status="validated", validated_at="2025-07-10T10:00:00Z"
    )
    assert new.splitlines()[2:] == [
        '    title: "say \\"hi\\""',
        "    owner: 'it''s ben'",
        '    validated_at: "2025-07-10T10:00:00Z"',
        "    status: validated",
        '    at: "t"',
    ]


MULTILINE = """\
prp_tracking:
  A-1:
    title: x
    status: new
    folded: one
      two  # said twice
    quoted: 'one

      two'
    block: |
      one
      # no comment

      two

    # about the list
    list:
    - one
    - two   # the last
    keep: |+
      one

    map:
      a: 1
      b: [2,
        3]
    empty:
    note: end
  A-2: {title: y, status: new}
"""


@pytest.mark.parametrize("name", ["folded", "quoted", "block", "list", "keep", "map", "empty", "note"])
@pytest.mark.parametrize("value", ["short", None, ["a", "b"], "two\nlines"])
def test_values_over_several_lines_are_replaced_whole(name: str, value: Any) -> None:
    new = change(MULTILINE, "A-1", **{name: value})
    before, after = read(MULTILINE).prps["A-1"].fields, read(new).prps["A-1"].fields
    assert {**before, name: value} == after
    assert list(before) == list(after)
    gone = [line for line in diff(MULTILINE, new) if line.startswith("-")]
    others = {f"-     {other}" for other in before if other != name}
    assert not others & {line.partition(":")[0] for line in gone}
    for comment in ("# about the list", "# the last") if name != "list" else ("# about the list", "# said twice"):
        assert comment in new


@pytest.mark.parametrize("above", ["title", "status", "rev", "owner", "verdict", "completed_at"])
@pytest.mark.parametrize("name", ["folded", "quoted", "block", "list", "keep", "map", "empty"])
def test_new_lines_come_behind_whatever_value_stands_above_them(name: str, above: str) -> None:
    text = MULTILINE.replace(f"    {name}:", f"    {above}:").replace(
        "    title: x\n", "" if above == "title" else "    title: x\n"
    )
    text = text.replace("    status: new\n", "", 1) if above == "status" else text
    new = change(text, "A-1", ci_run_url="https://example.org/1", superseded_by="A-2")
    assert read(new).prps["A-1"].fields == {
        **read(text).prps["A-1"].fields,
        "ci_run_url": "https://example.org/1",
        "superseded_by": "A-2",
    }
    assert all(line.startswith("+") for line in diff(text, new))


def test_comments_blanks_and_odd_indentation_survive() -> None:
    text = (
        "# top\nprp_tracking:   # all of them\n"
        "      A-1:\n"
        "            # what it is\n"
        "            title:   x    # the title\n"
        "            status:  new    # soon\n"
        "\n"
        "            # ids\n"
        "            legacy_id: A-1\n"
    )
    assert diff(text, change(text, "A-1", status="validated", rev="1-00000000", title="z")) == [
        "-             title:   x    # the title",
        "+             title:   z    # the title",
        "-             status:  new    # soon",
        "+             status:  validated    # soon",
        "+             rev: 1-00000000",
    ]


def test_crlf_stays_crlf() -> None:
    text = UNTIDY.replace("\n", "\r\n")
    new = milestone(text.encode(), "P2-040", **STARTED)
    assert new.count(b"\n") == new.count(b"\r\n") == UNTIDY.count("\n") + 2
    assert new.replace(b"\r\n", b"\n") == milestone(UNTIDY.encode(), "P2-040", **STARTED)


def test_a_byte_order_mark_stays() -> None:
    new = ledger_edit.change(b"\xef\xbb\xbf" + UNTIDY.encode(), FILE, "P2-040", {"status": "new", "owner": "ä"})
    assert new == b"\xef\xbb\xbf" + change(UNTIDY, "P2-040", status="new", owner="ä").encode()


def test_a_missing_final_newline_stays_missing() -> None:
    text = "prp_tracking:\n  A-1:\n    title: x\n    status: new"
    assert change(text, "A-1", status="validated", rev="1-00000000") == (
        "prp_tracking:\n  A-1:\n    title: x\n    status: validated\n    rev: 1-00000000"
    )
    assert change("prp_tracking:\r\n  A-1:\r\n    status:", "A-1", status="new", rev="1-0").endswith(
        "status: new\r\n    rev: 1-0"
    )


def test_an_entry_in_braces_can_be_changed() -> None:
    text = "prp_tracking: {A-1: {title: x, status: new, when: }, A-2: {title: y}}\n"
    new = change(text, "A-1", status="validated", rev="1-00000000", owner="a, b", when=["c]", "d"])
    fields = "title: x, status: validated, rev: 1-00000000, owner: 'a, b', when: ['c]', d]"
    assert new == f"prp_tracking: {{A-1: {{{fields}}}, A-2: {{title: y}}}}\n"


def test_a_file_of_its_own() -> None:
    text = "id: P2-020\ntitle: Fix login cache\nstatus: new\ndepends_on: [P2-010]\n"
    new = change(text, "P2-020", "prps/P2-020.yaml", status="validated", rev="1-00000000")
    assert new == "id: P2-020\ntitle: Fix login cache\nstatus: validated\nrev: 1-00000000\ndepends_on: [P2-010]\n"


def test_only_the_entry_asked_for_changes_among_look_alikes() -> None:
    text = "prp_tracking:\n" + "".join(
        f"  A-{n}:\n    title: same\n    status: new\n    notes: same\n" for n in range(9)
    )
    new = change(text, "A-4", status="validated")
    assert [p.id for p in read(new).prps.values() if p.status == "validated"] == ["A-4"]


# --- refused ---------------------------------------------------------------------------------------------------------
REFUSED: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "unreadable": ("prp_tracking:\n  A-1: {title: x\n", "A-1", {"title": "y"}, "ledger-unreadable"),
    "key twice": ("prp_tracking:\n  A-1: {title: x, title: z}\n", "A-1", {"title": "y"}, "ledger-unreadable"),
    "no such entry": ("prp_tracking:\n  A-1: {title: x}\n", "A-2", {"title": "y"}, "unknown-prp"),
    "an alias is no entry": ("prp_tracking:\n  A-1: {legacy_id: A-2}\n", "A-2", {"title": "y"}, "unknown-prp"),
    "a NUL": ("prp_tracking:\n  A-1: {title: x}\n", "A-1", {"title": "y\0"}, "ledger-edit"),
    "half a character": ("prp_tracking:\n  A-1: {title: x}\n", "A-1", {"title": "\ud800"}, "ledger-edit"),
    "a mapping": ("prp_tracking:\n  A-1: {title: x}\n", "A-1", {"claim": {"a": 1}}, "ledger-edit"),
    "a fraction": ("prp_tracking:\n  A-1: {title: x}\n", "A-1", {"cost": 1.5}, "ledger-edit"),
    "a key written out": ("prp_tracking:\n  A-1:\n    ? title\n    : x\n", "A-1", {"title": "y"}, "ledger-unreadable"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_is_refused(case: str) -> None:
    text, prp_id, fields, code = REFUSED[case]
    with pytest.raises(UserError) as told:
        ledger_edit.change(text.encode(), FILE, prp_id, fields)
    assert told.value.code == code
    assert told.value.next_action


def test_a_result_that_would_change_more_is_refused() -> None:
    """The id of a PRP's own file is not a field of it: setting one would make two."""
    with pytest.raises(UserError) as told:
        ledger_edit.change(b"id: A-1\ntitle: x\n", "A-1.yaml", "A-1", {"id": "A-2"})
    assert told.value.code == "ledger-edit"


# --- any text --------------------------------------------------------------------------------------------------------
HOSTILE = (
    *(
        "",
        " ",
        "x ",
        " x",
        "a: b",
        "a:",
        ":a",
        "a #b",
        "#a",
        "a#b",
        "- a",
        "-a",
        "-",
        "?",
        "? a",
        "! a",
        "&a",
        "*a",
        "%a",
        "@a",
    ),
    *(
        "`a",
        "'a'",
        "it's",
        '"a"',
        "a\"b'c",
        "{a",
        "[a]",
        "a, b",
        "}",
        "|",
        ">",
        "|\n a",
        "null",
        "Null",
        "~",
        "true",
        "yes",
        "No",
    ),
    *(
        "1",
        "1.0",
        "1e3",
        "27e7220",
        "0x1F",
        "0o17",
        "0777",
        "1_000",
        "+1",
        ".5",
        ".inf",
        "12:30",
        "1:2:3",
        "2025-07-10",
        "=",
        "<<",
    ),
    *(
        "2025-07-10T10:00:00Z",
        "a\nb",
        "a\n",
        "\n",
        "a\r\nb",
        "\r",
        "a\tb",
        "\t",
        "\\",
        "a\\nb",
        "\x1b[31mred",
        "\x7f",
        "\x85",
        "\xa0",
    ),
    *(
        "\u2028",
        "\u202eevil",
        "\ufeff",
        "\ufffe",
        "é",
        "日本語",
        "👩\u200d💻",
        "<script>",
        "--- a",
        "...",
        "a\n---\nb",
        "x" * 5000,
    ),
    *(
        "{{ a }}",
        "a:b",
        "http://x/#y",
        "a :b",
        "a : b",
        "٣",
        "on",
        "y",
        "0b1",
        "1e",
        "e1",
        "0",
        "-0",
        "00",
        "1,2",
        "1.2.3",
        "a'",
    ),
)
texts = st.sampled_from(HOSTILE) | st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
values = texts | st.none() | st.booleans() | st.integers(-(10**18) + 1, 10**18 - 1) | st.lists(texts, max_size=3)
names = st.sampled_from(
    ["title", "owner", "notes", "status", "depends_on", "superseded_by", "reason", "legacy_id", "free"]
)


@pytest.mark.parametrize("quote", ["", "'", '"'])
@pytest.mark.parametrize("flow", [False, True])
@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_is_one_line_and_reads_back_everywhere(text: str, quote: str, flow: bool) -> None:
    written = scalar(text, quote, flow)
    assert "\n" not in written
    assert "\r" not in written
    assert written.isprintable()
    document = (
        f"prp_tracking:\n  A-1: {{note: {written}, b: 1}}\n"
        if flow
        else f"prp_tracking:\n  A-1:\n    note: {written} # c\n"
    )
    assert read(document).prps["A-1"].fields["note"] == text
    for loader in (yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        assert yaml.load(document, Loader=loader)["prp_tracking"]["A-1"]["note"] == text


@pytest.mark.parametrize(
    "text", ["Fix login cache", "a.b@c.org", "322579d", "https://x.org/a?b=c#d", "a, b (c) [d] {e}", "it's", "1.2.3"]
)
def test_an_ordinary_text_is_not_quoted(text: str) -> None:
    assert scalar(text) == text


DOCUMENTS = {
    "untidy": (UNTIDY, FILE, UNTIDY_IDS),
    "crlf": (UNTIDY.replace("\n", "\r\n"), FILE, UNTIDY_IDS),
    "multiline": (MULTILINE, FILE, ("A-1", "A-2")),
    "bare end": (UNTIDY.partition("stats:")[0].rstrip("\n"), FILE, UNTIDY_IDS),
    "own": ("id: A-1\ntitle: x\n# c\nstatus: new\n", "p/A-1.yaml", ("A-1",)),
}


@settings(deadline=None)
@given(st.sampled_from(sorted(DOCUMENTS)), st.integers(0, 99), st.dictionaries(names, values, max_size=5))
def test_any_change_is_exactly_what_was_asked(which: str, number: int, fields: dict[str, Any]) -> None:
    text, file, ids = DOCUMENTS[which]
    prp_id = ids[number % len(ids)]
    new = ledger_edit.change(text.encode(), file, prp_id, fields)
    before, after = read(text, file), read(new, file)
    assert after.errors == ()
    for other in ids:
        if other != prp_id:
            assert after.prps[other].fields == before.prps[other].fields
    old = before.prps[prp_id].fields
    for name in {*old, *fields}:
        want = fields.get(name, old.get(name))
        got = after.prps[prp_id].fields.get(name)
        if name in ledger.TEXTS and isinstance(want, int):
            want = str(want).lower() if isinstance(want, bool) else str(want)
        assert (got, type(got)) == (want, type(want))
    theirs = yaml.load(new, Loader=yaml.BaseLoader)
    entry = theirs if file.startswith("p/") else theirs["prp_tracking"][prp_id]
    for name, value in fields.items():
        if isinstance(value, str):
            assert entry[name] == value


@settings(deadline=None)
@given(st.sampled_from(sorted(DOCUMENTS)), st.integers(0, 99), st.dictionaries(names, values, min_size=1, max_size=4))
def test_only_the_entry_s_own_lines_differ(which: str, number: int, fields: dict[str, Any]) -> None:
    text, file, ids = DOCUMENTS[which]
    prp_id = ids[number % len(ids)]
    old = text.splitlines(keepends=True)
    new = ledger_edit.change(text.encode(), file, prp_id, fields).decode().splitlines(keepends=True)
    start = read(text, file).prps[prp_id].line - 1
    following = [p.line - 1 for p in read(text, file).prps.values() if p.line - 1 > start]
    rest = old[min(following) :] if following else []
    assert new[:start] == old[:start]
    assert not rest or new[-len(rest) :] == rest


# --- new entries -----------------------------------------------------------------------------------------------------
def test_a_new_entry_comes_last_and_before_stats() -> None:
    new = ledger_edit.add(
        UNTIDY.encode(), FILE, "P9-001", {"title": "New: one", "status": "new", "depends_on": ("P2-040",)}
    )
    assert diff(UNTIDY, new.decode()) == [
        "+   P9-001:",
        "+     title: 'New: one'",
        "+     status: new",
        "+     depends_on: [P2-040]",
    ]
    assert list(read(new).prps)[-1] == "P9-001"


def test_a_new_entry_is_laid_out_and_does_not_end_with_a_milestone_s_line() -> None:
    fields = {
        "priority": "P2",
        "superseded_by": "A-2",
        "rev": "1-00000000",
        "status": "new",
        "owner": "ann",
        "title": "x",
    }
    assert ledger_edit.add(None, "p/A-1.yaml", "A-1", fields).decode() == (
        "id: A-1\ntitle: x\nstatus: new\nrev: 1-00000000\nowner: ann\nsuperseded_by: A-2\npriority: P2\n"
    )
    del fields["priority"]
    assert ledger_edit.add(None, FILE, "A-1", fields).decode().endswith("    superseded_by: A-2\n    notes: null\n")


ADDED = {
    "nothing": (b"", b"prp_tracking:\n  A-9:\n    title: x\n    notes: null\n"),
    "a comment": (b"# why", b"# why\nprp_tracking:\n  A-9:\n    title: x\n    notes: null\n"),
    "no entries": (b"prp_tracking:\nstats: 1\n", b"prp_tracking:\n  A-9:\n    title: x\n    notes: null\nstats: 1\n"),
    "braces": (b"prp_tracking: {}\nstats: 1\n", b"prp_tracking:\n  A-9:\n    title: x\n    notes: null\nstats: 1\n"),
    "null": (b"prp_tracking: null\r\n", b"prp_tracking:\r\n  A-9:\r\n    title: x\r\n    notes: null\r\n"),
    "wide": (
        b"prp_tracking:\n    A-1:\n       title: y # c\n\n# end\nstats: 1\n",
        b"prp_tracking:\n    A-1:\n       title: y # c\n"
        b"    A-9:\n       title: x\n       notes: null\n\n# end\nstats: 1\n",
    ),
    "last in braces": (
        b"prp_tracking:\n  A-1: {title: y} # c",
        b"prp_tracking:\n  A-1: {title: y} # c\n  A-9:\n    title: x\n    notes: null",
    ),
    "block last": (
        b"prp_tracking:\n  A-1:\n    notes: |\n      y\n\nstats: 1\n",
        b"prp_tracking:\n  A-1:\n    notes: |\n      y\n  A-9:\n    title: x\n    notes: null\n\nstats: 1\n",
    ),
    "byte order mark": (
        b"\xef\xbb\xbfprp_tracking: {}\n",
        b"\xef\xbb\xbfprp_tracking:\n  A-9:\n    title: x\n    notes: null\n",
    ),
}


@pytest.mark.parametrize("case", ADDED)
def test_where_a_new_entry_goes(case: str) -> None:
    data, expected = ADDED[case]
    assert ledger_edit.add(data, FILE, "A-9", {"title": "x"}) == expected


@pytest.mark.parametrize("prp_id", ["P2-040", "PRP-1047", "", "a b", "../x", "é", "a\n"])
def test_an_id_that_is_taken_or_none_is_refused(prp_id: str) -> None:
    with pytest.raises(UserError) as told:
        ledger_edit.add(UNTIDY.encode(), FILE, prp_id, {"title": "x"})
    assert told.value.code in ("id-taken", "id-shape")


@pytest.mark.parametrize("data", [b"id: A-1\ntitle: x\n", b"prp_tracking: {A-1: {title: x}}\n"])
def test_a_file_that_takes_no_entry_is_refused(data: bytes) -> None:
    with pytest.raises(UserError) as told:
        ledger_edit.add(data, FILE, "A-9", {"title": "x"})
    assert told.value.code == "ledger-edit"


@settings(deadline=None)
@given(st.dictionaries(names, values, max_size=6))
def test_any_new_entry_reads_back(fields: dict[str, Any]) -> None:
    for data, file in ((None, "p/A-9.yaml"), (None, FILE), (UNTIDY.encode(), FILE)):
        new = ledger_edit.add(data, file, "A-9", fields)
        entry = read(new, file).prps["A-9"].fields
        assert {k: v for k, v in entry.items() if isinstance(fields.get(k), str)} == {
            k: v for k, v in fields.items() if isinstance(v, str)
        }
        assert list(entry)[-1] not in seal.SEALED


# --- what git makes of it --------------------------------------------------------------------------------------------
def test_git_shows_one_hunk_and_merges_two_milestones_of_neighbours(world: World) -> None:
    ann = world.clone("ann", first=True)
    ann.commit_files("ledger", {FILE: UNTIDY})
    ann.git("checkout", "-q", "-b", "side")
    ann.commit_files("040", {FILE: milestone(UNTIDY.encode(), "P2-040", **STARTED).decode()})
    ann.git("checkout", "-q", "main")
    ann.commit_files("050", {FILE: milestone(UNTIDY.encode(), "P2-050", **STARTED).decode()})
    assert ann.git("diff", "-U0", "HEAD~", "--", FILE).out.count("\n@@ ") == 2
    ann.git("merge", "-q", "--no-edit", "side")
    merged = read(ann.read(FILE))
    assert [seal.check(merged.prps[p]) for p in ("P2-040", "P2-050")] == [True, True]


def test_two_milestones_of_one_prp_conflict(world: World) -> None:
    """Without the seal under the status, git merges one side's completion with the other side's owner."""
    ann = world.clone("ann", first=True)
    first = milestone(UNTIDY.encode(), "P2-040", **STARTED)
    ann.commit_files("ledger", {FILE: first.decode()})
    ann.git("checkout", "-q", "-b", "side")
    ann.commit_files("ben", {FILE: milestone(first, "P2-040", owner="ben").decode()})
    ann.git("checkout", "-q", "main")
    ann.commit_files("done", {FILE: milestone(first, "P2-040", status="complete", completed_at="t").decode()})
    assert ann.git("merge", "-q", "--no-edit", "side", ok=False).code == 1


# --- the file itself -------------------------------------------------------------------------------------------------
def test_a_file_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "ledger.yaml"
    path.write_bytes(b"old")
    path.chmod(0o664)
    ledger_edit.write(str(path), b"old", b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o664
    assert os.listdir(tmp_path) == ["ledger.yaml"]


def test_a_new_file_makes_its_folder_and_follows_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "P2-020.yaml"
    ledger_edit.write(str(path), None, b"new")
    (tmp_path / "other").write_bytes(b"")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_symlink_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "ledger.yaml"
    target.write_bytes(b"old")
    link = tmp_path / "ledger.yaml"
    link.symlink_to("real/ledger.yaml")
    ledger_edit.write(str(link), b"old", b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize(("on_disk", "old"), [(b"else", b"old"), (None, b"old"), (b"else", None)])
def test_a_file_that_changed_underneath_is_left_alone(tmp_path: Path, on_disk: bytes | None, old: bytes | None) -> None:
    path = tmp_path / "ledger.yaml"
    if on_disk is not None:
        path.write_bytes(on_disk)
    with pytest.raises(UserError) as told:
        ledger_edit.write(str(path), old, b"new")
    assert told.value.code == "changed-underneath"
    assert (path.read_bytes() if path.exists() else None) == on_disk
    assert os.listdir(tmp_path) == ([] if on_disk is None else ["ledger.yaml"])


def test_a_system_that_refuses_leaves_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError) as told:
        ledger_edit.write(str(tmp_path / "file" / "ledger.yaml"), None, b"new")
    assert told.value.code == "write-failed"
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError) as told:
        ledger_edit.write(str(tmp_path / "folder"), None, b"new")
    assert told.value.code == "write-failed"


def test_a_full_disk_leaves_the_file(tmp_path: Path) -> None:
    """A file size limit stands in for the disk: the write fails in the middle, as it would there."""
    path = tmp_path / "ledger.yaml"
    path.write_bytes(b"old")
    script = (
        "import resource, signal\nfrom prpgate import ledger_edit\nfrom prpgate.errors import UserError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        f"try:\n    ledger_edit.write({str(path)!r}, b'old', b'x' * 5000)\nexcept UserError as e:\n    print(e.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "write-failed"
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["ledger.yaml"]


def _set_many(path: str, prp_id: str, rounds: int) -> None:
    for n in range(rounds):
        while True:
            old = open(path, "rb").read()  # noqa: SIM115
            try:
                ledger_edit.write(path, old, ledger_edit.change(old, FILE, prp_id, {"notes": f"round {n}"}))
                break
            except UserError as e:
                assert e.code == "changed-underneath"


def test_what_a_killed_writer_left_goes_with_the_next(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "ledger.yaml", tmp_path / "elsewhere"
    ledger_edit.write(str(path), None, b"one\n")
    (tmp_path / ".ledger.yaml.new").write_bytes(b"half")
    ledger_edit.write(str(path), b"one\n", b"two\n")
    (tmp_path / ".ledger.yaml.new").symlink_to(elsewhere)
    ledger_edit.write(str(path), b"two\n", b"three\n")
    assert path.read_bytes() == b"three\n" and os.listdir(tmp_path) == ["ledger.yaml"]


def test_writers_at_the_same_moment_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.yaml"
    path.write_text(UNTIDY)
    ids = ("P2-030", "P2-040", "P2-050", "P0-028")
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_set_many, args=(str(path), prp_id, 8)) for prp_id in ids]
    for one in writers:
        one.start()
    until = time.monotonic() + 60
    seen = 0
    while any(one.is_alive() for one in writers) and time.monotonic() < until:
        assert len(read(path.read_bytes()).prps) == len(UNTIDY_IDS)  # never half a file
        seen += 1
    for one in writers:
        one.join(10)
        assert one.exitcode == 0
    found = read(path.read_bytes())
    assert [found.prps[prp_id].fields["notes"] for prp_id in ids] == ["round 7"] * 4
    assert seen > 1
    assert os.listdir(tmp_path) == ["ledger.yaml"]
