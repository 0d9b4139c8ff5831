"""One process that waits for a lock again and again, of benchmarks/lock.py. Peers' environments run it too, so it
imports prpgate only for our own lock.

    python lock_waiter.py KIND SOCKET FOLDER NAME

It says "ready" and asks once it is sent a line. The first holder keeps the lock until FOLDER/go is there; a process
ends after the first hold that it gets once FOLDER/stop is there. For each hold a line "asked got gave" (seconds of
CLOCK_MONOTONIC, which all processes share) goes to FOLDER/NAME.
"""

from __future__ import annotations

import os
import sys
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

import redis

if TYPE_CHECKING:
    from collections.abc import Callable

HOLD_S = 0.02
PAUSE_S = 0.005
LEASE_S = 60
Pair = tuple["Callable[[], object]", "Callable[[Any], object]"]


def client(socket: str) -> Any:
    """redis-py as it comes; but since version 8 its time-out is shorter than the blocking calls of others."""
    return redis.Redis(unix_socket_path=socket, socket_timeout=None)


def ours(socket: str, name: str) -> Pair:
    """As `prp land` waits."""
    from prpgate import waiting
    from prpgate.config import Times
    from prpgate.lock import Granted, MergeLock, Who
    from prpgate.store.client import open_store
    from prpgate.store.discover import Place

    store = open_store(Place(f"unix://{socket}", "given", "benchmark"), "example.org/bench/app")
    lock = MergeLock(store, "main", Times(lease_ms=LEASE_S * 1000))
    turn = 0

    def acquire() -> object:
        nonlocal turn
        turn += 1
        who = Who(name, f"{name}-{turn}", name, "host.example.org", os.getpid(), "land", None, "0" * 40)
        got = waiting.wait(lock, who, max_wait_s=600)
        assert isinstance(got, Granted)
        return got.lease

    return acquire, lock.release


def floor(socket: str, _: str) -> Pair:
    """A list with one token: no lease, no owner, no way out for a holder that died."""
    r = client(socket)
    return lambda: r.blpop(["token"]), lambda _: r.lpush("token", "1")


def redis_py(socket: str, _: str) -> Pair:
    lock = client(socket).lock("lock", timeout=LEASE_S)
    return lock.acquire, lambda _: lock.release()


def python_redis_lock(socket: str, _: str) -> Pair:
    lock = import_module("redis_lock").Lock(client(socket), "lock", expire=LEASE_S)
    return lambda: lock.acquire(blocking=True), lambda _: lock.release()


def pottery(socket: str, _: str) -> Pair:
    lock = import_module("pottery").Redlock(key="lock", masters={client(socket)}, auto_release_time=LEASE_S)
    return lock.acquire, lambda _: lock.release()


KINDS = {"ours": ours, "floor": floor, "redis-py": redis_py, "python-redis-lock": python_redis_lock, "pottery": pottery}


def main() -> None:
    kind, socket, folder, name = sys.argv[1:]
    acquire, release = KINDS[kind](socket, name)
    go, stop = (os.path.join(folder, sign) for sign in ("go", "stop"))
    print("ready", flush=True)
    sys.stdin.readline()
    ending = False
    with open(os.path.join(folder, name), "w", encoding="ascii") as out:
        while not ending:
            asked = time.monotonic()
            held = acquire()
            got = time.monotonic()
            while not os.path.exists(go):
                time.sleep(0.01)
            ending = os.path.exists(stop)
            if not ending:
                time.sleep(HOLD_S)
            gave = time.monotonic()
            release(held)
            print(asked, got, gave, file=out, flush=True)
            time.sleep(PAUSE_S)


if __name__ == "__main__":
    main()
