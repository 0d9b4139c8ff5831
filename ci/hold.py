"""A run's grip on the lane: taken over from the landing, kept alive in the background, given back with the verdict.

Whatever goes wrong with the store here costs the lane its news of this run, never the run its colour.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from typing import TYPE_CHECKING, Self

from prpgate import gate_runs, identity, lane, notify, observing, prps, smoke, verdicts, watcher
from prpgate.errors import CouldNotTell, StoreDown, UserError
from prpgate.lane_state import HELD, LANDED
from prpgate.lock import Granted, Lost, MergeLock, Who
from prpgate.messages import candidates as candidates_say
from prpgate.messages import smoke as say
from prpgate.messages import timeline as when
from prpgate.messages.lane import nth
from prpgate.model import Verdict
from prpgate.store.client import connect

if TYPE_CHECKING:
    import runner
    from timeline import Timeline

    from prpgate.config import Config
    from prpgate.gitrepo import Repo
    from prpgate.lane_state import LaneState
    from prpgate.lock import Judged, Lease, Look
    from prpgate.smoke import SmokeReport
    from prpgate.store.client import Store

AGENT, KLASS = "ci", "ci"
GATES = ("ci", "ci-first")  # under which a landing waits for its run
ADDRESSES = ("PRP_REDIS_URL", "REDIS_URL")
NOT_OURS = ("store-other", "store-empty")
STORE_S = 5.0  # for one answer of the store
TRIES, PAUSE_S = 3, 2.0  # for the verdict: a store that restarts is back by then
LANE_EVENTS = ("push", "merge_group", "workflow_dispatch")  # a dispatch stands for a push whose own run never came
TELL_S = 10.0  # for telling people, after the verdict
FINAL = (smoke.GREEN, smoke.RED)
LATER_MOST = 200  # commits after this one that are asked for a green verdict


class Hold:
    """No grip at all: the run only checks. `why` says why; it is what the summary shows of the lane."""

    fence = ""
    address = ""  # of the store that this run speaks to, as its environment has it
    wanted = False  # does the landing want another run after this one?
    stands = ""  # why nothing has to be run: the tree is green already
    base: str | None = None  # what the landing that is waited for came on top of

    def __init__(self, why: str) -> None:
        self.why = why

    def story(self, line: Timeline) -> None:
        """Put what was before this run on the line of time."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def again(self, attempt: int, needs_s: float) -> bool:
        """Attempt number so and so (from 1) was red: is there time for another, which takes at most `needs_s`?"""
        return True

    def known(self) -> verdicts.Known | None:
        """The verdict that spares this run."""
        return None

    def scope(self, config: Config, repo: Repo, base: str | None, head: str) -> verdicts.Scope:
        """What steps with `changed` are compared with. Nothing, where the host's check run is the verdict of the tree:
        this run cannot ask whether what stood there before is green."""
        if config.ci_observe == "status" and any(s.changed for s in config.smoke):
            return verdicts.Scope(None, None, say.READ_AS_VERDICT)
        return verdicts.scope(repo, config, None, base, head, verdicts.CI)

    def spared_tree(self) -> str:
        return ""

    def ran(self, report: SmokeReport, attempt: int) -> None:
        """Attempt number so and so (from 1) has ended."""

    def give(self, result: str, reason: str) -> str:
        """Give the verdict and let go. Says what became of it."""
        return self.why


class LaneHold(Hold):
    """This run speaks for a landing on a lane. While the `with` block lasts the lock, if it was had, is renewed."""

    def __init__(self, config: Config, repo: Repo, event: runner.Event, name: str, head: str, store: Store) -> None:
        super().__init__("")
        self.config, self.repo, self.event, self.name, self.head = config, repo, event, name, head
        self.store, self.lock = store, MergeLock(store, name, config.times)
        self.me = f"ci:{event.run}:{secrets.token_hex(8)}"
        self.address = address()
        self.tree = repo.tree(head) or ""
        self.steps = smoke.hash_of(config)
        self.spared: verdicts.Known | None = None
        self.runs: list[tuple[SmokeReport, int]] = []
        self.lease: Lease | None = None
        self.until = 0.0  # of the lease's cap: no renewal goes beyond it
        self.over = threading.Event()
        self.renewing = threading.Thread(target=self._renew, name="renew", daemon=True)

    def adopt(self) -> Self:
        """Take the lane over if it is this run's to have, and bring the live state up to what landed."""
        in_branch, later_green = self._in_branch()
        now = self.lock.state()
        awaited = self._awaited(now)
        # A commit that turns the gate off was landed while it was on: somebody waits for it.
        waits = awaited and now.phase == LANDED
        self.base = now.intent.base if awaited and now.intent else None
        if self.config.gate == "ci-first" and not awaited and self._green_before():
            self.why = self.stands
        elif self.config.gate in GATES or waits:
            # Where a later tip is green already this is old news: it must not hold the lane, nor close it. What is not
            # on the lane (a dispatch can name any commit) is no landing. The very one that is waited for ends the wait.
            if awaited or (in_branch and not later_green):
                self.lease = self._take()
            if self.lease:
                self.fence = str(self.lease.fence)
                self.until = time.monotonic() + self.lease.cap_ms / 1000
                self.renewing.start()
            self.why = say.adopted(self.name, self.fence) if self.lease else say.apart(self.name)
        else:
            self.why = say.gate_none(self.name)
        if in_branch:
            watcher.publish(self.repo, self.config, self.store, self.name, self.head)
        return self

    def _take(self) -> Lease | None:
        """The lane, if it is this run's to have. Asked again, the same."""
        who = Who(self.me, self.me, AGENT, identity.host(), os.getpid(), "ci", None, self.head)
        answer = self.lock.adopt(
            self.head, who, self.event.run_url, self._look(), tree=self.tree, steps=self.steps, klass=KLASS
        )
        return answer.lease if isinstance(answer, Granted) else None

    def story(self, line: Timeline) -> None:
        line.read(self.lock, self.head)

    def waits(self, fence: int) -> bool:
        """Is it still the landing of this commit, under this fence, that waits for a run?"""
        now = self.lock.state()
        landing = now.state == HELD and now.phase == LANDED and now.holder is not None and now.holder.sha == self.head
        return landing and now.fence == fence

    def _awaited(self, now: LaneState) -> bool:
        """Is it the landing that has the lane? A pull request that is being merged lands as a commit with its tree."""
        merged = any(now.intent and p.head == now.intent.head and p.tree == self.tree for p in now.pulls)
        return merged or (now.intent is not None and now.intent.head == self.head)

    def _green_before(self) -> bool:
        """It was proven on its candidate branch: the lane is whoever's who lands now, and there is nothing to judge."""
        found = self.lock.standing(self.tree, self.steps, KLASS)
        if found is None or found.result != smoke.GREEN:
            return False
        self.stands = candidates_say.stands_already(found.run_url)
        if look := self._look():
            self.lock.attribute(look)
        return True

    def __exit__(self, *_: object) -> None:
        self.over.set()
        if self.lease:
            self.renewing.join(1.0)  # it may be waiting for the store; the process can end without it
        self.store.close()

    def _look(self) -> Look | None:
        try:
            return lane.observe(self.repo, self.config, self.lock.state())[1]
        except CouldNotTell:
            return None  # the checkout keeps no credentials; whoever looks next attributes what came

    def _renew(self) -> None:
        """Runs beside the steps, on a connection of its own, until the block ends or the lock is lost."""
        store: Store | None = None
        while self.lease and not self.over.wait(self.config.times.ci_lease_ms / 6000):
            try:
                store = store or connect(self.config, self.repo.top, timeout_s=STORE_S, start=False)
                answer = self._alive(store)
            except UserError:
                continue  # the next one may get through: the lease is six times as long as this pause
            if isinstance(answer, Lost):
                break
        if store:
            store.close()

    def again(self, attempt: int, needs_s: float) -> bool:
        if self.lease is None:
            return True
        if time.monotonic() + needs_s > self.until:
            return False
        with contextlib.suppress(StoreDown):
            self._alive(self.store, nth(attempt))
        return True

    def known(self) -> verdicts.Known | None:
        with contextlib.suppress(StoreDown, CouldNotTell):
            judge = lane.judge_range
            self.spared = verdicts.find(self.repo, self.config, self.lock, self.head, verdicts.CI, judge)
        return self.spared

    def scope(self, config: Config, repo: Repo, base: str | None, head: str) -> verdicts.Scope:
        try:
            return verdicts.scope(repo, config, self.lock, base, head, verdicts.CI)
        except StoreDown as e:
            return verdicts.Scope(None, None, say.not_asked(e.message))

    def spared_tree(self) -> str:
        return self.tree

    def ran(self, report: SmokeReport, attempt: int) -> None:
        self.spared = None
        self.runs.append((report, attempt))

    def _alive(self, store: Store, tried: str | None = None) -> Granted | Lost:
        assert self.lease
        return MergeLock(store, self.name, self.config.times).ci_renew(self.lease, tried)

    def give(self, result: str, reason: str) -> str:
        self.over.set()  # a renewal after the verdict would only be told that it is over
        tries = TRIES if result != smoke.UNKNOWN else 1  # a cancelled run has seconds left
        for n in range(tries):
            try:
                return self._give(result, reason)
            except StoreDown as e:
                if n + 1 == tries:
                    self.wanted = True
                    return say.verdict_lost(self.name, result, e.message)
                time.sleep(PAUSE_S)
        return self.why

    def _give(self, result: str, reason: str) -> str:
        said, fixer = self.why, observing.mends(self.repo, self.config, self.lock, self.head)
        if self.stands and not fixer:
            return said
        if self.config.gate in GATES or self.lease:
            judged = self._judged(result, reason, self.lease, fixer)
            if self.lease and result in FINAL and not judged.written and judged.stands not in FINAL:
                # The lane was lost meanwhile (a pause, `prp lock break`), and nobody has judged this tree: what was
                # found is as true as what a run finds that never had the lane.
                in_branch, later_green = self._in_branch()
                mine = self._take() if in_branch and not later_green else None
                judged = self._judged(result, reason, mine, fixer)
            self.wanted = judged.again
            said = say.judged(self.name, result, judged)
        if result != smoke.UNKNOWN:
            verdict = Verdict(self.tree, self.steps, KLASS, result)
            prps.note_verdict(
                *(self.store, verdict),
                agent=AGENT,
                sha=self.head,
                run_url=self.event.run_url,
                proven_ms=self._proven(result),
            )
        gate_runs.keep(lambda: self._note_runs(result))
        if self.config.notifies and result != smoke.UNKNOWN:  # a cancelled run has seconds left
            notify.once(self.repo, self.config, self.store, most_s=TELL_S)
        return said

    def _judged(self, result: str, reason: str, lease: Lease | None, fixer: bool) -> Judged:
        in_branch, later_green = self._in_branch() if result == smoke.RED or not lease else (True, False)
        return self.lock.verdict(
            *(self.head, self.tree, self.steps, KLASS, result, lease.fence if lease else None),
            in_branch=in_branch or lease is not None,
            later_green=later_green,
            fixer=fixer,
            by=AGENT,
            reason=reason,
            run_url=self.event.run_url,
            close_after=self.config.close_after,
            proven=self._proven(result),
        )

    def _proven(self, result: str) -> int | None:
        """When the run ended that spares this one its steps."""
        return self.spared.proven_ms if self.spared and result == smoke.GREEN else None

    def _note_runs(self, result: str) -> None:
        about = {"klass": KLASS, "sha": self.head, "by": AGENT}
        if self.spared and result == smoke.GREEN:
            gate_runs.note_spared(self.store, self.spared, **about)
            self.spared = None
        while self.runs:
            report, attempt = self.runs[0]
            gate_runs.note(self.store, report, **about, run_url=self.event.run_url, attempt=attempt)
            self.runs.pop(0)

    def _in_branch(self) -> tuple[bool, bool]:
        """Whether the commit is in the lane now, and whether a later tip of it is green already."""
        try:
            tip = self.repo.remote_tip(self.config.remote, self.name).sha
            if tip and not self.repo.has(tip):
                self.repo.fetch_tip(self.config.remote, self.name)
        except CouldNotTell:
            # A push says itself that it was there, and so does the fence of a landing that waits. A dispatch by hand
            # names any commit: for that it is what the checkout has of the lane.
            said = self.event.name == "push" or self.event.fence is not None
            tip = self.head if said else self.repo.known_tip(self.config.remote, self.name)
        if not tip or not self.repo.is_ancestor(self.head, tip):
            return False, False
        later = self.repo.commits(self.head, tip, "--first-parent")[-LATER_MOST:]
        records = (self.lock.record(commit) for commit in later)
        return True, any(r.verdict == smoke.GREEN for r in records if r)


class GroupHold(LaneHold):
    """A merge group: the host's queue decides what lands, so no lock. A green is evidence for its tree; a red group
    never lands, and the queue tries other ones, so its red is on nobody's record."""

    def adopt(self) -> Self:
        self.why = when.merge_group(self.name)
        return self

    def _give(self, result: str, reason: str) -> str:
        if result == smoke.GREEN:
            url, proven = self.event.run_url, self._proven(result)
            if self.config.gate == "ci":
                mine = (self.head, self.tree, self.steps, KLASS, result)
                self.lock.verdict(*mine, by=AGENT, reason=reason, run_url=url, proven=proven)
            verdict = Verdict(self.tree, self.steps, KLASS, result)
            prps.note_verdict(self.store, verdict, agent=AGENT, sha=self.head, run_url=url, proven_ms=proven)
        gate_runs.keep(lambda: self._note_runs(result))
        return when.merge_group_recorded(self.name, result)


def address() -> str:
    """Where the environment says that the store is, as it says it; "" when it does not."""
    return next((found for name in ADDRESSES if (found := os.environ.get(name, "").strip())), "")


def silent(error: UserError) -> Hold:
    """No grip, because the store could not be asked. Its address is still none of the steps' business, unless what is
    there is another: a server that the project has for its own tests."""
    hold = Hold(say.store_silent(error.message))
    hold.address = "" if error.code in NOT_OURS else address()
    return hold


def take(config: Config, repo: Repo, event: runner.Event, name: str | None, head: str) -> Hold:
    """The lane, as far as this run can have it. A store that does not answer is said, not raised."""
    if event.name in LANE_EVENTS and head != event.sha:
        return Hold(when.another_commit(event.sha, head))
    if name is None:
        return Hold(say.no_lane(event.name, event.ref))
    if not config.store_url and not address():
        return Hold(say.NO_STORE)
    store = None
    try:
        store = connect(config, repo.top, timeout_s=STORE_S, start=False)
        kind = GroupHold if event.name == "merge_group" else LaneHold
        hold = kind(config, repo, event, name, head, store)
        if event.fence is not None and not hold.waits(event.fence):
            store.close()
            return Hold(when.waits_no_more(name, str(event.fence)))
        return hold.adopt()
    except UserError as e:
        if store:
            store.close()
        return silent(e)
