"""After a push: a detached process that renews the lease, asks the remote what came of it, and records the answer."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from . import candidate, hook_filter, identity, lane, policy, pushing
from .errors import CouldNotTell, StoreDown, UserError
from .lane_state import ACCEPTING, INTENT

if TYPE_CHECKING:
    from .config import Config
    from .gitrepo import Repo
    from .identity import Process
    from .lane import Landing
    from .lock import Lease, Look, MergeLock
    from .store.client import Store

STAY_S = 10
FIRST_LOOK_S = 2.0


def stand_by(repo: Repo, config: Config, landing: Landing, process: Process, land: Process) -> None:
    """For the push of a landing: nothing while its process lives. If that was killed before it could report, `watch`
    the push in its stead, and tidy up what it left.

    Nothing is renewed meanwhile: a landing that hangs must not keep the lane. Ends as well when the landing has
    reported: its process may be a program that runs for days.
    """
    wait_s = FIRST_LOOK_S
    give_up = time.monotonic() + config.times.cap_ms / 1000 + 60
    while not _ended(land, wait_s):
        if time.monotonic() > give_up or _reported(repo, config, landing):
            return
        wait_s = min(2 * wait_s, 60.0)
    stand_in(repo, config, landing, process)


def stand_in(repo: Repo, config: Config, landing: Landing, process: Process) -> None:
    """The `prp land` of a push has ended. If it did not report, `watch` the push in its stead, and tidy up."""
    if _reported(repo, config, landing):
        return
    watch(repo, config, landing, process)
    candidate.sweep(repo)
    pushing.sweep(repo)


def _reported(repo: Repo, config: Config, landing: Landing) -> bool:
    """Is it on record what became of this push? No while the store is away: it may be back before the push ends."""
    from .lock import MergeLock
    from .store.client import connect

    try:
        with connect(config, repo.root, timeout_s=5, start=False) as store:
            state = MergeLock(store, landing.lane, config.times).state()
    except StoreDown:
        return False
    return state.fence != landing.lease.fence or state.phase not in (INTENT, ACCEPTING)


def watch(repo: Repo, config: Config, landing: Landing, process: Process) -> None:
    """Renew the lease while the pushing process lives, then ask the remote and report.

    Runs detached: it never prints or prompts. Ends when the outcome is recorded, when the lock is lost, or at the
    hold's cap; then the next caller reconciles.
    """
    from .lock import MergeLock
    from .store.client import connect

    every_s = config.times.lease_ms / 3000
    store = None
    give_up = time.monotonic() + config.times.cap_ms / 1000 + 60
    while not _ended(process, every_s) and time.monotonic() < give_up:
        try:
            store = store or connect(config, repo.root, timeout_s=5, start=False)
            MergeLock(store, landing.lane, config.times).renew(landing.lease)
        except StoreDown:
            store = None
    # Once the lease has run out the next caller looks at the remote: nobody needs this process any more.
    give_up = min(give_up, time.monotonic() + config.times.lease_ms / 1000 + STAY_S)
    while time.monotonic() < give_up and os.path.isdir(repo.git_dir):
        try:
            store = store or connect(config, repo.root, timeout_s=5, start=False)
            report(repo, config, store, landing)
            if config.notifies:
                from . import notify

                notify.once(repo, config, store)
            store.close()
            return
        except StoreDown:
            store = None
        except CouldNotTell:
            pass  # not renewed: once the lease is over anybody else who reaches the remote may look
        time.sleep(min(2.0, every_s))


def report(repo: Repo, config: Config, store: Store, landing: Landing) -> None:
    """Look at the remote and record what came of a push, also when the lock was lost meanwhile."""
    from .lock import MergeLock

    lock = MergeLock(store, landing.lane, config.times)
    saw, look = lane.observe(repo, config, lock.state(), landing.intent)
    tell(lock, landing.lease, landing.intent.head, saw, look, config.gate)
    if saw == "in":
        publish(repo, config, store, landing.lane, look.tip)


def tell(lock: MergeLock, lease: Lease, head: str, saw: str, look: Look, gate: str) -> None:
    """The holder's word of what the remote has. A hold that was ended meanwhile (`prp lock break`) has no say over the
    lane any more, but what it saw is as true as anybody's look: whose the commits are, and that `head` was refused, is
    told at once."""
    from .lock import Lost

    if isinstance(lock.report(lease, saw, look, gate=gate), Lost):
        lock.attribute(look, (head, lease.fence) if saw == "other" else None)


def publish(repo: Repo, config: Config, store: Store, name: str, tip: str | None) -> None:
    """Bring the live state up to what landed on the lane that is the record."""
    from . import prps

    if name != config.ledger_lane or not tip:
        return
    try:
        prps.sync(repo, store, config, tip=tip)
        hook_filter.refresh(repo, policy.find(repo) or config)
    except UserError:
        return  # the next sync of any clone does it; the landing itself is recorded


def _ended(process: Process, wait_s: float) -> bool:
    """Wait until a process that is not our child ends, at most `wait_s`."""
    if hasattr(os, "pidfd_open"):
        import select

        try:
            fd = os.pidfd_open(process.pid)
        except ProcessLookupError:
            return True
        try:
            if not identity.alive(process):
                return True
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            return bool(poll.poll(wait_s * 1000))
        finally:
            os.close(fd)
    until = time.monotonic() + wait_s
    while time.monotonic() < until:
        if not identity.alive(process):
            return True
        time.sleep(0.05)
    return False
