"""The dashboard's picture of the project: filled from the store in a few round trips, changed by what events name.

One thread reads and changes it; others ask for it whole. A change is told as whole objects, so that telling one twice
does no harm; that no event is missed is a matter of the streams alone.
"""

from __future__ import annotations

import gzip
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import ops
from . import gate, reading
from .agents import Agents
from .cursor import NOTHING, PRPS, Cursor, mark, stream_of
from .lanes import Lane
from .prps import Prps, dump
from .shapes import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..config import Config
    from ..events import Event
    from ..store.client import Store
    from .shapes import ChangeShape, EventShape, GateShape, StoreShape

ROUND_S = 30.0  # renewals and signs of life are told by no event: everything that lives is looked at so often
AFTER_LANDING_S = (0.3, 1.0, 3.0)  # a landing is published by whoever sees it first, which is told by no event
LANDS = ("landed", "late", "merged", "foreign-push", "verdict")
ZIP = 1  # fast; a board of 10,000 PRPs shrinks to a tenth anyway


class Owed(NamedTuple):
    """Names of what has changed and was not told yet: a store that goes away in the middle takes nothing back."""

    lanes: set[str]
    prps: set[str]
    agents: set[str]


class Board:
    """Everything that the page shows."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.lock = threading.Lock()  # held while it changes, and while it is told whole
        self.store_mark = ""
        self.read: dict[str, str] = {}  # stream, as a cursor calls it -> last id read
        self.lanes: dict[str, Lane] = {}
        self.prps = Prps(config)
        self.agents = Agents(config)
        self.gate: GateShape = {"budget_s": config.smoke_budget_s, "runs": [], "p50_s": None, "p95_s": None}
        self.oldest_ms: int | None = None
        self._round_at = 0.0
        self._tip_at: list[float] = []  # when to look whether the record moved
        self._lane_at: dict[str, float] = {}
        self._owed = Owed(set(), set(), set())
        self._told: tuple[bytes, bytes] | None = None
        self._told_store: StoreShape | None = None

    # --- filling -----------------------------------------------------------------------------------------------------
    def fill(self, store: Store) -> None:
        """Read everything anew. Raises StoreDown, and is as before then."""
        names = used(store, self.config)
        store_mark, read, oldest_ms = _positions(store, names)
        prps, agents, runs = Prps(self.config), Agents(self.config), gate.read(store, self.config)
        prps.fill(store)
        lanes = {n: Lane(n) for n in names}
        for name, lane in lanes.items():
            lane.fold(store, read[stream_of(name)])
            lane.read(store, self.config, runs)
        agents.read(store, prps.skew_ms, _held(lanes.values()))
        with self.lock:
            self.store_mark, self.read, self.oldest_ms = store_mark, read, oldest_ms
            self.lanes, self.prps, self.agents, self.gate = lanes, prps, agents, runs
            self._round_at, self._tip_at, self._told = time.time() + ROUND_S, [], None
            self._owed = Owed(set(), set(), set())
            self._lane_at = {n: at for n, lane in lanes.items() if (at := lane.due_at()) is not None}

    def same_store(self, store: Store) -> bool:
        """Whether it is the store that this was filled from, not filled anew since, with all that was read still in
        its streams. Raises StoreDown."""
        client: Any = store.redis
        names = {stream_of(n): n for n in self.lanes}
        with store.faults():
            pipe = client.pipeline(transaction=False)
            pipe.hmget(store.keys.meta, "store_id", "epoch", "created")
            for stream, last in self.read.items():
                key = store.keys.events if stream == PRPS else store.keys.lane(names[stream]).log
                pipe.xrange(key, last, last) if last != NOTHING else pipe.xlen(key)
            meta, *found = pipe.execute()
        return mark(*(str(m or "") for m in meta)) == self.store_mark and all(
            found[n] for n, last in enumerate(self.read.values()) if last != NOTHING
        )

    def new_lanes(self, store: Store) -> list[str]:
        """Lanes that were first used since; their logs are read from the beginning. Raises StoreDown."""
        found = [n for n in used(store, self.config) if n not in self.lanes]
        with self.lock:
            for name in found:
                self.lanes[name], self.read[stream_of(name)] = Lane(name), NOTHING
                self._lane_at[name] = 0.0
        return found

    # --- changing ----------------------------------------------------------------------------------------------------
    def change(
        self, store: Store, happened: list[Event], *, gate_ran: bool = False, mail: bool = False
    ) -> ChangeShape | None:
        """Read again what these events name and what is due by now; None when nobody would see a difference.

        Raises StoreDown; the same may be asked again then.
        """
        now, owed = time.time(), self._owed
        with self.lock:
            self._told = None
            look_round, look_at_tip = self._round_at <= now, any(at <= now for at in self._tip_at)
            ids = {e.prp for e in happened if e.prp} | {i for i, at in self.prps.due.items() if at <= now}
            ids |= self.prps.claimed() if look_round else set()
            names = {e.lane for e in happened if e.lane} | {n for n, at in self._lane_at.items() if at <= now}
            tip = self.prps.tip
            if gate_ran:
                self.gate = gate.read(store, self.config)
            for e in happened:
                if e.lane and (lane := self.lanes.get(e.lane)):
                    lane.day.take(e)
            judged = any(e.lane is None and e.event == "verdict" for e in happened)  # of a tree, on whatever lane
            self._read_lanes(store, {*names, *self.lanes} if gate_ran or look_round or judged else names, ask=judged)
            if ids or look_at_tip or look_round:
                changed, gone = self.prps.read(store, ids)
                owed.prps.update(changed, gone)
            if happened or mail or owed.lanes or owed.prps or look_round:
                self.agents.touch()
            if self.agents.due is not None and self.agents.due <= time.time():
                found = self.agents.read(store, self.prps.skew_ms, _held(self.lanes.values()))
                owed.agents.update(a["name"] for a in found)
            self._read_up_to(happened, now, look_round)
            if not (happened or any(owed) or self.prps.tip != tip):
                return None
            self._owed = Owed(set(), set(), set())
            return self._whole_of([reading.event_shape(e) for e in happened], owed)

    def _read_lanes(self, store: Store, names: Iterable[str], *, ask: bool) -> None:
        for lane in (self.lanes[n] for n in names if n in self.lanes):
            if ask:
                lane.day.known.clear()
            if lane.read(store, self.config, self.gate):
                self._owed.lanes.add(lane.name)
            at = lane.due_at()
            self._lane_at.pop(lane.name, None)
            if at is not None:
                self._lane_at[lane.name] = at

    def _whole_of(self, told: list[EventShape], what: Owed) -> ChangeShape:
        shapes = self.prps.shapes
        return {
            "events": told,
            "lanes": [lane.shape for lane in self.lanes.values() if lane.shape and lane.name in what.lanes],
            "prps": [shapes[i] for i in sorted(what.prps) if i in shapes],
            "gone": sorted(i for i in what.prps if i not in shapes),
            "agents": [a for a in self.agents.shapes() if a["name"] in what.agents],
        }

    def _read_up_to(self, happened: list[Event], now: float, look_round: bool) -> None:
        """All that was asked for is read: what is due next, and where the streams stand."""
        for e in happened:
            self.read[PRPS if e.lane is None else stream_of(e.lane)] = e.id
        self._tip_at = [at for at in self._tip_at if at > now]
        if any(e.lane and e.event in LANDS for e in happened):
            self._tip_at = [now + after for after in AFTER_LANDING_S]
        if look_round:
            self._round_at = now + ROUND_S

    def due_in(self) -> float:
        """Seconds until something may change with time alone."""
        due = [self._round_at, *self._tip_at, *self._lane_at.values(), *self.prps.due.values()]
        due += [self.agents.due] if self.agents.due is not None else []
        return max(0.0, min(due) - time.time())

    def look_round(self) -> None:
        """Look at everything that lives with the next change: the store was away."""
        self._round_at = 0.0

    # --- telling -----------------------------------------------------------------------------------------------------
    def cursor(self) -> Cursor:
        return Cursor.at(self.store_mark, (self.prps.tip or "")[:12], self.read)

    def whole(self, store: StoreShape, *, zipped: bool) -> bytes:
        """GET /api/state. The PRPs of one moment are written once, however many ask."""
        with self.lock:
            if self._told is None or self._told_store != store:
                self._told, self._told_store = self._tell(store), store
            return self._told[1] if zipped else self._told[0]

    def _tell(self, store: StoreShape) -> tuple[bytes, bytes]:
        head = {
            "schema": SCHEMA,
            "project": self.config.project,
            "now": ops.iso(time.time() * 1000),
            "cursor": str(self.cursor()),
            "store": store,
            "agents": self.agents.shapes(),
            "lanes": [lane.shape for lane in self.lanes.values() if lane.shape],
            "retention": {"oldest": self.oldest_ms and ops.iso(self.oldest_ms)},
        }
        plain = dump(head)[:-1] + b',"prps":' + self.prps.json() + b"}"
        return plain, gzip.compress(plain, ZIP)

    def since(self, happened: list[Event]) -> ChangeShape:
        """What a page that was away has to know besides these events: all lanes and agents, and the PRPs that the
        events name or somebody has."""
        ids = {e.prp for e in happened if e.prp} | self.prps.claimed()
        everything = Owed(set(self.lanes), ids, set(self.agents.names()))
        return self._whole_of([reading.event_shape(e) for e in happened], everything)


def used(store: Store, config: Config) -> list[str]:
    """Lanes that are named in prp.toml or were ever used. Raises StoreDown."""
    client: Any = store.redis
    with store.faults():
        names = client.smembers(store.keys.lanes)
    plain = [b for b in config.lanes if not set(b) & set("*?[")]
    return list(dict.fromkeys([*plain, *sorted(names)]))


def _positions(store: Store, lanes: list[str]) -> tuple[str, dict[str, str], int | None]:
    """Which store it is, the last id of each stream, and when the oldest event was. Raises StoreDown."""
    client: Any = store.redis
    keys = {PRPS: store.keys.events, **{stream_of(n): store.keys.lane(n).log for n in lanes}}
    with store.faults():
        pipe = client.pipeline(transaction=True)
        pipe.hmget(store.keys.meta, "store_id", "epoch", "created")
        for key in keys.values():
            pipe.xrevrange(key, "+", "-", count=1)
            pipe.xrange(key, "-", "+", count=1)
        meta, *rows = pipe.execute()
    read = {s: found[0][0] if found else NOTHING for s, found in zip(keys, rows[::2], strict=True)}
    firsts = [int(found[0][0].partition("-")[0]) for found in rows[1::2] if found]
    return mark(*(str(m or "") for m in meta)), read, min(firsts, default=None)


def _held(lanes: Iterable[Lane]) -> Iterable[tuple[str, Any]]:
    return (one for lane in lanes for one in lane.held())
