"""A claim counts while its PRP is in progress. When the lane goes back behind its start, it stands in nobody's way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.prps import TOML, Desk, office

if TYPE_CHECKING:
    from tests.world import Server, World


def start_reverted(ann: Desk, ben: Desk) -> None:
    """ann's start of P1-003 landed and was reverted; both have the lane's tip."""
    ann.start("P1-003")
    head = ann.land("begin")
    ann.sync()
    ann.revert(head)
    ann.push()
    ann.sync()
    ben.pull()
    p = ann.prp("P1-003")
    assert p.status == "validated" and p.claim is not None and p.claim.agent == "ann"


def test_anybody_may_start_it_under_a_new_fence(world: World, server: Server) -> None:
    ann, ben = office(world, server, "ann", "ben")
    start_reverted(ann, ben)
    before = ann.prp("P1-003").claim
    assert ben.code("start", "P1-003") == ""
    claim = ben.prp("P1-003").claim
    assert before and claim and claim.agent == "ben" and claim.fence > before.fence
    assert [ann.code(verb, "P1-003") for verb in ("complete", "renew", "release")] == ["claimed"] * 3


def test_its_own_agent_gets_a_new_fence_too(world: World, server: Server) -> None:
    ann, ben = office(world, server, "ann", "ben")
    start_reverted(ann, ben)
    before = ann.prp("P1-003").claim
    ann.start("P1-003")
    claim = ann.prp("P1-003").claim
    assert before and claim and claim.fence > before.fence


def test_status_says_what_it_is(world: World, server: Server) -> None:
    shared = TOML.replace("[ledger]", '[store]\nid = "box-1"\nscope = "team"\n[ledger]')
    ann, ben = office(world, server, "ann", "ben", config=shared)
    ann.store.run("adopt", [ann.store.keys.meta], ["box-1", 0])
    start_reverted(ann, ben)
    said = ben.clone.prp("status", "P1-003", env={"PRP_REDIS_URL": server.url}).out
    (line,) = [one for one in said.splitlines() if one.lstrip().startswith("claim ")]
    assert "left over from ann, without effect while it is validated (fence " in line


def test_it_can_be_picked_and_deprecated(world: World, server: Server) -> None:
    ann, ben = office(world, server, "ann", "ben")
    start_reverted(ann, ben)
    assert "P1-003" in [p.id for p in ben.choice().ready]
    ben.deprecate("P1-003", "P1-002")
    assert ben.prp("P1-003").status == "deprecated"


def test_a_milestone_on_what_only_a_start_may_stand_on_is_refused_as_stale(world: World, server: Server) -> None:
    ann, ben = office(world, server, "ann", "ben")
    ann.start("P1-003")
    ann.lapse("P1-003")
    assert ben.code("deprecate", "P1-003", "P1-002") == "stale-line"
    assert ben.code("start", "P1-003") == ""
