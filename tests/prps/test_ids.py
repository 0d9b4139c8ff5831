"""Ids of new PRPs: none is given twice, whoever asks, wherever, whenever."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import LEDGER, Project
from tests.prps import office

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import Clone, Server, World

FOLDER = {f'path = "{LEDGER}"': 'path = "prps/"'}


def new_at_once(clones: list[Clone], each: int) -> list[str]:
    """`prp new` in every clone, `each` times, all at the same moment; the ids given."""
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "prpgate", "new", f"{clone.agent}'s {n}", "--json"],
            cwd=clone.path,
            env={**os.environ, **clone.env},
            stdout=subprocess.PIPE,
            text=True,
        )
        for clone in clones
        for n in range(each)
    ]
    answers = [(p.communicate(timeout=60)[0], p.returncode) for p in running]
    assert [code for _, code in answers] == [0] * len(answers), answers
    return [json.loads(out)["prp"]["id"] for out, _ in answers]


@pytest.mark.parametrize("settings", [{}, FOLDER], ids=["one file", "folder"])
def test_eight_processes_in_four_clones_get_eight_ids(tmp_path: Path, settings: dict[str, str]) -> None:
    project = Project(tmp_path, settings=settings)
    clones = [project.ana, *(project.join(name) for name in ("ben", "cy", "dan"))]
    ids = new_at_once(clones, 2)
    assert len(set(ids)) == 8
    for clone, mine in zip(clones, (ids[n : n + 2] for n in range(0, 8, 2)), strict=True):
        text = clone.read(LEDGER) if not settings else "".join(p.read_text() for p in (clone.path / "prps").iterdir())
        assert all(f"{i}" in text for i in mine)
    listed = {p["id"] for p in json.loads(project.ana.prp("list", "--json").out)["prps"]}
    assert set(ids) <= listed


def test_an_id_that_the_lane_has_or_had_is_not_given_again(world: World, server: Server) -> None:
    ann, ben = office(world, server, "ann", "ben")
    first = ann.new("one").prp.id
    second = ann.new("two").prp.id
    ann.land("two new ones", code=False)
    text = ann.ledger()
    start = text.index(f"  {second}:")
    ann.clone.write(ann.config.ledger_path, text[:start] + text[text.index("stats:") :])
    ann.land("the second goes", code=False)
    ann.sync()
    assert second not in ann.record().entries
    ben.pull()
    assert ben.new("three").prp.id not in (first, second)
    ann.store.redis.flushall()
    ben.clone.git("checkout", "-q", "--", ".")
    ben.sync()
    assert ben.new("four").prp.id not in (first, second)


def test_a_pending_id_is_not_given_again_though_no_tree_here_has_it(world: World, server: Server) -> None:
    ann, ben = office(world, server, "ann", "ben")
    assert ann.new("hers").prp.id != ben.new("his").prp.id
    assert ann.code("new", "by hand", None, "P1-001") == "exists"
