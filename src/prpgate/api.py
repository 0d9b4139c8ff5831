"""prpgate for programs: the verbs of the command line as calls that take and give plain values.

    with prpgate.connect() as project:
        for prp in project.ready():
            print(prp.id, prp.title)
        done = project.start("P2-040")
        with project.hold("main", wait_s=60) as held:
            ...                                   # nobody else lands meanwhile; held.lost() says if that ends

Values are the named tuples of `prpgate.live`, `prpgate.lane_state` and `prpgate.outcomes`. What the command line says
on stderr comes as an exception: UserError and its kinds, with `message`, `code`, `hint` and `next_action`.

A Project belongs to one thread at a time. `prpgate.aio` is the same for async programs.
"""

from __future__ import annotations

import contextlib
import os
import threading
import uuid
from typing import TYPE_CHECKING, NamedTuple

from . import identity, ops
from .errors import StoreDown, UserError
from .messages import api as say
from .model import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from typing import Self

    from .events import Event
    from .grip import Grip
    from .land import Outcome, Stage
    from .lane_state import LaneState, LogEvent
    from .lock import MergeLock
    from .milestones import Context, Done
    from .model import Finding
    from .ops import LandingSeen
    from .outcomes import Queued
    from .prps import PrpState, SyncReport
    from .smoke import SmokeReport


class StoreStatus(NamedTuple):
    """Which store this is, and how it answers."""

    url: str  # without a secret
    rule: str  # which of the rules found it
    store_id: str
    latency_ms: float
    server: str  # such as "valkey 9.1.2"


class Ready(NamedTuple):
    """What can be started, best first, and what cannot, with the reason."""

    prps: list[PrpState]
    waiting: list[tuple[PrpState, str]]


class Smoked(NamedTuple):
    """What the smoke gate said, and whether its verdict is on record."""

    report: SmokeReport
    recorded: bool


class Stop:
    """Ends somebody's waiting, from another thread."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._wake: Callable[[], None] | None = None

    def now(self) -> None:
        """The waiting ends; at once, when the store answers."""
        self._event.set()
        if self._wake:
            with contextlib.suppress(StoreDown):  # it wakes by itself within eight seconds
                self._wake()

    def asked(self) -> bool:
        return self._event.is_set()

    def wakes(self, wake: Callable[[], None]) -> None:
        """How the waiting is woken."""
        self._wake = wake


class Project:
    """One clone, its policy and its store. Close it, or use it in a `with`."""

    def __init__(self, path: str = ".", *, url: str | None = None, agent: str | None = None) -> None:
        self._session = ops.Session(path, url=url, agent=agent)
        _ = self._session.config  # a folder without prp.toml is found out here, not at the first verb

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. The next verb opens them again."""
        self._session.close()

    @property
    def session(self) -> ops.Session:
        """What the verbs work on, for what this class has no verb for."""
        return self._session

    @property
    def agent(self) -> str:
        """The name under which everything is done."""
        return self._session.agent.name

    @property
    def name(self) -> str:
        """The project's id."""
        return self._session.config.project

    @property
    def path(self) -> str:
        """Top of the working tree."""
        return self._session.repo.root

    def store(self) -> StoreStatus:
        """Reach the store. Raises StoreDown."""
        store = self._session.store()
        return StoreStatus(store.url, store.rule, store.store_id, store.ping_ms(), store.server())

    # --- PRPs --------------------------------------------------------------------------------------------------------
    def prps(self, *statuses: str) -> list[PrpState]:
        """Every PRP, or those with these effective statuses, in the order of their ids. One round trip."""
        state = ops.read_state(self._session)
        return [p for p in state.prps.values() if not statuses or p.status in statuses]

    def prp(self, any_id: str) -> PrpState:
        """One PRP by its id, stable id or legacy id. Raises UserError("unknown")."""
        from .messages.prps import unknown

        state = ops.read_state(self._session)
        found = state.resolve(any_id)
        if found is None:
            raise unknown(any_id, state)
        return found

    def ready(self) -> Ready:
        """What can be started now, best first, and why the others cannot."""
        from . import prps

        judged = prps.ready(ops.read_state(self._session), self._session.config)
        return Ready([p for p, why in judged if why is None], [(p, why) for p, why in judged if why is not None])

    def new(self, title: str, *, id: str | None = None, doc: str | None = None) -> Done:
        """Add a PRP to the ledger, as `new`. Like every milestone: the line is in the working tree, yours to commit."""
        from . import prps

        return prps.new(self._context(), title, doc=doc, id=id)

    def validate(self, id: str) -> Done:
        """new -> validated."""
        from . import prps

        return prps.validate(self._context(), id)

    def start(self, id: str) -> Done:
        """Claim a PRP. Of several racers one wins; the others get a UserError that names the winner."""
        from . import prps

        return prps.start(self._context(), id)

    def complete(self, id: str) -> Done:
        """Record a PRP as done, with evidence that is fetched."""
        from . import prps

        return prps.complete(self._context(), id)

    def complete_undo(self, id: str) -> Done:
        """Take back a completion that has not landed."""
        from . import prps

        return prps.complete_undo(self._context(), id)

    def reopen(self, id: str, reason: str) -> Done:
        """Take a complete PRP up again."""
        from . import prps

        return prps.reopen(self._context(), id, reason)

    def renew(self, id: str) -> Done:
        """Move the deadline of one's own claim."""
        from . import prps

        return prps.renew(self._context(), id)

    def sync(self) -> SyncReport:
        """Bring the live state up to what the lane records, as far as this clone has fetched it."""
        from . import prps

        return prps.sync(self._session.repo, self._session.store(), self._session.config)

    def smoke(self, on_line: Callable[[str, str], None] | None = None) -> Smoked:
        """Run the smoke gate on what is checked out, and record the verdict where it says something of a commit."""
        from . import policy, prps
        from . import smoke as gate

        session = self._session
        config = policy.working_tree(session.repo) or session.config
        report = gate.run_tree(session.repo, config, on_line=on_line or _deaf, on_step=_deaf)
        if report.tree is None or report.result == gate.UNKNOWN:
            return Smoked(report, False)
        verdict = Verdict(report.tree, report.steps_hash, "local", report.result)
        done = prps.note_verdict(session.store(), verdict, agent=self.agent, sha=session.repo.head or "")
        return Smoked(report, done.written or done.result == report.result)

    def check(self) -> list[Finding]:
        """Everything that can be said of the working tree's ledger."""
        return ops.check_all(self._session.repo, self._session.config)

    # --- lanes -------------------------------------------------------------------------------------------------------
    def lanes(self) -> list[str]:
        """Names of the lanes: those in prp.toml, and those that were ever used."""
        return self._session.lanes()

    def lane(self, name: str | None = None) -> LaneState:
        """What stands in a lane now (default: the lane that is the record)."""
        return self._lock(name).state()

    def lane_log(self, name: str | None = None, *, count: int = 30) -> list[LogEvent]:
        """What happened on a lane, newest first."""
        return self._lock(name).log(count)

    def landings(self, name: str | None = None, *, count: int = 30) -> list[LandingSeen]:
        """Every landing, newest first: what was claimed, and what the remote was found to have."""
        return ops.landings(self._lock(name), count)

    def close_lane(self, reason: str, name: str | None = None) -> None:
        """Take only fixes from now on, until a person opens the lane."""
        self._lock(name).close(self.agent, _said(reason))

    def open_lane(self, reason: str, name: str | None = None) -> bool:
        """Take everything again; False when the lane was open."""
        from .lock import Lost

        return not isinstance(self._lock(name).open(self.agent, _said(reason)), Lost)

    def break_lock(self, fence: int, reason: str, name: str | None = None) -> bool:
        """End whatever holds a lane under exactly this fence; False when that is not what holds it."""
        from .lock import Lost

        return not isinstance(self._lock(name).break_(fence, self.agent, _said(reason)), Lost)

    def land(
        self,
        branch: str | None = None,
        *,
        prp: str | None = None,
        wait_s: float = float("inf"),
        on_stage: Callable[[Stage], None] | None = None,
    ) -> Outcome:
        """`prp land`: wait in line, rebase apart, prove, push, ask the remote.

        `Outcome.state` says how it ended: "landed", "ci", "up-to-date", "queued" (`wait_s` was over), "unseen".
        Raises UserError when it is refused. In the main thread, Ctrl-C leaves nothing behind.
        """
        from . import land

        session = self._session
        job = land.job(session.repo, session.config, branch, prp and self.prp(prp).id)
        ears = land.Ears(on_stage or _deaf, _deaf, _deaf, _deaf)
        return land.land(
            *(session.repo, session.config, session.store(), session.agent, job, ears),
            wait_s=wait_s,
            url=session.url,
        )

    @contextlib.contextmanager
    def hold(
        self,
        name: str | None = None,
        *,
        wait_s: float = 0.0,
        on_change: Callable[[Queued], None] | None = None,
        stop: Stop | None = None,
    ) -> Iterator[Grip]:
        """Hold a lane's merge lock for as long as the block lasts: nobody lands meanwhile. Renewed in the background.

        Waits in line at most `wait_s` seconds. `stop` may end that from another thread. Raises UserError
        "held" when the time is over, LaneClosed when the lane takes only fixes. Look at `lost()` before each step that
        needs the lock: a hold ends at its cap, when somebody breaks it, or when the store stays away for a lease.
        """
        from . import lane, waiting
        from .grip import Grip
        from .lock import Closed, Granted
        from .messages import lane as lane_say

        session, lock = self._session, self._lock(name)
        mine = lane.contender(
            *(session.repo, session.agent, lock.lane, identity.process(os.getpid()), "hold", None, None)
        )
        own = uuid.uuid4().hex[:8]  # two holds of one process are two contenders
        who = mine._replace(ticket=f"{mine.ticket}:{own}", hold=f"{mine.hold}:{own}")

        def changed(answer: Queued) -> bool:
            if on_change:
                on_change(answer)
            return answer.state.needs_look and lane.reconcile(session.repo, session.config, lock, who)

        if stop:
            stop.wakes(lambda: lock.wake(who.ticket))
        asked = stop.asked if stop else None
        got = waiting.wait(lock, who, max_wait_s=wait_s, on_change=changed, keep=False, stop=asked)
        if isinstance(got, Closed):
            raise lane_say.closed(got.state)
        if not isinstance(got, Granted):
            raise say.not_yours(got.state)
        with Grip(session.config, session.repo.root, session.url, got.lease) as grip:
            try:
                yield grip
            finally:
                lock.release(grip.lease)

    # --- what happens ------------------------------------------------------------------------------------------------
    def events(self, count: int = 30, *, lane: str | None = None) -> list[Event]:
        """The last events of PRPs, or of one lane, oldest first."""
        from . import events

        return events.tail(self._session.store(), count, lane=lane)

    def follow(self, after: str = "$", *, lanes: Sequence[str] | None = None) -> Generator[Event | None, None, None]:
        """Every event from now on, as it comes; None when eight seconds passed without one."""
        from . import events

        return events.follow(self._session.store(), after, self.lanes() if lanes is None else lanes)

    # --- inside ------------------------------------------------------------------------------------------------------
    def _context(self) -> Context:
        ops.read_state(self._session)
        return self._session.context()

    def _lock(self, name: str | None) -> MergeLock:
        only = self._session.lanes(name) if name else [self._session.config.ledger_lane]
        return self._session.lock(only[0])


def _deaf(*_: object) -> None:
    """Nobody listens."""


def _said(reason: str) -> str:
    if not reason.strip():
        raise UserError("say why: everybody who is refused reads it.", code="usage")
    return " ".join(reason.split())


def connect(path: str = ".", *, url: str | None = None, agent: str | None = None) -> Project:
    """The project of the clone at `path`. `url`: this store, instead of the one that the rules find; `agent`: the
    name to act under, instead of PRP_AGENT and the rest.

    Raises UsageError where there is no repository or no prp.toml. The store is reached by the first verb that
    needs it.
    """
    return Project(path, url=url, agent=agent)
