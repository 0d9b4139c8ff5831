"""PRPS's lane events, one by one, on real git."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from prpgate import live, mail, prps, record, registry
from prpgate.errors import CouldNotTell
from prpgate.messages import mail as say
from tests.prps import LEDGER, OLD, TOML, Desk, entry, office
from tests.world import Clone, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import Server, World


def test_an_empty_store_is_filled_from_the_tip_in_one_call(world: World, server: Server) -> None:
    ann = world.clone("ann", first=True)
    ann.commit_files("ledger", {LEDGER: OLD, "prp.toml": TOML})
    ann.git("push", "-q")
    desk = Desk(ann, server)
    desk.sync()
    desk.store.redis.flushall()  # the scripts stay with the server
    desk.store.redis.config_resetstat()
    report = desk.sync()
    calls = {k: v["calls"] for k, v in desk.store.redis.info("commandstats").items()}
    assert (calls["cmdstat_exec"], calls["cmdstat_evalsha"], "cmdstat_eval" in calls) == (1, 2, False)
    assert (report.synced, len(report.changed), report.unchanged, report.conflicts) == (6, 6, 0, [])
    assert (report.cursor_before, report.cursor_after, report.note) == (None, world.tip(), None)
    state = prps.read(desk.store, desk.config)
    assert {i: p.status for i, p in state.prps.items()} == {
        "P1-001": "complete",
        "P1-002": "in_progress",
        "P1-003": "validated",
        "P1-004": "new",
        "P1-005": "deprecated",
        "P1-006": "validated",
    }
    assert state.cursor == world.tip()


def test_the_same_tip_changes_nothing(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    before = ann.snapshot()
    report = ann.sync()
    assert (report.synced, report.unchanged, report.changed, report.landed) == (6, 6, [], [])
    assert ann.snapshot() == before


def test_a_clone_that_is_behind_changes_nothing(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    old = world.tip()
    ann.start("P1-003")
    ann.land("P1-003: begin")
    ann.sync()
    before = ann.snapshot()
    report = ann.sync(tip=old)
    assert report.cursor_after == world.tip()
    assert report.note is not None and "newer" in report.note
    assert ann.snapshot() == before


def test_a_cursor_that_is_not_here_is_could_not_tell(world: World, server: Server) -> None:
    ann, ben = office(world, server, "ann", "ben")
    ann.land("more")
    ann.sync()
    before = ann.snapshot()
    with pytest.raises(CouldNotTell) as e:
        ben.sync()
    assert e.value.next_action == "git fetch"
    assert ann.snapshot() == before
    ben.clone.git("fetch", "-q")
    assert ben.sync().changed == []


def test_a_tip_ahead_records_it_and_takes_landed_milestones_off_the_chain(world: World, server: Server) -> None:
    ann, ben = office(world, server, "ann", "ben")
    done = ann.start("P1-003")
    assert done.changed_file == LEDGER
    assert ann.prp("P1-003").recorded == "validated" and len(ann.prp("P1-003").chain) == 1
    ann.land("P1-003: begin")
    ben.clone.git("fetch", "-q")
    report = ben.sync()  # whoever sees it first
    seal = done.prp.rev
    assert report.landed == [("P1-003", seal, "in_progress")]
    assert report.changed == ["P1-003"]
    p = ann.prp("P1-003")
    assert (p.recorded, p.status, p.chain, p.rev) == ("in_progress", "in_progress", [], seal)
    assert p.claim is not None and p.claim.agent == "ann" and p.claim.live


def test_later_milestones_stay_pending_when_an_earlier_one_lands(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.validate("P1-004")
    ann.land("plan", code=False)
    started = ann.start("P1-004")
    ann.sync()
    p = ann.prp("P1-004")
    assert p.recorded == "validated" and [line.seal for line in p.chain] == [started.prp.seal]
    assert p.status == "in_progress" and p.orphaned == []


def test_a_landing_brings_the_completing_line_and_green_makes_it_complete(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    ann.complete("P1-003")
    assert (ann.prp("P1-003").status, ann.prp("P1-003").phase) == ("in_progress", "completing")
    ann.land("P1-003: all of it")
    ann.sync()
    p = ann.prp("P1-003")
    assert (p.status, p.phase, p.recorded) == ("in_progress", "landed", "complete")
    assert ann.store.redis.hlen(ann.store.keys.completing) == 0
    assert ann.smoke().proven == ["P1-003"]
    p = ann.prp("P1-003")
    assert (p.status, p.phase) == ("complete", None)
    assert p.claim is None or not p.claim.live


def test_a_verdict_that_came_before_the_sync_counts(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    ann.complete("P1-003")
    ann.land("P1-003: all of it")
    assert ann.smoke().proven == []
    ann.sync()
    assert ann.prp("P1-003").status == "complete"


def test_red_stays_landed_until_a_later_green_tip(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    ann.complete("P1-003")
    ann.land("P1-003: all of it")
    ann.sync()
    assert ann.smoke(result="red").proven == []
    assert ann.smoke(result="unknown").proven == []
    assert ann.prp("P1-003").phase == "landed"
    assert "landed-red" in ann.events("P1-003")
    ann.land("mend it")
    ann.sync()
    assert ann.smoke().proven == ["P1-003"]


def test_a_green_tree_that_never_landed_proves_nothing(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    ann.complete("P1-003")
    ann.land("P1-003: all of it")
    ann.sync()
    ann.commit("only here", x="y")
    assert ann.smoke().proven == []
    assert ann.prp("P1-003").phase == "landed"


def test_a_completion_that_lands_alone_stays_unproven(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    ann.complete("P1-003")
    ann.land("P1-003: only the line", code=False)
    ann.sync()
    assert ann.smoke().proven == []
    ann.land("something else")
    ann.sync()
    assert ann.smoke().proven == []
    assert ann.prp("P1-003").phase == "landed"


def test_a_green_verdict_from_before_does_not_prove_a_line_that_lands_alone(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    ann.complete("P1-003")
    ann.land("P1-003: only the line", code=False)
    ann.smoke()
    ann.sync()
    assert ann.prp("P1-003").phase == "landed"


@pytest.mark.parametrize("gate", ["ci", "ci-first"])
@pytest.mark.parametrize("known", ["before", "after"])
def test_only_class_ci_proves_with_gate_ci(world: World, server: Server, gate: str, known: str) -> None:
    (ann,) = office(world, server, "ann", config=f'gate = "{gate}"\n' + TOML)
    ann.start("P1-003")
    ann.complete("P1-003")
    ann.land("P1-003: all of it")
    if known == "before":  # the landing is heard of when its tree is green already
        assert ann.smoke().proven == []
    ann.sync()
    if known == "after":
        assert ann.smoke().proven == []
    assert ann.prp("P1-003").phase == "landed"
    assert ann.smoke(klass="ci").proven == ["P1-003"]


def test_a_landing_that_names_the_prp_without_its_line_leaves_the_marker(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    ann.commit("P1-003: begin")
    completed = ann.complete("P1-003")
    ann.clone.git("stash", "-q")
    ann.land("P1-003: some of it")
    ann.sync()
    p = ann.prp("P1-003")
    assert (p.phase, p.rev, p.recorded) == ("completing", completed.prp.rev, "in_progress")
    assert "landed-without-line" in ann.events("P1-003")


def test_a_revert_is_followed_once_and_a_re_revert_too(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    ann.complete("P1-003")
    head = ann.land("P1-003: all of it")
    ann.sync()
    ann.smoke()
    assert ann.prp("P1-003").status == "complete"
    highest = ann.prp("P1-003").maxrev

    back = ann.revert(head)
    ann.push()
    assert ann.sync().changed == ["P1-003"]
    p = ann.prp("P1-003")
    assert (p.status, p.recorded, p.rev, p.maxrev) == ("validated", "validated", None, highest)
    assert "reverted" in ann.events("P1-003")
    assert ann.sync().changed == []

    ann.revert(back)
    ann.commit("and a tree that was never smoked", more="more")
    ann.push()
    ann.sync()
    p = ann.prp("P1-003")
    assert (p.recorded, p.status, p.phase) == ("complete", "in_progress", "landed")
    ann.smoke()
    assert ann.prp("P1-003").status == "complete"


def test_revert_and_re_revert_seen_at_once_have_to_be_proven_again(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    ann.complete("P1-003")
    head = ann.land("P1-003: all of it")
    ann.sync()
    ann.smoke()
    first = ann.clone.head
    back = ann.revert(head)
    ann.push()
    ann.note_landing(back, first, [], True)
    again = ann.revert(back)
    ann.commit("and more", more="more")
    ann.push()
    ann.note_landing(ann.clone.head, back, [], True)
    assert again != head
    ann.sync()
    assert ann.prp("P1-003").phase == "landed"


def test_milestone_and_revert_that_land_together(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    done = ann.start("P1-003")
    begun = ann.commit("P1-003: begin", x="y")
    ann.revert(begun)
    ann.push()
    report = ann.sync()
    assert report.landed == [("P1-003", done.prp.rev, "in_progress")]
    p = ann.prp("P1-003")
    assert (p.recorded, p.status, p.chain, p.orphaned) == ("validated", "validated", [], [])
    assert p.maxrev == 1


def test_the_seal_counts_wherever_it_is_in_the_range(world: World, server: Server) -> None:
    """On a side branch that is merged: the first-parent chain never had it as a tip of its own."""
    (ann,) = office(world, server, "ann")
    ann.clone.git("checkout", "-q", "-b", "side")
    started = ann.start("P1-003")
    ann.commit("P1-003: begin")
    completed = ann.complete("P1-003")
    ann.commit("P1-003: end", x="y")
    ann.clone.git("checkout", "-q", "main")
    ann.commit("meanwhile", z="z")
    ann.clone.git("merge", "-q", "--no-ff", "-m", "take it in", "side")
    ann.push()
    report = ann.sync()
    assert [seal for _, seal, _ in report.landed] == [started.prp.rev, completed.prp.rev]
    assert ann.prp("P1-003").phase == "landed"


def test_a_side_branch_changes_nothing(world: World, server: Server) -> None:
    ann, ben = office(world, server, "ann", "ben")
    ann.clone.git("checkout", "-q", "-b", "side")
    ann.start("P1-003")
    ann.commit("P1-003: begin")
    ann.clone.git("push", "-q", "origin", "side")
    before = ann.snapshot()
    ben.clone.git("fetch", "-q")
    ben.clone.git("checkout", "-q", "side")
    assert ben.sync().changed == []
    ann.clone.git("revert", "--no-edit", "HEAD")
    ann.clone.git("checkout", "-q", "main")
    assert ann.sync().changed == []
    assert ann.snapshot() == before


def test_a_cherry_picked_milestone_lands_like_the_original(world: World, server: Server) -> None:
    ann, ben = office(world, server, "ann", "ben")
    ann.clone.git("checkout", "-q", "-b", "side")
    done = ann.start("P1-003")
    picked = ann.commit("P1-003: begin")
    ann.clone.git("push", "-q", "origin", "side")
    ben.clone.git("fetch", "-q")
    ben.commit("ben's own", b="b")
    ben.clone.git("cherry-pick", picked)
    ben.push()
    assert ben.sync().landed == [("P1-003", done.prp.rev, "in_progress")]
    assert ann.prp("P1-003").owner == "ann"


def test_a_cherry_pick_to_another_branch_of_the_remote_is_nothing(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    ann.commit("P1-003: begin")
    ann.clone.git("push", "-q", "origin", "HEAD:release")
    before = ann.snapshot()
    assert ann.sync().changed == []
    assert ann.snapshot() == before


def test_an_allowed_rewrite_is_followed_and_told(world: World, server: Server) -> None:
    ann, ben = office(world, server, "ann", "ben")
    ann.start("P1-003")
    ann.land("P1-003: begin")
    ann.sync()
    ben.clone.git("fetch", "-q")
    ann.clone.git("reset", "-q", "--hard", "HEAD~1")
    ann.commit("instead", i="i")
    ann.clone.git("push", "-q", "--force", "origin", "main")
    report = ann.sync()
    assert report.changed == ["P1-003"] and report.note is not None and "rewritten" in report.note
    assert ann.prp("P1-003").recorded == "validated"
    before = ann.snapshot()
    with pytest.raises(CouldNotTell):  # ben has not heard of the rewrite: he does not take it back
        ben.sync()
    ben.clone.git("fetch", "-q", "--refmap=", "origin", "+refs/heads/main:refs/heads/other")
    with pytest.raises(CouldNotTell) as e:
        ben.sync()
    assert e.value.code == "behind-rewrite"
    assert ann.snapshot() == before


def test_a_shallow_clone_can_tell_forward_and_nothing_else(world: World, server: Server, tmp_path: Path) -> None:
    (ann,) = office(world, server, "ann")
    for n in range(3):
        ann.land(f"more {n}")
    ann.sync()
    run(["git", "clone", "-q", "--depth", "1", f"file://{world.remote}", tmp_path / "cut"], tmp_path)
    cut = Desk(Clone(tmp_path / "cut", "cut"), server)
    assert cut.sync().changed == []
    ann.start("P1-003")
    ann.land("P1-003: begin")
    cut.clone.git("fetch", "-q", "--depth", "1")
    with pytest.raises(CouldNotTell) as e:
        cut.sync()  # the link between the two tips is cut: to git it looks like a rewrite
    assert e.value.next_action == "git fetch --unshallow"
    assert ann.prp("P1-003").recorded == "validated"
    cut.clone.git("fetch", "-q", "--unshallow")
    assert cut.sync().changed == ["P1-003"]
    ann.land("what came after")
    run(["git", "clone", "-q", "--depth", "1", f"file://{world.remote}", tmp_path / "later"], tmp_path)
    later = Desk(Clone(tmp_path / "later", "later"), server)
    with pytest.raises(CouldNotTell) as e:
        later.sync()  # as `prp join` does: what the store has seen lies behind the cut
    assert (e.value.code, e.value.next_action) == ("cursor-unknown", "git fetch --unshallow")


def test_a_hand_edit_that_lands_leaves_the_last_valid_entry(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    ann.land("P1-003: begin")
    ann.sync()
    ann.edit("P1-003", "status: in_progress", "status: complete")
    ann.edit("P1-003", "title: The work of P1-003", "title: A better title")
    ann.land("by hand")
    report = ann.sync()
    assert [i for i, _ in report.conflicts] == ["P1-003"]
    p = ann.prp("P1-003")
    assert (p.status, p.recorded, p.title) == ("in_progress", "in_progress", "A better title")
    assert ann.sync().conflicts == report.conflicts  # it is asked again until it is mended


def test_a_hand_edit_of_an_old_entry_is_recorded_and_told(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.edit("P1-003", "status: validated", "status: complete")
    ann.land("by hand")
    report = ann.sync()
    assert ann.prp("P1-003").status == "complete"
    assert [i for i, _ in report.conflicts] == ["P1-003"]


def test_titles_dependencies_and_notes_follow_the_tip(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    started = ann.start("P1-006")
    ann.edit("P1-006", "title: The work of P1-006", "title: Something else")
    ann.edit("P1-006", "depends_on: [PRP-1001]", "depends_on: [P1-002, P1-003]")
    ann.land("P1-006: begin")
    ann.sync()
    p = ann.prp("P1-006")
    assert (p.title, p.depends_on, p.rev) == ("Something else", ("P1-002", "P1-003"), started.prp.rev)


def test_a_landing_round_the_taker_orphans_the_takers_chain(world: World, server: Server) -> None:
    ann, ben = office(world, server, "ann", "ben")
    ann.start("P1-003")
    ann.land("begin")
    ann.sync()
    ben.pull()
    ann.complete("P1-003")
    ann.lapse("P1-003")
    taken = ben.start("P1-003")  # ann's claim lapsed: her pending line ended
    ann.land("P1-003: late, round the hook")
    ann.sync()
    p = ben.prp("P1-003")
    assert p.recorded == "complete" and p.phase == "landed"
    assert [line.seal for line in p.orphaned] == [taken.prp.rev]
    assert p.chain == [] and taken.notes
    assert ben.events("P1-003").count("orphaned") == 1
    (told,) = [m for m in mail.inbox(ben.store, registry.me(ben.repo, ben.ctx.agent)).messages if m.cause == "orphaned"]
    assert (told.prp, told.detail) == ("P1-003", taken.prp.rev)
    assert "went on with P1-003 without your line" in say.told(told)
    ben.clone.git("checkout", "-q", "--", LEDGER)
    ben.pull()
    again = ben.reopen("P1-003", "mine after all").prp
    assert [line.seal for line in again.chain] == [again.rev] and again.orphaned == []  # replaced, not built upon


def test_a_wiped_store_is_filled_again_with_the_numbers_of_all_history(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    ann.complete("P1-003")
    head = ann.land("P1-003: all of it")
    ann.sync()
    ann.smoke()
    ann.revert(head)
    ann.push()
    ann.sync()
    before = {i: (p.status, p.rev, p.maxrev) for i, p in prps.read(ann.store, ann.config).prps.items()}
    ann.store.redis.flushall()
    ann.sync()
    after = {i: (p.status, p.rev, p.maxrev) for i, p in prps.read(ann.store, ann.config).prps.items()}
    assert after == before
    assert after["P1-003"] == ("validated", None, 2)


def test_after_a_wipe_a_complete_line_without_evidence_waits_for_a_green_tip(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    ann.complete("P1-003")
    ann.land("P1-003: all of it")
    ann.sync()
    ann.smoke()
    ann.store.redis.flushall()
    ann.sync()
    assert ann.prp("P1-003").phase == "landed"
    assert ann.prp("P1-001").status == "complete"  # an old entry counts as it is
    assert ann.smoke().proven == ["P1-003"]


def test_the_order_and_number_of_syncs_does_not_matter(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    tips = [world.tip()]
    ann.start("P1-003")
    tips.append(ann.land("begin"))
    ann.validate("P1-004")
    tips.append(ann.land("plan", code=False))
    ann.complete("P1-003")
    tips.append(ann.land("P1-003: end"))
    tips.append(ann.revert(tips[-1]))
    ann.push()
    seen = []
    saved = {k: v for k, v in ann.snapshot().items() if isinstance(v, dict)}
    for order in ([4], [1, 2, 3, 4], [4, 1, 3], [2, 4]):
        for key, value in saved.items():
            ann.store.redis.delete(key)
            if value:
                ann.store.redis.hset(key, mapping=value)
        ann.store.redis.set(ann.store.keys.cursor, tips[0])
        for n in order:
            ann.sync(tip=tips[n])
        seen.append({k: v for k, v in ann.snapshot().items() if k != ann.store.keys.unproven})
    assert all(one == seen[0] for one in seen)
    p = ann.prp("P1-003")
    assert (p.recorded, p.status, p.chain) == ("in_progress", "in_progress", [])


def test_nothing_pushed_yet_the_local_branch_stands_in(world: World, server: Server) -> None:
    ann = world.clone("ann")
    ann.git("checkout", "-q", "-b", "main")
    desk = Desk(ann, server)
    report = desk.sync()
    assert (report.synced, report.note is None) == (0, False)
    made = desk.new("The first thing")
    assert made.prp.id == "P2-001" and made.changed_file == LEDGER
    ann.commit_files("first", {"prp.toml": TOML})
    report = desk.sync()
    assert report.synced == 1 and report.note is not None and "until the first push" in report.note
    ann.git("commit", "-q", "--amend", "-m", "first, amended")
    ann.git("push", "-q", "-u", "origin", "main")
    assert desk.sync().note is None or "rewritten" in (desk.sync().note or "rewritten")
    assert prps.read(desk.store, desk.config).cursor == world.tip()
    ben = Desk(world.clone("ben"), server)
    assert ben.sync().synced == 1
    assert ben.prp("P2-001").recorded == "new" and ben.prp("P2-001").chain == []


def test_a_provisional_cursor_that_nobody_else_has_is_replaced(world: World, server: Server) -> None:
    ann = world.clone("ann")
    ann.git("checkout", "-q", "-b", "main")
    ann.commit_files("only here", {LEDGER: OLD, "prp.toml": TOML})
    Desk(ann, server).sync()
    ann.git("commit", "-q", "--amend", "-m", "amended")
    ann.git("push", "-q", "-u", "origin", "main")
    ben = Desk(world.clone("ben"), server)
    assert ben.sync().cursor_after == world.tip()
    assert ben.store.redis.hget(ben.store.keys.meta, "provisional") == "0"


def test_no_remote_at_all(repo: Path, server: Server) -> None:
    clone = Clone(repo, "ann")
    clone.commit_files("ledger", {LEDGER: OLD, "prp.toml": TOML})
    desk = Desk(clone, server)
    report = desk.sync()
    assert report.synced == 6 and report.note is not None and "no remote" in report.note
    desk.start("P1-003")
    clone.commit_files("P1-003: begin", {})
    assert desk.sync().changed == ["P1-003"]


def test_a_lane_that_was_not_fetched_is_could_not_tell(world: World, server: Server, repo: Path) -> None:
    office(world, server, "ann")
    clone = Clone(repo, "ben")
    clone.git("remote", "add", "origin", str(world.remote))
    with pytest.raises(CouldNotTell) as e:
        Desk(clone, server).sync()
    assert e.value.next_action == "git fetch origin"


def test_two_syncs_at_once_agree(world: World, server: Server) -> None:
    ann, ben = office(world, server, "ann", "ben")
    ann.start("P1-003")
    ann.land("P1-003: begin")
    ben.clone.git("fetch", "-q")
    raw = live.fetch(ben.store, "main")
    ann.sync()
    # ben's plan stands on the cursor that he read: the script refuses it, and his next look finds nothing to do
    plan = '{"gate":"none","steps":"","provisional":"0","conflicts":"[]","landings":[],"flags":{},"maxrev":{},'
    plan += '"landed":[],"reset":[],"waits":{},"events":[]}'
    args = [raw.cursor or "", world.tip(), plan, "P1-003", ""]
    assert ben.store.run("prp_sync", live.script_keys(ben.store.keys), args)["code"] == "changed"
    assert ben.sync().changed == []
    assert ann.prp("P1-003").recorded == "in_progress"


def test_one_file_per_prp(world: World, server: Server) -> None:
    toml = 'project = "example/app"\n[ledger]\npath = "prps/"\n'
    (ann,) = office(world, server, "ann", config=toml)
    made = ann.new("The first thing", doc="docs/first.md")
    assert made.changed_file == "prps/P2-001.yaml"
    ann.validate("P2-001")
    done = ann.start("P2-001")
    ann.land("P2-001: begin")
    report = ann.sync()
    assert [s for _, s, _ in report.landed] == [done.prp.rev]
    assert ann.prp("P2-001").fields["doc"] == "docs/first.md"
    ann.clone.write("prps/P2-001.yaml", "id: P2-001\n  : broken\n")
    ann.land("broken")
    assert [i for i, _ in ann.sync().conflicts] == ["P2-001"]
    assert ann.prp("P2-001").rev == done.prp.rev


def test_ten_thousand_prps_are_one_round_trip_too(world: World, server: Server) -> None:
    """Only that it works and stays whole; how fast it is is measured elsewhere."""
    many = "".join(
        f"  P2-{n:05d}:\n    title: t{n}\n    status: validated\n    stable_id: PRP-{n}\n" for n in range(8000)
    )
    (ann,) = office(world, server, "ann", ledger="prp_tracking:\n" + many)
    assert ann.store.redis.hlen(ann.store.keys.recorded) == 8000


def test_an_entry_that_went_away_is_recorded_no_more(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    text = ann.ledger()
    ann.clone.write(LEDGER, text.replace(entry("P1-003", "validated", 1003), ""))
    ann.land("take it out")
    assert ann.sync().changed == ["P1-003"]
    assert "P1-003" not in prps.read(ann.store, ann.config).prps
    assert record.at(ann.repo, ann.config, world.tip()).entries.keys() == {f"P1-00{n}" for n in (1, 2, 4, 5, 6)}
