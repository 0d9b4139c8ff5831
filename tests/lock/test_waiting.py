"""Standing in line with real processes: woken at once, passed over when dead, gone without a trace."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from prpgate import waiting
from prpgate.config import Times
from prpgate.errors import StoreDown
from prpgate.lock import Closed, Granted, Look, MergeLock, Queued
from prpgate.model import Intent
from prpgate.store.client import Store
from tests.lock.clocked import waiter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.world import Server

# One waiter: says how it ended and when, holds the lane for a moment, gives it back.
PROCESS = """
import sys, time, redis
from prpgate import waiting
from prpgate.config import Times
from prpgate.lock import Granted, MergeLock, Who
from prpgate.store.client import Store
path, name, hold_s, keep, offer_ms = sys.argv[1:]
client = redis.Redis(unix_socket_path=path, decode_responses=True)
lock = MergeLock(Store.over(client, "example/wait"), "main", Times(offer_ms=int(offer_ms)))
print("up", flush=True)
try:
    got = waiting.wait(lock, Who(name, name, name, "box", 1, "land", None, None), max_wait_s=60, keep=keep == "keep")
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.exit(130)
print(type(got).__name__, time.time(), got.state.fence, flush=True)
if isinstance(got, Granted):
    time.sleep(float(hold_s))
    giving_back = time.time()  # before the call: the next one may have it before this process runs on
    lock.release(got.lease)
    print("released", giving_back, flush=True)
"""


class Child:
    def __init__(self, server: Server, name: str, hold_s: float = 0, keep: str = "give", offer_ms: int = 2000) -> None:
        args = [sys.executable, "-c", PROCESS, server.socket, name, str(hold_s), keep, str(offer_ms)]
        self.name = name
        self.process = subprocess.Popen(args, stdout=subprocess.PIPE, text=True)
        assert self.line() == ["up"]

    def line(self) -> list[str]:
        assert self.process.stdout
        return self.process.stdout.readline().split()

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


class Line:
    """A lane that we hold, and children who wait for it."""

    def __init__(self, server: Server, **times: int) -> None:
        self.server, self.children = server, list[Child]()
        self.store = Store.over(server.redis(), "example/wait")
        self.lock = MergeLock(self.store, "main", Times(**times))

    def hold(self) -> Granted:
        got = self.lock.acquire(waiter("us"), plain=False)
        assert isinstance(got, Granted)
        return got

    def join(self, name: str, hold_s: float = 0, keep: str = "give", offer_ms: int = 2000) -> Child:
        """A child that waits; back when it is in line."""
        child = Child(self.server, name, hold_s, keep, offer_ms)
        self.children.append(child)
        self.until(lambda: any(p.id == name for p in self.lock.state().queue))
        time.sleep(0.05)  # its BLPOP follows
        return child

    @staticmethod
    def until(true: Callable[[], bool], seconds: float = 10) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, "it did not happen"
            time.sleep(0.01)

    def commands(self, *names: str) -> int:
        stats = self.store.redis.info("commandstats")
        return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in names)

    def leftovers(self) -> set[str]:
        prefix = self.lock.keys.s[:-1]
        return {str(k).removeprefix(prefix) for k in self.store.redis.scan_iter(prefix + "*")}


@pytest.fixture
def line(server: Server) -> Iterator[Line]:
    one = Line(server)
    yield one
    for child in one.children:
        child.end()
    one.store.close()


def test_waiters_are_served_in_turn_and_leave_no_trace(line: Line) -> None:
    ours = line.hold()
    children = [line.join(f"w{n}", hold_s=0.02) for n in range(4)]
    begun = time.time()
    line.lock.release(ours.lease)
    fences, last = [ours.lease.fence], begun
    for child in children:
        word, at, fence = child.line()
        assert word == "Granted"
        fences.append(int(fence))
        assert float(at) >= last  # not before the one before gave it back
        released, when = child.line()
        assert released == "released"
        last = float(when)
        assert child.process.wait(10) == 0
    assert fences == sorted(set(fences))
    assert last - begun < 4  # woken, not polled: eight seconds each
    assert line.leftovers() == {"s", "log"}


def test_a_waiter_that_was_killed_is_passed_over_after_its_offer(line: Line) -> None:
    ours = line.hold()
    dead, living = line.join("dead", offer_ms=500), line.join("living", offer_ms=500)
    dead.send(signal.SIGKILL)
    dead.process.wait()
    lock = MergeLock(line.store, "main", Times(offer_ms=500))
    begun = time.time()
    lock.release(ours.lease)
    word, at, _ = living.line()
    assert word == "Granted"
    assert 0.45 < float(at) - begun < 3  # the offer, not the eight seconds that the second in line may sleep


def test_a_waiter_that_is_stopped_loses_its_turn_not_its_place(line: Line) -> None:
    ours = line.hold()
    slow, quick = line.join("slow", offer_ms=300), line.join("quick", hold_s=1.0, offer_ms=300)
    slow.send(signal.SIGSTOP)
    MergeLock(line.store, "main", Times(offer_ms=300)).release(ours.lease)
    assert quick.line()[0] == "Granted"
    slow.send(signal.SIGCONT)
    assert quick.line()[0] == "released"
    assert slow.line()[0] == "Granted"


def test_the_second_in_line_is_told_when_to_look_and_sleeps_on(line: Line) -> None:
    ours = line.hold()
    line.join("slow").send(signal.SIGSTOP)
    line.join("second")
    before = line.commands("evalsha")
    line.lock.release(ours.lease)
    time.sleep(1)
    assert line.commands("evalsha") - before == 1  # our release


def test_when_the_holder_dies_the_first_in_line_looks_at_its_deadline(server: Server) -> None:
    line = Line(server, lease_ms=1500)
    try:
        line.hold()
        begun = time.time()
        child = line.join("w")
        word, at, _ = child.line()
        assert word == "Granted"
        assert float(at) - begun < 5
    finally:
        for child in line.children:
            child.end()


@pytest.mark.parametrize("keep", ["keep", "give"])
def test_ctrl_c_leaves_the_line(line: Line, keep: str) -> None:
    line.hold()
    child = line.join("w", keep=keep)
    child.send(signal.SIGINT)
    assert child.line() == ["interrupted"]
    assert child.process.wait(10) == 130
    places = [(p.id, p.kind) for p in line.lock.state().queue]
    assert places == ([("w", "reserved")] if keep == "keep" else [])


def test_running_out_of_patience_keeps_the_place(line: Line) -> None:
    line.hold()
    begun = time.monotonic()
    got = waiting.wait(line.lock, waiter("w"), max_wait_s=0.4)
    assert isinstance(got, Queued) and got.position == 1
    assert 0.4 <= time.monotonic() - begun < 3
    (place,) = line.lock.state().queue
    assert place.kind == "reserved" and 590_000 < place.reserved_ms <= 600_000


def test_asking_once_is_waiting_for_no_time(line: Line) -> None:
    got = waiting.wait(line.lock, waiter("w"), max_wait_s=0)
    assert isinstance(got, Granted)
    assert isinstance(waiting.wait(line.lock, waiter("v"), max_wait_s=0, keep=False), Queued)
    assert not line.lock.state().queue


def test_a_closed_lane_is_not_waited_for(line: Line) -> None:
    line.lock.close("carol", "stop")
    assert isinstance(waiting.wait(line.lock, waiter("w"), max_wait_s=30), Closed)
    (place,) = line.lock.state().queue
    assert place.kind == "reserved"
    assert isinstance(waiting.wait(line.lock, waiter("fixer"), max_wait_s=0, fixer=True), Granted)


def test_whoever_waits_is_told_of_a_closing_at_once(line: Line) -> None:
    line.hold()
    children = [line.join(f"w{n}") for n in range(3)]
    begun = time.time()
    line.lock.close("ci", "red", person=False)
    for child in children:
        word, at, _ = child.line()
        assert word == "Closed"
        assert float(at) - begun < 4  # woken, and not when it would have asked by itself, eight seconds later


def test_changes_are_told_once_and_the_waiter_may_look_for_itself(server: Server) -> None:
    line = Line(server, lease_ms=1200)
    lock, told = line.lock, list[tuple[int, str, bool]]()
    lost = line.hold()
    lock.intent(lost.lease, Intent("h1", "b0"))

    def look(answer: Queued) -> bool:
        state = answer.state
        told.append((answer.position, state.state, state.needs_look))
        mine = lock.look(waiter("w")) if state.needs_look else None
        if mine:
            lock.submit(mine, "in", Look("h1", state.seen or "", ["h1"], [], []))
        return mine is not None

    got = waiting.wait(lock, waiter("w"), max_wait_s=20, on_change=look)
    assert isinstance(got, Granted)
    assert told == [(1, "held", False), (1, "reconciling", True)]
    record = lock.record("h1")
    assert record and record.record == "landed"


def test_a_store_that_goes_away_ends_the_wait(line: Line) -> None:
    line.hold()
    child = line.join("w")
    line.server.stop(signal.SIGKILL)
    assert child.process.wait(15) == 1  # StoreDown
    with pytest.raises(StoreDown):
        waiting.wait(line.lock, waiter("v"), max_wait_s=5)


def test_waiting_costs_at_most_three_commands_in_ten_seconds(line: Line) -> None:
    line.hold()
    for n in range(4):
        line.join(f"w{n}")

    asked = ("eval", "evalsha", "blpop")
    before, begun = line.commands(*asked), time.monotonic()
    time.sleep(8.6)
    rate = (line.commands(*asked) - before) / 4 / (time.monotonic() - begun)
    assert 0.1 < rate <= 0.3
    assert len(line.lock.state().queue) == 4  # and they still count as there
    assert {p.kind for p in line.lock.state().queue} == {"waiting"}
