"""Clones that land, a bare remote, and a runner that smokes what arrives: gate `ci` from end to end, under act."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.ci.act import WORKFLOW, Host, Runner
from tests.ci.test_act import CALLER
from tests.e2e.conftest import Project
from tests.e2e.test_land import begin, end, events, status, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STEP = '[[smoke]]\nname = "quick"\nrun = "test ! -e bad"\n'


class Hosted(Project):
    """A project whose remote runs the gate on whatever is pushed."""

    def __init__(self, folder: Path, *, secret: bool = True, **more: Any) -> None:
        super().__init__(folder)
        url = json.loads(self.ana.prp("redis-status", "--json").out)["url"]
        self.host = Host(Runner(self, secrets={"PRP_REDIS_URL": url} if secret else {}), **more)

    def begin(self, gate: str = "ci", more: str = "") -> None:
        """The landing that brings gate, workflow and settings: each one after it is smoked."""
        toml = self.ana.read("prp.toml").partition("\n[[smoke]]")[0].replace('gate = "none"', f'gate = "{gate}"')
        toml += f"{STEP}{more}"
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
