"""Lanes, for programs: what stands in them, landing, and holding one."""

from __future__ import annotations

import contextlib
import os
import threading
import uuid
from typing import TYPE_CHECKING

from .. import identity, lane_log, ops
from ..errors import StoreDown
from ..messages import api as say
from ..messages.prps import unknown
from .face import Face, deaf, said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..grip import Grip
    from ..job import Outcome, Stage
    from ..lane_log import LandingSeen
    from ..lane_state import LaneState, LogEvent
    from ..outcomes import Queued


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


class Lanes(Face):
    """Every verb of a lane."""

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
        return lane_log.landings(self._lock(name), count)

    def close_lane(self, reason: str, name: str | None = None) -> None:
        """Take only fixes from now on, until a person opens the lane."""
        self._lock(name).close(self.agent, said(reason))

    def open_lane(self, reason: str, name: str | None = None) -> bool:
        """Take everything again; False when the lane was open."""
        from ..lock import Lost

        return not isinstance(self._lock(name).open(self.agent, said(reason)), Lost)

    def break_lock(self, fence: int, reason: str, name: str | None = None) -> bool:
        """End whatever holds a lane under exactly this fence; False when that is not what holds it."""
        from ..lock import Lost

        return not isinstance(self._lock(name).break_(fence, self.agent, said(reason)), Lost)

    def land(
        self,
        branch: str | None = None,
        *,
        prp: str | None = None,
        pr: int | None = None,
        wait_s: float = float("inf"),
        on_stage: Callable[[Stage], None] | None = None,
    ) -> Outcome:
        """`prp land`: wait in line, rebase apart, prove, push, ask the remote.

        `Outcome.state` says how it ended: "landed", "ci", "up-to-date", "queued" (`wait_s` was over), "unseen".
        With `pr`, or where prp.toml says via = "pr", a pull request is merged instead: this one, or the branch's.
        Raises UserError when it is refused. In the main thread, Ctrl-C leaves nothing behind.
        """
        from .. import land

        session, own = self._session, prp and self._own_id(prp)
        ears = land.Ears(on_stage or deaf, deaf, deaf, deaf)
        if pr is not None or session.config.via == "pr":
            from .. import land_pull

            host, pull = land_pull.job(session.repo, session.config, pr, branch, own)
            return land_pull.land_pull(
                *(session.repo, session.config, session.store(), session.agent, pull, ears),
                host=host,
                wait_s=wait_s,
                url=session.url,
            )
        job = land.job(session.repo, session.config, branch, own)
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
        "held" when the time is over, "adopted" when the store was emptied just now, LaneClosed when the lane takes only
        fixes. Look at `lost()` before each step that
        needs the lock: a hold ends at its cap, when somebody breaks it, or when the store stays away for a lease.
        """
        from .. import land, lane, waiting
        from ..grip import Grip
        from ..lock import Closed, Granted
        from ..lookout import Lookout
        from ..messages import lane as lane_say

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
        ears = land.Ears(deaf, deaf, deaf, deaf)
        with Lookout(session.config, session.repo.root, session.url, lock.lane, who, ears) as lookout:
            got = waiting.wait(
                *(lock, who),
                max_wait_s=wait_s,
                on_change=changed,
                keep=False,
                stop=asked,
                on_answer=lookout.answered,
            )
        if isinstance(got, Closed):
            raise lane_say.closed(got.state)
        if not isinstance(got, Granted):
            raise say.not_yours(got.state)
        if (quiet_s := session.store().quiet_s()) > 0:
            lock.release(got.lease)
            raise say.just_adopted(lock.lane, quiet_s)
        with Grip(session.config, session.repo.root, session.url, got.lease) as grip:
            try:
                yield grip
            finally:
                lock.release(grip.lease)

    def _own_id(self, any_id: str) -> str:
        state = ops.read_state(self._session)
        found = state.resolve(any_id)
        if found is None:
            raise unknown(any_id, state)
        return found.id
