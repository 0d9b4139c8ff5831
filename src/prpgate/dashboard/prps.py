"""Every PRP as the dashboard keeps it, and what waits for what."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from .. import live
from . import reading

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..config import Config
    from ..live import PrpState, Raw
    from ..store.client import Store
    from .shapes import PrpShape

MARGIN_S = 0.05  # what is due is looked at this much later: the store decides, by its own clock


def dump(value: object) -> bytes:
    """Compact JSON in UTF-8; half of a surrogate pair, which UTF-8 cannot say, becomes a question mark."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str).encode("utf-8", "replace")


class Prps:
    """Compared by the texts that the store has of each: what was not written since is not worked out again."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.tip: str | None = None  # the record's tip that the store last saw
        self.skew_ms = 0.0  # the server's clock is so much ahead of ours
        self.shapes: dict[str, PrpShape] = {}
        self.due: dict[str, float] = {}  # when a claim becomes suspect or ends (time.time())
        self._json: dict[str, bytes] = {}
        self._states: dict[str, PrpState] = {}
        self._raw: dict[str, tuple[Any, ...]] = {}
        self._names: dict[str, str] = {}  # any id -> the PRP that it names
        self._waiting: dict[str, set[str]] = {}  # id that is waited for -> PRPs that wait

    def fill(self, store: Store) -> tuple[list[str], list[str]]:
        """Read all; ids of those that changed, and of those that are gone. Raises StoreDown."""
        raw = live.fetch(store)
        self.tip = raw.cursor
        return self._take(raw, {*raw.recorded, *raw.pending, *self._states})

    def read(self, store: Store, ids: set[str]) -> tuple[list[str], list[str]]:
        """Read these; all of them when the record moved, which no event tells of each. Raises StoreDown."""
        raw = live.fetch_some(store, sorted(ids))
        return self.fill(store) if raw.cursor != self.tip else self._take(raw, ids)

    def claimed(self) -> set[str]:
        return {i for i, p in self._states.items() if p.claim}

    def find(self, any_id: str) -> PrpState | None:
        return self._states.get(self._names.get(any_id, any_id))

    def json(self) -> bytes:
        """All shapes, as one JSON list; ages of claims as of now."""
        for i in self.claimed():
            self._show(i)
        return b"[" + b",".join(self._json[i] for i in sorted(self._json)) + b"]"

    def _take(self, raw: Raw, ids: Iterable[str]) -> tuple[list[str], list[str]]:
        self.skew_ms = raw.now_ms - time.time() * 1000
        changed, gone, moved = list[str](), list[str](), set[str]()
        renamed = False
        for i in sorted(ids):
            texts = tuple(h.get(i) for h in (raw.recorded, raw.pending, raw.claims, raw.unproven, raw.marks))
            if self._raw.get(i) == texts:
                self._plan(i)
                continue
            old, new = self._states.get(i), live.one(i, raw)
            for other in reading.waited_for(old) if old else ():
                self._waiting.get(other, set()).discard(i)
            if new is None:
                self._forget(i)
                gone += [i] if old else []
            else:
                changed.append(i)
                self._states[i], self._raw[i] = new, texts
                for other in reading.waited_for(new):
                    self._waiting.setdefault(other, set()).add(i)
            self._plan(i)
            both = [p for p in (old, new) if p]
            if len({p.ids for p in both}) != 1 or len(both) == 1:
                renamed = True
            if renamed or len({p.status in reading.DONE for p in both}) == 2:
                moved.update(*(p.ids for p in both))
        if renamed:
            self._names = live.names(live.State(self.tip, self._states, raw.now_ms))
        for i in changed:
            self._show(i)
        return [*dict.fromkeys([*changed, *self._freed(moved)])], gone

    def _freed(self, moved: Iterable[str]) -> list[str]:
        """Those for which something else is in the way now than before, shown anew."""
        found = []
        for i in {i for name in moved for i in self._waiting.get(name, ())}:
            before = self.shapes[i]["blocked_by"]
            self._show(i)
            if self.shapes[i]["blocked_by"] != before:
                found.append(i)
        return found

    def _forget(self, prp_id: str) -> None:
        self._states.pop(prp_id, None)
        self._raw.pop(prp_id, None)
        self._json.pop(prp_id, None)
        self.shapes.pop(prp_id, None)

    def _show(self, prp_id: str) -> None:
        self.shapes[prp_id] = reading.prp_shape(self._states[prp_id], self.skew_ms, self.config, self._unfinished)
        self._json[prp_id] = dump(self.shapes[prp_id])

    def _unfinished(self, any_id: str) -> str | None:
        own = self._names.get(any_id)
        if own is None:
            return any_id
        return own if self._states[own].status not in reading.DONE else None

    def _plan(self, prp_id: str) -> None:
        p = self._states.get(prp_id)
        if p is None or p.claim is None:
            self.due.pop(prp_id, None)
        else:  # one that is overdue and still there is looked at again, but not at once
            at = (reading.over_ms(p.claim) - self.skew_ms) / 1000 + MARGIN_S
            self.due[prp_id] = max(at, time.time() + 1.0)
