"""The one project that a process's old scripts share, and the lane's merge lock under their names."""

from __future__ import annotations

import os
import threading
import warnings
from typing import TYPE_CHECKING, Any

from .. import api, identity, lane
from ..grip import Grip
from ..lock import Granted
from ..messages import api as say

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..lock import MergeLock
    from ..ops import Session
    from ..outcomes import Who


def deprecated(old: str, new: str) -> None:
    warnings.warn(say.deprecated(old, new), DeprecationWarning, stacklevel=3)


class Desk:
    """One project per process and folder, opened when it is first needed. Scripts share it, one call at a time."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._project: api.Project | None = None
        self._at = ""
        self._held: dict[str, Grip] = {}

    def session(self) -> Session:
        here = os.getcwd()
        if self._project is None or self._at != here:
            if self._project is not None:
                self._project.close()
            self._project, self._at = api.connect(here), here
        return self._project.session

    def project(self) -> api.Project:
        self.session()
        assert self._project is not None
        return self._project

    def do(self, call: Callable[[Desk], Any]) -> Any:
        with self._lock:
            return call(self)

    # --- the lane's merge lock, for a PRP ----------------------------------------------------------------------------
    def _who(self, lock: MergeLock, prp_id: str) -> Who:
        s = self.session()
        mine = lane.contender(s.repo, s.agent, lock.lane, identity.process(os.getpid()), "hold", prp_id, None)
        own = f"{mine.ticket}:compat:{prp_id}"  # another process of this agent in this worktree has the same hold
        return mine._replace(ticket=own, hold=own)

    def acquire(self, prp_id: str) -> bool:
        s = self.session()
        lock = s.lock(s.config.ledger_lane)
        who = self._who(lock, prp_id)
        if who.hold in self._held and not self._held[who.hold].lost():
            return True
        got = lock.acquire(who, plain=False)
        if not isinstance(got, Granted):
            lock.leave(who.ticket)
            return False
        grip = Grip(s.config, s.repo.root, s.url, got.lease)
        grip.__enter__()
        self._held[who.hold] = grip
        return True

    def release(self, prp_id: str | None) -> bool:
        s = self.session()
        lock = s.lock(s.config.ledger_lane)
        holder = lock.state().holder
        if holder is None:
            return False
        asked = self._who(lock, prp_id or holder.prp or "")
        if holder.id != asked.hold:
            warnings.warn(say.other_owner(holder.agent, s.agent.name), UserWarning, stacklevel=4)
            return False
        grip = self._held.pop(holder.id, None)
        if grip is not None:
            grip.__exit__()
            return lock.release(grip.lease).state.holder is None
        mine = lock.resume(lock.state().fence, holder.id)  # another process of ours took it
        return isinstance(mine, Granted) and lock.release(mine.lease) is not None


DESK = Desk()
