"""A PRP's history: git and the store's events as one list."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from prpgate import history as past
from tests.prps import LEDGER, TOML, Desk, office

if TYPE_CHECKING:
    from prpgate.history import History
    from tests.world import Server, World


def told(desk: Desk, prp_id: str, *, store: bool = True, count: int = 50) -> History:
    tip = desk.repo.sha("refs/remotes/origin/main") or ""
    return past.history(desk.repo, desk.store if store else None, desk.config, tip, prp_id, count=count, why="away")


def whats(found: History, kind: str) -> list[str]:
    return [m.what for m in found.moments if m.kind == kind]


def a_life(world: World, server: Server) -> Desk:
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    ann.complete("P1-003")
    ann.land("P1-003: all of it")
    ann.sync()
    ann.smoke()
    return ann


def test_commits_events_and_verdicts_in_one_list(world: World, server: Server) -> None:
    ann = a_life(world, server)
    seal = ann.prp("P1-003").seal
    found = told(ann, "P1-003")
    commits = [m for m in found.moments if m.kind == past.COMMIT]
    assert commits[0].what == "added as validated" and commits[0].detail == "the ledger"
    assert f"validated -> complete {seal}" in commits[1].what and "owner nobody -> ann" in commits[1].what
    assert (commits[1].sha, commits[1].in_lane, commits[1].status) == (world.tip(), True, "complete")
    names = whats(found, past.EVENT)
    assert names == ["started", "completing", "landed", "recorded", "complete"]
    assert {m.agent for m in found.moments if m.what in ("started", "completing", "landed")} == {"ann"}
    assert whats(found, past.VERDICT) == ["green"]
    assert [m.at_ms for m in found.moments] == sorted(m.at_ms for m in found.moments)
    assert found.missing == [] and not found.more


def test_neighbours_and_other_changes_are_not_its_history(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    ann.land("P1-003: begin")
    ann.edit("P1-004", "title: The work of P1-004", "title: Another title")
    ann.land("a title", code=False)
    assert len(whats(told(ann, "P1-003"), past.COMMIT)) == 2
    assert whats(told(ann, "P1-004"), past.COMMIT) == ["added as new", "title"]
    assert whats(told(ann, "P1-001"), past.COMMIT) == ["added as complete"]


def test_reverts_removals_and_hand_edits_are_said(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    ann.land("begin")
    ann.edit("P1-003", "status: in_progress", "status: complete")
    edited = ann.land("by hand", code=False)
    ann.revert(edited)
    ann.push()
    head, _, rest = ann.ledger().partition("  P1-003:\n")
    ann.clone.write(LEDGER, head + "  P1-004:" + rest.partition("  P1-004:")[2])
    ann.land("gone", code=False)
    found = whats(told(ann, "P1-003"), past.COMMIT)
    assert "by hand" in found[2] and "in_progress" in found[2] and "complete" in found[2]
    assert "by hand" not in found[3]
    assert found[-1] == "removed"


def test_a_merge_that_took_one_side_is_no_moment(world: World, server: Server) -> None:
    ann, ben = office(world, server, "ann", "ben")
    ann.start("P1-003")
    begun = ann.land("begin")
    ben.start("P1-006")
    ben.commit("six")
    ben.clone.git("fetch", "-q")
    ben.clone.git("merge", "-q", "--no-edit", "origin/main")
    merge = ben.clone.head
    ben.push()
    ann.clone.git("pull", "-q")
    shas = [m.sha for m in told(ann, "P1-003").moments if m.kind == past.COMMIT]
    assert begun in shas and merge not in shas


def test_what_has_not_landed_is_marked(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.clone.git("checkout", "-q", "-b", "feat/three")
    ann.start("P1-003")
    ann.commit("P1-003: half")
    commits = [m for m in told(ann, "P1-003").moments if m.kind == past.COMMIT]
    assert [m.in_lane for m in commits] == [True, False]


def test_an_empty_store_leaves_git_and_says_so(world: World, server: Server) -> None:
    ann = a_life(world, server)
    before = whats(told(ann, "P1-003"), past.COMMIT)
    ann.store.redis.flushall()
    found = told(ann, "P1-003")
    assert whats(found, past.COMMIT) == before
    assert {m.kind for m in found.moments} == {past.COMMIT}
    assert any("empty" in text for text in found.missing)
    alone = told(ann, "P1-003", store=False)
    assert alone.moments == found.moments
    assert any("away" in text for text in alone.missing)
    ann.sync()
    assert any("no event" in text for text in told(ann, "P1-003").missing)


def test_long_histories_come_in_pages(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    for n in range(past.PAGE + 5):
        ann.clone.write(
            LEDGER,
            ann.ledger().replace("title: The work of P1-003", f"title: The work {n} of P1-003", 1)
            if n == 0
            else ann.ledger().replace(f"The work {n - 1} of", f"The work {n} of", 1),
        )
        ann.commit(f"title {n}")
    ann.push()
    ann.clone.git("fetch", "-q")
    found = told(ann, "P1-003", count=3)
    assert [m.detail for m in found.moments] == [f"title {n}" for n in range(past.PAGE + 2, past.PAGE + 5)]
    assert found.more
    whole = told(ann, "P1-003", count=1000)
    assert len(whats(whole, past.COMMIT)) == past.PAGE + 6 and not whole.more


def test_one_file_per_prp(world: World, server: Server) -> None:
    config = TOML.replace(LEDGER, "prps/")
    (ann,) = office(world, server, "ann", config=config)
    made = ann.new("Something").prp
    ann.validate(made.id)
    ann.land("plan", code=False)
    ann.start(made.id)
    ann.land("begin", code=False)
    found = whats(told(ann, made.id), past.COMMIT)
    assert found[0].startswith("added as validated 2-")
    assert "-> in_progress 3-" in found[1]


def test_odd_forms_are_read_whole(world: World, server: Server) -> None:
    text = "prp_tracking:\n  {P1-001: {title: One, status: new}, P1-002: {title: Two, status: new}}\n"
    (ann,) = office(world, server, "ann", ledger=text)
    ann.clone.write(LEDGER, text.replace("title: Two", "title: Second"))
    ann.land("a title", code=False)
    assert whats(told(ann, "P1-002"), past.COMMIT) == ["added as new", "title"]
    assert whats(told(ann, "P1-001"), past.COMMIT) == ["added as new"]


def test_the_command(world: World, server: Server) -> None:
    ann = a_life(world, server)
    ann.edit("P1-006", "title: The work of P1-006", 'title: "\\e[31mred"')
    ann.land("hostile", code=False)
    said = ann.clone.prp("history", "PRP-1003")
    assert "added as validated" in said.out and "store was not asked" in said.err
    answer = json.loads(ann.clone.prp("history", "P1-003", "--json", "-n", "1").out)
    assert (answer["id"], answer["more"], len(answer["moments"])) == ("P1-003", True, 1)
    assert answer["moments"][0]["sha"] and answer["moments"][0]["time"].endswith("Z")
    assert ann.clone.prp("history", "P9-999", ok=False).code == 1
    assert ann.clone.prp("history", "P1-003", "-n", "0", ok=False).code == 2
    assert "\x1b" not in ann.clone.prp("history", "P1-006").text
