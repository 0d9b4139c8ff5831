"""The dashboard's picture of the project: filled from the store in a few round trips, changed by events."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

from .. import events, live, ops, registry
from ..messages.land import turn
from . import reading
from .shapes import SCHEMA

if TYPE_CHECKING:
    from ..ops import Session
    from .shapes import LaneShape, StateShape


def lane_shape(session: Session, name: str) -> LaneShape:
    state = session.lock(name).state()
    shape: dict[str, Any] = ops.lane_json(state)
    for place, told in zip(state.queue, shape["queue"], strict=True):
        when = turn(state, place.position)
        told["eta_s"] = None if when is None else round(when[0], 1)
        told["reserved"] = place.kind == "reserved"
    shape["today"] = []
    shape["gate"] = {"budget_s": 180, "runs": [], "p50_s": None, "p95_s": None}
    shape["utilisation"] = 0.0
    return cast("LaneShape", shape)


def whole(session: Session) -> StateShape:
    """Everything that the page shows. Raises StoreDown."""
    store, config = session.store(), session.config
    state = live.read(store, config)
    names = live.names(state)

    def waits(prp_id: str) -> str | None:
        own = names.get(prp_id)
        return prp_id if own is None else own if state.prps[own].status not in reading.DONE else None

    lanes = session.lanes()
    oldest = events.tail(store, 1)
    return {
        "schema": SCHEMA,
        "project": config.project,
        "now": ops.iso(time.time() * 1000),
        "cursor": oldest[-1].id if oldest else "0-0",
        "store": {"connected": True, "message": ""},
        "agents": [reading.agent_shape(a) for a in registry.agents(store, config, lanes)],
        "prps": [reading.prp_shape(p, state.now_ms, config, waits) for p in state.prps.values()],
        "lanes": [lane_shape(session, name) for name in lanes],
        "retention": {"oldest": None},
    }
