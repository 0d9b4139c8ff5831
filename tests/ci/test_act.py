"""The workflows as a runner runs them: act, without Docker and without a network, on a lane with a real store."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.ci.act import GATE, WORKFLOW, Runner, pins
from tests.ci.github import Github
from tests.world import World, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prpgate.lock import LaneState, MergeLock
    from tests.ci.act import Job
    from tests.world import Server

CALLER = f"""\
name: smoke
on:
  push:
  pull_request:
  merge_group:
  workflow_dispatch:
    inputs:
      sha: {{type: string}}
      fence: {{type: string}}
permissions: {{}}
jobs:
  smoke:
    permissions:
      contents: read
    uses: {GATE.partition("@")[0]}/.github/workflows/gate.yml@{GATE.partition("@")[2]}
    secrets:
      redis-url: ${{{{ secrets.PRP_REDIS_URL }}}}
"""
OWN_JOB = f"""\
name: smoke
on: [push]
permissions: {{}}
jobs:
  smoke:
    runs-on: ubuntu-latest
    timeout-minutes: 8
    permissions:
      contents: read
    steps:
      - uses: actions/checkout@{pins()["actions/checkout"]}
        with:
          fetch-depth: 0
          persist-credentials: false
      - id: smoke
        uses: {GATE.replace("@", "/ci@")}
        with:
          redis-url: ${{{{ secrets.PRP_REDIS_URL }}}}
      - if: always()
        env:
          VERDICT: ${{{{ steps.smoke.outputs.verdict }}}}
          AGAIN: ${{{{ steps.smoke.outputs.again }}}}
          REASON: ${{{{ steps.smoke.outputs.reason }}}}
        run: echo "said $VERDICT $AGAIN $REASON"
"""
GREEN = 'name = "unit"\nrun = "test ! -e bad"'
SLOW = 'name = "unit"\nrun = "echo begun; sleep 60"'


class Place(Github):
    """A repository whose workflow is one `uses:` line, its lane, and the machine that runs its jobs."""

    def __init__(self, world: World, server: Server, steps: str = GREEN, more: str = "") -> None:
        super().__init__(world, steps, gate="ci", more=more)
        self.lock: MergeLock = self.use(server)
        self.base = self.push("the workflow", {WORKFLOW: CALLER})
        self.runner = Runner(world, secrets=self.env)

    @property
    def state(self) -> LaneState:
        return self.lock.state()

    def work(self, name: str = "b") -> str:
        return self.land(self.lock, f"P1-001: {name}", {name: "b\n"})

    def log(self) -> list[str]:
        """event, or event:detail for a verdict, oldest first; what came before the landing left out."""
        found = [f"{e.event}:{e.detail}" if e.event == "verdict" else e.event for e in reversed(self.lock.log(100))]
        return [e for e in found if e not in ("acquire", "intent", "foreign-push")]

    def until(self, true: object, give_up_s: float = 20) -> None:
        assert callable(true)
        end = time.monotonic() + give_up_s
        while not true():
            assert time.monotonic() < end, (self.state, self.log())
            time.sleep(0.05)


@pytest.fixture
def places(world: World, server: Server) -> Iterator[list[Place]]:
    made: list[Place] = []
    yield made
    for place in made:
        place.runner.close()


def test_a_green_push_is_adopted_and_frees_the_lane(world: World, server: Server, places: list[Place]) -> None:
    places.append(place := Place(world, server))
    head = place.work()
    job = place.runner.push(head, place.base)
    assert job.end() == 0, job.text
    assert (place.state.state, place.state.closed) == ("free", None)
    assert place.log() == ["landed", "adopt", "verdict:green"]
    stands = place.lock.standing(*place.key(head))
    assert stands is not None and stands.result == "green"
    assert job.outputs["verdict"] == "green" and int(job.outputs["fence"]) > 0
    assert job.outputs["again"] == "false"


def test_a_red_push_closes_the_lane_and_the_job_fails(world: World, server: Server, places: list[Place]) -> None:
    places.append(place := Place(world, server))
    head = place.work("bad")
    job = place.runner.push(head, place.base)
    assert job.end() == 1, job.text
    assert place.log() == ["landed", "adopt", "verdict:red (1st)", "verdict:red", "close"]
    assert place.state.state == "free"
    assert place.state.closed is not None and place.state.closed.culprit_sha == head


def test_the_action_in_a_job_of_ones_own_hands_its_outputs_on(
    world: World, server: Server, places: list[Place]
) -> None:
    places.append(place := Place(world, server))
    head = place.land(place.lock, "P1-001: work", {WORKFLOW: OWN_JOB})
    job = place.runner.push(head, place.base)
    assert job.end() == 0, job.text
    assert "| said green false 1 step passed in" in job.text
    assert place.log() == ["landed", "adopt", "verdict:green"]


def merged(place: Place, head: str, name: str = "merge") -> str:
    """What a host makes of a pull request: its merge into the base, at a ref of its own."""
    path = place.folder / name
    run(["git", "clone", "-q", place.world.remote, path], place.folder)
    author = {"GIT_AUTHOR_NAME": "host", "GIT_COMMITTER_NAME": "host"}
    run(["git", "merge", "-q", "--no-ff", "-m", f"Merge {head}", head], path, env=author)
    run(["git", "push", "-q", "origin", "HEAD:refs/pull/1/merge"], path)
    return run(["git", "rev-parse", "HEAD"], path).out.strip()


def topic(place: Place, name: str = "topic", file: str = "b") -> str:
    run(["git", "checkout", "-q", "-b", name], place.ana.path)
    head = place.ana.commit_files("topic", {file: "b\n"})
    place.ana.git("push", "-q", "origin", f"HEAD:refs/heads/{name}")
    run(["git", "checkout", "-q", "main"], place.ana.path)
    return head


@pytest.mark.parametrize("fork", [True, False])
def test_a_pull_request_runs_the_steps_and_no_lane_hears_of_it(
    world: World, server: Server, places: list[Place], fork: bool
) -> None:
    """From a fork there is no secret; from a branch there is one, and the workflow does not hand it on."""
    places.append(place := Place(world, server))
    head = topic(place, file="bad")
    before = place.log()
    job = place.runner.pull_request(merged(place, head), place.base, head, secrets={} if fork else None)
    assert job.end() == 1, job.text
    assert job.outputs["verdict"] == "red" and job.outputs["fence"] == ""
    assert "is no landing on a lane" in job.text
    assert (place.log(), place.state.closed) == (before, None)


def test_a_merge_group_is_recorded_and_takes_no_lock(world: World, server: Server, places: list[Place]) -> None:
    places.append(place := Place(world, server))
    head = topic(place, "gh-readonly-queue/main/pr-1")
    job = place.runner.merge_group(head, place.base)
    assert job.end() == 0, job.text
    assert job.outputs["fence"] == ""
    stands = place.lock.standing(*place.key(head))
    assert stands is not None and stands.result == "green"
    assert place.log() == ["verdict:green"]
    # It lands: the tree is judged already, so nobody has to wait for its run.
    run(["git", "update-ref", "refs/heads/main", head], world.remote)
    assert place.runner.push(head, place.base).end() == 0
    assert "adopt" not in place.log() and place.state.state == "free"


def test_a_red_merge_group_is_the_hosts_business(world: World, server: Server, places: list[Place]) -> None:
    places.append(place := Place(world, server))
    head = topic(place, "gh-readonly-queue/main/pr-1", "bad")
    assert place.runner.merge_group(head, place.base).end() == 1
    assert (place.log(), place.state.closed, place.lock.standing(*place.key(head))) == ([], None, None)


def test_a_dispatch_stands_for_a_run_that_never_came(world: World, server: Server, places: list[Place]) -> None:
    places.append(place := Place(world, server))
    head, fence = place.work(), place.state.fence
    other = place.ana.commit_files("something else, not pushed to main", {"x": "x\n"})
    place.ana.git("push", "-q", "origin", "HEAD:refs/heads/tip")
    job = place.runner.dispatch(other, {"sha": head, "fence": str(fence)})  # the branch's tip may be anywhere by now
    assert job.end() == 0, job.text
    assert place.log() == ["landed", "adopt", "verdict:green"]
    assert place.state.state == "free"
    again = place.runner.dispatch(head, {"sha": head, "fence": str(fence)})
    assert again.end() == 0
    assert "does not wait for this run any more" in again.text
    assert place.log() == ["landed", "adopt", "verdict:green"], "the second dispatch says nothing"


def test_a_cancelled_job_is_unknown_and_another_run_may_come(world: World, server: Server, places: list[Place]) -> None:
    places.append(place := Place(world, server, SLOW))
    head = place.work()
    job = place.runner.push(head, place.base)
    job.until("begun")
    assert place.state.phase == "smoking"
    job.cancel()
    assert job.end() == 1
    assert place.log() == ["landed", "adopt", "verdict:unknown"]
    assert (place.state.state, place.state.phase, place.state.closed) == ("held", "landed", None)
    assert job.outputs["verdict"] == "unknown" and job.outputs["again"] == "true"
    assert job.conclusion == "cancelled"
    assert job.processes() == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name)
def test_a_runner_that_is_lost_leaves_unknown_and_the_landing_to_another(
    world: World, server: Server, places: list[Place], how: signal.Signals
) -> None:
    """act, told to end, kills the step's process outright; a machine that is gone takes everything with it."""
    places.append(place := Place(world, server, SLOW, "lane.ci_lease = 2\nlane.ci_wait = 2\nlane.ci_cap = 8"))
    head = place.work()
    job = place.runner.push(head, place.base)
    job.until("begun")
    if how == signal.SIGKILL:
        job.lose()
    else:
        job.stop(how)
        assert job.end() == 1
    assert (place.state.phase, place.state.closed) == ("smoking", None)
    place.until(lambda: place.state.phase == "landed")
    assert place.log() == ["landed", "adopt", "verdict:unknown run-lost"]
    place.until(lambda: place.state.state == "free")
    record, stands = place.lock.record(head), place.lock.standing(*place.key(head))
    assert record is not None and record.unproven
    assert stands is not None and stands.result == "unknown"
    assert place.state.closed is None
    job.lose()


def test_a_duplicate_and_a_late_verdict_change_nothing(world: World, server: Server, places: list[Place]) -> None:
    """The first run is slow and told to be red, the host starts another one, which is green first."""
    step = 'name = "unit"\nrun = "test -z \\"$SLOW\\" || { echo begun; sleep 5; exit 1; }"'
    places.append(place := Place(world, server, step, "lane.ci_lease = 2\nlane.red_retries = 0"))
    head = place.work()
    slow = place.runner.push(head, place.base, env={"SLOW": "1"})
    slow.until("begun")
    for pid in slow.processes("smoke.py"):  # it hangs, and its lease runs out
        run(["kill", "-STOP", str(pid)], place.folder)
    place.until(lambda: place.state.phase == "landed")
    quick = place.runner.push(head, place.base)
    assert quick.end() == 0, quick.text
    assert place.state.state == "free"
    twice = place.runner.push(head, place.base)
    assert twice.end() == 0, twice.text
    for pid in slow.processes("smoke.py"):
        run(["kill", "-CONT", str(pid)], place.folder)
    assert slow.end() == 1, slow.text
    stands = place.lock.standing(*place.key(head))
    assert stands is not None and stands.result == "green"
    assert place.state.closed is None
    said = [e for e in place.log() if e.startswith("verdict")]
    assert said[:2] == ["verdict:unknown run-lost", "verdict:green"]
    assert set(said[2:]) == {"verdict:late green", "verdict:late red"}, said


EVIL = "x$(touch${IFS}pwned)`touch${IFS}pwned`';touch${IFS}pwned;'\";touch${IFS}pwned;\"</td><script>${{secrets.X}}"
LINES = f"{EVIL}\n::error::pwned\n##[error]pwned\r\nverdict=green\x1b[2J"


def inert(world: World, job: Job) -> None:
    """Nothing of it ran, nothing of it was taken for a command, and the summary shows it as text."""
    job.lose()
    assert list(world.folder.rglob("pwned")) == []
    assert not [a for a in job.annotations if a.startswith(("::error::pwned", "##["))], job.text
    assert "\x1b" not in job.text
    assert job.summary and "<script" not in job.summary
    assert job.outputs["verdict"] == "red"


def test_a_hostile_branch_author_and_message_run_nothing(world: World, server: Server, places: list[Place]) -> None:
    step = f"name = {json.dumps(LINES)}\nrun = 'echo \"$GITHUB_REF\" && exit 1'"
    places.append(place := Place(world, server, step, "lane.red_retries = 0"))
    place.ana.git("config", "user.name", EVIL)
    head = place.ana.commit_files(LINES, {"b": "b\n"})
    ref = f"refs/heads/{EVIL}"
    run(["git", "push", "-q", "origin", f"HEAD:{ref}"], place.ana.path)
    job = place.runner.push(head, place.base, ref, actor=EVIL)
    assert job.end() == 1, job.text
    assert "&lt;/td&gt;&lt;script&gt;" in job.summary
    inert(world, job)


def test_a_hostile_pull_request_runs_nothing(world: World, server: Server, places: list[Place]) -> None:
    places.append(place := Place(world, server))
    head = topic(place, EVIL, "bad")
    job = place.runner.pull_request(merged(place, head), place.base, head, title=LINES, actor=EVIL, branch=EVIL)
    assert job.end() == 1, job.text
    inert(world, job)


def test_a_hostile_dispatch_says_nothing_to_the_lane(world: World, server: Server, places: list[Place]) -> None:
    """What is no commit cannot be checked out; and inputs are never pasted into a script."""
    places.append(place := Place(world, server))
    head, before = place.work(), place.log()
    for sha, fence in ((EVIL, "1"), (head, EVIL), (head, "1"), (head, "-1"), (place.base, str(place.state.fence))):
        job = place.runner.dispatch(head, {"sha": sha, "fence": fence})
        job.end()
        assert place.log() == before, (sha, fence, job.text)
        assert list(world.folder.rglob("pwned")) == []
    assert place.state.phase == "landed"
