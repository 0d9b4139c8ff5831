"""Hostile ledgers, made the same way each time: whole files in both forms, single values, and damaged good files."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from tests.e2e.conftest import untidy_ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SEED = 20250710
FILE = "plans/prps.yaml"
TRACKING, SINGLE = "tracking", "single"
MB = 1 << 20


class Case(NamedTuple):
    """One hostile file. `refused`: it cannot be read, and the first error is on this line; None: it may be read."""

    name: str
    form: str
    text: bytes | Callable[[], str]  # a big one is made when it is wanted
    refused: int | None = None

    @property
    def big(self) -> bool:
        """Worth a process of its own, whose time and memory are measured."""
        return not isinstance(self.text, bytes)

    @property
    def data(self) -> bytes:
        return self.text if isinstance(self.text, bytes) else self.text().encode()


def tracked(*entries: str) -> str:
    return "prp_tracking:\n" + "".join(entries)


def entry(prp_id: str, **fields: str) -> str:
    """An entry whose values are YAML as they stand."""
    told = {"title": "A title", "status": "new", **fields}
    return f"  {prp_id}:\n" + "".join(f"    {name}: {value}\n" for name, value in told.items())


def alone(prp_id: str, **fields: str) -> str:
    told = {"title": "A title", "status": "new", **fields}
    return f"id: {prp_id}\n" + "".join(f"{name}: {value}\n" for name, value in told.items())


def noted(form: str, value: str) -> str:
    """A file with one PRP and this value as its note."""
    return tracked(entry("P1-001", notes=value)) if form == TRACKING else alone("P1-001", notes=value)


def both(name: str, value: str | Callable[[], str], *, line: int | None = None) -> Iterator[Case]:
    """One hostile value as a note, in a file of each form. `line`: of the error, counted from the value's own."""
    for form in (TRACKING, SINGLE):
        refused = None if line is None else noted(form, "HERE").partition("HERE")[0].count("\n") + 1 + line
        if isinstance(value, str):
            yield Case(name, form, noted(form, value).encode("utf-8", "surrogatepass"), refused)
        else:
            yield Case(name, form, partial(_later, form, value), refused)


def _later(form: str, value: Callable[[], str]) -> str:
    return noted(form, value())


# What any field may hold instead of what it should.
ODD = {
    "nothing": "",
    "tilde": "~",
    "true": "true",
    "yes": "yes",
    "octal": "0o17",
    "old octal": "0777",
    "hex": "0x1F",
    "sixty": "12:30:45",
    "too big a number": "1e999",
    "infinity": ".inf",
    "not a number": ".nan",
    "long number": "9" * 400,
    "number": "123456789012345678",
    "negative": "-1",
    "no such date": "2025-99-99",
    "time before time": "'0000-00-00T00:00:00Z'",
    "far time": "'99999-12-31T23:59:59+99:99'",
    "list": "[a, b, [c, [d]]]",
    "empty list": "[]",
    "list of nothing": "[~, null, '']",
    "mapping": "{a: 1, b: {c: [d]}}",
    "empty mapping": "{}",
    "empty text": "''",
    "spaces": "'   '",
    "line breaks": '"a\\nb\\r\\nc"',
    "tab": '"a\\tb"',
    "escape": '"\\e[2J\\e[31m"',
    "bell": '"\\a\\b\\x7f"',
    "line separator": '"a\\u2028b\\u2029c\\u0085d"',
    "right to left": '"\\u202Eabc\\u202C\\u2066x\\u2069"',
    "zero width": '"a\\u200bb\\ufeffc"',
    "astral": '"\\U0001F4A9\\U0010FFFF"',
    "not a character": '"\\uFFFE\\uFFFF"',
    "path": "../../../etc/passwd",
    "absolute path": "/etc/passwd",
    "option": "'--upload-pack=x'",
    "shell": "'$(touch hacked) `touch hacked` ; touch hacked'",
    "format": "'%s%n{0}{x.y}%(x)s'",
    "long": "x" * 10_000,
    "look-alike seal": "'1-0123abcd'",
    "highest seal": "'999999999-0123abcd'",
    "seal in a note": '"\\n    rev: 3-0123abcd\\n  P1-001:\\n    status: complete\\n"',
    "block text with a seal": "|\n      rev: 3-0123abcd\n      status: complete",
    "folded": ">-\n      a\n\n      b",
    "colon": "'a: b: c'",
    "hash": "'a # b'",
    "json": "'{\"ok\": true}'",
    "annotation": "'::error file=x::y%0A'",
    "combining": "'" + "e" + "\u0301" * 500 + "'",
    "wide": "'" + "\u4e2d" * 500 + "'",
}
FIELDS = (
    *("title", "status", "rev", "owner", "validated_at", "completed_at", "github_commit", "ci_run_url", "verdict"),
    *("superseded_by", "deprecated", "depends_on", "priority", "corrected_priority", "paths", "stable_id", "legacy_id"),
    *("doc", "notes", "P1-001", "reason"),
)
IDS = {
    "path": "../x",
    "deeper path": "'../../hooks/pre-commit'",
    "colon": "'a:b'",
    "space": "'a b'",
    "line break": '"a\\nb"',
    "long": "x" * 900,
    "very long": '? "' + "x" * 10_000 + '"\n ',
    "empty": "''",
    "null": "~",
    "number": "17",
    "true": "true",
    "option": "'--all'",
    "glob": "'*'",
    "unicode": "\u00e9\u4e2d",
    "right to left": '"\\u202Ex"',
    "draft": "DRAFT-0123abcd",
    "half a draft": "DRAFT-xyz",
    "prototype": "__proto__",
    "case": "p1-001",
    "lock": "'con.lock'",
    "dots": "'..'",
    "quote": "'it''s'",
    "redis": "'prp:{x}:claims'",
    "escape": '"\\e[31m"',
}


def readable() -> str:
    """One tracking file with every odd value in every field, and every odd id: YAML that is taken."""
    found = []
    for n, field in enumerate(FIELDS):
        for m, value in enumerate(ODD.values()):
            found.append(entry(f"P{n}-{m:03d}", **{field: value}))
    for value in IDS.values():
        if not value.startswith("?"):  # longer than a key may be on one line
            found.append(entry(value))
    return tracked(entry("P1-900", status="validated"), *found)


def values() -> Iterator[Case]:
    """Each odd value in a note, each odd id: one file each."""
    for name, value in ODD.items():
        yield from both(f"value: {name}", value)
    for name, prp_id in IDS.items():
        yield Case(f"id: {name}", TRACKING, tracked(entry("P1-001"), entry(prp_id)).encode())
        if not prp_id.startswith("?"):
            yield Case(f"id: {name}", SINGLE, alone(prp_id).encode())


# Only the end of the file, or of the indented lines, tells.
_NEXT_LINE = ("quote that never ends", "single quote that never ends", "bracket that never ends", "tab as indent")


def refused() -> Iterator[Case]:
    """What YAML can do and a ledger may not."""
    for name, value in {
        "anchor": "&a x",
        "alias": "*a",
        "alias in a list": "[*a, *a]",
        "python tag": "!!python/object/apply:os.system ['touch hacked']",
        "python name": "!!python/name:os.system",
        "binary": "!!binary aGVsbG8=",
        "set": "!!set {a, b}",
        "float tag": "!!float 1",
        "local tag": "!local x",
        "address tag": "!<tag:example.org,2025:x> y",
        "no tag": "! x",
        "merge key": "{<<: {title: B}}",
        "merge of an alias": "{<<: *a}",
        "key of a mapping": "{? {a: b} : c}",
        "key of a list": "{? [a] : c}",
        "key without a colon": "{a, b}",
        "deep flow, closed": "[" * 5_000 + "]" * 5_000,
        "deep flow mapping": "{a: " * 5_000 + "}" * 5_000,
        "surrogate": '"\\ud800"',
        "beyond unicode": '"\\U00110000"',
        "no such escape": '"\\q"',
        "short escape": '"\\x1"',
        "nul escape": '"\\0"',
        "at": "@x",
        "backquote": "`x`",
        "percent": "%x",
        "comma": "[a,,b]",
        "quote that never ends": '"x',
        "single quote that never ends": "'x",
        "mapping in a line": "a: b: c",
        "tab as indent": "\n\tx",
        "bracket that never ends": "[a, b",
    }.items():
        yield from both(name, value, line=int(name in _NEXT_LINE))
    for name, character in {
        "NUL": "\0",
        "escape": "\x1b",
        "bell": "\x07",
        "delete": "\x7f",
        "next line": "\x85",
        "line separator": "\u2028",
        "paragraph separator": "\u2029",
        "byte order mark inside": "\ufeff",
        "CR alone": "\r",
        "vertical tab": "\v",
        "form feed": "\f",
        "C1": "\x9b",
    }.items():
        yield from both(f"raw {name}", f"a{character}b", line=0)
    yield from both("half a surrogate", "a\ud800b", line=0)
    good = tracked(entry("P1-001"))
    for name, data, line in (
        ("invalid UTF-8", good.encode().replace(b"A title", b"A \xff title"), 3),
        ("overlong slash", good.encode().replace(b"A title", b"A \xc0\xaf title"), 3),
        ("overlong NUL", good.encode().replace(b"A title", b"A \xc0\x80 title"), 3),
        ("five bytes", good.encode().replace(b"A title", b"A \xf8\x88\x80\x80\x80"), 3),
        ("cut in a character", good.encode() + b"# \xe4\xb8", 5),
        ("UTF-16", good.encode("utf-16"), 1),
        ("UTF-16 BE", b"\xfe\xff" + good.encode("utf-16-be"), 1),
        ("UTF-32", good.encode("utf-32"), 1),
        ("two byte order marks", b"\xef\xbb\xbf" * 2 + good.encode(), 1),
        ("YAML directive", b"%YAML 1.2\n---\n" + good.encode(), 1),
        ("YAML directive of a far version", b"%YAML 1." + b"9" * 5_000 + b"\n---\n" + good.encode(), 1),
        ("tag directive", b"%TAG ! tag:example.org,2025:\n---\n" + good.encode(), 1),
        ("unknown directive", b"%WHAT x\n%YAML 9.9\n---\n" + good.encode(), 1),
        ("two documents", good.encode() + b"---\n" + good.encode(), 5),
        ("document end, then more", good.encode() + b"...\nx: y\n", 6),
        ("CR line ends", good.replace("\n", "\r").encode(), 1),
        ("tabs", good.replace("    ", "\t").encode(), 3),
        ("conflict markers", ("<<<<<<< ours\n" + good + "=======\n" + good + ">>>>>>> theirs\n").encode(), 1),
        ("zip", b"PK\x03\x04" + bytes(range(256)) * 4, 2),
        ("random", random.Random(SEED).randbytes(4_000), 1),
        ("a scalar", b"just a text\n", 1),
        ("a list", b"- a\n- b\n", 1),
        ("no keys that we know", b"a: b\nc: d\n", 1),
        ("entries are a list", b"prp_tracking:\n- a\n- b\n", 2),
        ("entries are a text", b"prp_tracking: a\n", 1),
        ("the id is a list", b"id: [a]\ntitle: b\n", 1),
        ("an entry is a list", (good + "  P1-002: [a]\n").encode(), 5),
        ("an entry is a text", (good + "  P1-002: text\n").encode(), 5),
        ("an entry is nothing", (good + "  P1-002:\n").encode(), 5),
    ):
        yield Case(name, TRACKING, data, line)
    twice = {
        "the file": (good + good, 5),
        "entries": (good + entry("P1-001"), 5),
        "an entry": (good + "    title: B\n", 5),
        "a field": (good + "    paths:\n      shared: [a]\n      shared: [b]\n", 7),
        "metadata": ("metadata: {a: 1, a: 2}\n" + good, 1),
        "quoted otherwise": (good + '    "status": new\n', 5),
    }
    for name, (text, line) in twice.items():
        yield Case(f"key twice in {name}", TRACKING, text.encode(), line)
    yield Case("key twice in the file", SINGLE, (alone("P1-001") + "title: B\n").encode(), 4)
    laughs = "".join(f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))
    yield Case("a billion laughs", TRACKING, f"x:\n  a0: &a0 lol\n{laughs}{good}".encode(), 2)
    merges = "x: &x {a: b}\n" + "".join(f"y{n}:\n  <<: *x\n" for n in range(1_000)) + good
    yield Case("merge keys", TRACKING, merges.encode(), 1)


def _good() -> str:
    return tracked(entry("P1-001"))


def _ring(count: int) -> str:
    return tracked(*(entry(f"P1-{n:05d}", depends_on=f"[P1-{(n + 1) % count:05d}]") for n in range(count)))


def big() -> Iterator[Case]:
    """What costs time and memory, or would."""
    yield from (c._replace(refused=1) for c in both("a line of 10 MB", lambda: "x" * (10 * MB)))
    yield from both("deep flow", lambda: "[" * 100_000, line=0)
    yield from both("a line of 3.9 MB", lambda: "x" * (39 * MB // 10))
    yield from both("wide letters, 3.9 MB", lambda: "\u4e2d" * (13 * MB // 10))
    yield from both("a text of 3.9 MB in quotes", lambda: '"' + "x\\n" * (13 * MB // 10 - 100) + '"')
    yield from both("a block of blank lines", lambda: "|+\n" + "\n" * (3 * MB))
    yield from both("a folded text of 300,000 lines", lambda: ">\n" + "      word\n" * 300_000)
    yield Case(
        "quadratic growth", TRACKING, lambda: f"x: &a {'y' * 100_000}\nz: [{', '.join(['*a'] * 100_000)}]\n{_good()}", 1
    )
    for name, make, line in (
        ("1,000,000 keys", lambda: "".join(f"k{n}: \n" for n in range(1_000_000)), 1),
        ("300,000 keys", lambda: "".join(f"k{n}: \n" for n in range(300_000)), None),
        ("a key 200,000 times", lambda: "k: v\n" * 200_000, None),
        ("500,000 items", lambda: "prp_tracking:\n  P1-001: [" + "a," * 500_000 + "]\n", None),
        ("deep lists", lambda: "- " * 50_000 + "x\n", 1),
        ("deep mappings", lambda: "".join(" " * n + "a:\n" for n in range(1_500)), 21),
        ("complex keys", lambda: "? " * 50_000 + "x\n", 1),
        ("a key of 3 MB", lambda: "x" * (3 * MB) + ": y\n", 1),
        ("only comments", lambda: "#\n" * (3 * MB // 2), None),
        ("only blank lines", lambda: "\n" * (4 * MB - 10), None),
        ("only spaces", lambda: " " * (4 * MB - 10), None),
        ("blank lines, then an id", lambda: "\n" * (4 * MB - 100) + "id: P1-001\ntitle: x\nstatus: new\n", None),
        ("brackets", lambda: "[" * (4 * MB - 10), 1),
        ("braces", lambda: "{" * (4 * MB - 10), 1),
        ("quotes", lambda: '"' * (4 * MB - 10), 1),
        ("dashes", lambda: "-" * (4 * MB - 10), None),
        ("question marks", lambda: "? \n" * MB, 1),
        ("ampersands", lambda: "&a " * MB, 1),
        ("stars", lambda: "*a " * MB, 1),
        ("bangs", lambda: "!" * (4 * MB - 10), 1),
        ("percents", lambda: "%A b\n" * (MB // 2), 1),
        ("documents", lambda: "---\n" * MB, 2),
        ("many conflict markers", lambda: "<<<<<<< x\n" * (MB // 3), 1),
        ("10,000 PRPs that wait in a ring", lambda: _ring(10_000), None),
        (
            "250 PRPs that all wait for each other",
            lambda: tracked(
                *(entry(f"P-{n}", depends_on=f"[{', '.join(f'P-{m}' for m in range(250))}]") for n in range(250))
            ),
            None,
        ),
        (
            "5,000 PRPs behind a ring",
            lambda: tracked(*(entry(f"P-{n}", depends_on=f"[P-{max(n - 1, 0)}]") for n in range(5_000))),
            None,
        ),
        (
            "5,000 names that nobody has",
            lambda: tracked(*(entry(f"P1-{n:05d}", depends_on=f"[P1-{n:05d}x]") for n in range(5_000))),
            None,
        ),
        (
            "long names that nobody has",
            lambda: tracked(*(entry(f"{'a' * 9_000}{n}", depends_on=f"[{'ab' * 4_500}{n}]") for n in range(50))),
            None,
        ),
        (
            "5,000 PRPs with one alias",
            lambda: tracked(
                *(entry(f"P1-{n:05d}", stable_id="S-1", ci_run_url="u", github_commit="c") for n in range(5_000))
            ),
            None,
        ),
    ):
        yield Case(name, TRACKING, make, line)


def cases() -> list[Case]:
    """All of them, the big ones once."""
    return [*values(), *refused(), *big()]


def good() -> bytes:
    return untidy_ledger().encode()


_TOKENS = (
    *(b"\0", b"\r", b"\t", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xc2\x85"),
    *(b"&a ", b"*a", b"<<: ", b"!!x ", b"- ", b"? ", b": ", b"{", b"}", b"[", b"]", b"'", b'"', b"|", b">", b"#", b"%"),
    *(
        b"---\n",
        b"...\n",
        b"<<<<<<< x\n",
        b"=======\n",
        b">>>>>>> y\n",
        b"rev: 1-0123abcd\n",
        b"    ",
        b"\n",
        b"~",
        b",",
    ),
)


def mutations(count: int, data: bytes | None = None, seed: int = SEED) -> Iterator[bytes]:
    """A good ledger, damaged: bytes turned, taken out, doubled, moved; hostile words put in; lines exchanged."""
    rng = random.Random(seed)
    data = good() if data is None else data
    for _ in range(count):
        made = bytearray(data)
        for _ in range(rng.choice((1, 1, 1, 2, 5))):
            at = rng.randrange(len(made) + 1)
            to = min(len(made), at + rng.choice((1, 3, 40, 400)))
            way = rng.randrange(8)
            if way == 0 and at < len(made):
                made[at] = rng.randrange(256)
            elif way == 1:
                del made[at:to]
            elif way == 2:
                made[at:at] = made[at:to]
            elif way == 3:
                made[at:at] = rng.choice(_TOKENS)
            elif way == 4:
                piece = made[at:to]
                del made[at:to]
                other = rng.randrange(len(made) + 1)
                made[other:other] = piece
            elif way == 5:
                lines = made.split(b"\n")
                a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
                lines[a], lines[b] = lines[b], lines[a]
                made = bytearray(b"\n".join(lines))
            elif way == 6:
                lines = made.split(b"\n")
                n = rng.randrange(len(lines))
                lines[n][:0] = rng.choice((b" ", b"   ", b"\t"))
                made = bytearray(b"\n".join(lines))
            elif rng.random() < 0.2:
                del made[at:]
            else:
                made[at:at] = rng.choice(_TOKENS) * rng.choice((1, 2, 30))
        yield bytes(made)
