"""The merge lock with what gate ci-first asks of it: a commit is smoked on a branch of its own before it lands.

The hold stays what it is, `claimed`, with a candidate beside it: nothing was pushed to the lane, so it ends as any hold
without an intent does, by release or by its lease. docs/lane.md has the rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .lock import MergeLock
from .outcomes import Closed, Granted, Judged, Lost, Redispatch

if TYPE_CHECKING:
    from .outcomes import Lease


KLASS = "ci"


class Offer(NamedTuple):
    """A commit on its candidate branch, and what its verdict has to be about."""

    lane: str
    branch: str
    fence: int
    head: str
    tree: str
    steps: str

    @property
    def key(self) -> str:
        return f"{self.tree}:{self.steps}:{KLASS}"


class Sight(NamedTuple):
    """What is known of a candidate at one moment."""

    result: str | None  # green, red, unknown; None: not judged yet
    reason: str = ""
    run_url: str | None = None  # of the run that has it, or that judged it
    left_s: float = 0.0  # until the next look, if nobody wakes us


class Waited(NamedTuple):
    """A candidate that somebody waits for: all that a CI run needs to speak of it."""

    lane: str
    fence: int
    head: str
    left_ms: float


class CandidateLock(MergeLock):
    """The merge lock of one lane in one store, for landers and CI runs under gate ci-first."""

    # --- the lander --------------------------------------------------------------------------------------------------
    def candidate(self, lease: Lease, head: str, key: str, fixer: bool = False) -> Granted | Closed | Lost:
        """Say which commit is about to be smoked; `key` is "tree:steps:class" of the verdict that is waited for. The
        hold's cap is then CI's, and a lease more for the push. Closed: the lock is still held; give it back."""
        from .lock import boottime_s

        begun = boottime_s()
        raw = self._run("candidate", fence=str(lease.fence), head=head, key=key, fixer=fixer)
        if raw["outcome"] == "closed":
            return Closed(self._state(raw))
        return self._lease_or_lost(raw, lease.hold, begun, lease.fence)

    def start_due(self, fence: int, head: str) -> Redispatch | None:
        """Nobody has picked the candidate up in time: its lander is to start a run, once. None: that is not due, was
        done, or would be too late."""
        raw = self._run("redispatch", fence=str(fence), head=head)
        return Redispatch(raw["head"], self._state(raw)) if raw["outcome"] == "redispatch" else None

    # --- CI ----------------------------------------------------------------------------------------------------------
    def pick_up(self, fence: int, head: str, run_url: str, tried: str | None = None) -> Granted | Lost:
        """A run has the candidate, or is still at it. Lost: nobody waits for it any more, or it is judged. The lease
        that this answers is no hold: its deadline is when the run's next word is due. `tried` as in `ci_renew`."""
        return self._granted("pick_up", run_url, fence=str(fence), head=head, run_url=run_url, tried=tried)

    def proof(
        self,
        fence: int,
        head: str,
        key: str,
        result: str,
        *,
        by: str,
        reason: str,
        run_url: str | None,
        proven: int | None = None,
    ) -> Judged:
        """What became of the candidate: green, red or unknown. The first word stands, and the lander is woken.
        `proven` as in `verdict`."""
        told = {"key": key, "result": result, "by": by, "reason": reason, "run_url": run_url, "proven": proven}
        raw = self._run("proof", fence=str(fence), head=head, **told)
        return Judged(raw["written"], raw.get("stands"), False, self._state(raw))

    def waited(self, fence: int, head: str) -> Waited | None:
        """The candidate of this lane's hold, if it is exactly this one and nobody has judged it."""
        state = self.state()
        found = state.candidate
        if found is None or state.fence != fence or found.head != head or found.result is not None:
            return None
        return Waited(self.lane, fence, head, found.left_ms)
