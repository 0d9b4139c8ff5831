"""Gate ci-first where CI has no secret: the lander reads its candidate's check run from the host.

And the run that never came, started by hand, once, with a secret and without. Real store, real git, real HTTP.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from prpgate import lane
from prpgate.gitrepo import Repo
from tests.ci.fake_github import CUT, FakeGithub
from tests.ci.test_first import First, until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from prpgate.lane_state import Candidate
    from tests.ci.github import Ended
    from tests.world import Clone, Server, World

OBSERVED = 'ci.observe = "status"\nci.poll = 1\nci.repository = "team/app"\n'
TOLD = 'ci.repository = "team/app"\n'
SOON = "lane.ci_wait = 3\n"


class Observed(First):
    """CI says what it found to the host only."""

    def __init__(self, world: World, server: Server, fake: FakeGithub, more: str = OBSERVED) -> None:
        super().__init__(world, server, more=more)
        self.fake = fake
        self.ana.env |= fake.env

    def clone(self, name: str) -> Clone:
        found = super().clone(name)
        found.env |= self.fake.env
        return found

    def waits(self) -> Candidate | None:
        return self.lock.state().candidate

    def asked(self) -> int:
        return len(self.fake.asked("GET .*/check-runs"))

    def looked(self, times: int = 2) -> None:
        """The lander asked the host so often again."""
        before = self.asked()
        until(lambda: self.asked() >= before + times, "the host is asked")

    def begun(self, name: str = "b") -> tuple[subprocess.Popen[str], str, str]:
        """A landing whose candidate is on the remote: (prp land, its branch, its commit)."""
        self.ana.commit_files("P1-001: work", {name: "b\n"})
        lander = self.begin(self.ana)
        return lander, *self.candidate()

    def details(self, event: str) -> list[str]:
        return [detail for name, detail in self.events() if name == event]


@pytest.fixture
def fake(world: World) -> Iterator[FakeGithub]:
    with FakeGithub(world.remote) as one:
        yield one


@pytest.fixture
def s(world: World, server: Server, fake: FakeGithub) -> Observed:
    return Observed(world, server, fake)


def test_green_at_the_host_moves_the_lane_and_everybody_knows_it_as_if_ci_had_told(s: Observed) -> None:
    s.ana.prp("install")
    s.ana.prp("validate", "P1-001")
    s.ana.prp("start", "P1-001")
    s.ana.commit_files("P1-001: the work", {"b": "b\n"})
    s.ana.prp("complete", "P1-001")
    head = s.ana.commit_files("P1-001: done", {})
    lander = s.begin(s.ana)
    _, sha = s.candidate()
    assert (sha, s.world.tip()) == (head, s.base)
    check = s.fake.add_check(sha)
    url = f"https://host.example/team/app/runs/{check}"
    until(lambda: (c := s.waits()) and c.run_url == url, "the run was seen")
    assert s.world.tip() == s.base
    s.fake.conclude(check, "success")
    code, said, err = s.ended(lander)
    assert (code, said["state"], s.world.tip()) == (0, "landed", head), err
    assert s.details("pick-up") == [url]
    assert s.details("verdict") == ["candidate green"]
    record, stands = s.lock.record(head), s.lock.standing(*s.key(head))
    assert record and (record.record, record.verdict, record.run_url) == ("landed", "green", url)
    assert stands and (stands.result, stands.by, stands.run_url) == ("green", "ci", url)
    shown = json.loads(s.ana.prp("status", "P1-001", "--json").out)["prp"]
    assert (shown["status"], shown["phase"]) == ("complete", None), "evidence of class ci"
    s.free()


def test_red_at_the_host_leaves_the_branch_and_the_lane_is_open_for_the_next(s: Observed) -> None:
    ben = s.clone("ben")
    lander, branch, sha = s.begun("bad")
    ben.commit_files("P1-001: good work", {"c": "c\n"})
    waiting = s.begin(ben)
    until(lambda: len(s.lock.state().queue) == 1, "ben stands in line")
    s.fake.add_check(sha, conclusion="failure")
    code, said, err = s.ended(lander)
    assert (code, said["state"], s.world.tip()) == (1, "red", s.base)
    assert "check run smoke of github-actions: failure" in err
    _, other = s.candidate(but=(branch,))
    assert s.lock.state().closed is None
    s.fake.add_check(other, conclusion="success")
    assert s.ended(waiting)[0] == 0
    assert s.world.tip() == ben.head
    s.free()


def test_only_the_configured_app_and_name_count(s: Observed) -> None:
    lander, _, sha = s.begun()
    s.fake.add_check(sha, conclusion="success", app="look-alike")
    s.fake.add_check(sha, "smoke-2", conclusion="success")
    s.looked(3)
    assert (s.world.tip(), s.waits() and s.waits().run_url) == (s.base, None)  # type: ignore[union-attr]
    s.fake.add_check(sha, conclusion="failure")
    s.fake.add_check(sha, conclusion="success", app="look-alike")
    assert s.ended(lander)[1]["state"] == "red"
    assert s.world.tip() == s.base
    s.free()


@pytest.mark.parametrize("conclusion", ["cancelled", "timed_out", "neutral"])
def test_a_run_that_proved_nothing_is_unknown_at_once_and_never_red(s: Observed, conclusion: str) -> None:
    lander, _, sha = s.begun()
    check = s.fake.add_check(sha)
    s.looked()
    s.fake.conclude(check, conclusion)
    code, said, err = s.ended(lander)
    assert (code, said["state"], said["next_action"]) == (1, "not-proven", "prp land")
    assert f"smoke of github-actions: {conclusion}" in err
    assert s.lock.standing(*s.key(sha, s.ana)) is None
    s.free()


def test_a_set_up_that_failed_is_not_proven_and_not_red(s: Observed) -> None:
    lander, _, sha = s.begun()
    check = s.fake.add_check(sha)
    s.looked()
    s.fake.add_job(check, {"set up": "failure", "smoke gate": "skipped"})
    s.fake.conclude(check, "failure")
    code, said, err = s.ended(lander)
    assert (code, said["state"], said["next_action"]) == (1, "not-proven", "prp land"), err
    assert "smoke of github-actions: set-up failed" in err
    assert s.lock.standing(*s.key(sha, s.ana)) is None
    s.free()


def test_what_was_cancelled_before_on_another_branch_is_not_the_candidates(s: Observed) -> None:
    head = s.ana.commit_files("P1-001: work", {"b": "b\n"})
    s.ana.git("push", "-q", "--no-verify", "origin", "HEAD:refs/heads/topic")
    s.fake.add_check(head, conclusion="cancelled")
    lander = s.begin(s.ana)
    s.candidate()
    s.looked()
    s.fake.add_check(head, conclusion="success")
    assert s.ended(lander)[0] == 0
    s.free()


@pytest.mark.parametrize("how", [502, CUT])
def test_a_host_that_is_down_is_said_once_and_waited_for_past_the_deadline(
    world: World, server: Server, fake: FakeGithub, how: str | int
) -> None:
    s = Observed(world, server, fake, OBSERVED + SOON)
    fake.fail(how, times=1000)
    lander, _, sha = s.begun()
    check = fake.add_check(sha)
    time.sleep(5)
    assert lander.poll() is None, "past ci_wait, and nobody can say that no run came"
    assert fake.dispatches == []
    fake.heal()
    until(lambda: (c := s.waits()) and c.run_url, "the run was seen")
    fake.conclude(check, "success")
    code, _, err = s.ended(lander)
    assert code == 0
    assert err.count("did not answer") == 1, err
    assert err.count("answers again") == 1
    s.free()


def test_a_host_that_stays_away_is_waited_for_until_ci_time_is_over_and_nothing_is_red(
    world: World, server: Server, fake: FakeGithub
) -> None:
    s = Observed(world, server, fake, OBSERVED + "lane.ci_wait = 2\nlane.ci_cap = 5\nlane.lease = 3\n")
    lander, _, sha = s.begun()
    begun = time.monotonic()
    fake.stop()
    code, said, err = s.ended(lander)
    assert 3 < time.monotonic() - begun < 12
    assert (code, said["state"], s.world.tip()) == (1, "not-proven", s.base)
    assert "nobody could see what CI says of it" in err
    assert s.lock.standing(*s.key(sha, s.ana)) is None
    s.free()


@pytest.mark.parametrize("env", [{"GITHUB_TOKEN": "not-valid"}, {"GITHUB_TOKEN": "", "PATH": "/usr/bin:/bin"}])
def test_who_may_not_ask_the_host_is_told_before_anything_is_pushed(s: Observed, env: dict[str, str]) -> None:
    s.ana.commit_files("P1-001: work", {"b": "b\n"})
    s.ana.env |= env
    code, said, err = s.ended(s.begin(s.ana))
    assert (code, said["landed"]) == (1, False), err
    assert "candidate" not in [e for e, _ in s.events()]
    s.free()


def test_a_killed_store_in_between_loses_no_verdict(s: Observed, server: Server) -> None:
    lander, _, sha = s.begun()
    check = s.fake.add_check(sha)
    until(lambda: (c := s.waits()) and c.run_url, "the run was seen")
    server.stop(signal.SIGKILL)
    s.fake.conclude(check, "success")
    time.sleep(2)
    server.start()
    assert s.ended(lander)[0] == 0
    assert s.world.tip() == sha
    s.free()


def test_a_foreign_push_meanwhile_makes_a_new_candidate(s: Observed) -> None:
    ben = s.clone("ben")
    lander, branch, sha = s.begun()
    foreign = ben.commit_files("round the lock", {"c": "c\n"})
    ben.git("push", "-q", "--no-verify")
    s.fake.add_check(sha, conclusion="success")
    _, new = s.candidate(but=(branch,))
    assert s.world.tip() == foreign
    s.fake.add_check(new, conclusion="success")
    assert s.ended(lander)[0] == 0
    assert s.world.subjects()[:3] == ["P1-001: work", "round the lock", "set up"]
    s.free()


def test_reconcile_finds_the_red_of_what_came_round_the_hooks(s: Observed) -> None:
    lander, _, sha = s.begun()
    s.fake.add_check(sha, conclusion="success")
    assert s.ended(lander)[0] == 0
    ben = s.clone("ben")
    foreign = ben.commit_files("round the lock", {"bad": "c\n"})
    ben.git("push", "-q", "--no-verify")
    _, look = lane.observe(Repo(str(s.ana.path)), s.config, s.lock.state())
    s.lock.attribute(look)
    s.fake.add_check(foreign, conclusion="failure")
    found = json.loads(s.ana.prp("ci", "reconcile", "--json").out)["events"]
    closed = s.lock.state().closed
    assert [(e["event"], e["result"]) for e in found if e["sha"] == foreign] == [("late", "red")]
    assert closed is not None
    assert closed.culprit_sha == foreign


def test_watching_is_refused_where_the_landings_ask_for_themselves(
    world: World, server: Server, fake: FakeGithub
) -> None:
    s = Observed(world, server, fake, TOLD)
    refused = s.ana.prp("ci", "reconcile", ok=False)
    assert (refused.code, "no landing waits for CI" in refused.err) == (2, True)


# --- the run that never came -----------------------------------------------------------------------------------------
def test_without_a_secret_it_is_started_once_and_lands_when_green(
    world: World, server: Server, fake: FakeGithub
) -> None:
    s = Observed(world, server, fake, OBSERVED + SOON)

    def start(one: dict[str, Any]) -> None:
        fake.add_check(one["inputs"]["sha"], conclusion="success")

    fake.on_dispatch = start
    lander, branch, sha = s.begun()
    code, _, err = s.ended(lander)
    assert (code, s.world.tip()) == (0, sha), err
    fence = branch.removeprefix("prp-lane/")
    assert fake.dispatches == [{"workflow": "smoke.yml", "ref": branch, "inputs": {"sha": sha, "fence": fence}}]
    assert "smoke.yml was started for it, once" in err
    assert len(s.details("redispatch")) == 1
    s.free()


def test_without_a_secret_one_that_never_comes_is_not_proven(world: World, server: Server, fake: FakeGithub) -> None:
    s = Observed(world, server, fake, OBSERVED + SOON)
    begun = time.monotonic()
    code, said, err = s.ended(s.begun()[0])
    assert 5 < time.monotonic() - begun < 20, "ci_wait, and once more after the dispatch"
    assert (code, said["state"], s.world.tip()) == (1, "not-proven", s.base)
    assert "nor the one of smoke.yml that was started for it" in err
    assert (len(fake.dispatches), len(s.details("redispatch"))) == (1, 1)
    s.free()


def test_with_a_secret_it_is_started_once_and_its_run_tells_the_landing(
    world: World, server: Server, fake: FakeGithub
) -> None:
    s = Observed(world, server, fake, TOLD + SOON)
    ended: list[Ended] = []

    def start(one: dict[str, Any]) -> None:
        checkout = s.checkout(one["inputs"]["sha"])
        payload = {"inputs": one["inputs"], "ref": f"refs/heads/{one['ref']}"}
        run = s.start(checkout, "workflow_dispatch", payload, one["inputs"]["sha"], f"refs/heads/{one['ref']}")
        ended.append(s.end(run))

    fake.on_dispatch = lambda one: threading.Thread(target=start, args=(one,)).start()
    lander, _, sha = s.begun()
    code, _, err = s.ended(lander)
    assert (code, s.world.tip(), len(fake.dispatches)) == (0, sha, 1), err
    until(lambda: ended, "the run has ended")
    assert (ended[0].code, ended[0].outputs["verdict"]) == (0, "green"), ended[0].log
    s.free()


def test_with_a_secret_one_that_never_comes_is_not_proven(world: World, server: Server, fake: FakeGithub) -> None:
    s = Observed(world, server, fake, TOLD + SOON)
    code, said, err = s.ended(s.begun()[0])
    assert (code, said["state"], len(fake.dispatches)) == (1, "not-proven", 1)
    assert "nor the one of smoke.yml that was started for it" in err
    s.free()


@pytest.mark.parametrize("more", [OBSERVED, TOLD])
def test_none_is_started_where_no_workflow_is_named_and_a_refusal_is_said(
    world: World, server: Server, fake: FakeGithub, more: str
) -> None:
    s = Observed(world, server, fake, f'{more}{SOON}ci.workflow = "gone.yml"\n')
    lander, _, _ = s.begun()
    code, said, err = s.ended(lander)
    assert (code, said["state"]) == (1, "not-proven")
    assert "none could be started" in err
    assert "404" in err
    s.free()


def test_with_a_secret_a_run_that_the_host_shows_as_queued_is_not_started_again(
    world: World, server: Server, fake: FakeGithub
) -> None:
    s = Observed(world, server, fake, TOLD + "lane.ci_wait = 2\n")
    lander, branch, sha = s.begun()
    fake.add_check(sha, status="queued")
    time.sleep(4)
    assert lander.poll() is None
    assert fake.dispatches == []
    assert s.on_candidate(branch, sha).code == 0
    code, _, err = s.ended(lander)
    assert code == 0
    assert "smoke is queued" in err
    s.free()


# --- what it costs ---------------------------------------------------------------------------------------------------
def test_asking_the_host_costs_the_store_no_more_than_three_commands_in_ten_seconds(s: Observed) -> None:
    lander, _, sha = s.begun()
    s.fake.add_check(sha)
    until(lambda: (c := s.waits()) and c.run_url, "the run was seen")
    asked = s.asked()
    assert s.commands_in(12) <= 3
    assert s.asked() - asked >= 8, "every second"
    lander.send_signal(signal.SIGINT)
    assert s.ended(lander)[0] == 130
    s.free()
