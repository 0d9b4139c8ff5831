"""Many processes race for the same items, and two clones change them and merge: ours beside other trackers.

A race for one item: all try to have it, once. A race for 50: each asks what is to be had, takes the first, and again,
as often as its share; one is the right number of winners for an item.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import redis

from benchmarks.prps_ledger import STORE_ID, policy
from benchmarks.prps_peers import OURS, Ours, Tool, found, git
from prpgate import config
from prpgate.store import client

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RACERS, ITEMS, MANY, ROUNDS = (8, 20), 50, 1_000, 5


class Outcome(NamedTuple):
    """Of one race."""

    most: int  # winners of the item that had most
    doubled: int  # items that more than one was told to have
    had: int  # items that somebody got
    seconds: float


def at_once(count: int, do: Callable[[int], list[str]]) -> tuple[Counter[str], float]:
    """What each of so many got, begun at one moment, and the seconds until the last was done."""
    gate = threading.Barrier(count + 1)

    def one(n: int) -> list[str]:
        gate.wait()
        return do(n)

    with ThreadPoolExecutor(count) as pool:
        running = [pool.submit(one, n) for n in range(count)]
        gate.wait()
        begun = time.perf_counter()
        won = Counter(item for r in running for item in set(r.result()))
        return won, time.perf_counter() - begun


def race(tool: Tool, racers: int, *, single: bool) -> Outcome:
    share = 1 if single else -(-ITEMS // racers) + 2
    item = tool.ready()[0] if single else ""

    def do(n: int) -> list[str]:
        if single:
            return [item] if tool.race_for(item, f"agent{n:02d}") else []
        mine: list[str] = []
        for _ in range(share):
            picked = tool.pick(f"agent{n:02d}")
            if picked == "":
                break
            mine += [picked] if picked else []
        return mine

    won, seconds = at_once(racers, do)
    return Outcome(max(won.values(), default=0), sum(n > 1 for n in won.values()), len(won), seconds)


def timed(tool: Tool) -> tuple[float, float]:
    """Milliseconds for the list of 1,000, and for a claim among them."""
    items = tool.ready()
    assert len(items) == tool.items, (tool.name, len(items))
    listed, took = [], []
    for n in range(ROUNDS):
        begun = time.perf_counter()
        tool.run(*tool.listing())
        listed.append((time.perf_counter() - begun) * 1000)
        begun = time.perf_counter()
        assert tool.take(items[n], f"agent{n}"), tool.name
        took.append((time.perf_counter() - begun) * 1000)
    return median(listed), median(took)


class Stage:
    """Makes a tool's repository; for ours also an emptied store."""

    def __init__(self, folder: Path, socket: str) -> None:
        self.folder, self.socket, self.count = folder, socket, 0

    def set(self, kind: type[Tool], binary: str, items: int) -> Tool:
        self.count += 1
        if kind is Ours:
            with redis.Redis(unix_socket_path=self.socket) as r:
                r.flushall()
            os.environ["REDIS_URL"] = f"unix://{self.socket}"
            with client.connect(config.parse(policy(), "prp.toml"), ".", adopt_check=False) as store:
                client.adopt(store, STORE_ID)
        return kind(self.folder / f"{kind.program.rpartition('/')[2]}-{self.count}", binary, items)


# --- two clones ------------------------------------------------------------------------------------------------------


def two_clones(tool: Tool, folder: Path, *, same: bool) -> str:
    """Two clones take an item each, or both the same one, commit, and the second merges what the first pushed."""
    remote, (one, two) = folder / "remote.git", (folder / "one", folder / "two")
    git(folder, "clone", "-q", "--bare", str(tool.folder), str(remote))
    for clone in (one, two):
        git(folder, "clone", "-q", str(remote), str(clone))
        tool.joined(clone)
    items = sorted(tool.ready(one))[:2]
    mine, theirs = items[0], items[0] if same else items[1]
    first, second = tool.take(mine, "ann", one), tool.take(theirs, "ben", two)
    if not (first and second):
        return "the second one is refused at once" if first else "the first one was refused"
    for clone in (one, two):
        tool.publish(clone)
    if tool.syncs:
        said = tool.sync(one), tool.sync(two)
        return "sync failed" if any(s.returncode for s in said) else _after(tool, two, mine, theirs, same)
    git(one, "push", "-q", "origin", "HEAD:main")
    merged = git(two, "pull", "-q", "--no-rebase", "--no-edit", "origin", "main", check=False)
    if merged.returncode:
        hidden = not tool.shows(mine, two) if same else False
        return "conflict in git" + (", and the tool no longer shows the item" if hidden else "")
    return _after(tool, two, mine, theirs, same)


def _after(tool: Tool, clone: Path, mine: str, theirs: str, same: bool) -> str:
    taken = [item not in tool.ready(clone) for item in {mine, theirs}]
    if not all(taken):
        return "merged, and a claim is lost without a word"
    return "merged: one claim is lost without a word" if same else "merged"


# --- all of it -------------------------------------------------------------------------------------------------------


def run(folder: Path, socket: str, where: str, *, quick: bool) -> list[str]:
    """The bars that were missed."""
    tools: dict[type[Tool], str] = {Ours: Ours.program, **found(where)}
    stage = Stage(folder, socket)
    missed: list[str] = []
    print(
        f"\n{MANY if not quick else 200} items; load {os.getloadavg()[0]:.1f}: the list of what can be had, one claim"
    )
    for kind, binary in tools.items():
        listed, took = timed(stage.set(kind, binary, 200 if quick else MANY))
        print(f"  {kind.name:12s} list {listed:8.0f} ms   claim {took:8.0f} ms", flush=True)
    for racers in RACERS[:1] if quick else RACERS:
        for single in (True, False):
            print(f"\n{racers} processes race for {'one item' if single else f'{ITEMS} items'}")
            for kind, binary in tools.items():
                got = race(stage.set(kind, binary, ITEMS), racers, single=single)
                print(
                    f"  {kind.name:12s} most winners of one item {got.most:3d}   items with several {got.doubled:3d}"
                    f"   items had {got.had:3d}   {got.seconds:6.1f} s",
                    flush=True,
                )
                if kind.name == OURS and (got.most != 1 or got.doubled):
                    missed.append(f"{racers} racers: one winner")
    print("\ntwo clones, one merge: different items; the same item")
    for kind, binary in tools.items():
        said = []
        for same in (False, True):
            own = folder / f"two-{stage.count}"
            own.mkdir()
            said.append(two_clones(stage.set(kind, binary, 10), own, same=same))
        print(f"  {kind.name:12s} {said[0]}; {said[1]}", flush=True)
        if kind.name == OURS and (said[0] != "merged" or "without a word" in said[1]):
            missed.append("two clones")
    return missed
