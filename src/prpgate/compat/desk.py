"""The one project that a process's old scripts share, and the lane's merge lock under their names."""

from __future__ import annotations

import os
import threading
import warnings
from typing import TYPE_CHECKING, Any

from .. import api, identity, lane
from ..grip import Grip
from ..lock import Done, Granted
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
    def _ours(self, lock: MergeLock, prp_id: str) -> tuple[str, Who]:
        """(how every hold of this agent in this worktree for that PRP begins, this process's own): a second process is
        a second contender."""
        s, process = self.session(), identity.process(os.getpid())
        mine = lane.contender(s.repo, s.agent, lock.lane, process, "hold", prp_id, None)
        ours = f"{mine.ticket}:compat:{prp_id}"
        own = identity.hold_id(ours, process)
        return ours, mine._replace(ticket=own, hold=own)

    def _left_behind(self, lock: MergeLock, ours: str) -> tuple[int, str] | None:
        """Fence and id of the hold of a process of ours that ended without giving it back; whoever comes for its PRP
        has it. Of one look: the fence of a later one may be somebody else's."""
        state = lock.state()
        if state.holder is None or not state.holder.id.startswith(f"{ours}:"):
            return None
        pid, _, started = state.holder.id.removeprefix(f"{ours}:").partition(":")
        return None if identity.alive(identity.Process(int(pid), started)) else (state.fence, state.holder.id)

    def acquire(self, prp_id: str) -> bool:
        s = self.session()
        lock = s.lock(s.config.ledger_lane)
        ours, who = self._ours(lock, prp_id)
        if ours in self._held and not self._held[ours].lost():
            return True
        left = self._left_behind(lock, ours)
        got = lock.resume(*left) if left else lock.acquire(who, plain=False)
        if not isinstance(got, Granted):
            lock.leave(who.ticket)
            return False
        if s.store().quiet_s() > 0:  # what held the lane before the store was emptied may still be pushing
            lock.release(got.lease)
            return False
        grip = Grip(s.config, s.repo.root, s.url, got.lease)
        grip.__enter__()
        self._held[ours] = grip
        return True

    def release(self, prp_id: str | None) -> bool:
        s = self.session()
        lock = s.lock(s.config.ledger_lane)
        holder = lock.state().holder
        if holder is None:
            return False
        ours, _ = self._ours(lock, prp_id or holder.prp or "")
        grip = self._held.pop(ours, None)
        if grip is not None:
            grip.__exit__()
            return isinstance(lock.release(grip.lease), Done)
        left = self._left_behind(lock, ours)
        if left is None:
            warnings.warn(say.other_owner(holder.agent, s.agent.name), UserWarning, stacklevel=4)
            return False
        mine = lock.resume(*left)
        return isinstance(mine, Granted) and isinstance(lock.release(mine.lease), Done)


DESK = Desk()
