"""Values of the store as the shapes that the dashboard answers."""

from __future__ import annotations

import json
import time
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, cast

from .. import ops
from ..model import COMPLETE, DEPRECATED, IN_PROGRESS, NEW, VALIDATED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..config import Config
    from ..events import Event
    from ..live import Claim, PrpState
    from ..registry import Entry
    from .shapes import AgentShape, EventShape, LeaseShape, PrpShape

DONE = (COMPLETE, DEPRECATED)
TIMES = {
    NEW: ("created_at", "created"),
    VALIDATED: ("validated_at",),
    IN_PROGRESS: ("started_at",),
    COMPLETE: ("completed_at",),
    DEPRECATED: ("deprecated_at",),
}
EVIDENCE = ("github_commit", "ci_run_url", "verdict", "evidence")
LONGEST = 200  # characters of one piece of evidence on the board; the PRP's own page has it whole


def event_shape(e: Event) -> EventShape:
    return cast("EventShape", ops.feed_json(e))


def agent_shape(a: Entry) -> AgentShape:
    return cast("AgentShape", ops.agent_json(a))


def waited_for(p: PrpState) -> list[str]:
    """Ids that stand between a PRP and its start: what it depends on, and the PRP that a block names."""
    named = p.marks.get("blocked", {}).get("waits_for")
    return list(dict.fromkeys([*p.depends_on, *([str(named)] if named else [])]))


def prp_shape(p: PrpState, skew_ms: float, config: Config, unfinished: Callable[[str], str | None]) -> PrpShape:
    """A PRP as the board shows it. `unfinished` says which PRP an id names while that one is not done, else None.
    `skew_ms`: the server's clock is so much ahead of ours."""
    shape: dict[str, Any] = ops.prp_json(p)
    waits = [] if p.status in DONE else [unfinished(i) for i in waited_for(p)]
    shape["blocked_by"] = [i for i in waits if i is not None]
    shape["lease"] = p.claim and lease(p.claim, skew_ms)
    shape["since"] = since(p)
    shape["evidence"] = evidence(p.fields)
    shape["domain"] = domain(p.id, config)
    return cast("PrpShape", shape)


def lease(claim: Claim, skew_ms: float) -> LeaseShape:
    """Until when a claim stands. A suspect one is over already; it ends when anybody may take the PRP."""
    ends = over_ms(claim) - skew_ms
    age_s = time.time() - (claim.since_ms - skew_ms) / 1000
    return {"until": ops.iso(ends), "suspect": claim.suspect, "age_s": max(0, int(age_s))}


def over_ms(claim: Claim) -> int:
    """When a claim becomes suspect, or ends when it is suspect: by the server's clock."""
    kept = json.loads(claim.raw)
    return int(kept.get("over", kept["deadline"]) if claim.suspect else kept["deadline"])


def since(p: PrpState) -> str | None:
    """When the present status began, as the entry says. Texts of old ledgers are as they were written."""
    return next((str(p.fields[k]) for k in TIMES.get(p.status, ()) if p.fields.get(k)), None)


def evidence(fields: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for key in EVIDENCE:
        value = fields.get(key)
        for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]:
            if one not in (None, ""):
                found.append(str(one)[:LONGEST])
    return found[:8]


def domain(prp_id: str, config: Config) -> str | None:
    """Whose it is by [domains] in prp.toml."""
    return next((who for who, globs in config.domains.items() if any(fnmatchcase(prp_id, g) for g in globs)), None)
