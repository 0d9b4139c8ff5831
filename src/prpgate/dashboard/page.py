"""GET /api/prp/{id}: everything about one PRP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from .. import history, ops, sync
from ..gitrepo import Repo
from . import document
from .shapes import SCHEMA

if TYPE_CHECKING:
    from .feed import Feed
    from .shapes import MomentShape, PrpPageShape

MOMENTS = 200


def read(feed: Feed, any_id: str) -> PrpPageShape | None:
    """None: there is no such PRP. Raises StoreDown."""
    board, config = feed.board, feed.session.config
    with board.lock:
        found = board.prps.find(any_id)
        shape: dict[str, Any] = dict(board.prps.shapes[found.id]) if found else {}
    if found is None:
        return None
    repo = Repo.found(feed.session.repo.path)  # of its own: what a Repo keeps is for one thread
    tip = sync.lane_tip(repo, config).tip
    told = history.history(repo, feed.store, config, tip, found.id, count=MOMENTS)
    moments = [cast("MomentShape", {**m._asdict(), "time": ops.iso(m.at_ms)}) for m in told.moments]
    whole = {**_plain(found.fields), **shape}
    return {"schema": SCHEMA, "prp": whole, "history": moments, "document": document.read(repo, found.fields)}


def _plain(value: Any) -> Any:
    """Fields as JSON has them: an entry may hold a date, or a number that JSON cannot say."""
    return json.loads(json.dumps(value, default=str, allow_nan=True), parse_constant=str)
