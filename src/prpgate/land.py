"""`prp land`: stand in line, bring the commits up to the lane's tip, judge them, push, and ask the remote.

Nothing here prints and nothing touches the user's working tree, index or branch. On every way out the lane is given
back, the ticket is gone (or kept, when asked to), and no temporary working tree is left. What became of a push is what
the remote says, never what git push said.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

from . import candidate, identity, lane, policy, proving, pushing, revert, watcher
from .errors import CouldNotTell, LaneClosed, StoreDown
from .gitrepo import GitError, Repo
from .grip import Grip
from .interrupts import held_back
from .job import FETCHING as FETCHING
from .job import GATE as GATE
from .job import IN_CI as IN_CI
from .job import LANDED as LANDED
from .job import LOOKING as LOOKING
from .job import MERGING as MERGING
from .job import NOTHING as NOTHING
from .job import PUSHING as PUSHING
from .job import QUEUED as QUEUED
from .job import REBASING as REBASING
from .job import REVERTING as REVERTING
from .job import UNSEEN as UNSEEN
from .job import WAITING as WAITING
from .job import Ears as Ears
from .job import Job as Job
from .job import Outcome as Outcome
from .job import Overtaken as Overtaken
from .job import Stage as Stage
from .job import alone, may_hotfix
from .job import check as check
from .job import job as job
from .lane_state import CLAIMED, HELD, INTENT
from .lock import Closed, Granted, Lost, MergeLock, Queued
from .lookout import Lookout
from .messages import fixes as fixes_say
from .messages import land as say
from .messages import lane as lane_say
from .model import ZERO, Intent
from .refusal import findings_text
from .vouching import Voucher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .config import Config
    from .lane_state import LaneState
    from .lock import Look, Who
    from .model import Agent
    from .smoke import SmokeReport
    from .store.client import Store

TRIES = 5  # landings of one call: only a push past the lock takes the tip away from its holder
LOOKS, LOOK_AGAIN_S = 3, 1.0


# --- the call --------------------------------------------------------------------------------------------------------


def land(
    repo: Repo, config: Config, store: Store, me: Agent, what: Job, ears: Ears, *, wait_s: float, url: str | None = None
) -> Outcome:
    """Land, waiting in line at most `wait_s` seconds. A KeyboardInterrupt leaves nothing behind.

    Raises UserError when it is refused (conflict, red, findings, closed), StoreDown, CouldNotTell.
    """
    with alone(repo):
        candidate.sweep(repo)
        pushing.sweep(repo)
        if what.hotfix and not may_hotfix(config, me.name):
            raise fixes_say.not_named(what.lane, me.name, config.hotfix)
        if what.revert is None and (tip := _has_it(repo, config, what)):
            return Outcome(NOTHING, what, what.head, tip)
        one = _Landing(repo, config, store, me, what, ears, url)
        one.look_first()
        return one.go(wait_s)


def _has_it(repo: Repo, config: Config, what: Job) -> str | None:
    """The lane's tip, if it is clear without a fetch that it has all of this. The remote is asked: a tracking ref may
    be of another push URL, or of a time before a rewrite."""
    known = repo.known_tip(config.remote, what.lane)
    if known is None or not repo.is_ancestor(what.head, known):
        return None
    try:
        tip = repo.remote_tip(config.remote, what.lane).sha
    except GitError as e:
        raise say.cannot_fetch(config.remote, e) from None
    return tip if tip and repo.is_ancestor(what.head, tip) else None


class _Landing:
    """One call of `land`."""

    def __init__(
        self, repo: Repo, config: Config, store: Store, me: Agent, what: Job, ears: Ears, url: str | None
    ) -> None:
        self.repo, self.config, self.store, self.me, self.what = repo, config, store, me, what
        self.ears, self.url = ears, url
        self.lock = MergeLock(store, what.lane, config.times)
        mine = identity.process(os.getpid())
        self.who: Who = lane.contender(repo, me, what.lane, mine, "land", what.prp, what.head)
        self.fixer = what.hotfix  # the named override: it may land on a closed lane, and the log says so
        self.plan: revert.Plan | None = None
        self.proof = proving.Proof()
        self.landed: Outcome | None = None  # the remote has it and that is on record: nothing takes it back

    def look_first(self) -> None:
        """What is sure to be refused does not stand in line. What is taken back is settled here, once and for all."""
        if self.what.revert is not None:
            self.plan = revert.plan(self.repo, self.lock, self.what.revert, self._fetch())
            self.what = self.what._replace(revert=self.plan.sha)
            self.who = self.who._replace(sha=None)
        if self.what.hotfix:
            subject = f'Revert "{self.plan.subject}"' if self.plan else self.repo.message(self.what.head).split("\n")[0]
            self.who = self.who._replace(hotfix=self.what.reason or subject or "no reason given")

    def go(self, wait_s: float) -> Outcome:
        until = time.monotonic() + wait_s
        for _ in range(TRIES):
            done = False
            try:
                got = self._in_line(max(0.0, until - time.monotonic()))
                if isinstance(got, Queued):
                    done = True
                    return Outcome(QUEUED, self.what, queued=got)
                outcome = self._holding(got)
                done = True
                return outcome
            except Overtaken:
                continue
            except KeyboardInterrupt:
                if self.landed is None:
                    raise
                return self.landed
            except LaneClosed:
                done = True
                raise
            finally:
                if not done:
                    with held_back():
                        self._give_back()
        raise say.overtaken(self.what.lane)

    # --- the line ----------------------------------------------------------------------------------------------------
    def _in_line(self, wait_s: float) -> Granted | Queued:
        def changed(answer: Queued) -> bool:
            self.ears.stage(Stage(WAITING, answer))
            return answer.state.needs_look and lane.reconcile(self.repo, self.config, self.lock, self.who)

        while True:
            with Lookout(self.config, self.repo.root, self.url, self.what.lane, self.who, self.ears) as lookout:
                got = lookout.wait(self.lock, self.who, max_wait_s=wait_s, on_change=changed, fixer=self.fixer)
            if isinstance(got, Granted) and (quiet_s := self.store.quiet_s()) > 0:
                # What held the lane before may still be pushing.
                raise lane_say.just_adopted(self.what.lane, quiet_s, "prp land")
            if not isinstance(got, Closed):
                return got
            if self.fixer or not self._may_fix(got.state):
                raise lane_say.closed(got.state)
            self.fixer = True

    def _may_fix(self, state: LaneState) -> bool:
        from . import prps

        if self.plan:
            return state.closed is not None and state.closed.culprit_sha in self.plan.commits
        base = self.repo.known_tip(self.config.remote, self.what.lane) or ZERO
        ids, _ = prps.prps_of_range(self.repo, self.config, base, self.what.head)
        return lane.fixes(self.repo, self.me.name, ids, Intent(self.what.head, base), state)

    def _give_back(self) -> None:
        """Leave no ticket and no hold. After an intent only the remote's word ends a hold, so it is asked."""
        with contextlib.suppress(StoreDown, CouldNotTell):
            self.lock.leave(self.who.ticket)
            state = self.lock.state()
            if state.state != HELD or state.holder is None or state.holder.id != self.who.hold:
                return
            mine = self.lock.resume(state.fence, self.who.hold)
            if isinstance(mine, Lost):
                return
            if state.phase == CLAIMED:
                self.lock.release(mine.lease)
            elif state.phase == INTENT:
                saw, look = lane.observe(self.repo, self.config, state)
                watcher.tell(self.lock, mine.lease, saw, look, self.config.gate)

    # --- with the lane in hand ---------------------------------------------------------------------------------------
    def _holding(self, granted: Granted) -> Outcome:
        with Grip(self.config, self.repo.root, self.url, granted.lease) as grip:
            self.ears.stage(Stage(FETCHING))
            base = self._fetch()
            self.config = policy.find(self.repo) or self.config  # it may just have landed
            if self.what.hotfix and not may_hotfix(self.config, self.me.name):
                raise fixes_say.not_named(self.what.lane, self.me.name, self.config.hotfix)
            if not self.plan and base != ZERO and self.repo.is_ancestor(self.what.head, base):
                self.lock.release(grip.lease)
                return Outcome(NOTHING, self.what, self.what.head, base)
            with self._candidate(base) as (head, tree):
                if head == base:  # all of it is there under other ids
                    self.lock.release(grip.lease)
                    return Outcome(NOTHING, self.what, head, base, catch_up=self._catch_up(head))
                intent = Intent(head, base)
                info = self._judged(intent)
                if self.config.gate == "local":
                    self._prove(intent, tree)
                proof = proving.proven(
                    *(self.repo, self.config, self.store, grip, self.who.ticket, intent, self.ears), fixer=self.fixer
                )
                with proof as self.proof, Voucher() as voucher:
                    pushed = self._push(grip, intent, info, voucher)
                    return self._settle(grip, intent, pushed, voucher)

    def _fetch(self) -> str:
        """The lane's tip, with its commits here. ZERO: the branch is not there yet."""
        remote, name = self.config.remote, self.what.lane
        try:
            self.repo.fetch_tip(remote, name)
        except GitError as e:
            if "couldn't find remote ref" in e.stderr:
                return ZERO
            raise say.cannot_fetch(remote, e) from None
        found = self.repo.sha(self.repo.own_ref(remote, name))
        assert found is not None
        return found

    @contextlib.contextmanager
    def _candidate(self, base: str) -> Iterator[tuple[str, Repo | None]]:
        """The commit to push and, where one is needed, a clean working tree of it."""
        if self.what.revert:
            with candidate.worktree(self.repo, base) as tree:
                yield self._revert(base, tree), tree
            return
        on_top = candidate.follows(self.repo, base, self.what.head)
        if on_top and self.config.gate != "local":
            yield self.what.head, None
            return
        merging = not on_top and self.config.lane_update == "merge"
        with candidate.worktree(self.repo, base if merging else self.what.head) as tree:
            if on_top:
                yield self.what.head, tree
                return
            self.ears.stage(Stage(MERGING if merging else REBASING))
            if merging:
                message = say.merge_message(self.what.branch, self.what.head, self.what.lane, self.what.prp)
                made = candidate.merge(self.repo, tree, base, self.what.head, message)
            else:
                made = candidate.rebase(self.repo, tree, base)
            if isinstance(made, candidate.Conflict):
                raise say.conflict(self.what.lane, made, self._catch_up(None) or "")
            yield made, tree

    def _revert(self, base: str, tree: Repo) -> str:
        assert self.what.revert
        self.ears.stage(Stage(REVERTING))
        self.plan = revert.plan(self.repo, self.lock, self.what.revert, base)  # others may have landed meanwhile
        made = candidate.revert(self.repo, tree, self.plan.commits)
        if made is None:
            raise fixes_say.nothing_left(self.what.lane, self.plan.sha)
        if isinstance(made, candidate.Conflict):
            raise fixes_say.conflict(self.what.lane, made)
        return revert.worded(self.repo, self.config, tree, self.plan, self.what.reason)

    def _judged(self, intent: Intent) -> dict[str, Any]:
        """What the lane keeps of this landing. Raises UserError for what must not land, as the pre-push hook does."""
        from . import gate, prps

        found = lane.judge_range(self.repo, self.config, intent.base, intent.head)
        found += prps.foreign_lines(self.repo, self.store, self.config, intent.base, intent.head)
        if bad := [f for f in found if f.severity == "error"]:
            raise lane_say.findings(self.what.lane, len(bad), findings_text(bad, lane_say.NOT_PUSHED))
        ids, code = prps.prps_of_range(self.repo, self.config, intent.base, intent.head)
        if self.what.prp:
            ids = list(dict.fromkeys([self.what.prp, *ids]))
        tree = self.repo.tree(intent.head)
        return {
            "agent": self.me.name,
            "tree": tree,
            "prps": ids,
            "code": code,
            "steps": gate.verdict_steps(self.repo, self.config, intent.head),
        }

    def _prove(self, intent: Intent, tree: Repo | None) -> None:
        """Gate local: the smoke gate on exactly this commit, under the lock, unless a verdict spares it."""
        from . import smoke, verdicts

        head = intent.head
        settings = policy.at(self.repo, head) or self.config
        known = verdicts.find(self.repo, settings, self.lock, head, verdicts.LOCAL, lane.judge_range)
        if known is not None:
            verdicts.take(self.store, known, agent=self.me.name, sha=head)
            return
        assert tree is not None
        self.ears.stage(Stage(GATE))
        scope = verdicts.scope(self.repo, settings, self.lock, intent.base, head, verdicts.LOCAL)
        report: SmokeReport = smoke.run_declared(
            settings, tree.path, paths=scope.paths, on_line=self.ears.line, on_step=self.ears.step
        )
        if report.interrupted:
            raise KeyboardInterrupt
        verdicts.record(self.store, report, agent=self.me.name, sha=head)
        if report.result != smoke.GREEN:
            raise say.not_green(self.what.lane, report)

    def _push(self, grip: Grip, intent: Intent, info: dict[str, Any], voucher: Voucher) -> pushing.Pushed:
        needs_s = self.config.times.lease_ms / 4000
        if not grip.covers(2 * needs_s) and isinstance(again := self.lock.renew(grip.lease), Granted):
            grip.lease = again.lease
        if not grip.covers(needs_s):
            raise say.lost(self.what.lane, self.lock.state())
        answer = self.lock.intent(grip.lease, intent, info, self.fixer)
        if isinstance(answer, Closed):
            self.lock.release(grip.lease)
            raise lane_say.closed(answer.state)
        if isinstance(answer, Lost):
            raise say.lost(self.what.lane, answer.state)
        self.ears.stage(Stage(PUSHING))
        return pushing.push(self.repo, self.config.remote, grip.lease, intent, voucher, lost=grip.lost)

    # --- what came of it ---------------------------------------------------------------------------------------------
    def _settle(self, grip: Grip, intent: Intent, pushed: pushing.Pushed, voucher: Voucher) -> Outcome:
        with held_back():  # the remote was told: now its answer is written down, whoever presses what
            self.ears.stage(Stage(LOOKING))
            saw, look = self._look(intent, 1 if pushed.said == pushing.STOPPED else LOOKS)
            if saw == "base" and pushed.said in (pushing.REFUSED, pushing.NOT_SENT):
                saw = "other"  # it cannot arrive any more
            watcher.tell(self.lock, grip.lease, saw, look, self.config.gate)
            voucher.reported()
            if saw in ("in", "base"):
                self.ears.over()
            if saw == "in":
                self.landed = self._landed(intent, look)
                watcher.publish(self.repo, self.config, self.store, self.what.lane, look.tip)
                return self.landed
        if pushed.said == pushing.STOPPED and saw == "other":
            raise KeyboardInterrupt
        if pushed.said == pushing.NOT_SENT:
            raise say.hook_refused(self.what.lane, pushed.text)
        if saw == "other" and (look.tip or ZERO) == intent.base:
            raise say.remote_refused(self.what.lane, pushed.text)
        if saw == "other":
            raise Overtaken
        return Outcome(UNSEEN, self.what, intent.head, intent.base, text=pushed.text)

    def _look(self, intent: Intent, times: int) -> tuple[str, Look]:
        for left in range(times - 1, -1, -1):
            try:
                return lane.observe(self.repo, self.config, self.lock.state(), intent)
            except CouldNotTell as e:
                if not left:
                    raise say.cannot_look(self.what.lane, intent.head, e) from None
                time.sleep(LOOK_AGAIN_S)
        raise AssertionError

    def _landed(self, intent: Intent, look: Look) -> Outcome:
        # The remote says that our head is its tip or under it. A commit's id is a hash over its tree and its parents,
        # so the tree there is the one that was gated, and its first parent the base that was written in the intent
        # (`candidate` made it so). What an id cannot say is asked: whether the lane's own line goes through it.
        tip = str(look.tip)
        line = [tip] if tip == intent.head else self.repo.commits(intent.base, tip, "--first-parent")
        count = len(self.repo.messages(intent.base, intent.head))
        state = IN_CI if self.config.gate == "ci" else LANDED
        return Outcome(
            *(state, self.what, intent.head, intent.base, count),
            catch_up=self._catch_up(intent.head),
            beside=intent.head not in line,
            merged=intent.head != self.what.head and bool(self.repo.is_ancestor(self.what.head, intent.head)),
            taken_back=(self.plan.sha, self.plan.subject, len(self.plan.commits)) if self.plan else None,
            run_url=self.proof.run_url,
        )

    def _catch_up(self, landed: str | None) -> str | None:
        """The command that brings the local branch up to what landed; None when it is that already."""
        if landed == self.what.head:
            return None
        upstream = f"{self.what.branch}@{{upstream}}"
        up = self.repo.maybe("rev-parse", "--abbrev-ref", upstream) if self.what.branch else None
        dirty = bool(self.repo.run("status", "--porcelain", "--untracked-files=no", check=False).stdout)
        if landed and self.repo.is_ancestor(self.what.head, landed):
            how = "--ff-only"
        else:
            how = "--no-rebase" if self.config.lane_update == "merge" and not self.plan else "--rebase"
        return say.catch_up(
            how,
            *(self.config.remote, self.what.lane, None if self.what.checked_out else self.what.branch),
            by_upstream=up == f"{self.config.remote}/{self.what.lane}",
            dirty=dirty,
        )
