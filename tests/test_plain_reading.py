"""The quick reading of plain ledgers gives what the YAML parser's events give, to the last offset, or steps aside."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prpgate import ledger_plain
from prpgate.ledger_text import MAX_NODES, by_events, plain
from tests.ledgers import many

if TYPE_CHECKING:
    from prpgate.ledger_text import Node

EXAMPLES = int(os.environ.get("PRP_TEST_PLAIN", "400"))

ENTRY = """\
id: P2-040
# what it is about
title: Fix the 'login':cache (again)#2
status: in_progress
rev: 4-3fa9c1b2

owner: ann@example.org
notes: 'It''s "quoted": # no comment'
doc: "docs/a b.md"
validated_at: null
github_commit: 3320525
late: ~
number: -7
times: 10:30:00
depends_on: [P1-001, 12, true, P1-002]
none: []
paths:
  exclusive: [src]
  shared: [docs]
geändert: x
"""


def quick(text: str) -> Node | None:
    return ledger_plain.root(text, MAX_NODES, plain)


def agree(text: str) -> bool:
    """Whether the quick reading took the text; then it says the same."""
    found = quick(text)
    if found is None:
        return False
    strict = by_events(text, text.encode(), "a.yaml")
    assert (strict.findings, strict.twice) == ((), ())
    assert found == strict.root
    assert strict.root is not None
    assert list(found.fields) == list(strict.root.fields)
    return True


def test_what_prpgate_writes_is_plain() -> None:
    entry = ENTRY.replace("geändert: x\n", "")
    assert agree(entry)
    assert agree(entry.replace("again", "wieder, ä 日本 🎉"))
    assert agree(
        "# head\n\nprp_tracking:\n  P1-001:\n    title: a\n    status: new\n  P1-002:\n    title: b\nstats:\n  n: 2"
    )
    assert agree(many(50))


@pytest.mark.parametrize(
    "text",
    [
        "a: b: c\n",
        "a: b #c\n",
        "a: b \n",
        "a: b:\n",
        "a:\n",
        "a:\nb: 1\n",
        "a: x\n  y\n",
        "a: x\n  # c\n  y: 1\n",
        " a: 1\nb: 2\n",
        "a: 1\n b: 2\n",
        "a:\n  b: 1\n c: 2\n",
        "a: 1\na: 2\n",
        "a: |\n  x\n",
        "a: >\n  x\n",
        "a: &x 1\nb: *x\n",
        "a: !t 1\n",
        "a: {b: 1}\n",
        "a: [b, [c]]\n",
        "a: [b,c]\n",
        'a: "x\\n"\n',
        "a: 'x\n",
        "a: 'x' y\n",
        "- a\n",
        "a:\n- b\n",
        "a: - b\n",
        "a:\tb\n",
        "a: b\tc\n",
        "<<: 1\n",
        "--- a\n",
        "---\na: 1\n",
        "a: 1\n---\nb: 1\n",
        "...\n",
        "%YAML 1.1\n",
        "? a\n",
        "a: x\u2028b: y\n",
        "a: x\x85b: y\n",
        "a: x\u00a0\n",
        "a: @b\n",
        "a: `b\n",
        "geändert: x\n",
        "",
        "# nothing\n",
        "a\n",
        "a: b\r\n",
    ],
)
def test_what_is_not_plain_is_left_to_the_parser(text: str) -> None:
    assert quick(text) is None


def test_more_nodes_than_are_taken_are_left_to_the_parser() -> None:
    assert ledger_plain.root("a: 1\nb: [x, y]\n", 7, plain) is not None
    assert ledger_plain.root("a: 1\nb: [x, y]\n", 6, plain) is None


KEYS = st.sampled_from(["a", "b", "id", "P1-001", "x.y", "title", "null", "1", "_z", "a b", "-", "?"])
VALUES = st.one_of(
    st.sampled_from(
        ["", "x", "null", "12", "-3", "012", "'a''b'", "''", '""', '"a b"', "[]", "[a]", "[a, 1]", "[a ,b]"]
    ),
    st.text("ab1 :#'\"-,[]{}&*!|>%@`?.~äé\u00a0\t\\=", max_size=8),
)
LINES = st.one_of(
    st.builds(
        lambda i, k, s, v: f"{' ' * i}{k}:{s}{v}",
        st.sampled_from([0, 0, 2, 4, 1]),
        KEYS,
        st.sampled_from([" ", " ", "", "  "]),
        VALUES,
    ),
    st.sampled_from(["", "  ", "# c", "  # c", "---", "x"]),
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(LINES, max_size=8), st.sampled_from(["", "\n"]))
def test_any_text_is_read_alike_or_left(lines: list[str], end: str) -> None:
    agree("\n".join(lines) + end)


@settings(max_examples=EXAMPLES, deadline=None)
@given(VALUES)
def test_any_value_is_read_alike_or_left(value: str) -> None:
    agree(f"a: {value}\nb:\n  c: {value}\n")
