"""The merge lock, row by row, as a dialogue with a real server."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from prpgate.config import Times
from prpgate.lock import (
    Apart,
    Closed,
    Done,
    Granted,
    Judged,
    Lost,
    MergeLock,
    Moved,
    Queued,
    Refused,
    Reported,
    Window,
    boottime_s,
)
from prpgate.model import ZERO, Intent
from prpgate.store.client import Store
from tests.lock.clocked import Scene, pusher, runner, waiter
from tests.world import Server

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

H1, H2 = Intent("h1", "b0"), Intent("h2", "h1")
INFO = {"tree": "t1", "steps": "s", "prps": ["P1-001"], "code": True}
JUDGE = ("t1", "s", "ci")


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    one = Server("--appendonly", "no")
    yield one
    one.close()


@pytest.fixture
def s(shared: Server) -> Scene:
    shared.redis().flushall()
    return Scene(shared)


# --- taking and handing on ------------------------------------------------------------------------------------------


def test_a_free_lane_is_taken_at_once(s: Scene) -> None:
    got = s.land("ann")
    assert isinstance(got, Granted)
    holder = got.state.holder
    assert holder and (holder.agent, holder.prp, holder.phase) == ("ann@example.org", "P1-001", "claimed")
    assert (got.lease.deadline_ms, got.lease.cap_ms) == (30_000, 600_000)
    assert got.state.fence == got.lease.fence
    assert s.events() == ["acquire"]


def test_of_many_at_once_one_wins_and_the_others_stand_in_line(shared: Server) -> None:
    shared.redis().flushall()
    start, answers = threading.Barrier(30), []

    def contend(n: int) -> None:
        lock = MergeLock(Store.over(shared.redis(), "example/lock"), "main", Times())
        start.wait()
        answers.append(lock.acquire(waiter(f"w{n}"), plain=False))

    threads = [threading.Thread(target=contend, args=(n,)) for n in range(30)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sum(isinstance(a, Granted) for a in answers) == 1
    assert sorted(a.position for a in answers if isinstance(a, Queued)) == list(range(1, 30))


def test_asked_again_after_a_lost_reply_the_same_lease_is_given(s: Scene) -> None:
    first = s.holds("ann")
    s.later(5)
    again = s.holds("ann")
    assert (again.fence, again.deadline_ms) == (first.fence, 25_000)
    other = s.land("ann2")
    assert isinstance(other, Queued)


def test_a_release_offers_the_lane_to_the_first_waiter_in_the_same_step(s: Scene) -> None:
    lease = s.holds("ann")
    for name in ("ben", "cem", "dot"):
        s.land(name)
    done = s.lock.release(lease)
    assert isinstance(done, Done) and done.state.state == "offered"
    assert done.state.holder and done.state.holder.id == "ben"
    wake = s.lock.keys.w
    assert s.store.redis.lrange(wake + "ben", 0, -1) == ["offer"]
    assert s.store.redis.lrange(wake + "cem", 0, -1) == ["2000"]
    assert not s.store.redis.exists(wake + "dot")
    assert 0 < s.store.redis.pttl(wake + "ben") <= 13_000
    newcomer = s.land("eva")
    assert isinstance(newcomer, Queued) and newcomer.position == 4
    got = s.holds("ben")
    assert got.fence == done.state.fence > lease.fence


def test_grants_follow_the_line(s: Scene) -> None:
    lease, served = s.holds("w0"), []
    for n in range(1, 6):
        s.land(f"w{n}")
    for _ in range(5):
        s.lock.release(lease)
        offered = s.lock.state().holder
        assert offered
        lease = s.holds(offered.id)
        served.append(offered.id)
        s.land("w0")
    assert served == ["w1", "w2", "w3", "w4", "w5"]


def test_a_waiter_that_misses_its_offer_keeps_its_place_but_holds_nobody_up(s: Scene) -> None:
    lease = s.holds("ann")
    s.land("ben")
    s.land("cem")
    s.lock.release(lease)
    s.later(2)
    cem = s.land("cem")
    assert isinstance(cem, Granted)
    with pytest.raises(LookupError):  # an answer that does not say who is in line does not pass for an empty line
        len(cem.state.queue)
    (ben,) = s.lock.state().queue
    assert (ben.id, ben.kind) == ("ben", "reserved")
    s.lock.release(cem.lease)
    assert s.lock.state().window_ms == 0  # its window counts as used
    back = s.land("ben")
    assert isinstance(back, Granted)


def test_an_old_fence_changes_nothing(s: Scene) -> None:
    old = s.holds("ann")
    s.later(31)
    new = s.holds("ben")
    s.lock.intent(new, H1, INFO)
    before = s.lock.state()
    look = s.looked("h1", heads=["h1"])
    for answer in (
        s.lock.renew(old),
        s.lock.intent(old, H2),
        s.lock.release(old),
        s.lock.report(old, "in", look),
        s.lock.ci_renew(old),
        s.lock.break_(old.fence, "eve", "because"),
    ):
        assert isinstance(answer, Lost)
    assert s.lock.state() == before
    assert s.record("h1") == "intent"


def test_fences_only_grow_also_across_a_wipe(s: Scene) -> None:
    fences = []
    for n in range(3):
        fences.append(s.holds(f"w{n}").fence)
        s.later(31)
    s.later(1)
    s.store.redis.flushall()
    fences.append(s.holds("w9").fence)
    assert fences == sorted(set(fences))


def test_lanes_do_not_block_each_other(s: Scene) -> None:
    s.holds("ann")
    other = MergeLock(s.store, "release/1", s.times)
    assert isinstance(other.acquire(waiter("ben"), plain=False), Granted)
    assert s.store.redis.smembers(s.store.keys.lanes) == {"main", "release/1"}


def test_looking_at_a_lane_that_was_never_used_stores_nothing(s: Scene) -> None:
    assert s.lock.state().state == "free"
    assert s.leftovers() == set()


# --- leases ---------------------------------------------------------------------------------------------------------


def test_a_lease_is_safe_no_longer_than_the_store_says(shared: Server) -> None:
    shared.redis().flushall()
    lock = MergeLock(Store.over(shared.redis(), "example/lock"), "main", Times(lease_ms=3000))
    before = boottime_s()
    got = lock.acquire(waiter("ann"), plain=False)
    assert isinstance(got, Granted)
    assert before + 3 <= got.lease.safe_until <= boottime_s() + 3
    seconds, micros = shared.redis().time()
    deadline = int(shared.redis().hget(lock.keys.s, "deadline") or 0) / 1000
    assert got.lease.left_s <= deadline - (seconds + micros / 1e6) + 0.002


class Slow(Store):
    """A store at the end of a slow line: answers take their time to arrive."""

    def run(self, script: str, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        answer = super().run(script, keys, args)
        time.sleep(0.3)
        return answer


def test_a_slow_answer_does_not_make_a_lease_longer(shared: Server) -> None:
    shared.redis().flushall()
    lock = MergeLock(Slow.over(shared.redis(), "example/lock"), "main", Times(lease_ms=3000))
    begun = boottime_s()
    got = lock.acquire(waiter("ann"), plain=False)
    assert isinstance(got, Granted) and got.lease.safe_until < begun + 3.2
    again = lock.renew(got.lease)
    assert isinstance(again, Granted) and again.lease.left_s < 2.75


def test_a_lease_is_renewed_but_never_past_the_cap(s: Scene) -> None:
    lease = s.holds("ann")
    for n in range(1, 60):
        s.later(10)
        got = s.lock.renew(lease)
        assert isinstance(got, Granted) and got.lease.fence == lease.fence
        assert got.lease.deadline_ms == min(30_000, 600_000 - n * 10_000)
    s.later(10)
    lost = s.lock.renew(lease)
    assert isinstance(lost, Lost) and lost.ended and lost.ended.event == "expired"
    assert lost.state.state == "free"
    assert "renew-late" in s.events()


def test_a_hold_that_another_process_took_is_resumed_by_its_fence(s: Scene) -> None:
    lease = s.holds("ann")
    s.later(20)
    got = s.lock.resume(lease.fence, lease.hold)
    assert isinstance(got, Granted) and got.lease.deadline_ms == 30_000
    assert isinstance(s.lock.resume(lease.fence + 1, lease.hold), Lost)


def test_an_expired_hold_without_intent_is_free_at_once(s: Scene) -> None:
    s.holds("ann")
    s.later(30)
    s.holds("ben")
    assert s.events() == ["acquire", "expired", "acquire"]


def test_releasing_twice_says_done_twice(s: Scene) -> None:
    lease = s.holds("ann")
    assert isinstance(s.lock.release(lease), Done)
    s.holds("ben")
    assert isinstance(s.lock.release(lease), Done)
    assert s.lock.state().holder


# --- what became of a push ------------------------------------------------------------------------------------------


def test_a_landing_is_recorded_and_frees_the_lane(s: Scene) -> None:
    lease = s.holds("ann")
    assert isinstance(s.lock.intent(lease, H1, INFO), Granted)
    s.later(3)
    told = s.lock.report(lease, "in", s.looked("h1", heads=["h1"]))
    assert isinstance(told, Reported) and (told.record, told.attributed) == ("landed", True)
    assert (told.state.state, told.state.seen) == ("free", "h1")
    r = s.lock.record("h1")
    assert r and (r.record, r.agent, r.base, r.fence) == ("landed", "ann@example.org", "b0", lease.fence)
    assert (r.tree, r.prps, r.code, r.hold) == ("t1", ("P1-001",), True, "ann")
    again = s.lock.report(lease, "in", s.looked("h1"))
    assert isinstance(again, Reported) and again.record == "landed"
    assert s.events() == ["acquire", "intent", "landed"]


def test_grant_and_intent_are_one_step_for_a_plain_push(s: Scene) -> None:
    got = s.push("ann", intent=H1, info=INFO)
    assert isinstance(got, Granted)
    assert (got.state.phase, got.state.intent) == ("intent", H1)
    again = s.push("ann", intent=H1, info=INFO)
    assert isinstance(again, Granted) and again.lease.fence == got.lease.fence
    assert isinstance(s.lock.release(got.lease), Lost)  # after an intent only evidence ends a hold


def test_a_push_that_is_not_seen_yet_frees_the_lane_and_is_told_late_under_its_owners_name(s: Scene) -> None:
    ann = s.holds("ann")
    s.lock.intent(ann, H1, INFO)
    told = s.lock.report(ann, "base", s.looked("b0"))
    assert isinstance(told, Reported) and told.record == "unseen"
    (kept,) = told.state.kept
    assert (kept.head, kept.base, kept.agent) == ("h1", "b0", "ann@example.org")
    ben = s.holds("ben")
    s.lock.intent(ben, Intent("x", "b0"))
    told = s.lock.report(ben, "other", s.looked("h1", heads=["h1"]))
    assert isinstance(told, Reported) and told.record == "not-landed"
    assert s.record("h1") == "late"
    late = next(e for e in s.lock.log(10) if e.event == "late")
    assert (late.agent, late.fence) == ("ann@example.org", ann.fence)
    assert s.lock.state().kept == ()


def test_a_kept_push_whose_base_was_left_without_it_can_never_land(s: Scene) -> None:
    ann = s.holds("ann")
    s.lock.intent(ann, H1, INFO)
    s.lock.report(ann, "base", s.looked("b0"))
    s.lock.attribute(s.looked("z", foreign=["z"], moved=["h1"]))
    assert (s.record("h1"), s.record("z")) == ("not-landed", "foreign")
    assert s.lock.state().kept == ()


def test_a_push_that_was_refused_after_its_hold_was_broken_can_never_land(s: Scene) -> None:
    ann = s.holds("ann")
    s.lock.intent(ann, H1, INFO)
    s.lock.break_(ann.fence, "carol", "hangs")
    s.lock.attribute(s.looked("b0"), ("h1", ann.fence))
    assert (s.record("h1"), s.lock.state().kept) == ("not-landed", ())
    said = next(e for e in s.lock.log(10) if e.event == "not-landed")
    assert (said.agent, said.fence) == ("ann@example.org", ann.fence)
    s.lock.attribute(s.looked("b0"), ("h1", ann.fence))
    assert s.events().count("not-landed") == 1


def test_what_was_refused_once_and_announced_anew_may_still_land(s: Scene) -> None:
    ann = s.holds("ann")
    s.lock.intent(ann, H1, INFO)
    s.lock.break_(ann.fence, "carol", "hangs")
    again = s.holds("ann")
    s.lock.intent(again, H1, INFO)
    s.lock.attribute(s.looked("b0"), ("h1", ann.fence))
    assert s.record("h1") == "intent"
    s.lock.break_(again.fence, "carol", "hangs")
    s.lock.attribute(s.looked("b0"), ("h1", ann.fence))
    assert [k.head for k in s.lock.state().kept] == ["h1"]
    s.lock.attribute(s.looked("h1", heads=["h1"]), ("h1", again.fence))
    assert s.record("h1") == "late", "what the remote has is never taken back"


def test_a_look_that_stands_on_an_older_one_moves_nothing_but_says_who_is_in(s: Scene) -> None:
    ann = s.holds("ann")
    s.lock.intent(ann, H1, INFO)
    s.lock.report(ann, "base", s.looked("b0"))
    stale = s.looked("z", foreign=["z"], moved=["h1"])
    s.lock.attribute(s.looked("y", foreign=["y"]))
    s.lock.attribute(stale)
    assert (s.record("h1"), s.record("z"), s.lock.state().seen) == ("unseen", None, "y")
    ben = s.holds("ben")
    s.lock.intent(ben, Intent("h9", "y"))
    told = s.lock.report(ben, "in", s.looked("h9", heads=["h9", "h1"], since="b0"))
    assert isinstance(told, Reported) and not told.attributed
    assert (s.record("h9"), s.record("h1")) == ("landed", "late")


def test_commits_a_push_brought_along_are_its_own_and_the_rest_is_foreign(s: Scene) -> None:
    ann = s.holds("ann")
    s.lock.intent(ann, Intent("h1", "f1"), INFO)
    s.lock.attribute(s.looked("f2", foreign=["f1", "a1", "a2", "h1", "f2"], since=s.seen))
    assert [s.record(c) for c in ("f1", "a1", "a2", "h1", "f2")] == ["foreign", None, None, "landed", "foreign"]
    event = next(e for e in s.lock.log(10) if e.event == "foreign-push")
    assert (event.sha, event.detail) == ("f2", "2")


def test_landed_is_never_taken_back(s: Scene) -> None:
    ann = s.holds("ann")
    s.lock.intent(ann, H1, INFO)
    s.lock.attribute(s.looked("h1", heads=["h1"]))
    told = s.lock.report(ann, "other", s.looked("h1", since="b0"))
    assert isinstance(told, Reported) and told.record == "landed"
    ben = s.holds("ben")
    s.lock.intent(ben, H1)
    s.lock.report(ben, "base", s.looked("h1"))
    assert s.record("h1") == "landed"
    assert s.lock.state().kept == ()


def test_a_branch_that_is_created_by_the_push(s: Scene) -> None:
    ann = s.holds("ann")
    s.lock.intent(ann, Intent("h1", ZERO))
    assert s.lock.state().seen is None
    s.lock.report(ann, "in", s.looked("h1", heads=["h1"], foreign=["older"]))
    assert (s.lock.state().seen, s.record("older")) == ("h1", None)


def test_another_try_with_another_commit_keeps_the_first_intent(s: Scene) -> None:
    ann = s.holds("ann")
    s.lock.intent(ann, H1, INFO)
    s.lock.intent(ann, Intent("h1b", "b0"), INFO)
    assert (s.record("h1"), s.record("h1b")) == ("unseen", "intent")
    s.lock.report(ann, "in", s.looked("h1b", heads=["h1b"], moved=["h1"]))
    assert (s.record("h1"), s.record("h1b")) == ("not-landed", "landed")


# --- reconciling ----------------------------------------------------------------------------------------------------


def reconciling(s: Scene) -> None:
    s.lock.intent(s.holds("ann"), H1, INFO)
    s.later(30)


def test_an_expired_hold_with_an_intent_grants_nobody_until_somebody_looked(s: Scene) -> None:
    reconciling(s)
    ben = s.land("ben")
    assert isinstance(ben, Queued) and ben.state.needs_look
    assert ben.state.intent == H1
    look = s.lock.look(waiter("ben"))
    assert look and look.fence > ben.state.fence
    again = s.lock.look(waiter("ben"))
    assert again and again.fence == look.fence  # the first reply was lost
    assert s.lock.look(waiter("cem")) is None
    state = s.lock.state()
    assert (state.looker, state.look_ms, state.needs_look) == ("ben@example.org", 10_000, False)
    told = s.lock.submit(look, "in", s.looked("h1", heads=["h1"]))
    assert isinstance(told, Reported) and told.record == "landed"
    s.holds("ben")
    landed = next(e for e in s.lock.log(20) if e.event == "landed")
    assert landed.agent == "ann@example.org"


def test_a_look_that_takes_too_long_counts_for_nothing(s: Scene) -> None:
    reconciling(s)
    slow = s.lock.look(waiter("ben"))
    assert slow
    s.later(10)
    fast = s.lock.look(waiter("cem"))
    assert fast and fast.fence > slow.fence
    assert isinstance(s.lock.submit(slow, "other", s.looked("z")), Lost)
    told = s.lock.submit(fast, "base", s.looked("b0"))
    assert isinstance(told, Reported) and told.record == "unseen"


def test_the_holder_itself_may_report_late_until_somebody_looks(s: Scene) -> None:
    lease = s.holds("ann")
    s.lock.intent(lease, H1, INFO)
    s.later(30)
    assert isinstance(s.lock.renew(lease), Lost)
    look = s.looked("h1", heads=["h1"])
    told = s.lock.report(lease, "in", look)
    assert isinstance(told, Reported) and told.record == "landed"


def test_after_a_look_the_old_holder_is_told_that_its_hold_expired(s: Scene) -> None:
    lease = s.holds("ann")
    s.lock.intent(lease, H1, INFO)
    s.later(30)
    look = s.lock.look(waiter("ben"))
    assert look
    lost = s.lock.report(lease, "in", s.looked("h1", heads=["h1"]))
    assert isinstance(lost, Lost) and lost.ended and lost.ended.event == "expired"


def test_with_everybody_dead_a_newcomer_that_reaches_the_remote_is_served(s: Scene) -> None:
    s.lock.intent(s.holds("ann"), H1, INFO)
    s.land("dead1")
    s.land("dead2")
    s.push("dead3")
    waited = 0
    while not isinstance(got := s.land("eva"), Granted):
        look = s.lock.look(waiter("eva"))
        if look:
            s.lock.submit(look, "base", s.looked("b0"))
            continue
        s.later(1)
        waited += 1
        assert waited < 30 + 10 + 10 + 3 * 2 + 5, got
    assert s.events()[-1] in ("acquire", "claim")


# --- plain pushes ---------------------------------------------------------------------------------------------------


def test_a_refused_push_keeps_a_place_and_is_told_where_and_how_long(s: Scene) -> None:
    s.holds("ann")
    s.land("ben")
    got = s.push("cem")
    assert isinstance(got, Refused)
    assert (got.position, got.reserved_ms) == (2, 120_000)
    assert [(p.id, p.kind) for p in got.state.queue] == [("ben", "waiting"), ("cem", "reserved")]
    s.later(20)
    again = s.push("cem")
    assert isinstance(again, Refused) and again.position == 1  # ben is gone


def test_a_place_is_kept_as_long_as_the_line_may_take(s: Scene) -> None:
    for _ in range(3):
        lease = s.holds("ann")
        s.later(20)
        s.lock.release(lease)
    s.holds("ann")
    for n in range(3):
        s.land(f"w{n}")
    got = s.push("cem")
    assert isinstance(got, Refused)
    assert got.state.hold_p50_ms == 20_000
    assert got.reserved_ms == 30_000 + 4 * 20_000 + 60_000


def test_a_kept_place_has_one_window_in_which_others_wait(s: Scene) -> None:
    lease = s.holds("ann")
    s.push("ben")
    s.land("cem")
    s.lock.release(lease)
    assert s.lock.state().window_ms == 10_000
    dot = s.push("dot")
    assert isinstance(dot, Window) and dot.ms_left == 10_000
    assert isinstance(s.land("cem"), Queued)
    s.later(4)
    ben = s.push("ben", intent=H1)
    assert isinstance(ben, Granted)  # it came in time


def test_a_window_that_nobody_used_is_not_given_again(s: Scene) -> None:
    lease = s.holds("ann")
    s.push("ben")
    s.push("cem")
    s.lock.release(lease)
    s.later(10)
    state = s.lock.state()
    assert (state.state, state.window_ms, len(state.queue)) == ("free", 0, 2)
    dot = s.holds("dot")  # both windows are used: nobody is held up by places without people
    s.lock.release(dot)
    assert s.lock.state().window_ms == 0
    assert s.events().count("window") == 1


def test_a_base_that_was_compared_with_an_older_tip_is_to_be_compared_again(s: Scene) -> None:
    s.lock.attribute(s.looked("b0"))
    s.lock.attribute(s.looked("z", foreign=["z"]))
    got = s.push("ann", intent=H1, seen="b0")
    assert isinstance(got, Moved) and got.state.seen == "z"
    assert got.state.state == "free" and not got.state.queue
    assert isinstance(s.push("ann", intent=H1, seen="z"), Granted)
    assert isinstance(s.push("ann", intent=H1, seen="b0"), Granted)  # the first reply was lost


def test_a_push_that_cannot_land_as_it_is_keeps_a_place_and_leaves_the_lane_alone(s: Scene) -> None:
    lease = s.holds("ann")
    got = s.lock.place(pusher("ben"))
    assert isinstance(got, Refused) and (got.position, got.reserved_ms) == (1, 120_000)
    assert got.state.holder and got.state.holder.id == "ann"
    s.lock.release(lease)
    assert s.lock.state().window_ms == 10_000
    assert isinstance(s.push("ben"), Granted)


def test_two_pushes_of_one_agent_are_two_contenders(s: Scene) -> None:
    first = s.lock.acquire(pusher("ann", 1), plain=True)
    second = s.lock.acquire(pusher("ann", 2), plain=True)
    assert isinstance(first, Granted) and isinstance(second, Refused)
    s.lock.release(first.lease)
    got = s.lock.acquire(pusher("ann", 3), plain=True)
    assert isinstance(got, Granted)
    assert got.lease.hold == "ann:3" and not s.lock.state().queue


# --- leaving --------------------------------------------------------------------------------------------------------


def test_leaving_gives_up_the_place_or_keeps_it(s: Scene) -> None:
    s.holds("ann")
    s.land("ben")
    s.land("cem")
    s.lock.leave("ben")
    s.lock.leave("cem", keep=True)
    (place,) = s.lock.state().queue
    assert (place.id, place.kind, place.reserved_ms) == ("cem", "reserved", 600_000)


def test_leaving_gives_back_an_offer_and_a_hold_that_was_never_heard_of(s: Scene) -> None:
    lease = s.holds("ann")
    s.land("ben")
    s.land("cem")
    s.lock.release(lease)
    s.lock.leave("ben")
    state = s.lock.state()
    assert state.state == "offered" and state.holder and state.holder.id == "cem"
    s.holds("cem")
    s.lock.leave("cem")
    assert s.lock.state().state == "free"


def test_leaving_does_not_free_a_push_that_is_under_way(s: Scene) -> None:
    lease = s.holds("ann")
    s.lock.intent(lease, H1)
    s.lock.leave("ann")
    assert s.lock.state().phase == "intent"


def test_when_everybody_has_gone_only_history_is_left(s: Scene) -> None:
    lease = s.holds("ann")
    for n in range(4):
        s.land(f"w{n}")
    s.push("ben")
    s.lock.intent(lease, H1, INFO)
    s.lock.report(lease, "in", s.looked("h1", heads=["h1"]))
    for n in range(4):
        s.lock.leave(f"w{n}")
    s.later(700)
    s.lock.state()
    assert s.leftovers() == {"s", "rec", "log"}
    fields = set(s.store.redis.hkeys(s.lock.keys.s))
    assert fields == {"state", "fence", "number", "seen", "durations"}


def test_the_dead_are_named_in_the_log(s: Scene) -> None:
    s.holds("ann")
    s.land("ben")
    s.later(14)
    s.lock.state()
    dead = next(e for e in s.lock.log(5) if e.event == "dead")
    assert (dead.agent, dead.detail) == ("ben@example.org", "waiter")


# --- closed ---------------------------------------------------------------------------------------------------------


def test_a_closed_lane_takes_only_fixes_and_everybody_keeps_their_place(s: Scene) -> None:
    s.land("zoe")
    s.lock.leave("zoe")
    s.lock.close("carol", "the build is broken")
    got = s.push("ann", intent=H1)
    assert isinstance(got, Closed) and got.state.closed
    assert (got.state.closed.by, got.state.closed.kind) == ("carol", "person")
    assert isinstance(s.land("ben"), Closed)
    fix = s.push("fay", fixer=True, intent=H1, info=INFO)
    assert isinstance(fix, Granted)
    assert [p.id for p in s.lock.state().queue] == ["ann", "ben"]
    s.lock.report(fix.lease, "in", s.looked("h1", heads=["h1"]))
    assert s.lock.state().state == "free"  # ben is passed over
    opened = s.lock.open("carol", "fixed")
    assert isinstance(opened, Done) and opened.state.window_ms == 10_000  # ann's place comes first
    s.later(10)
    s.land("ben")
    assert s.lock.state().holder


def test_a_lane_that_was_closed_after_the_grant_takes_no_intent(s: Scene) -> None:
    lease = s.holds("ann")
    s.lock.close("carol", "stop")
    assert isinstance(s.lock.intent(lease, H1), Closed)
    assert s.lock.state().phase == "claimed"  # to be given back by its holder
    assert isinstance(s.lock.release(lease), Done)


def test_a_push_that_claims_a_lane_closed_meanwhile_gets_nothing_and_stands_in_line(s: Scene) -> None:
    lease = s.holds("ann")
    s.land("cem")
    s.lock.release(lease)
    s.lock.close("carol", "stop")
    got = s.land("cem", intent=H1)
    assert isinstance(got, Closed)
    assert got.state.state == "free" and [p.id for p in got.state.queue] == ["cem"]
    assert s.record("h1") is None


def test_a_push_announced_before_the_closing_may_still_arrive(s: Scene) -> None:
    got = s.push("ann", intent=H1)
    s.lock.close("carol", "stop")
    again = s.push("ann", intent=H1)
    assert isinstance(got, Granted) and isinstance(again, Granted)
    assert isinstance(s.lock.report(got.lease, "in", s.looked("h1", heads=["h1"])), Reported)


def test_a_machine_touches_nothing_that_a_person_closed(s: Scene) -> None:
    s.lock.close("carol", "stop")
    assert isinstance(s.lock.close("ci", "red", person=False), Lost)
    closed = s.lock.state().closed
    assert closed and closed.by == "carol"


# --- CI -------------------------------------------------------------------------------------------------------------


def landed(s: Scene, name: str = "ann", intent: Intent = H1, **more: object) -> None:
    lease = s.holds(name, fixer=bool(more.get("fixer")))
    s.lock.intent(lease, intent, {**INFO, **more}, fixer=bool(more.get("fixer")))
    s.lock.report(lease, "in", s.looked(intent.head, heads=[intent.head]), gate="ci")


def test_a_landing_waits_for_ci_which_takes_it_over_and_frees_the_lane(s: Scene) -> None:
    landed(s)
    state = s.lock.state()
    assert state.phase == "landed" and state.holder
    assert (state.holder.deadline_ms, state.holder.cap_ms) == (90_000, 600_000)
    s.later(40)
    got = s.lock.adopt("h1", runner(), "https://ci/1", tree="t1", steps="s")
    assert isinstance(got, Granted)
    assert got.state.phase == "smoking" and got.state.run_url == "https://ci/1"
    holder = got.state.holder
    assert holder and (holder.agent, holder.op, holder.cap_ms) == ("ann@example.org", "ci", 560_000)
    again = s.lock.adopt("h1", runner(), "https://ci/1", tree="t1", steps="s")
    assert isinstance(again, Granted) and again.lease.fence == got.lease.fence
    s.later(15)
    assert isinstance(s.lock.ci_renew(got.lease), Granted)
    told = s.lock.verdict("h1", *JUDGE, "green", fence=got.lease.fence)
    assert (told.written, told.stands, told.state.state) == (True, "green", "free")
    standing = s.lock.standing("t1", "s", "ci")
    assert standing and (standing.result, standing.head) == ("green", "h1")


def test_a_run_on_the_announced_commit_proves_that_it_landed(s: Scene) -> None:
    reconciling(s)
    got = s.lock.adopt("h1", runner())
    assert isinstance(got, Granted) and s.record("h1") == "landed"


def test_a_foreign_commit_is_smoked_under_the_lock_when_nobody_wants_the_lane(s: Scene) -> None:
    got = s.lock.adopt("f1", runner(), tree="t", steps="s")
    assert isinstance(got, Granted) and s.record("f1") == "foreign"
    s.lock.verdict("f1", "t", "s", "ci", "green", got.lease.fence)
    s.land("ann")
    assert isinstance(s.lock.adopt("f2", runner(), tree="t2", steps="s"), Apart)
    s.lock.leave("ann")
    assert isinstance(s.lock.adopt("f1", runner("run2"), tree="t", steps="s"), Apart)  # judged already


def test_red_closes_the_lane_and_names_the_culprit_and_a_fixers_green_opens_it(s: Scene) -> None:
    landed(s)
    got = s.lock.adopt("h1", runner(), tree="t1", steps="s")
    assert isinstance(got, Granted)
    told = s.lock.verdict("h1", *JUDGE, "red", fence=got.lease.fence, by="ci", reason="tests failed")
    closed = told.state.closed
    assert closed and (closed.kind, closed.reason, closed.culprit_sha) == ("red", "tests failed", "h1")
    assert (closed.culprit_agent, closed.culprit_prp) == ("ann@example.org", "P1-001")
    assert isinstance(s.land("ben"), Closed)
    s.lock.leave("ben")
    landed(s, intent=H2, fixer=True, tree="t2")
    got = s.lock.adopt("h2", runner(), tree="t2", steps="s")
    assert isinstance(got, Granted)
    told = s.lock.verdict("h2", "t2", "s", "ci", "green", got.lease.fence)
    assert told.state.closed is None


def test_a_fixers_green_does_not_open_what_a_person_closed(s: Scene) -> None:
    s.lock.close("carol", "stop")
    landed(s, fixer=True)
    got = s.lock.adopt("h1", runner(), tree="t1", steps="s")
    assert isinstance(got, Granted)
    told = s.lock.verdict("h1", *JUDGE, "green", fence=got.lease.fence)
    assert told.state.closed and told.state.closed.kind == "person"


def test_a_landing_that_ci_does_not_pick_up_is_dispatched_again_and_goes_on_unproven(s: Scene) -> None:
    landed(s)
    assert s.lock.redispatch(waiter("ben")) is None
    s.later(90)
    assert s.lock.state().redispatch_due
    got = s.lock.redispatch(waiter("ben"))
    assert got and got.head == "h1"
    assert s.lock.redispatch(waiter("cem")) is None
    s.later(90)
    assert not s.lock.state().redispatch_due
    assert s.lock.redispatch(waiter("cem")) is None  # once for each landing
    s.later(420)
    assert s.lock.state().state == "free"
    r, standing = s.lock.record("h1"), s.lock.standing("t1", "s", "ci")
    assert r and r.unproven and r.record == "landed"
    assert standing and standing.result == "unknown"


def test_a_run_that_surely_did_not_start_may_be_started_by_another(s: Scene) -> None:
    landed(s)
    s.later(90)
    assert s.lock.redispatch(waiter("ben"))
    assert s.lock.redispatch(waiter("cem"), undo="not his to say") is None
    s.later(90)
    assert not s.lock.state().redispatch_due
    assert s.lock.redispatch(waiter("ben"), undo="refused") is None
    assert s.lock.redispatch(waiter("cem"))
    said = [e.detail for e in s.lock.log(20) if e.event == "redispatch"]
    assert said == ["", "not started: refused", ""]


def test_unknown_is_replaced_once_by_a_later_run_and_its_red_closes_only_what_is_still_there(s: Scene) -> None:
    landed(s)
    s.later(700)
    told = s.lock.verdict("h1", *JUDGE, "red", in_branch=True, later_green=True)
    assert (told.written, told.state.closed) == (True, None)
    told = s.lock.verdict("h1", *JUDGE, "green", in_branch=True)
    assert (told.written, told.stands) == (False, "red")
    told = s.lock.verdict("h2", "t2", "s", "ci", "red", in_branch=True)
    assert told.state.closed and told.state.closed.culprit_sha == "h2"
    r = s.lock.record("h1")
    assert r and not r.unproven and r.verdict == "red"


def test_an_unknown_attempt_waits_for_another_run_until_the_cap(s: Scene) -> None:
    landed(s)
    one = s.lock.adopt("h1", runner("one"), tree="t1", steps="s")
    assert isinstance(one, Granted)
    told = s.lock.verdict("h1", *JUDGE, "unknown", fence=one.lease.fence)
    assert (told.again, told.state.phase) == (True, "landed")
    two = s.lock.adopt("h1", runner("two"), tree="t1", steps="s")
    assert isinstance(two, Granted) and two.lease.fence > one.lease.fence
    assert isinstance(s.lock.ci_renew(one.lease), Lost)
    late = s.lock.verdict("h1", *JUDGE, "red", fence=one.lease.fence)
    assert (late.written, late.state.closed, late.state.phase) == (False, None, "smoking")
    for _ in range(50):
        s.later(15)
        s.lock.ci_renew(two.lease)
    assert s.lock.state().state == "free"  # a runner that hangs and renews does not keep the lane


def test_a_run_that_is_lost_leaves_the_landing_waiting(s: Scene) -> None:
    landed(s)
    got = s.lock.adopt("h1", runner(), tree="t1", steps="s")
    assert isinstance(got, Granted)
    s.later(90)
    state = s.lock.state()
    assert state.phase == "landed" and state.holder and state.holder.id == "ann"


def test_one_tree_under_two_commits_has_one_verdict(s: Scene) -> None:
    landed(s)
    got = s.lock.adopt("h1", runner(), tree="t1", steps="s")
    assert isinstance(got, Granted)
    s.lock.verdict("h1", *JUDGE, "red", fence=got.lease.fence)
    s.lock.open("carol", "try again")
    landed(s, intent=H2)
    got = s.lock.adopt("h2", runner(), tree="t1", steps="s")
    assert isinstance(got, Granted)
    told = s.lock.verdict("h2", *JUDGE, "green", fence=got.lease.fence)
    assert (told.written, told.stands) == (False, "red")
    assert told.state.closed and told.state.closed.culprit_sha == "h2"


# --- the server's own hooks -----------------------------------------------------------------------------------------


def test_the_server_lets_in_what_was_announced_and_extends_its_lease(s: Scene) -> None:
    lease = s.holds("ann")
    s.lock.intent(lease, H1)
    s.later(29)
    got = s.lock.pre_receive(H1, runner("server"))
    assert isinstance(got, Granted) and (got.lease.deadline_ms, got.state.phase) == (30_000, "accepting")
    assert got.lease.fence == lease.fence
    assert isinstance(s.lock.pre_receive(Intent("x", "b0"), runner("server2")), Refused)
    told = s.lock.post_receive("h1", s.looked("h1", heads=["h1"]))
    assert isinstance(told, Reported) and told.record == "landed"
    mine = s.lock.report(lease, "in", s.looked("h1"))
    assert isinstance(mine, Reported) and mine.record == "landed"


def test_the_server_takes_a_free_lane_for_what_was_not_announced(s: Scene) -> None:
    got = s.lock.pre_receive(H1, runner("server"), info=INFO)
    assert isinstance(got, Granted) and got.state.phase == "accepting"
    assert isinstance(s.land("ben"), Queued)
    s.lock.post_receive("h1", s.looked("h1", heads=["h1"]))
    assert s.record("h1") == "landed"
    s.holds("ben")


def test_the_server_refuses_what_is_not_announced_on_a_closed_lane(s: Scene) -> None:
    s.lock.close("carol", "stop")
    assert isinstance(s.lock.pre_receive(H1, runner("server")), Refused)
    assert isinstance(s.lock.pre_receive(H1, runner("server"), fixer=True), Granted)


# --- break ----------------------------------------------------------------------------------------------------------


def test_break_needs_the_exact_fence_and_the_old_holder_is_told_who_and_why(s: Scene) -> None:
    lease = s.holds("ann")
    s.lock.intent(lease, H1)
    assert isinstance(s.lock.break_(lease.fence - 1, "carol", "hangs"), Lost)
    done = s.lock.break_(lease.fence, "carol", "hangs")
    assert isinstance(done, Done) and done.state.state == "free"
    assert [k.head for k in done.state.kept] == ["h1"]  # its push may still land
    lost = s.lock.renew(lease)
    assert isinstance(lost, Lost) and lost.ended
    assert (lost.ended.event, lost.ended.agent, lost.ended.detail) == ("break", "carol", "hangs")
    assert isinstance(s.lock.break_(lease.fence, "carol", "hangs"), Lost)


def test_breaking_a_landing_leaves_it_unproven(s: Scene) -> None:
    landed(s)
    s.lock.break_(s.lock.state().fence, "carol", "ci is down")
    r = s.lock.record("h1")
    assert r and (r.record, r.unproven) == ("landed", True)


# --- what is stored, and told -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["\x1b[31mred\x07", "a\nb\0c", "<script>alert(1)</script>", "ä€😀", "broken \udcff", '"}]\\', "x" * 5000]
)
def test_hostile_names_are_carried_as_they_are(s: Scene, name: str) -> None:
    who = waiter("ann")._replace(agent=name, host=name, prp=name, ticket=name, hold=name)
    got = s.lock.acquire(who, plain=False)
    assert isinstance(got, Granted) and got.state.holder
    kept = name.encode("utf-8", "replace").decode()
    assert (got.state.holder.agent, got.state.holder.host) == (kept, kept)
    s.lock.intent(got.lease, Intent(name, name), {"tree": name, "prps": [name]})
    s.lock.break_(got.lease.fence, name, name)
    assert s.lock.log(1)[0].detail == kept
    assert s.lock.record(kept) is not None


def test_nothing_at_all_is_nothing_at_all(s: Scene) -> None:
    lease = s.holds("ann")
    s.lock.intent(lease, H1, {"tree": None, "prps": [], "code": False})
    r = s.lock.record("h1")
    assert r and (r.tree, r.prps, r.code, r.prp) == (None, (), False, "P1-001")
    assert not {"tree", "prps"} & set(json.loads(s.store.redis.hget(s.lock.keys.rec, "h1") or ""))
    told = s.lock.report(lease, "other", s.looked(None))
    assert isinstance(told, Reported)
    assert told.state.seen == "b0"


def test_the_log_can_be_read_on_from_an_event(s: Scene) -> None:
    lease = s.holds("ann")
    (last,) = s.lock.log(10)
    s.lock.release(lease)
    assert [e.event for e in s.lock.log(10, since=last.id)] == ["release"]
    assert (last.lane, last.fence, last.agent) == ("main", lease.fence, "ann@example.org")


def test_hold_times_are_remembered_for_the_next_fifty(s: Scene) -> None:
    for n in range(60):
        lease = s.holds("ann")
        s.later(n / 10)
        s.lock.release(lease)
    raw = s.store.redis.hget(s.lock.keys.s, "durations")
    assert raw and [int(d) for d in raw.split()] == [n * 100 for n in range(59, 9, -1)]
    state = s.lock.state()
    assert (state.hold_p50_ms, state.hold_p90_ms) == (3400, 5400)


@pytest.mark.parametrize("jump_s", [-3600, 3600])
def test_a_hold_that_saw_the_clock_jump_keeps_nobodys_place_for_hours(s: Scene, jump_s: int) -> None:
    lease = s.holds("ann")
    s.lock.intent(lease, H1)
    s.later(jump_s)
    s.lock.state()  # an hour ahead it is overdue now
    state = s.lock.state()
    assert isinstance(s.lock.break_(state.fence, "zoe", "clock"), Done)
    p50_ms = s.lock.state().hold_p50_ms
    assert p50_ms is not None and 0 <= p50_ms <= s.times.cap_ms + s.times.ci_cap_ms


def test_old_records_go_and_what_may_still_land_stays(s: Scene) -> None:
    for n in range(5500):
        s.store.redis.hset(s.lock.keys.rec, f"old{n}", json.dumps({"record": "landed", "at": n}))
    s.store.redis.hset(s.lock.keys.kept, "old3", json.dumps({"record": "unseen", "base": "b", "fence": "1"}))
    s.lock.intent(s.holds("ann"), H1)
    assert s.store.redis.hlen(s.lock.keys.rec) == 5001
    assert not s.lock.record("old0") and s.lock.record("old3") and s.lock.record("h1") and s.lock.record("old5499")


def test_the_lane_outlives_its_server(server: Server) -> None:
    lock = MergeLock(Store.over(server.redis(), "example/lock"), "main", Times())
    got = lock.acquire(waiter("ann"), plain=False)
    assert isinstance(got, Granted)
    server.stop(9)
    server.start()
    lock = MergeLock(Store.over(server.redis(), "example/lock"), "main", Times())
    again = lock.acquire(waiter("ann"), plain=False)
    assert isinstance(again, Granted) and again.lease.fence == got.lease.fence


def test_never_two_at_once(shared: Server) -> None:
    """Threads that take, hold and give back; the one inside writes its name where the others would trip over it."""
    shared.redis().flushall()
    inside: list[str] = []
    clashes: list[list[str]] = []

    def work(name: str) -> None:
        lock = MergeLock(Store.over(shared.redis(), "example/lock"), "main", Times())
        for _ in range(20):
            while not isinstance(got := lock.acquire(waiter(name), plain=False), Granted):
                time.sleep(0.002)
            inside.append(name)
            if inside != [name]:
                clashes.append(list(inside))
            inside.remove(name)
            lock.release(got.lease)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not clashes
    lock = MergeLock(Store.over(shared.redis(), "example/lock"), "main", Times())
    granted = [e.fence for e in reversed(lock.log(5000)) if e.event in ("acquire", "claim")]
    assert len(granted) >= 120 and granted == sorted(set(granted))


def test_judged_says_whether_it_was_written(s: Scene) -> None:
    told = s.lock.verdict("x", "t", "s", "local", "green")
    assert isinstance(told, Judged) and told.written
    assert not s.lock.verdict("x", "t", "s", "local", "red").written
    assert not s.lock.verdict("x", "t", "s", "ci", "unknown").written
