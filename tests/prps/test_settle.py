"""Hand edits of sealed fields that landed all the same: what stands, and who says which side it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from prpgate import ledger, prps, rules, settle, sync
from prpgate.errors import UserError
from tests.prps import LEDGER, TOML, Desk, office

if TYPE_CHECKING:
    from prpgate.settle import Step
    from tests.world import Server, World


def hand_edited(world: World, server: Server, old: str, new: str) -> tuple[Desk, Desk]:
    """P1-003 is sealed in the lane (in progress, ann's), then somebody's hand edit of it landed round the hooks."""
    ann, ben = office(world, server, "ann", "ben")
    ann.start("P1-003")
    ann.land("begin")
    ann.sync()
    ben.pull()
    ben.edit("P1-003", old, new)
    ben.land("by hand", code=False)
    ben.sync()
    ann.pull()
    return ann, ben


def settled(desk: Desk, prp_id: str, side: str) -> tuple[Step, str | None]:
    step = settle.plan(desk.ctx, prp_id, side)
    return step, settle.apply(desk.ctx, step)


def conflicts(desk: Desk) -> list[str]:
    return [i for i, _ in desk.sync().conflicts]


def test_the_last_valid_entry_stands_and_every_sync_says_so(world: World, server: Server) -> None:
    ann, ben = hand_edited(world, server, "status: in_progress", "status: validated")
    assert conflicts(ann) == conflicts(ben) == ["P1-003"]
    assert ann.prp("P1-003").status == "in_progress"


def test_ours_writes_what_stands_back_and_the_store_stays_as_it_is(world: World, server: Server) -> None:
    ann, ben = hand_edited(world, server, "status: in_progress", "status: validated")
    before, stands = ben.snapshot(), ben.prp("P1-003").seal
    step = settle.plan(ben.ctx, "P1-003", settle.OURS)
    assert step.was == {"status": "validated"} and step.rev == stands
    assert ben.clone.git("status", "--porcelain").out == ""  # a plan writes nothing
    assert settle.apply(ben.ctx, step) == LEDGER
    assert ben.snapshot() == before
    changed = [x for x in ben.clone.git("diff", "-U0").out.splitlines() if x[0] in "+-" and x[:3] not in ("+++", "---")]
    assert changed == ["-    status: validated", "+    status: in_progress"]
    ben.land("as it stands", code=False)
    assert conflicts(ben) == []
    assert ben.prp("P1-003").seal == stands
    assert settled(ann, "PRP-1003", settle.OURS)[1] == LEDGER  # by any of its ids, on the stale clone too
    assert not settle.plan(ben.ctx, "P1-003", settle.OURS).changes


def test_ours_brings_nobody_elses_milestone_that_has_not_landed(world: World, server: Server) -> None:
    ann, ben = office(world, server, "ann", "ben")
    ben.reopen("P1-001", "not good")
    text = ann.ledger()
    with pytest.raises(UserError) as e:
        settle.plan(ann.ctx, "P1-001", settle.OURS)
    assert e.value.code == "nothing-to-settle" and "ben took it to in_progress" in e.value.message
    ann.edit("P1-001", "status: complete", "status: validated")  # a hand edit here: the lane's line comes back
    step, file = settled(ann, "P1-001", settle.OURS)
    assert (step.rev, file, ann.ledger()) == (None, LEDGER, text)
    ben.clone.git("checkout", "-q", "--", LEDGER)  # one's own line may be written again
    assert "status: in_progress" in ben.ledger().partition("P1-002")[2]
    settled(ben, "P1-001", settle.OURS)
    assert "rev: 1-" in ben.ledger().partition("P1-002")[0]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("owner: ann", "owner: eve"),
        ("rev: 1", "# rev: 1"),  # the seal is gone
        ("github_commit: null", "github_commit: abcdef1"),
        ("status: in_progress", "status: in_progress\n    deprecated: true"),
    ],
)
def test_ours_takes_every_kind_of_hand_edit_back(world: World, server: Server, old: str, new: str) -> None:
    _, ben = hand_edited(world, server, old, new)
    stands = ben.prp("P1-003").seal
    assert conflicts(ben) == ["P1-003"]
    settled(ben, "P1-003", settle.OURS)
    ben.land("as it stands", code=False)
    assert conflicts(ben) == []
    p = ben.prp("P1-003")
    assert (p.seal, p.status, p.owner) == (stands, "in_progress", "ann")


def test_theirs_makes_the_hand_edit_a_milestone_of_who_says_so(world: World, server: Server) -> None:
    ann, ben = hand_edited(world, server, "status: in_progress", "status: validated")
    ann.lapse("P1-003")
    stands = ben.prp("P1-003").seal
    step, file = settled(ben, "P1-003", settle.THEIRS)
    assert file == LEDGER and step.rev is not None and step.rev.startswith("2-")
    p = ann.prp("P1-003")
    assert (p.status, p.rev, p.maxrev) == ("validated", step.rev, 2)
    assert [(line.on, line.agent, line.verb) for line in p.chain] == [(stands, "ben", "settle")]
    assert ben.events("P1-003")[-1] == "settled"
    assert step.rev in ben.ledger()
    ben.land("the hand edit, sealed", code=False)
    report = ben.sync()
    assert report.landed == [("P1-003", step.rev, "validated")] and report.conflicts == []
    assert ann.prp("P1-003").recorded == "validated"


def test_theirs_again_writes_the_line_where_it_is_missing(world: World, server: Server) -> None:
    ann, ben = hand_edited(world, server, "status: in_progress", "status: validated")
    ann.lapse("P1-003")
    step, _ = settled(ben, "P1-003", settle.THEIRS)
    ben.clone.git("checkout", "-q", "--", LEDGER)
    before = ben.snapshot()
    again, file = settled(ben, "P1-003", settle.THEIRS)
    assert (again.rev, file, again.line) == (step.rev, LEDGER, None)
    assert ben.snapshot() == before
    assert step.rev is not None and step.rev in ben.ledger()


def test_theirs_is_refused_over_somebody_elses_live_claim(world: World, server: Server) -> None:
    _, ben = hand_edited(world, server, "status: in_progress", "status: validated")
    before, tree = ben.snapshot(), ben.ledger()
    with pytest.raises(UserError) as e:
        settled(ben, "P1-003", settle.THEIRS)
    assert e.value.code == "claimed"
    assert (ben.snapshot(), ben.ledger()) == (before, tree)


def test_theirs_is_refused_over_a_live_claim_on_what_has_landed(world: World, server: Server) -> None:
    ann, ben = office(world, server, "ann", "ben")
    ann.start("P1-003")
    ann.complete("P1-003")
    ann.land("P1-003: all of it")
    ann.sync()
    ben.pull()
    ben.edit("P1-003", "status: complete", "status: validated")
    ben.land("by hand", code=False)
    assert conflicts(ben) == ["P1-003"] and ben.prp("P1-003").phase == "landed"
    before = ben.snapshot()
    with pytest.raises(UserError) as e:
        settled(ben, "P1-003", settle.THEIRS)
    assert (e.value.code, ben.snapshot()) == ("claimed", before)


def test_ones_own_claim_ends_when_the_hand_edit_ends_the_work(world: World, server: Server) -> None:
    ann, _ = hand_edited(world, server, "status: in_progress", "status: validated")
    settled(ann, "P1-003", settle.THEIRS)
    p = ann.prp("P1-003")
    assert (p.status, p.claim) == ("validated", None)


def test_complete_is_never_taken_by_hand(world: World, server: Server) -> None:
    ann, _ = hand_edited(world, server, "status: in_progress", "status: complete")
    before = ann.snapshot()
    with pytest.raises(UserError) as e:
        settled(ann, "P1-003", settle.THEIRS)
    assert e.value.code == "not-by-hand"
    assert ann.snapshot() == before


def test_typed_evidence_does_not_come_along(world: World, server: Server) -> None:
    ann, _ = hand_edited(world, server, "github_commit: null", "github_commit: abcdef1")
    settled(ann, "P1-003", settle.THEIRS)
    assert ann.prp("P1-003").fields["github_commit"] is None
    assert "abcdef1" not in ann.ledger()


def test_nothing_to_take_is_said(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    for prp_id, code in (("P1-003", "nothing-to-settle"), ("P9-999", "unknown-prp")):
        with pytest.raises(UserError) as e:
            settle.plan(ann.ctx, prp_id, settle.THEIRS)
        assert e.value.code == code


def test_a_tree_that_says_a_third_thing_is_not_written_over(world: World, server: Server) -> None:
    ann, _ = hand_edited(world, server, "status: in_progress", "status: validated")
    ann.lapse("P1-003")
    ann.edit("P1-003", "owner: ann", "owner: eve")
    tree = ann.ledger()
    with pytest.raises(UserError) as e:
        settle.plan(ann.ctx, "P1-003", settle.THEIRS)
    assert e.value.code == "stale-line"
    assert ann.ledger() == tree


def test_a_line_that_cannot_be_written_is_taken_back(world: World, server: Server) -> None:
    ann, _ = hand_edited(world, server, "status: in_progress", "status: validated")
    step = settle.plan(ann.ctx, "P1-003", settle.THEIRS)
    before = ann.snapshot()
    ann.edit("P1-003", "status: validated", "status: new")
    with pytest.raises(UserError) as e:
        settle.apply(ann.ctx, step)
    assert e.value.code == "changed-underneath"
    after = ann.snapshot()
    key = ann.store.keys.maxrev  # a number is never given twice, whatever became of its line
    assert {k: v for k, v in after.items() if k != key} == {k: v for k, v in before.items() if k != key}


def test_a_lost_new_prp_is_made_known_again(world: World, server: Server) -> None:
    """A PRP that only a wiped store and this branch knew of."""
    (ann,) = office(world, server, "ann")
    made = ann.new("Something else").prp
    ann.store.redis.flushall()
    ann.sync()
    step, _ = settled(ann, made.id, settle.THEIRS)
    p = ann.prp(made.id)
    assert (p.status, p.title, p.rev) == ("new", "Something else", step.rev)
    assert ann.validate(made.id).prp.status == "validated"


def test_the_plan_says_what_would_change_and_changes_nothing(world: World, server: Server) -> None:
    ann, ben = office(world, server, "ann", "ben")
    done = ann.start("P1-003")
    ann.land("begin")
    ben.clone.git("fetch", "-q")
    before = ben.snapshot()
    move = sync.preview(ben.repo, ben.store, ben.config)
    assert ben.snapshot() == before
    assert move.report.landed == [("P1-003", done.prp.rev, "in_progress")]
    assert move.report.cursor_after == world.tip() != move.report.cursor_before
    assert move.changes == [("P1-003", "validated", f"in_progress {done.prp.rev}")]
    assert ben.sync() == move.report
    assert sync.preview(ben.repo, ben.store, ben.config).args == []


def test_reverted_work_whose_line_stays_is_an_event_for_its_owner(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    ann.land("P1-003: all of it")
    ann.sync()
    ann.smoke()
    ann.complete("P1-003")
    ann.land("the line", code=False)
    ann.sync()
    work = str(ann.prp("P1-003").fields["github_commit"])
    assert "evidence-reverted" not in ann.events("P1-003")
    ann.clone.git("revert", "--no-edit", "-n", work, ok=False)  # the ledger conflicts: the line went on since
    ann.clone.git("checkout", "-q", "HEAD", "--", LEDGER)
    ann.clone.git("commit", "-q", "-m", f'Revert "all of it"\n\nThis reverts commit {work}.')
    back = ann.push()
    ann.sync()
    assert ann.events("P1-003").count("evidence-reverted") == 1
    from prpgate import events

    told = [e for e in events.history(ann.store, "P1-003") if e.event == "evidence-reverted"]
    assert told[0].agent == "ann" and back in told[0].detail and work in told[0].detail
    assert ann.prp("P1-003").status == "complete"
    again = ann.revert(back)
    ann.push()
    ann.sync()
    assert again == world.tip()
    assert ann.events("P1-003").count("evidence-reverted") == 1


def test_a_revert_and_its_revert_in_one_landing_are_no_event(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.edit("P1-001", "github_commit: null", f"github_commit: {world.tip()[:10]}")
    work = world.tip()
    ann.land("evidence", code=False)
    ann.sync()
    ann.commit(f"Revert it\n\nThis reverts commit {work}.")
    back = ann.clone.head
    ann.commit(f"And back\n\nThis reverts commit {back}.")
    ann.push()
    ann.sync()
    assert "evidence-reverted" not in ann.events("P1-001")


def test_the_command_plans_first(world: World, server: Server) -> None:
    ann, ben = hand_edited(world, server, "status: in_progress", "status: validated")
    ann.store.run("adopt", [ann.store.keys.meta], ["the-id", 0])
    ben.clone.write("prp.toml", TOML + '[store]\nid = "the-id"\n')
    ben.clone.git("add", "-A")
    ben.clone.git("commit", "-q", "-m", "store id")
    ben.clone.git("push", "-q")
    ben.clone.env["REDIS_URL"] = server.url
    before = ben.snapshot()
    planned = ben.clone.prp("sync", "--ours", "P1-003")
    assert "prp sync --apply --ours P1-003" in planned.out and "Nothing was changed" in planned.out
    assert ben.snapshot() == before and ben.clone.git("status", "--porcelain").out == ""
    assert "prp sync --apply --theirs P1-003" in ben.clone.prp("sync").out
    done = json.loads(ben.clone.prp("sync", "--apply", "--ours", "P1-003", "--json").out)
    assert done["applied"] is True and done["settle"][0]["file"] == LEDGER
    assert done["cursor"] == world.tip()
    assert done["next_action"].startswith("git commit -m 'Ledger: settle P1-003'")
    ben.clone.prp("install")
    committed = ben.clone.git("commit", "-q", "-am", "Ledger: settle P1-003", ok=False)
    assert committed.code == 0, committed
    assert prps.read(ben.store, ben.config).prps["P1-003"].status == "in_progress"
    both = ben.clone.prp("sync", "--ours", "P1-003", "--theirs", "P1-003", ok=False)
    assert both.code == 2


def test_what_was_written_by_hand_is_no_place_to_start_from(world: World, server: Server) -> None:
    ann, _ = hand_edited(world, server, "status: in_progress", "status: validated")
    before = ledger.load(ann.repo, ann.config, "HEAD").prps["P1-003"]
    settled(ann, "P1-003", settle.THEIRS)
    after = ledger.load(ann.repo, ann.config, None).prps["P1-003"]
    assert (before.status, after.status) == ("validated", "validated")
    assert rules.transition(before, after) == []


def test_a_settled_line_passes_the_commit_hook(world: World, server: Server) -> None:
    ann, ben = hand_edited(world, server, "status: in_progress", "status: validated")
    ann.lapse("P1-003")
    ann.store.run("adopt", [ann.store.keys.meta], ["the-id", 0])
    ben.commit("store id", **{"prp.toml": TOML + '[store]\nid = "the-id"\n'})
    ben.push()
    ben.clone.env["REDIS_URL"] = server.url
    ben.clone.prp("install")
    settled(ben, "P1-003", settle.THEIRS)
    committed = ben.clone.git("commit", "-q", "-am", "Ledger: settle P1-003", ok=False)
    assert committed.code == 0, committed
