"""What a branch's rules at the host mean for `prp init`, and `prp ci protect`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.ci.fake_github import SLOW, FakeGithub
from tests.e2e.test_land_pull import Setup, sign
from tests.e2e.test_land_pull import via_pr as via_pr
from tests.world import World

if TYPE_CHECKING:
    from pathlib import Path

PULLS: dict[str, Any] = {"type": "pull_request", "parameters": {}}
QUEUE: dict[str, Any] = {"type": "merge_queue", "parameters": {}}
CHECKS: dict[str, Any] = {
    "type": "required_status_checks",
    "parameters": {"required_status_checks": [{"context": "build"}]},
}


@pytest.mark.parametrize(
    ("rules", "via", "says"),
    [
        ([], "push", ""),
        ([PULLS], "pr", "main takes pull requests only"),
        ([QUEUE, PULLS], "pr", "merge queue"),
        ([CHECKS], "pr", 'ci.check = "build"'),
    ],
)
def test_init_reads_the_rules_and_says_why(
    tmp_path: Path, home: Path, rules: list[dict[str, Any]], via: str, says: str
) -> None:
    world = World(tmp_path)
    ana = world.clone("ana", first=True)
    with FakeGithub(world.remote) as fake:
        fake.rules["main"] = rules
        done = ana.prp("init", "--yes", env={**fake.env, "PRP_HOST_API": fake.url})
    assert says in done.out
    assert ('via = "pr"' in ana.read("prp.toml")) == (via == "pr")
    assert ana.prp("doctor", "--json", ok=False).code in (0, 1), "the file can be read"


def test_init_waits_for_nobody(tmp_path: Path, home: Path) -> None:
    world = World(tmp_path)
    ana = world.clone("ana", first=True)
    with FakeGithub(world.remote) as fake:
        fake.rules["main"] = [PULLS]
        fake.fail(SLOW, times=5, seconds=4)
        ana.prp("init", "--yes", env={**fake.env, "PRP_HOST_API": fake.url})
    assert 'via = "pr"' not in ana.read("prp.toml")


def test_protect_prints_its_calls_and_makes_them_when_told(via_pr: Setup) -> None:
    ana, fake = via_pr.ana, via_pr.fake
    fake.parents_rulesets = [{"id": 77, "name": "prpgate"}]  # not this repository's to change
    done = ana.prp("ci", "protect", "--dry-run")
    first, _, rest = done.out.partition("\n")
    assert first == "POST /repos/team/app/rulesets"
    body = json.loads(rest[: rest.index("\n}\n") + 2])
    assert body["conditions"]["ref_name"]["include"] == ["refs/heads/main"]
    assert body["rules"][0]["parameters"]["required_status_checks"] == [{"context": "prp/lane"}]
    assert not fake.rulesets
    assert ana.prp("ci", "protect", ok=False).code == 1, "nobody to ask"
    assert not fake.rulesets
    ana.prp("ci", "protect", "--yes")
    assert [{k: v for k, v in r.items() if k != "id"} for r in fake.rulesets] == [body]
    assert "required already" in ana.prp("ci", "protect", "--dry-run").out
    number = via_pr.pull(ana, "topic", {"one": "1\n"})
    assert sign(fake, ana.head) == ("", "")
    ana.prp("land", "--pr", str(number))
    assert fake.pulls[number]["merged"], "its own status does not stand in its way"


def test_protect_adds_to_a_classic_protection(via_pr: Setup) -> None:
    via_pr.fake.protected["main"] = ["build"]
    shown = json.loads(via_pr.ana.prp("ci", "protect", "--dry-run", "--json").out)["calls"]
    path = "/repos/team/app/branches/main/protection/required_status_checks/contexts"
    assert shown == [{"method": "POST", "path": path, "body": {"contexts": ["prp/lane"]}}]
    via_pr.fake.rules["main"] = [QUEUE]
    assert json.loads(via_pr.ana.prp("ci", "protect", "--dry-run", "--json").out)["calls"] == []
    via_pr.fake.rules.clear()
    via_pr.ana.prp("ci", "protect", "--yes")
    assert via_pr.fake.protected["main"] == ["build", "prp/lane"]
