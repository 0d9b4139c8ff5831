"""Reading what the host says of a landing, for lanes whose CI has no secret; and starting the run that never came.

With `ci.observe = "status"` the newest check run of the configured app and name on the landed commit is the verdict:
success is green, failure is red, everything else is unknown. Whoever looks speaks to the lane as one and the same run,
so that any other can go on where one was killed. One looks at a time (`lane_observer`). A host that does not answer
changes nothing.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, NamedTuple

from . import identity, policy, reverts, watcher
from .errors import CouldNotTell, HostDown, HostRefused, UserError
from .lane_state import HELD, LANDED, SMOKING
from .lock import Granted, MergeLock, Who
from .messages import observing as say
from .messages import smoke as smoke_say
from .model import Verdict
from .smoke import GREEN, RED, UNKNOWN, hash_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .config import Config
    from .gitrepo import Repo
    from .host import CheckRun, Host, WorkflowJob
    from .lane_state import LaneState
    from .store.client import Store

STATUS = "status"  # of ci.observe
KLASS, BY = "ci", "ci"
RESULTS = {"success": GREEN, "failure": RED}
ASK_S = 5.0  # for one answer of the host
MOST_LATE = 3  # unproven commits that are asked about at a time
LOOK_BACK, LATER_MOST = 100, 200  # events of the log; commits after one that are asked for a green verdict
MOST_PAUSE_S = 120.0
IN_LANE = ("landed", "late", "foreign")
ACTIONS = "github-actions"  # the app whose check runs are jobs of workflows
GATE_STEP, SET_UP = "smoke gate", "set-up failed"  # the step's name in a workflow; what is said when it never began
# Kinds of news.
WAITS, RUNS, IN_CI, IDLE, ELSEWHERE = "waits", "runs", "in-ci", "idle", "elsewhere"
VERDICT, LATE, STARTED, NOT_STARTED, NOT_JUDGED, DOWN, BACK = (
    *("verdict", "late", "redispatch", "not-started", "not-judged"),
    *("host-down", "host-back"),
)
STANDING = (WAITS, RUNS, IN_CI, IDLE, ELSEWHERE)  # what goes on; everything else has happened


class News(NamedTuple):
    """What a look found, or did."""

    kind: str
    lane: str
    text: str
    sha: str = ""
    result: str = ""  # "green", "red" or "unknown"
    run_url: str = ""
    error: UserError | None = None  # of DOWN, NOT_STARTED


def newest(runs: Sequence[CheckRun], check: str, app: str) -> CheckRun | None:
    """The check run that counts: of this app and of this name; the newest that says green or red or is under way, else
    the newest of all. Another app's run of the same name is somebody else's word."""
    ours = sorted((r for r in runs if r.name == check and r.app == app), key=lambda r: r.id, reverse=True)
    return next((r for r in ours if result_of(r) != UNKNOWN), ours[0] if ours else None)


class Jobs:
    """What stands behind the check runs of GitHub Actions. A job that has ended stays so: it is asked for once."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._known: dict[int, WorkflowJob | None] = {}

    def told_apart(self, host: Host, runs: Sequence[CheckRun]) -> list[CheckRun]:
        """The same, without those of pull requests: such a job ran on a merge that the host made, and its check run
        stands on the request's head all the same. One of [ci] workflow that failed before its gate began says nothing
        of the commit (SET_UP). Where the host does not let us look a check run counts as it is. Raises HostDown.
        """
        found = []
        for run in runs:
            job = self._of(host, run) if result_of(run) in (GREEN, RED) else None
            if job and job.event.startswith("pull_request"):
                continue
            never_began = job and job.workflow == self.config.ci_workflow and job.steps.get(GATE_STEP) == "skipped"
            found.append(run._replace(conclusion=SET_UP) if never_began and result_of(run) == RED else run)
        return found

    def _of(self, host: Host, run: CheckRun) -> WorkflowJob | None:
        if run.app != ACTIONS or run.name != self.config.ci_check or self.config.ci_app != ACTIONS:
            return None
        if run.id not in self._known:
            try:
                self._known[run.id] = host.workflow_job(run.id)
            except HostRefused:
                self._known[run.id] = None
        return self._known[run.id]


def result_of(run: CheckRun) -> str | None:
    """What a check run says: "green", "red", "unknown"; None while it is under way.

    Cancelled, timed out, skipped, stale, neutral, waiting for somebody: nothing was proven, and nothing is red for it.
    """
    if run.status != "completed":
        return None
    return RESULTS.get(run.conclusion, UNKNOWN)


class Observer:
    """Looks at the host for the lanes of one project. Not for several threads at once."""

    def __init__(self, repo: Repo, config: Config, store: Store, agent: str) -> None:
        self.repo, self.config, self.store = repo, config, store
        self.me = f"{agent}@{identity.host()} {os.getpid()}:{secrets.token_hex(6)}"
        self.agent = agent
        self.pause_s = float(config.ci_poll_s)  # until the next look
        self._host: Host | None = None
        self._jobs = Jobs(config)
        self._down = False

    @property
    def lease_ms(self) -> int:
        """How long it takes until another looks, when this one was killed."""
        return int((2 * max(self.config.ci_poll_s, self.pause_s) + ASK_S) * 1000)

    def look(self, name: str, *, late: bool = True) -> list[News]:
        """One look at a lane: what stands first, then what happened. Raises StoreDown; HostRefused when the host cannot
        be asked at all. `late`: also ask about what landed and went on unproven."""
        self.pause_s = float(self.config.ci_poll_s)
        answer = self.store.run("lane_observer", [self.store.keys.observer(name)], [self.me, self.lease_ms])
        if not answer["mine"]:
            return [News(ELSEWHERE, name, say.elsewhere(name, answer["who"]))]
        lock = MergeLock(self.store, name, self.config.times)
        state = lock.state()
        found: list[News] = []
        try:
            if state.state == HELD and state.phase in (LANDED, SMOKING) and state.intent:
                found += self._landing(lock, state, state.intent.head)
            else:
                found.append(News(IDLE, name, say.idle(name)))
            if late and self.config.ci_observe == STATUS:
                found += self._late(lock, state)
        except HostDown as e:
            self.pause_s = min(max(e.retry_s or 0, 3 * self.config.ci_poll_s), MOST_PAUSE_S)
            down, self._down = self._down, True
            self.leave(name)  # it may answer another
            return [*found, *([] if down else [News(DOWN, name, say.host_down(e), error=e)])]
        return found

    def leave(self, name: str) -> None:
        """Let another look at once."""
        self.store.run("lane_observer", [self.store.keys.observer(name)], [self.me, 0])

    # --- the landing that has the lane -------------------------------------------------------------------------------
    def _landing(self, lock: MergeLock, state: LaneState, head: str) -> list[News]:
        name, status = lock.lane, self.config.ci_observe == STATUS
        who = self._run(head)
        if state.phase == SMOKING and (not status or not state.holder or state.holder.id != who.hold):
            return [News(IN_CI, name, say.in_ci(name, head), head)]
        if not status and not state.redispatch_due:
            return [News(WAITS, name, say.waits(name, head, self.config.ci_check, self.config.ci_app), head)]
        run, back = self._ask(name, head)
        told = run is not None and result_of(run) == UNKNOWN and state.phase == LANDED and state.run_url == run.url
        if run and status and not told:
            return [*back, *self._hear(lock, who, head, run)]
        if run and result_of(run) is None:  # it did not speak to the store (yet), but it runs: no second one
            return [*back, News(RUNS, name, say.runs(name, head, run), head, run_url=run.url)]
        if state.redispatch_due:
            return [*back, self._start(lock, state, head)]
        return [*back, News(WAITS, name, say.waits(name, head, self.config.ci_check, self.config.ci_app), head)]

    def _hear(self, lock: MergeLock, who: Who, head: str, run: CheckRun) -> list[News]:
        """Tell the lane what the host says. The lane is this run's from its first sight, until its cap."""
        name, result = lock.lane, result_of(run)
        try:
            tree, steps, close_after = self._judged_by(name, head)
        except CouldNotTell as e:
            return [News(NOT_JUDGED, name, say.cannot_judge(name, head, e.message), head, error=e)]
        got = lock.adopt(head, who, run.url, tree=tree, steps=steps, klass=KLASS)
        if not isinstance(got, Granted):
            return [News(IN_CI, name, say.in_ci(name, head), head)]
        if result is None:
            lock.ci_renew(got.lease)
            return [News(RUNS, name, say.runs(name, head, run), head, run_url=run.url)]
        judged = lock.verdict(
            *(head, tree, steps, KLASS, result, got.lease.fence),
            in_branch=True,
            by=BY,
            reason=say.reason(run),
            run_url=run.url,
            close_after=close_after,
        )
        if result != UNKNOWN:
            self._record(name, head, tree, steps, result, run.url)
        return [News(VERDICT, name, smoke_say.judged(name, result, judged), head, result, run.url)]

    def _start(self, lock: MergeLock, state: LaneState, head: str) -> News:
        """Start a run by hand, once for each landing: the store says who does."""
        name, workflow = lock.lane, self.config.ci_workflow
        if not workflow:
            return News(WAITS, name, say.not_started(name, head, say.NO_WORKFLOW), head)
        me = self._run(head)._replace(hold=self.me, agent=self.agent)
        host = self._of()
        if lock.redispatch(me) is None:
            return News(WAITS, name, say.waits(name, head, self.config.ci_check, self.config.ci_app), head)
        try:
            if self.config.ci_observe == STATUS:  # its check run is the tip's: so it has to be a run on the tip
                host.dispatch(workflow, name, {})
            else:
                dispatch(host, workflow, name, head, state.fence)
        except HostDown as e:
            if e.unsent:
                lock.redispatch(me, undo=e.message)
            return News(NOT_STARTED, name, say.not_started(name, head, e.message), head, error=e)
        except HostRefused as e:
            lock.redispatch(me, undo=e.message)
            return News(NOT_STARTED, name, say.not_started(name, head, e.message), head, error=e)
        return News(STARTED, name, say.started(name, head, workflow), head)

    # --- what went on unproven ---------------------------------------------------------------------------------------
    def _late(self, lock: MergeLock, state: LaneState) -> list[News]:
        """The newest commits of the lane that nobody could judge: a run that ended late, or one of a push that nobody
        announced. Green and red are written; the lane is not held for it."""
        found: list[News] = []
        for head in self._unproven(lock, state):
            run, back = self._ask(lock.lane, head)
            found += back
            result = result_of(run) if run else None
            if run and result in (GREEN, RED):
                found += self._tell_late(lock, head, run, result)
        return found

    def _unproven(self, lock: MergeLock, state: LaneState) -> list[str]:
        now = state.intent.head if state.intent else None
        shas = [state.seen or "", *(e.sha for e in lock.log(LOOK_BACK) if e.event in ("landed", "late", "verdict"))]
        found = []
        for head in dict.fromkeys(sha for sha in shas if sha and sha != now):
            record = lock.record(head)
            if record and record.record in IN_LANE and record.verdict not in (GREEN, RED):
                found.append(head)
            if len(found) == MOST_LATE:
                break
        return found

    def _tell_late(self, lock: MergeLock, head: str, run: CheckRun, result: str) -> list[News]:
        name = lock.lane
        try:
            tree, steps, close_after = self._judged_by(name, head)
            standing = lock.standing(tree, steps, KLASS)
            if standing and standing.result in (GREEN, RED) and standing.result != result:
                return []
            in_branch, later_green = still_in(self.repo, self.config, lock, head)
        except CouldNotTell:
            return []
        fixer = mends(self.repo, self.config, lock, head)
        judged = lock.verdict(
            *(head, tree, steps, KLASS, result),
            in_branch=in_branch,
            later_green=later_green,
            fixer=fixer,
            by=BY,
            reason=say.reason(run),
            run_url=run.url,
            close_after=close_after,
        )
        after = lock.record(head)
        if after is None or after.verdict != result:
            return []
        self._record(name, head, tree, steps, result, run.url)
        closed = judged.state.closed
        then = say.CLOSED if closed and closed.culprit_sha == head else say.OPENED if fixer and not closed else ""
        return [News(LATE, name, say.late(name, head, result, then), head, result, run.url)]

    # --- between us, the host and git --------------------------------------------------------------------------------
    def _run(self, head: str) -> Who:
        """The one run that all observers of a commit speak for."""
        me = f"status:{self.config.ci_app}/{self.config.ci_check}:{head}"
        return Who(me, me, BY, identity.host(), os.getpid(), "ci", None, head)

    def _of(self) -> Host:
        from .host import choose

        self._host = self._host or choose.of(self.repo, self.config, timeout_s=ASK_S)
        return self._host

    def _ask(self, name: str, head: str) -> tuple[CheckRun | None, list[News]]:
        try:
            runs = self._jobs.told_apart(self._of(), self._of().check_runs(head, self.config.ci_check))
        except HostRefused as e:
            if e.status != 422:
                raise
            runs = []  # its API does not have this commit yet: what was pushed comes to it a moment later
        back, self._down = self._down, False
        return newest(runs, self.config.ci_check, self.config.ci_app), (
            [News(BACK, name, say.HOST_BACK)] if back else []
        )

    def _judged_by(self, name: str, head: str) -> tuple[str, str, int]:
        """(tree, hash of its steps, reds that close the lane), as the commit itself declares them, which is what a
        runner reads. Raises CouldNotTell."""
        if not self.repo.has(head):
            self.repo.fetch_tip(self.config.remote, name)
        tree = self.repo.tree(head)
        if tree is None:
            raise CouldNotTell(f"{head[:10]} is not here.", code="missing")
        settings = policy.at(self.repo, head) or self.config
        return tree, hash_of(settings), settings.close_after

    def _record(self, name: str, head: str, tree: str, steps: str, result: str, url: str) -> None:
        from . import prps

        verdict = Verdict(tree, steps, KLASS, result)
        watcher.publish(self.repo, self.config, self.store, name, head)
        prps.note_verdict(self.store, verdict, agent=BY, sha=head, run_url=url)


def dispatch(host: Host, workflow: str, lane: str, head: str, fence: int) -> None:
    """Start the workflow for a landing. One that declares no inputs gets none: it then runs on the lane's tip."""
    try:
        host.dispatch(workflow, lane, {"sha": head, "fence": str(fence)})
    except HostRefused as e:
        if e.status != 422 or "inputs" not in e.message:
            raise
        host.dispatch(workflow, lane, {})


def mends(repo: Repo, config: Config, lock: MergeLock, head: str) -> bool:
    """Is the lane closed by a red that the branch takes back with this commit, and has not brought back since?

    Who pressed the host's button for that announced nothing: the commit itself is all that says so.
    """
    closed, tip = lock.state().closed, repo.known_tip(config.remote, lock.lane)
    if closed is None or closed.kind != RED:
        return False
    newest = tip if tip and repo.is_ancestor(head, tip) else head
    return all(reverts.is_taken_back(repo, closed.culprit_sha, at) for at in dict.fromkeys((head, newest)))


def still_in(repo: Repo, config: Config, lock: MergeLock, head: str) -> tuple[bool, bool]:
    """Whether a commit is in the lane now, and whether a later tip of it is green already. Raises CouldNotTell."""
    tip = repo.remote_tip(config.remote, lock.lane).sha
    if tip and not repo.has(tip):
        repo.fetch_tip(config.remote, lock.lane)
    if not tip or not repo.is_ancestor(head, tip):
        return False, False
    later = repo.commits(head, tip, "--first-parent")[-LATER_MOST:]
    records = (lock.record(commit) for commit in later)
    return True, any(r.verdict == GREEN for r in records if r)
