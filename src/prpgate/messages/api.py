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


def just_adopted(lane: str, wait_s: float) -> UserError:
    return UserError(
        f"{lane} is not given yet: the store was emptied and adopted anew, and pushes that were under way then may "
        f"still arrive until {clock(wait_s)}.",
        code="adopted",
        when=f"after {clock(wait_s)}",
        next_action="prp lock status",
    )


def other_owner(owner: str, asked: str) -> str:
    whose = (
        f"another running process of {owner}, or is held for another PRP"
        if owner == asked
        else f"{owner}, not to {asked}"
    )
    return f"the merge lock belongs to {whose}: it is not released."


def no_verb(state: str, known: list[str]) -> UserError:
    return UserError(
        f"a PRP is not taken to {state!r} by its name; these are verbs: {', '.join(known)}.",
        code="usage",
        next_action="prp --help",
    )


def deprecated(old: str, new: str) -> str:
    return f"{old} is kept for old scripts; use {new}."


def in_the_way(name: str) -> UserError:
    return UserError(
        f"{name} is there, and git does not have it as it is: it would be lost. Nothing was written.",
        code="in-the-way",
        hint="Commit it, or move it away; then:",
        next_action="prp init --ancestor-shims",
    )


def old_keys(found: list[str]) -> str:
    listed = ", ".join(found[:4]) + (" …" if len(found) > 4 else "")
    return f"old scripts write to this server, and nobody reads it: {listed}"


SHIMS_THERE = "Old imports and `python .claude/prp_tracking/cli_commands.py …` lead to prpgate."
SHIMS_WRITTEN = f"{SHIMS_THERE} Commit them."
