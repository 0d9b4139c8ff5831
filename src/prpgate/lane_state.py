"""What stands in one lane, as values: holder, line, closed sign, records. Times are milliseconds on the store's clock,
always as "ago" or "left" at the moment of the answer, so that no two clocks are ever compared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, overload

from .model import Intent

FREE, OFFERED, HELD, RECONCILING = "free", "offered", "held", "reconciling"
CLAIMED, INTENT, ACCEPTING, LANDED, SMOKING = "claimed", "intent", "accepting", "landed", "smoking"
CANDIDATE = "candidate"  # what people are told of a claimed hold whose commit CI is to prove; SMOKING once a run has it
WAITING, RESERVED = "waiting", "reserved"
RED, PERSON = "red", "person"


class Holder(NamedTuple):
    """Who has the lane, or is offered it. While CI runs on a landing, agent, prp and sha are the landing's."""

    id: str  # the hold's id; a ticket's while the lane is offered
    ticket: str | None
    agent: str
    host: str
    pid: int
    op: str
    prp: str | None
    sha: str | None
    phase: str | None
    since_ms: float  # ago: since it is held, has landed, or is in CI
    deadline_ms: float  # left; below zero when overdue
    cap_ms: float | None  # left until no renewal helps; None for an offer
    hotfix: str | None = None  # why it went before everybody else

    @property
    def overdue(self) -> bool:
        return self.deadline_ms <= 0


class Place(NamedTuple):
    """One ticket in the line."""

    position: int  # from 1
    id: str
    agent: str
    host: str
    op: str
    prp: str | None
    kind: str  # WAITING: there, and asks again and again; RESERVED: kept for somebody who is not there
    since_ms: float
    reserved_ms: float  # left; 0 without a reservation
    hotfix: str | None = None  # why it goes before everybody else


class Line(Sequence[Place]):
    """The tickets in order. Read when somebody looks at them: most answers are about the caller only."""

    def __init__(self, now_ms: int, raw: list[tuple[str, str, float, str]]) -> None:
        self._now_ms, self._raw = now_ms, raw

    def __len__(self) -> int:
        return len(self._raw)

    @overload
    def __getitem__(self, at: int) -> Place: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Place]: ...
    def __getitem__(self, at: int | slice) -> Place | Sequence[Place]:
        if isinstance(at, slice):
            return tuple(self[n] for n in range(*at.indices(len(self))))
        ticket, kind, reserved_ms, raw = self._raw[at]
        who = json.loads(raw)
        return Place(
            position=range(1, len(self) + 1)[at],
            id=ticket,
            agent=who.get("agent") or "",
            host=who.get("host") or "",
            op=who.get("op") or "",
            prp=who.get("prp"),
            kind=kind,
            since_ms=self._now_ms - who.get("since", self._now_ms),
            reserved_ms=reserved_ms,
            hotfix=who.get("hotfix"),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Line) and (self._now_ms, self._raw) == (other._now_ms, other._raw)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(tuple(self))


class NotTold(Sequence[Place]):
    """The line in an answer that leaves it out. Whoever needs it asks for the state; this must not pass for empty."""

    def __len__(self) -> int:
        raise LookupError("this answer does not say who is in line")

    @overload
    def __getitem__(self, at: int) -> Place: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Place]: ...
    def __getitem__(self, at: int | slice) -> Place | Sequence[Place]:
        raise LookupError("this answer does not say who is in line")

    def __repr__(self) -> str:
        return "NotTold()"


NOT_TOLD = NotTold()


class Closing(NamedTuple):
    """Why a lane takes only fixes."""

    by: str
    kind: str  # RED or PERSON
    reason: str
    since_ms: float
    culprit_sha: str | None
    culprit_agent: str | None
    culprit_prp: str | None


class Kept(NamedTuple):
    """An intent whose push may still land, for as long as the tip is its base."""

    head: str
    base: str
    agent: str


class Candidate(NamedTuple):
    """The commit of a hold that is smoked on a branch of its own before it lands (gate ci-first)."""

    head: str
    left_ms: float  # until the next word of CI is due; below zero when overdue
    run_url: str | None  # of the run that picked it up, or judged it
    result: str | None  # green, red or unknown, once it is judged
    reason: str


class Pulled(NamedTuple):
    """A pull request that is being merged, or may still be: it lands as a commit that the host makes."""

    number: int
    head: str
    base: str
    tree: str  # of that commit, when the base is still the tip
    sha: str = ""  # that commit, where the host said so


class LaneState(NamedTuple):
    """A lane at one moment."""

    name: str
    state: str
    phase: str | None
    fence: int  # the newest ever given; `break` wants exactly this one
    holder: Holder | None
    intent: Intent | None  # base is "" for a commit that CI looks at without anybody's intent
    queue: Sequence[Place]  # NOT_TOLD to who holds, releases or reports, nor the two times below (None)
    closed: Closing | None
    seen: str | None  # the tip up to which every commit has been attributed
    looker: str | None  # the agent who looks, while reconciling
    look_ms: float  # left to that look
    kept: tuple[Kept, ...]
    window_ms: float  # left of a grace window, 0 without one
    hold_p50_ms: float | None  # how long the last holds took
    hold_p90_ms: float | None
    run_url: str | None
    dispatched: bool = False  # another run was started by hand for this landing; that is done once
    candidate: Candidate | None = None
    pulls: tuple[Pulled, ...] = ()  # of the intent and the kept ones, those that are pull requests

    @property
    def needs_look(self) -> bool:
        """A push's outcome is unknown and nobody looks: whoever reaches the remote should."""
        return self.state == RECONCILING and self.looker is None

    @property
    def redispatch_due(self) -> bool:
        """CI did not pick a landing up in time, and nobody has started another run for it yet."""
        overdue = self.holder is not None and self.holder.overdue
        return self.state == HELD and self.phase == LANDED and overdue and not self.dispatched

    def place(self, ticket: str) -> Place | None:
        return next((p for p in self.queue if p.id == ticket), None)


class Record(NamedTuple):
    """What became of one head on one lane."""

    head: str
    record: str  # intent, unseen, not-landed, landed, late, foreign
    agent: str | None
    hold: str | None
    ticket: str | None
    at_ms: int  # server's clock, when the record became what it is
    base: str | None
    fence: int
    tree: str | None
    prp: str | None
    prps: tuple[str, ...]
    code: bool | None
    run_url: str | None
    verdict: str | None
    unproven: bool  # CI could not say


class Standing(NamedTuple):
    """The verdict that stands for a tree under given steps."""

    result: str
    at_ms: int
    by: str
    run_url: str | None
    head: str | None
    proven_ms: int = 0  # when the run ended that proved it: `at_ms`, unless it was inherited


class LogEvent(NamedTuple):
    """One line of a lane's log."""

    id: str  # of the stream; the part before "-" is the server's time in ms
    lane: str
    event: str
    fence: int
    agent: str
    sha: str
    detail: str


def state_of(name: str, raw: dict[str, Any]) -> LaneState:
    """The answer of a script as a value. An empty list arrives as {}, because Lua cannot tell the two apart."""
    h, c, look = raw.get("holder"), raw.get("closed"), raw.get("look") or {}
    phase, tried = raw.get("phase"), raw.get("candidate")
    shown = phase if not tried else SMOKING if raw.get("run_url") else CANDIDATE
    return LaneState(
        name=name,
        state=raw["state"],
        phase=phase,
        fence=int(raw["fence"]),
        holder=h and _holder(h, shown),
        intent=Intent(raw["head"], raw.get("base") or "") if raw.get("head") else None,
        queue=_line(raw),
        closed=c and _closing(c),
        seen=raw.get("seen"),
        looker=look.get("agent"),
        look_ms=look.get("left_ms") or 0,
        kept=tuple(Kept(k["head"], k.get("base") or "", k.get("agent") or "") for k in raw.get("kept") or ()),
        window_ms=raw.get("window_ms") or 0,
        hold_p50_ms=raw.get("p50"),
        hold_p90_ms=raw.get("p90"),
        run_url=raw.get("run_url"),
        dispatched=bool(raw.get("dispatched")),
        candidate=tried and _candidate(tried, raw.get("run_url")),
        pulls=tuple(_pulls(raw)),
    )


def _candidate(c: dict[str, Any], run_url: str | None) -> Candidate:
    return Candidate(c["head"], c["left_ms"], run_url, c.get("result"), c.get("reason") or "")


def _pulls(raw: dict[str, Any]) -> Iterator[Pulled]:
    if mine := raw.get("pull"):
        yield Pulled(int(mine["number"]), raw["head"], raw.get("base") or "", mine.get("tree") or "")
    for one in raw.get("kept") or ():
        if one.get("pull"):
            yield Pulled(int(one["pull"]), one["head"], one.get("base") or "", one.get("tree") or "")


def _line(raw: dict[str, Any]) -> Sequence[Place]:
    if "queue" not in raw:
        return NOT_TOLD
    return Line(raw["now"], raw["queue"]) if raw["queue"] else ()


def _holder(h: dict[str, Any], phase: str | None) -> Holder:
    return Holder(
        id=h["id"],
        ticket=h.get("ticket"),
        agent=h.get("agent") or "",
        host=h.get("host") or "",
        pid=int(h.get("pid") or 0),
        op=h.get("op") or "",
        prp=h.get("prp"),
        sha=h.get("sha"),
        phase=phase,
        since_ms=h["since_ms"],
        deadline_ms=h["deadline_ms"],
        cap_ms=h.get("cap_ms"),
        hotfix=h.get("hotfix"),
    )


def _closing(c: dict[str, Any]) -> Closing:
    return Closing(
        by=c.get("by") or "",
        kind=c["kind"],
        reason=c.get("reason") or "",
        since_ms=c["since_ms"],
        culprit_sha=c.get("sha"),
        culprit_agent=c.get("agent"),
        culprit_prp=c.get("prp"),
    )


def record_of(head: str, raw: dict[str, Any]) -> Record:
    return Record(
        head=head,
        record=raw["record"],
        agent=raw.get("agent"),
        hold=raw.get("hold"),
        ticket=raw.get("ticket"),
        at_ms=int(raw["at"]),
        base=raw.get("base"),
        fence=int(raw.get("fence") or 0),
        tree=raw.get("tree"),
        prp=raw.get("prp"),
        prps=tuple(raw.get("prps") or ()),
        code=raw.get("code"),
        run_url=raw.get("run_url"),
        verdict=raw.get("verdict"),
        unproven=bool(raw.get("unproven")),
    )
