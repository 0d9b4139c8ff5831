"""One agent at work, in a process of its own: claims what is next, lands it, completes it, until nothing is left.

python -m tests.prps.agent_at_work SOCKET WORKTREE NAME CONFIG LOCK
"""

from __future__ import annotations

import fcntl
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import redis

from prpgate import config as configuration
from prpgate import prps
from prpgate.errors import CouldNotTell, UserError
from tests.prps import Desk
from tests.world import Clone

if TYPE_CHECKING:
    from tests.world import Server

PUSHES = 5
WAITING = ("none-ready", "limit", "stale-line", "busy", "changed-underneath")
# The lease ended while we stood in line: somebody else's now, or somebody has brought it further.
LOST = ("claimed", "not-claimed", "stale-fence", "not-started", "in-progress", "landed", "complete")


class Given:
    """The server of the test that started us."""

    def __init__(self, socket: str) -> None:
        self.socket = socket

    def redis(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=self.socket, protocol=2, decode_responses=True, socket_timeout=20)


def take_in(desk: Desk) -> None:
    desk.clone.git("pull", "-q", "--rebase", "--autostash", "origin", "main")


def land(desk: Desk, prp_id: str, lock: str) -> None:
    """Commit, take the lane in, push: one at a time, as the merge lock has it."""
    desk.clone.write(f"src/{prp_id}.txt", f"{desk.name}\n")
    desk.commit(f"{prp_id}: the work")
    with open(lock, "w", encoding="ascii") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        desk.renew(prp_id)
        for _ in range(PUSHES):
            take_in(desk)
            base, head = desk.repo.sha("refs/remotes/origin/main") or "", desk.clone.head
            ids, code = prps.prps_of_range(desk.repo, desk.config, base, head)
            if desk.clone.git("push", "-q", "origin", "HEAD:main", ok=False).code == 0:
                break  # else a push whose agent was killed got there before
        else:
            raise AssertionError(f"{prp_id} could not be pushed")
        desk.note_landing(head, base, ids, code, "landed")
        desk.smoke(head)
        desk.sync()


def finish(desk: Desk, prp_id: str, lock: str) -> None:
    """From claimed to complete, whatever of it was done before this process began."""
    try:
        desk.start(prp_id)
    except UserError as e:
        if e.code != "completing":  # by a process that was killed here
            raise
    try:
        desk.complete(prp_id)
    except UserError as e:
        if e.code != "not-green":
            raise
        desk.smoke("refs/remotes/origin/main")
        desk.complete(prp_id)
    if desk.prp(prp_id).phase == "completing":  # nothing of it has landed
        desk.complete_undo(prp_id)
        land(desk, prp_id, lock)
        desk.complete(prp_id)


def work(desk: Desk, lock: str) -> None:
    begun = prps.read(desk.store, desk.config).prps.values()  # by a process that was killed here
    mine = [p.id for p in begun if p.claim and p.claim.agent == desk.name and not p.claim.reserved]
    while True:
        try:
            finish(desk, mine.pop() if mine else desk.claim_next().prp.id, lock)
        except (UserError, CouldNotTell) as e:
            if e.code in LOST:
                desk.clone.git("reset", "-q", "--hard", "origin/main")  # our line is nobody's, and lands no more
            elif e.code not in WAITING:
                raise
            if e.code == "stale-line":
                with open(lock, "w", encoding="ascii") as f:
                    fcntl.flock(f, fcntl.LOCK_EX)
                    take_in(desk)
            if all(p.status == "complete" for p in prps.read(desk.store, desk.config).prps.values()):
                return
            time.sleep(0.3)


def main(socket: str, path: str, name: str, toml: str, lock: str) -> None:
    given: Server = Given(socket)  # type: ignore[assignment]
    text = Path(toml).read_text("utf-8")
    configuration.parse(text, toml)
    work(Desk(Clone(Path(path), name), given, config=text), lock)


if __name__ == "__main__":
    main(*sys.argv[1:])
