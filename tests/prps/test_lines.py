"""What a push or a commit may do to milestone lines, and what is known of what happened."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from prpgate import events, ledger, prps
from tests.prps import LEDGER, Desk, office

if TYPE_CHECKING:
    from tests.world import Server, World


def foreign(desk: Desk, base: str | None = None) -> list[tuple[str, str, str | None]]:
    old = base or desk.repo.sha("refs/remotes/origin/main") or ""
    found = prps.foreign_lines(desk.repo, desk.store, desk.config, old, desk.clone.head)
    return [(f.code, f.severity, f.id) for f in found]


def staged(desk: Desk) -> list[tuple[str, str, str | None]]:
    desk.clone.git("add", "-A")
    before, after = (ledger.load(desk.repo, desk.config, rev) for rev in ("HEAD", ""))
    return [(f.code, f.severity, f.id) for f in prps.agreement(desk.store, desk.config, before, after)]


def test_pending_lines_may_land(world: World, server: Server) -> None:
    ann, ben = office(world, server, "ann", "ben")
    ann.start("P1-003")
    assert staged(ann) == []
    ann.commit("P1-003: begin", x="y")
    ann.complete("P1-003")
    ann.commit("P1-003: end")
    assert foreign(ann) == []
    ann.clone.git("push", "-q", "origin", "HEAD:feat")
    ben.clone.git("pull", "-q", "origin", "feat")  # somebody else may land it
    assert foreign(ben) == []


def test_a_line_that_is_nobodys_may_not(world: World, server: Server) -> None:
    ann, ben = office(world, server, "ann", "ben")
    ann.start("P1-003")
    ann.land("begin")
    ben.pull()
    ann.complete("P1-003")
    ann.commit("P1-003: end", x="y")
    ann.lapse("P1-003")
    assert foreign(ann) == [("PRP160", "error", "P1-003")]
    ben.start("P1-003")
    assert foreign(ann) == [("PRP160", "error", "P1-003")]
    found = prps.foreign_lines(ann.repo, ann.store, ann.config, world.tip(), ann.clone.head)
    assert "claimed by ben" in found[0].message and found[0].line > 1


def test_a_line_that_the_lane_had_before_may_come_back(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.validate("P1-004")
    ann.land("plan", code=False)
    ann.start("P1-004")
    head = ann.land("begin")
    ann.sync()
    back = ann.revert(head)
    assert foreign(ann) == []
    ann.push()
    ann.sync()
    ann.revert(back)
    assert foreign(ann) == []


def test_a_bare_completion_may_not_land_alone(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    ann.complete("P1-003")
    ann.commit("P1-003: only the line")
    assert foreign(ann) == [("PRP128", "error", "P1-003")]
    ann.commit("and the work", x="y")
    assert foreign(ann) == []


def test_a_completion_that_stays_behind_is_told(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    ann.commit("P1-003: begin")
    ann.complete("P1-003")
    ann.clone.git("stash", "-q")
    ann.commit("P1-003: more", x="y")
    assert foreign(ann) == [("PRP161", "warning", "P1-003")]
    ann.clone.git("stash", "pop", "-q")
    ann.commit("P1-003: end")
    assert foreign(ann) == []


def test_an_empty_store_and_a_first_push_have_nothing_to_compare(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    ann.commit("begin")
    ann.store.redis.flushall()
    assert foreign(ann) == []
    ann.sync()
    assert foreign(ann) == [("PRP160", "error", "P1-003")]  # the store lost the milestone: it says so
    assert foreign(ann, "0" * 40) == []


def test_staged_lines_of_others_and_of_nobody(world: World, server: Server) -> None:
    ann, ben = office(world, server, "ann", "ben")
    ann.start("P1-003")
    text = ann.ledger()
    ben.clone.write(LEDGER, text)
    assert staged(ben) == []  # the current line, whoever commits it
    ben.clone.git("reset", "-q", "--hard")
    ann.land("begin")
    ben.pull()
    ann.complete("P1-003")
    late = ann.ledger()
    ann.lapse("P1-003")
    assert staged(ann) == [("PRP163", "warning", "P1-003")]
    ben.start("P1-003")
    assert staged(ann) == [("PRP162", "error", "P1-003")]
    assert late == ann.ledger()


def test_a_merge_of_the_lane_is_in_agreement(world: World, server: Server) -> None:
    ann, ben = office(world, server, "ann", "ben")
    ann.start("P1-003")
    ann.land("begin")
    ann.sync()
    ben.commit("ben's", b="b")
    ben.clone.git("fetch", "-q")
    ben.clone.git("merge", "-q", "--no-commit", "--no-ff", "origin/main")
    assert staged(ben) == []


def test_prps_of_a_range(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    base = ann.clone.head
    ann.commit("feat(P1-003): begin\n\nPrp: PRP-1006\nPrp: other#P1-001", x="y")
    ann.commit("P1-003, P1-004: more; see P1-002", x="z")
    ann.commit("P9-999: nowhere")
    assert prps.prps_of_range(ann.repo, ann.config, base, ann.clone.head) == (["P1-003", "P1-004", "P1-006"], True)
    before = ann.clone.head
    ann.start("P1-003")
    ann.commit("the line")
    assert prps.prps_of_range(ann.repo, ann.config, before, ann.clone.head) == ([], False)
    assert prps.prps_of_range(ann.repo, ann.config, "0" * 40, base) == ([], True)


def test_events_are_read_back_joined_and_followed(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    heard: list[str] = []
    ready = threading.Event()

    def listen() -> None:
        follower = events.follow(ann.store, "0-0")
        ready.set()
        for event in follower:
            if event is not None:
                heard.append(event.event)
                if event.event == "complete":
                    follower.close()
                    return

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    ready.wait(10)
    ann.start("P1-003")
    head = ann.land("P1-003: begin")
    log = {"event": "landed", "agent": "ann", "sha": head, "fence": "7", "detail": ""}
    ann.store.redis.xadd(ann.store.keys.lane("main").log, log)  # type: ignore[arg-type]
    ann.store.redis.sadd(ann.store.keys.lanes, "main")
    ann.smoke()
    ann.sync()
    tail = events.tail(ann.store, 3)
    assert [e.event for e in tail] == ["verdict", "landed", "recorded"]
    history = events.history(ann.store, "P1-003")
    assert [(e.lane, e.event, e.fence is not None) for e in history] == [
        (None, "started", True),
        ("main", "landed", True),
        (None, "landed", False),
        (None, "recorded", False),
    ]
    assert all(e.at_ms > 1_600_000_000_000 for e in history)
    assert [e.event for e in events.tail(ann.store, 5, lane="main")] == ["landed"]
    ann.complete("P1-003")
    listener.join(20)
    assert not listener.is_alive()
    assert heard[:2] == ["filled", "started"]
