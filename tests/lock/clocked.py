"""A store whose lane scripts take the time from us, so that a test may let minutes pass at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from prpgate.config import Times
from prpgate.lock import Granted, Look, MergeLock, Who
from prpgate.store import scripts
from prpgate.store.client import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prpgate.lock import Lease
    from tests.world import Server

CLOCK = "redis.call('TIME')"


class Clocked(Store):
    """Its server's clock stands still but for `later`."""

    now_ms = 1_700_000_000_000

    def later(self, ms: int) -> None:
        self.now_ms += ms

    def run(self, script: str, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        text = scripts.text(script)
        assert text.count(CLOCK) == 1
        text = text.replace(CLOCK, "{ ARGV[2], ARGV[3] }")
        now = (str(self.now_ms // 1000), str(self.now_ms % 1000 * 1000))
        raw: Any = self.redis.eval(text, len(keys), *keys, *[str(a) for a in args], *now)
        return json.loads(raw)


class Scene:
    """One lane on a clock of ours, and people who contend for it."""

    def __init__(self, server: Server, lane: str = "main", **times: int) -> None:
        self.store = Clocked.over(server.redis(), "example/lock")
        self.times = Times(**times)
        self.lock = MergeLock(self.store, lane, self.times)

    def later(self, seconds: float) -> None:
        self.store.later(round(seconds * 1000))

    def land(self, name: str, **more: Any) -> Any:
        """`prp land` asks."""
        return self.lock.acquire(waiter(name), plain=False, **more)

    def push(self, name: str, **more: Any) -> Any:
        """A plain push asks."""
        return self.lock.acquire(pusher(name), plain=True, **more)

    def holds(self, name: str, **more: Any) -> Lease:
        """As `land`, and it is granted."""
        answer = self.land(name, **more)
        assert isinstance(answer, Granted), answer
        return answer.lease

    @property
    def seen(self) -> str:
        return self.lock.state().seen or ""

    def looked(
        self,
        tip: str | None,
        *,
        heads: Sequence[str] = (),
        foreign: Sequence[str] = (),
        moved: Sequence[str] = (),
        since: str | None = None,
    ) -> Look:
        return Look(tip, self.seen if since is None else since, list(heads), list(foreign), list(moved))

    def events(self, *skip: str) -> list[str]:
        """Names of what was logged, oldest first."""
        return [e.event for e in reversed(self.lock.log(1000)) if e.event not in skip]

    def record(self, head: str) -> str | None:
        found = self.lock.record(head)
        return found.record if found else None

    def leftovers(self) -> set[str]:
        """The last part of every key of the lane that is there."""
        prefix = self.lock.keys.s[:-1]
        return {str(k).removeprefix(prefix) for k in self.store.redis.scan_iter(prefix.replace("[", r"\[") + "*")}


def waiter(name: str) -> Who:
    """A `prp land`: its ticket and its hold are one."""
    return Who(name, name, f"{name}@example.org", "box", 100, "land", "P1-001", None)


def pusher(name: str, number: int = 1) -> Who:
    """A `git push`: the ticket is the reservation, each push is a hold of its own."""
    return Who(name, f"{name}:{number}", f"{name}@example.org", "box", number, "push", None, None)


def runner(name: str = "run") -> Who:
    return Who(name, name, "ci", "runner", 1, "ci", None, None)
