"""`ci.observe = "status"`: what the host says becomes the lane's verdict; and the run that never came is started, once.

Real store, real git, and the host's API over real HTTP.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from prpgate import observing
from prpgate.config import parse
from prpgate.errors import HostRefused
from prpgate.gitrepo import Repo
from prpgate.host import CheckRun
from prpgate.lock import Granted, Who
from prpgate.observing import BACK, DOWN, ELSEWHERE, IN_CI, LATE, NOT_STARTED, RUNS, STARTED, VERDICT, WAITS, Observer
from tests.ci.fake_github import CUT, RATE_LIMIT, FakeGithub
from tests.ci.github import Github

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prpgate.lock import LogEvent, MergeLock
    from tests.world import Server, World

UNKNOWNS = ("cancelled", "timed_out", "stale", "skipped", "neutral", "action_required", "startup_failure", "")


class Scene:
    """A repository whose CI has no secret, one landing at a time, and those who look."""

    def __init__(self, world: World, server: Server, fake: FakeGithub, more: str = "") -> None:
        self.fake = fake
        told = f'ci.observe = "status"\nci.poll = 1\nci.repository = "team/app"\n{more}'
        self.github = Github(world, gate="ci", more=told)
        self.lock: MergeLock = self.github.use(server)
        self.n = 0

    def observer(self, agent: str = "ana", more: str = "") -> Observer:
        config = parse(f"{more}\n{self.github.toml}", "prp.toml")
        return Observer(Repo(str(self.github.ana.path)), config, self.lock.store, agent)

    def land(self) -> str:
        self.n += 1
        return self.github.land(self.lock, f"work {self.n}", {f"work-{self.n}": "done\n"})

    def verdict(self, head: str) -> str | None:
        standing = self.lock.standing(*self.github.key(head))
        return standing.result if standing else None

    def events(self, name: str) -> list[LogEvent]:
        return [e for e in reversed(self.lock.log(200)) if e.event == name]


@pytest.fixture
def fake(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGithub]:
    with FakeGithub(world.remote) as one:
        for name, value in one.env.items():
            monkeypatch.setenv(name, value)
        yield one


@pytest.fixture
def s(world: World, server: Server, fake: FakeGithub) -> Scene:
    return Scene(world, server, fake)


def kinds(found: list[observing.News]) -> list[str]:
    return [n.kind for n in found]


# --- which check run counts, and what it says ------------------------------------------------------------------------


def run(n: int, conclusion: str = "", *, name: str = "smoke", app: str = "github-actions") -> CheckRun:
    status = "completed" if conclusion else "in_progress"
    return CheckRun(n, name, app, "h", status, conclusion, f"https://host.example/{n}", "", "")


@pytest.mark.parametrize(
    ("runs", "counts"),
    [
        ([], None),
        ([run(1, "success", app="evil"), run(2, "success", name="smoke ")], None),
        ([run(1, "failure"), run(2, "success")], 2),
        ([run(2, "failure"), run(1, "success")], 2),
        ([run(1, "success"), run(2, "cancelled")], 1),
        ([run(1, "cancelled"), run(2)], 2),
        ([run(1, "cancelled"), run(2, "skipped")], 2),
        ([run(1, "success"), run(9, "failure", app="evil")], 1),
    ],
)
def test_the_newest_of_the_app_and_name_that_says_something_counts(runs: list[CheckRun], counts: int | None) -> None:
    found = observing.newest(runs, "smoke", "github-actions")
    assert (found.id if found else None) == counts


def test_only_success_and_failure_say_anything() -> None:
    said = {c: observing.result_of(run(1, c)._replace(status="completed")) for c in ("success", "failure", *UNKNOWNS)}
    assert said == {"success": "green", "failure": "red", **dict.fromkeys(UNKNOWNS, "unknown")}
    assert observing.result_of(run(1, "success")._replace(status="queued")) is None


# --- the landing that has the lane -----------------------------------------------------------------------------------


def test_success_is_green_and_frees_the_lane(s: Scene) -> None:
    head = s.land()
    look = s.observer()
    assert kinds(look.look("main")) == [WAITS]
    check = s.fake.add_check(head)
    assert kinds(look.look("main")) == [RUNS]
    state = s.lock.state()
    assert (state.phase, state.run_url) == ("smoking", f"https://host.example/team/app/runs/{check}")
    s.fake.conclude(check, "success")
    (news,) = look.look("main")
    assert (news.kind, news.result, news.sha) == (VERDICT, "green", head)
    record = s.lock.record(head)
    assert record and (record.verdict, record.run_url, record.unproven) == ("green", state.run_url, False)
    assert (s.lock.state().state, s.verdict(head)) == ("free", "green")


def test_failure_is_red_and_closes_it(s: Scene) -> None:
    head = s.land()
    s.fake.add_check(head, conclusion="failure")
    (news,) = s.observer().look("main")
    state = s.lock.state()
    assert (news.kind, news.result, s.verdict(head), state.state) == (VERDICT, "red", "red", "free")
    assert state.closed
    assert (state.closed.kind, state.closed.culprit_sha, state.closed.culprit_agent) == ("red", head, "ana")
    assert "smoke of github-actions: failure" in state.closed.reason


@pytest.mark.parametrize("conclusion", UNKNOWNS)
def test_everything_else_is_unknown_never_red_and_is_told_once(s: Scene, conclusion: str) -> None:
    head = s.land()
    check = s.fake.add_check(head, status="completed")
    s.fake.checks[-1]["conclusion"] = conclusion or None
    look = s.observer()
    assert [n.result for n in look.look("main")] == ["unknown"]
    deadline = s.lock.state().holder
    assert kinds(look.look("main")) == [WAITS]
    assert kinds(s.observer("ben").look("main")) == [ELSEWHERE]
    state = s.lock.state()
    assert (state.phase, state.closed, s.verdict(head)) == ("landed", None, None)
    assert deadline and state.holder
    assert state.holder.deadline_ms <= deadline.deadline_ms  # told again and again it would never be over
    assert [e.detail for e in s.events("verdict")] == ["unknown"]
    s.fake.add_check(head, conclusion="success")  # run again
    assert check
    assert [n.result for n in look.look("main")] == ["green"]


def test_a_look_alike_of_another_app_or_name_is_ignored(s: Scene) -> None:
    head = s.land()
    s.fake.add_check(head, conclusion="success", app="look-alike")
    s.fake.add_check(head, "smoke (extra)", conclusion="success")
    look = s.observer()
    assert kinds(look.look("main")) == [WAITS]
    assert (s.lock.state().phase, s.verdict(head)) == ("landed", None)
    s.fake.add_check(head, conclusion="failure")
    s.fake.add_check(head, conclusion="success", app="look-alike")
    assert [n.result for n in look.look("main")] == ["red"]


def test_app_and_name_are_the_lanes_to_say(s: Scene) -> None:
    head = s.land()
    s.fake.add_check(head, "gate / all", "success", app="other-ci")
    look = s.observer(more='ci.check = "gate / all"\nci.app = "other-ci"')
    assert [n.result for n in look.look("main")] == ["green"]


def test_while_a_run_of_ci_has_the_lane_nobody_else_speaks(s: Scene) -> None:
    head = s.land()
    who = Who("run", "run", "ci", "runner", 1, "ci", None, head)
    assert isinstance(s.lock.adopt(head, who, "https://host.example/own"), Granted)
    s.fake.add_check(head, conclusion="failure")
    assert kinds(s.observer().look("main")) == [IN_CI]
    assert (s.lock.state().phase, s.lock.state().closed) == ("smoking", None)
    assert s.fake.requests == []


def test_a_commit_of_somebody_elses_clone_is_fetched_to_be_judged(s: Scene, world: World) -> None:
    head = s.land()
    s.fake.add_check(head, conclusion="success")
    ben = world.clone("ben")
    ben.git("update-ref", "-d", "refs/remotes/origin/main")
    old = Observer(Repo(str(ben.path)), s.github.config, s.lock.store, "ben")
    assert [n.result for n in old.look("main")] == ["green"]
    assert s.verdict(head) == "green"


def test_what_a_host_says_is_shown_inert(s: Scene) -> None:
    head = s.land()
    s.fake.add_check(head, conclusion="cancelled\n::error::x")
    look = s.observer()
    (news,) = look.look("main")
    assert (news.result, "\n" in news.text) == ("unknown", False)
    s.fake.checks[-1] |= {"conclusion": "failure", "html_url": "https://host.example/\x1b[2J\nmain: green"}
    (news,) = look.look("main")
    closed = s.lock.state().closed
    assert closed
    assert (news.result, "\n" in news.text + closed.reason, "\x1b" in news.text) == ("red", False, False)


# --- who looks -------------------------------------------------------------------------------------------------------


def test_one_looks_at_a_time(s: Scene) -> None:
    s.land()
    lookers = [s.observer(f"agent-{n}") for n in range(6)]
    start, answers = threading.Barrier(6), []

    def look(one: Observer) -> None:
        start.wait()
        for _ in range(5):
            answers.extend(kinds(one.look("main")))

    threads = [threading.Thread(target=look, args=(one,)) for one in lookers]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert (answers.count(WAITS), answers.count(ELSEWHERE)) == (5, 25)
    assert len(s.fake.requests) == 5


def test_who_gives_up_looking_is_followed_at_once(s: Scene) -> None:
    s.land()
    ana, ben = s.observer("ana"), s.observer("ben")
    assert kinds(ana.look("main")) == [WAITS]
    (news,) = ben.look("main")
    assert news.kind == ELSEWHERE
    assert "ana@" in news.text
    ana.leave("main")
    assert kinds(ben.look("main")) == [WAITS]


def test_where_one_was_killed_another_goes_on_under_the_same_fence(s: Scene) -> None:
    head = s.land()
    check = s.fake.add_check(head)
    ana, ben = s.observer("ana"), s.observer("ben")
    assert kinds(ana.look("main")) == [RUNS]
    fence = s.lock.state().fence
    s.lock.store.redis.delete(s.lock.store.keys.observer("main"))  # as its expiry does
    assert kinds(ben.look("main")) == [RUNS]
    assert s.lock.state().fence == fence
    s.fake.conclude(check, "success")
    assert [n.result for n in ben.look("main")] == ["green"]
    assert len(s.events("adopt")) == 1


def test_the_right_to_look_ends_by_itself(s: Scene) -> None:
    s.land()
    ana = s.observer("ana")
    ana.look("main")
    left: int = s.lock.store.redis.pttl(s.lock.store.keys.observer("main"))
    assert 0 < left <= ana.lease_ms == 7_000


# --- a host that does not answer -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [500, CUT, RATE_LIMIT])
def test_a_host_that_does_not_answer_changes_nothing_and_is_said_once(s: Scene, fault: str | int) -> None:
    head = s.land()
    s.fake.add_check(head, conclusion="failure")
    s.fake.fail(fault, times=2, seconds=60)
    look = s.observer()
    before = s.lock.state()
    (news,) = look.look("main")
    assert news.kind == DOWN
    assert look.pause_s == (60 if fault == RATE_LIMIT else 3)
    assert look.look("main") == []
    s.fake.fail(500, times=1)
    assert kinds(s.observer("ben").look("main")) == [DOWN]  # he may look: it could answer him
    after = s.lock.state()
    assert (after.phase, after.fence, after.closed, s.verdict(head)) == ("landed", before.fence, None, None)
    assert kinds(look.look("main")) == [BACK, VERDICT]


def test_a_token_that_may_not_look_is_an_error_not_a_verdict(s: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    s.land()
    monkeypatch.setenv("PRP_HOST_TOKEN", "another")
    with pytest.raises(HostRefused):
        s.observer().look("main")
    assert (s.lock.state().phase, s.lock.state().closed) == ("landed", None)


def test_a_commit_that_the_api_does_not_have_yet_waits(s: Scene) -> None:
    s.land()
    s.fake.fail(422)
    assert kinds(s.observer().look("main")) == [WAITS]


# --- landings that nobody picked up ----------------------------------------------------------------------------------


@pytest.fixture
def quick(world: World, server: Server, fake: FakeGithub) -> Scene:
    """A landing is overdue after a second."""
    return Scene(world, server, fake, "lane.ci_wait = 1")


def overdue(s: Scene) -> None:
    until = time.monotonic() + 10
    while not s.lock.state().redispatch_due:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_another_run_is_started_once_for_each_landing(quick: Scene) -> None:
    s = quick
    head = s.land()
    look = s.observer()
    assert kinds(look.look("main")) == [WAITS]
    overdue(s)
    assert kinds(look.look("main")) == [STARTED]
    # On the tip, without a sha: of another commit's run the tip would have the check run, and pass for proven.
    assert s.fake.dispatches == [{"workflow": "smoke.yml", "ref": "main", "inputs": {}}]
    time.sleep(1.2)
    assert kinds(look.look("main")) == [WAITS]
    look.leave("main")
    assert kinds(s.observer("ben").look("main")) == [WAITS]
    assert len(s.fake.dispatches) == 1
    s.fake.add_check(head, conclusion="success")
    assert kinds(look.look("main")) == [ELSEWHERE]  # ben looks
    s.lock.store.redis.delete(s.lock.store.keys.observer("main"))
    assert [n.result for n in look.look("main")] == ["green"]
    s.land()
    overdue(s)
    assert kinds(look.look("main")) == [STARTED]
    assert len(s.fake.dispatches) == 2


def test_of_many_who_see_it_at_once_one_starts_it(quick: Scene) -> None:
    s = quick
    s.land()
    overdue(s)
    state, start = s.lock.state(), threading.Barrier(5)
    assert state.intent
    head, found = state.intent.head, []

    def begin(n: int) -> None:
        start.wait()
        found.append(s.observer(f"agent-{n}")._start(s.lock, state, head).kind)

    threads = [threading.Thread(target=begin, args=(n,)) for n in range(5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert (found.count(STARTED), len(s.fake.dispatches)) == (1, 1)


def test_a_run_that_waits_for_a_runner_is_not_doubled(quick: Scene) -> None:
    s = quick
    head = s.land()
    overdue(s)
    s.fake.add_check(head, status="queued")
    assert kinds(s.observer().look("main")) == [RUNS]
    assert s.fake.dispatches == []


def test_with_a_store_that_ci_reaches_only_the_run_that_never_came_is_started(
    world: World, server: Server, fake: FakeGithub
) -> None:
    s = Scene(world, server, fake, "lane.ci_wait = 1")
    s.github.toml = s.github.toml.replace('ci.observe = "status"', 'ci.observe = "store"')
    head = s.land()
    look = s.observer()
    assert kinds(look.look("main")) == [WAITS]
    assert fake.requests == []
    overdue(s)
    check = fake.add_check(head)
    assert kinds(look.look("main")) == [RUNS]
    fake.conclude(check, "failure")
    assert kinds(look.look("main")) == [STARTED]  # it ended and told the store nothing
    assert (s.lock.state().phase, s.lock.state().closed) == ("landed", None)


@pytest.mark.parametrize("takes", [True, False])
def test_a_workflow_that_takes_no_inputs_is_started_without(quick: Scene, takes: bool) -> None:
    s = quick
    s.github.toml = s.github.toml.replace('ci.observe = "status"', 'ci.observe = "store"')
    s.fake.inputs = s.fake.inputs if takes else set()
    inputs = {"sha": s.land(), "fence": str(s.lock.state().fence)} if takes else {}
    if not takes:
        s.land()
    overdue(s)
    assert kinds(s.observer().look("main")) == [STARTED]
    assert s.fake.dispatches == [{"workflow": "smoke.yml", "ref": "main", "inputs": inputs}]


def test_what_the_host_refused_may_be_started_later(quick: Scene) -> None:
    s = quick
    s.land()
    overdue(s)
    s.fake.workflows = set()
    look = s.observer()
    (news,) = look.look("main")
    assert news.kind == NOT_STARTED
    assert "404" in news.text
    s.fake.workflows = {"smoke.yml"}
    overdue(s)
    assert kinds(look.look("main")) == [STARTED]
    assert len(s.fake.dispatches) == 1


def test_what_may_have_been_started_is_not_started_again(quick: Scene) -> None:
    s = quick
    s.land()
    overdue(s)
    s.fake.fail(CUT, match="POST .*dispatches")
    look = s.observer()
    assert kinds(look.look("main")) == [NOT_STARTED]
    time.sleep(1.2)
    assert kinds(look.look("main")) == [WAITS]


def test_nobody_starts_anything_without_a_workflow(quick: Scene) -> None:
    s = quick
    s.land()
    overdue(s)
    (news,) = s.observer(more='ci.workflow = ""').look("main")
    assert news.kind == WAITS
    assert "workflow is empty" in news.text


# --- unknown after the deadline, and what comes late -----------------------------------------------------------------


@pytest.fixture
def short(world: World, server: Server, fake: FakeGithub) -> Scene:
    """The lane goes on after a second."""
    return Scene(world, server, fake, "lane.ci_wait = 1\nlane.ci_cap = 1\nlane.ci_lease = 1")


def gone_on(s: Scene) -> None:
    until = time.monotonic() + 10
    while s.lock.state().state != "free":
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize(("conclusion", "result", "closed"), [("success", "green", False), ("failure", "red", True)])
def test_the_lane_goes_on_unproven_and_a_late_verdict_counts_once(
    short: Scene, conclusion: str, result: str, closed: bool
) -> None:
    s = short
    head = s.land()
    s.fake.add_check(head)
    look = s.observer()
    assert RUNS in kinds(look.look("main"))
    gone_on(s)
    record = s.lock.record(head)
    assert record and record.unproven
    assert s.lock.state().closed is None
    assert LATE not in kinds(look.look("main"))
    s.fake.add_check(head, conclusion=conclusion)
    (news,) = [n for n in look.look("main") if n.kind == LATE]
    assert (news.result, s.verdict(head)) == (result, result)
    assert (s.lock.state().closed is not None) is closed
    s.fake.add_check(head, conclusion="failure" if conclusion == "success" else "success")
    assert LATE not in kinds(look.look("main"))
    assert s.verdict(head) == result


def test_a_late_red_closes_nothing_where_a_later_tip_is_green(short: Scene) -> None:
    s = short
    first = s.land()
    gone_on(s)
    second = s.land()
    s.fake.add_check(second, conclusion="success")
    look = s.observer()
    assert VERDICT in kinds(look.look("main"))
    s.fake.add_check(first, conclusion="failure")
    assert LATE in kinds(look.look("main"))
    assert (s.verdict(first), s.lock.state().closed) == ("red", None)


def test_a_push_that_nobody_announced_is_judged_too(s: Scene) -> None:
    from prpgate import lane

    s.land()
    s.fake.add_check(s.github.world.tip(), conclusion="success")
    look = s.observer()
    look.look("main")
    foreign = s.github.push("by the button", {"button": "pressed\n"})
    s.lock.attribute(lane.observe(Repo(str(s.github.ana.path)), s.github.config, s.lock.state())[1])
    assert s.lock.state().seen == foreign
    s.fake.add_check(foreign, conclusion="failure")
    assert LATE in kinds(look.look("main"))
    state = s.lock.state()
    assert state.closed
    assert state.closed.culprit_sha == foreign


# --- what stands behind a check run ----------------------------------------------------------------------------------


SET_UP_FAILED = {"check out": "success", "set up": "failure", "smoke gate": "skipped"}


def test_a_set_up_that_failed_says_nothing_of_the_commit(s: Scene) -> None:
    head = s.land()
    s.fake.add_job(s.fake.add_check(head, conclusion="failure"), SET_UP_FAILED)
    look = s.observer()
    (news,) = look.look("main")
    assert (news.result, s.lock.state().phase, s.lock.state().closed) == ("unknown", "landed", None)
    assert kinds(look.look("main")) == [WAITS]
    assert len(s.fake.asked("actions/jobs")) == 1, "what has ended is asked for once"
    s.fake.add_job(s.fake.add_check(head, conclusion="failure"), {**SET_UP_FAILED, "smoke gate": "failure"})
    assert [n.result for n in look.look("main")] == ["red"]


@pytest.mark.parametrize(
    ("steps", "path"),
    [
        ({"set up": "failure", "smoke gate": "failure"}, ".github/workflows/smoke.yml@main"),
        ({"set up": "failure", "smoke gate": None}, ".github/workflows/smoke.yml@main"),
        ({"set up": "failure", "another": "skipped"}, ".github/workflows/smoke.yml@main"),
        (SET_UP_FAILED, ".github/workflows/other.yml@main"),
    ],
)
def test_a_failure_is_red_unless_it_is_known_that_the_gate_never_began(
    s: Scene, steps: dict[str, str | None], path: str
) -> None:
    s.fake.add_job(s.fake.add_check(s.land(), conclusion="failure"), steps, path=path)
    assert [n.result for n in s.observer().look("main")] == ["red"]


def test_a_token_that_may_not_see_jobs_takes_a_check_run_as_it_is(s: Scene) -> None:
    s.fake.add_job(s.fake.add_check(s.land(), conclusion="failure"), SET_UP_FAILED)
    s.fake.fail(403, match="actions/jobs")
    assert [n.result for n in s.observer().look("main")] == ["red"]


def test_a_set_up_of_another_app_is_not_asked_for(s: Scene) -> None:
    s.fake.add_check(s.land(), "gate / all", "success", app="other-ci")
    look = s.observer(more='ci.check = "gate / all"\nci.app = "other-ci"')
    assert [n.result for n in look.look("main")] == ["green"]
    assert s.fake.asked("actions/") == []


@pytest.mark.parametrize("conclusion", ["success", "failure"])
def test_the_run_of_a_pull_request_is_about_another_commit(s: Scene, conclusion: str) -> None:
    """It stands on the request's head, and ran on the merge of that into its base, whatever that is."""
    head = s.land()
    s.fake.add_job(s.fake.add_check(head, conclusion=conclusion), {"smoke gate": conclusion}, event="pull_request")
    look = s.observer()
    assert kinds(look.look("main")) == [WAITS]
    assert (s.lock.state().phase, s.verdict(head)) == ("landed", None)
    s.fake.add_job(s.fake.add_check(head, conclusion="success"), {"smoke gate": "success"})
    assert [n.result for n in look.look("main")] == ["green"]
