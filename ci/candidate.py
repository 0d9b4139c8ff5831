"""A run on a candidate branch (gate ci-first): it tells the landing that waits for it, and nobody else.

The lane's lock stays the lander's. The run says that it has the candidate, says again and again that it is still at it,
and gives its verdict, all under the fence that is the branch's name: once that landing is over nobody hears of it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from hold import AGENT, KLASS, STORE_S, TELL_S, Hold, LaneHold, address, silent

from prpgate import events, gate_runs, notify, policy, prps
from prpgate.candidate_lock import CandidateLock
from prpgate.errors import CouldNotTell, UserError
from prpgate.gitrepo import lane_of
from prpgate.lock import Granted, Lost
from prpgate.messages import candidates as say
from prpgate.messages import smoke as smoke_say
from prpgate.model import Verdict
from prpgate.smoke import UNKNOWN
from prpgate.store.client import connect

if TYPE_CHECKING:
    import runner

    from prpgate.config import Config
    from prpgate.gitrepo import Repo
    from prpgate.store.client import Store


EVENTS = ("push", "workflow_dispatch")


class CandidateHold(LaneHold):
    """This run speaks of a candidate that a landing waits for."""

    def __init__(
        self, config: Config, repo: Repo, event: runner.Event, name: str, head: str, store: Store, number: int
    ) -> None:
        super().__init__(config, repo, event, name, head, store)
        self.number = number

    def adopt(self) -> Self:
        """Say that this run has it. Raises CouldNotTell when nobody waits for it any more."""
        answer = self._alive(self.store)
        if isinstance(answer, Lost):
            raise CouldNotTell(say.nobody_waits(self.config.candidate(self.number)), code="stale")
        self.lease, self.fence = answer.lease, str(self.number)
        self.until = time.monotonic() + (answer.lease.cap_ms - self.config.times.lease_ms) / 1000
        self.renewing.start()
        self.why = say.taken(self.name, self.config.candidate(self.number))
        return self

    def _alive(self, store: Store, tried: str | None = None) -> Granted | Lost:
        lock = CandidateLock(store, self.name, self.config.times)
        return lock.pick_up(self.number, self.head, self.event.run_url, tried)

    def _give(self, result: str, reason: str) -> str:
        judged = CandidateLock(self.store, self.name, self.config.times).proof(
            *(self.number, self.head, f"{self.tree}:{self.steps}:{KLASS}", result),
            by=AGENT,
            reason=reason,
            run_url=self.event.run_url,
            proven=self._proven(result),
        )
        if judged.written:
            verdict = Verdict(self.tree, self.steps, KLASS, result)
            about = {"agent": AGENT, "sha": self.head, "run_url": self.event.run_url}
            prps.note_verdict(self.store, verdict, **about, proven_ms=self._proven(result))
        gate_runs.keep(lambda: self._note_runs(result))
        if result != UNKNOWN:  # a cancelled run has seconds left
            self._notify()
        return say.told(self.name, result, judged.stands, judged.written)

    def _notify(self) -> None:
        """Tell people, as the lane's prp.toml says: the candidate's own has not landed."""
        tip = self.repo.known_tip(self.config.remote, self.name)
        settings = policy.at(self.repo, tip) if tip else None
        if settings and settings.notifies:
            notify.once(self.repo, settings, self.store, most_s=TELL_S)


def take(config: Config, repo: Repo, event: runner.Event, number: int, head: str) -> Hold:
    """The landing that waits for this candidate. Without a store the run goes on and says so; where the store knows of
    no such landing CouldNotTell is raised: what nobody waits for is not worth a run."""
    if not config.store_url and not address():
        return Hold(smoke_say.NO_STORE)
    store = None
    try:
        store = connect(config, repo.top, timeout_s=STORE_S, start=False)
        for name in events.lanes(store):
            if CandidateLock(store, name, config.times).waited(number, head):
                return CandidateHold(config, repo, event, name, head, store, number).adopt()
    except CouldNotTell:
        if store:
            store.close()
        raise
    except UserError as e:
        if store:
            store.close()
        return silent(e)
    store.close()
    raise CouldNotTell(say.nobody_waits(config.candidate(number)), code="stale")


def range_base(repo: Repo, config: Config, hold: Hold, head: str) -> str | None:
    """Where a candidate left its lane: what it would bring is judged from there. None: no lane is in this checkout.

    Without a store to say which lane it is for, it is the one that it left last.
    """
    prefix = f"refs/remotes/{config.remote}/"
    if isinstance(hold, LaneHold):
        names = [hold.name]
    else:
        listed = repo.text("for-each-ref", "--format=%(refname)", prefix).splitlines()
        branches = [ref.removeprefix(prefix) for ref in listed]
        names = [b for b in branches if lane_of(config, config.remote, f"refs/heads/{b}")]
    forks = [fork for name in names if (fork := repo.maybe("merge-base", repo.tracking(config.remote, name), head))]
    return min(forks, key=lambda fork: len(repo.commits(fork, head)), default=None)


def number_of(config: Config, event: runner.Event, head: str) -> int | None:
    """The fence of the landing that this run is for, None when it is on no candidate."""
    return config.fence_of(event.ref) if head == event.sha else None
