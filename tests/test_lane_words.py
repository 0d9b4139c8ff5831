"""What those who are refused, or still in line, are told to type next."""

from __future__ import annotations

import re

import pytest

from prpgate.job import QUEUED, Job, Outcome
from prpgate.lane_state import INTENT, RECONCILING, Holder, LaneState
from prpgate.messages.land import again, next_action
from prpgate.messages.lane import clock, held

PLAIN = Job("main", "main", "1" * 40, True, None)


@pytest.mark.parametrize(
    ("job", "command"),
    [
        (PLAIN, "prp land"),
        (PLAIN._replace(branch=None), "prp land"),
        (PLAIN._replace(branch="it's mine", checked_out=False), """prp land --from 'it'"'"'s mine'"""),
        (PLAIN._replace(prp="P2-040", hotfix=True, reason="a b"), "prp land --hotfix --for P2-040 --reason 'a b'"),
        (PLAIN._replace(revert="", reason="red"), "prp land --revert --reason red"),
        (PLAIN._replace(revert="9" * 40), f"prp land --revert {'9' * 40}"),
        (Job("main", None, "1" * 40, False, None, pull=12), "prp land --pr 12"),
    ],
)
def test_the_same_landing_once_more(job: Job, command: str) -> None:
    assert again(job) == command
    assert next_action(Outcome(QUEUED, job)) == command


@pytest.mark.parametrize(
    ("looker", "said"), [(None, "the remote could not be asked"), ("ben", "ben is asking the remote")]
)
def test_who_asks_the_remote(looker: str | None, said: str) -> None:
    holder = Holder("h", None, "ana", "box", 1, "land", None, None, INTENT, 60_000, -1000, 1000)
    state = LaneState(
        "main", RECONCILING, INTENT, 7, holder, None, (), None, None, looker, 5000, (), 0, None, None, None
    )
    refusal = held(state, 1, 120_000)
    assert f"and {said}. " in refusal.message
    assert refusal.next_action == 'prp lock break main --fence 7 --reason "why"'


# --- times -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("in_s", "form"),
    [
        (60, r"\d\d:\d\d:\d\d"),
        (3600, r"\d\d:\d\d"),
        (-3600, r"\d\d:\d\d"),
        (13 * 3600, r"[A-Z]\w\w \d\d [A-Z]\w\w \d\d:\d\d"),
        (-13 * 3600, r"[A-Z]\w\w \d\d [A-Z]\w\w \d\d:\d\d"),
    ],
)
def test_a_time_of_another_day_comes_with_its_day(in_s: float, form: str) -> None:
    assert re.fullmatch(form, clock(in_s))
