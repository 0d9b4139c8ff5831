"""Gate ci-first in the store: candidate, pick_up and proof, row by row of docs/lane.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from prpgate.candidate_lock import CandidateLock
from prpgate.lock import Closed, Done, Granted, Lost
from prpgate.model import Intent
from tests.lock.clocked import Scene, runner
from tests.world import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prpgate.lock import Lease

KEY, RUN = "t1:s:ci", "https://ci/1"
H1 = Intent("h1", "b0")
INFO = {"tree": "t1", "steps": "s", "code": True}


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    one = Server("--appendonly", "no")
    yield one
    one.close()


class Trial(Scene):
    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.candidates = CandidateLock(self.store, "main", self.times)

    def offers(self, name: str = "ann", head: str = "h1", key: str = KEY) -> Lease:
        lease = self.holds(name)
        answer = self.candidates.candidate(lease, head, key)
        assert isinstance(answer, Granted)
        return answer.lease

    def tells(self, fence: int, result: str, head: str = "h1", key: str = KEY, run_url: str = RUN) -> str | None:
        return self.candidates.proof(fence, head, key, result, by="ci", reason="why", run_url=run_url).stands

    def keeps(self, lease: Lease, seconds: float) -> None:
        """ann lives: her lease is renewed for so long."""
        for _ in range(int(seconds)):
            self.later(1)
            assert isinstance(self.lock.renew(lease), Granted)

    def waited(self) -> tuple[str | None, str | None]:
        found = self.lock.state().candidate
        return (found.result, found.run_url) if found else (None, None)


@pytest.fixture
def s(shared: Server) -> Trial:
    shared.redis().flushall()
    return Trial(shared)


def test_the_verdict_is_told_to_the_hold_that_waits_and_wakes_it(s: Trial) -> None:
    lease = s.offers()
    assert isinstance(s.candidates.pick_up(lease.fence, "h1", RUN), Granted)
    assert s.waited() == (None, RUN)
    s.store.redis.delete(s.lock.keys.w + "ann")
    assert s.tells(lease.fence, "green") == "green"
    assert s.waited() == ("green", RUN)
    assert s.store.redis.lrange(s.lock.keys.w + "ann", 0, -1) == ["verdict"]
    stands = s.lock.standing("t1", "s", "ci")
    assert stands is not None
    assert (stands.result, stands.run_url) == ("green", RUN)


@pytest.mark.parametrize("gone", ["released", "expired", "next"])
def test_a_stale_fence_says_nothing(s: Trial, gone: str) -> None:
    lease = s.offers()
    if gone == "expired":
        s.later(31)
    else:
        s.lock.release(lease)
    if gone == "next":
        s.offers("ben", "h2", "t2:s:ci")
    assert isinstance(s.candidates.pick_up(lease.fence, "h1", RUN), Lost)
    s.tells(lease.fence, "red")
    assert s.lock.standing("t1", "s", "ci") is None
    assert s.waited() == (None, None)
    assert [e.detail for e in s.lock.log(50) if e.event == "verdict"] == ["late red"]


def test_a_stale_fence_with_the_same_commit_says_nothing_either(s: Trial) -> None:
    old = s.offers()
    s.lock.release(old)
    new = s.offers()
    assert isinstance(s.candidates.pick_up(old.fence, "h1", RUN), Lost)
    s.tells(old.fence, "red")
    assert (s.waited(), s.lock.standing("t1", "s", "ci")) == ((None, None), None)
    assert s.tells(new.fence, "green") == "green"


def test_another_head_or_other_steps_prove_nothing(s: Trial) -> None:
    lease = s.offers()
    s.tells(lease.fence, "green", head="h2")
    assert s.waited() == (None, None)
    s.tells(lease.fence, "green", key="t1:other:ci")
    assert s.waited() == ("unknown", RUN)
    assert s.lock.standing("t1", "other", "ci") is None


def test_red_closes_nothing_and_what_stands_counts(s: Trial) -> None:
    lease = s.offers()
    assert s.tells(lease.fence, "red") == "red"
    assert s.lock.state().closed is None
    assert isinstance(s.lock.release(lease, "red: why"), Done)
    again = s.offers("ben", "h3")
    assert s.tells(again.fence, "green", head="h3") == "red", "the same tree: a verdict is written once"
    assert s.waited() == ("red", RUN)


def test_the_first_word_on_a_candidate_stands(s: Trial) -> None:
    lease = s.offers()
    s.tells(lease.fence, "unknown")
    s.tells(lease.fence, "green", run_url="https://ci/2")
    assert s.waited() == ("unknown", RUN)
    assert isinstance(s.candidates.pick_up(lease.fence, "h1", RUN), Lost)


def test_the_cap_is_cis_and_a_lease_more_and_set_once(s: Trial) -> None:
    lease = s.offers()
    first = s.lock.state().holder
    assert first is not None
    assert first.cap_ms == s.times.ci_cap_ms + s.times.lease_ms
    s.keeps(lease, 60)
    s.candidates.candidate(lease, "h2", "t2:s:ci")
    second = s.lock.state().holder
    assert second is not None
    assert second.cap_ms == s.times.ci_cap_ms + s.times.lease_ms - 60_000


def test_ci_has_to_be_heard_of_and_never_beyond_its_cap(s: Trial) -> None:
    def left() -> float:
        found = s.lock.state().candidate
        assert found is not None
        return found.left_ms

    lease = s.offers()
    assert left() == s.times.ci_wait_ms
    s.keeps(lease, 80)
    s.candidates.pick_up(lease.fence, "h1", RUN)
    assert left() == s.times.ci_lease_ms
    s.keeps(lease, 60)
    assert left() == s.times.ci_lease_ms - 60_000
    for _ in range(9):
        s.keeps(lease, 50)
        s.candidates.pick_up(lease.fence, "h1", RUN)
    assert left() == s.times.ci_cap_ms - 590_000, "what is over the cap is for the push"
    s.keeps(lease, 11)
    assert left() < 0


def test_a_second_run_is_shown_once_the_first_is_silent(s: Trial) -> None:
    lease = s.offers()
    s.candidates.pick_up(lease.fence, "h1", RUN)
    s.candidates.pick_up(lease.fence, "h1", "https://ci/2")
    assert s.waited() == (None, RUN)
    s.keeps(lease, 100)
    s.candidates.pick_up(lease.fence, "h1", "https://ci/2")
    assert s.waited() == (None, "https://ci/2")


def test_a_lander_that_dies_frees_the_lane_by_its_lease(s: Trial) -> None:
    lease = s.offers()
    s.candidates.pick_up(lease.fence, "h1", RUN)
    s.later(31)
    assert (s.lock.state().state, s.lock.state().candidate) == ("free", None)
    assert isinstance(s.land("ben"), Granted)


def test_a_closed_lane_takes_no_candidate_but_a_fixers(s: Trial) -> None:
    lease = s.holds("ann")
    s.lock.close("carol", "stop")
    assert isinstance(s.candidates.candidate(lease, "h1", KEY), Closed)
    assert s.waited() == (None, None)
    assert isinstance(s.candidates.candidate(lease, "h1", KEY, fixer=True), Granted)


def test_a_landing_is_recorded_as_green_and_a_fix_opens_what_red_closed(s: Trial) -> None:
    s.lock.close("ci", "unit", person=False, head="culprit")
    lease = s.holds("ann", fixer=True)
    s.candidates.candidate(lease, "h1", KEY, fixer=True)
    s.tells(lease.fence, "green")
    assert isinstance(s.lock.intent(lease, H1, INFO, fixer=True), Granted)
    assert s.lock.state().candidate is None, "from here on it is a push like any other"
    s.lock.report(lease, "in", s.looked("h1", heads=["h1"], since="b0"), gate="ci-first")
    state = s.lock.state()
    assert (state.state, state.closed) == ("free", None)
    record = s.lock.record("h1")
    assert record is not None
    assert (record.record, record.verdict, record.run_url) == ("landed", "green", RUN)


def test_a_pull_requests_landing_is_smoked_on_the_lane_whoever_tells_it(s: Trial) -> None:
    """The host makes its commit: no candidate of it was proven."""
    lease = s.holds("ann")
    s.lock.intent(lease, H1, {**INFO, "pull": 7})
    s.lock.report(lease, "in", s.looked("h1", heads=["h1"], since="b0"), gate="ci-first")
    state = s.lock.state()
    assert (state.state, state.phase) == ("held", "landed")


def test_what_a_person_closed_stays_closed(s: Trial) -> None:
    s.lock.close("carol", "stop")
    lease = s.holds("ann", fixer=True)
    s.candidates.candidate(lease, "h1", KEY, fixer=True)
    s.tells(lease.fence, "green")
    s.lock.intent(lease, H1, INFO, fixer=True)
    s.lock.report(lease, "in", s.looked("h1", heads=["h1"], since="b0"), gate="ci-first")
    assert s.lock.state().closed is not None


def test_a_run_on_the_candidates_commit_does_not_take_the_lane(s: Trial) -> None:
    lease = s.offers()
    assert type(s.lock.adopt("h1", runner(), RUN)).__name__ == "Apart"
    assert isinstance(s.lock.renew(lease), Granted)


def test_only_who_waits_is_found(s: Trial) -> None:
    lease = s.offers()
    assert s.candidates.waited(lease.fence, "h1") is not None
    assert s.candidates.waited(lease.fence - 1, "h1") is None
    assert s.candidates.waited(lease.fence, "h2") is None
    s.tells(lease.fence, "green")
    assert s.candidates.waited(lease.fence, "h1") is None


def test_a_run_that_never_came_is_started_once_and_only_when_it_is_due(s: Trial) -> None:
    lease = s.offers()
    wait_s = s.times.ci_wait_ms // 1000
    s.keeps(lease, wait_s - 1)
    assert s.candidates.start_due(lease.fence, "h1") is None, "not yet"
    s.keeps(lease, 2)
    assert s.candidates.start_due(lease.fence + 1, "h1") is None
    assert s.candidates.start_due(lease.fence, "h2") is None
    due = s.candidates.start_due(lease.fence, "h1")
    assert due is not None
    assert due.state.candidate is not None
    assert (due.head, due.state.candidate.left_ms, due.state.dispatched) == ("h1", s.times.ci_wait_ms, True)
    assert s.candidates.start_due(lease.fence, "h1") is None
    s.keeps(lease, wait_s + 1)
    assert s.candidates.start_due(lease.fence, "h1") is None, "once"
    assert [e.event for e in s.lock.log(50)].count("redispatch") == 1
    s.candidates.candidate(lease, "h2", "t2:s:ci")
    s.keeps(lease, wait_s + 1)
    assert s.candidates.start_due(lease.fence, "h2") is not None, "another commit is another candidate"


@pytest.mark.parametrize("already", ["picked up", "judged", "too late"])
def test_none_is_started_for_a_candidate_that_needs_none(s: Trial, already: str) -> None:
    lease = s.offers()
    if already == "picked up":
        s.candidates.pick_up(lease.fence, "h1", RUN)
    if already == "judged":
        s.tells(lease.fence, "unknown")
    s.keeps(lease, (s.times.ci_cap_ms if already == "too late" else s.times.ci_lease_ms) // 1000 + 1)
    assert s.candidates.start_due(lease.fence, "h1") is None
