"""The verbs around a claim: suspect, release, hand-over, deprecation, blocks, assignments, notes; and why not."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from prpgate import prps
from prpgate.errors import UserError
from tests.prps import LEDGER, OLD, TOML, entry, office
from tests.prps.test_verbs import STATES, every_state

if TYPE_CHECKING:
    from tests.world import Server, World

REFUSED = {
    "release": {
        "none": "unknown-prp", "N": "not-validated", "V": "not-started", "I mine": "", "I hers": "claimed",
        "I nobody": "not-claimed", "C mine": "completing", "C hers": "completing", "L nobody": "not-claimed",
        "L hers": "claimed", "L mine": "", "D": "complete", "X": "deprecated",
    },
    "handover": {
        "none": "unknown-prp", "N": "not-validated", "V": "not-started", "I mine": "", "I hers": "claimed",
        "I nobody": "not-claimed", "C mine": "completing", "C hers": "completing", "L nobody": "landed",
        "L hers": "landed", "L mine": "landed", "D": "complete", "X": "deprecated",
    },
    "deprecate": {
        "none": "unknown-prp", "N": "", "V": "", "I mine": "", "I hers": "claimed", "I nobody": "",
        "C mine": "completing", "C hers": "completing", "L nobody": "landed", "L hers": "landed", "L mine": "landed",
        "D": "complete", "X": "already",
    },
}  # fmt: skip
MORE = {"handover": ("eve",), "deprecate": ("P1-022",)}


@pytest.mark.parametrize("verb", sorted(REFUSED))
def test_the_table(world: World, server: Server, verb: str) -> None:
    ann, _ = every_state(world, server)
    ann.new("in its place", None, "P1-022")
    found = {}
    for state, prp_id in STATES.items():
        before, text = ann.snapshot(), ann.ledger()
        found[state] = ann.code(verb, prp_id, *MORE.get(verb, ()))
        if found[state] not in ("", "already"):
            assert ann.snapshot() == before, f"{verb} on {state} was refused and changed the store"
            assert ann.ledger() == text, f"{verb} on {state} was refused and changed the ledger"
    assert found == REFUSED[verb]


def test_a_suspect_claim_is_still_its_owners_then_anybodys(world: World, server: Server) -> None:
    ann, eve = office(world, server, "ann", "eve")
    first = ann.start("P1-003").prp.claim
    ann.land("begin")
    eve.pull()
    ann.suspect("P1-003")
    claim = ann.prp("P1-003").claim
    assert claim is not None and (claim.suspect, claim.deadline_s) == (True, 0) and claim.over_s >= 3500
    with pytest.raises(UserError) as e:
        eve.start("P1-003")
    assert e.value.code == "claimed" and "suspect" in e.value.message
    assert eve.claim_next().prp.id != "P1-003"
    again = ann.start("P1-003")  # any word of its owner makes it current
    assert again.already and again.prp.claim is not None and first is not None
    assert (again.prp.claim.suspect, again.prp.claim.fence) == (False, first.fence)
    ann.suspect("P1-003")
    assert ann.code("renew", "P1-003") == ""
    ann.suspect("P1-003")
    assert ann.code("complete", "P1-003") == ""
    assert ann.events("P1-003").count("suspect") == 3


def test_a_suspect_claims_time_may_be_nothing(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann", config=TOML + "[claim]\nsuspect = 0\n")
    claim = ann.start("P1-003").prp.claim
    assert claim is not None and claim.over_s == claim.deadline_s


def test_release_gives_it_to_anybody_and_tells_them(world: World, server: Server) -> None:
    ann, eve = office(world, server, "ann", "eve")
    ann.clone.git("checkout", "-q", "-b", "feat/login")
    ann.start("P1-003")
    ann.commit("P1-003: half of it")
    ann.clone.git("push", "-q", "origin", "HEAD:main", "HEAD:feat/login")
    ann.sync()
    done = ann.release("P1-003", "the cache \x1b[31mis\nhot")
    assert (done.prp.status, done.prp.claim, prps.claims_here(ann.repo.git_dir, "ann")) == ("in_progress", None, [])
    assert ann.code("release", "P1-003") == "already"
    eve.pull()
    taken = eve.start("P1-003")
    assert taken.notes[0] == "it was in progress before, by ann, on branch feat/login"
    assert taken.notes[1].startswith("last commit on feat/login: ") and "half of it" in taken.notes[1]
    assert taken.notes[2].startswith("note of ann, ") and "\x1b" not in taken.notes[2] and "\n" not in taken.notes[2]
    assert ann.code("release", "P1-003") == "claimed"
    assert ann.events("P1-003")[-2:] == ["released", "taken-over"]


def test_handover_makes_it_anothers_under_a_new_fence(world: World, server: Server) -> None:
    ann, eve = office(world, server, "ann", "eve")
    eve.note("P1-003", "here I am")
    old = ann.start("P1-003").prp.claim
    done = ann.handover("P1-003", "eve", "tests are missing")
    assert done.prp.owner == "eve" and done.prp.claim is not None and old is not None
    assert done.prp.claim.fence > old.fence and done.prp.claim.since_ms == old.since_ms
    assert "owner: eve" in ann.ledger() and prps.claims_here(ann.repo.git_dir, "ann") == []
    assert ann.code("handover", "P1-003", "eve", "tests are missing") == "already"
    for verb in ("complete", "release", "renew"):
        assert ann.code(verb, "P1-003") == "claimed"
    ann.land("P1-003: handed over")
    eve.pull()
    taken = eve.start("P1-003")
    assert not taken.already and taken.prp.claim is not None and eve.start("P1-003").already
    assert taken.notes[0] == "handed over by ann, at work on branch main"
    assert taken.notes[-1].endswith(": tests are missing") and "note of ann, " in taken.notes[-1]
    assert (taken.prp.claim.fence, taken.prp.claim.git_dir) == (done.prp.claim.fence, eve.repo.git_dir)
    assert ann.code("start", "P1-003") == "claimed"  # it is taken up, and no longer ann's to take back
    assert [n.text for n in prps.notes(eve.store, "P1-003")] == ["here I am", "tests are missing"]
    assert eve.code("complete", "P1-003") == "not-green"  # what ann landed is this claim's work too
    eve.smoke()
    assert eve.complete("P1-003").prp.status == "complete"


def test_a_handover_is_the_givers_to_take_back_until_it_is_taken_up(world: World, server: Server) -> None:
    ann, eve = office(world, server, "ann", "eve")
    old = ann.start("P1-003").prp.claim
    given = ann.handover("P1-003", "zed", force=True).prp.claim
    for verb in ("complete", "release", "renew"):
        assert ann.code(verb, "P1-003") == "claimed"
    with pytest.raises(UserError) as e:
        eve.start("P1-003")
    assert "handed over to zed by ann" in e.value.message and "prp start P1-003" in str(e.value.hint)
    back = ann.start("P1-003").prp
    assert old is not None and given is not None and back.claim is not None
    assert (back.owner, back.claim.agent, back.claim.git_dir) == ("ann", "ann", ann.repo.git_dir)
    assert back.claim.fence > given.fence and back.claim.since_ms == old.since_ms
    assert "owner: ann" in ann.ledger()
    ann.land("P1-003: taken back")
    assert ann.sync().conflicts == []
    assert ann.code("complete", "P1-003") == "not-green"  # the claim is as old as the work


def test_a_handover_whose_line_was_thrown_away_can_be_taken_back(world: World, server: Server) -> None:
    ann, eve = office(world, server, "ann", "eve")
    eve.note("P1-003", "here I am")
    ann.start("P1-003")
    ann.handover("P1-003", "eve")
    ann.clone.git("checkout", "-q", "--", LEDGER)
    assert ann.start("P1-003").prp.owner == "ann"
    assert eve.code("start", "P1-003") == "claimed"


def test_an_old_fence_is_refused_by_every_verb_that_writes(world: World, server: Server) -> None:
    ann, eve = office(world, server, "ann", "eve", config=TOML + '[phases]\nnames = ["development"]\n')
    ann.start("P1-003")
    ann.land("begin")
    eve.pull()
    path = os.path.join(ann.repo.git_dir, "prp-claim")
    with open(path, encoding="utf-8") as f:
        kept = f.read()
    ann.lapse("P1-003")
    eve.start("P1-003")
    before = ann.snapshot()
    calls = {"renew": (), "complete": (), "complete_undo": (), "release": (), "handover": ("eve",), "start": ()}
    calls |= {"deprecate": ("P1-006",), "reopen": ("why",), "validate": (), "phase": ("development",)}
    for verb, more in calls.items():
        with open(path, "w", encoding="utf-8") as f:
            f.write(kept)
        assert ann.code(verb, "P1-003", *more) in ("claimed", "in-progress"), verb
        assert ann.snapshot() == before, verb


def test_deprecation_is_a_milestone_that_lands(world: World, server: Server) -> None:
    ann, eve = office(world, server, "ann", "eve")
    ann.start("P1-003")
    done = ann.deprecate("P1-003", "PRP-1006")
    assert (done.prp.status, done.prp.claim, done.prp.fields["superseded_by"]) == ("deprecated", None, "P1-006")
    assert prps.claims_here(ann.repo.git_dir, "ann") == []
    assert {ann.code("deprecate", "P1-006", by) for by in ("P1-006", "P1-003")} == {"usage", "deprecated"}
    ann.land("P1-003: not wanted", code=False)
    assert ann.sync().conflicts == []
    assert (eve.prp("P1-003").recorded, eve.code("start", "P1-003")) == ("deprecated", "deprecated")


def test_a_blocked_one_is_never_next(world: World, server: Server) -> None:
    ann, eve = office(world, server, "ann", "eve")
    assert ann.choice().ready[0].id == "P1-006"
    ann.block("P1-006", "the vendor \x1b[2J is away")
    assert ann.code("block", "P1-006", "the vendor \x1b[2J is away") == "already"
    assert [p.id for p in ann.choice().ready] == ["P1-003", "P1-002"]
    why = eve.why("P1-006").reasons[0]
    assert why.text.startswith("blocked by ann since ") and "\x1b" not in why.text
    assert why.next_action == "prp unblock P1-006"
    assert eve.claim_next().prp.id == "P1-003"
    assert ann.start("P1-006").notes[0].startswith("blocked by ann")  # on purpose it may be started
    mine, blocked = ann.why("P1-006").reasons
    assert mine.text.startswith("it is yours") and blocked.text.startswith("blocked by ann since ")
    eve.unblock("P1-006")
    assert eve.code("unblock", "P1-006") == "already"


def test_a_block_by_another_prp_ends_with_that(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.block("P1-006", "needs the new API", "PRP-1003")
    assert "until P1-003 is done" in ann.why("P1-006").reasons[0].text
    ann.deprecate("P1-003", "P1-006")
    assert ann.why("P1-006").reasons == []
    assert ann.code("block", "P1-003", "why", "P1-003") == "usage"


def test_a_name_that_nobody_was_seen_with_is_told(world: World, server: Server) -> None:
    ann, eve = office(world, server, "ann", "evelyn")
    eve.note("P1-003", "here I am")
    assert ann.assign("P1-006", "evelyn").notes == []
    (note,) = ann.assign("P1-006", "evelin").notes
    assert note == "Nobody called evelin was seen yet; near: evelyn. Who is there: prp agents"
    ann.start("P1-003")
    before, text = ann.snapshot(), ann.ledger()
    with pytest.raises(UserError) as e:
        ann.handover("P1-003", "x\x1b[2Jy")
    assert e.value.message.startswith("Nobody called x") and "\x1b" not in e.value.message
    assert (ann.snapshot(), ann.ledger()) == (before, text)
    assert (
        e.value.next_action is not None
        and e.value.next_action.endswith("--force")
        and "\x1b" not in e.value.next_action
    )
    assert ann.handover("P1-003", "evelin", force=True).prp.owner == "evelin"


def test_an_assigned_one_is_only_that_agents(world: World, server: Server) -> None:
    ann, eve = office(world, server, "ann", "eve")
    ann.assign("P1-006", "eve")
    with pytest.raises(UserError) as e:
        ann.start("P1-006")
    assert e.value.code == "assigned" and "eve" in e.value.message
    assert ann.claim_next().prp.id == "P1-003"
    assert ann.why("P1-006").reasons[0].next_action == "prp assign P1-006 --clear"
    assert eve.claim_next().prp.id == "P1-006"
    ann.assign("P1-006", None)
    assert ann.code("block", "P1-001", "no") == "complete"


def test_who_may_assign_and_move_on(world: World, server: Server) -> None:
    more = '[roles]\npm = "pm-*"\nqa = ["eve"]\n[phases]\nnames = ["development", "validation"]\n[phases.roles]\n'
    ann, eve = office(world, server, "ann", "eve", config=TOML + more + 'validation = "qa"\n')
    assert ann.config.unknown == ()
    assert ann.code("assign", "P1-006", "eve") == "role"
    ann.start("P1-003")
    assert eve.code("phase", "P1-003", "development") == "claimed"
    assert (ann.phase("P1-003", "development").prp.stage, ann.code("phase", "P1-003", "nowhere")) == (
        "development",
        "no-phase",
    )
    ann.phase("P1-003", "validation")
    assert ann.code("phase", "P1-003", "development") == "role"
    assert eve.phase("P1-003", "development").prp.stage == "development"
    assert ann.release("P1-003").prp.stage is None


def test_notes_are_kept_short_and_few(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    assert ann.code("note", "P1-003", "x" * 1001) == "too-long"
    assert ann.code("note", "P1-003", "  ") == "usage"
    for n in range(25):
        ann.note("P1-003", f"note {n}")
    assert ann.code("note", "P1-003", "note 24") == "already"
    assert [n.text for n in prps.notes(ann.store, "P1-003")] == [f"note {n}" for n in range(5, 25)]


def test_start_on_a_branch_of_its_own(world: World, server: Server) -> None:
    ann, eve = office(world, server, "ann", "eve")
    done = ann.start_on_branch("P1-003")
    branch = "feat/p1-003-the-work-of-p1-003"
    assert ann.repo.branch == branch and done.prp.claim is not None and done.prp.claim.branch == branch
    assert eve.code("start_on_branch", "P1-003") == "claimed"
    assert (eve.repo.branch, eve.repo.sha(f"refs/heads/{branch}")) == ("main", None)
    eve.clone.git("branch", "feat/p1-006-the-work-of-p1-006", "HEAD~1")
    eve.clone.write(LEDGER, eve.ledger() + "# mine\n")  # which that branch has not
    before = eve.snapshot()
    assert eve.code("start_on_branch", "P1-006") == "branch"
    assert (eve.repo.branch, eve.snapshot()) == ("main", before)


def test_why_tells_everything_and_what_to_type(world: World, server: Server) -> None:
    text = OLD + ""
    text = text.replace(
        "stats:", entry("P1-007", "validated", 1007, "depends_on: [P1-003, P1-099, PRP-1001]") + "stats:"
    )
    text = text.replace("stats:", entry("P1-008", "validated", 1008, "depends_on: [P1-009]") + "stats:")
    text = text.replace("stats:", entry("P1-009", "validated", 1009, "depends_on: [P1-008]") + "stats:")
    ann, eve = office(world, server, "ann", "eve", ledger=text)
    assert ann.why("P1-003").reasons == []
    eve.start("P1-003")
    told = {
        i: [r.text for r in ann.why(i).reasons] for i in ("P1-001", "P1-003", "P1-004", "P1-005", "P1-007", "P1-008")
    }
    assert told["P1-001"][0].startswith("it is complete") and told["P1-005"] == [
        "it is deprecated, superseded by PRP-1003"
    ]
    assert told["P1-003"][0].startswith("claimed by eve until ") and "on branch main" in told["P1-003"][0]
    assert "git pull" in str(ann.why("P1-003").reasons[1].next_action)  # and the line here is an old one
    assert told["P1-004"][0] == "new: it is validated first"
    assert "P1-003 is in progress, eve until" in told["P1-007"][0] and "P1-099 is no PRP" in told["P1-007"][0]
    assert "it waits for itself: P1-008 -> P1-009 -> P1-008" in told["P1-008"]
    assert eve.why("P1-003").reasons[0].text.startswith("it is yours, ")
    state = prps.read(ann.store, ann.config)
    tree = prps.graph.tree(state)
    assert any("a cycle: P1-008 -> P1-009 -> P1-008" in line for line in tree)
    assert json.dumps(prps.graph.mermaid(state, "P1-007")).count("-->") >= 3


def test_the_graph_is_inert(world: World, server: Server) -> None:
    text = OLD.replace("title: The work of P1-003", 'title: "\\e[2J\\"] --> x; <script>"')
    (ann,) = office(world, server, "ann", ledger=text)
    state = prps.read(ann.store, ann.config)
    for line in [*prps.graph.tree(state), *prps.graph.mermaid(state)]:
        assert "\x1b" not in line
    assert not any("<script" in line or '"] --> x' in line for line in prps.graph.mermaid(state))


def test_what_an_agent_began_and_never_brought_is_taken_over_from_the_lane(world: World, server: Server) -> None:
    """Its worktree may be gone, and its line with it: the taker's line stands on what the lane records."""
    ann, eve, joe = office(world, server, "ann", "eve", "joe")
    ann.start("P1-003")
    assert eve.code("start", "P1-003") == "claimed"
    ann.lapse("P1-003")
    assert eve.why("P1-003").reasons == []
    done = eve.start("P1-003")
    assert (done.prp.owner, done.prp.rev[:2] if done.prp.rev else "", len(done.prp.chain)) == ("eve", "2-", 1)
    eve.release("P1-003")
    assert joe.claim_next().prp.id == "P1-006"
    joe.block("P1-006", "x")
    assert joe.claim_next().prp.id == "P1-002"  # untouched so far; by id
    assert joe.claim_next().prp.id == "P1-003"
    assert "status: in_progress" in joe.ledger().split("  P1-003:\n")[1].split("P1-004")[0]
    joe.land("begin")
    assert joe.sync().conflicts == [] and joe.prp("P1-003").chain == []
