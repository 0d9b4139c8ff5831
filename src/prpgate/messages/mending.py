"""What people read of what `prp doctor --fix` mends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..output import inert
from .lane import counted
from .prps import some

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..sync import SyncReport

NOTHING = "Nothing to mend."
NOT_DONE = "Nothing was changed."
TIDY = "The figures are right: nothing to tidy."


def still(text: str) -> str:
    return f"still: {inert(text)}"


def not_yours(prp_id: str, fence: str) -> str:
    return f"forget the claim on {inert(prp_id)} (fence {inert(fence)}): it ended, or somebody else has the PRP"


def forgotten(ids: Sequence[str]) -> str:
    return f"forgotten here: {some(ids)}"


def behind(report: SyncReport) -> str:
    before = (report.cursor_before or "nothing")[:10]
    return f"the store has seen {before}, the lane is at {(report.cursor_after or 'nothing')[:10]}: sync it"


def synced(count: int, changed: int) -> str:
    return f"synced: {counted(count, 'PRP')}, {changed} changed"
