"""What the dashboard's server answers, key by key. Keys are only added within schema 1.

Times are ISO 8601, UTC; durations are seconds. Every text is plain text.
"""

from __future__ import annotations

from typing import Any, TypedDict

SCHEMA = 1


# --- what happened ----------------------------------------------------------------------------------------------------
class EventShape(TypedDict):
    """One event, as `prp watch --json` tells it. `lane` is null for events of PRPs."""

    id: str
    time: str
    lane: str | None
    event: str
    prp: str | None
    agent: str | None
    fence: int | None
    sha: str | None
    detail: str
    to: str | None


# --- lanes ------------------------------------------------------------------------------------------------------------
class HolderShape(TypedDict):
    """Who has the lane."""

    agent: str
    host: str
    prp: str | None
    sha: str | None
    phase: str | None
    hotfix: str | None
    candidate: str | None
    run_url: str | None
    since: str
    deadline: str


class PlaceShape(TypedDict):
    """A place in the lane's line."""

    position: int
    agent: str
    since: str
    kind: str  # waiting, reserved or hotfix
    reason: str | None
    reserved: bool  # kept for somebody who is not there now
    eta_s: float | None  # until its turn, as holds here usually take; null: nobody knows


class CulpritShape(TypedDict):
    """The landing that broke a lane."""

    sha: str
    agent: str | None
    prp: str | None


class ClosedShape(TypedDict):
    """Why a lane takes only fixes."""

    by: str
    reason: str
    since: str
    culprit: CulpritShape | None


class LandingShape(TypedDict):
    """One landing of the last 24 hours, oldest first."""

    sha: str
    time: str
    verdict: str  # green, red, unknown, pending, or none: this lane has no gate
    agent: str | None
    prps: list[str]
    duration_s: float | None  # from the grant to the end of the hold


class GateRunShape(TypedDict):
    """One run of the smoke gate."""

    time: str
    seconds: float
    result: str


class GateShape(TypedDict):
    """How long the gate takes, oldest run first."""

    budget_s: int
    runs: list[GateRunShape]
    p50_s: float | None
    p95_s: float | None


class LaneShape(TypedDict):
    """A lane."""

    name: str
    state: str  # free, offered, held or reconciling
    holder: HolderShape | None
    fence: int
    queue: list[PlaceShape]
    closed: ClosedShape | None
    today: list[LandingShape]
    gate: GateShape
    utilisation: float  # 0..1: how much of the last 24 hours the lane was held


# --- PRPs -------------------------------------------------------------------------------------------------------------
class ClaimShape(TypedDict):
    """Who works on a PRP."""

    agent: str
    fence: int
    since: str
    lease_s: int
    branch: str | None
    host: str
    live: bool
    suspect: bool


class LeaseShape(TypedDict):
    """How long a claim still stands."""

    until: str
    suspect: bool
    age_s: int  # since the claim was taken


class PrpShape(TypedDict):
    """A PRP on the board."""

    id: str
    title: str
    status: str  # new, validated, in_progress, complete or deprecated
    recorded: str | None
    owner: str | None
    rev: str | None
    depends_on: list[str]
    priority: str
    claim: ClaimShape | None
    phase: str | None
    blocked: str | None
    assigned: str | None
    lease: LeaseShape | None
    since: str | None  # of the present status
    blocked_by: list[str]  # what it waits for: dependencies that are not done, and the PRP that a block names
    evidence: list[str]
    domain: str | None


class MomentShape(TypedDict):
    """One moment of a PRP, as `prp history --json` tells it."""

    at_ms: int
    time: str
    kind: str  # commit, landing, event or verdict
    what: str  # the event's name, or what the commit did to the entry
    agent: str | None
    sha: str | None
    detail: str
    status: str | None  # a commit: what the entry says then
    in_lane: bool | None  # a commit: whether the lane has it


class DocumentShape(TypedDict):
    """The PRP's document, a file of the repository."""

    path: str
    text: str
    truncated: bool


class PrpPageShape(TypedDict):
    """GET /api/prp/{id}"""

    schema: int
    prp: dict[str, Any]  # every recorded field, and PrpShape
    history: list[MomentShape]
    document: DocumentShape | None


# --- agents -----------------------------------------------------------------------------------------------------------
class HeldShape(TypedDict):
    """What an agent has in hand."""

    what: str  # claim, lane or line
    name: str
    detail: str
    left_s: int | None


class AgentShape(TypedDict):
    """An agent."""

    name: str
    kind: str | None
    roles: list[str]
    domain: list[str]
    host: str
    worktree: str | None
    seen: str
    silent: bool
    suspect: bool
    holds: list[HeldShape]
    unread: int


# --- answers ----------------------------------------------------------------------------------------------------------
class RetentionShape(TypedDict):
    """How far back the store's streams go."""

    oldest: str | None


class StoreShape(TypedDict):
    """Whether the store answers."""

    connected: bool
    message: str
    next_action: str | None  # what to type


class StateShape(TypedDict):
    """GET /api/state"""

    schema: int
    project: str
    now: str
    cursor: str
    store: StoreShape
    agents: list[AgentShape]
    prps: list[PrpShape]
    lanes: list[LaneShape]
    retention: RetentionShape


class ChangeShape(TypedDict):
    """`event: change` of GET /events: what happened, and everything that it changed, whole."""

    events: list[EventShape]
    lanes: list[LaneShape]
    prps: list[PrpShape]
    gone: list[str]
    agents: list[AgentShape]


class EventsShape(TypedDict):
    """GET /api/events"""

    schema: int
    events: list[EventShape]
    next: str | None  # cursor of the next page


class ErrorShape(TypedDict):
    """Any answer of /api that is not 200."""

    schema: int
    error: dict[str, str | None]  # code, message, hint
