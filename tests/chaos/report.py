"""What came of some scenes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections import Counter


class Report(NamedTuple):
    """Steps done, faults by kind, how often the branch moved, and the trace of each scene with a violation."""

    steps: int
    faults: Counter[str]
    landings: int
    violations: list[str]
