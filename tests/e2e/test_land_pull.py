"""`prp land --pr`, end to end: clones, a bare remote, the host's API, and what is on record afterwards."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.ci.fake_github import FakeGithub
from tests.e2e.conftest import LEDGER, Project
from tests.world import Clone, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VIA = 'gate = "none"\nvia = "pr"\nci.repository = "team/app"\n'


class Setup:
    """A project whose lane takes pull requests, and its host."""

    def __init__(self, project: Project, fake: FakeGithub) -> None:
        self.project, self.fake, self.ana = project, fake, project.ana

    def join(self, name: str) -> Clone:
        clone = self.project.join(name)
        clone.env |= self.fake.env
        return clone

    def pull(self, clone: Clone, branch: str, files: dict[str, str], **more: Any) -> int:
        """A branch off the lane with one commit, pushed, and a pull request of it."""
        clone.git("fetch", "-q")
        clone.git("checkout", "-q", "-b", branch, "origin/main")
        clone.commit_files(more.pop("message", f"work on {branch}"), files)
        clone.git("push", "-q", "-u", "origin", branch)
        return self.fake.add_pull(branch, "main", more.pop("title", f"Title of {branch}"), **more)

    def tip(self) -> str:
        return self.project.tip()

    def parents(self, sha: str) -> list[str]:
        return run(["git", "rev-list", "--parents", "-n", "1", sha], self.project.remote).out.split()[1:]

    def tree(self, sha: str) -> str:
        return run(["git", "rev-parse", f"{sha}^{{tree}}"], self.project.remote).out.strip()

    def message(self, sha: str) -> str:
        return run(["git", "log", "-1", "--format=%B", sha], self.project.remote).out


def lane(clone: Clone) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(clone.prp("lock", "status", "main", "--json").out)["lanes"][0]
    return found


def landings(clone: Clone) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(clone.prp("lane", "log", "--json").out)["landings"]
    return found


def start(tmp_path: Path, settings: str) -> tuple[Project, FakeGithub]:
    project = Project(tmp_path)
    fake = FakeGithub(project.remote)
    toml = project.ana.read("prp.toml")
    project.ana.commit_files("Pull requests", {"prp.toml": toml.replace('gate = "none"', settings, 1)})
    project.ana.git("push", "-q")
    project.ana.git("fetch", "-q")
    project.settle()
    return project, fake


@pytest.fixture
def via_pr(tmp_path: Path, home: Path) -> Iterator[Setup]:
    project, fake = start(tmp_path, VIA)
    with fake:
        project.ana.env |= fake.env
        yield Setup(project, fake)


@pytest.mark.parametrize("way", ["merge", "squash", "rebase"])
def test_each_way_lands_and_is_on_record(via_pr: Setup, way: str) -> None:
    ana, fake = via_pr.ana, via_pr.fake
    for one in ("merge", "squash", "rebase"):
        fake.settings[f"allow_{one}" + ("" if one == "squash" else "_commit" if one == "merge" else "_merge")] = False
    fake.settings |= {"allow_merge_commit": way == "merge", "allow_squash_merge": way == "squash"}
    fake.settings["allow_rebase_merge"] = way == "rebase"
    number = via_pr.pull(ana, "topic", {"one": "1\n"}, message="feat(P2-040): one")
    head, base = ana.head, via_pr.tip()
    other = via_pr.join("ben")
    other.git("checkout", "-q", "main")
    done = ana.prp("land", "--pr", str(number), "--json")
    answer = json.loads(done.out)
    landed = via_pr.tip()
    assert answer["landed"] and answer["sha"] == landed and answer["base"] == base, done
    assert fake.asked("PUT")[0].body["sha"] == head
    assert fake.asked("PUT")[0].body["merge_method"] == way
    assert via_pr.tree(landed) == ana.git("rev-parse", f"{head}^{{tree}}").out.strip()
    assert via_pr.parents(landed)[0] == base
    row = landings(ana)[-1]
    assert (row["sha"], row["agent"], row["claimed"], row["found"]) == (landed, "ana", True, "landed"), row
    assert lane(ana)["state"] == "free"
    if way != "rebase":
        assert "Prp: P2-040" in via_pr.message(landed)
