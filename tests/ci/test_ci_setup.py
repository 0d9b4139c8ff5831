"""What `prp init` recommends and `prp doctor` says of gates ci and ci-first: what works, and what cannot."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from prpgate import ci_setup
from tests.ci.fake_github import FakeGithub
from tests.ci.test_first_observed import OBSERVED, Observed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.world import Clone, Server, World

WORKFLOW = "on:\n  push:\n  workflow_dispatch:\njobs:\n  smoke:\n    runs-on: ubuntu-latest\n"
PATH = ".github/workflows/smoke.yml"
RECOMMENDED = 'gate = "ci-first" is recommended'


@pytest.fixture
def fake(world: World) -> Iterator[FakeGithub]:
    with FakeGithub(world.remote) as one:
        yield one


def facts(clone: Clone) -> list[tuple[str, str]]:
    found: list[dict[str, Any]] = json.loads(clone.prp("doctor", "--json", ok=False).out)["facts"]
    return [(f["level"], f["text"]) for f in found]


def wrong(clone: Clone, *words: str) -> list[tuple[str, str]]:
    """What doctor warns of that has to do with CI."""
    about = words or ("gate =", "check run", ".github", "host")
    return [(level, text) for level, text in facts(clone) if level != "ok" and any(w in text for w in about)]


def project(world: World, server: Server, fake: FakeGithub, more: str = OBSERVED, workflow: str = WORKFLOW) -> Observed:
    s = Observed(world, server, fake, more)
    s.push("CI", {PATH: workflow})
    return s


def test_ci_first_that_reads_the_host_is_well_with_a_store_of_this_machine(
    world: World, server: Server, fake: FakeGithub
) -> None:
    s = project(world, server, fake)
    assert wrong(s.ana) == []
    assert any(level == "ok" and "check run smoke of github-actions is the verdict" in t for level, t in facts(s.ana))


def test_ci_first_with_a_store_that_no_runner_reaches_is_an_error_until_it_is_said_to_be_meant(
    world: World, server: Server, fake: FakeGithub
) -> None:
    s = project(world, server, fake, "")
    ((level, text),) = wrong(s.ana, "gate =")
    assert level == "error"
    assert 'gate = "ci-first"' in text
    assert "nothing lands" in text
    refused = s.ana.prp("init", ok=False)
    assert (refused.code, "Nothing was changed" in refused.err) == (1, True)
    s.push("meant", {"prp.toml": s.toml.replace("smoke_gate.budget", 'ci.observe = "store"\nsmoke_gate.budget')})
    ((level, _),) = wrong(s.ana, "gate =")
    assert level == "warning"


def test_a_host_that_may_not_be_asked_is_an_error(world: World, server: Server, fake: FakeGithub) -> None:
    s = project(world, server, fake)
    s.ana.env["GITHUB_TOKEN"] = "not-valid"
    assert [level for level, text in wrong(s.ana, "refused (401)")] == ["error"]


@pytest.mark.parametrize(
    ("workflow", "said"),
    [
        (WORKFLOW.replace("push:", "push:\n    branches: [main]"), "does not run on pushes of prp-lane/*"),
        (WORKFLOW.replace("  push:\n", ""), "does not run on pushes of prp-lane/*"),
        (WORKFLOW.replace("push:", "push:\n    paths: [src/**]"), "a filter of paths on push"),
        (WORKFLOW.replace("push:", "push:\n    paths-ignore: [docs/**]"), "a filter of paths-ignore on push"),
        (WORKFLOW.replace("  workflow_dispatch:\n", ""), "no workflow_dispatch"),
        (WORKFLOW.replace("  smoke:", "  tests:"), "makes a check run named smoke"),
        (WORKFLOW.replace("runs-on: ubuntu-latest", "uses: a/b/.github/workflows/c.yml@d"), "there is: smoke / …"),
    ],
)
def test_a_workflow_that_cannot_prove_a_candidate_is_named(
    world: World, server: Server, fake: FakeGithub, workflow: str, said: str
) -> None:
    s = project(world, server, fake, workflow=workflow)
    ((level, text),) = wrong(s.ana, ".github")
    assert (level, said in text) == ("warning", True), text


def test_a_workflow_that_does_not_run_on_landings_is_named(world: World, server: Server, fake: FakeGithub) -> None:
    s = project(world, server, fake, workflow=WORKFLOW.replace("push:", "push:\n    branches: [dev]"))
    s.push("after", {"prp.toml": s.toml.replace('gate = "ci-first"', 'gate = "ci"')})
    ((level, text),) = wrong(s.ana, ".github")
    assert (level, "does not run on pushes of main" in text) == ("warning", True), text


@pytest.mark.parametrize(
    ("on", "runs"),
    [
        ("push", True),
        (["push", "pull_request"], True),
        (["pull_request"], False),
        ({"push": None}, True),
        ({"push": {"branches": ["**"]}}, True),
        ({"push": {"branches": ["*"]}}, False),
        ({"push": {"branches": ["main", "prp-lane/*"]}}, True),
        ({"push": {"branches": ["**", "!prp-lane/**"]}}, False),
        ({"push": {"branches-ignore": ["dependabot/**"]}}, True),
        ({"push": {"branches-ignore": ["prp-lane/*"]}}, False),
        ({"push": {"tags": ["v*"]}}, False),
        ({"push": {"branches": ["prp.lane/*"]}}, False),
    ],
)
def test_on_which_pushes_a_workflow_runs(on: object, runs: bool) -> None:
    assert ci_setup.runs_on({True: on}, "prp-lane/17") is runs
    assert ci_setup.runs_on({"on": on}, "prp-lane/17") is runs


@pytest.mark.parametrize("text", ["[", "a: &a [*a]", "jobs: 3", "on: {push: 4}", "jobs: {a: 3}", "\x00"])
def test_a_workflow_of_another_shape_is_no_obstacle(world: World, server: Server, fake: FakeGithub, text: str) -> None:
    s = project(world, server, fake, workflow=text)
    assert ("ok", f"project {s.config.project}, policy from origin/main:prp.toml") in facts(s.ana) or facts(s.ana)


def test_init_recommends_it_where_ci_can_be_observed_either_way(world: World, server: Server, fake: FakeGithub) -> None:
    s = project(world, server, fake)
    assert RECOMMENDED not in s.ana.prp("init").out, "it is there"
    for gate, more, wanted in (
        ("ci", OBSERVED, True),
        ("local", OBSERVED, True),
        ("ci", 'ci.observe = "store"\n', True),
        ("local", "", False),
    ):
        toml = s.toml.replace('gate = "ci-first"', f'gate = "{gate}"').replace(OBSERVED, more)
        s.ana.write("prp.toml", toml)
        assert (RECOMMENDED in s.ana.prp("init").out) is wanted, (gate, more)


def test_init_says_how_a_project_at_a_known_host_can_have_it_without_a_server(world: World) -> None:
    world.clone("ana", first=True)
    ben = world.clone("ben")
    ben.git("remote", "set-url", "origin", "git@github.com:team/app.git")
    said = ben.prp("init", "--yes", "--lane", "main").out
    assert 'observe = "status" under [ci]' in said
    assert "red 9 % of the time" in said
