"""prp watch in tmux, at three sizes: one line an event, cut to the width, in colour; and what Ctrl-C leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from screen.tmux import PROMPT, Tmux
from tests.e2e.conftest import Project
from tests.prps import LEDGER, OLD, TOML

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import Clone, Server, World


@pytest.fixture
def project(tmp_path: Path, home: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def desk(world: World, server: Server) -> Clone:
    """A clone whose store is a server of the test's own, which may be stopped."""
    settings = TOML.replace('project = "example/app"', 'project = "example/app"\n[store]\nid = "1"\nscope = "team"')
    ana = world.clone("ana", first=True)
    ana.commit_files("the ledger", {"prp.toml": settings, LEDGER: OLD})
    ana.git("push", "-q")
    ana.env["PRP_REDIS_URL"] = server.url
    ana.prp("store", "adopt", "--yes")
    ana.prp("redis-sync")
    return ana


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (40, 15)])
def test_what_the_screen_says(project: Project, size: tuple[int, int]) -> None:
    ana = project.ana
    with Tmux(ana.path, size, env={**ana.env, "NO_COLOR": ""}) as tmux:
        tmux.type("clear; prp watch")
        tmux.until("Watching; Ctrl-C ends it.")
        ana.prp("start", "P2-040")
        ana.prp("block", "P2-040", "--reason", "no \x1b[31mkeys\x07 yet, " + "and so on " * 20)
        ana.prp("lane", "close", "--reason", "the build is broken")
        tmux.until("  close  ana  the bui")
        lines = [line for line in tmux.screen() if line][1:]
        # Nothing spilled over: as many lines as events.
        assert [word for line in lines for word in ("started", "blocked", "close") if f"  {word}  " in line] == [
            *("started", "blocked", "close")
        ]
        assert len(lines) == 3
        dated = size[0] >= 60
        assert all(line[2 if not dated else 8] == ":" for line in lines), "the date goes where there is no room for it"
        blocked = next(line for line in lines if "blocked" in line)
        assert blocked.endswith("…") and len(blocked) <= size[0]
        assert "no \\x1b[" in blocked or not dated
        styled = "\n".join(tmux.screen(styles=True))
        assert "\x1b[31m" in styled.partition("close")[0].rpartition("\n")[2] + "close", "a closed lane is red"
        tmux.resize(size[0] - 10, size[1])
        ana.prp("note", "P2-040", "after the resize " * 10)
        tmux.until("note")
        note = next(line for line in tmux.screen() if "  note  " in line)
        assert note.endswith("…") and len(note) <= size[0] - 10
        tmux.keys("C-c")
        said = tmux.until("prp: stopped")
        assert "Traceback" not in said
        tmux.type("echo code $?")
        tmux.until("code 130")


def test_no_color_is_honoured(project: Project) -> None:
    ana = project.ana
    with Tmux(ana.path, env={**ana.env, "NO_COLOR": "1"}) as tmux:
        tmux.type("prp watch --since 1h")
        tmux.until("landed")
        assert "\x1b[" not in "".join(line for line in tmux.screen(styles=True))


def test_a_store_that_goes_away_and_comes_back_is_said(desk: Clone, server: Server) -> None:
    with Tmux(desk.path, (100, 30), env=desk.env) as tmux:
        tmux.type("clear; prp watch --event note")
        tmux.until("Watching")
        server.stop()
        tmux.until("Waiting for it to come back; nothing is lost meanwhile.")
        server.start()
        tmux.until("The store is back.")
        desk.prp("start", "P1-003")
        desk.prp("note", "P1-003", "here again")
        said = tmux.until("here again")
        assert "started" not in said, "only notes were asked for"
        assert said.count("The store is back.") == 1
        tmux.keys("C-c")
        tmux.until(f"prp: stopped\n{PROMPT}")
