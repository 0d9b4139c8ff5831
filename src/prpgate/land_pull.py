"""`prp land --pr`: in its turn, a pull request is merged through the host's API, at exactly the head that was judged.

The lane's lock, line, gate and records are those of `land`; the host makes the commit. What became of it is what the
remote says: the answer to the call may be lost, and it is never made a second time for a head that is in.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from . import candidate, land, lane, merged, policy, pulls, sign, watcher
from .errors import CouldNotTell, HostDown, HostRefused, StoreDown, UserError
from .grip import Grip
from .host import HEAD_MOVED, choose
from .interrupts import held_back
from .job import (
    FETCHING,
    IN_CI,
    LANDED,
    LOOKING,
    NOTHING,
    UNSEEN,
    Ears,
    Job,
    Outcome,
    Overtaken,
    Stage,
    alone,
    may_hotfix,
)
from .lane_state import Pulled
from .lock import Closed, Granted, Lost
from .messages import fixes as fixes_say
from .messages import land as land_say
from .messages import lane as lane_say
from .messages import pulls as say
from .model import ZERO, Intent

if TYPE_CHECKING:
    from .config import Config
    from .gitrepo import Repo
    from .host import Host, Pull
    from .lock import Look
    from .model import Agent
    from .store.client import Store

ASKING = "the host merges it"  # a stage
LOOKS, LOOK_AGAIN_S = 6, 1.0  # for what the host says is merged to be seen at the remote


class Answer(NamedTuple):
    """What the host said to the call that merges."""

    sha: str = ""  # it is merged, as this
    no: HostRefused | None = None  # it is not, by this call
    lost: HostDown | None = None  # nothing is known


def job(
    repo: Repo,
    config: Config,
    number: int | None = None,
    branch: str | None = None,
    prp: str | None = None,
    *,
    hotfix: bool = False,
    reason: str = "",
) -> tuple[Host, Job]:
    """The host, and what is to land: a pull request by its number, else the open one of a branch (default: the one
    checked out). Raises UserError for one that cannot, HostDown, HostRefused."""
    host = choose.of(repo, config, timeout_s=pulls.ASK_S)
    if number is None:
        number = pulls.number_of(repo, host, config, branch)
    pull = pulls.read(host, number)
    name = pulls.check(pull, config)
    return host, Job(name, None, pull.head_sha, False, prp, None, hotfix, " ".join(reason.split()), number)


def land_pull(
    repo: Repo,
    config: Config,
    store: Store,
    me: Agent,
    what: Job,
    ears: Ears,
    *,
    host: Host,
    wait_s: float,
    url: str | None = None,
) -> Outcome:
    """As `land.land`, for a pull request. Raises HostDown and HostRefused too."""
    with alone(repo):
        candidate.sweep(repo)
        if what.hotfix and not may_hotfix(config, me.name):
            raise fixes_say.not_named(what.lane, me.name, config.hotfix)
        one = _PullLanding(repo, config, store, me, what, ears, url)
        one.host = host
        one.look_first()
        try:
            done = one.go(wait_s)
            if done.state in (LANDED, IN_CI, NOTHING) and what.pull is not None:
                merged.forget(repo, one.config, what.pull)
            return done
        finally:
            with contextlib.suppress(StoreDown):
                sign.show(repo, one.config, host, store, what.lane)


class _PullLanding(land._Landing):
    """One call of `land_pull`."""

    host: Host

    def look_first(self) -> None:
        super().look_first()
        self._pull()
        merged.fetch_head(self.repo, self.config, self._number, self.what.head)

    @property
    def _number(self) -> int:
        assert self.what.pull is not None
        return self.what.pull

    @property
    def _in_ci(self) -> bool:
        """Does CI smoke it once it is in? The host makes the commit, so no candidate of it can be smoked before."""
        return self.config.gate.startswith("ci")

    def _pull(self) -> tuple[Pull, str]:
        """The pull request as it is now, at the head that is to land, and the way to merge it."""
        pull = pulls.read(self.host, self._number)
        pulls.check(pull, self.config)
        if pull.head_sha != self.what.head:
            raise say.moved(pull, self.what.head)
        found = pulls.ways(self.host, self.what.lane)
        if found.queue:
            raise say.queue(pull)
        if self.config.gate == "local" and pulls.from_fork(pull, self.host):
            raise say.fork_runs_nothing(pull)
        if found.strict and not self._on_top(pull):
            raise say.behind(pull)
        return pull, pulls.method(found, self.config)

    def _on_top(self, pull: Pull) -> bool:
        return self.host.compare(pull.base_ref, pull.head_sha).behind == 0

    # --- with the lane in hand ---------------------------------------------------------------------------------------
    def _holding(self, granted: Granted) -> Outcome:
        with Grip(self.config, self.repo.root, self.url, granted.lease) as grip:
            self.ears.stage(Stage(FETCHING))
            base = self._fetch()
            self.config = policy.find(self.repo) or self.config
            if base != ZERO and self.repo.is_ancestor(self.what.head, base):
                self.lock.release(grip.lease)
                return Outcome(NOTHING, self.what, self.what.head, base)
            pull, way = self._pull()
            text, made, info = self._examined(pull, way, base)
            if self.repo.tree(made) == self.repo.tree(base):
                self.lock.release(grip.lease)
                return Outcome(NOTHING, self.what, self.what.head, base)
            if self.config.gate == "local":
                sign.show(self.repo, self.config, self.host, self.store, self.what.lane)
                with candidate.worktree(self.repo, made) as tree:
                    self._prove(Intent(base=base, head=made), tree)
            answer = self._merge(grip, pull, way, text, Intent(self.what.head, base), info)
            return self._told(grip, pull, Intent(self.what.head, base), info["tree"], answer)

    def _examined(self, pull: Pull, way: str, base: str) -> tuple[pulls.Words, str, dict[str, Any]]:
        """How it will read, a commit of what it makes, and what the lane keeps of it."""
        from . import prps

        ids, _ = prps.prps_of_range(self.repo, self.config, base, self.what.head)
        ids = list(dict.fromkeys([*([self.what.prp] if self.what.prp else []), *ids]))
        text = pulls.words(self.repo, pull, base, way, ids)
        made = pulls.candidate(self.repo, pull, base, text)
        if isinstance(made, merged.Conflicts):
            raise say.conflict(pull, self.config.remote, made.files)
        if pull.mergeable is False:
            raise say.conflict(pull, self.config.remote, ())
        return text, made, {**self._judged(Intent(base=base, head=made)), "pull": self._number}

    def _merge(
        self, grip: Grip, pull: Pull, way: str, text: pulls.Words, intent: Intent, info: dict[str, Any]
    ) -> Answer:
        needs_s = pulls.ASK_S + 1
        if not grip.covers(needs_s) and isinstance(again := self.lock.renew(grip.lease), Granted):
            grip.lease = again.lease
        if not grip.covers(min(needs_s, self.config.times.lease_ms / 4000)):
            raise land_say.lost(self.what.lane, self.lock.state())
        sign.allow(self.config, self.host, self.store, self.what.lane, pull, self.me.name)
        said = self.lock.intent(grip.lease, intent, info, self.fixer)
        if isinstance(said, Closed):
            self.lock.release(grip.lease)
            raise lane_say.closed(said.state)
        if isinstance(said, Lost):
            raise land_say.lost(self.what.lane, said.state)
        self.ears.stage(Stage(ASKING))
        try:
            return Answer(self.host.merge_pull(self._number, intent.head, way, text.title, text.body))
        except HostRefused as e:
            return Answer(no=e)
        except HostDown as e:
            return Answer(lost=e)
        except KeyboardInterrupt:  # it is under way: what comes of it has to be told all the same
            return Answer(lost=say.stopped(self._number))

    # --- what came of it ---------------------------------------------------------------------------------------------
    def _told(self, grip: Grip, pull: Pull, intent: Intent, tree: str, answer: Answer) -> Outcome:
        if answer.no and (sha := self._merged_as()):  # somebody pressed the button meanwhile
            answer = Answer(sha)
        with held_back():  # the host was told: now the remote's answer is written down, whoever presses what
            self.ears.stage(Stage(LOOKING))
            saw, look = self._seen(Pulled(self._number, intent.head, intent.base, tree, answer.sha), intent, answer)
            if saw == "base" and (answer.no or (answer.lost and answer.lost.unsent)):
                saw = "other"  # it cannot arrive any more
            watcher.tell(self.lock, grip.lease, intent.head, saw, look, self.config.gate)
            if saw in ("in", "base"):
                self.ears.over()
            if saw == "in":
                self.landed = self._as_landed(intent, look)
                watcher.publish(self.repo, self.config, self.store, self.what.lane, look.tip)
                return self.landed
        if answer.no:
            raise self._refused(answer.no, pull, (look.tip or ZERO) != intent.base)
        if answer.lost and answer.lost.unsent:
            raise answer.lost
        if answer.sha:
            raise say.elsewhere(self._number, answer.sha, self.what.lane)
        why = answer.lost.message if answer.lost else ""
        return Outcome(UNSEEN, self.what, intent.head, intent.base, text=say.not_said(self._number, why))

    def _refused(self, no: HostRefused, pull: Pull, base_moved: bool) -> Exception:
        now = pull
        with contextlib.suppress(UserError):
            now = self.host.pull(self._number)
        if now.head_sha != self.what.head:
            return say.moved(now, self.what.head)
        if now.merged:
            return say.merged_already(now)
        if now.state != "open":
            return say.not_open(now)
        if base_moved:
            return Overtaken()
        if no.code == HEAD_MOVED:
            return say.not_mergeable(now, no.message)
        return say.not_mergeable(now, no.message) if no.status == 405 else no

    def _seen(self, mine: Pulled, intent: Intent, answer: Answer) -> tuple[str, Look]:
        """Ask the remote, and again while the host says that it merged and the remote does not show it yet."""
        for n in range(LOOKS):
            state = self.lock.state()
            others = tuple(p for p in state.pulls if p.head != mine.head)
            try:
                saw, look = lane.observe(self.repo, self.config, state._replace(pulls=(*others, mine)), intent)
            except CouldNotTell as e:
                if n + 1 == LOOKS:
                    raise land_say.cannot_look(self.what.lane, intent.head, e) from None
            else:
                if saw != "base" or answer.no or n + 1 == LOOKS or not self._may_show(mine, answer):
                    return saw, look
            time.sleep(LOOK_AGAIN_S)
            if not mine.sha and (sha := self._merged_as()):
                mine = mine._replace(sha=sha)
        raise AssertionError

    def _may_show(self, mine: Pulled, answer: Answer) -> bool:
        return bool(mine.sha) or bool(answer.lost and not answer.lost.unsent)

    def _merged_as(self) -> str:
        """The commit that the host says it is merged as; "" when it does not say so."""
        with contextlib.suppress(UserError):
            pull = self.host.pull(self._number)
            return pull.merge_sha if pull.merged else ""
        return ""

    def _as_landed(self, intent: Intent, look: Look) -> Outcome:
        made = next((one for one in look.made or () if one.head == intent.head), None)
        sha, base = (made.sha, made.base) if made else (intent.head, intent.base)
        count = len(self.repo.messages(self.repo.maybe("merge-base", base, intent.head), intent.head))
        state = IN_CI if self._in_ci else LANDED
        return Outcome(state, self.what, sha, base, count)
