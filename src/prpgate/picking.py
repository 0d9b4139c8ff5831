"""What can be had, what stands in the way, and what a taker should know: the script `prp_next`, asked in three ways."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from . import live, milestone, record
from .errors import CouldNotTell
from .messages import claims as say
from .messages import prps as words
from .model import IN_PROGRESS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .live import PrpState
    from .milestone import Context

RESERVE_S = 10  # how long a picked PRP waits for its line before the next one may pick it
MOST = 50  # of each kind that a list shows
LETTERS = {"in_progress": "I", "completing": "C", "landed": "L"}
REFUSED_ANYWAY = ("status", "claimed", "assigned")  # what a start is refused for, and need not be warned of


def ask(ctx: Context, mode: str, *, domain: Sequence[str] = (), **more: Any) -> dict[str, Any]:
    """One call of prp_next, in one round trip. An index that is missing is built first. Raises StoreDown."""
    wip = ctx.config.wip
    limits: dict[str, Any] = {
        "agent": wip.per_agent,
        "total": wip.total,
        "waiting": wip.waiting_to_land,
        "status": {LETTERS[name]: n for name, n in wip.per_status.items()},
        "areas": [list(area) for area in wip.per_area],
    }
    shape: dict[str, Any] = {
        "mode": mode,
        "me": json.loads(milestone.me(ctx, "")),
        "reserve": RESERVE_S * 1000,
        "most": MOST,
        "limits": {name: value for name, value in limits.items() if value is not None},
        "closed": "1" if wip.when_closed == "wait" else "",
        **({"domain": list(domain)} if domain else {}),
        **more,
    }
    lane = ctx.store.keys.lane(ctx.config.ledger_lane)
    keys, text = [*live.script_keys(ctx.store.keys), lane.s, lane.q], json.dumps(shape, ensure_ascii=False)
    for _ in range(milestone.TRIES):
        answer: dict[str, Any] = ctx.store.run("prp_next", keys, [text])
        if answer["code"] != "unindexed":
            return answer
        index(ctx)
    raise CouldNotTell(words.SYNC_BUSY, code="busy", next_action="prp next")


def index(ctx: Context) -> bool:
    """Build the store's index anew; False: the record moved meanwhile."""
    raw = live.fetch(ctx.store)
    pairs = [x for i, text in raw.recorded.items() for x in (i, record.about(record.parse(i, text)))]
    return bool(ctx.store.run("prp_index", live.script_keys(ctx.store.keys), [raw.cursor or "", *pairs])["ok"])


def many(value: Any) -> list[Any]:
    """A list from a script: the store's JSON writes an empty one as an empty object."""
    return value if isinstance(value, list) else []


def remarks(ctx: Context, prp_id: str) -> list[str]:
    """What `prp next` would pass a PRP over for, as remarks for somebody who starts it all the same."""
    answer = ask(ctx, "why", id=prp_id)
    found = [*many(answer["obstacles"]), *many(answer["general"])]
    return [say.obstacle(o, answer["now"]).text for o in found if o["code"] not in REFUSED_ANYWAY]


def left_behind(ctx: Context, p: PrpState) -> list[str]:
    """What a taker is told: who had it, the branch and its last commit as far as git knows it here, the notes."""
    found = []
    if p.claim is not None and not p.claim.git_dir and p.claim.agent == ctx.agent.name:
        branch = p.claim.branch or ""
        found += [say.handed_over(json.loads(p.claim.raw).get("giver") or "somebody", branch)]
        commit = last_commit(ctx, branch)
        found += [say.last_commit(branch, commit)] if commit else []
        if p.chain and branch not in ("", ctx.repo.branch):
            here = ctx.repo.sha(f"refs/heads/{branch}") is not None
            found += [say.line_on_its_branch(branch, None if here else ctx.config.remote)]
    elif p.status == IN_PROGRESS:
        last = p.marks.get("last") or {}
        branch = last.get("branch") or (p.chain[-1].branch if p.chain else "")
        found.append(words.taken_over(p, branch))
        commit = last_commit(ctx, branch)
        if commit:
            found.append(say.last_commit(branch, commit))
    return found + [say.note_left(n) for n in live.notes(ctx.store, p.id)]


def last_commit(ctx: Context, branch: str) -> str | None:
    """`1a2b3c4d5e subject (2 hours ago)`, of the branch here or as the remote had it; None: it is not here."""
    for ref in (f"refs/heads/{branch}", ctx.repo.tracking(ctx.config.remote, branch)):
        found = (
            ctx.repo.maybe("log", "-1", "--no-show-signature", "--format=%h %s (%cr)", ref, "--") if branch else None
        )
        if found:
            return found
    return None
