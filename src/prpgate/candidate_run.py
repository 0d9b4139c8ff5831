"""CI's run on a candidate as the host shows it, and starting the run that never came.

Under gate ci-first the lander waits for its candidate's verdict anyway, so it is the one who asks. With `ci.observe =
"status"` what the host says of the candidate's commit is told to the store as the run itself would tell it. A host that
does not answer changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .candidate_lock import KLASS, Sight
from .errors import HostDown, HostRefused
from .messages import candidates as say
from .messages import observing as observing_say
from .model import Verdict
from .observing import ASK_S, BY, MOST_PAUSE_S, Jobs, dispatch, newest, result_of
from .outcomes import Lost, boottime_s
from .smoke import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable

    from .candidate_lock import CandidateLock, Offer
    from .config import Config
    from .gitrepo import Repo
    from .host import CheckRun, Host
    from .outcomes import Lease
    from .store.client import Store

STORE_EVERY_S = 60.0  # renewals of the lease bring the news in between
QUEUED_S = 30.0  # how often to look again at a run that the host shows, and that has not told the store anything
LATE_S = 0.05


class CandidateRun:
    """The run on one landing's candidate. For one thread; `tell` hears what a person should know meanwhile."""

    def __init__(
        self, repo: Repo, config: Config, store: Store, lock: CandidateLock, tell: Callable[[str], None]
    ) -> None:
        self.repo, self.config, self.store, self.lock, self.tell = repo, config, store, lock, tell
        self.until = float("inf")  # when CI's time is over
        self._host: Host | None = None
        self._jobs = Jobs(config)
        self._down = False
        self._before: frozenset[int] = frozenset()
        self._stored, self._stored_at, self._due = Sight(None), 0.0, 0.0
        self._url, self._picked_up_at = "", 0.0
        self._owed: tuple[Verdict, str, str] | None = None

    def begins(self, lease: Lease) -> None:
        """The candidate was announced: from now on CI's time runs. What is over the cap less a lease is the push's."""
        asked_at = lease.safe_until - lease.deadline_ms / 1000
        self.until = asked_at + (lease.cap_ms - self.config.times.lease_ms) / 1000

    # --- observe = "status" ------------------------------------------------------------------------------------------
    def before(self, head: str) -> None:
        """Look what the host has of this commit before its candidate is pushed: a run that said nothing (cancelled on
        another branch, say) is not the candidate's. Raises HostRefused: it cannot be asked at all."""
        try:
            self._before = frozenset(r.id for r in self._runs(head) if result_of(r) == UNKNOWN)
        except HostDown as e:
            self._is_down(e)

    def look(self, one: Offer, news: bool, stored: Callable[[Offer], Sight]) -> Sight:
        """One look at the host; what it says is told to the store. `stored` is what the store knows: it is asked when
        there is `news`, and seldom otherwise. Raises StoreDown, and what `stored` raises."""
        now = boottime_s()
        if news or now >= self._stored_at + STORE_EVERY_S:
            self._stored = stored(one)
            self._stored_at, self._due = now, now + self._stored.left_s
        self._pay()
        if self._stored.result is not None:
            return self._stored
        try:
            run = newest(
                [r for r in self._runs(one.head) if r.id not in self._before], self.config.ci_check, self.config.ci_app
            )
        except HostDown as e:
            return self._is_down(e)
        except HostRefused as e:
            return Sight(UNKNOWN, observing_say.cannot_ask(e), self._url or None)
        if self._down:
            self.tell(observing_say.HOST_BACK)
        self._down = False
        if run is None:
            left_s = self._due - boottime_s()
            return self._wait(left_s) if left_s > 0 else self._late(one, self._stored.run_url)
        result = result_of(run)
        return self._ended(one, run, result, stored) if result else self._goes_on(one, run, stored)

    def _goes_on(self, one: Offer, run: CheckRun, stored: Callable[[Offer], Sight]) -> Sight:
        now = boottime_s()
        if now >= self.until:
            return Sight(UNKNOWN, say.silent(run.url, self.config.times), run.url)
        if run.url != self._url or now >= self._picked_up_at + self.config.times.ci_lease_ms / 3000:
            answer = self.lock.pick_up(one.fence, one.head, run.url)
            if isinstance(answer, Lost):
                return stored(one)
            self._url, self._picked_up_at, self._due = run.url, now, now + answer.lease.deadline_ms / 1000
            self._stored = self._stored._replace(run_url=run.url)
        return self._wait(self.until - now)

    def _ended(self, one: Offer, run: CheckRun, result: str, stored: Callable[[Offer], Sight]) -> Sight:
        if run.url != self._url:
            self.lock.pick_up(one.fence, one.head, run.url)
            self._url = run.url
        self._owed = (Verdict(one.tree, one.steps, KLASS, result), one.head, run.url)
        judged = self.lock.proof(
            *(one.fence, one.head, one.key, result), by=BY, reason=observing_say.reason(run), run_url=run.url
        )
        self._owed = self._owed if judged.written else None
        self._pay()
        found = judged.state.candidate
        if judged.state.fence != one.fence or found is None or found.head != one.head:
            return stored(one)  # which says who has the lane now
        return Sight(found.result, found.reason, found.run_url)

    def _pay(self) -> None:
        """Note a verdict that was written as evidence, also when the store went away in between."""
        from . import prps

        if self._owed is None:
            return
        verdict, head, url = self._owed
        standing = self.lock.standing(verdict.tree, verdict.steps, verdict.klass)
        if standing and standing.result == verdict.result:
            prps.note_verdict(self.store, verdict, agent=BY, sha=head, run_url=url)
        self._owed = None

    def _is_down(self, error: HostDown) -> Sight:
        if not self._down:
            self.tell(observing_say.host_down(error))
        self._down = True
        if boottime_s() >= self.until:
            return Sight(UNKNOWN, say.host_silent(error), self._url or None)
        pause_s = max(error.retry_s or 0, 3 * self.config.ci_poll_s)
        return self._wait(self.until - boottime_s(), min(pause_s, MOST_PAUSE_S))

    def _wait(self, left_s: float, pause_s: float | None = None) -> Sight:
        pause_s = float(self.config.ci_poll_s) if pause_s is None else pause_s
        return Sight(None, run_url=self._url or self._stored.run_url, left_s=min(pause_s, left_s + LATE_S))

    # --- a run that never came ---------------------------------------------------------------------------------------
    def late(self, one: Offer, run_url: str | None) -> Sight:
        """CI tells the store itself, and was not heard of in time. Starts a run, once, if none has spoken and the host
        shows none; else it is unknown. Raises StoreDown."""
        if run_url or not self.config.ci_workflow:
            return Sight(UNKNOWN, say.silent(run_url, self.config.times), run_url)
        try:
            run = newest(self._runs(one.head), self.config.ci_check, self.config.ci_app)
        except (HostDown, HostRefused) as e:
            return Sight(UNKNOWN, say.not_started(self.config.times, e.message))
        if run and result_of(run) is None and boottime_s() < self.until:
            if run.url != self._url:
                self.tell(observing_say.runs(one.lane, one.head, run))
            self._url = run.url
            return Sight(None, left_s=min(QUEUED_S, self.until - boottime_s() + LATE_S))
        return self._late(one, None)

    def _late(self, one: Offer, run_url: str | None) -> Sight:
        times, workflow = self.config.times, self.config.ci_workflow
        if run_url or not workflow:
            return Sight(UNKNOWN, say.silent(run_url, times), run_url)
        try:
            host = self._of()
            due = self.lock.start_due(one.fence, one.head)
            if due is None:
                return Sight(UNKNOWN, say.silent_again(times, workflow))
            found = due.state.candidate
            self._due = boottime_s() + (found.left_ms / 1000 if found else 0.0)
            dispatch(host, workflow, one.branch, one.head, one.fence)
        except HostRefused as e:
            return Sight(UNKNOWN, say.not_started(times, e.message))
        except HostDown as e:
            if e.unsent:
                return Sight(UNKNOWN, say.not_started(times, e.message))
            self.tell(observing_say.host_down(e))  # it may have been started all the same
        else:
            self.tell(observing_say.started(one.lane, one.head, workflow))
        return self._wait(self._due - boottime_s())

    # --- the host ----------------------------------------------------------------------------------------------------
    def _of(self) -> Host:
        from .host import choose

        self._host = self._host or choose.of(self.repo, self.config, timeout_s=ASK_S)
        return self._host

    def _runs(self, head: str) -> list[CheckRun]:
        try:
            return self._jobs.told_apart(self._of(), self._of().check_runs(head, self.config.ci_check))
        except HostRefused as e:
            if e.status != 422:
                raise
            return []  # its API does not have this commit yet
