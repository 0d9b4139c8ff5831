"""prp top and prp watch: on a terminal, which is given back as it was, and where there is none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.terminals import ENTERED, LEFT, OnTerminal, is_as_before
from tests.world import World, run

if TYPE_CHECKING:
    from tests.e2e.conftest import Project
    from tests.world import Clone, Server

PRP = [sys.executable, "-m", "prpgate"]
BLIND = "import sys\nsys.modules['rich'] = None\nfrom prpgate.cli.main import run\nraise SystemExit(run(sys.argv[1:]))"

# Draws twice, and then finds a fault in itself.
FAULTY = """
import sys
from prpgate import top_page
from prpgate.cli.main import run
whole, drawn = top_page.page, []
def page(*args):
    drawn.append(1)
    return whole(*args) if len(drawn) < 3 else [][0]
top_page.page = page
raise SystemExit(run(sys.argv[1:]))
"""


@pytest.fixture
def desk(world: World, server: Server) -> Clone:
    """A clone whose store is a server of the test's own, which may be stopped."""
    from tests.prps import LEDGER, OLD, TOML

    settings = TOML.replace('project = "example/app"', 'project = "example/app"\n[store]\nid = "1"\nscope = "team"')
    ana = world.clone("ana", first=True)
    ana.commit_files("the ledger", {"prp.toml": settings, LEDGER: OLD})
    ana.git("push", "-q")
    ana.env["PRP_REDIS_URL"] = server.url
    ana.prp("store", "adopt", "--yes")
    ana.prp("redis-sync")
    return ana


# --- without a terminal -----------------------------------------------------------------------------------------------
def test_once_and_as_an_object(project: Project) -> None:
    ana = project.ana
    ana.prp("start", "P2-040")
    said = ana.prp("top", "--once").out
    assert "main  open  free" in said and "P2-040  ana" in said and "started  ana" in said
    assert "\x1b" not in said
    one = json.loads(ana.prp("top", "--json").out)
    assert {"project", "now", "lanes", "counts", "in_progress", "ready", "held_back", "agents", "events"} <= set(one)
    assert one["lanes"][0]["landings"][-1]["verdict"] == "pushed"
    mine = next(p for p in one["in_progress"] if p["id"] == "P2-040")
    assert (mine["suspect"], mine["blocked_by"], mine["claim"]["agent"]) == (False, [], "ana")
    assert sum(one["counts"].values()) == 57
    assert "ana" in [a["name"] for a in one["agents"]]
    refused = ana.prp("top", "--lane", "nope", ok=False)
    assert refused.code == 2 and "no lane" in refused.err


def test_without_a_terminal_a_snapshot_and_then_lines(project: Project) -> None:
    ana, ben = project.ana, project.join("ben")
    env = {**os.environ, **ana.env}
    pipe = subprocess.PIPE
    top = subprocess.Popen([*PRP, "top"], cwd=ana.path, env=env, stdout=pipe, stderr=pipe, text=True, bufsize=1)
    assert top.stdout is not None
    lines = [top.stdout.readline()]
    assert lines[0].startswith("main  open  free")
    while lines[-1] != "EVENTS\n":
        lines.append(top.stdout.readline())
    ben.prp("start", "P2-040")
    while "P2-040  started  ben" not in lines[-1]:
        lines.append(top.stdout.readline())
    assert "\x1b" not in "".join(lines)
    top.send_signal(signal.SIGTERM)
    top.communicate(timeout=20)
    assert top.returncode == 130


def test_a_store_that_is_down_is_a_refusal(desk: Clone, server: Server) -> None:
    server.stop()
    done = desk.prp("top", ok=False)
    assert (done.code, "prp redis-status" in done.err) == (4, True)


def test_a_dumb_terminal_and_one_without_rich_get_lines(desk: Clone) -> None:
    with OnTerminal(desk, "top", TERM="dumb") as one:
        one.until("PRPs", "Watching; Ctrl-C ends it.")
        one.type("\x03")
        assert one.ended() == 130
        assert "\x1b" not in one.said
    with OnTerminal(desk, "top", code=BLIND) as one:
        one.until("-m pip install", "[terminal]", "PRPs", "Watching")
        one.type("\x03")
        assert one.ended() == 130
        assert ENTERED not in one.said


# --- on a terminal ----------------------------------------------------------------------------------------------------
def test_q_ends_it_and_the_terminal_is_as_before(desk: Clone) -> None:
    with OnTerminal(desk, "top") as one:
        one.until("prp top  example/app", "PRPs", "q quit")
        assert one.settings() != one.before, "keys come as they are typed"
        one.type("jjkl\x1b[A\x1b[B\x1bOA\x1b[15~")
        one.type("q")
        assert one.ended() == 0
        assert is_as_before(one)
        assert one.said.endswith((LEFT, "\x1b[?25h"))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_ends_it_and_the_terminal_is_as_before(desk: Clone, how: int) -> None:
    with OnTerminal(desk, "top") as one:
        one.until("q quit")
        one.process.send_signal(how)
        assert one.ended() == 130
        assert is_as_before(one)
        assert one.said.rstrip().endswith("prp: stopped")


def test_ctrl_c_and_ctrl_backslash_as_typed(desk: Clone) -> None:
    for key in ("\x03", "\x1c"):
        with OnTerminal(desk, "top") as one:
            one.until("q quit")
            one.type(key)
            assert one.ended() == 130
            assert is_as_before(one)


def test_a_terminal_that_goes_away_ends_it(desk: Clone) -> None:
    with OnTerminal(desk, "top") as one:
        one.until("q quit")
        os.close(one.slave)
        os.close(one.master)
        one.process.wait(20)
        assert one.process.returncode == 130


def test_a_store_that_is_another_ends_it_and_the_terminal_is_as_before(desk: Clone, server: Server) -> None:
    with OnTerminal(desk, "top") as one:
        one.until("q quit")
        server.stop()
        one.until("STORE AWAY")
        for path in (server.folder + "/appendonlydir",):
            run(["rm", "-rf", path], desk.path)
        server.start()
        assert one.ended() == 4
        assert is_as_before(one)
        assert "prp redis-status" in one.said[one.said.rfind(LEFT) :], "the refusal is on the screen that stays"


def test_a_fault_ends_it_and_the_terminal_is_as_before(desk: Clone) -> None:
    with OnTerminal(desk, "top", code=FAULTY) as one:
        assert one.ended() == 3
        assert is_as_before(one)
        assert "this is a fault in prpgate: IndexError" in one.said[one.said.rfind(LEFT) :]


def test_a_fault_while_reading_ends_it_too(desk: Clone, server: Server) -> None:
    with OnTerminal(desk, "top") as one:
        one.until("q quit")
        server.redis().hset("prp:{example/app}:agents", "mallory", "no JSON")
        desk.prp("note", "P1-003", "look")
        assert one.ended() == 3
        assert is_as_before(one)
        assert "Traceback" not in one.said and "this is a fault in prpgate" in one.said[one.said.rfind(LEFT) :]


def test_it_shows_what_happens_and_a_store_that_goes_and_comes_back(desk: Clone, server: Server) -> None:
    with OnTerminal(desk, "top", size=(100, 30)) as one:
        one.until("q quit")
        begun = time.monotonic()
        desk.prp("start", "P1-003")
        one.until("P1-003  started  ana")
        assert time.monotonic() - begun < 10
        server.stop()
        one.until("STORE AWAY for 1s")
        server.start()
        one.read(3)
        desk.prp("note", "P1-003", "after the store was back")
        assert "STORE AWAY" not in one.until("after the store was back").rpartition("prp top")[2]
        one.type("q")
        assert one.ended() == 0


def test_a_store_that_hangs_hangs_nobody(desk: Clone, server: Server) -> None:
    with OnTerminal(desk, "top", size=(100, 30)) as one:
        one.until("q quit")
        server.send(signal.SIGSTOP)
        try:
            begun = time.monotonic()
            one.resize(60, 20)
            one.until("q quit", seconds=3)
            one.until("STORE AWAY")
            one.type("q")
            asked = time.monotonic()
            assert one.ended() == 0
            assert time.monotonic() - asked < 5, f"after {asked - begun:.1f} s"
            assert is_as_before(one)
        finally:
            server.send(signal.SIGCONT)


def test_a_resize_is_drawn_anew(desk: Clone) -> None:
    with OnTerminal(desk, "top", size=(120, 40)) as one:
        one.until("q quit")
        one.read(0.3)
        one.resize(40, 15)
        rows = one.until("q quit").split("\n")
        assert max(map(len, rows[-15:])) <= 40
        one.type("q")
        assert one.ended() == 0


def test_hostile_titles_steer_nothing(desk: Clone) -> None:
    from tests.prps import LEDGER

    text = desk.read(LEDGER).replace("title: ", 'title: "\\e[2J\\a\\u202e" #', 1)
    desk.write(LEDGER, text)
    desk.git("commit", "-qam", "a title")
    desk.git("push", "-q", "--no-verify")
    desk.prp("redis-sync")
    desk.prp("send", "@all", "x")
    evil = "\x1b]0;pwned\x07\x1b[2J\u202e"
    run([*PRP, "note", "P1-003", evil], desk.path, env={**desk.env, "PRP_AGENT": evil}, ok=False)
    with OnTerminal(desk, "top") as one:
        one.until("q quit")
        one.type("q")
        assert one.ended() == 0
        assert "\x07" not in one.said and "\x1b]" not in one.said and "\x1b[2J" not in one.said.partition(ENTERED)[2]
        assert "\u202e" not in one.said


# --- watch ------------------------------------------------------------------------------------------------------------
def test_watch_on_a_terminal_has_colour_and_one_line_an_event(desk: Clone) -> None:
    desk.prp("start", "P1-003")
    desk.prp("note", "P1-003", "long " * 100)
    desk.prp("release", "P1-003")
    with OnTerminal(desk, "watch", "--since", "1h", size=(60, 10), NO_COLOR="") as one:
        said = one.until("released")
        assert "\x1b[2m" in one.said
        assert all(len(line) <= 60 for line in said.split("\n"))
        assert any(line.endswith("…") for line in said.split("\n"))
        one.resize(30, 10)
        desk.prp("note", "P1-003", "longer " * 20)
        assert len(one.until("note").strip()) <= 30
        one.type("\x03")
        assert one.ended() == 130
    with OnTerminal(desk, "watch", "--since", "1h") as one:  # NO_COLOR is set in every test
        one.until("released")
        assert "\x1b" not in one.said


def test_watch_through_a_pipe_cuts_nothing(desk: Clone) -> None:
    desk.prp("start", "P1-003")
    desk.prp("note", "P1-003", "long " * 150)
    for more, wanted in (((), True), (("--event", "started,taken-over"), False)):
        env = {**os.environ, **desk.env}
        command = [*PRP, "watch", "--since", "1h", *more]
        watch = subprocess.Popen(command, cwd=desk.path, env=env, stdout=subprocess.PIPE, text=True, bufsize=1)
        assert watch.stdout is not None
        lines = [watch.stdout.readline()]
        while "started" not in lines[-1]:
            lines.append(watch.stdout.readline())
        desk.prp("release", "P1-003")
        desk.prp("start", "P1-003")
        while sum("started" in line or "taken-over" in line for line in lines) < 2:
            lines.append(watch.stdout.readline())
        watch.send_signal(signal.SIGINT)
        watch.communicate(timeout=20)
        assert any("long " * 149 in line for line in lines) is wanted
        assert any("released" in line for line in lines) is wanted


def test_watch_knows_the_events_that_it_is_asked_for(desk: Clone) -> None:
    done = desk.prp("watch", "--event", "landde", ok=False)
    assert (done.code, "prp watch --event landed" in done.err) == (2, True)
