"""Gate ci-first, whole: `prp land` in real clones, a real store and remote, CI played by ci/smoke.py as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from prpgate import lane
from prpgate.candidate_lock import CandidateLock
from prpgate.config import parse
from prpgate.errors import UsageError
from prpgate.gitrepo import Repo
from prpgate.lock import Granted, Who
from prpgate.model import ZERO, Intent
from prpgate.store.client import adopt, connect
from tests.ci.github import LEDGER, NEW, Ended, Github
from tests.ci.test_ci_smoke import DOCS
from tests.world import Clone, Server, World, run

if TYPE_CHECKING:
    from collections.abc import Callable

RUN_URL = "https://host.example/team/app/actions/runs/77/attempts/1"
UNIT = 'name = "unit"\nrun = "test ! -e bad"'
SLOW = 'name = "unit"\nrun = "sleep 2; test ! -e bad"'


def until(true: Callable[[], object], what: str, give_up_s: float = 20) -> None:
    end_s = time.monotonic() + give_up_s
    while not true():
        assert time.monotonic() < end_s, what
        time.sleep(0.05)


class First(Github):
    """A project under gate ci-first whose store is `server`, for people and for CI."""

    def __init__(self, world: World, server: Server, steps: str = UNIT, more: str = "") -> None:
        super().__init__(world, steps, gate="ci-first", more=more)
        self.lock = CandidateLock(self.use(server).store, "main", self.config.times)
        self.server = server
        self.ana.env["PRP_REDIS_URL"] = server.url

    def clone(self, name: str) -> Clone:
        found = self.world.clone(name)
        found.env["PRP_REDIS_URL"] = self.server.url
        return found

    # --- a lander ----------------------------------------------------------------------------------------------------
    def begin(self, clone: Clone, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "prpgate", "land", "--json", *args],
            cwd=clone.path,
            env={**os.environ, **clone.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ended(self, process: subprocess.Popen[str], timeout: float = 60) -> tuple[int, dict[str, Any], str]:
        out, err = process.communicate(timeout=timeout)
        return process.returncode, json.loads(out) if out.strip() else {}, err

    # --- the host ----------------------------------------------------------------------------------------------------
    def candidates(self) -> dict[str, str]:
        listed = run(
            ["git", "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads/prp-lane"], self.world.remote
        )
        return dict(line.split(" ") for line in listed.out.splitlines())

    def candidate(self, but: tuple[str, ...] = ()) -> tuple[str, str]:
        """The candidate that is on the remote, once one is."""

        def there() -> list[tuple[str, str]]:
            return [c for c in self.candidates().items() if c[0] not in but]

        until(there, "a candidate was pushed")
        return there()[0]

    def start_ci(self, branch: str, sha: str, event: str = "push", **env: str) -> subprocess.Popen[str]:
        payload = {"before": ZERO, "after": sha, "deleted": False} if event == "push" else {}
        return self.start(self.checkout(sha), event, payload, sha, f"refs/heads/{branch}", **env)

    def on_candidate(self, branch: str, sha: str, event: str = "push", **env: str) -> Ended:
        return self.end(self.start_ci(branch, sha, event, **env))

    def on_candidate_of_the_past(self, branch: str, sha: str) -> Ended:
        """A run that begins when its branch is gone already; its commit still reaches the runner."""
        checkout = self.checkout(self.base)
        run(["git", "fetch", "-q", str(self.ana.path), sha], checkout)
        run(["git", "checkout", "-q", "--detach", sha], checkout)
        payload = {"before": ZERO, "after": sha, "deleted": False}
        return self.end(self.start(checkout, "push", payload, sha, f"refs/heads/{branch}"))

    # --- what came of it ---------------------------------------------------------------------------------------------
    def events(self) -> list[tuple[str, str]]:
        return [(e.event, e.detail) for e in reversed(self.lock.log(200))]

    def commands_in(self, seconds: float) -> int:
        """What landers ask of the store meanwhile: scripts, and reads of a wake list."""

        def commands() -> int:
            stats: Any = self.lock.store.redis.info("commandstats")
            return sum(int(stats.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in ("eval", "evalsha", "blpop"))

        before = commands()
        time.sleep(seconds)
        return commands() - before

    def free(self) -> None:
        """Nothing is left of any landing: the lane is free and open, nobody is in line, no candidate is there."""
        state = self.lock.state()
        assert (state.state, list(state.queue), state.closed) == ("free", [], None), state
        assert self.candidates() == {}


@pytest.fixture
def first(world: World, server: Server) -> First:
    return First(world, server)


def test_green_moves_the_lane_to_the_very_commit_that_was_smoked(first: First) -> None:
    head = first.ana.commit_files("P1-001: work", {"b": "b\n"})
    lander = first.begin(first.ana)
    branch, sha = first.candidate()
    assert (sha, first.world.tip()) == (head, first.base), "nothing is on the lane yet"
    assert branch == f"prp-lane/{first.lock.state().fence}"
    ci = first.on_candidate(branch, sha)
    assert (ci.code, ci.outputs["verdict"], ci.outputs["fence"]) == (0, "green", branch.removeprefix("prp-lane/")), (
        ci.log
    )
    assert f"checking the PRPs of {first.base[:12]}..{head[:12]}" in ci.log
    assert "main: green; the landing goes on" in ci.summary
    code, said, _ = first.ended(lander)
    assert (code, said["landed"], said["state"], said["sha"]) == (0, True, "landed", head)
    assert first.world.tip() == head
    first.free()
    record = first.lock.record(head)
    assert record is not None
    assert (record.record, record.verdict, record.run_url) == ("landed", "green", RUN_URL)
    stands = first.lock.standing(*first.key(head))
    assert stands is not None
    assert (stands.result, stands.run_url) == ("green", RUN_URL)


def test_red_leaves_the_lane_where_it_was_and_open_and_the_next_lands(first: First) -> None:
    ben = first.clone("ben")
    first.ana.commit_files("P1-001: break it", {"bad": "b\n"})
    lander = first.begin(first.ana)
    branch, sha = first.candidate()
    ben.commit_files("P1-001: good work", {"c": "c\n"})
    waiting = first.begin(ben)
    until(lambda: len(first.lock.state().queue) == 1, "ben stands in line")
    ci = first.on_candidate(branch, sha)
    assert (ci.code, ci.outputs["verdict"]) == (1, "red")
    assert "main: red; nothing landed, the lane stays open" in ci.summary
    code, said, err = first.ended(lander)
    assert (code, said["landed"], said["state"]) == (1, False, "red")
    assert "red twice: unit ended with 1" in err
    assert RUN_URL in err
    assert first.world.tip() == first.base
    second = first.candidate(but=(branch,))
    assert first.lock.state().closed is None
    assert first.on_candidate(*second).code == 0
    assert first.ended(waiting)[0] == 0
    assert (first.world.tip(), first.world.subjects()[:2]) == (ben.head, ["P1-001: good work", "set up"])
    first.free()
    seen = first.events()
    assert ("verdict", "red (1st)") in seen
    assert ("verdict", "candidate red") in seen
    assert ("release", "red: red twice: unit ended with 1") in seen
    assert ("verdict", "candidate green") in seen


def test_unknown_is_not_proven_and_nothing_lands(first: First) -> None:
    first.ana.commit_files("P1-001: work", {"b": "b\n"})
    lander = first.begin(first.ana)
    branch, sha = first.candidate()
    checkout = first.checkout(sha)
    (checkout / "README").write_text("an earlier step of the job changed it\n")
    payload = {"before": ZERO, "deleted": False}
    ci = first.end(first.start(checkout, "push", payload, sha, f"refs/heads/{branch}"))
    assert (ci.code, ci.outputs["verdict"]) == (5, "unknown"), ci.log
    code, said, err = first.ended(lander)
    assert (code, said["state"], said["next_action"]) == (1, "not-proven", "prp land")
    assert "what is checked out is not the commit" in err
    assert first.world.tip() == first.base
    assert first.lock.standing(*first.key(sha)) is None
    first.free()


def test_a_cancelled_run_is_not_proven_at_once(world: World, server: Server) -> None:
    first = First(world, server, 'run = "echo begun; sleep 30"')
    first.ana.commit_files("P1-001: work", {"b": "b\n"})
    lander = first.begin(first.ana)
    branch, sha = first.candidate()
    process = first.start_ci(branch, sha)
    until(lambda: (c := first.lock.state().candidate) and c.run_url, "the run has it")
    time.sleep(1.0)
    process.send_signal(signal.SIGTERM)
    ci = first.end(process)
    assert (ci.code, ci.outputs["verdict"]) == (130, "unknown")
    code, said, _ = first.ended(lander)
    assert (code, said["state"]) == (1, "not-proven")
    first.free()


def test_a_run_that_never_starts_is_waited_for_no_longer_than_was_said(world: World, server: Server) -> None:
    first = First(world, server, more="lane.ci_wait = 2")
    first.ana.commit_files("P1-001: work", {"b": "b\n"})
    begun = time.monotonic()
    code, said, err = first.ended(first.begin(first.ana))
    assert time.monotonic() - begun < 8
    assert (code, said["state"]) == (1, "not-proven")
    assert "no CI run picked it up within 2s" in err
    assert first.world.tip() == first.base
    first.free()


def test_a_run_that_is_lost_is_waited_for_no_longer_than_its_lease(world: World, server: Server) -> None:
    first = First(world, server, 'run = "echo begun; sleep 30"', more="lane.ci_lease = 2")
    first.ana.commit_files("P1-001: work", {"b": "b\n"})
    lander = first.begin(first.ana)
    process = first.start_ci(*first.candidate())
    until(lambda: (c := first.lock.state().candidate) and c.run_url, "the run has it")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    code, said, err = first.ended(lander)
    assert (code, said["state"]) == (1, "not-proven")
    assert "was not heard of for 2s" in err
    first.free()


def test_a_run_that_lives_is_waited_for_past_its_lease_but_not_past_the_cap(world: World, server: Server) -> None:
    first = First(
        world, server, 'run = "echo begun; sleep 40"', more="lane.ci_lease = 2\nlane.ci_cap = 6\nlane.lease = 3"
    )
    first.ana.commit_files("P1-001: work", {"b": "b\n"})
    lander = first.begin(first.ana)
    process = first.start_ci(*first.candidate())
    begun = time.monotonic()
    code, said, err = first.ended(lander)
    assert 4 < time.monotonic() - begun < 12
    assert (code, said["state"]) == (1, "not-proven")
    assert "took longer than it may" in err
    process.send_signal(signal.SIGTERM)
    process.communicate()
    first.free()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_takes_the_candidate_away_and_gives_the_lane_back(first: First, how: signal.Signals) -> None:
    head = first.ana.commit_files("P1-001: work", {"b": "b\n"})
    lander = first.begin(first.ana)
    branch, sha = first.candidate()
    until(lambda: first.lock.state().candidate, "it is announced")
    lander.send_signal(how)
    assert first.ended(lander)[0] == 130
    first.free()
    assert (first.world.tip(), first.ana.head) == (first.base, head)
    ci = first.on_candidate_of_the_past(branch, sha)
    assert (ci.code, ci.outputs["verdict"]) == (5, "unknown")
    assert "nobody waits for" in ci.log
    assert [e for e in first.events() if e[0] in ("verdict", "pick-up")] == []


def test_what_a_killed_lander_left_goes_with_the_next_landing(world: World, server: Server) -> None:
    first = First(world, server, more="lane.lease = 3")
    ben = first.clone("ben")
    first.ana.commit_files("P1-001: work", {"b": "b\n"})
    lander = first.begin(first.ana)
    left, sha = first.candidate()
    lander.send_signal(signal.SIGKILL)
    lander.communicate()
    ben.commit_files("P1-001: other work", {"c": "c\n"})
    second = first.begin(ben)
    branch, other = first.candidate(but=(left,))
    until(lambda: left not in first.candidates(), "the one that was left is gone")
    assert branch in first.candidates(), "the living one is spared"
    stale = first.on_candidate_of_the_past(left, sha)
    assert stale.code == 5
    assert first.lock.state().candidate is not None
    assert first.on_candidate(branch, other).code == 0
    assert first.ended(second)[0] == 0
    assert first.world.tip() == ben.head
    first.free()


# --- the lane moves meanwhile -----------------------------------------------------------------------------------------
def test_a_foreign_push_meanwhile_is_not_overwritten_and_the_candidate_is_made_anew(first: First) -> None:
    ben = first.clone("ben")
    first.ana.commit_files("P1-001: work", {"b": "b\n"})
    lander = first.begin(first.ana)
    old = first.candidate()
    foreign = ben.commit_files("round the lock", {"c": "c\n"})
    ben.git("push", "-q", "--no-verify")
    assert first.on_candidate(*old).code == 0
    new = first.candidate(but=(old[0],))
    assert first.world.tip() == foreign
    assert run(["git", "rev-parse", f"{new[1]}^"], first.world.remote).out.strip() == foreign
    assert first.on_candidate(*new).code == 0
    code, said, _ = first.ended(lander)
    assert (code, said["sha"], first.world.tip()) == (0, new[1], new[1])
    assert first.world.subjects()[:3] == ["P1-001: work", "round the lock", "set up"]
    first.free()


def test_a_candidate_on_an_old_tip_is_given_up_as_soon_as_somebody_saw_the_lane_move(
    world: World, server: Server
) -> None:
    first = First(world, server, more="lane.lease = 9\n")  # its renewals bring the news
    ben = first.clone("ben")
    first.ana.commit_files("P1-001: work", {"b": "b\n"})
    lander = first.begin(first.ana)
    old = first.candidate()
    foreign = ben.commit_files("round the lock", {"c": "c\n"})
    ben.git("push", "-q", "--no-verify")
    assert first.on_push(foreign).code == 0, "CI's run of that push looks at the remote, and tells the lane"
    new = first.candidate(but=(old[0],))
    assert old[0] not in first.candidates()
    assert first.on_candidate(*new).code == 0
    assert first.ended(lander)[0] == 0
    first.free()


def test_a_lane_that_was_taken_back_meanwhile_is_landed_on_as_it_is_now(first: First) -> None:
    """The commit would still go on top: only the old value that was announced tells that the lane is another."""
    before = run(["git", "rev-parse", f"{first.base}^"], first.world.remote).out.strip()
    head = first.ana.commit_files("P1-001: work", {"b": "b\n"})
    lander = first.begin(first.ana)
    old = first.candidate()
    run(["git", "update-ref", "refs/heads/main", before], first.world.remote)
    assert first.on_candidate(*old).code == 0
    assert first.ended(lander)[0] == 0
    record = first.lock.record(head)
    assert record is not None
    assert (record.record, record.base) == ("landed", before)


def test_two_clones_land_one_after_the_other_several_times(first: First) -> None:
    clones = [first.ana, first.clone("ben")]
    seen: tuple[str, ...] = ()
    for round_ in range(2):
        landers = []
        for clone in clones:
            clone.git("pull", "-q", "--rebase")
            clone.commit_files(f"P1-001: {clone.agent} {round_}", {f"{clone.agent}{round_}": "x\n"})
        landers.append(first.begin(clones[0]))
        first.candidate(but=seen)
        landers.append(first.begin(clones[1]))
        until(lambda: len(first.lock.state().queue) == 1, "ben is in line")
        for lander in landers:
            branch, sha = first.candidate(but=seen)
            seen = (*seen, branch)
            assert first.on_candidate(branch, sha).code == 0
            assert first.ended(lander)[0] == 0
            assert first.world.tip() == sha
    assert first.world.subjects()[:4] == ["P1-001: ben 1", "P1-001: ana 1", "P1-001: ben 0", "P1-001: ana 0"]
    first.free()


# --- what stands already ----------------------------------------------------------------------------------------------
def test_a_tree_that_is_green_needs_no_candidate_and_a_red_one_is_refused_at_once(first: First) -> None:
    head = first.ana.commit_files("P1-001: work", {"b": "b\n"})
    first.lock.verdict(head, *first.key(head, first.ana), "green", run_url=RUN_URL)
    code, said, _ = first.ended(first.begin(first.ana))
    assert (code, said["sha"], first.world.tip()) == (0, head, head)
    assert [e for e, _ in first.events() if e == "candidate"] == []
    worse = first.ana.commit_files("P1-001: more", {"bad": "b\n"})
    first.lock.verdict(worse, *first.key(worse, first.ana), "red", run_url=RUN_URL)
    code, said, err = first.ended(first.begin(first.ana))
    assert (code, said["state"], first.world.tip()) == (1, "red", head)
    assert RUN_URL in err
    first.free()


def test_the_run_on_the_lane_after_a_landing_passes_at_once_and_says_whence(world: World, server: Server) -> None:
    first = First(world, server, 'name = "unit"\nrun = "echo the steps ran; test ! -e bad"')
    head = first.ana.commit_files("P1-001: work", {"b": "b\n"})
    lander = first.begin(first.ana)
    assert first.on_candidate(*first.candidate()).code == 0
    assert first.ended(lander)[0] == 0
    before = first.events()
    ci = first.on_push(head)
    said = {name: ci.outputs[name] for name in ("verdict", "tree", "fence", "duration")}
    assert (ci.code, said) == (0, {"verdict": "green", "tree": first.key(head)[0], "fence": "", "duration": ""})
    assert "the steps ran" not in ci.log
    assert f"this tree is green already, by {RUN_URL}" in ci.summary
    assert first.events() == before, "the lane is nobody's and stays so"


def test_a_pull_request_that_makes_a_green_tree_again_frees_the_lane_and_opens_it(world: World, server: Server) -> None:
    """It waits for CI after it landed, also with ci-first; a revert makes a tree that was green before."""
    github = Github(world, 'run = "test ! -e bad"', gate="ci-first", more="lane.red_retries = 0\n")
    lock = github.use(server)
    assert github.on_push(github.land(lock, "P1-001: work", {"b": "b\n"})).code == 0
    bad = github.land(lock, "P1-001: worse", {"bad": "b\n"})
    assert github.on_push(bad).code == 1
    assert lock.state().closed is not None
    github.ana.git("revert", "--no-edit", bad)
    mended = github.ana.head
    who = Who("ana", f"ana:{mended}", "ana", "desk", 1, "land", None, mended)
    answer = lock.acquire(who, plain=True, fixer=True, intent=Intent(mended, bad), info={"agent": "ana", "prps": []})
    assert isinstance(answer, Granted)
    github.ana.git("push", "-q", "origin", "HEAD:main")
    saw, look = lane.observe(Repo(str(github.ana.path)), github.config, lock.state())
    lock.report(answer.lease, saw, look, gate="ci")
    assert lock.state().phase == "landed"
    assert github.on_push(mended, before=bad).code == 0
    assert (lock.state().state, lock.state().closed) == ("free", None)
    record = lock.record(mended)
    assert record is not None
    assert (record.verdict, record.unproven) == ("green", False)


def test_a_foreign_commit_is_smoked_on_the_lane_and_its_red_closes_it_until_a_green_revert(first: First) -> None:
    ben = first.clone("ben")
    culprit = ben.commit_files("round the lock", {"bad": "c\n"})
    ben.git("push", "-q", "--no-verify")
    assert first.on_push(culprit).code == 1
    closed = first.lock.state().closed
    assert closed is not None
    assert (closed.kind, closed.culprit_sha) == ("red", culprit)
    first.ana.commit_files("P1-001: work", {"b": "b\n"})
    assert first.ended(first.begin(first.ana))[1]["state"] == "closed"
    lander = first.begin(ben, "--revert")
    # What is taken back leaves a tree that nobody has smoked yet: "set up" was never CI's.
    assert first.on_candidate(*first.candidate()).code == 0
    assert first.ended(lander)[0] == 0
    assert first.lock.state().closed is None, "the fix is green before it lands, so the lane opens with it"
    assert ("open", "green") in first.events()


# --- plain pushes -----------------------------------------------------------------------------------------------------
def test_a_plain_push_needs_a_green_verdict_of_ci(first: First) -> None:
    ben = first.clone("ben")
    ben.prp("install")
    head = ben.commit_files("P1-001: work", {"b": "b\n"})
    refused = ben.git("push", ok=False)
    assert refused.code == 1
    assert "its gate is ci-first" in refused.err
    assert "prp land" in refused.err
    assert ben.prp("smoke", ok=False).code == 0, "class local"
    assert ben.git("push", ok=False).code == 1
    first.lock.verdict(head, *first.key(head, ben), "green", run_url=RUN_URL)
    ben.git("push")
    until(lambda: first.lock.state().state == "free", "reported")
    assert first.world.tip() == head
    record = first.lock.record(head)
    assert record is not None
    assert (record.record, record.verdict) == ("landed", "green")


def test_the_hooks_let_candidates_through_whatever_is_a_lane(world: World, server: Server) -> None:
    first = First(world, server, more='lane.branches = ["*", "prp-lane/*"]\nledger.lane = "main"')
    ben = first.clone("ben")
    ben.prp("install")
    ben.commit_files("P1-001: work", {"b": "b\n"})
    lander = first.begin(ben)
    branch, sha = first.candidate()
    assert first.on_candidate(branch, sha).code == 0
    assert first.ended(lander)[0] == 0
    ben.commit_files("P1-001: more", {"c": "b\n"})
    ben.git("push", "-q", "origin", "HEAD:refs/heads/prp-lane/123")
    assert ben.git("push", "-q", "origin", "HEAD:refs/heads/prp-lane/my-own", ok=False).code == 1, "a lane, by its glob"
    ben.git("push", "-q", "origin", ":prp-lane/123")
    first.free()


def test_the_first_landing_of_the_gate_itself_needs_no_proof(world: World, server: Server) -> None:
    ana = world.clone("zoe", first=True)
    toml = f'project = "example.org/team/app"\ngate = "ci-first"\nstore.id = "{uuid.uuid4()}"\n[[smoke]]\n{UNIT}\n'
    ana.commit_files("set up", {"prp.toml": toml})
    ana.env["PRP_REDIS_URL"] = server.url
    config = parse(toml, "prp.toml")
    store = connect(config, str(ana.path), url=server.url, adopt_check=False)
    adopt(store, config.store_id)
    ana.prp("install")
    ana.git("push")
    until(lambda: CandidateLock(store, "main", config.times).state().state == "free", "reported")
    assert world.tip() == ana.head


# --- while it waits ---------------------------------------------------------------------------------------------------
def test_everybody_sees_what_is_waited_for(world: World, server: Server) -> None:
    go = world.folder / "go"
    first = First(world, server, 'run = "until test -e ../go; do sleep 0.1; done"')
    ben = first.clone("ben")
    head = first.ana.commit_files("P1-001: work", {"b": "b\n"})
    lander = first.begin(first.ana)
    branch, sha = first.candidate()

    def told() -> dict[str, Any]:
        return dict(json.loads(ben.prp("lock", "status", "main", "--json").out)["lanes"][0])

    assert (told()["state"], told()["holder"]["phase"], told()["holder"]["candidate"]) == ("held", "candidate", head)
    shown = ben.prp("lock", "status", "main").out
    assert "waiting for CI for " in shown
    assert f"candidate {head[:10]}: no CI run yet, waited for 1m" in shown
    ben.prp("install")
    ben.commit_files("P1-001: other", {"c": "c\n"})
    first.lock.verdict(ben.head, *first.key(ben.head, ben), "green", run_url=RUN_URL)
    assert "main is held by ana" in (refused := ben.git("push", ok=False).err)
    assert "waiting for CI for " in refused
    process = first.start_ci(branch, sha)
    until(lambda: told()["holder"]["phase"] == "smoking", "the run has it")
    assert told()["holder"]["run_url"] == RUN_URL
    shown = ben.prp("lock", "status", "main").out
    assert ", in CI for " in shown
    assert f"candidate {head[:10]}: {RUN_URL}" in shown
    go.touch()
    assert first.end(process).code == 0
    code, _, err = first.ended(lander)
    assert code == 0
    lines = [line for line in err.splitlines() if "your turn" in line]
    assert "main: your turn · waiting for CI" in lines
    assert f"main: your turn · smoking in CI ({RUN_URL})" in lines
    rows = json.loads(ben.prp("lane", "log", "--json").out)["landings"]
    assert [(r["sha"], r["claimed"], r["found"]) for r in rows] == [(head, True, "landed")]


def test_a_candidate_that_was_red_is_in_the_lanes_log(first: First) -> None:
    head = first.ana.commit_files("P1-001: break it", {"bad": "b\n"})
    lander = first.begin(first.ana)
    first.on_candidate(*first.candidate())
    first.ended(lander)
    rows = json.loads(first.ana.prp("lane", "log", "--json").out)["landings"]
    assert [(r["sha"], r["claimed"], r["found"]) for r in rows] == [(head, True, "red")]


def test_waiting_for_ci_costs_at_most_three_commands_in_ten_seconds(first: First) -> None:
    first.ana.commit_files("P1-001: work", {"b": "b\n"})
    lander = first.begin(first.ana)
    first.candidate()
    time.sleep(
        1.5
    )  # what it does at the beginning, the first blocking read of 8 s and the first lease of 30 s among it
    assert 2 <= first.commands_in(12) <= 3, "a read of 8 s, a renewal after 10 s, and what that brought the first time"
    lander.send_signal(signal.SIGINT)
    first.ended(lander)


def test_a_store_that_restarts_meanwhile_costs_nothing(world: World, server: Server) -> None:
    first = First(world, server)
    head = first.ana.commit_files("P1-001: work", {"b": "b\n"})
    lander = first.begin(first.ana)
    branch, sha = first.candidate()
    time.sleep(0.5)
    server.stop(signal.SIGKILL)
    time.sleep(2)
    server.start()
    assert first.on_candidate(branch, sha).code == 0
    assert first.ended(lander)[0] == 0
    assert first.world.tip() == head


def test_a_store_that_stays_away_ends_the_wait_with_the_lease(world: World, server: Server) -> None:
    first = First(world, server, more="lane.lease = 3")
    first.ana.commit_files("P1-001: work", {"b": "b\n"})
    lander = first.begin(first.ana)
    first.candidate()
    time.sleep(0.5)
    server.stop(signal.SIGKILL)
    assert first.ended(lander, 30)[0] == 4
    assert (first.world.tip(), first.candidates()) == (first.base, {})


def test_a_lander_that_sleeps_past_its_lease_moves_nothing_although_it_is_green(world: World, server: Server) -> None:
    first = First(world, server, more="lane.lease = 3")
    ben = first.clone("ben")
    first.ana.commit_files("P1-001: work", {"b": "b\n"})
    lander = first.begin(first.ana)
    old = first.candidate()
    process = first.start_ci(*old)
    until(lambda: (c := first.lock.state().candidate) and c.run_url, "the run has it")
    lander.send_signal(signal.SIGSTOP)
    first.end(process)
    until(lambda: first.lock.state().state == "free", "the lease is over")
    ben.commit_files("P1-001: other", {"c": "c\n"})
    second = first.begin(ben)
    new = first.candidate(but=(old[0],))
    assert first.on_candidate(*new).code == 0
    assert first.ended(second)[0] == 0
    lander.send_signal(signal.SIGCONT)
    code, said, _ = first.ended(lander)
    assert (code, said["state"], first.world.tip()) == (1, "lost", new[1])
    first.free()


# --- what comes of it -------------------------------------------------------------------------------------------------
def test_a_prp_that_lands_green_is_complete_at_once(world: World, server: Server) -> None:
    first = First(world, server)
    ana = first.ana
    ana.prp("install")
    ana.prp("validate", "P1-001")
    ana.prp("start", "P1-001")
    ana.commit_files("P1-001: the work", {"b": "b\n"})
    ana.prp("complete", "P1-001")
    ana.commit_files("P1-001: done", {})
    lander = first.begin(ana)
    assert first.on_candidate(*first.candidate()).code == 0
    assert first.ended(lander)[0] == 0
    shown = json.loads(ana.prp("status", "P1-001", "--json").out)["prp"]
    assert (shown["status"], shown["recorded"], shown["phase"]) == ("complete", "complete", None)
    first.free()


def test_what_was_left_is_named_by_doctor_and_deleted_by_ci_clean_and_never_a_living_one(first: First) -> None:
    ben = first.clone("ben")
    first.ana.commit_files("P1-001: work", {"b": "b\n"})
    lander = first.begin(first.ana)
    alive, _ = first.candidate()
    for fence in ("17", str(int(alive.removeprefix("prp-lane/")) + 10**9)):
        ben.git("push", "-q", "--no-verify", "origin", f"HEAD:refs/heads/prp-lane/{fence}")
    facts = json.loads(ben.prp("doctor", "--json", ok=False).out)["facts"]
    assert [(f["level"], f["command"]) for f in facts if "candidate branch" in f["text"]] == [
        ("warning", "prp ci clean")
    ]
    done = json.loads(ben.prp("ci", "clean", "--json").out)
    assert done["deleted"] == [{"branch": "prp-lane/17", "sha": ben.head}]
    assert alive in first.candidates()
    assert len(first.candidates()) == 2, "a greater fence than any that was given is another store's"
    assert "No candidate branch was left" in ben.prp("ci", "clean").out
    assert first.on_candidate(alive, first.candidates()[alive]).code == 0
    assert first.ended(lander)[0] == 0


def test_two_lanes_wait_for_ci_at_once_and_spare_each_others_candidates(world: World, server: Server) -> None:
    first = First(world, server, more='lane.branches = ["main", "rel/*"]\nledger.lane = "main"')
    rel = CandidateLock(first.lock.store, "rel/1", first.config.times)
    ben = first.clone("ben")
    ben.git("push", "-q", "--no-verify", "origin", "HEAD:refs/heads/rel/1")
    ben.git("switch", "-q", "-c", "rel/1", "--track", "origin/rel/1")
    ben.commit_files("P1-001: for the release", {"r": "r\n"})
    one = first.begin(ben)
    older = first.candidate()
    first.ana.commit_files("P1-001: work", {"b": "b\n"})
    two = first.begin(first.ana)
    newer = first.candidate(but=(older[0],))
    ben.git("push", "-q", "--no-verify", "origin", "HEAD:refs/heads/prp-lane/17")  # left by nobody who lives
    assert first.ana.prp("ci", "clean").out.startswith("Deleted prp-lane/17 ")
    until(lambda: len(first.candidates()) == 2, "both are there")
    assert rel.state().candidate is not None
    assert "main: green; the landing goes on" in first.on_candidate(*newer).summary
    assert "rel/1: green; the landing goes on" in first.on_candidate(*older).summary
    assert (first.ended(one)[0], first.ended(two)[0]) == (0, 0)
    assert (world.tip("rel/1"), world.tip()) == (ben.head, first.ana.head)
    first.free()


def test_init_recommends_it_where_ci_can_reach_the_store(world: World) -> None:
    world.clone("ana", first=True)
    assert "ci-first" not in world.clone("ben").prp("init", "--yes").out
    said = world.clone("carol").prp("init", "--yes", "--scope", "team").out
    assert 'gate = "ci-first" is recommended' in said
    assert "red 9 % of the time" in said


@pytest.mark.parametrize("name", ["", "x", "/", "a b/", "../", "x//", "-x/"])
def test_a_prefix_that_is_no_folder_of_branches_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"lane\.candidates"):
        parse(f'project = "p"\nlane.candidates = "{name}"\n', "prp.toml")


def test_the_user_of_the_documentation_can_prove_a_candidate(world: World, server: Server) -> None:
    line = next(x for x in DOCS.read_text("utf-8").splitlines() if x.startswith("ACL SETUSER prp-ci "))
    first = First(world, server)
    with server.redis() as admin:
        admin.execute_command(*line.split())
    first.ana.commit_files("P1-001: work", {"b": "b\n"})
    lander = first.begin(first.ana)
    address = f"unix://prp-ci:a-long-password@{server.socket}"
    assert first.on_candidate(*first.candidate(), PRP_REDIS_URL=address).code == 0
    assert first.ended(lander)[0] == 0


@pytest.mark.parametrize("event", ["pull_request", "schedule", "merge_group"])
def test_only_a_push_or_a_dispatch_speaks_to_the_landing(first: First, event: str) -> None:
    first.ana.commit_files("P1-001: work", {"b": "b\n"})
    lander = first.begin(first.ana)
    branch, sha = first.candidate()
    assert first.on_candidate(branch, sha, event).code == 0
    assert [e for e, _ in first.events() if e in ("pick-up", "verdict")] == []
    assert first.on_candidate(branch, sha, "workflow_dispatch").code == 0
    assert first.ended(lander)[0] == 0


def test_without_a_store_a_run_on_a_candidate_checks_and_says_so(first: First) -> None:
    first.ana.commit_files("break it", {LEDGER: NEW.replace("new", "done")})
    first.ana.git("push", "-q", "origin", "HEAD:refs/heads/prp-lane/5")
    ci = first.on_candidate("prp-lane/5", first.ana.head, PRP_REDIS_URL="")
    assert (ci.code, ci.outputs["verdict"]) == (1, "red")
    assert "no store is set" in ci.log
    assert f"checking the PRPs of {first.base[:12]}.." in ci.log
