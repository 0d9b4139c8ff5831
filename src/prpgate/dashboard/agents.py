"""Who is there, as the dashboard keeps it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .. import registry
from . import reading

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..config import Config
    from ..registry import Entry, Held
    from ..store.client import Store
    from .shapes import AgentShape

AGAIN_S = 0.1  # read at most so often, however much happens
MARGIN_S = 0.05


class Agents:
    """Everybody, read in one round trip; what they hold of lanes is told by whoever keeps these."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.due: float | None = None  # time.time()
        self._read_at = 0.0
        self._entries: dict[str, Entry] = {}

    def shapes(self) -> list[AgentShape]:
        return [reading.agent_shape(e) for e in self._entries.values()]

    def names(self) -> list[str]:
        return list(self._entries)

    def touch(self) -> None:
        """Something happened that may have changed somebody: read soon."""
        soon = max(time.time(), self._read_at + AGAIN_S)
        self.due = soon if self.due is None else min(self.due, soon)

    def read(self, store: Store, skew_ms: float, lanes: Iterable[tuple[str, Held]]) -> list[AgentShape]:
        """Those that changed. Raises StoreDown."""
        entries = registry.agents(store, self.config, ())
        self._read_at = time.time()
        held: dict[str, list[Held]] = {}
        for agent, one in lanes:
            held.setdefault(agent, []).append(one)
        before = self._entries
        self._entries = {e.name: e._replace(held=(*e.held, *held.get(e.name, ()))) for e in entries}
        silent_at = [(e.seen_ms - skew_ms) / 1000 + registry.SILENT_S for e in entries if not e.silent]
        self.due = max(min(silent_at) + MARGIN_S, self._read_at + 1.0) if silent_at else None
        return [
            reading.agent_shape(e)
            for name, e in self._entries.items()
            if name not in before or _seen(before[name]) != _seen(e)
        ]


def _seen(e: Entry) -> tuple[Any, ...]:
    """What a person sees of an agent, without the seconds that are left: those pass by themselves."""
    return (*e._replace(held=()), tuple((h.what, h.name, h.detail) for h in e.held))
