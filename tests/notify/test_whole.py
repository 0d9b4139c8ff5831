"""Telling people, whole: prp.toml on the lane, clones, commands, a push's watcher, and what a hostile branch can do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.notify import ALL, Receiver, until
from tests.notify.conftest import deliverers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import Project
    from tests.world import Clone


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as one:
        yield one


def set_notify(project: Project, text: str) -> None:
    """Land a [notify]."""
    ana = project.ana
    toml = ana.read("prp.toml").partition("\n[notify]")[0]
    ana.commit_files("Tell people", {"prp.toml": f"{toml}\n[notify]\n{text}\n"})
    ana.git("push", "-q")
    project.settle()
    ana.git("fetch", "-q")


def webhook(project: Project, receiver: Receiver, more: str = "") -> None:
    set_notify(project, f'webhook = "{receiver.url}"\nevents = {ALL}\n{more}')


def status(clone: Clone) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(clone.prp("notify", "status", "--json").out)
    return found


def doctor(clone: Clone) -> str:
    return "\n".join(line for line in clone.prp("doctor", ok=False).out.splitlines() if "[notify]" in line)


def events(receiver: Receiver) -> list[str]:
    return [g.said["event"] for g in receiver.got]


def test_a_command_of_somebody_with_the_secret_tells(told: Project, receiver: Receiver, home: Path) -> None:
    webhook(told, receiver)
    ana, ben = told.ana, told.join("ben")
    assert "nobody has delivered anything yet" in doctor(ana)
    assert not deliverers(home), "without a secret nothing is started"
    ben.env["PRP_NOTIFY_SECRET"] = receiver.pair
    ben.prp("status")
    assert json.loads(ben.prp("notify", "test", "--json").out)["delivered"] == f"webhook {receiver.host}"
    until(lambda: status(ana)["deliverer"], "it looks")
    ana.prp("lane", "close", "--reason", "the release is cut")
    until(lambda: len(receiver.got) == 2, "told by ben's deliverer, whom ana's command knows nothing of")
    assert events(receiver) == ["test", "lane-closed"]
    until(lambda: len(status(ana)["told"]) == 1, "and it is on record")
    found = status(ana)
    assert (found["configured"], found["ready"], found["waiting"], found["given_up"]) == (True, False, [], [])
    assert "no secret for" in found["why_not"]
    assert found["deliverer"]["agent"] == "ben"
    assert "told: 1" in ben.prp("notify", "status").out
    assert "looked after" in doctor(ana) and "ok" in doctor(ana)
    assert "old scripts" not in ana.prp("doctor", ok=False).out


def test_one_deliverer_for_each_clone(told: Project, receiver: Receiver, home: Path) -> None:
    webhook(told, receiver)
    told.ana.env["PRP_NOTIFY_SECRET"] = receiver.pair
    for _ in range(5):
        told.ana.prp("status")
    until(lambda: len(deliverers(home)) == 1, "one")
    told.ana.prp("status")
    assert len(deliverers(home)) == 1


def test_a_suspect_claim_is_told_though_nobody_asks(told: Project, receiver: Receiver) -> None:
    webhook(told, receiver, "[claim]\nagent = 1\nsuspect = 600")
    ana, ben = told.ana, told.join("ben")
    env = {"PRP_NOTIFY_SECRET": receiver.pair}
    ana.prp("notify", "run", "--for", "0", env=env)
    ben.prp("start", "P2-040")
    time.sleep(1.1)
    assert status(ana)["told"] == []
    ana.prp("notify", "run", "--for", "0", env=env)
    until(lambda: receiver.got, "told")
    (said,) = (g.said for g in receiver.got)
    assert (said["prp"], said["agent"], said["next_action"]) == ("P2-040", "ben", "prp status P2-040")


def test_the_watcher_of_a_push_tells_and_the_push_does_not_wait(told: Project) -> None:
    with Receiver(*["hang"] * 3) as receiver:
        webhook(told, receiver)
        ana, ben = told.ana, told.join("ben")
        env = {"PRP_NOTIFY_SECRET": receiver.pair}
        ana.prp("notify", "run", "--for", "0", env=env)
        ben.prp("lane", "close", "--reason", "one moment")
        ben.prp("lane", "open", "--reason", "done")
        ana.commit_files("work", {"work.txt": "1"})
        ana.git("push", "-q", env=env, timeout=8)
        until(lambda: receiver.got, "the watcher began to tell, and hangs")
        until(lambda: told.subjects()[0] == "work", "it landed")
        ben.git("pull", "-q", "--rebase")
        ben.commit_files("more", {"more.txt": "1"})
        ben.git("push", "-q")  # the lane is free: telling holds nothing


def test_your_turn_names_whose_place_was_kept(told: Project, receiver: Receiver, tmp_path: Path) -> None:
    webhook(told, receiver)
    ana, ben = told.ana, told.join("ben")
    env = {**os.environ, **ana.env, "PRP_NOTIFY_SECRET": receiver.pair}
    words = [sys.executable, "-m", "prpgate", "notify", "run", "--json"]
    with open(tmp_path / "rows", "w") as out:
        runs = subprocess.Popen(words, cwd=ana.path, env=env, stdout=out)

    def rows() -> list[tuple[str, str]]:
        found = [json.loads(line) for line in (tmp_path / "rows").read_text().splitlines()]
        return [(r["event"], r["outcome"]) for r in found if r["event"] == "your-turn"]

    try:
        until(lambda: status(ben)["deliverer"], "it runs")
        go = told.folder / "go"
        told.remote_hook("pre-receive", f"#!/bin/sh\nwhile ! test -e {go}; do sleep 0.05; done\n")
        ana.commit_files("slow", {"slow.txt": "1"})
        slow = subprocess.Popen(["git", "push", "-q"], cwd=ana.path, env={**os.environ, **ana.env})
        until(lambda: json.loads(ana.prp("lock", "status", "--json").out)["lanes"][0]["holder"], "ana holds")
        ben.commit_files("quick", {"quick.txt": "1"})
        assert ben.git("push", "-q", ok=False).code != 0
        go.touch()
        slow.wait(20)
        until(lambda: "your-turn" in events(receiver), "ben is told")
        (said,) = (g.said for g in receiver.got if g.said["event"] == "your-turn")
        assert (said["agent"], said["lane"]) == ("ben", "main")
        until(rows, "it says so")
    finally:
        runs.terminate()
        runs.wait(20)
    assert rows() == [("your-turn", "told")]


def test_a_command_needs_permission_and_only_the_lanes_counts(told: Project, tmp_path: Path) -> None:
    ana, ben = told.ana, told.join("ben")
    mark, evil = tmp_path / "told", tmp_path / "evil"
    program = tmp_path / "page"
    program.write_text(f"#!/bin/sh\ncat >> {mark}\n")
    program.chmod(0o755)
    set_notify(told, f'command = ["{program}"]\nevents = {ALL}')
    ben.git("pull", "-q")
    refused = ben.prp("notify", "run", "--for", "1", ok=False)
    assert refused.code == 1 and refused.err.rstrip().endswith("prp notify allow")
    declined = ben.prp("notify", "allow", ok=False)
    assert declined.code == 1 and str(program) in declined.out
    assert json.loads(ben.prp("notify", "allow", "--yes", "--json").out)["command"] == [str(program)]
    ben.prp("notify", "test")
    assert '"event": "test"' in mark.read_text()

    # A branch that says something else, checked out here, is run by nobody; nor is it what `allow` asks about.
    toml = (
        ben.read("prp.toml").replace(str(program), "/bin/sh").replace('"]\nevents', f'", "-c", "touch {evil}"]\nevents')
    )
    ben.git("checkout", "-q", "-b", "evil")
    ben.commit_files("innocent", {"prp.toml": toml})
    ben.prp("notify", "test")
    assert str(evil) not in ben.prp("notify", "allow", "--yes").text
    ben.git("push", "-q", "-u", "origin", "evil")
    ana.prp("lane", "close", "--reason", "now")
    ben.prp("notify", "run", "--for", "1")
    # And when it lands, it needs a permission of its own.
    ben.git("checkout", "-q", "main")
    ana.prp("lane", "open", "--reason", "now")
    ben.git("merge", "-q", "--ff-only", "evil")
    ben.git("push", "-q")
    told.settle()
    ben.git("fetch", "-q")
    assert "not allowed" in ben.prp("notify", "test", ok=False).err
    assert not evil.exists()


def test_what_cannot_be_delivered_is_said_by_doctor(told: Project) -> None:
    with Receiver(*[500] * 20) as receiver:
        webhook(told, receiver)
        ana = told.ana
        env = {"PRP_NOTIFY_SECRET": receiver.pair}
        failed = ana.prp("notify", "test", ok=False, env=env)
        assert failed.code == 1 and "it answered 500" in failed.err
        ana.prp("notify", "run", "--for", "0", env=env)
        ana.prp("lane", "close", "--reason", "x")
        shown = ana.prp("notify", "run", "--for", "0", env=env)
        until(lambda: status(ana)["waiting"], "it waits for its next try")
        (waiting,) = status(ana)["waiting"]
        assert (waiting["error"], waiting["tries"]) == ("it answered 500", 1), shown
