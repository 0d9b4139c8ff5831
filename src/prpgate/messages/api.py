"""What programs are told by the Python API and by the ancestor's names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UserError
from .lane import clock, free_in_s, holder_words

if TYPE_CHECKING:
    from ..lane_state import LaneState


def not_yours(state: LaneState) -> UserError:
    return UserError(
        f"{state.name} is {state.state}, with {holder_words(state)}. Nobody waits for you any more.",
        code="held",
        when=f"after {clock(free_in_s(state))}",
        next_action="prp lock status",
    )


def other_owner(owner: str, asked: str) -> str:
    return f"the merge lock belongs to {owner}, not to {asked}: it is not released."


def no_loop() -> str:
    return "async names are for coroutines: await them, or use sync_redis."


def deprecated(old: str, new: str) -> str:
    return f"{old} is kept for old scripts; use {new}."
