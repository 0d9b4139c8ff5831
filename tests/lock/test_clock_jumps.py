"""The store's clock jumps an hour. Exclusion is not promised then, but nobody waits for ever and fences only grow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from prpgate.lock import Done, Granted, Lost, Queued, Reported
from prpgate.model import Intent
from tests.lock.clocked import Scene, waiter
from tests.world import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR_S = 3600
H1 = Intent("h1", "b0")


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    one = Server("--appendonly", "no")
    yield one
    one.close()


@pytest.fixture
def s(shared: Server) -> Scene:
    shared.redis().flushall()
    return Scene(shared)


def test_forward_what_was_held_is_over_and_the_line_goes_on(s: Scene) -> None:
    lease = s.holds("ann")
    s.land("ben")
    s.later(HOUR_S)
    assert isinstance(s.lock.renew(lease), Lost)
    got = s.land("ben")
    assert isinstance(got, Granted)
    assert got.lease.fence > lease.fence


def test_forward_in_mid_push_nobody_is_granted_by_guess(s: Scene) -> None:
    s.lock.intent(s.holds("ann"), H1)
    s.later(HOUR_S)
    assert isinstance(s.land("ben"), Queued)
    assert s.lock.state().state == "reconciling"
    look = s.lock.look(waiter("ben"))
    assert look
    told = s.lock.submit(look, "in", s.looked("h1", heads=["h1"]))
    assert isinstance(told, Reported)
    assert told.record == "landed"
    assert isinstance(s.land("ben"), Granted)


def test_back_the_holder_goes_on_and_gives_the_lane_to_the_next_as_ever(s: Scene) -> None:
    lease = s.holds("ann")
    s.land("ben")
    s.later(-HOUR_S)
    assert isinstance(s.lock.renew(lease), Granted)
    assert isinstance(s.lock.release(lease), Done)
    got = s.land("ben")
    assert isinstance(got, Granted)
    assert got.lease.fence > lease.fence, "also while the clock is behind"
    s.lock.release(got.lease)
    assert s.holds("cem").fence > got.lease.fence


def test_back_with_a_dead_holder_a_person_breaks_it(s: Scene) -> None:
    """Its deadline is an hour away now; nothing but a person's word or that hour ends it."""
    lease = s.holds("ann")
    s.later(-HOUR_S)
    s.later(60)
    assert isinstance(s.land("ben"), Queued)
    assert isinstance(s.lock.break_(lease.fence, "carol", "the clock was wrong"), Done)
    got = s.land("ben")
    assert isinstance(got, Granted)
    assert got.lease.fence > lease.fence


def test_back_with_a_dead_holder_it_is_over_when_the_clock_has_caught_up(s: Scene) -> None:
    s.holds("ann")
    s.later(-HOUR_S)
    s.later(HOUR_S + 31)
    assert isinstance(s.land("ben"), Granted)


def test_back_in_a_window_nobody_waits_for_an_hour(s: Scene) -> None:
    """Nobody holds the lane then, so there is nothing that a person could break."""
    lease = s.holds("ann")
    s.push("ben")
    s.lock.release(lease)
    assert s.lock.state().window_ms > 0
    s.later(-HOUR_S)
    assert isinstance(s.land("cem"), Granted)
