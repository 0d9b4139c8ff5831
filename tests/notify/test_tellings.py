"""What is to be told, in the store: noticed once, told by one of any number, tried again, given up at last."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from prpgate import notify, tellings
from prpgate.notify import Sink
from tests.notify import ALL, HANG, PROJECT, SECRET, Outbox, Receiver, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.world import Server

DELIVER = f"""
import sys
from prpgate import notify
from prpgate.notify import Sink
from tests.notify import Outbox
class Given:
    def __init__(self, socket): self.socket = socket
    def redis(self):
        import redis
        return redis.Redis(unix_socket_path=self.socket, protocol=2, decode_responses=True)
box = Outbox(Given(sys.argv[1]), sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
notify.deliver(box.config, box.store, Sink(sys.argv[2], "{SECRET}", ()), sys.argv[3], for_s=float(sys.argv[4]))
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as one:
        yield one


def deliverer(server: Server, receiver: Receiver, name: str, for_s: float) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", DELIVER, server.socket, receiver.url, name, str(for_s)]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "ready\n"
    return child


def go(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()


def end(child: subprocess.Popen[str]) -> None:
    child.communicate(timeout=30)


def deliver(box: Outbox, receiver: Receiver) -> int:
    return notify.deliver(box.config, box.store, Sink(receiver.url, SECRET, ()), "ana")


def events(receiver: Receiver) -> list[str]:
    return [g.said["event"] for g in receiver.got]


def test_what_was_before_the_first_look_is_told_to_nobody(server: Server, receiver: Receiver) -> None:
    box = Outbox(server, receiver.url)
    box.close("long ago")
    assert deliver(box, receiver) == 0
    box.open("now")
    assert deliver(box, receiver) == 1
    assert events(receiver) == ["lane-open"]


def test_each_is_told_once_and_what_is_not_chosen_is_not(server: Server, receiver: Receiver) -> None:
    box = Outbox(server, receiver.url)
    deliver(box, receiver)
    box.close("one")
    box.open("two")
    quiet = box.config._replace(notify_events=("lane-closed",))
    assert notify.deliver(quiet, box.store, Sink(receiver.url, SECRET, ()), "ana") == 1
    assert deliver(box, receiver) == 0
    assert [g.said["detail"] for g in receiver.got] == ["one"]


def test_a_lane_that_is_first_used_later_is_told_from_its_beginning(server: Server, receiver: Receiver) -> None:
    box = Outbox(server, receiver.url)
    deliver(box, receiver)
    from prpgate.lock import MergeLock

    MergeLock(box.store, "release/1", box.config.times).close("ben", "frozen", person=True)
    assert deliver(box, receiver) == 1
    assert receiver.got[0].said["lane"] == "release/1"


def test_of_many_processes_exactly_one_tells_each_cause(server: Server, receiver: Receiver) -> None:
    box = Outbox(server, receiver.url)
    deliver(box, receiver)
    for n in range(20):
        box.close(f"reason {n}")
    racers = [deliverer(server, receiver, f"racer-{n}", 3) for n in range(4)]
    for child in racers:
        go(child)
    for n in range(20, 30):
        box.close(f"reason {n}")
    for child in racers:
        end(child)
        assert child.returncode == 0
    details = [g.said["detail"] for g in receiver.got]
    assert sorted(details) == sorted(f"reason {n}" for n in range(30))
    assert len({t.by for t in tellings.summary(box.store).told}) > 1, "more than one of them had something to do"


def test_a_deliverer_killed_before_it_is_told_is_followed_by_another(server: Server) -> None:
    with Receiver(HANG) as receiver:
        box = Outbox(server, receiver.url)
        deliver(box, receiver)
        box.close("who will say it?")
        child = deliverer(server, receiver, "dies", 30)
        go(child)
        until(lambda: receiver.got, "it began to tell")
        child.send_signal(signal.SIGKILL)
        child.wait()
        end(child)
        assert deliver(box, receiver) == 0, "it is another's for now"
        found = tellings.look(box.store, box.config.notify_events, ["main"], "ana", "host")
        assert found.next_s is not None and 0 < found.next_s <= tellings.HOLD_S
        box.no_more_waiting()
        assert deliver(box, receiver) == 1
        first, second = receiver.got
        assert first.said["id"] == second.said["id"], "the receiver can tell that it is the same"
        assert (first.said["try"], second.said["try"]) == (1, 2)


def test_failures_are_tried_again_later_and_then_given_up(server: Server) -> None:
    with Receiver(*[500] * tellings.TRIES) as receiver:
        box = Outbox(server, receiver.url)
        deliver(box, receiver)
        box.close("nobody hears it")
        for n, pause_s in enumerate((*tellings.RETRY_S, None), 1):
            assert deliver(box, receiver) == 0
            assert len(receiver.got) == n
            assert deliver(box, receiver) == 0 and len(receiver.got) == n, "not before its time"
            found = tellings.look(box.store, box.config.notify_events, ["main"], "ana", "host")
            assert found.next_s is None if pause_s is None else found.next_s is not None
            if pause_s is not None and found.next_s is not None:
                assert pause_s - 2 < found.next_s <= pause_s
            box.no_more_waiting()
        s = tellings.summary(box.store)
        assert (s.due, s.told, [t.error for t in s.dead]) == ([], [], ["it answered 500"])
        box.open("the next one")
        assert deliver(box, receiver) == 1, "what is given up keeps nothing else waiting"


def test_who_dies_each_time_ends_among_the_given_up(server: Server, receiver: Receiver) -> None:
    box = Outbox(server, receiver.url)
    deliver(box, receiver)
    box.close("a reason that kills")
    tellings.look(box.store, box.config.notify_events, ["main"], "ana", "host")
    for _ in range(tellings.TRIES):
        assert tellings.take(box.store, "dies").one is not None
        box.no_more_waiting()
    assert tellings.take(box.store, "dies").one is None
    assert len(tellings.summary(box.store).dead) == 1


def test_who_comes_late_with_its_answer_changes_nothing(server: Server, receiver: Receiver) -> None:
    box = Outbox(server, receiver.url)
    deliver(box, receiver)
    box.close("slow")
    tellings.look(box.store, box.config.notify_events, ["main"], "ana", "host")
    slow = tellings.take(box.store, "slow")
    box.no_more_waiting()
    quick = tellings.take(box.store, "quick")
    assert tellings.done(box.store, slow, "it was too slow") == "lost"
    assert tellings.done(box.store, quick, None) == "told"
    assert tellings.done(box.store, quick, None) == "lost", "said twice"
    assert [t.by for t in tellings.summary(box.store).told] == ["quick"]


def test_no_flood_fills_the_store(server: Server, receiver: Receiver) -> None:
    box = Outbox(server, receiver.url)
    deliver(box, receiver)
    for n in range(1_010):
        box.close(f"{n}")
    tellings.look(box.store, box.config.notify_events, ["main"], "ana", "host")
    s = tellings.summary(box.store)
    assert (len(s.due), s.dropped) == (1_000, 10)


def test_it_needs_no_more_than_the_documented_rights(server: Server, receiver: Receiver) -> None:
    import redis

    client = server.redis()
    rights = ["+@read", "+@write", "+@scripting", "+@connection", "+time", "-@dangerous"]
    admin: Any = client
    admin.execute_command("ACL", "SETUSER", "prpgate", "reset", "on", ">pw", f"~prp:{{{PROJECT}}}:*", *rights)
    box = Outbox(server, receiver.url)
    box.store.redis = redis.Redis(
        unix_socket_path=server.socket, username="prpgate", password="pw", protocol=2, decode_responses=True
    )
    box.lock.store = box.store
    deliver(box, receiver)
    box.close("with few rights")
    assert deliver(box, receiver) == 1
    assert tellings.summary(box.store).told[0].detail == "with few rights"


def test_hostile_text_is_inert_in_what_is_told(server: Server, receiver: Receiver) -> None:
    box = Outbox(server, receiver.url)
    deliver(box, receiver)
    box.lock.close("evil\x1b[31m\u202e", 'line\nbreak "quote" ' + "x" * 10_000, person=True)
    assert deliver(box, receiver) == 1
    said = receiver.got[0].said
    for value in (said["agent"], said["detail"], said["text"]):
        assert value.isprintable(), value
    assert "\\x1b[31m" in said["agent"] and len(said["text"]) <= 500


def test_the_shape_of_what_is_told(server: Server, receiver: Receiver) -> None:
    box = Outbox(server, receiver.url)
    deliver(box, receiver)
    before = time.time()
    box.close("unit is red")
    deliver(box, receiver)
    (got,) = receiver.got
    said = got.said
    assert said["id"].startswith("main:") and said["id"].endswith(":lane-closed")
    assert abs(time.mktime(time.strptime(said.pop("time"), "%Y-%m-%dT%H:%M:%SZ")) - time.timezone - before) < 5
    assert got.headers["Prp-Cause"] == said.pop("id")
    assert said == {
        "schema": 1,
        "event": "lane-closed",
        "project": PROJECT,
        "lane": "main",
        "prp": None,
        "agent": "ana",
        "sha": None,
        "detail": "unit is red",
        "text": "main is closed by ana: unit is red. Only fixes land.",
        "next_action": "prp lock status",
        "try": 1,
    }
    assert json.loads(ALL) and got.headers["Content-Type"] == "application/json"
