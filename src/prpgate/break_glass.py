"""Emergencies: a push that goes without the merge lock, written down here and delivered once the store is back.

It needs neither store nor CI: it is for the moment when these are what is broken.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import time
from typing import TYPE_CHECKING, Any

from . import identity

if TYPE_CHECKING:
    from .gitrepo import Repo
    from .model import Intent
    from .store.client import Store


STALE_S = 60  # a delivery that has not ended by then never will: its process died, and another takes it up


def _file(repo: Repo) -> str:
    return os.path.join(repo.own_dir, "break-glass.jsonl")


def record(repo: Repo, lane: str, intent: Intent, reason: str, agent: str | None = None) -> None:
    """Write down that a push went without the lock, who let it (this clone's agent by default) and why."""
    os.makedirs(repo.own_dir, exist_ok=True)
    line = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "lane": lane,
        "agent": agent or identity.agent(repo).name,
        "host": identity.host(),
        "sha": intent.head,
        "base": intent.base,
        "reason": reason,
    }
    with open(_file(repo), "a+b") as f:
        f.seek(max(0, f.seek(0, os.SEEK_END) - 1))
        cut_off = f.read() not in (
            b"",
            b"\n",
        )  # a full disk, a machine that lost power: on a line of its own all the same
        f.write((b"\n" if cut_off else b"") + json.dumps(line).encode() + b"\n")
        f.flush()
        os.fsync(f.fileno())


def deliver(repo: Repo, store: Store) -> int:
    """Bring the records of emergencies to the store; the number delivered. Each is delivered at least once."""
    path = _file(repo)
    mine = f"{path}.{os.getpid()}-{time.time_ns()}"  # in a container process ids come again and again
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, mine)
    delivered = 0
    for taken in glob.glob(glob.escape(path) + ".*"):
        with contextlib.suppress(FileNotFoundError):  # whoever took it has delivered it meanwhile
            if taken == mine or time.time() - os.stat(taken).st_mtime > STALE_S:
                delivered += _deliver(taken, store)
                os.unlink(taken)
    return delivered


def _deliver(path: str, store: Store) -> int:
    with open(path, encoding="utf-8") as f:
        lines = [line for text in f if (line := _told(text))]
    for line in lines:
        fields: dict[Any, Any] = {"event": "break-glass", "fence": "0"}
        fields["detail"] = f"{line['reason']} (pushed {line['at']} from {line['host']})".encode(
            "utf-8", "replace"
        ).decode()
        fields.update({k: line[k].encode("utf-8", "replace").decode() for k in ("lane", "agent", "sha")})
        with store.faults():
            store.redis.xadd(store.keys.lane(line["lane"]).log, fields, maxlen=10000)
            store.redis.sadd(store.keys.lanes, line["lane"])
    return len(lines)


def _told(text: str) -> dict[str, str] | None:
    """A line of the file; None for one that was cut off (a full disk, a machine that lost power): its push was refused
    or never began, for it is written down before the push goes on."""
    try:
        line: dict[str, str] = json.loads(text)
    except ValueError:
        return None
    return line
