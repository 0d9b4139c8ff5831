"""The live state of PRPs as the store has it: what is effective, who has a claim, what waits for a landing.

Effective is the last line of a PRP's chain of pending milestones if the chain stands on what the lane records, else
the recorded entry. A complete line counts once it is proven; before that the PRP is in progress, "completing" or
"landed". Deadlines are judged by the server's clock.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from redis.exceptions import NoScriptError

from . import record
from .model import COMPLETE, IN_PROGRESS, NEW, VALIDATED, Prp
from .scopes import Held
from .store import scripts
from .store.keys import script_keys as script_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .config import Config
    from .store.client import Store

COMPLETING, LANDED = "completing", "landed"


class Claim(NamedTuple):
    """Who works on a PRP, until when."""

    agent: str
    fence: int
    since: str  # ISO 8601, UTC
    since_ms: int  # of the server's clock
    deadline_s: int  # seconds that are left
    branch: str | None
    host: str
    git_dir: str
    live: bool  # False while the PRP is not in progress: the claim has no effect then
    raw: str  # as the store has it
    suspect: bool  # the lease is over; until `over_s` it is still the agent's, to renew or release
    over_s: int  # seconds until anybody may take the PRP
    reserved: bool  # `prp next` picked the PRP, and its start is on the way
    exclusive: tuple[str, ...]  # globs of paths that nobody else should change


class Line(NamedTuple):
    """A milestone: recorded by the lane, or pending."""

    seal: str  # "0-HHHHHHHH" for an entry without one
    number: int
    status: str
    evidence: bool
    fields: dict[str, Any]  # a pending line: what it changes of the line that it stands on
    on: str = ""  # pending: the seal that it stands on
    agent: str = ""
    branch: str = ""
    verb: str = ""


class PrpState(NamedTuple):
    """One PRP, as it stands for everybody now."""

    id: str
    title: str
    status: str  # effective: complete only when proven
    phase: str | None  # of one that is in progress: None, "completing" or "landed"
    recorded: str | None  # status as the lane records it, None: not recorded
    rev: str | None  # effective seal
    owner: str | None
    priority: str
    depends_on: tuple[str, ...]
    claim: Claim | None
    fields: dict[str, Any]  # as recorded, with the effective milestone fields
    orphaned: list[Line]  # pending milestones that no longer stand on what the lane records
    seal: str  # effective seal, "0-HHHHHHHH" for an entry without one, "" for a PRP that is nowhere
    maxrev: int  # the highest rev number ever seen
    chain: list[Line]  # pending milestones that count
    ids: tuple[str, ...]  # every id that it answers to
    marks: dict[
        str, Any
    ]  # what was said of it: blocked, assigned, phase, last (whose claim ended, and on which branch)

    @property
    def stage(self) -> str | None:
        """The team's own phase of one that is in progress ([phases] in prp.toml)."""
        return str(self.marks["phase"]["name"]) if "phase" in self.marks and self.status == IN_PROGRESS else None


class Note(NamedTuple):
    """A word for whoever works on a PRP next."""

    agent: str
    at: str  # ISO 8601, UTC
    text: str


class State(NamedTuple):
    """All PRPs at one moment."""

    cursor: str | None  # the last lane tip that the store saw; None: an empty store
    prps: dict[str, PrpState]
    now_ms: int  # of the server's clock

    def resolve(self, any_id: str) -> PrpState | None:
        """By id, else by stable or legacy id, else by either without regard to case. None: nobody, or several."""
        if any_id in self.prps:
            return self.prps[any_id]
        found = [p for p in self.prps.values() if any_id in p.ids]
        if not found:
            found = [p for p in self.prps.values() if any_id.casefold() in (a.casefold() for a in p.ids)]
        return found[0] if len(found) == 1 else None


def iso(ms: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ms / 1000))


class Raw(NamedTuple):
    """What the store answers: hashes of JSON texts."""

    now_ms: int
    cursor: str | None
    recorded: dict[str, str]
    pending: dict[str, str]
    claims: dict[str, str]
    unproven: dict[str, str]
    maxrev: dict[str, str]
    meta: dict[str, str]
    marks: dict[str, str]
    landings: dict[str, str]  # the lane's records, when asked for


def fetch(store: Store, lane: str | None = None) -> Raw:
    """Everything in one round trip and one moment; what is overdue has ended first. Raises StoreDown."""
    keys, all_keys = store.keys, script_keys(store.keys)
    for known in (True, False):
        with store.faults():
            pipe: Any = store.redis.pipeline(transaction=True)
            if known:
                pipe.evalsha(scripts.sha("prp_reap"), len(all_keys), *all_keys)
            else:
                pipe.eval(scripts.text("prp_reap"), len(all_keys), *all_keys)
            pipe.get(keys.cursor)
            for name in (keys.recorded, keys.pending, keys.claims, keys.unproven, keys.maxrev, keys.meta, keys.marks):
                pipe.hgetall(name)
            if lane is not None:
                pipe.hgetall(store.keys.lane(lane).rec)
            try:
                got = pipe.execute()
                break
            except NoScriptError:
                if not known:
                    raise
    return Raw(json.loads(got[0])["now"], *got[1:], *([] if lane is not None else [{}]))


def fetch_some(store: Store, ids: Sequence[str]) -> Raw:
    """The same of these PRPs only: what it costs does not grow with the others. Raises StoreDown."""
    keys, all_keys = store.keys, script_keys(store.keys)
    hashes = (keys.recorded, keys.pending, keys.claims, keys.unproven, keys.maxrev, keys.marks)
    now = store.run("prp_reap", all_keys, ())["now"]
    with store.faults():
        pipe: Any = store.redis.pipeline(transaction=True)
        pipe.get(keys.cursor)
        for name in hashes if ids else ():
            pipe.hmget(name, ids)
        cursor, *got = pipe.execute()
    got = got or [[] for _ in hashes]
    recorded, pending, claims, unproven, maxrev, marks = (
        {i: text for i, text in zip(ids, texts, strict=True) if text is not None} for texts in got
    )
    return Raw(now, cursor, recorded, pending, claims, unproven, maxrev, {}, marks, {})


def read_some(store: Store, ids: Sequence[str]) -> State:
    """These PRPs, by their own ids. Raises StoreDown."""
    raw = fetch_some(store, ids)
    return State(raw.cursor, {i: p for i in ids if (p := one(i, raw)) is not None}, raw.now_ms)


RANKS = {VALIDATED: ("1",), IN_PROGRESS: ("2", "4", "5"), NEW: ("3",)}  # of lua/_prp.lua's index, by status


def open_ids(store: Store, statuses: Sequence[str]) -> list[str] | None:
    """Ids of the PRPs that have one of these statuses right now, from the index, in their order.

    None when the index does not tell: it is not there, or complete and deprecated ones are asked for. Raises StoreDown.
    """
    if not statuses or not RANKS.keys() >= set(statuses):
        return None
    with store.faults():
        pipe: Any = store.redis.pipeline(transaction=True)
        pipe.hget(store.keys.meta, "index")
        for rank in sorted(r for status in statuses for r in RANKS[status]):
            pipe.zrangebylex(store.keys.open, f"[{rank}", f"({int(rank) + 1}")
        built, *found = pipe.execute()
    return sorted(place.rpartition("\0")[2] for places in found for place in places) if built == "1" else None


def is_empty(store: Store) -> bool:
    """Whether there is no PRP at all. Raises StoreDown."""
    with store.faults():
        found: Any = store.redis.exists(store.keys.recorded, store.keys.pending)
    return not found


def nobody_called(store: Store, name: str) -> list[str] | None:
    """None when an agent of this name has been seen; else names that have been, 1,000 at most. Raises StoreDown."""
    with store.faults():
        if store.redis.hexists(store.keys.agents, name):
            return None
        some: Any = store.redis.hrandfield(store.keys.agents, 1000)
    return sorted(some)


def notes(store: Store, prp_id: str) -> list[Note]:
    """What agents left for whoever works on the PRP next, oldest first. Raises StoreDown."""
    with store.faults():
        text: Any = store.redis.hget(store.keys.notes, prp_id)
    return [Note(n["agent"], iso(n["at"]), n["text"]) for n in json.loads(text or "[]")]


def lines(text: str | None) -> list[Line]:
    """A chain as the store has it."""
    return [
        Line(
            *(one["seal"], int(one["number"]), one["status"], bool(one["evidence"]), json.loads(one["fields"])),
            *(one["on"], one["agent"], one["branch"], one["verb"]),
        )
        for one in json.loads(text or "[]")
    ]


def dump_line(line: Line) -> str:
    """A pending line as the scripts take it."""
    shape = {**line._asdict(), "fields": json.dumps(line.fields, separators=(",", ":"))}
    # A branch that is no UTF-8 would make the store's JSON reader refuse everything.
    return json.dumps(shape, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace").decode()


def _claim(text: str, now_ms: int, live: bool) -> Claim:
    c = json.loads(text)
    left = max(0, int((c["deadline"] - now_ms) / 1000))
    over = max(0, int((c.get("over", c["deadline"]) - now_ms) / 1000))
    since = int(c["since"])
    return Claim(
        *(c["agent"], int(c["fence"]), iso(since), since, left, c["branch"] or None, c["host"], c["git_dir"]),
        *(live, text, bool(c.get("suspect")), over, bool(c.get("reserved")), tuple(c.get("exclusive") or ())),
    )


def one(prp_id: str, raw: Raw) -> PrpState | None:
    """One PRP's state from what the store answered; None when it is nowhere."""
    text, chain = raw.recorded.get(prp_id), lines(raw.pending.get(prp_id))
    entry = record.parse(prp_id, text) if text else None
    base = Line(entry.seal, entry.number, entry.status, entry.evidence, entry.fields) if entry else None
    stands = bool(chain) and chain[0].on == (base.seal if base else "")
    top = chain[-1] if stands else base
    if top is None:
        return None
    fields = dict(base.fields) if base else {}
    if top is not base:
        for line in chain:
            fields.update(line.fields)
    status, phase = top.status, None
    if status == COMPLETE and top.number and not top.evidence and (stands or prp_id in raw.unproven):
        status, phase = IN_PROGRESS, COMPLETING if stands else LANDED
    claim = raw.claims.get(prp_id)
    view = Prp(prp_id, str(fields.get("title") or ""), status, None, None, fields, "", 0)
    owner = fields.get("owner")
    return PrpState(
        id=prp_id,
        title=view.title,
        status=status,
        phase=phase,
        recorded=entry.status if entry else None,
        rev=top.seal if top.number else None,
        owner=None if owner is None else str(owner),
        priority=view.priority,
        depends_on=view.depends_on,
        claim=_claim(claim, raw.now_ms, status == IN_PROGRESS) if claim else None,
        fields=fields,
        orphaned=[] if stands else chain,
        seal=top.seal,
        maxrev=int(raw.maxrev.get(prp_id, "0")),
        chain=chain if stands else [],
        ids=view.ids,
        marks=json.loads(raw.marks.get(prp_id, "{}")),
    )


def read(store: Store, config: Config) -> State:
    """Every PRP, in one round trip; overdue claims and markers end first, by the server's clock. Raises StoreDown."""
    raw = fetch(store)
    ids = sorted({*raw.recorded, *raw.pending})
    found = {i: p for i in ids if (p := one(i, raw)) is not None}
    return State(raw.cursor, found, raw.now_ms)


def exclusive(state: State, agent: str) -> list[Held]:
    """What others than this agent have for themselves, until when by this machine's clock."""
    now_s = int(time.time())
    others = ((p, p.claim) for p in state.prps.values() if p.claim and p.claim.live and p.claim.agent != agent)
    return [
        Held(now_s + c.deadline_s, p.id, c.agent, glob, now_s + c.over_s) for p, c in others for glob in c.exclusive
    ]


def names(state: State) -> dict[str, str]:
    """Every id that names one PRP, and that one's own: own ids first, then further ones that nobody else has."""
    claimants: dict[str, list[str]] = {}
    for p in state.prps.values():
        for name in p.ids[1:]:
            claimants.setdefault(name, []).append(p.id)
    return {**{n: own[0] for n, own in claimants.items() if len(own) == 1}, **{i: i for i in state.prps}}
