"""The rows of PRPS's table of lane events that test_sync.py leaves open, on real git."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prpgate import prps
from tests.prps import LEDGER, Desk, office

if TYPE_CHECKING:
    from tests.world import Server, World


def landed(ann: Desk) -> str:
    """P1-003 started, completed and landed; not proven. The head that brought it."""
    ann.start("P1-003")
    ann.complete("P1-003")
    head = ann.land("P1-003: all of it")
    ann.sync()
    assert ann.prp("P1-003").phase == "landed"
    return head


def test_unknown_stays_landed_until_any_later_green_tip(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    landed(ann)
    assert ann.smoke(result="unknown").proven == [] and ann.prp("P1-003").phase == "landed"
    ann.land("something else")
    ann.sync()
    assert ann.smoke().proven == ["P1-003"]


def test_a_red_landing_ends_by_its_revert(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    head = landed(ann)
    ann.smoke(result="red")
    ann.revert(head)
    ann.push()
    ann.sync()
    p = ann.prp("P1-003")
    assert (p.status, p.recorded, p.phase) == ("validated", "validated", None)
    assert ann.smoke().proven == [] and ann.prp("P1-003").status == "validated"


def test_a_red_landing_ends_by_reopening(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    landed(ann)
    ann.smoke(result="red")
    assert ann.reopen("P1-003", "it was red").prp.status == "in_progress"
    ann.land("P1-003: mended")
    ann.sync()
    assert ann.smoke().proven == []
    p = ann.prp("P1-003")
    assert (p.status, p.recorded, p.phase) == ("in_progress", "in_progress", None)


def test_a_live_claim_counts_for_nothing_while_the_prp_is_complete(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    landed(ann)
    claims: Any = ann.store.redis.hgetall(ann.store.keys.claims)
    ann.smoke()
    ann.store.redis.hset(ann.store.keys.claims, mapping=claims)  # as one that was never ended
    p = ann.prp("P1-003")
    assert p.status == "complete" and (p.claim is None or not p.claim.live)
    assert ann.code("renew", "P1-003") != ""


def test_a_cherry_picked_completion_has_to_be_proven_again(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    head = landed(ann)
    ann.smoke()
    assert ann.prp("P1-003").status == "complete"
    ann.revert(head)
    ann.push()
    ann.sync()
    highest = ann.prp("P1-003").maxrev
    ann.commit("a tree that was never smoked", other="x")
    ann.clone.git("cherry-pick", head)
    ann.push()
    assert ann.sync().changed == ["P1-003"]
    p = ann.prp("P1-003")
    assert (p.recorded, p.status, p.phase, p.maxrev) == ("complete", "in_progress", "landed", highest)
    assert ann.smoke().proven == ["P1-003"]


def test_switching_amending_rebasing_and_stashing_change_nothing(world: World, server: Server) -> None:
    ann, ben = office(world, server, "ann", "ben")
    ann.start("P1-003")
    before = ann.snapshot()

    def same() -> bool:
        return ann.sync().changed == [] and ann.snapshot() == before

    ann.clone.git("stash", "-q")
    assert same()
    ann.clone.git("stash", "pop", "-q")
    ann.commit("P1-003: begin", x="x")
    assert same()
    ann.clone.git("commit", "-q", "--amend", "-m", "P1-003: begun")
    assert same()
    ann.clone.git("checkout", "-q", "HEAD~1")
    assert same()
    ann.clone.git("checkout", "-q", "main")
    ben.land("meanwhile")
    ben.sync()
    before = ann.snapshot()
    ann.clone.git("pull", "-q", "--rebase")
    assert same()
    ann.push()
    assert [(i, status) for i, _, status in ann.sync().landed] == [("P1-003", "in_progress")]


def test_work_that_is_reverted_without_its_line_leaves_what_is_recorded(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    head = landed(ann)
    ann.smoke()
    rev = ann.prp("P1-003").rev
    ann.clone.git("revert", "--no-commit", head)
    ann.clone.git("checkout", "-q", "HEAD", "--", LEDGER)
    ann.commit("Take the work back")
    ann.push()
    assert ann.sync().changed == []
    p = ann.prp("P1-003")
    assert (p.recorded, p.status, p.rev) == ("complete", "complete", rev)


def test_after_a_wipe_claims_and_pending_lines_are_not_invented(world: World, server: Server) -> None:
    ann, ben = office(world, server, "ann", "ben")
    ann.start("P1-003")
    ann.commit("P1-003: begin", x="x")
    ann.clone.git("push", "-q", "origin", "HEAD:side")
    ann.store.redis.flushall()
    ben.clone.git("fetch", "-q")
    ben.sync()
    p = ann.prp("P1-003")
    assert (p.status, p.claim, p.chain) == ("validated", None, [])
    assert ben.start("P1-003").prp.owner == "ben"


def test_a_landing_of_one_whose_claim_lapsed_is_nobodys_at_the_push(world: World, server: Server) -> None:
    ann, ben = office(world, server, "ann", "ben")
    ann.start("P1-003")
    ann.land("begin")
    ann.sync()
    ben.pull()
    ann.complete("P1-003")
    ann.lapse("P1-003")
    ben.start("P1-003")
    head = ann.commit("P1-003: late", late="x")
    found = prps.foreign_lines(ann.repo, ann.store, ann.config, world.tip(), head)
    assert [(f.code, f.severity, f.id) for f in found] == [("PRP160", "error", "P1-003")]
