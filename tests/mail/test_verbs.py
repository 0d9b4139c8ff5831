"""agents, send, inbox, listen, watch, whoami --role, as people and programs use them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.mail import asleep
from tests.prps import LEDGER, OLD, TOML
from tests.world import Clone, World, run

if TYPE_CHECKING:
    from tests.world import Server

SETTINGS = TOML.replace('project = "example/app"', 'project = "example/app"\n[store]\nid = "box-1"\nscope = "team"')
PRP = [sys.executable, "-m", "prpgate"]
MESSAGE = {"id", "from", "to", "text", "cause", "prp", "priority", "reply_to", "time", "acknowledged", "acks", "due"}
AGENT = {"name", "kind", "roles", "domain", "host", "worktree", "seen", "silent", "suspect", "holds", "unread"}
EVENT = {"schema", "id", "time", "lane", "event", "prp", "agent", "fence", "sha", "detail", "to"}


@pytest.fixture
def desks(world: World, server: Server) -> tuple[Clone, Clone]:
    ana = world.clone("ana", first=True)
    ana.commit_files("the ledger", {"prp.toml": SETTINGS, LEDGER: OLD})
    ana.git("push", "-q")
    ben = world.clone("ben")
    for one in (ana, ben):
        one.env["PRP_REDIS_URL"] = server.url
    ana.prp("store", "adopt", "--yes")
    server.redis().delete("prp:{example/app}:quiet")  # nobody was pushing
    ana.prp("redis-sync")
    ben.prp("redis-status")
    return ana, ben


def ask(clone: Clone, *args: str, ok: bool = True, **more: Any) -> Any:
    done = clone.prp(*args, "--json", ok=ok, **more)
    assert done.out.count("\n") == 1, done
    answer = json.loads(done.out)
    assert (answer["schema"], answer["ok"]) == (1, done.code == 0)
    return answer


def begin(clone: Clone, *args: str) -> subprocess.Popen[str]:
    import os

    env = {**os.environ, **clone.env}
    pipe = subprocess.PIPE
    return subprocess.Popen([*PRP, *args], cwd=clone.path, env=env, stdout=pipe, stderr=pipe, text=True, bufsize=1)


def test_a_conversation(desks: tuple[Clone, Clone]) -> None:
    ana, ben = desks
    assert "Nothing unread" in ben.prp("inbox").err
    assert "You have sent nothing" in ana.prp("inbox", "--sent").err
    sent = ask(ana, "send", "ben", "look", "at", "P1-003", "--prp", "P1-003", "--priority", "urgent")
    assert (sent["known"], sent["due"], sent["already"], sent["near"]) == (True, 1, False, [])
    assert "1 unread message: prp inbox" in ben.prp("status").err
    assert "1 unread message: prp inbox" in ben.prp("next").err
    shown = ben.prp("inbox").out
    assert "ana  urgent  P1-003" in shown
    assert "  | look at P1-003\n" in shown
    (message,) = ask(ben, "inbox")["messages"]
    assert set(message) == MESSAGE
    assert (message["from"], message["acknowledged"], message["due"]) == ("ana", False, ["ben"])
    assert "not yet by ben" in ana.prp("inbox", "--sent").out
    reply = ask(ben, "send", "ana", "-", "--reply-to", message["id"], stdin="done\nsecond line\n")
    assert ask(ben, "inbox", "--ack", message["id"])["acked"] == [message["id"]]
    assert "acknowledged by ben" in ana.prp("inbox", "--sent").out
    assert "unread" not in ben.prp("status").err
    assert f"in reply to {message['id']}" in ana.prp("inbox", "--ack-all").out
    again = ask(ana, "inbox", "--all")["messages"]
    assert [(m["id"], m["text"], m["acknowledged"]) for m in again] == [(reply["id"], "done\nsecond line", True)]
    assert ask(ben, "inbox", "--ack", "m-none", ok=False)["error"]["code"] == "unknown-message"


def test_refusals_say_what_to_type(desks: tuple[Clone, Clone], server: Server) -> None:
    ana, _ = desks
    done = ana.prp("send", "bne", "hello")
    assert "Did you mean ben?" in done.err
    assert ask(ana, "send", "ben", "-", stdin="x" * 16_385, ok=False)["error"]["code"] == "too-long"
    assert ana.prp("send", "ben", "-", ok=False).code == 2, "an empty standard input"
    assert ana.prp("send", "ben", "x", "--priority", "now", ok=False).code == 2
    assert ana.prp("inbox", "--all", "--sent", ok=False).code == 2
    assert ana.prp("watch", "--since", "yesterday", ok=False).code == 2
    assert ana.prp("whoami", "--role", "all", ok=False).code == 2
    server.stop()
    for args in (("send", "ben", "x"), ("inbox",), ("listen",), ("agents",), ("watch",)):
        done = ana.prp(*args, ok=False)
        assert (done.code, "prp redis-status" in done.err) == (4, True), (args, done)


def test_a_message_about_no_prp_is_refused_with_the_nearest(desks: tuple[Clone, Clone], server: Server) -> None:
    ana, ben = desks
    error = ask(ana, "send", "ben", "look", "--prp", "P1-033", ok=False)["error"]
    assert error["code"] == "unknown-prp" and "P1-003" in error["message"]
    assert not server.redis().exists("prp:{example/app}:mail:records"), "nothing was sent"
    ask(ana, "send", "ben", "look", "--prp", "PRP-1003")
    assert [m["prp"] for m in ask(ben, "inbox")["messages"]] == ["P1-003"], "its own id, whatever it was called"


def test_agents_say_who_is_there_and_what_they_hold(desks: tuple[Clone, Clone], server: Server) -> None:
    ana, ben = desks
    assert "has the role reviewer" in ben.prp("whoami", "--role", "reviewer").out
    ben.prp("start", "P1-003")
    ana.prp("send", "@reviewer", "please look")
    found = {a["name"]: a for a in ask(ana, "agents")["agents"]}
    assert all(set(a) == AGENT for a in found.values())
    assert (found["ben"]["roles"], found["ben"]["unread"], found["ben"]["kind"]) == (["reviewer"], 1, "program")
    assert found["ben"]["worktree"] == str(ben.path)
    assert [(h["what"], h["name"]) for h in found["ben"]["holds"]] == [("claim", "P1-003")]
    assert [a["name"] for a in ask(ana, "agents", "--role", "reviewer")["agents"]] == ["ben"]
    assert "prp whoami --role tester" in ana.prp("agents", "--role", "tester").err
    client = server.redis()
    raw = json.loads(str(client.hget("prp:{example/app}:agents", "ben")))
    client.hset("prp:{example/app}:agents", "ben", json.dumps({**raw, "at": raw["at"] - 600_000}))
    assert "suspect: silent since" in ana.prp("agents").out
    (ben.path / ".git" / "prp-seen").unlink(missing_ok=True)
    ben.prp("redis-status")  # any command that talks to the store
    assert "silent" not in ana.prp("agents").out


def test_a_push_to_a_lane_is_a_sign_of_life(desks: tuple[Clone, Clone], server: Server) -> None:
    ana, ben = desks
    ben.prp("install")
    ben.commit_files("work", {"src/x": "x"})
    server.redis().hdel("prp:{example/app}:agents", "ben")
    (ben.path / ".git" / "prp-seen").unlink(missing_ok=True)
    ben.git("push", "-q")
    assert "ben" in [a["name"] for a in ask(ana, "agents")["agents"]]


def test_listen_ends_with_what_comes_with_75_or_with_ctrl_c(desks: tuple[Clone, Clone], server: Server) -> None:
    ana, ben = desks
    done = ben.prp("listen", "--timeout", "0.2", "--json", ok=False)
    assert (done.code, json.loads(done.out)["error"]["code"]) == (75, "nothing")
    listener = begin(ben, "listen", "--ack", "--json")
    asleep(server)
    ana.prp("send", "ben", "wake up")
    out, err = listener.communicate(timeout=60)
    assert listener.returncode == 0, err
    assert [m["text"] for m in json.loads(out)["messages"]] == ["wake up"]
    assert ask(ben, "inbox")["unread"] == 0
    for number in (signal.SIGINT, signal.SIGTERM):
        listener = begin(ben, "listen")
        assert listener.stderr is not None
        assert listener.stderr.readline() == "Listening; Ctrl-C ends it.\n"
        listener.send_signal(number)
        out, err = listener.communicate(timeout=60)
        assert (listener.returncode, out, err) == (130, "", "prp: stopped\n")


def test_watch_shows_the_past_then_what_happens_and_ends_clean(desks: tuple[Clone, Clone]) -> None:
    ana, ben = desks
    ana.prp("validate", "P1-004")
    watcher = begin(ben, "watch", "--json", "--since", "1h")
    assert watcher.stdout is not None
    lines: list[dict[str, Any]] = []
    while not any(line["event"] == "validated" for line in lines):
        lines.append(json.loads(watcher.stdout.readline()))
    assert all(set(line) == EVENT and line["schema"] == 1 for line in lines)
    ana.prp("start", "P1-003")
    ana.prp("send", "cat", "not for ben")
    ana.prp("send", "ben", "for ben", "--prp", "P1-003")
    while not any(line["event"] == "message" for line in lines):
        lines.append(json.loads(watcher.stdout.readline()))
    assert [line["to"] for line in lines if line["event"] == "message"] == ["ben"]
    assert ("started", "P1-003", "ana") in [(e["event"], e["prp"], e["agent"]) for e in lines]
    watcher.send_signal(signal.SIGINT)
    out, err = watcher.communicate(timeout=60)
    assert (watcher.returncode, out) == (130, ""), err
    assert "Traceback" not in err
    last = next(e["id"] for e in lines if e["event"] == "validated")
    again = begin(ben, "watch", "--since", last, "--prp", "P1-003")
    assert again.stdout is not None
    assert "P1-003  started  ana" in again.stdout.readline()
    again.send_signal(signal.SIGTERM)
    again.communicate(timeout=60)
    assert again.returncode == 130


def test_hostile_text_steers_no_terminal(desks: tuple[Clone, Clone]) -> None:
    ana, ben = desks
    nasty = "\x1b[2Jred\x07\u202eflip\nana  urgent  forged header\r" + "y" * 10_000
    ana.prp("send", "ben", nasty)
    ana.prp("send", "@all", "x", "--reply-to", "\u200fm-1\x1b")
    refused = ana.prp("send", "@all", "x", "--prp", "P1\x1b[31m\n-9", ok=False)
    for done in (refused, ben.prp("inbox"), ben.prp("listen"), ana.prp("inbox", "--sent"), ben.prp("inbox", "--json")):
        assert not set(done.text) & {"\x1b", "\x07", "\u202e", "\u200f", "\r"}, done
    lines = ben.prp("inbox").out.splitlines()
    assert "  | ana  urgent  forged header\\x0d" + "y" * 10_000 in lines
    ana.prp("note", "P1-003", "the last")
    watcher = begin(ben, "watch", "--since", "1h")
    assert watcher.stdout is not None
    out = ""
    while "the last" not in out:
        line = watcher.stdout.readline()
        assert line, "the watcher ended"
        out += line
    watcher.send_signal(signal.SIGINT)
    out += watcher.communicate(timeout=60)[0]
    assert out.count("message") > 1
    assert not set(out) & {"\x1b", "\r"}


def test_prpgate_tells_whose_claim_ended_and_who_took_over(desks: tuple[Clone, Clone], server: Server) -> None:
    ana, ben = desks
    ben.prp("start", "P1-003")
    client = server.redis()
    raw = json.loads(str(client.hget("prp:{example/app}:claims", "P1-003")))
    client.hset("prp:{example/app}:claims", "P1-003", json.dumps({**raw, "deadline": 1, "over": 1}))
    ana.prp("list")
    ana.prp("list")
    (lapsed,) = ask(ben, "inbox")["messages"]
    assert (lapsed["from"], lapsed["cause"], lapsed["prp"]) == ("prpgate", "lapsed", "P1-003")
    assert "prp start P1-003" in lapsed["text"]
    ben.commit_files("P1-003: begin", {})
    ben.git("push", "-q", "origin", "HEAD:refs/heads/work")
    ana.git("fetch", "-q")
    ana.git("merge", "-q", "origin/work")
    ana.prp("start", "P1-003")
    ana.prp("start", "P1-003")
    _, taken = ask(ben, "inbox")["messages"]
    assert (taken["cause"], taken["text"].startswith("ana took over P1-003")) == ("taken-over", True)
    assert ask(ana, "inbox")["messages"] == []


def test_a_landing_without_its_line_is_told_once(world: World, server: Server) -> None:
    from tests.mail import Post
    from tests.prps import office

    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    ann.commit("P1-003: begin")
    ann.complete("P1-003")
    line = ann.ledger()
    ann.clone.git("checkout", "-q", "--", LEDGER)
    head = ann.land("P1-003: the work")
    ann.sync()
    ann.sync()
    post = Post(server)
    post.store = ann.store
    (told,) = post.inbox("ann").messages
    assert (told.cause, told.prp, told.detail) == ("landed-without-line", "P1-003", head)
    assert line != ann.ledger()


def test_no_terminal_no_colour_no_question(desks: tuple[Clone, Clone]) -> None:
    ana, _ = desks
    for args in (("agents",), ("inbox",), ("inbox", "--sent"), ("listen", "--timeout", "0")):
        done = run([*PRP, *args], ana.path, env={**ana.env, "NO_COLOR": ""}, ok=False)
        assert "\x1b" not in done.text
        assert done.code in (0, 75)
