"""prp top in tmux, at three sizes: what the screen says, resized while it lives, and what it leaves behind."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from typing import TYPE_CHECKING

import pytest

from screen.tmux import Tmux
from tests.e2e.conftest import LEDGER, Project
from tests.world import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import Clone

SIZES = ((80, 24), (120, 40), (40, 15))
GIVEN_BACK = (False, True, True)


@pytest.fixture
def project(tmp_path: Path, home: Path) -> Project:
    """ana has P2-040; ben has P2-050, and nobody is landing."""
    one = Project(tmp_path)
    one.ana.prp("start", "P2-040")
    one.join("ben").prp("start", "P2-050")
    return one


def watching(clone: Clone, size: tuple[int, int], *args: str) -> Tmux:
    tmux = Tmux(clone.path, size, env=clone.env)
    with contextlib.ExitStack() as undo:
        undo.callback(tmux.end)
        tmux.type(" ".join(["prp", "top", *args]))
        tmux.until("prp top", "q quit")
        undo.pop_all()
    return tmux


def whole(tmux: Tmux, size: tuple[int, int]) -> list[str]:
    """The screen, which is one page and nothing else."""
    lines = tmux.screen()
    assert len(lines) == size[1]
    assert sum(line.startswith("prp top") for line in lines) == 1 and lines[0].startswith("prp top"), lines
    assert sum(line.startswith("q quit") for line in lines) == 1 and lines[-1].startswith("q quit"), lines
    return lines


EXPECTED = {
    (80, 24): """\
main  open  free  nobody in line
  landed .  SHA ana pushed, TIME ago
PRPs  2 new  15 validated  3 in progress  36 complete  1 deprecated
  ID      WHO     HELD  LEASE     SINCE  TITLE
  P2-030  nobody        no claim  TIME   Reminder mails v2
  P2-040  ana     TIME    TIME      TIME     Report editor
  P2-050  ben     TIME    TIME      TIME     Faster reports
READY 16
  P5-000  P5  Work on P5-000
  P5-003  P5  Work on P5-003
  P5-006  P5  Work on P5-006
  P5-009  P5  Work on P5-009
  … 12 more
AGENTS 2
  ana  TIME ago  P2-040 (TIME left)
  ben  TIME ago  P2-050 (TIME left)
EVENTS
  HH:MM  main  acquire  ana  SHA  got the lane
  HH:MM  main  intent  ana  SHA  about to push
  HH:MM  main  landed  ana  SHA
  HH:MM  P2-040  started  ana  SEAL
  HH:MM  P2-050  started  ben  SEAL
q quit   j k scroll""",
    (40, 15): """\
main  open  free  nobody in line
  landed .  TIME ago
PRPs  2 new  15 validated  3 in progres…
  P2-030  nobody  no claim  Reminder ma…
  P2-040  ana     TIME      Report edit…
  P2-050  ben     TIME      Faster repo…
READY 16
  P5-000  P5  Work on P5-000
  … 15 more
AGENTS 2  ana, ben
EVENTS
  HH:MM  P2-040  started  ana  1-SEAL…
  HH:MM  P2-050  started  ben  1-SEAL…
q quit   j k scroll""",
}


def told(tmux: Tmux) -> str:
    text = re.sub(r"\b[0-9]-[0-9a-f]{1,8}(?=…)", "1-SEAL", tmux.plain())
    text = re.sub(r"\b[0-9]-[0-9a-f]{8}\b", "SEAL", text)
    text = re.sub(r"\b(?=[0-9a-f]*[0-9])[0-9a-f]{7,10}\b", "SHA", text)
    return re.sub(r" +(?=TIME)", lambda m: m[0], text)


def spaced(text: str) -> str:
    """Without how many spaces fill a column: spans of time are not of one length."""
    return re.sub(r"  +", "  ", text)


@pytest.mark.parametrize("size", SIZES)
def test_what_the_screen_says(project: Project, size: tuple[int, int]) -> None:
    with watching(project.ana, size) as tmux:
        whole(tmux, size)
        said = spaced(told(tmux))
        first, _, rest = said.partition("\n")
        assert re.fullmatch(r"prp top  local/remote-[0-9a-f]{6}  HH:MM", first)
        if size in EXPECTED:
            assert rest.strip("\n") == spaced(EXPECTED[size])
        else:  # everything has room
            for line in EXPECTED[80, 24].splitlines():
                assert spaced(line) in rest or "more" in line, line
            assert "filled  57 PRPs" in rest and "P5-042" in rest


def test_a_landing_under_way_and_a_line_and_a_closed_lane(project: Project) -> None:
    ana, ben = project.ana, project.join("eve")
    project.remote_hook("pre-receive", "#!/bin/sh\nwhile [ ! -e ../go ]; do sleep 0.1; done\n")
    ana.commit("P2-040: work", a="1")
    ben.commit("more", b="1")
    with watching(ana, (80, 24)) as tmux, Tmux(ana.path, env=ana.env) as other:
        other.type("git push")
        said = tmux.until("held by ana (P2-040", "pushing for", "left")
        assert "main  open" in said
        refused = ben.git("push", ok=False)
        assert refused.code and "held by ana" in refused.text
        tmux.until("1. eve  place kept,", "1 in line")
        ana.prp("lane", "close", "--reason", "the \x1b[31mbuild\x1b[0m is\nbroken \u202etxt")
        said = tmux.until("CLOSED", "closed by ana")
        assert "the \\x1b[31mbuild\\x1b[0m is\\x0abroken \\u202etxt" in said
        whole(tmux, (80, 24))
        tmux.resize(40, 15)
        tmux.until("CLOSED", "pushing", "1. eve")
        tmux.resize(80, 24)
        (project.folder / "go").touch()
        tmux.until("free", gone="held by ana")
        ana.prp("lane", "open", "--reason", "it builds")
        said = tmux.until("main  open", "it builds")
        assert "landed .." in said


def test_resized_while_it_lives_leaves_no_garbage(project: Project) -> None:
    with watching(project.ana, (120, 40)) as tmux:
        for n, size in enumerate(
            [(80, 24), (40, 15), (120, 40), (33, 11), (200, 50), (80, 24), (40, 15), (79, 23)] * 2
        ):
            tmux.resize(*size)
            if n % 4 == 0:
                project.ana.prp("note", "P2-040", f"number {n}")
        size = (79, 23)
        tmux.until("prp top", "q quit", "number 12")
        lines = whole(tmux, size)
        assert sum("PRPs  2 new" in line for line in lines) == 1
        assert sum(line.startswith("EVENTS") for line in lines) == 1
        tmux.resize(12, 4)
        tmux.until("prp")
        tmux.resize(5, 2)
        time.sleep(0.3)
        tmux.resize(*size)
        tmux.until("prp top", "q quit", "number 12")
        whole(tmux, size)


def test_wide_and_hostile_titles_stay_in_their_columns(project: Project) -> None:
    ana = project.ana
    titles = {
        "P2-040": '"日本語の題名がとても長いので切らなければならないと思う日本語の題名がとても長い"',
        "P2-050": '"a\\e[31mred\\a \\u202ebackwards e\\u0301\\u0302\\u0303 \\U0001F1E9\\U0001F1EA \\u2764\\uFE0F"',
        "P2-030": '"' + "\\U0001F680" * 60 + '"',
    }
    text = ana.read(LEDGER)
    for prp_id, title in titles.items():
        before, found, after = text.partition(f"\n  {prp_id}:\n    title: ")
        assert found
        text = before + found + title + "\n" + after.partition("\n")[2]
    ana.write(LEDGER, text)
    ana.git("commit", "-qam", "titles")
    ana.git("push", "-q", "--no-verify")
    ana.prp("redis-sync")
    for size in SIZES:
        with watching(ana, size) as tmux:
            lines = whole(tmux, size)
            (wide,) = (line for line in lines if line.startswith("  P2-040"))
            assert wide.endswith("…" if size[0] < 120 else "長い") and "日本語" in wide
            (odd,) = (line for line in lines if line.startswith("  P2-050"))
            assert "a\\x1b[31m"[: 4 if size[0] < 60 else 9] in odd
            starts = {line.index(word) for line, word in ((wide, "日本語"), (odd, "a\\"))}
            assert len(starts) == 1, "the titles stand one below the other"


@pytest.mark.parametrize("how", ["q", "C-c", "C-\\", "TERM", "HUP"])
def test_the_terminal_is_given_back(project: Project, how: str) -> None:
    with Tmux(project.ana.path, env=project.ana.env) as tmux:
        tmux.type("stty -a > ../before; echo here I was")
        tmux.until("\nhere I was")
        tmux.type('prp top; echo "code $?"; stty -a > ../after; echo done')
        tmux.until("q quit")
        assert tmux.flags() == (True, False, False)
        if how.isupper() and not how.startswith("C-"):
            os.kill(top_below(tmux), getattr(signal, f"SIG{how}"))
        else:
            tmux.keys(how)
        said = tmux.until("\ndone")
        assert f"code {0 if how == 'q' else 130}" in said
        assert "here I was" in said and "q quit" not in said
        assert tmux.flags() == GIVEN_BACK
        assert (project.folder / "before").read_text() == (project.folder / "after").read_text()
        tmux.type("echo typed and shown")
        tmux.until("ready> echo typed and shown\ntyped and shown")


def top_below(tmux: Tmux) -> int:
    """The process of `prp top` that the shell of this screen runs."""
    shell = tmux.command("display-message", "-t", "it", "-p", "#{pane_pid}").strip()
    return int(run(["ps", "-o", "pid=", "--ppid", shell], tmux.folder).out.split()[0])


def test_stopped_and_taken_up_again(project: Project) -> None:
    with Tmux(project.ana.path, shell="bash", env=project.ana.env) as tmux:
        tmux.type("stty -a > ../before; prp top")
        tmux.until("q quit")
        for _ in range(2):
            tmux.keys("C-z")
            tmux.until("Stopped")
            assert tmux.flags() == GIVEN_BACK
            tmux.type("clear; stty -a > ../after; echo in between")
            tmux.until("\nready>", gone="Stopped")
            # While a job is stopped bash's own line editor is at work between commands, not in them.
            assert (project.folder / "before").read_text() == (project.folder / "after").read_text()
            tmux.type("fg")
            tmux.until("prp top  local", "q quit")
            whole(tmux, (80, 24))
            assert tmux.flags() == (True, False, False)
        tmux.keys("q")
        tmux.until("in between")
        assert tmux.flags() == GIVEN_BACK


def test_keys_scroll_the_board_and_turn_to_the_next_lane(project: Project) -> None:
    ana = project.ana
    ana.prp("status")
    for n in range(0, 40, 3):
        ana.env["PRP_AGENT"] = f"a{n}"
        ana.prp("start", f"P5-{n:03d}", ok=False)
    ana.env["PRP_AGENT"] = "ana"
    with watching(ana, (80, 24)) as tmux:
        before = tmux.until("P2-030", "more")
        for _ in range(8):
            tmux.keys("j")
        tmux.until("above", gone="nobody  ")
        for _ in range(8):
            tmux.keys("Up")
        tmux.until("nobody  ", gone="above")
        assert before.splitlines()[4] in "\n".join(tmux.screen())
        tmux.keys("q")
