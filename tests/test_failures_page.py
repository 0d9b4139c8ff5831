"""docs/failures.md names what guards each row and what proves it: the files and the tests that it names are there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAD = ("what happens", "what is guaranteed", "guarded by", "proven by")


def rows() -> list[tuple[str, ...]]:
    lines = (ROOT / "docs" / "failures.md").read_text("utf-8").splitlines()
    found = [tuple(c.strip() for c in line.strip("|").split("|")) for line in lines if line.startswith("|")]
    return [r for r in found if r != HEAD and set("".join(r)) != {"-"}]


@cache
def names_in(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / "tests" / file).read_text("utf-8"))
    return frozenset(n.name for n in tree.body if isinstance(n, ast.FunctionDef) and n.name.startswith("test_"))


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_what_a_row_names_is_there(row: tuple[str, ...]) -> None:
    assert len(row) == len(HEAD)
    assert all(row)
    path = Path()
    for guard in re.findall(r"`([^`]+)`", row[2]):
        if "/" in guard or "." in guard:
            path = ROOT / ("" if guard.startswith(("hooks/", "ci/")) else "src/prpgate") / guard
            assert path.is_file(), guard
        else:  # a function, or a name, in the file before it
            assert re.search(rf"\b{re.escape(guard)}\b", path.read_text("utf-8")), f"{guard} in {path}"
    assert path.is_file(), "no guard is named"
    file = ""
    for proof in row[3].split(", "):
        before, _, name = proof.partition("::")
        file = before or file
        assert name in names_in(file), proof


def test_every_part_of_the_page_has_rows() -> None:
    text = (ROOT / "docs" / "failures.md").read_text("utf-8")
    parts = text.split("\n## ")[1:]
    assert len(parts) >= 8
    assert all(part.count("\n| ") >= 2 for part in parts)
