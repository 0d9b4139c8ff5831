"""Hostile ledgers that landed all the same: what the lane records, a sync and a merge of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from prpgate import ledger, live, merge_driver, record
from prpgate.merge_driver import UnmergeableError
from tests.hostile import corpus
from tests.hostile.corpus import FILE, TRACKING, Case
from tests.prps import TOML, Desk

if TYPE_CHECKING:
    from tests.world import Clone, Server, World

GOOD = corpus.good()
SMALL = [c for c in corpus.cases() if not c.big and c.form == TRACKING]
REFUSED = [c for c in SMALL if c.refused is not None]


def name(case: Case) -> str:
    return case.name


def land(clone: Clone, data: bytes) -> str:
    (clone.path / FILE).write_bytes(data)
    return clone.commit_files("as it is", {})


def begun(world: World, server: Server) -> Desk:
    ann = world.clone("ann", first=True)
    (ann.path / "plans").mkdir()
    ann.commit_files("ledger", {FILE: GOOD.decode(), "prp.toml": TOML})
    desk = Desk(ann, server)
    assert desk.config.ledger_path == FILE
    return desk


def test_what_the_lane_records_outlives_every_hostile_tip(world: World, server: Server) -> None:
    """A file that cannot be read: all that was recorded stands, and it is said where the file is wrong."""
    desk = begun(world, server)
    before = record.at(desk.repo, desk.config, desk.clone.head)
    assert len(before.entries) == 57 and not before.conflicts
    for case in REFUSED[::3]:
        now = record.at(desk.repo, desk.config, land(desk.clone, case.data))
        found = ledger.parse(case.data, FILE)
        if any(f.id is None for f in found.errors):
            assert now.conflicts and now.entries == before.entries, case.name
            assert f"{FILE}:{found.errors[0].line}" in now.conflicts[0][1]
        land(desk.clone, GOOD)


def test_a_sync_takes_every_odd_value_and_id(world: World, server: Server) -> None:
    """Some 1,000 entries, each with something odd in one field: recorded, read back, listed, ready or not, merged."""
    desk = begun(world, server)
    desk.clone.git("push", "-q")
    desk.sync()
    odd = corpus.readable().encode()
    found = ledger.parse(odd, FILE)
    assert not [f for f in found.errors if f.id is None], found.errors[:3]
    land(desk.clone, odd)
    desk.clone.git("push", "-q")
    desk.sync()
    state = live.read(desk.store, desk.config)
    assert set(found.prps) <= set(state.prps) and len(found.prps) > 900
    choice = desk.choice()
    assert "P1-900" in {p.id for p in choice.ready}
    assert desk.claim_next().prp.owner == "ann"
    for prp_id in list(state.prps)[::40]:
        desk.why(prp_id)


@pytest.mark.parametrize("case", SMALL, ids=name)
def test_the_merge_driver_merges_or_says_that_it_cannot(case: Case) -> None:
    for base, ours, theirs in ((GOOD, case.data, GOOD), (case.data, GOOD, GOOD), (b"", case.data, GOOD)):
        try:
            done = merge_driver.merge(base, ours, theirs, FILE)
        except UnmergeableError as e:
            assert str(e)
            continue
        assert done.conflicts or not ledger.parse(done.data, FILE).errors


@pytest.mark.parametrize("part", range(4))
def test_the_merge_driver_and_damaged_sides(part: int) -> None:
    """A change that the driver takes comes out as it went in; what it cannot read it refuses."""
    merged = 0
    for data in corpus.mutations(25, seed=part):
        try:
            done = merge_driver.merge(GOOD, data, GOOD, FILE)
        except UnmergeableError:
            continue
        if not done.conflicts:
            merged += 1
            want, got = ledger.parse(data, FILE), ledger.parse(done.data, FILE)
            assert {i: p.fields for i, p in got.prps.items()} == {i: p.fields for i, p in want.prps.items()}
    assert merged
