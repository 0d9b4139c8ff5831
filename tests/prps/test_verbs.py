"""PRPS's table of verbs, row by row, and what each verb leaves in the store, the working tree and the git dir."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest

from prpgate import ledger, live, prps
from prpgate.errors import UserError
from tests.prps import LEDGER, OLD, TOML, Desk, entry, office
from tests.world import Clone, run

if TYPE_CHECKING:
    from tests.world import Server, World

# One PRP in each column of the table, as ann sees it. "mine"/"hers": who has the claim.
STATES = {
    "none": "P9-999",
    "N": "P1-010",
    "V": "P1-011",
    "I mine": "P1-012",
    "I hers": "P1-013",
    "I nobody": "P1-014",
    "C mine": "P1-015",
    "C hers": "P1-016",
    "L nobody": "P1-017",
    "L hers": "P1-018",
    "L mine": "P1-019",
    "D": "P1-020",
    "X": "P1-021",
}
OLD_STATUS = {"N": "new", "I nobody": "in_progress", "D": "complete", "X": "deprecated"}
REFUSED = {
    "validate": {
        "none": "unknown-prp", "N": "", "V": "validated", "I mine": "in-progress", "I hers": "in-progress",
        "I nobody": "in-progress", "C mine": "completing", "C hers": "completing", "L nobody": "landed",
        "L hers": "landed", "L mine": "landed", "D": "complete", "X": "deprecated",
    },
    "start": {
        "none": "unknown-prp", "N": "not-validated", "V": "", "I mine": "already", "I hers": "claimed",
        "I nobody": "", "C mine": "completing", "C hers": "completing", "L nobody": "landed", "L hers": "landed",
        "L mine": "landed", "D": "complete", "X": "deprecated",
    },
    "renew": {
        "none": "unknown-prp", "N": "not-validated", "V": "not-started", "I mine": "", "I hers": "claimed",
        "I nobody": "not-claimed", "C mine": "", "C hers": "claimed", "L nobody": "not-claimed", "L hers": "claimed",
        "L mine": "", "D": "complete", "X": "deprecated",
    },
    "complete": {
        "none": "unknown-prp", "N": "not-validated", "V": "not-started", "I mine": "", "I hers": "claimed",
        "I nobody": "not-claimed", "C mine": "already", "C hers": "completing", "L nobody": "landed",
        "L hers": "landed", "L mine": "landed", "D": "already", "X": "deprecated",
    },
    "complete_undo": {
        "none": "unknown-prp", "N": "not-validated", "V": "not-started", "I mine": "already", "I hers": "in-progress",
        "I nobody": "in-progress", "C mine": "", "C hers": "claimed", "L nobody": "landed", "L hers": "landed",
        "L mine": "landed", "D": "complete", "X": "deprecated",
    },
    "reopen": {
        "none": "unknown-prp", "N": "not-validated", "V": "not-started", "I mine": "in-progress",
        "I hers": "in-progress", "I nobody": "in-progress", "C mine": "completing", "C hers": "completing",
        "L nobody": "", "L hers": "claimed", "L mine": "", "D": "", "X": "deprecated",
    },
    "new": {
        "none": "", "N": "exists", "V": "exists", "I mine": "exists", "I hers": "exists", "I nobody": "exists",
        "C mine": "exists", "C hers": "exists", "L nobody": "exists", "L hers": "exists", "L mine": "exists",
        "D": "exists", "X": "exists",
    },
}  # fmt: skip


def every_state(world: World, server: Server) -> tuple[Desk, Desk]:
    """ann, eve, and a PRP in each state."""
    text = "prp_tracking:\n"
    for state, prp_id in STATES.items():
        if state == "none":
            continue
        status = OLD_STATUS.get(state, "validated")
        more = ("deprecated: true",) if status == "deprecated" else ()
        text += entry(prp_id, "validated" if more else status, 2000 + int(prp_id[-2:]), *more)
    ann, eve = office(world, server, "ann", "eve", ledger=text)
    eve.start(STATES["L hers"])
    eve.complete(STATES["L hers"])
    eve.land("eve's work")
    ann.pull()
    for state in ("L nobody", "L mine"):
        ann.start(STATES[state])
        ann.complete(STATES[state])
    ann.land("ann's work")
    ann.sync()
    eve.pull()
    ann.lapse(STATES["L nobody"])
    ann.start(STATES["I mine"])
    eve.start(STATES["I hers"])
    for desk, state in ((ann, "C mine"), (eve, "C hers")):
        desk.start(STATES[state])
        desk.complete(STATES[state])
    return ann, eve


@pytest.mark.parametrize("verb", sorted(REFUSED))
def test_the_table(world: World, server: Server, verb: str) -> None:
    ann, _ = every_state(world, server)
    found = {}
    for state, prp_id in STATES.items():
        before, text = ann.snapshot(), ann.ledger()
        args = {"reopen": (prp_id, "why not"), "new": ("a title", None, prp_id)}.get(verb, (prp_id,))
        found[state] = ann.code(verb, *args)
        if found[state] not in ("", "already"):
            assert ann.snapshot() == before, f"{verb} on {state} was refused and changed the store"
            assert ann.ledger() == text, f"{verb} on {state} was refused and changed the ledger"
    assert found == REFUSED[verb]


def test_start_claims_and_writes_only_its_own_lines(world: World, server: Server) -> None:
    ann, eve = office(world, server, "ann", "eve")
    done = ann.start("prp-1003")  # any id, any case
    p = done.prp
    assert (p.id, p.status, p.owner, p.recorded) == ("P1-003", "in_progress", "ann", "validated")
    assert p.claim is not None and (p.claim.agent, p.claim.branch, p.claim.live) == ("ann", "main", True)
    assert 7190 <= p.claim.deadline_s <= 7200
    diff = ann.clone.git("diff", "-U0", LEDGER).out.splitlines()
    changed = [line for line in diff if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    assert changed[0] == "-    status: validated" and f"+    rev: {p.rev}" in changed and len(changed) == 6
    with open(os.path.join(ann.repo.git_dir, "prp-claim"), encoding="utf-8") as f:
        assert f.read() == f"P1-003 {p.claim.fence} ann\n"
    assert eve.prp("P1-003").owner == "ann"  # the other clone sees it at once


def test_a_person_has_a_longer_claim(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.ctx = ann.ctx._replace(is_person=True)
    claim = ann.start("P1-003").prp.claim
    assert claim is not None and claim.deadline_s > 71 * 3600


def test_the_loser_is_told_who_since_until_and_what_next(world: World, server: Server) -> None:
    ann, eve = office(world, server, "ann", "eve")
    ann.start("P1-003")
    with pytest.raises(UserError) as e:
        eve.start("P1-003")
    assert e.value.message.startswith("P1-003 is claimed by ann since ") and "until" in e.value.message
    assert e.value.next_action == "prp next"


def test_a_complete_prp_names_reopen_a_new_one_validate(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    actions = {}
    for prp_id in ("P1-001", "P1-004", "P1-005", "P1-0033"):
        with pytest.raises(UserError) as e:
            ann.start(prp_id)
        actions[prp_id] = e.value.next_action
    assert actions == {
        "P1-001": 'prp reopen P1-001 --reason "why"',
        "P1-004": "prp validate P1-004",
        "P1-005": "prp status P1-003",
        "P1-0033": "prp status P1-003",
    }


def test_start_again_gives_the_same_answer_and_writes_a_lost_line(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    first = ann.start("P1-003").prp
    text = ann.ledger()
    again = ann.start("P1-003")
    assert (again.already, again.changed_file) == (True, None)
    ann.clone.git("checkout", "-q", "--", LEDGER)  # as if it had been cut off between store and file
    os.unlink(os.path.join(ann.repo.git_dir, "prp-claim"))
    again = ann.start("P1-003")
    assert (again.already, again.changed_file) == (True, LEDGER)
    assert ann.ledger() == text
    assert again.prp.claim is not None and first.claim is not None and again.prp.claim.fence == first.claim.fence
    assert [k.id for k in prps.claims_here(ann.repo.git_dir, "ann")] == ["P1-003"]


def test_the_same_agent_in_another_clone_is_another_place(world: World, server: Server) -> None:
    ann, eve = office(world, server, "ann", "eve")
    ann.start("P1-003")
    elsewhere = Desk(eve.clone, server)
    elsewhere.ctx = elsewhere.ctx._replace(agent=ann.ctx.agent)
    assert elsewhere.code("start", "P1-003") == "claimed"
    ann.land("begin")
    elsewhere.pull()
    assert elsewhere.code("complete", "P1-003") == "stale-fence"
    assert elsewhere.code("renew", "P1-003") == "stale-fence"
    with pytest.raises(UserError) as e:
        elsewhere.release("P1-003")
    assert e.value.code == "stale-fence" and ann.repo.git_dir in e.value.message  # a start there is what works
    assert "in another worktree" in e.value.message and e.value.next_action == "prp status P1-003"
    assert ann.code("renew", "P1-003") == ""


def test_a_lapsed_claim_is_taken_over_and_the_old_fence_is_refused(world: World, server: Server) -> None:
    ann, eve = office(world, server, "ann", "eve")
    old = ann.start("P1-003").prp.claim
    ann.land("begin")
    eve.pull()
    assert eve.code("start", "P1-003") == "claimed"
    ann.lapse("P1-003")
    assert ann.prp("P1-003").claim is None
    taken = eve.start("P1-003")
    assert taken.prp.claim is not None and old is not None and taken.prp.claim.fence > old.fence
    assert taken.notes[0] == "it was in progress before, by ann, on branch main"
    assert taken.notes[1].startswith("last commit on main: ") and taken.notes[1].endswith(" ago)")
    assert [ann.code(verb, "P1-003") for verb in ("renew", "complete", "start")] == ["claimed"] * 3
    assert prps.claims_here(ann.repo.git_dir, "ann") == []  # renew found out that it is over
    assert ann.events("P1-003") == ["started", "landed", "recorded", "lapsed", "taken-over"]


def test_an_old_fence_of_ones_own_is_refused_too(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    path = os.path.join(ann.repo.git_dir, "prp-claim")
    with open(path, "w", encoding="utf-8") as f:
        f.write("P1-003 7 ann\n")
    before = ann.snapshot()
    assert ann.code("complete", "P1-003") == "stale-fence"
    assert ann.snapshot() == before
    assert ann.code("start", "P1-003") == "already"
    assert ann.code("complete", "P1-003") == ""


def test_an_old_in_progress_without_owner_is_adopted(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    done = ann.start("P1-002")
    assert done.prp.owner == "ann" and done.prp.rev is not None
    assert done.notes == ["it was in progress before, by nobody"]


def test_start_tells_of_dependencies_that_are_not_complete(world: World, server: Server) -> None:
    text = OLD.replace("depends_on: [PRP-1001]", "depends_on: [P1-003, PRP-1001]")
    (ann,) = office(world, server, "ann", ledger=text)
    assert ann.start("P1-006").notes == ["depends on P1-003, not complete"]


def test_milestones_need_a_current_line(world: World, server: Server) -> None:
    ann, eve = office(world, server, "ann", "eve")
    ann.validate("P1-004")
    with pytest.raises(UserError) as e:
        eve.start("P1-004")  # validated, but only in ann's working tree
    assert e.value.code == "stale-line" and "ann" in (e.value.hint or "")
    ann.land("plan", code=False)
    assert eve.code("start", "P1-004") == "stale-line"
    eve.pull()
    assert eve.code("start", "P1-004") == ""


def test_what_is_in_the_way_in_the_working_tree(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    ann.land("begin")
    ann.sync()
    before = ann.snapshot()
    ann.edit("P1-003", "owner: ann", "owner: eve")
    assert ann.code("complete", "P1-003") == "invalid-line"
    ann.clone.write(LEDGER, "prp_tracking:\n  P1-003:\n   - [\n")
    assert ann.code("complete", "P1-003") == "ledger-unreadable"
    os.unlink(ann.clone.path / LEDGER)
    assert ann.code("complete", "P1-003") == "stale-line"
    assert ann.snapshot() == before
    ann.clone.git("checkout", "-q", "--", LEDGER)
    assert ann.code("complete", "P1-003") == ""


def test_a_prp_written_by_hand_is_told_to_land_first(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    text = ann.ledger().replace("stats:", entry("P1-050", "new", 1050) + "stats:")
    ann.clone.write(LEDGER, text)
    assert ann.code("validate", "P1-050") == "not-recorded"
    ann.land("a PRP by hand")
    assert ann.code("validate", "P1-050") == ""


def test_complete_before_the_landing_and_undo(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    begun = ann.ledger()
    done = ann.complete("P1-003")
    assert (done.prp.status, done.prp.phase, done.changed_file) == ("in_progress", "completing", LEDGER)
    assert "status: complete" in ann.ledger().split("P1-004")[0]
    undone = ann.complete_undo("P1-003")
    assert (undone.prp.status, undone.prp.phase, undone.changed_file) == ("in_progress", None, LEDGER)
    assert ann.ledger() == begun
    again = ann.complete("P1-003")
    assert again.prp.maxrev == 3  # a number is given once


def test_the_markers_deadline_ends_the_completion(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    started = ann.start("P1-003")
    ann.complete("P1-003")
    ann.renew("P1-003")
    ann.lapse_marker("P1-003")
    p = ann.prp("P1-003")
    assert (p.status, p.phase, p.rev) == ("in_progress", None, started.prp.rev)
    assert p.claim is not None
    assert ann.events("P1-003")[-1] == "completing-lapsed"


def test_a_lapsed_claim_ends_the_completion_too(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    started = ann.start("P1-003")
    ann.complete("P1-003")
    ann.lapse("P1-003")
    p = ann.prp("P1-003")
    assert (p.phase, p.rev, p.claim) == (None, started.prp.rev, None)


def test_complete_after_a_green_landing_has_its_evidence_fetched(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    head = ann.land("feat(P1-003): all of it")
    with pytest.raises(UserError) as e:
        ann.complete("P1-003")
    assert (e.value.code, head[:10] in e.value.message) == ("not-green", True)
    assert e.value.next_action is not None and e.value.next_action.endswith("prp smoke")
    ann.smoke(result="red")
    assert ann.code("complete", "P1-003") == "not-green"
    ann.smoke()
    done = ann.complete("P1-003")
    tree = ann.repo.tree(head) or ""
    assert (done.prp.status, done.prp.phase, done.prp.claim) == ("complete", None, None)
    assert done.prp.fields["github_commit"] == head
    assert done.prp.fields["verdict"].startswith("green local ") and done.prp.fields["verdict"].endswith(tree[:12])
    assert prps.claims_here(ann.repo.git_dir, "ann") == []
    assert ann.code("complete", "P1-003") == "already"
    ann.land("the record", code=False)  # with evidence the line may land alone
    ann.sync()
    assert (ann.prp("P1-003").recorded, ann.prp("P1-003").status) == ("complete", "complete")


@pytest.mark.parametrize("wrong", ["another's", "before the claim", "not landed", "ledger only", "out of the lane"])
def test_what_is_no_evidence(world: World, server: Server, wrong: str) -> None:
    (ann,) = office(world, server, "ann")
    if wrong == "before the claim":
        ann.land("P1-003: early work")
    ann.start("P1-003")
    if wrong == "another's":
        ann.land("P1-006: other work")
    if wrong == "not landed":
        ann.land("P1-003: work", record="unseen")
    if wrong == "ledger only":
        ann.land("P1-003: the line", code=False)
    if wrong == "out of the lane":
        ann.land("P1-003: work")
        ann.clone.git("reset", "-q", "--soft", "HEAD~1")
        ann.commit("the same, under no name")
        ann.clone.git("push", "-q", "--force", "origin", "main")
    ann.smoke()
    done = ann.complete("P1-003")
    assert (done.prp.phase, done.prp.fields["verdict"]) == ("completing", None)


@pytest.mark.parametrize("gate", ["ci", "ci-first"])
def test_only_ci_is_evidence_with_gate_ci(world: World, server: Server, gate: str) -> None:
    (ann,) = office(world, server, "ann", config=f'gate = "{gate}"\n' + TOML)
    ann.start("P1-003")
    ann.land("P1-003: all of it")
    ann.smoke()
    assert ann.code("complete", "P1-003") == "not-green"
    ann.smoke(klass="ci")
    assert ann.complete("P1-003").prp.fields["verdict"].startswith("green ci ")


def test_the_store_itself_checks_that_evidence_is_green(world: World, server: Server) -> None:
    """Between the look and the script a local verdict may turn: the script looks at what stands."""
    (ann,) = office(world, server, "ann")
    p = ann.start("P1-003").prp
    assert p.claim is not None
    line = live.Line("2-00000000", 2, "complete", True, {"status": "complete"}, p.seal, "ann", "main", "complete")
    me = {"agent": "ann", "host": "box", "git_dir": p.claim.git_dir, "branch": "", "fence": str(p.claim.fence)}
    args = ["P1-003", live.dump_line(line), json.dumps({**me, "lease": 1000}), "1000", "tree:steps:local"]
    before = ann.snapshot()
    assert ann.store.run("prp_complete", live.script_keys(ann.store.keys), args)["code"] == "not-green"
    assert ann.snapshot() == before


def test_a_marker_is_undone_before_evidence_takes_its_place(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    ann.commit("P1-003: begin")
    ann.complete("P1-003")
    ann.clone.git("stash", "-q")
    ann.land("P1-003: all of it but the line")
    ann.smoke()
    with pytest.raises(UserError) as e:
        ann.complete("P1-003")
    assert e.value.next_action == "prp complete P1-003 --undo"


def test_reopen_takes_it_up_again_under_a_new_claim(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    assert ann.code("reopen", "P1-001", "  ") == "usage"
    done = ann.reopen("P1-001", "it came back")
    assert (done.prp.status, done.prp.owner, done.prp.recorded) == ("in_progress", "ann", "complete")
    assert done.prp.fields["completed_at"] is None and done.prp.claim is not None
    assert ann.code("reopen", "P1-001", "again") == "already"
    assert ann.events("P1-001") == ["reopened"]


def test_new_takes_the_next_free_id(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    made = ann.new("  A title\nin two lines ")
    assert (made.prp.id, made.prp.title, made.prp.status) == ("P1-007", "A title in two lines", "new")
    assert ann.new("Another").prp.id == "P1-008"
    assert ann.new("Mine", None, "P2-100").prp.id == "P2-100"
    assert ann.code("new", "Taken", None, "PRP-1001") == "exists"  # another's stable id
    assert ann.code("new", "Odd", None, "x y") == "id-shape"
    assert ann.code("new", " ") == "usage"
    ann.land("plans", code=False)
    assert ann.sync().synced == 9


def test_what_is_red_becomes_a_prp_once(world: World, server: Server) -> None:
    ann, eve = office(world, server, "ann", "eve")
    ann.start("P1-003")
    head = ann.land("P1-003: it \x1b[31mworks")
    eve.pull()
    assert ann.code("new_fix", "nowhere") == "missing-commit"
    assert ann.code("new_fix", head) == "not-red"
    ann.smoke(head, "red")
    made = ann.new_fix(head[:10]).prp
    assert (made.id, made.status, made.fields["fixes"]) == ("P1-007", "new", head)
    assert made.title == f"Fix what is red since {head[:12]}: P1-003: it \\x1b[31mworks"
    assert f"fixes: {head}" in ann.ledger() and ledger.load(ann.repo, ann.config, None).errors == ()
    assert eve.code("new_fix", head, "Once more") == "exists"
    ann.clone.git("checkout", "-q", "--", LEDGER)
    assert ann.new_fix(head).prp.id == "P1-007", "its line was thrown away: it is written again"
    ann.deprecate("P1-007", "P1-003")
    assert eve.new_fix(head, "Once more").prp.title == "Once more"


CUT = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from tests.prps import Desk
from tests.world import Clone, Server
from pathlib import Path
import redis
class Given:
    def redis(self): return redis.Redis(unix_socket_path=sys.argv[1], decode_responses=True)
desk = Desk(Clone(Path(sys.argv[2]), "ann"), Given())
desk.sync()
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
print(desk.code(*sys.argv[3:]))
"""


@pytest.mark.parametrize(
    ("verb", "prp_id", "more"),
    [
        ("start", "P1-003", []),
        ("start", "P1-002", []),
        ("validate", "P1-004", []),
        ("reopen", "P1-001", ["why"]),
        ("complete", "P1-006", []),
        ("new", "a title", []),
    ],
)
def test_a_line_that_cannot_be_written_leaves_nothing_behind(
    world: World, server: Server, verb: str, prp_id: str, more: list[str]
) -> None:
    """A full disk, as seen by a real process: no file can grow."""
    (ann,) = office(world, server, "ann")
    ann.start("P1-006")
    before, text = ann.snapshot(), ann.ledger()
    done = run([sys.executable, "-c", CUT, server.socket, ann.clone.path, verb, prp_id, *more], ".")
    assert done.out.strip() == "write-failed", done
    after = ann.snapshot()
    numbers = ann.store.keys.maxrev
    assert after.pop(numbers) != before.pop(numbers)  # a number is never given twice
    assert after == before
    assert ann.ledger() == text
    assert os.listdir(ann.clone.path / "plans") == ["prps.yaml"]
    args = (prp_id,) if verb != "new" else ("a title",)
    assert ann.code(verb, *args, *more) == ""


def test_a_takeover_whose_line_cannot_be_written_leaves_what_was_pending(world: World, server: Server) -> None:
    ann, eve = office(world, server, "ann", "eve")
    eve.start("P1-003")
    eve.lapse("P1-003")
    ann.prp("P1-003")
    before, box = ann.snapshot(), ann.store.keys.mailbox("eve")
    told = ann.store.redis.xlen(box)
    done = run([sys.executable, "-c", CUT, server.socket, ann.clone.path, "start", "P1-003"], ".")
    assert done.out.strip() == "write-failed", done
    after, pending = ann.snapshot(), ann.store.keys.pending
    assert after[pending] == before[pending], "eve's line, which her branch may still bring"
    assert ann.store.redis.xlen(box) == told, "nobody took anything over"


def test_a_handover_whose_line_cannot_be_written_is_told_to_nobody(world: World, server: Server) -> None:
    ann, eve = office(world, server, "ann", "eve")
    eve.note("P1-003", "here I am")
    claim = ann.start("P1-003").prp.claim
    box = ann.store.keys.events.removesuffix("events") + "mail:to:eve"
    done = run([sys.executable, "-c", CUT, server.socket, ann.clone.path, "handover", "P1-003", "eve"], ".")
    assert done.out.strip() == "write-failed", done
    now = ann.prp("P1-003").claim
    assert claim is not None and now is not None and (now.agent, now.fence) == ("ann", claim.fence)
    assert ann.store.redis.xlen(box) == 0
    assert ann.code("handover", "P1-003", "eve") == ""
    assert ann.store.redis.xlen(box) == 1


def test_an_evidence_line_that_cannot_be_written_gives_the_claim_back(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    claim = ann.start("P1-003").prp.claim
    ann.land("P1-003: all of it")
    ann.smoke()
    ann.sync()
    done = run([sys.executable, "-c", CUT, server.socket, ann.clone.path, "complete", "P1-003"], ".")
    assert done.out.strip() == "write-failed", done
    now = ann.prp("P1-003")
    assert claim is not None and now.claim is not None
    assert (now.status, now.claim.fence) == ("in_progress", claim.fence)
    assert ann.code("complete", "P1-003") == ""


def test_hostile_names_stay_data(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    name = "x\ny \x1b[31m<b>$(id)"
    odd = Desk(ann.clone, server)
    odd.ctx = odd.ctx._replace(agent=odd.ctx.agent._replace(name=name))
    p = odd.start("P1-003").prp
    assert p.owner == name and odd.prp("P1-003").owner == name
    assert odd.code("renew", "P1-003") == ""
    with open(os.path.join(ann.repo.git_dir, "prp-claim"), encoding="utf-8") as f:
        assert len(f.readlines()) == 1
    with pytest.raises(UserError) as e:
        ann.start("P1-003")
    assert "\x1b" not in e.value.message and "\n" not in e.value.message
    odd.land("begin")
    assert odd.sync().conflicts == []


def test_ready_is_ordered_and_says_why_not(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    found = ann.choice()
    assert [p.id for p in found.ready] == [
        "P1-006",  # P0, and what it depends on is complete
        "P1-003",
        "P1-002",  # in progress with nobody on it: last of those that can be had
    ]
    assert [p.id for p, _ in found.waiting] == ["P1-004"]
    ann.start("P1-003")
    assert [p.id for p in ann.choice().ready] == ["P1-006", "P1-002"]


def test_agents_are_heard_of_by_any_verb(world: World, server: Server) -> None:
    ann, eve = office(world, server, "ann", "eve")
    ann.start("P1-003")
    eve.code("start", "P1-003")
    assert sorted(ann.store.redis.hkeys(ann.store.keys.agents)) == ["ann", "eve"]


def test_a_detached_head_and_a_linked_worktree(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.clone.git("worktree", "add", "-q", "-b", "feat/x", "../linked")
    linked = Desk(Clone(ann.clone.path.parent / "linked", "ann"), server)
    p = linked.start("P1-003").prp
    assert p.claim is not None and p.claim.branch == "feat/x" and "worktrees" in p.claim.git_dir
    assert os.path.exists(os.path.join(linked.repo.git_dir, "prp-claim"))
    assert not os.path.exists(os.path.join(ann.repo.git_dir, "prp-claim"))
    assert ann.code("start", "P1-003") == "claimed"
    ann.clone.git("checkout", "-q", "--detach")
    claim = ann.start("P1-006").prp.claim
    assert claim is not None and claim.branch is None


def test_a_crlf_ledger_keeps_its_line_ends(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann", ledger=OLD.replace("\n", "\r\n"))
    done = ann.start("P1-003")
    assert ann.ledger().count("\n") == ann.ledger().count("\r\n")
    ann.land("begin")
    assert ann.sync().landed == [("P1-003", done.prp.rev, "in_progress")]


def test_verdicts_of_class_ci_are_written_once_and_local_ones_anew(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    steps = [ann.smoke(result=r, klass="ci") for r in ("unknown", "unknown", "red", "green", "unknown")]
    assert [(r.written, r.result) for r in steps] == [
        (True, "unknown"),
        (False, "unknown"),
        (True, "red"),
        (False, "red"),
        (False, "red"),
    ]
    assert [ann.smoke(result=r).result for r in ("red", "green", "red")] == ["red", "green", "red"]


def test_a_store_without_cursor_is_filled_by_the_first_verb(world: World, server: Server) -> None:
    ann, _ = office(world, server, "ann", "eve")
    ann.store.redis.flushall()
    assert ann.code("start", "P1-003") == ""
    assert live.read(ann.store, ann.config).cursor == world.tip()


def test_an_empty_project(world: World, server: Server) -> None:
    desk = Desk(world.clone("ann", first=True), server)
    with pytest.raises(UserError) as e:
        desk.start("P1-003")
    assert (e.value.code, e.value.next_action) == ("unknown-prp", "prp redis-sync")
    assert desk.new("First").prp.id == "P2-001"
