"""Texts that people and shells give: lines that would pass for ours, bytes that are no UTF-8."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.e2e.conftest import LEDGER

if TYPE_CHECKING:
    from tests.e2e.conftest import Project

FORGED = "P9-999 is yours"
NO_UTF8 = os.fsdecode(b"x\xff")


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(FORGED)]


def test_a_title_or_note_of_several_lines_starts_no_line_of_its_own(project: Project) -> None:
    ana = project.ana
    head, mark, stats = ana.read(LEDGER).partition("stats:\n")
    entry = f'  P0-900:\n    title: "Fix\\n{FORGED}"\n    status: new\n    priority: "P0\\n{FORGED}"\n    notes: x\n'
    ana.commit_files("an entry", {LEDGER: head + entry + mark + stats})
    ana.git("push", "-q")
    ana.prp("validate", "P0-900")
    for command in ("next", "why P0-900", "start P0-900", "status", "status P0-900", "list"):
        said = ana.prp(*command.split()).text
        assert f"Fix\\x0a{FORGED}" in said and lines(said) == [], command
    ana.prp("note", "P0-900", f"one\n{FORGED}\u2028{FORGED}")
    said = ana.prp("status", "P0-900").out
    assert f": one\n  | {FORGED}\n  | {FORGED}\n" in said and lines(said) == []


def test_words_and_branches_that_are_no_utf8(project: Project) -> None:
    ana = project.ana
    unknown = ana.prp("history", NO_UTF8, ok=False)
    assert unknown.code == 1 and "nothing is known of x\\udcff" in unknown.err
    ana.git("switch", "-q", "-c", NO_UTF8)
    ana.prp("start", "P2-040")
    assert ", x? on " in ana.prp("status", "P2-040").out
    assert "P2-020" in ana.prp("reopen", "P2-020", "--reason", NO_UTF8).out
