"""When it is whose turn, as it is told to those who wait."""

from __future__ import annotations

import pytest

from prpgate.lane_state import HELD, Holder, LaneState
from prpgate.messages.land import turn
from prpgate.messages.lane import free_in_s


def lane(gone_s: float, left_s: float, p50_s: float = 4, p90_s: float = 10, phase: str = "pushing") -> LaneState:
    holder = Holder(
        *("h", None, "api", "box", 1, "api", None, None, phase), gone_s * 1000, left_s * 1000, (left_s + 60) * 1000
    )
    times = p50_s * 1000, p90_s * 1000
    return LaneState("main", HELD, phase, 7, holder, None, (), None, None, None, 0, (), 0, *times, None)


@pytest.mark.parametrize(
    ("gone", "left", "about", "latest"),
    [
        (1, 29, 3, 9),  # as the others
        (6, 24, 4, 4),  # longer than half of them: as the long ones
        (60, 27, 27, 27),  # longer than any: until its lease ends
    ],
)
def test_a_hold_that_takes_longer_than_usual(gone: float, left: float, about: float, latest: float) -> None:
    state = lane(gone, left)
    assert turn(state, 1) == (about, latest)
    assert turn(state, 2) == (about + 4, latest + 10)
    assert free_in_s(state) == (about if gone < 4 else left)


def test_in_ci_it_is_the_deadline_that_counts() -> None:
    assert free_in_s(lane(1, 80, phase="smoking")) == 80
    assert turn(lane(1, 80, phase="smoking"), 1) == (3, 9)
