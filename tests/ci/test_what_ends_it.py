"""What ends a wait and opens a lane, when nobody announced it: a revert by the host's button, a run that comes last, a
commit that turns the gate off; and that nothing waits for a run of no step."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from prpgate.gitrepo import Repo
from prpgate.lane import observe
from prpgate.observing import LATE, Observer
from tests.ci.fake_github import FakeGithub
from tests.ci.github import LEDGER, NEW, Github
from tests.world import Clone, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prpgate.lock import MergeLock
    from tests.world import Server, World

UNIT = 'run = "test ! -e bad"'
ONCE = "lane.red_retries = 0\n"


class Lane(Github):
    """A lane whose CI is `ci/smoke.py`, and a host with a button."""

    def __init__(self, world: World, server: Server, gate: str = "ci", more: str = ONCE, steps: str = UNIT) -> None:
        super().__init__(world, steps, gate=gate, more=more)
        self.lock: MergeLock = self.use(server)

    def press_revert(self, sha: str, subject: str = "Revert", files: dict[str, str] | None = None) -> str:
        """What the host's button makes of it: a branch with git's sentence in its commit, and its merge."""
        path = self.folder / f"host-{uuid.uuid4().hex[:6]}"
        run(["git", "clone", "-q", self.world.remote, path], self.folder)
        host = Clone(path, "host")
        host.git("checkout", "-q", "-b", "revert")
        host.git("revert", "--no-edit", sha)
        host.git("checkout", "-q", "main")
        host.git("merge", "-q", "--no-ff", "-m", f"Merge pull request #7: {subject}", "revert")
        if files:
            host.commit_files("and more", files)
        host.git("push", "-q", "origin", "main")
        self.ana.git("pull", "-q", "--rebase")
        return host.head

    def close_by(self, files: dict[str, str]) -> str:
        bad = self.land(self.lock, "P1-001: worse", files, gate=self.config.gate)
        assert self.on_push(bad).code == 1
        closed = self.lock.state().closed
        assert closed is not None
        assert closed.culprit_sha == bad
        return bad

    @property
    def closed(self) -> bool:
        return self.lock.state().closed is not None


@pytest.fixture
def fake(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGithub]:
    with FakeGithub(world.remote) as one:
        for name, value in one.env.items():
            monkeypatch.setenv(name, value)
        yield one


# --- a revert that nobody announced -----------------------------------------------------------------------------------
@pytest.mark.parametrize("tree", ["green already", "never judged"])
def test_the_button_takes_the_culprit_back_and_the_lane_opens(world: World, server: Server, tree: str) -> None:
    lane = Lane(world, server)
    good = lane.land(lane.lock, "P1-001: work", {"b": "b\n"})
    assert lane.on_push(good).code == 0
    bad = lane.close_by({"bad": "b\n"})
    back = lane.press_revert(bad, files=None if tree == "green already" else {"c": "c\n"})
    assert (lane.key(back) == lane.key(good)) is (tree == "green already")
    ended = lane.on_push(back, before=bad)
    assert (ended.code, lane.closed) == (0, False), ended.log
    assert ("open", "green") in [(e.event, e.detail) for e in lane.lock.log(20)]
    assert "main: green; the lane goes on" in ended.log
    assert lane.on_push(back, before=bad).code == 0, "a second run of it says nothing new"
    assert [e.event for e in lane.lock.log(100)].count("open") == 1


def test_the_button_opens_it_under_ci_first_too(world: World, server: Server) -> None:
    lane = Lane(world, server, gate="ci-first")
    good = lane.push("round the hooks", {"b": "b\n"})
    assert lane.on_push(good).code == 0
    bad = lane.push("round the hooks, and bad", {"bad": "b\n"})
    assert lane.on_push(bad, before=good).code == 1
    assert lane.closed
    back = lane.press_revert(bad)
    assert (lane.on_push(back, before=bad).code, lane.closed) == (0, False)


def test_those_who_read_the_host_open_it_too(world: World, server: Server, fake: FakeGithub) -> None:
    lane = Lane(world, server, more='ci.observe = "status"\nci.repository = "team/app"\n')
    look = Observer(Repo(str(lane.ana.path)), lane.config, lane.lock.store, "ana")
    good = lane.land(lane.lock, "P1-001: work", {"b": "b\n"})
    fake.add_check(good, conclusion="success")
    look.look("main")
    bad = lane.land(lane.lock, "P1-001: worse", {"bad": "b\n"})
    fake.add_check(bad, conclusion="failure")
    look.look("main")
    assert lane.closed
    back = lane.press_revert(bad)
    lane.lock.attribute(observe(Repo(str(lane.ana.path)), lane.config, lane.lock.state())[1])
    fake.add_check(back, conclusion="success")
    (news,) = [n for n in look.look("main") if n.kind == LATE]
    assert (news.result, lane.closed, lane.key(back) == lane.key(good)) == ("green", False, True)
    assert news.text.endswith("and opened the lane")
    assert [n for n in look.look("main") if n.kind == LATE] == [], "it is said once"


def test_what_takes_nothing_back_opens_nothing(world: World, server: Server) -> None:
    """Also where it makes a tree that is green: who looks for the culprit has not found it yet."""
    lane = Lane(world, server)
    assert lane.on_push(lane.land(lane.lock, "P1-001: work", {"b": "b\n"})).code == 0
    lane.close_by({"bad": "b\n"})
    lane.ana.git("rm", "-q", "bad")
    lane.ana.git("commit", "-q", "-m", "away with it")
    lane.ana.git("push", "-q", "origin", "HEAD:main")
    assert (lane.on_push(lane.ana.head).code, lane.closed) == (0, True)


@pytest.mark.parametrize("when", ["before its run", "after its run"])
def test_a_revert_that_is_taken_back_again(world: World, server: Server, when: str) -> None:
    lane = Lane(world, server)
    assert lane.on_push(lane.land(lane.lock, "P1-001: work", {"b": "b\n"})).code == 0
    bad = lane.close_by({"bad": "b\n"})
    back = lane.press_revert(bad)
    if when == "after its run":
        assert (lane.on_push(back, before=bad).code, lane.closed) == (0, False)
    lane.ana.git("revert", "--no-edit", "-m", "1", back)
    again = lane.ana.head
    lane.ana.git("push", "-q", "origin", "HEAD:main")
    if when == "before its run":
        assert (lane.on_push(back, before=bad).code, lane.closed) == (0, True), "the branch has it again"
        return
    assert lane.on_push(again, before=back).code == 1
    closed = lane.lock.state().closed
    assert closed is not None, "its tree is red already, and it is on the branch: that counts for it too"
    assert closed.culprit_sha == again


def test_what_a_person_closed_stays_closed(world: World, server: Server) -> None:
    lane = Lane(world, server)
    assert lane.on_push(lane.land(lane.lock, "P1-001: work", {"b": "b\n"})).code == 0
    bad = lane.close_by({"bad": "b\n"})
    lane.ana.prp("lane", "close", "--reason", "hands off", env={"PRP_REDIS_URL": server.url})
    assert lane.on_push(lane.press_revert(bad), before=bad).code == 0
    assert lane.closed


# --- the run that comes last ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("files", [{"b": "b\n"}, {"bad": "b\n"}], ids=["green", "red"])
def test_a_landing_does_not_wait_on_because_a_later_tip_is_green(
    world: World, server: Server, files: dict[str, str]
) -> None:
    lane = Lane(world, server)
    mine = lane.land(lane.lock, "P1-001: work", files)
    if "bad" in files:
        lane.ana.git("rm", "-q", "bad")
    on_top = lane.push("past the lock", {"c": "c\n"})
    assert lane.on_push(on_top, before=mine).code == 0
    assert lane.lock.state().phase == "landed"
    assert lane.on_push(mine).code == ("bad" in files)
    assert (lane.lock.state().state, lane.closed) == ("free", False), "its red is old news, and the wait is over"


def test_a_commit_that_turns_the_gate_off_is_judged_still(world: World, server: Server) -> None:
    lane = Lane(world, server)
    head = lane.land(lane.lock, "P1-001: no gate", {"prp.toml": lane.toml.replace('gate = "ci"', 'gate = "none"')})
    assert lane.lock.state().phase == "landed"
    ended = lane.on_push(head)
    assert (ended.code, lane.lock.state().state) == (0, "free"), ended.log
    record = lane.lock.record(head)
    assert record is not None
    assert record.verdict == "green"


def test_a_dispatch_judges_all_that_the_landing_brought(world: World, server: Server) -> None:
    lane = Lane(world, server)
    lane.ana.commit_files("not in order", {LEDGER: NEW.replace("new", "done")})
    head = lane.land(lane.lock, "P1-001: work", {"b": "b\n"})
    inputs = {"sha": head, "fence": str(lane.lock.state().fence)}
    ended = lane.end(lane.start(lane.checkout(head), "workflow_dispatch", {"inputs": inputs}, head))
    assert f"checking the PRPs of {lane.base[:12]}..{head[:12]}" in ended.log
    assert (ended.code, ended.outputs["verdict"], lane.closed) == (1, "red", True), ended.log


# --- a run of nothing -------------------------------------------------------------------------------------------------
CHANGED = 'name = "unit"\nrun = "echo RAN-IT"\nchanged = ["src/**"]'


def test_where_no_step_is_needed_all_run_and_nobody_waits(world: World, server: Server) -> None:
    lane = Lane(world, server, steps=CHANGED)
    first = lane.land(lane.lock, "P1-001: work", {"src/a": "a\n"})
    assert lane.on_push(first).code == 0
    words = lane.land(lane.lock, "P1-001: words", {"docs/a": "a\n"})
    ended = lane.on_push(words, before=first)
    assert (ended.code, "RAN-IT" in ended.log, lane.lock.state().state) == (0, True, "free"), ended.log
    assert "none is needed for what changed" in ended.log


def test_a_pull_request_of_words_alone_passes(world: World) -> None:
    github = Github(world, CHANGED)
    run(["git", "checkout", "-q", "-b", "topic"], github.ana.path)
    head = github.ana.commit_files("words", {"docs/a": "a\n"})
    github.ana.git("push", "-q", "origin", "topic")
    ended = github.on_pull_request(head)
    assert (ended.code, "RAN-IT" in ended.log) == (0, True), ended.log
