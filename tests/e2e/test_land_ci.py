"""Clones that land, a bare remote, and a runner that smokes what arrives, end to end under act: gate `ci`, gate
`ci-first`, and gate `ci` without a secret, where those who wait read the host's check run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.ci.act import WORKFLOW, Host, Job, Runner
from tests.ci.fake_github import FakeGithub
from tests.ci.test_act import CALLER
from tests.e2e.conftest import Project
from tests.e2e.test_land import answer, begin, end, events, stands_in_line, status, until
from tests.world import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.world import Clone

# What is bad takes as long as a file is there, so that others can come to stand in line (or a while: nothing hangs).
WAIT = "n=0; while [ -e {slow} ] && [ $n -lt 500 ]; do sleep 0.1; n=$((n + 1)); done"
STEP = """[[smoke]]\nname = "quick"\nrun = 'test ! -e bad || {{ {wait}; exit 1; }}'\n"""


class Hosted(Project):
    """A project whose remote runs the gate on whatever is pushed."""

    def __init__(self, folder: Path, *, secret: bool = True, **more: Any) -> None:
        super().__init__(folder)
        url = json.loads(self.ana.prp("redis-status", "--json").out)["url"]
        self.slow = self.folder / "slow"  # while it is there, a run on what is bad does not end
        self.host = Host(Runner(self, secrets={"PRP_REDIS_URL": url} if secret else {}), **more)

    def begin(self, gate: str = "ci", more: str = "") -> None:
        """The landing that brings gate, workflow and settings: each one after it is smoked."""
        toml = self.ana.read("prp.toml").partition("\n[[smoke]]")[0].replace('gate = "none"', f'gate = "{gate}"')
        toml += STEP.format(wait=WAIT.format(slow=self.slow)) + more
        self.ana.commit_files("Smoke what lands", {"prp.toml": toml, WORKFLOW: CALLER})
        self.ana.git("push", "-q")
        self.host.idle()
        self.settle()


@pytest.fixture
def hosted(tmp_path: Path, home: Path) -> Iterator[Hosted]:
    project = Hosted(tmp_path)
    with project.host:
        project.begin()
        yield project


def of_landings(project: Project, since: int) -> list[str]:
    """What the lane's log has about who landed and what became of it, oldest first."""
    keep = ("landed", "adopt", "verdict", "close", "open")
    return [f"{e['event']} {e['agent']}".strip() for e in events(project.ana)[since:] if e["event"] in keep]


def work(clone: Clone, name: str) -> str:
    """A commit on top of what has landed."""
    clone.git("pull", "-q", "--rebase")
    return clone.commit_files(f"{clone.agent}: {name}", {name: "x\n"})


def holder(clone: Clone) -> str | None:
    held = status(clone)["holder"]
    return held["agent"] if held else None


def test_landings_wait_for_each_others_verdict_and_wake_the_next(hosted: Hosted) -> None:
    clones = [hosted.ana, hosted.join("ben"), hosted.join("cem")]
    before, runs = len(events(hosted.ana)), len(hosted.host.jobs)
    for clone in clones:
        clone.commit_files(f"work of {clone.agent}", {f"{clone.agent}.txt": "x"})
    done = [end(p, 120) for p in [begin(c, "--json") for c in clones]]
    assert [d.code for d in done] == [0, 0, 0], done
    jobs = hosted.host.idle()[runs:]
    assert [j.outputs["verdict"] for j in jobs] == ["green"] * 3, [j.text for j in jobs]
    order = [line.split()[1] for line in of_landings(hosted, before) if line.startswith("landed ")]
    assert sorted(order) == ["ana", "ben", "cem"]
    assert of_landings(hosted, before) == [
        f"{event} {agent}" for agent in order for event in ("landed", "adopt", "verdict")
    ], "each one's verdict before the next one's push"
    assert (status(hosted.ana)["state"], status(hosted.ana)["queue"]) == ("free", [])
    for job, agent in list(zip(jobs, order, strict=True))[1:]:
        story = [f"queued by {agent}", f"{agent} got the lane", "picked up by this run", "verdict green given"]
        assert sorted(story, key=job.summary.find) == story and story[0] in job.summary, job.summary


def test_a_red_in_the_middle_closes_and_its_revert_opens(hosted: Hosted) -> None:
    ben, cem = hosted.join("ben"), hosted.join("cem")
    hosted.ana.commit_files("fine", {"a.txt": "a"})
    assert end(begin(hosted.ana)).code == 0
    ben.commit_files("breaks it", {"bad": "b"})
    red = end(begin(ben, "--json"))
    hosted.host.idle()
    lane = status(ben)
    assert lane["closed"] is not None and "quick ended with 1" in lane["closed"]["reason"], (lane, red)
    cem.commit_files("has to wait", {"c.txt": "c"})
    refused = cem.prp("land", "--no-wait", "--json", ok=False)
    assert refused.code != 0 and hosted.subjects()[0] == "breaks it", refused
    ben.prp("land", "--revert", "--reason", "it is red")
    hosted.host.idle()
    until(lambda: status(ben)["closed"] is None, "the lane opened")
    assert end(begin(cem)).code == 0
    hosted.host.idle()
    hosted.settle()
    assert hosted.subjects()[:2] == ["has to wait", 'Revert "breaks it"']
    said = [e["detail"] for e in events(hosted.ana) if e["event"] == "verdict"]
    assert said[-5:] == ["green", "red (1st)", "red", "green", "green"]


# --- gate ci-first: nothing lands before CI has said green ------------------------------------------------------------
@pytest.fixture
def first(tmp_path: Path, home: Path) -> Iterator[Hosted]:
    project = Hosted(tmp_path)
    with project.host:
        project.begin("ci-first")
        yield project


def moves(project: Hosted) -> list[str]:
    """What main was moved to since the gate came, oldest first; each on top of the one before."""
    lines = [line.split(" ") for line in project.host.pushes.read_text().splitlines()]
    main = [(before, after) for before, after, ref in lines if ref == "refs/heads/main"]
    assert [before for before, _ in main[1:]] == [after for _, after in main[:-1]], main
    return [after for _, after in main[1:]]


def test_nothing_moves_the_branch_but_what_ci_said_green_to(first: Hosted) -> None:
    ana, ben = first.ana, first.join("ben")
    for n in (1, 2):
        work(ana, f"a{n}")
        work(ben, f"b{n}")
        done = [end(p, 120) for p in [begin(c, "--json") for c in (ana, ben)]]
        assert [d.code for d in done] == [0, 0], done
    before, since = moves(first), len(events(ana))
    bad = work(ana, "bad")
    work(ben, "good")
    first.slow.touch()
    breaking = begin(ana, "--json")
    until(lambda: holder(ana) == "ana", "ana has the lane")
    waiting = begin(ben, "--json")
    until(lambda: stands_in_line(ben), "ben stands in line")
    first.slow.unlink()
    red, good = answer(end(breaking)), answer(end(waiting))
    assert (red["landed"], red["state"]) == (False, "red"), red
    assert (good["landed"], good["state"]) == (True, "landed"), good
    jobs = first.host.idle()
    assert moves(first) == [*before, good["sha"]], "red never was on the branch"
    log = events(ana)
    assert [f"{e['event']} {e['agent']}" for e in log[since:] if e["event"] in ("release", "handover", "landed")] == [
        *("release ana", "handover ben", "landed ben")
    ]
    assert "close" not in {e["event"] for e in log}
    assert (status(ana)["state"], status(ana)["closed"], status(ana)["queue"]) == ("free", None, [])
    for sha in moves(first):
        story = ["candidate", "pick-up", "verdict candidate green", "intent", "landed"]
        seen = [e for e in log if e["sha"] == sha and e["event"] not in ("acquire", "claim", "queue")]
        assert [f"{e['event']} {e['detail'] if e['event'] == 'verdict' else ''}".strip() for e in seen] == story
        assert len({e["fence"] for e in seen}) == 1, seen
        candidate, lane = (j for j in jobs if j.sha == sha)
        assert (candidate.ref, lane.ref) == (f"refs/heads/prp-lane/{seen[0]['fence']}", "refs/heads/main")
        assert candidate.outputs["fence"] == str(seen[0]["fence"])
        assert f"green already, by {seen[1]['detail']}; nothing was run again" in lane.outputs["reason"]
    assert [(j.ref[:20], j.outputs["verdict"]) for j in jobs if j.sha == bad] == [("refs/heads/prp-lane/", "red")]
    assert [e["detail"] for e in log if e["sha"] == bad and e["event"] == "verdict"] == ["red (1st)", "candidate red"]
    assert run(["git", "for-each-ref", "refs/heads/prp-lane"], first.remote).out == "", "no candidate is left"


def test_a_red_round_the_hooks_closes_and_its_revert_opens(first: Hosted) -> None:
    ana, ben = first.ana, first.join("ben")
    bad = work(ben, "bad")
    ben.git("push", "-q", "--no-verify")
    first.host.idle()
    closed = status(ana)["closed"]
    assert closed is not None and closed["reason"] == "red twice: quick ended with 1", closed
    assert [e["sha"] for e in events(ana) if e["event"] == "close"] == [bad]
    work(ana, "waits")
    assert answer(end(begin(ana, "--json")))["error"]["code"] == "closed"
    taken_back = answer(end(begin(ben, "--revert", "--reason", "it is red", "--json")))
    assert taken_back["landed"], taken_back
    assert (status(ana)["closed"], first.tip()) == (None, taken_back["sha"])
    landed = answer(end(begin(ana, "--json")))
    first.host.idle()
    assert moves(first) == [bad, taken_back["sha"], landed["sha"]]
    assert (status(ana)["state"], status(ana)["closed"]) == ("free", None)


# --- gate ci without a secret: those who wait read the host's check run -----------------------------------------------
class Observed(Hosted):
    """No run speaks to the store. The host has a check run for each, and another app has one of the same name that says
    the contrary; the clones may ask for both."""

    CHECK = "smoke / smoke"  # as the host names it: the caller's job, and the called workflow's

    def __init__(self, folder: Path) -> None:
        self.fake = FakeGithub(folder / "remote.git")
        self.checks: dict[str, int] = {}
        super().__init__(folder, secret=False, on_start=self._started, on_end=self._ended)

    def _started(self, job: Job) -> None:
        self.checks[job.name] = self.fake.add_check(job.sha, self.CHECK)
        self.fake.add_check(job.sha, self.CHECK, "failure", app="look-alike")

    def _ended(self, job: Job) -> None:
        assert job.conclusion
        self.fake.conclude(self.checks[job.name], job.conclusion)
        if job.conclusion == "failure":
            self.fake.add_check(job.sha, self.CHECK, "success", app="look-alike")

    def join(self, name: str) -> Clone:
        clone = super().join(name)
        clone.env |= self.fake.env
        return clone

    def run_of(self, sha: str) -> str:
        """Where the host says that the check run of a commit is."""
        app = {"slug": "github-actions"}
        return str(next(c["html_url"] for c in self.fake.checks if (c["head_sha"], c["app"]) == (sha, app)))


@pytest.fixture
def observed(tmp_path: Path, home: Path) -> Iterator[Observed]:
    project = Observed(tmp_path)
    with project.fake, project.host:
        project.ana.env |= project.fake.env
        more = f'\n[ci]\nobserve = "status"\ncheck = "{Observed.CHECK}"\npoll = 1\nrepository = "team/app"\n'
        project.begin(more=more)
        assert "which was unproven, is green after all" in project.ana.prp("ci", "reconcile").out
        yield project


def test_those_who_wait_read_the_check_runs_of_each_others_landings(observed: Observed) -> None:
    ana, ben = observed.ana, observed.join("ben")
    before = len(events(ana))
    for n in (1, 2):
        for clone in (ana, ben):
            work(clone, f"{clone.agent}{n}")
            done = end(begin(clone, "--json"))
            assert (done.code, answer(done)["state"]) == (0, "ci"), done
            assert ("main: green; the lane goes on" in done.err) == ((n, clone.agent) != (1, "ana")), done
    bad = work(ana, "bad")
    assert answer(end(begin(ana, "--json")))["landed"]
    work(ben, "good")
    refused = end(begin(ben, "--json"))
    assert answer(refused)["error"]["code"] == "closed", refused
    assert "main: red; closed by ci: check run smoke / smoke of github-actions: failure" in refused.err
    assert ("ci" in status(ben)["closed"]["by"], observed.tip()) == (True, bad), "the lane stays where it was"
    assert [e["sha"] for e in events(ana) if e["event"] == "close"] == [bad]
    taken_back = answer(end(begin(ana, "--revert", "--json")))
    assert taken_back["landed"] and status(ben)["closed"], "open again only when it is green"
    observed.host.idle()
    assert "main: green; the lane goes on" in ana.prp("ci", "reconcile").out
    assert status(ben)["closed"] is None
    good = answer(end(begin(ben, "--json")))
    jobs = observed.host.idle()[1:]
    assert "main: green; the lane goes on" in ben.prp("ci", "reconcile").out
    assert (status(ana)["state"], status(ana)["closed"], observed.tip()) == ("free", None, good["sha"])
    shas = [j.sha for j in jobs]
    assert [shas.index(sha) for sha in (bad, taken_back["sha"], good["sha"])] == [4, 5, 6], shas
    assert [j.conclusion for j in jobs] == ["success"] * 4 + ["failure", "success", "success"]
    assert all("no store is set, so no lane hears of this run" in j.text for j in jobs)
    story = [
        *(line for who in ("ana", "ben", "ana", "ben") for line in (f"landed {who}", f"adopt {who}", f"verdict {who}")),
        *("landed ana", "adopt ana", "verdict ana", "close ci", "landed ana", "adopt ana", "verdict ana", "open ci"),
        *("landed ben", "adopt ben", "verdict ben"),
    ]
    log = events(ana)[before:]
    assert of_landings(observed, before) == story
    assert {e["sha"]: e["detail"] for e in log if e["event"] == "adopt"} == {s: observed.run_of(s) for s in shas}
    said = {e["sha"]: e["detail"] for e in log if e["event"] == "verdict"}
    assert [said[sha] for sha in shas] == ["green"] * 4 + ["red", "green", "green"]
