"""One lane's last 24 hours, folded from its log: what landed, how it was judged, and how long the lane was held."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..events import order
from ..lane_log import ANNOUNCED
from ..live import iso

if TYPE_CHECKING:
    from ..events import Event
    from .shapes import LandingShape

DAY_MS = 86_400_000
SHOWN = 100  # landings, the newest: a lane is told whole with each of its changes
BEGIN = ("acquire", "claim", "adopt")
WITHIN = (*ANNOUNCED, "release", "expired", "break", "pick-up", "reconcile", "redispatch", "unseen", "not-landed")
LANDED = ("landed", "late", "foreign-push", "merged")
GREEN, RED, UNKNOWN, PENDING, NONE = "green", "red", "unknown", "pending", "none"


class Landing(NamedTuple):
    """A commit that reached the lane."""

    sha: str
    at_ms: int
    agent: str | None
    begun_ms: int | None  # of the hold under which it came
    ended_ms: int | None


class Known(NamedTuple):
    """What the store has on record of a landing."""

    agent: str | None = None
    prps: tuple[str, ...] = ()
    verdict: str | None = None


class Day:
    """Fed with every event of one lane, oldest first. One that was taken already is passed over."""

    def __init__(self) -> None:
        self.landings: dict[str, Landing] = {}
        self.verdicts: dict[str, tuple[int, str]] = {}
        self.known: dict[str, Known] = {}  # kept by whoever reads the records
        self._holds: list[tuple[int, int]] = []  # (from, to), in ms of the store's clock
        self._begun: int | None = None
        self._taken = (0, 0)

    def take(self, e: Event) -> None:
        if order(e.id) <= self._taken:
            return
        self._taken = order(e.id)
        if e.event in BEGIN:
            if self._begun is None or e.event != "adopt":  # CI goes on with the hold that pushed
                self._begun = e.at_ms
                self._holds.append((e.at_ms, e.at_ms))
        elif e.event in LANDED or e.event in WITHIN or (e.event == "verdict" and not e.detail.startswith("late ")):
            self._goes_on(e)
        if e.event in ("release", "expired", "break"):
            self._begun = None
        if e.event == "verdict" and e.sha:
            word = e.detail.removeprefix("late ").removeprefix("candidate ")
            if "(" not in word:  # "red (1)": it is tried again
                self.verdicts[e.sha] = (e.at_ms, word.partition(" ")[0])
                self.known.pop(e.sha, None)
        if e.event in LANDED and e.sha:
            if e.event == "merged":  # the host made another commit of what was announced
                self.landings.pop(e.detail, None)
            begun = None if e.event == "foreign-push" else self._begun
            before = self.landings.pop(e.sha, None)
            agent = e.agent or (before and before.agent)
            self.landings[e.sha] = Landing(e.sha, e.at_ms, agent or None, begun, begun and e.at_ms)

    def _goes_on(self, e: Event) -> None:
        if self._begun is None or not self._holds:
            return
        self._holds[-1] = (self._holds[-1][0], e.at_ms)
        landing = self.landings.get(e.sha or "")
        if landing and landing.begun_ms == self._begun:
            self.landings[landing.sha] = landing._replace(ended_ms=e.at_ms)

    def forget(self, now_ms: float) -> None:
        """Leave out what is older than a day."""
        since = now_ms - DAY_MS
        self.landings = {sha: one for sha, one in self.landings.items() if one.at_ms >= since}
        self.verdicts = {sha: one for sha, one in self.verdicts.items() if one[0] >= since}
        self.known = {sha: one for sha, one in self.known.items() if sha in self.landings}
        self._holds = [one for one in self._holds if one[1] >= since]

    def unread(self) -> list[str]:
        """Shown landings whose record was not read, or has changed since."""
        return [sha for sha in list(self.landings)[-SHOWN:] if sha not in self.known]

    def today(self, now_ms: float, in_ci: str | None, *, gated: bool = True) -> list[LandingShape]:
        """The newest landings, oldest first. `in_ci`: the commit that CI is busy with. `gated`: somebody judges."""
        self.forget(now_ms)
        return [self._shape(one, in_ci, gated) for one in list(self.landings.values())[-SHOWN:]]

    def _shape(self, one: Landing, in_ci: str | None, gated: bool) -> LandingShape:
        known = self.known.get(one.sha, Known())
        verdict = known.verdict or self.verdicts.get(one.sha, (0, ""))[1]
        if verdict not in (GREEN, RED):
            verdict = PENDING if one.sha == in_ci else UNKNOWN if gated or verdict else NONE
        took = None if one.begun_ms is None or one.ended_ms is None else (one.ended_ms - one.begun_ms) / 1000
        return {
            "sha": one.sha,
            "time": iso(one.at_ms),
            "verdict": verdict,
            "agent": one.agent or known.agent,
            "prps": list(known.prps),
            "duration_s": took,
        }

    def utilisation(self, now_ms: float, *, held: bool) -> float:
        """The share of the last 24 hours in which somebody held the lane. `held`: somebody does now."""
        spans = list(self._holds)
        if held and self._begun is not None and spans:
            spans[-1] = (spans[-1][0], int(now_ms))
        since = now_ms - DAY_MS
        busy = sum(max(0, min(end, now_ms) - max(begin, since)) for begin, end in spans)
        return round(min(1.0, busy / DAY_MS), 4)
