"""Under which name this server's client acts, and the session of one call.

Two clients of one person are two agents: each server process takes a name of its own, and keeps it by a lock on a file
in the worktree's git dir for as long as it runs. The next server there gets the name again, and with it the claims.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import threading
import time
from typing import IO

from .. import identity, ops
from ..gitrepo import Repo

RENEW_EVERY_S = 60.0
LOOK_EVERY_S = 2.0  # at what there is to renew


class Own:
    """One server process: where it works, and who its client is."""

    def __init__(self, path: str, *, url: str | None = None, agent: str | None = None) -> None:
        self.path, self.url = path, url
        self._name = agent or os.environ.get("PRP_AGENT", "").strip() or None
        self._slot: IO[str] | None = None
        self._client = "mcp"
        self._once = threading.Lock()
        self._git_dir: str | None = None
        self._due = 0.0  # when to renew, on the monotonic clock

    def client(self, name: str | None) -> None:
        """What the client calls itself, in its first message."""
        if name and self._slot is None:
            self._client = re.sub(r"[^a-z0-9.]+", "-", name.casefold())[:40].strip("-.") or "mcp"

    def session(self) -> ops.Session:
        """A view of the world for one call: settings, store and repository are as they are now. Raises UserError."""
        repo = Repo.found(self.path)
        return ops.Session(self.path, url=self.url, agent=self.name(repo), command=False)

    def name(self, repo: Repo) -> str:
        """PRP_AGENT or --agent; else the worktree's own name (`prp whoami --set`); else one made of user, client and
        place. Of the last two, the first that no other server has."""
        with self._once:
            self._git_dir = repo.git_dir
            if self._name is None:
                base, n = _base(repo, self._client), 1
                while (slot := _take(repo, base if n == 1 else f"{base}-{n}")) is None:
                    n += 1
                self._slot, self._name = slot, base if n == 1 else f"{base}-{n}"
            return self._name

    def renew(self) -> None:
        """Renew what this client has claimed in this worktree, if it is time, and say that it is there.

        Costs one look at a file when there is nothing to renew. Raises UserError."""
        from .. import prps, registry

        if self._name is None or self._git_dir is None or not prps.claims_here(self._git_dir, self._name):
            self._due = 0.0
            return
        if time.monotonic() < self._due:
            return
        session = self.session()
        try:
            # Often enough that nobody thinks us gone, and that a lease outlives two that failed.
            self._due = time.monotonic() + min(RENEW_EVERY_S, session.config.claim_agent_s / 3)
            ops.renew_here(session)
            registry.beat(session.store(), session.caller)
        finally:
            session.close()


def _base(repo: Repo, client: str) -> str:
    who = identity.agent(repo)
    if not identity.is_person(who):
        return who.name
    place = hashlib.sha256(f"{identity.host()}\0{repo.git_dir}".encode("utf-8", "surrogateescape")).hexdigest()[:6]
    return f"{who.name.partition('@')[0][:100]}/{client}-{place}"


def _take(repo: Repo, name: str) -> IO[str] | None:
    """The name's file, locked until this process ends; None: another server has it."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    slot = open(os.path.join(repo.git_dir, identity.SLOT + digest), "a", encoding="utf-8")  # noqa: SIM115 - kept open
    try:
        fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        slot.close()
        return None
    return slot
