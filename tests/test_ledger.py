"""Reading ledgers: an untidy one as it is, both forms, every way in which a file can be wrong, and from git."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from prpgate import ledger
from prpgate.config import parse as config
from prpgate.errors import CouldNotTell, UserError
from prpgate.gitrepo import Repo
from prpgate.ledger_scan import is_id, known_ids_scan
from prpgate.ledger_text import MAX_BYTES, MAX_DEPTH, MAX_TWICE, Node, plain
from prpgate.ledger_text import read as read_text
from prpgate.model import ERROR, WARNING, ZERO
from tests.effort import effort
from tests.ledgers import FILE, UNTIDY, UNTIDY_IDS, many, read
from tests.world import run

if TYPE_CHECKING:
    from tests.world import World

FOLDER = config('project = "example.org/app"\n[ledger]\npath = "prps/"\n', "prp.toml")
TRACKED = config(f'project = "example.org/app"\n[ledger]\npath = "{FILE}"\n', "prp.toml")


def codes(found: ledger.Ledger) -> list[tuple[str, int, int]]:
    return [(f.code, f.line, f.column) for f in found.findings]


# --- an untidy ledger as it is ---------------------------------------------------------------------------------------
def test_an_untidy_ledger_is_readable() -> None:
    found = read(UNTIDY)
    assert found.findings == ()
    assert tuple(found.prps) == UNTIDY_IDS
    assert found.form == "tracking"
    assert not found.missing


def test_an_entry_is_what_the_file_says() -> None:
    prp = read(UNTIDY).prps["P2-010"]
    assert (prp.id, prp.title, prp.status, prp.rev, prp.owner) == (
        "P2-010",
        "Invoice table views",
        "complete",
        None,
        None,
    )
    assert prp.file == FILE
    assert UNTIDY.splitlines()[prp.line - 1] == "  P2-010:"
    assert list(prp.fields)[:3] == ["title", "status", "validated_at"]
    assert prp.fields["notes"].endswith("migration written and chained to the one before, run on a copy")
    assert prp.priority == "P2"


def test_every_field_has_the_place_of_its_value() -> None:
    found, lines = read(UNTIDY), UNTIDY.splitlines()
    line, column = found.at("P2-040", "status")
    assert lines[line - 1][column - 1 :] == "validated"
    line, column = found.at("P2-040", "validated_at")
    assert lines[line - 1][column - 1 :] == "'2025-07-16T08:00:00Z'"
    line, column = found.at("P2-040", "no such field")
    assert lines[line - 1][column - 1 :] == "P2-040:"
    line, column = found.places["", "stats.priority_distribution.P1"]
    assert lines[line - 1][column - 1 :] == "3"


def test_ids_resolve_through_stable_and_legacy_ids() -> None:
    found = read(UNTIDY)
    for any_id, own in {"P2-040": "P2-040", "PRP-1047": "P2-040", "PRP-1020": "P0-026"}.items():
        prp = found.resolve(any_id)
        assert prp is not None
        assert prp.id == own
    assert found.resolve("PRP-9999") is None


def test_deprecated_by_flag_is_deprecated() -> None:
    prp = read(UNTIDY).prps["P2-070"]
    assert (prp.status, prp.fields["status"], prp.fields["deprecated"]) == ("deprecated", "validated", True)


def test_a_commit_that_looks_like_a_number_stays_text() -> None:
    assert read(UNTIDY).prps["P2-020"].fields["github_commit"] == "3320525"


def test_null_is_none_wherever_it_stands() -> None:
    fields = read(UNTIDY).prps["P2-040"].fields
    assert "started_at" in fields
    assert fields["started_at"] is None


@pytest.mark.parametrize(
    ("written", "value"),
    {
        **dict.fromkeys(("", "~", "null", "Null", "NULL")),
        **dict.fromkeys(("true", "True", "TRUE"), True),
        **dict.fromkeys(("false", "False"), False),
        "0": 0,
        "-3": -3,
        "17": 17,
        **{w: w for w in ("yes", "on", "n", "1.10", "1e3", "0x1F", "007", "-0", "--1", "1_000", "2025-07-10", "12:30")},
        **{w: w for w in ("2025-07-10T10:00:00Z", "nullable", "+5", "٣", "9" * 19, "Nothing", ".inf")},
    }.items(),
)
def test_plain_scalars(written: str, value: Any) -> None:
    assert plain(written) == value
    assert type(plain(written)) is type(value)
    entry = read(f"prp_tracking:\n  A-1:\n    title: x\n    note: {written}\n").prps["A-1"]
    assert entry.fields["note"] == value


def test_quoted_scalars_are_text() -> None:
    fields = read("prp_tracking:\n  A-1: {title: x, a: 'null', b: \"true\", c: '1'}\n").prps["A-1"].fields
    assert (fields["a"], fields["b"], fields["c"]) == ("null", "true", "1")


def test_the_values_are_those_of_an_ordinary_yaml_reader() -> None:
    """Apart from numbers and times, which stay as they are written."""
    theirs = yaml.load(UNTIDY, Loader=yaml.BaseLoader)["prp_tracking"]
    for prp_id, prp in read(UNTIDY).prps.items():
        for name, value in prp.fields.items():
            ours = "null" if value is None else "true" if value is True else str(value)
            assert ours == theirs[prp_id][name]


# --- forms -----------------------------------------------------------------------------------------------------------
ONE = "id: P2-020\ntitle: Fix login cache\nstatus: new\n"


def test_one_file_per_prp() -> None:
    found = read(ONE, "prps/P2-020.yaml")
    prp = found.prps["P2-020"]
    assert (found.form, found.findings) == ("single", ())
    assert (prp.title, prp.status, prp.line) == ("Fix login cache", "new", 1)
    assert prp.fields == {"title": "Fix login cache", "status": "new"}
    assert found.at("P2-020", "status") == (3, 9)


@pytest.mark.parametrize(
    "text", ["", "\n\n", "# nothing yet\n", "---\n", "null\n", "prp_tracking:\n", "prp_tracking: {}\n"]
)
def test_an_empty_ledger_is_no_error(text: str) -> None:
    found = read(text)
    assert found.prps == {}
    assert found.errors == ()
    remark = [f.code for f in found.findings]
    assert remark == ([] if "prp" in text else ["PRP113"])


def test_crlf_and_a_byte_order_mark_change_nothing() -> None:
    plain_text, crlf = read(UNTIDY), read(UNTIDY.replace("\n", "\r\n"))
    marked = read(b"\xef\xbb\xbf" + UNTIDY.encode())
    assert crlf.prps == plain_text.prps == marked.prps
    assert crlf.places == plain_text.places == marked.places


def test_a_folder_is_joined_in_the_order_of_its_files() -> None:
    found = ledger.join([read("id: B-2\ntitle: x\n", "p/B-2.yaml"), read("id: A-1\ntitle: y\n", "p/A-1.yaml")])
    assert list(found.prps) == ["B-2", "A-1"]
    assert found.findings == ()
    assert set(found.files) == {"p/B-2.yaml", "p/A-1.yaml"}
    assert found.at("A-1", "title") == (2, 8)


def test_an_id_in_two_files_and_a_file_named_otherwise() -> None:
    first, second = read(ONE, "p/P2-020.yaml"), read("# x\n" + ONE, "p/P2-021.yaml")
    found = ledger.join([first, second])
    assert [(f.code, f.file, f.line) for f in found.errors] == [("PRP110", "p/P2-021.yaml", 2)]
    assert found.prps["P2-020"].file == "p/P2-020.yaml"
    assert found.at("P2-020", "id") == (1, 5)
    alone = ledger.join([second])
    assert [f.code for f in alone.errors] == ["PRP111"]
    assert alone.errors[0].fix == "git mv p/P2-021.yaml p/P2-020.yaml"
    spaced = ledger.join([read(ONE, "my prps/P2-021.yaml")])
    assert spaced.errors[0].fix == "git mv 'my prps/P2-021.yaml' 'my prps/P2-020.yaml'"


def test_an_alias_that_two_entries_claim_names_neither() -> None:
    found = read("prp_tracking:\n  A-1: {stable_id: S-1}\n  A-2: {stable_id: S-1}\n  A-3: {legacy_id: A-1}\n")
    assert found.resolve("S-1") is None
    assert found.resolve("A-1") == found.prps["A-1"]
    assert [(f.code, f.severity, f.id) for f in found.findings] == [("PRP112", WARNING, "A-2")]
    assert found.errors == ()


def test_an_alias_over_two_files_is_said_once() -> None:
    files = [read(f"id: A-{n}\ntitle: x\nlegacy_id: OLD-1\n", f"p/A-{n}.yaml") for n in (1, 2)]
    assert [f.code for f in ledger.join(files).findings] == ["PRP112"]


# --- what is wrong with a file ---------------------------------------------------------------------------------------
BAD: dict[str, tuple[bytes, tuple[str, int, int]]] = {
    "not UTF-8": (b"a: b\nc\xff: d", ("PRP101", 2, 2)),
    "UTF-16": ("a: b".encode("utf-16"), ("PRP101", 1, 1)),
    "NUL": (b"a: \0", ("PRP101", 1, 4)),
    "NUL as an escape": (b'prp_tracking:\n  A-1: {title: "\\0"}', ("PRP101", 2, 16)),
    "control character": (b"a: b\nb: \x07", ("PRP101", 2, 4)),
    "U+0085": ("a: b\x85c: d".encode(), ("PRP101", 1, 5)),
    "U+2028": ("a: ü\u2028c: d".encode(), ("PRP101", 1, 5)),
    "lone CR": (b"a: b\rc: d\n", ("PRP101", 1, 5)),
    "BOM inside": ("a: b\n\ufeffc: d".encode(), ("PRP101", 2, 1)),
    "two BOMs": (b"\xef\xbb\xbf" * 2 + b"a: b", ("PRP101", 1, 1)),
    "tab": (b"a:\n\tb: c", ("PRP102", 2, 1)),
    "two colons": (b"a: b: c", ("PRP102", 1, 5)),
    "open quote": (b"a: 'b\n", ("PRP102", 2, 1)),
    "open brace": (b"a: {b: c\n", ("PRP102", 2, 1)),
    "wrong indentation": (b"a:\n  b: c\n   d: e\n", ("PRP102", 3, 5)),
    "conflict": (b"a: b\n<<<<<<< HEAD\nc: d\n=======\n", ("PRP102", 2, 1)),
    "conflict first": (b"<<<<<<< HEAD\nc: d\n=======\n", ("PRP102", 1, 1)),
    "half a character": (b'a: "\\ud800"', ("PRP102", 1, 7)),
    "anchor": (b"a: &x b", ("PRP107", 1, 4)),
    "alias": (b"a: *x", ("PRP107", 1, 4)),
    "tag": (b"a: !!python/object:os.system x", ("PRP107", 1, 4)),
    "own tag": (b"a: ! x", ("PRP107", 1, 4)),
    "merge key": (b"a:\n  <<: {b: c}", ("PRP107", 2, 3)),
    "two documents": (b"a: b\n---\nc: d", ("PRP107", 2, 1)),
    "directive": (b"%YAML 1.1\n---\na: b", ("PRP107", 1, 1)),
    "key that is a list": (b"? [a, b]\n: c", ("PRP107", 1, 3)),
    "key written out": (b"? a\n: b", ("PRP107", 1, 3)),
    "key alone": (b"a: {b, c: d}", ("PRP107", 1, 5)),
    "too big": (b"a: b\n" * (MAX_BYTES // 5 + 1), ("PRP108", 1, 1)),
    "too deep": (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), ("PRP108", 1, MAX_DEPTH + 1)),
    "no ledger": (b"version: 3\n", ("PRP109", 1, 1)),
    "a text": (b"hello\n", ("PRP109", 1, 1)),
    "a list": (b"- a\n", ("PRP109", 1, 1)),
    "tracking is a list": (b"prp_tracking:\n  - a\n", ("PRP109", 2, 3)),
    "entry is a text": (b"prp_tracking:\n  A-1: new\n", ("PRP109", 2, 8)),
    "entry is nothing": (b"prp_tracking:\n  A-1:\n", ("PRP109", 2, 7)),
    "id is nothing": (b"id:\ntitle: x\n", ("PRP109", 1, 4)),
    "id is a list": (b"id: [a]\ntitle: x\n", ("PRP109", 1, 5)),
    "key twice": (b"prp_tracking:\n  A-1:\n    title: x\n    title: y\n", ("PRP103", 4, 5)),
    "key twice in one's own file": (b"id: A-1\ntitle: x\ntitle: y\n", ("PRP103", 3, 1)),
    "key twice above": (b"a: 1\na: 2\nprp_tracking: {}\n", ("PRP103", 2, 1)),
    "id twice": (b"prp_tracking:\n  A-1: {title: x}\n  A-1: {title: y}\n", ("PRP110", 3, 3)),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_has_a_code_a_place_and_a_fix(case: str) -> None:
    data, expected = BAD[case]
    found = read(data)
    assert codes(found) == [expected]
    (finding,) = found.errors
    assert finding.file == FILE
    assert finding.message
    assert finding.fix
    assert "\n" not in finding.message


def test_one_entry_that_is_none_leaves_the_others() -> None:
    found = read("prp_tracking:\n  A-1: 3\n  A-2: {title: x, status: new}\n")
    assert list(found.prps) == ["A-2"]
    assert [(f.code, f.id) for f in found.errors] == [("PRP109", "A-1")]


def test_a_doubled_key_is_said_of_its_entry_and_the_first_stands() -> None:
    found = read('prp_tracking:\n  A-1: {title: x}\n  A-2: {title: y, "a\\"b": 1, "a\\"b": 2, title: z}\n')
    assert [(f.code, f.id) for f in found.errors] == [("PRP103", "A-2"), ("PRP103", "A-2")]
    assert found.prps["A-2"].title == "y"


def test_doubled_keys_are_not_counted_for_ever() -> None:
    assert len(read("id: A-1\n" + "x: 1\n" * 1000).findings) == MAX_TWICE


BOMBS: dict[str, bytes] = {
    "10 MB": b"x" * 10_000_000,
    "open brackets": b"[" * 1_000_000,
    "open braces": b"{a: " * 1_000_000,
    "brackets on lines": b"[\n" * 1_000_000,
    "dashes": b"- " * 1_000_000,
    "stairs": b"\n".join(b" " * n + b"a:" for n in range(2800)),
    "billion laughs": b"a: &a [x,x,x,x]\n"
    + b"".join(b"%c: &%c [*%c,*%c]\n" % (c, c, c - 1, c - 1) for c in range(98, 122)),
    "keys": b"".join(b"k%d: v\n" % n for n in range(350_000)),
    "spaced keys": b"\n".join(b"k%d : v" % n for n in range(300_000)),
    "one key": b"a: b\n" * 800_000,
    "entries": b"prp_tracking:\n" + b"".join(b"  k%d:\n" % n for n in range(350_000)),
    "items": b"[" + b"a," * 2_000_000,
    "quotes": b"'" * 4_000_000,
    "question marks": b"? " * 1_000_000,
    "comments": b"#\n" * 2_000_000,
    "anchors": b"&a " * 1_000_000,
    "long key": b"x" * 4_000_000 + b": y",
}


QUICK = 40  # million turns of a plain loop: some two seconds; what grows with the square of its size takes hours


@pytest.mark.parametrize("case", BOMBS)
def test_bombs_are_refused_quickly(case: str) -> None:
    assert effort(lambda: read(BOMBS[case]), QUICK) < QUICK


def test_a_ledger_of_usual_size_takes_milliseconds() -> None:
    text = many(57).encode()
    assert effort(lambda: read(text), 0.4) < 0.4


@settings(deadline=None)
@given(st.binary() | st.binary().map(lambda b: b"prp_tracking:\n  A-1:\n    " + b))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    found = read(data)
    assert all(f.line >= 1 and f.column >= 1 for f in found.findings)


YAMLISH = st.text(alphabet=st.sampled_from("ab:{}[],-?&*!|>'\"%@#~ \n\t\\0x7eéß\u2028"), max_size=60)


@settings(deadline=None)
@given(YAMLISH, st.sampled_from(["", "prp_tracking:\n  A-1:\n    ", "id: A-1\n", "prp_tracking: {A-1: "]))
def test_no_text_makes_it_raise_and_places_are_in_the_file(text: str, start: str) -> None:
    data = (start + text).encode()
    found = read(data)
    lines = data.decode().split("\n")
    for line, _ in found.places.values():
        assert 1 <= line <= len(lines)
    for prp in found.prps.values():
        assert isinstance(prp.title, str)
        assert prp.number >= 0
        assert prp.depends_on is not None
        assert prp.ids[0] == prp.id


@settings(deadline=None)
@given(YAMLISH, st.sampled_from(["", "prp_tracking:\n  A-1:\n    ", "id: A-1\n"]))
def test_the_pure_parser_reads_what_libyaml_reads(text: str, start: str) -> None:
    """PyYAML comes without libyaml on some machines; two people must not read two ledgers."""
    from prpgate.ledger_text import _Reader

    data = (start + text).encode()
    ours = read_text(data, "f")
    if not yaml.__with_libyaml__ or ours.findings:
        return
    reader = _Reader(ours.text, "f", yaml.SafeLoader(data).get_event)
    try:
        root = reader.document()
    except yaml.YAMLError:
        return  # the pure one is stricter with some plain scalars
    assert offsets(root) == offsets(ours.root)
    assert [t.name for t in reader.twice] == [t.name for t in ours.twice]


def offsets(node: Node | None) -> Any:
    """All that editing relies on. (The two disagree about the line of a value that is not there.)"""
    if node is None:
        return None
    inner = [(name, field.start, field.end, offsets(field.node)) for name, field in node.fields.items()]
    return node.value, node.start, node.end, node.style, inner


def test_a_malformed_seal_cannot_make_its_reader_fail() -> None:
    for rev in ("²-3fa9c1b2", "9" * 5000 + "-x", "[1, 2]", "{a: b}", "true", "''"):
        prp = read(f"prp_tracking:\n  A-1:\n    title: x\n    rev: {rev}\n").prps["A-1"]
        assert prp.number == 0
        assert prp.rev is not None


def test_depends_on_of_any_shape_can_be_asked() -> None:
    for written, names in {
        "5": ("5",),
        "true": ("true",),
        "null": (),
        "A-2": ("A-2",),
        "[A-2, 3]": ("A-2", "3"),
    }.items():
        assert read(f"prp_tracking:\n  A-1: {{title: x, depends_on: {written}}}\n").prps["A-1"].depends_on == names


# --- the cheap look --------------------------------------------------------------------------------------------------
def test_the_scan_knows_what_the_reader_knows() -> None:
    found = read(UNTIDY)
    assert known_ids_scan(UNTIDY.encode()) == {*found.prps, *found.aliases}
    crlf = UNTIDY.replace("\n", "\r\n").encode()
    assert known_ids_scan(crlf) == {*found.prps, *found.aliases}
    for first in ("prp_tracking:\n  P1-001: {title: x}\n", "id: P1-001\ntitle: x\n"):
        assert "P1-001" in known_ids_scan(b"\xef\xbb\xbf" + first.encode())


@pytest.mark.parametrize(
    "text",
    [
        "prp_tracking:\n    A-1: # why\n        title: x\n    A-2:\n        title: y\n",
        "prp_tracking:\n  'A-1':\n    title: x\n  \"A-2\" : {title: y}\n",
        "prp_tracking: {A-1: {title: x}, A-2: {title: y}}\n",
        "prp_tracking:\n  A-1:\n    title: x\n\n# between\n  A-2:\n    title: y\nstats: {}\n",
        "prp_tracking:\n  A-1:\n    title: x\n    legacy_id: A-2\n",
        "id: A-1\nlegacy_id: 'A-2'\n",
        'prp_tracking:\n  A-1:\n    stable_id: "A-2"   # old\n',
    ],
)
def test_the_scan_knows_ids_however_they_are_written(text: str) -> None:
    assert {*read(text).prps, *read(text).aliases} >= {"A-1", "A-2"}
    assert known_ids_scan(text.encode()) >= {"A-1", "A-2"}


def test_the_scan_takes_no_field_for_an_id() -> None:
    assert not known_ids_scan(UNTIDY.encode()) & {"title", "stats", "version", "metadata", "P0", "P1"}


@settings(deadline=None)
@given(st.binary())
def test_the_scan_never_raises(data: bytes) -> None:
    known_ids_scan(data)


def test_the_scan_imports_no_yaml() -> None:
    code = "import sys, prpgate.ledger_scan; assert not {'yaml', 'redis', 'dataclasses'} & set(sys.modules)"
    run([sys.executable, "-c", code], Path.cwd())


@pytest.mark.parametrize(
    ("text", "yes"),
    {
        "P2-040": True,
        "a.b_c-1": True,
        "x" * 64: True,
        "x" * 65: False,
        "": False,
        "-a": False,
        "a b": False,
        "é": False,
        "a/b": False,
        "a\n": False,
        "..": False,
    }.items(),
)
def test_what_can_be_an_id(text: str, yes: bool) -> None:
    assert is_id(text) is yes


# --- from git --------------------------------------------------------------------------------------------------------
def test_working_tree_index_and_commit_are_three_ledgers(world: World) -> None:
    ann = world.clone("ann", first=True)
    ann.commit_files("ledger", {FILE: UNTIDY})
    repo = Repo(str(ann.path))
    ann.write(FILE, UNTIDY.replace("Report editor", "Staged"))
    ann.git("add", FILE)
    ann.write(FILE, UNTIDY.replace("Report editor", "On disk"))
    titles = [ledger.load(repo, TRACKED, rev).prps["P2-040"].title for rev in (None, "", "HEAD", ann.head)]
    assert titles == ["On disk", "Staged", "Report editor", "Report editor"]


def test_the_index_that_git_names_is_the_one_that_is_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """`git commit -a`, `-p` and pathspec commits judge another index file than the repository's own."""
    ann = world.clone("ann", first=True)
    ann.commit_files("ledger", {FILE: UNTIDY})
    other = str(ann.path / ".git" / "other-index")
    ann.write(FILE, UNTIDY.replace("Report editor", "Elsewhere"))
    ann.git("read-tree", "HEAD", env={"GIT_INDEX_FILE": other})
    ann.git("add", FILE, env={"GIT_INDEX_FILE": other})
    repo = Repo(str(ann.path))
    assert ledger.load(repo, TRACKED, "").prps["P2-040"].title == "Report editor"
    monkeypatch.setenv("GIT_INDEX_FILE", other)
    assert ledger.load(repo, TRACKED, "").prps["P2-040"].title == "Elsewhere"


def folder_files() -> dict[str, str]:
    return {
        "prps/P2-030.yaml": "id: P2-030\ntitle: c\nstatus: new\n",
        "prps/P2-020.yaml": ONE,
        "prps/README.md": "not a PRP",
        "prps/.draft.yaml": "id: X-1\n",
        "prps/old/P2-001.yaml": "id: P2-001\ntitle: x\n",
        "prpsX.yaml": "id: X-2\n",
    }


@pytest.mark.parametrize("rev", [None, "", "HEAD"])
@pytest.mark.parametrize("place", [".", "prps/old"])
def test_a_folder_is_read_from_anywhere(world: World, rev: str | None, place: str) -> None:
    ann = world.clone("ann", first=True)
    ann.commit_files("ledger", folder_files())
    found = ledger.load(Repo(str(ann.path / place)), FOLDER, rev)
    assert list(found.prps) == ["P2-020", "P2-030"]
    assert found.findings == ()
    assert found.prps["P2-020"].file == "prps/P2-020.yaml"


@pytest.mark.parametrize("conf", [TRACKED, FOLDER])
@pytest.mark.parametrize("rev", [None, "", "HEAD", ZERO])
def test_no_ledger_there(world: World, conf: Any, rev: str | None) -> None:
    ann = world.clone("ann", first=True)
    found = ledger.load(Repo(str(ann.path)), conf, rev)
    assert found.missing
    assert (found.prps, found.findings) == ({}, ())


@pytest.mark.parametrize("conf", [TRACKED, FOLDER])
def test_an_unborn_head_has_no_ledger(repo: Path, conf: Any) -> None:
    assert ledger.load(Repo(str(repo)), conf, "HEAD").missing


@pytest.mark.parametrize("conf", [TRACKED, FOLDER])
def test_a_commit_that_is_not_here_is_not_an_empty_ledger(world: World, conf: Any) -> None:
    ann = world.clone("ann", first=True)
    with pytest.raises(CouldNotTell) as told:
        ledger.load(Repo(str(ann.path)), conf, "1" * 40)
    assert told.value.next_action == "git fetch"


def test_a_bare_repository_is_read_by_commit(world: World) -> None:
    ann = world.clone("ann", first=True)
    ann.commit_files("ledger", {FILE: UNTIDY, **folder_files()})
    ann.git("push", "-q", "origin", "main")
    bare = Repo(str(world.remote))
    assert len(ledger.load(bare, TRACKED, world.tip()).prps) == len(UNTIDY_IDS)
    assert len(ledger.load(bare, FOLDER, world.tip()).prps) == 2


def test_paths_with_spaces_and_letters_of_all_kinds(world: World) -> None:
    path = "täsk s/ленta/prps/"
    conf = FOLDER._replace(ledger_path=path)
    ann = world.clone("änn one", first=True)
    ann.commit_files("ledger", {f"{path}P2-020.yaml": ONE})
    for rev in (None, "", "HEAD"):
        assert list(ledger.load(Repo(str(ann.path)), conf, rev).prps) == ["P2-020"]


def test_a_folder_where_a_file_should_be_is_said(world: World) -> None:
    ann = world.clone("ann", first=True)
    ann.commit_files("ledger", folder_files())
    with pytest.raises(UserError) as told:
        ledger.load(Repo(str(ann.path)), FOLDER._replace(ledger_path="prps"), None)
    assert 'ledger.path = "prps/"' in str(told.value.hint)


def test_a_huge_file_is_not_read_whole(world: World) -> None:
    ann = world.clone("ann", first=True)
    path = ann.write(FILE, "")
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse
    found = ledger.load(Repo(str(ann.path)), TRACKED, None)
    assert [f.code for f in found.errors] == ["PRP108"]


def test_severities() -> None:
    assert {f.severity for f in read("a: b").findings} == {ERROR}
    assert {f.severity for f in read("").findings} == {WARNING}
