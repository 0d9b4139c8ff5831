"""The store's verbs, as a person uses them."""

from __future__ import annotations

import json
import time
import tomllib
from typing import TYPE_CHECKING

from tests.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Project


def test_stopped_by_a_person_it_stays_stopped(project: Project) -> None:
    ana = project.ana
    assert json.loads(ana.prp("store", "status", "--json").out)["running"] is True
    ana.prp("store", "stop")
    ana.commit_files("feat(P2-040): while the store is stopped", {"s.txt": "s"})
    began = time.monotonic()
    refused = ana.git("push", "-q", ok=False)
    assert time.monotonic() - began < 3
    assert refused.code != 0
    assert "stopped by `prp store stop`" in refused.err
    assert "prp store start" in refused.err
    assert "PRP_BREAK_GLASS" in refused.err
    assert ana.prp("list", ok=False).code == 4
    assert json.loads(ana.prp("store", "status", "--json").out)["running"] is False
    again = ana.prp("store", "stop")
    assert "was not running" in again.out
    ana.prp("store", "start")
    ana.git("push", "-q")
    project.settle()
    assert project.subjects()[0] == "feat(P2-040): while the store is stopped"


def test_two_clones_initialised_before_either_pushed_share_one_store(tmp_path: Path) -> None:
    world = World(tmp_path)
    clones = [world.clone("ana", first=True), world.clone("ben")]
    ids = []
    for clone in clones:
        clone.prp("init", "--yes")
        ids.append(tomllib.loads(clone.read("prp.toml"))["store"]["id"])
        assert clone.prp("redis-status").code == 0
    assert ids[0] == ids[1]
