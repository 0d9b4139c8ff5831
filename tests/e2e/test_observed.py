"""Gate ci without a secret, end to end: two clones, a bare remote, the host's API, and the commands that people use."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import pytest

from tests.ci.act import WORKFLOW
from tests.ci.fake_github import CUT, FakeGithub
from tests.e2e.conftest import Project
from tests.world import Clone, Result, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OBSERVED = 'gate = "ci"\nci.observe = "status"\nci.poll = 1\nci.repository = "team/app"\n'
WAIT_S = 60


class Started:
    """A command under way, whose lines are read as they come."""

    def __init__(self, clone: Clone, *args: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "prpgate", *args],
            cwd=clone.path,
            env={**os.environ, **clone.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        self.lines: list[str] = []
        self.said: list[str] = []
        self.readers = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in ((self.process.stdout, self.lines), (self.process.stderr, self.said))
        ]
        for one in self.readers:
            one.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            print(f"so far: code {self.process.poll()}, {self.lines}, {self.said}")
        if self.process.poll() is None:
            self.process.kill()
        self.ended()

    def _read(self, stream: Any, lines: list[str]) -> None:
        for line in stream:
            lines.append(line)

    def ended(self) -> Result:
        code = self.process.wait(WAIT_S)
        for one in self.readers:
            one.join(5)
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
        return Result(code, "".join(self.lines), "".join(self.said))

    def stop(self, how: int = signal.SIGINT) -> Result:
        self.process.send_signal(how)
        return self.ended()

    def event(self, kind: str, **more: str) -> dict[str, Any]:
        """Wait until `ci watch --json` has said so."""
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            for line in list(self.lines):
                one: dict[str, Any] = json.loads(line)
                if one["event"] == kind and all(one[k] == v for k, v in more.items()):
                    return one
            time.sleep(0.05)
        raise AssertionError(f"no {kind} {more} in {self.lines} {self.said}")


@pytest.fixture
def observed(tmp_path: Path, home: Path) -> Iterator[tuple[Project, FakeGithub]]:
    project = Project(tmp_path)
    with FakeGithub(project.remote) as fake:
        toml = project.ana.read("prp.toml")
        assert toml.count('gate = "none"') == 1
        project.ana.commit_files("CI smokes", {"prp.toml": toml.replace('gate = "none"', OBSERVED, 1)})
        project.ana.env |= fake.env
        project.ana.git("push", "-q")
        project.ana.git("fetch", "-q")
        project.settle()
        yield project, fake


def join(project: Project, fake: FakeGithub, name: str) -> Clone:
    clone = project.join(name)
    clone.env |= fake.env
    return clone


def work(clone: Clone, name: str) -> str:
    return clone.commit_files(f"work on {name}", {name: f"{name}\n"})


def lane(clone: Clone) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(clone.prp("lock", "status", "main", "--json").out)["lanes"][0]
    return found


def until(clone: Clone, **wanted: Any) -> dict[str, Any]:
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        found = lane(clone)
        seen = {**found, "waiting": len(found["queue"]), "phase": (found["holder"] or {}).get("phase")}
        if all(seen[k] == v for k, v in wanted.items()):
            return found
        time.sleep(0.1)
    raise AssertionError(f"{wanted} did not come: {found}")


def test_a_waiter_reads_the_hosts_check_and_lands(observed: tuple[Project, FakeGithub]) -> None:
    project, fake = observed
    ana, ben = project.ana, join(project, fake, "ben")
    work(ana, "one")
    assert "CI has it now" in ana.prp("land").text
    first = project.tip()
    fake.add_check(first, conclusion="success", app="look-alike")
    work(ben, "two")
    with Started(ben, "land", "--wait", "50") as waiter:
        until(ana, phase="landed", waiting=1)
        time.sleep(2.5)
        assert waiter.process.poll() is None
        assert project.tip() == first
        fake.add_check(first, conclusion="success")
        done = waiter.ended()
    assert done.code == 0, done
    assert "main: green; the lane goes on" in done.err
    second = project.tip()
    assert project.subjects()[:2] == ["work on two", "work on one"]
    fake.add_check(second, conclusion="success")
    assert ana.prp("ci", "reconcile").code == 0
    assert lane(ana)["state"] == "free"
    assert [one["found"] for one in json.loads(ana.prp("lane", "log", "-n", "2", "--json").out)["landings"]]


def test_where_the_first_in_line_cannot_ask_the_next_does(observed: tuple[Project, FakeGithub]) -> None:
    project, fake = observed
    ana, ben, cem = project.ana, join(project, fake, "ben"), join(project, fake, "cem")
    cem.env["GITHUB_TOKEN"] = "no longer valid"
    work(ana, "one")
    ana.prp("land")
    fake.add_check(project.tip(), conclusion="success")
    work(ben, "two")
    work(cem, "three")
    with Started(cem, "land") as first:
        until(ana, waiting=1)
        with Started(ben, "land") as second:
            landed = first.ended()
            assert landed.code == 0, landed
            assert "the host is not asked" in landed.err
            assert second.stop().code == 130
    assert project.subjects()[0] == "work on three"
    assert fake.asked("check-runs")[-1].status == 200


def test_several_in_a_row_with_a_red_in_the_middle(observed: tuple[Project, FakeGithub]) -> None:
    project, fake = observed
    ana, ben = project.ana, join(project, fake, "ben")
    with Started(ana, "ci", "watch", "--json") as watch:
        work(ana, "one")
        ana.prp("land")
        fake.add_check(project.tip(), conclusion="success")
        watch.event("verdict", result="green", sha=project.tip())
        work(ben, "bad")
        ben.prp("land")
        bad = project.tip()
        fake.add_check(bad, conclusion="failure")
        watch.event("verdict", result="red", sha=bad)
        closed = until(ana, state="free")["closed"]
        assert closed and "smoke of github-actions: failure" in closed["reason"]
        work(ana, "three")
        refused = ana.prp("land", "--no-wait", ok=False)
        assert refused.code == 1
        assert project.tip() == bad
        ben.prp("land", "--revert")
        fixed = project.tip()
        assert project.subjects()[0].startswith('Revert "work on bad"')
        fake.add_check(fixed, conclusion="success")
        watch.event("verdict", result="green", sha=fixed)
        assert until(ana, state="free")["closed"] is None
        ana.prp("land")
        fake.add_check(project.tip(), conclusion="success")
        watch.event("verdict", result="green", sha=project.tip())
        done = watch.stop()
    assert done.code == 130, done
    assert run(["git", "ls-tree", "--name-only", "main"], project.remote).out.split()[-2:] == ["prp.toml", "three"]


def test_where_a_watcher_is_killed_another_goes_on(observed: tuple[Project, FakeGithub]) -> None:
    project, fake = observed
    ana, ben = project.ana, join(project, fake, "ben")
    work(ana, "one")
    ana.prp("land")
    check = fake.add_check(project.tip())
    with Started(ana, "ci", "watch", "--json") as first:
        first.event("runs")
        with Started(ben, "ci", "watch", "--json") as second:
            second.event("elsewhere")
            first.stop(signal.SIGKILL)
            second.event("runs")
            fake.conclude(check, "success")
            second.event("verdict", result="green")
    assert lane(ana)["state"] == "free"


def test_an_api_that_is_cut_is_said_and_nothing_is_red(observed: tuple[Project, FakeGithub]) -> None:
    project, fake = observed
    ana = project.ana
    work(ana, "one")
    ana.prp("land")
    fake.add_check(project.tip(), conclusion="failure")
    fake.fail(CUT, times=2)
    done = ana.prp("ci", "reconcile", "--json", ok=False)
    assert done.code == 5
    assert json.loads(done.out)["error"]["code"] == "host-down"
    assert lane(ana)["closed"] is None
    with Started(ana, "ci", "watch", "--json") as watch:
        watch.event("host-down")
        watch.event("host-back")
        watch.event("verdict", result="red")
    assert lane(ana)["closed"]


def test_a_cron_job_reconciles_and_says_what_it_did(observed: tuple[Project, FakeGithub]) -> None:
    project, fake = observed
    ana = project.ana
    toml = ana.read("prp.toml")
    ana.commit_files("Quick", {"prp.toml": toml.replace("[lane]\n", "[lane]\nci_wait = 1\n", 1)})
    ana.prp("land")
    fake.add_check(project.tip(), conclusion="success")
    assert "green; the lane goes on" in ana.prp("ci", "reconcile").out
    work(ana, "one")
    ana.prp("land")
    time.sleep(1.5)
    assert "smoke.yml was started for it, once" in ana.prp("ci", "reconcile").out
    time.sleep(1.5)
    assert "waits for check run smoke of github-actions" in ana.prp("ci", "reconcile").out
    assert [(d["ref"], d["inputs"]) for d in fake.dispatches] == [("main", {})]
    fake.add_check(project.tip(), conclusion="success")
    found = json.loads(ana.prp("ci", "reconcile", "--json").out)
    assert [(e["event"], e["result"]) for e in found["events"]] == [("verdict", "green")]


@pytest.mark.parametrize("observe", ["status", "store"])
def test_the_first_who_waits_starts_the_run_that_never_came_and_lands_after_the_cap(
    observed: tuple[Project, FakeGithub], observe: str
) -> None:
    project, fake = observed
    ana = project.ana
    toml = ana.read("prp.toml").replace("[lane]\n", "[lane]\nci_wait = 1\nci_cap = 8\n", 1)
    ana.commit_files("Quick", {"prp.toml": toml.replace('observe = "status"', f'observe = "{observe}"', 1)})
    ana.git("push", "-q", "--no-verify")
    ben = join(project, fake, "ben")
    work(ana, "one")
    ana.prp("land")
    first = project.tip()
    work(ben, "two")
    with Started(ben, "land", "--wait", "50") as waiter:
        done = waiter.ended()
    assert done.code == 0, done
    assert "smoke.yml was started for it, once" in done.err
    (started,) = fake.dispatches
    assert (started["ref"], set(started["inputs"])) == ("main", {"sha", "fence"} if observe == "store" else set())
    assert observe == "status" or started["inputs"]["sha"] == first
    assert project.subjects()[:2] == ["work on two", "work on one"]
    events = json.loads(ana.prp("lock", "log", "--json").out)["events"]
    assert [(e["sha"], e["detail"]) for e in events if e["event"] == "verdict"] == [(first, "unknown no-run")]


def test_what_cannot_be_asked_is_said_with_the_command_that_helps(observed: tuple[Project, FakeGithub]) -> None:
    project, fake = observed
    ana = project.ana
    ana.env |= {"PRP_HOST_TOKEN": "another"}
    work(ana, "one")
    ana.prp("land")
    done = ana.prp("ci", "reconcile", ok=False)
    assert done.code == 1
    assert "refused (401)" in done.err
    assert "export PRP_HOST_TOKEN" in done.err
    found = ana.prp("doctor", ok=False)
    assert found.code == 1
    assert "ERROR  the host at" in found.out
    del ana.env["PRP_HOST_TOKEN"]
    found = ana.prp("doctor")
    assert "check run smoke of github-actions is the verdict" in found.out
    assert ".github/workflows/smoke.yml is not on main" in found.out
    assert fake.asked("GET /repos/team/app$")


def test_a_check_run_that_never_comes_is_told_by_its_name(observed: tuple[Project, FakeGithub]) -> None:
    """The workflow that `prp init --ci github` writes calls another, and the host names such a check run after both."""
    project, _ = observed
    ana = project.ana
    written = ana.prp("init", "--ci", "github", "--gate", f"team/gate@{'1' * 40}", "--print", "--json").out
    ana.commit_files("Smoke what lands", {WORKFLOW: json.loads(written)["workflow"]})
    ana.git("push", "-q", "--no-verify")
    found = ana.prp("doctor", ok=False).out
    assert f"no job of {WORKFLOW} makes a check run named smoke" in found
    assert "there is: smoke / smoke" in found
    toml = ana.read("prp.toml").replace("ci.poll", 'ci.check = "smoke / smoke"\nci.poll', 1)
    ana.commit_files("Name the check run", {"prp.toml": toml})
    ana.git("push", "-q", "--no-verify")
    found = ana.prp("doctor", ok=False).out
    assert "check run smoke / smoke of github-actions is the verdict" in found
    assert "makes a check run" not in found


def test_nothing_to_watch_without_gate_ci(tmp_path: Path, home: Path) -> None:
    project = Project(tmp_path)
    done = project.ana.prp("ci", "watch", ok=False)
    assert done.code == 2
    assert "no landing waits for CI here" in done.err


def test_init_refuses_a_gate_that_nobody_can_open(tmp_path: Path, home: Path) -> None:
    project = Project(tmp_path)
    ana = project.ana
    toml = ana.read("prp.toml")
    ana.write("prp.toml", toml.replace('gate = "none"', 'gate = "ci"', 1))
    before = ana.git("status", "--porcelain").out
    done = ana.prp("init", ok=False)
    assert done.code == 1
    assert "only this machine reaches" in done.err
    assert ana.git("status", "--porcelain").out == before
    command = done.err.strip().splitlines()[-1].strip()
    assert command.endswith("&& prp init")
    run(["sh", "-c", command.removesuffix(" && prp init")], ana.path)
    assert ana.prp("init").code == 0
    ana.write("prp.toml", toml.replace('gate = "none"', 'gate = "ci"\nci.observe = "store"', 1))
    assert ana.prp("init").code == 0
