"""Who contends for a lane's merge lock, what it gives, and what it answers: outcomes are types, not codes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .lane_state import LaneState, LogEvent

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # macOS: its CLOCK_MONOTONIC counts sleep


def boottime_s() -> float:
    """Seconds on a clock that goes on while the machine sleeps, as the store's does."""
    return time.clock_gettime(_CLOCK)


class Who(NamedTuple):
    """A contender. One ticket (place in the line) may serve several holds, one after the other."""

    ticket: str
    hold: str
    agent: str
    host: str
    pid: int
    op: str  # "push", "land", "server", "ci", "reconcile"
    prp: str | None
    sha: str | None
    hotfix: str | None = None  # why this goes before everybody else; only `prp land --hotfix` says so


class Lease(NamedTuple):
    """A right to push, until `safe_until`. Only this module makes one; what pushes takes it as a parameter."""

    lane: str
    fence: int
    hold: str
    deadline_ms: float  # left when the store answered
    cap_ms: float
    safe_until: float  # on boottime_s(): counted from before the store was asked, so never later than the deadline

    @property
    def left_s(self) -> float:
        """Seconds until it is no longer sure that the lane is held. Do not begin a push that this cannot cover."""
        return self.safe_until - boottime_s()


class LookLease(NamedTuple):
    """The right to say what became of somebody's push. The look is at the remote, after this was granted."""

    lane: str
    fence: int
    hold: str
    safe_until: float


class Made(NamedTuple):
    """A commit of the lane that the host made of a pull request's head."""

    head: str
    sha: str
    base: str  # what it stands on
    tree: str


class Look(NamedTuple):
    """What was seen at the remote. Read the lane's state first and the remote after it."""

    tip: str | None  # None: the branch is not there
    since: str  # `seen` of the state that it was computed from, "" for none
    heads: list[str]  # known heads (the intent's, kept ones) that the tip contains
    foreign: list[str]  # other first-parent commits between `since` and the tip, oldest first
    moved: list[str]  # kept heads that the tip does not contain and whose base it has left
    made: list[Made] | None = None  # heads of pull requests that are in as another commit, which the lists above name


class Granted(NamedTuple):
    """The lane is held, under the lease's fence."""

    lease: Lease
    state: LaneState


class Queued(NamedTuple):
    """In line, and there. Ask again before `alive_ms` is over."""

    position: int
    state: LaneState


class Window(NamedTuple):
    """The lane is kept for somebody before this push, for so long; then it may be had. Nothing lands meanwhile."""

    ms_left: float
    state: LaneState


class Moved(NamedTuple):
    """The lane's tip is another than the caller compared its base with: compare again."""

    state: LaneState


class Refused(NamedTuple):
    """A plain push cannot wait. Its place in the line is kept for so long."""

    position: int
    reserved_ms: float
    state: LaneState


class Closed(NamedTuple):
    """The lane takes only fixes. A place in the line is kept as ever."""

    state: LaneState


class Lost(NamedTuple):
    """The fence is not current, or this is not what the hold is at. `ended` says what ended it, where the log knows."""

    state: LaneState
    ended: LogEvent | None = None


class Done(NamedTuple):
    state: LaneState


class Reported(NamedTuple):
    """What is now on record for the head: landed, late, unseen or not-landed."""

    record: str
    state: LaneState
    attributed: bool = True  # False: somebody else moved `seen` meanwhile, so the next look attributes the rest


class Apart(NamedTuple):
    """A CI run goes on without the lane."""

    state: LaneState


class Judged(NamedTuple):
    """What came of a verdict: whether it was written, and which one stands (None for none)."""

    written: bool
    stands: str | None
    again: bool  # the lane waits for another run
    state: LaneState


class Redispatch(NamedTuple):
    """Start a run for this head: nobody else will."""

    head: str
    state: LaneState
