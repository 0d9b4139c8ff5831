"""A store wiped in mid-work: filled from the lane, proven, and what was lost is listed and taken again."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from prpgate import prps, rebuild, record, staged
from prpgate.errors import CouldNotTell, UserError
from prpgate.store.client import Store
from tests.prps import OLD, TOML, Desk, office
from tests.world import run

if TYPE_CHECKING:
    from pathlib import Path

    from prpgate.rebuild import Lost, Plan, Proof
    from tests.world import Server, World

ID = "0d5b2f7c-8a4e-4c57-9d0f-3f4f2f6a1b11"
WITH_ID = TOML.replace("[ledger]", f'[store]\nid = "{ID}"\n[ledger]')


def desks(world: World, server: Server, *names: str, ledger: str = OLD) -> list[Desk]:
    found = office(world, server, *names, config=WITH_ID, ledger=ledger)
    for desk in found:
        desk.store.run("adopt", [desk.store.keys.meta], [ID, 0])
        desk.store.store_id = ID
    return found


def wipe(*all_desks: Desk) -> None:
    all_desks[0].store.redis.flushall()
    for desk in all_desks:
        desk.store.store_id = ""


def rebuilt(desk: Desk) -> tuple[Plan, Proof]:
    plan = rebuild.look(desk.repo, desk.store, desk.config)
    return plan, rebuild.rebuild(desk.repo, desk.store, desk.config, plan, desk.name)


def brief(lost: list[Lost]) -> list[tuple[str, str, str | None, str]]:
    return [(one.id, one.branch, one.owner, one.status) for one in lost]


def in_mid_work(world: World, server: Server) -> tuple[Desk, Desk, Desk]:
    """Landed milestones, a proven completion, one that waits; then work that only branches and the store know of."""
    ann, ben, eve = desks(world, server, "ann", "ben", "eve")
    ann.start("P1-003")
    ann.land("begin")  # no landing of its own: that would be what completes it
    ann.validate("P1-004")
    ann.complete("P1-003")
    ann.land("P1-003: all of it")
    ann.sync()
    ann.smoke()
    ben.clone.git("fetch", "-q")
    ben.clone.git("checkout", "-q", "-b", "feat/six", "origin/main")
    ben.start("P1-006")
    ben.commit("P1-006: half of it", **{"six.txt": "half"})
    ben.clone.git("push", "-q", "-u", "origin", "feat/six")
    eve.pull()
    eve.clone.git("checkout", "-q", "-b", "adopted")
    eve.start("P1-002")
    return ann, ben, eve


def test_every_milestone_of_the_lane_comes_back_and_claims_are_listed(world: World, server: Server) -> None:
    ann, ben, eve = in_mid_work(world, server)
    before = {i: (p.recorded, p.rev) for i, p in prps.read(ann.store, ann.config).prps.items() if not p.chain}
    sealed = {i: p.maxrev for i, p in prps.read(ann.store, ann.config).prps.items() if not p.chain}
    wipe(ann, ben, eve)
    assert eve.store.redis.dbsize() == 0
    eve.clone.git("fetch", "-q")
    plan, proof = rebuilt(eve)
    assert plan.state == "wiped"
    assert proof.holds and (proof.ledger, proof.store, proof.agree) == (6, 6, 6)
    after = prps.read(eve.store, eve.config).prps
    assert {i: (after[i].recorded, after[i].rev) for i in before} == before
    assert {i: after[i].maxrev for i in sealed} == sealed
    assert brief(plan.lost) == [
        ("P1-002", "adopted", "eve", "in_progress"),
        ("P1-006", "origin/feat/six", "ben", "in_progress"),
    ]
    assert [one.command for one in plan.lost] == ["prp start P1-002", "prp start P1-006"]
    here, pushed = plan.lost
    assert here.commit is None and here.age_s is None
    assert pushed.commit == ben.clone.head and pushed.age_s is not None and pushed.age_s < 600
    # listed, not invented
    assert not any(p.claim or p.chain for p in after.values())
    assert eve.store.redis.hlen(eve.store.keys.claims) == 0


def test_a_complete_line_without_evidence_waits_for_one_green_verdict(world: World, server: Server) -> None:
    ann, ben, eve = in_mid_work(world, server)
    assert ann.prp("P1-003").status == "complete"
    wipe(ann, ben, eve)
    _, proof = rebuilt(ann)
    assert proof.waiting == ["P1-003"]
    assert (ann.prp("P1-003").status, ann.prp("P1-003").phase) == ("in_progress", "landed")
    assert ann.smoke("origin/main").proven == ["P1-003"]
    assert ann.prp("P1-003").status == "complete"


def test_owners_take_lost_claims_again_on_their_branches(world: World, server: Server) -> None:
    ann, ben, eve = in_mid_work(world, server)
    wipe(ann, ben, eve)
    rebuilt(ann)
    done = ben.start("P1-006")
    assert any("was lost with the store" in note for note in done.notes)
    p = ben.prp("P1-006")
    assert (p.status, p.owner, len(p.chain)) == ("in_progress", "ben", 1)
    assert p.claim is not None and p.claim.agent == "ben"
    assert p.seal in ben.ledger() and p.seal.startswith("2-"), "above the lost one"
    ben.clone.git("add", "-A")
    assert staged.judge(ben.repo, ben.config).findings == (), "a step as any other: no fork of the lost line"
    assert eve.start("P1-002").prp.owner == "eve"
    ben.store.store_id = ID
    again = rebuild.look(ben.repo, ben.store, ben.config)
    assert (again.state, brief(again.lost)) == ("intact", [])
    ben.land("P1-006: the rest")
    ben.sync()
    assert (ben.prp("P1-006").recorded, ben.prp("P1-006").chain) == ("in_progress", [])


def test_two_lost_lines_of_one_prp_are_gone_over_step_by_step(world: World, server: Server) -> None:
    ann, ben = desks(world, server, "ann", "ben")
    ann.validate("P1-004")
    ann.commit("P1-004 is validated")
    wipe(ann, ben)
    rebuilt(ben)
    ann.validate("P1-004")
    ann.start("P1-004")
    assert ann.prp("P1-004").maxrev == 3
    ann.clone.git("add", "-A")
    assert staged.judge(ann.repo, ann.config).findings == ()
    ann.land("P1-004: begin")
    ann.sync()
    assert (ann.prp("P1-004").recorded, ann.prp("P1-004").chain) == ("in_progress", [])


def test_a_line_of_somebody_else_is_not_taken_over(world: World, server: Server) -> None:
    ann, ben, eve = in_mid_work(world, server)
    wipe(ann, ben, eve)
    rebuilt(ann)
    eve.clone.git("checkout", "-q", "-f", "-B", "look", "origin/feat/six")
    assert eve.code("start", "P1-006") == "stale-line"


def test_the_highest_numbers_come_from_the_whole_ancestry(world: World, server: Server) -> None:
    ann, ben = desks(world, server, "ann", "ben")
    ann.start("P1-003")
    first = ann.land("P1-003: begin")
    ann.revert(first)
    ann.push()
    ann.sync()
    assert (ann.prp("P1-003").recorded, ann.prp("P1-003").maxrev) == ("validated", 1)
    wipe(ann, ben)
    _, proof = rebuilt(ben)
    assert proof.holds and proof.sealed == 1
    assert (ben.prp("P1-003").recorded, ben.prp("P1-003").maxrev) == ("validated", 1)


def test_the_proof_sees_a_number_that_is_too_low(world: World, server: Server) -> None:
    (ann,) = desks(world, server, "ann")
    ann.start("P1-003")
    ann.revert(ann.land("P1-003: begin"))
    ann.push()
    ann.sync()
    ann.store.redis.hdel(ann.store.keys.maxrev, "P1-003")
    proof = rebuild.prove(ann.repo, ann.store, ann.config)
    assert [i for i, _ in proof.differ] == ["P1-003"]


def test_an_older_clone_changes_nothing_that_the_remote_has(world: World, server: Server) -> None:
    """Its YAML is from before the work; what counts is the lane as the remote has it."""
    ann, ben = desks(world, server, "ann", "ben")
    ann.start("P1-003")
    ann.land("P1-003: begin")
    assert "in_progress" not in ben.ledger().partition("P1-003:")[2][:80]
    wipe(ann, ben)
    plan, proof = rebuilt(ben)
    assert plan.tip == proof.tip == world.tip()
    assert ben.prp("P1-003").recorded == "in_progress"
    assert ben.clone.git("status", "--porcelain").out == ""
    before = ann.snapshot()
    old = ben.clone.head
    assert prps.sync(ben.repo, ben.store, ben.config, tip=old, anew=True).cursor_after == world.tip()
    assert ann.snapshot() == before


def test_without_the_remote_nobody_can_tell(world: World, server: Server) -> None:
    ann, ben = desks(world, server, "ann", "ben")
    wipe(ann, ben)
    os.rename(world.remote, world.folder / "away")
    with pytest.raises(CouldNotTell):
        rebuild.look(ben.repo, ben.store, ben.config)
    assert ben.store.redis.dbsize() == 0


def test_a_lane_that_is_gone_at_the_remote_is_not_made_up(world: World, server: Server) -> None:
    ann, ben = desks(world, server, "ann", "ben")
    wipe(ann, ben)
    run(["git", "update-ref", "-d", "refs/heads/main"], world.remote)
    with pytest.raises(CouldNotTell) as e:
        rebuild.look(ben.repo, ben.store, ben.config)
    assert e.value.code == "lane-gone"


def test_a_shallow_clone_cannot_tell(world: World, server: Server, tmp_path: Path) -> None:
    (ann,) = desks(world, server, "ann")
    ann.land("more")
    run(["git", "clone", "-q", "--depth=1", f"file://{world.remote}", tmp_path / "low"], tmp_path)
    wipe(ann)
    low = Desk(type(ann.clone)(tmp_path / "low", "low"), server, config=WITH_ID)
    with pytest.raises(CouldNotTell) as e:
        rebuild.look(low.repo, low.store, low.config)
    assert e.value.next_action == "git fetch --unshallow"


def test_a_store_that_is_not_wiped_keeps_all_it_has(world: World, server: Server) -> None:
    ann, ben, _ = in_mid_work(world, server)
    before = ann.snapshot()
    plan = rebuild.look(ann.repo, ann.store, ann.config)
    assert plan.state == "intact" and plan.move is None
    assert plan.proof is not None and plan.proof.holds
    assert plan.lost == []
    assert [i for i, _, _ in plan.kept] == ["P1-002", "P1-006"]
    assert ann.snapshot() == before
    epoch = int(ann.store.redis.hget(ann.store.keys.meta, "epoch") or 0)
    _, proof = rebuilt(ann)  # what --anew does
    assert proof.holds
    assert ann.snapshot() == before
    assert int(ann.store.redis.hget(ann.store.keys.meta, "epoch") or 0) > epoch
    assert ben.code("start", "P1-006") == "already"


def test_damage_is_found_and_mended_without_losing_what_is_pending(world: World, server: Server) -> None:
    ann, ben, _ = in_mid_work(world, server)
    before = ann.snapshot()
    keys, client = ann.store.keys, ann.store.redis
    client.hdel(keys.recorded, "P1-004")
    client.hset(keys.recorded, "P1-001", json.dumps({**json.loads(client.hget(keys.recorded, "P1-001") or ""), "x": 1}))
    client.hset(keys.recorded, "P9-999", client.hget(keys.recorded, "P1-002") or "")
    plan = rebuild.look(ann.repo, ann.store, ann.config)
    assert plan.state == "damaged" and plan.proof is not None
    assert [i for i, _ in plan.proof.differ] == ["P1-001", "P1-004", "P9-999"]
    _, proof = rebuilt(ann)
    assert proof.holds
    assert ann.snapshot() == before
    assert ben.prp("P1-006").claim is not None


def test_a_lane_that_was_forced_back_is_followed_by_a_rebuild_alone(world: World, server: Server) -> None:
    """To every other reader it looks like a clone that is behind, which must never take anything back."""
    ann, ben = desks(world, server, "ann", "ben")
    before = world.tip()
    ann.start("P1-003")
    ann.land("P1-003: begin")
    ann.sync()
    ben.clone.git("fetch", "-q")
    ann.clone.git("push", "-q", "-f", "origin", f"{before}:main")
    for desk in (ann, ben):
        desk.clone.git("fetch", "-q")
        desk.clone.git("reset", "-q", "--hard", before)
        assert desk.sync().changed == []
    assert ann.release("P1-003").prp.recorded == "in_progress"
    assert ben.code("start", "P1-003") == "stale-line"
    plan, proof = rebuilt(ben)
    assert plan.state == "damaged" and plan.move is not None and plan.move.changed == ["P1-003"]
    assert proof.holds and proof.tip == before
    assert str(ben.start("P1-003").prp.rev).startswith("2-")  # no number is given twice
    assert rebuild.look(ann.repo, ann.store, ann.config).state == "intact"


def test_the_id_is_written_last_and_the_lanes_stay_quiet_for_a_lease(world: World, server: Server) -> None:
    ann, ben = desks(world, server, "ann", "ben")
    wipe(ann, ben)
    plan = rebuild.look(ann.repo, ann.store, ann.config)
    assert ann.store.redis.hget(ann.store.keys.meta, "store_id") is None
    proof = rebuild.rebuild(ann.repo, ann.store, ann.config, plan, "ann")
    assert proof.holds
    assert ann.store.redis.hget(ann.store.keys.meta, "store_id") == ID
    assert 0 < ann.store.quiet_s() <= ann.config.times.lease_ms / 1000


class Meddled(Store):
    """A store that somebody else writes to between the fill and the proof."""

    def run(self, script: str, keys: Any, args: Any) -> Any:
        answer = super().run(script, keys, args)
        if script == "prp_sync":
            self.redis.hdel(self.keys.recorded, "P1-004")
        return answer


def test_a_proof_that_does_not_hold_lets_nobody_in(world: World, server: Server) -> None:
    ann, ben = desks(world, server, "ann", "ben")
    wipe(ann, ben)
    meddled = Meddled.over(server.redis(), ann.config.project)
    plan = rebuild.look(ann.repo, meddled, ann.config)
    proof = rebuild.rebuild(ann.repo, meddled, ann.config, plan, "ann")
    assert [i for i, _ in proof.differ] == ["P1-004"]
    assert (proof.ledger, proof.store, proof.agree) == (6, 5, 5)
    assert ann.store.redis.hget(ann.store.keys.meta, "store_id") is None
    assert rebuilt(ben)[1].holds  # the next one mends it


def test_a_claim_whose_line_has_landed_is_listed(world: World, server: Server) -> None:
    ann, ben = desks(world, server, "ann", "ben")
    ann.start("P1-003")
    ann.land("P1-003: begin")
    ben.pull()
    ben.start("P1-006")
    ben.land("P1-006: begin")
    ben.clone.git("checkout", "-q", "-b", "feat/six")
    ben.handover("P1-006", "ann")
    ben.commit("P1-006: handed over")
    wipe(ann, ben)
    plan, _ = rebuilt(ben)
    assert brief(plan.lost) == [
        ("P1-003", "main", "ann", "in_progress"),  # the old P1-002 is nobody's
        ("P1-006", "feat/six", "ann", "in_progress"),
    ]
    assert [one.landed for one in plan.lost] == [True, False]
    assert ann.start("P1-003").prp.owner == "ann"
    ann.store.store_id = ID
    assert rebuild.look(ann.repo, ann.store, ann.config).state == "intact"
    assert not any(one.landed for one in rebuild.look(ann.repo, ann.store, ann.config).lost)


def test_another_projects_id_is_never_replaced(world: World, server: Server) -> None:
    ann, ben = desks(world, server, "ann", "ben")
    wipe(ann, ben)
    plan = rebuild.look(ann.repo, ann.store, ann.config)
    ann.store.redis.hset(ann.store.keys.meta, "store_id", "somebody-elses")
    with pytest.raises(UserError) as e:
        rebuild.rebuild(ann.repo, ann.store, ann.config, plan, "ann")
    assert e.value.code == "store-other"
    assert ann.store.redis.hget(ann.store.keys.meta, "store_id") == "somebody-elses"


def test_branches_that_the_lane_has_or_that_say_nothing_valid_are_not_listed(world: World, server: Server) -> None:
    ann, ben = desks(world, server, "ann", "ben")
    ann.clone.git("branch", "old")
    ann.start("P1-003")
    ann.land("P1-003: begin")
    ann.clone.git("branch", "merged")
    ben.pull()
    ben.clone.git("checkout", "-q", "-b", "forged")
    ben.start("P1-006")
    ben.edit("P1-006", "owner: ben", "owner: eve")
    ben.commit("P1-006: by hand")
    wipe(ann, ben)
    for desk in (ben, ann):
        assert [one for one in rebuild.look(desk.repo, desk.store, desk.config).lost if not one.landed] == []


def test_recorded_entries_are_read_from_git_and_not_from_the_store(world: World, server: Server) -> None:
    (ann,) = desks(world, server, "ann")
    ann.store.redis.hset(ann.store.keys.recorded, "P1-003", record.dump(record.Entry("P1-003", "9-00000000", "x", {})))
    assert not rebuild.prove(ann.repo, ann.store, ann.config).holds
