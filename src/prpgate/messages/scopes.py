"""What people and agents read about paths that somebody has alone. An agent's hooks import it: few imports."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ..output import inert
from .lane import clock, span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..scopes import Held


def in_the_way(held: Held, paths: Sequence[str], now_s: float) -> str:
    """With the same times as `prp status`: of the lease and, when that is over, of what is left all the same."""
    what = inert(paths[0])
    if len(paths) > 1:
        from .prps import some

        what = some(paths)
    left_s, over_s = held.until - now_s, held.over - now_s
    until = f" until {clock(left_s)} ({span(left_s)} left)"
    if left_s <= 0:
        until = f"; suspect: the lease is over, and it is still theirs until {clock(over_s)} ({span(over_s)})"
    return (
        f"prp: {what} {'lies' if len(paths) == 1 else 'lie'} in {inert(held.glob)}, which {inert(held.agent)} "
        f"has for {inert(held.id)} alone{until}."
    )


def scope_way_out(held: Held) -> str:
    ask = f"Ask {inert(held.agent)}, work elsewhere, or see whether it still holds:"
    return f"{ask}\n  prp status {shlex.quote(inert(held.id))}"
