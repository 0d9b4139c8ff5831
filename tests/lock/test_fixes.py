"""Hotfixes and the closed sign, row by row, as a dialogue with a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from prpgate.lock import Closed, Granted, Queued, Refused, Window
from prpgate.model import Intent
from tests.lock.clocked import Scene, runner, waiter
from tests.world import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prpgate.lock import Judged


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    one = Server("--appendonly", "no")
    yield one
    one.close()


@pytest.fixture
def s(shared: Server) -> Scene:
    shared.redis().flushall()
    return Scene(shared)


def hotfix(s: Scene, name: str, why: str = "logins fail", **more: Any) -> Any:
    return s.lock.acquire(waiter(name)._replace(hotfix=why), plain=False, fixer=True, **more)


def line(s: Scene) -> list[str]:
    return [p.id for p in s.lock.state().queue]


def smoked(s: Scene, head: str, result: str, *, fixer: bool = False, **more: Any) -> Judged:
    """A landing of that head, and the verdict of a run that took the lane over."""
    base = s.seen or "b0"
    tree = f"tree of {head}"
    got = s.push(head, intent=Intent(head, base), info={"tree": tree, "steps": "s"}, fixer=fixer)
    assert isinstance(got, Granted), got
    s.lock.report(got.lease, "in", s.looked(head, heads=[head]), gate="ci")
    return judged(s, head, result, **more)


def judged(s: Scene, head: str, result: str, **more: Any) -> Judged:
    tree = f"tree of {head}"
    run = s.lock.adopt(head, runner(), tree=tree, steps="s")
    assert isinstance(run, Granted), run
    return s.lock.verdict(head, tree, "s", "ci", result, run.lease.fence, reason="unit failed", **more)


# --- hotfix ----------------------------------------------------------------------------------------------------------


def test_a_hotfix_stands_before_everybody_but_earlier_hotfixes(s: Scene) -> None:
    lease = s.holds("ann")
    for name in ("ben", "cem"):
        s.land(name)
    assert hotfix(s, "h1").position == 1
    assert hotfix(s, "h2", "and this").position == 2
    s.land("dan")
    assert line(s) == ["h1", "h2", "ben", "cem", "dan"]
    assert [p.hotfix for p in s.lock.state().queue] == ["logins fail", "and this", None, None, None]
    assert hotfix(s, "h1").position == 1, "asked again it stays"
    s.lock.release(lease)
    for name in ("h1", "h2"):
        got = hotfix(s, name)
        assert isinstance(got, Granted), got
        assert got.state.holder and got.state.holder.hotfix
        s.lock.release(got.lease)
    assert isinstance(s.land("ben"), Granted)
    logged = [(e.agent, e.detail) for e in reversed(s.lock.log(99)) if e.event == "hotfix"]
    assert logged == [("h1@example.org", "logins fail"), ("h2@example.org", "and this")]


def test_it_ends_nobodys_hold_and_nobodys_offer(s: Scene) -> None:
    lease = s.holds("ann")
    s.land("ben")
    assert isinstance(hotfix(s, "h1"), Queued)
    assert isinstance(s.lock.renew(lease), Granted)
    s.lock.leave("h1")
    s.lock.release(lease)  # ben is offered it
    assert isinstance(hotfix(s, "h1"), Queued)
    assert isinstance(s.land("ben"), Granted), "whose turn it was already"


def test_asked_again_without_it_is_back_at_its_own_place(s: Scene) -> None:
    s.holds("ann")
    for name in ("ben", "cem", "dan"):
        s.land(name)
    assert hotfix(s, "cem").position == 1
    assert line(s) == ["cem", "ben", "dan"]
    assert s.land("cem").position == 2
    assert line(s) == ["ben", "cem", "dan"]


def test_no_window_and_no_kept_place_delays_it(s: Scene) -> None:
    lease = s.holds("ann")
    assert isinstance(s.push("ben"), Refused)
    s.lock.release(lease)
    assert isinstance(s.push("cem"), Window), "everybody else waits for ben"
    assert isinstance(hotfix(s, "h1"), Granted)


def test_a_window_of_an_earlier_hotfix_that_is_not_there_does_not_delay_the_next(s: Scene) -> None:
    lease = s.holds("ann")
    hotfix(s, "h1")
    s.lock.leave("h1", keep=True)
    s.lock.release(lease)
    assert s.lock.state().window_ms > 0
    assert isinstance(hotfix(s, "h2"), Granted)


def test_no_window_opens_before_it(s: Scene) -> None:
    lease = s.holds("ann")
    assert isinstance(s.push("ben"), Refused)
    hotfix(s, "h1")
    s.lock.leave("h1", keep=True)  # an earlier hotfix that is not there either
    hotfix(s, "h2")
    s.lock.release(lease)
    assert isinstance(hotfix(s, "h2"), Granted)
    assert "window" not in s.events()


def test_on_a_closed_lane_it_is_let_in_and_the_log_says_so(s: Scene) -> None:
    s.lock.close("carol", "stop")
    assert isinstance(s.land("ben"), Closed)
    got = hotfix(s, "h1")
    assert isinstance(got, Granted)
    assert isinstance(s.lock.intent(got.lease, Intent("c1", "b0"), None, True), Granted)
    details = [e.detail for e in reversed(s.lock.log(99)) if e.event == "hotfix"]
    assert details == ["logins fail", "while closed by carol: logins fail"]


# --- the closed sign -------------------------------------------------------------------------------------------------


def test_so_many_reds_in_a_row_close_it_under_the_first(s: Scene) -> None:
    assert smoked(s, "c1", "red", close_after=2).state.closed is None
    assert smoked(s, "c2", "green", close_after=2).state.closed is None
    assert smoked(s, "c3", "red", close_after=2).state.closed is None, "green in between"
    closed = smoked(s, "c4", "red", close_after=2).state.closed
    assert closed
    assert (closed.culprit_sha, closed.reason) == ("c3", "2 landings in a row are red, the last: unit failed")
    assert smoked(s, "c5", "green", fixer=True, close_after=2).state.closed is None
    assert smoked(s, "c6", "red", close_after=2).state.closed is None, "counted anew"


def test_what_landed_before_a_person_opened_it_closes_nothing(s: Scene) -> None:
    smoked(s, "c1", "red")
    landed = s.push("c2", intent=Intent("c2", "c1"), fixer=True, info={"tree": "tree of c2", "steps": "s"})
    assert isinstance(landed, Granted)
    s.lock.report(landed.lease, "in", s.looked("c2", heads=["c2"]), gate="ci")
    s.later(1)
    s.lock.open("carol", "it is the network")
    told = judged(s, "c2", "red")
    assert (told.stands, told.state.closed) == ("red", None)
    s.later(1)
    assert smoked(s, "c3", "red").state.closed, "a newer build does"


def test_a_red_beside_the_lane_of_a_commit_nobody_knows_closes_nothing_after_an_opening(s: Scene) -> None:
    s.lock.close("carol", "stop")
    s.lock.open("carol", "go on")
    told = s.lock.verdict("old", "t", "s", "ci", "red", in_branch=True)
    assert (told.written, told.state.closed) == (True, None)


def test_a_verdict_never_opens_what_a_person_closed(s: Scene) -> None:
    smoked(s, "c1", "red")
    s.lock.close("carol", "stop")
    told = smoked(s, "c2", "green", fixer=True)
    assert told.state.closed
    assert told.state.closed.by == "carol"


def test_an_attempt_that_is_tried_again_is_logged_once_and_decides_nothing(s: Scene) -> None:
    got = s.push("c1", intent=Intent("c1", "b0"))
    s.lock.report(got.lease, "in", s.looked("c1", heads=["c1"]), gate="ci")
    run = s.lock.adopt("c1", runner())
    assert isinstance(run, Granted)
    for _ in range(2):  # the first reply was lost
        assert isinstance(s.lock.ci_renew(run.lease, "1st"), Granted)
    assert s.lock.state().closed is None
    assert s.lock.state().phase == "smoking"
    s.lock.verdict("c1", "t", "s", "ci", "red", run.lease.fence)
    details = [e.detail for e in reversed(s.lock.log(99)) if e.event == "verdict"]
    assert details == ["red (1st)", "red"]
