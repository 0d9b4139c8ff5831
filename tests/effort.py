"""How much work something is, whatever the machine: processor time in turns of a plain loop timed beside it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TURNS = 250_000
TRIES = 3  # another program on the same core slows one try, seldom three


def _of(do: Callable[[], object]) -> float:
    begun = time.process_time()
    do()
    return time.process_time() - begun


def _loop() -> None:
    seen: dict[int, int] = {}
    for n in range(TURNS):
        seen[n & 1023] = n


def effort(do: Callable[[], object], bar: float) -> float:
    """Millions of turns that `do` is worth: the least of up to three tries, the first that is below `bar` ends it."""
    least = float("inf")
    for _ in range(TRIES):
        million = min(_of(_loop) for _ in range(3)) * 1_000_000 / TURNS
        least = min(least, _of(do) / million)
        if least < bar:
            break
    return least
