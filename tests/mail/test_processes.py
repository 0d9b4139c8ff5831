"""Mail and watching with real processes that are killed, and a server that goes away in the middle."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from prpgate import events, mail, registry
from tests.mail import CONFIG, Post, asleep

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import Server

GIVEN = """
import json, os, sys, time
from prpgate import events, mail
from prpgate.errors import StoreDown
from tests.mail import Post, CONFIG
class Given:
    def __init__(self, socket): self.socket = socket
    def redis(self):
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
        return redis.Redis(unix_socket_path=self.socket, protocol=2, decode_responses=True, socket_timeout=10,
                           retry=Retry(NoBackoff(), 0))
socket, name, path, *more = sys.argv[1:]
post = Post(Given(socket))
def insist(do):
    while True:
        try: return do()
        except StoreDown: time.sleep(0.05)
out = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def note(**fields): os.write(out, (json.dumps(fields) + "\\n").encode())
"""
SENDER = (
    GIVEN
    + """
for n in range(int(more[0])):
    to = more[1 + n % (len(more) - 1)]
    own = f"m-{name}-{n}"
    insist(lambda: post.send(name, to, f"{name} {n}", id=own))
    note(id=own, to=to)
    time.sleep(0.02)
"""
)
RECEIVER = (
    GIVEN
    + """
while True:
    found = insist(lambda: mail.listen(post.store, post.me(name)))
    for m in found.messages: note(got=m.id)
    done = insist(lambda: mail.acknowledge(post.store, post.me(name), [m.id for m in found.messages]))
    for i in done.acked: note(acked=i)
"""
)
LISTENER = (
    GIVEN
    + """
found = mail.listen(post.store, post.me(name), on_away=lambda e: note(away=True))
for m in found.messages: note(got=m.id)
"""
)
WATCHER = (
    GIVEN
    + """
for e in events.follow(post.store, more[0], None, on_away=lambda e: note(away=True)):
    if e: note(id=e.id, lane=e.lane, detail=e.detail)
"""
)


def begin(code: str, server: Server, name: str, path: Path, *more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code, server.socket, name, str(path), *more])


def notes(path: Path) -> list[dict[str, Any]]:
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def test_ten_senders_five_receivers_killed_and_the_store_restarted(server: Server, tmp_path: Path) -> None:
    post = Post(server)
    names = [f"r{n}" for n in range(5)]
    post.join(*names)
    chance = random.Random(7)
    receivers = {n: begin(RECEIVER, server, n, tmp_path / n) for n in names}
    senders = {f"s{n}": begin(SENDER, server, f"s{n}", tmp_path / f"s{n}", "30", *names, "@all") for n in range(10)}
    kills = 0
    try:
        until = time.monotonic() + 75
        restarted = False
        while any(p.poll() is None for p in senders.values()) or kills < 12:
            assert time.monotonic() < until
            time.sleep(0.25)
            if kills < 40:  # beginning anew leaves a slow machine little time for the senders
                victim = chance.choice(names)
                receivers[victim].kill()
                receivers[victim].wait(10)
                kills += 1
                receivers[victim] = begin(RECEIVER, server, victim, tmp_path / victim)
            if not restarted and sum(len(notes(tmp_path / s)) for s in senders) > 60:
                server.stop(signal.SIGKILL)
                time.sleep(0.6)
                server.start()
                restarted = True
        assert restarted
        assert all(p.returncode == 0 for p in senders.values())
        post = Post(server)
        until = time.monotonic() + 40
        while any(registry.beat(post.store, post.me(n)).unread for n in names):
            assert time.monotonic() < until
            time.sleep(0.1)
        time.sleep(0.5)  # what was acknowledged last is written down
    finally:
        for p in [*receivers.values(), *senders.values()]:
            p.kill()
            p.wait(10)
    sent = [n for s in senders for n in notes(tmp_path / s)]
    assert len(sent) == 300
    for name in names:
        mine = {n["id"] for n in sent if n["to"] in (name, "@all")}
        log = notes(tmp_path / name)
        got = [n["got"] for n in log if "got" in n]
        acked = [n["acked"] for n in log if "acked" in n]
        assert set(got) == mine, "each at least once, and nobody else's"
        # A receiver that dies between the store's answer and its own note leaves none: never two.
        assert len(acked) == len(set(acked))
        assert set(acked) <= mine
    records = post.store.redis.hgetall(f"{post.store.keys.prefix}mail:records")
    assert {n["id"] for n in sent} == set(records), "300 messages, 300 records"
    for n in sent:
        record = json.loads(records[n["id"]])
        assert set(record["acked"]) >= ({n["to"]} if n["to"] != "@all" else set(names))


def test_watching_across_a_restart_misses_nothing_and_doubles_nothing(server: Server, tmp_path: Path) -> None:
    post = Post(server)
    client: Any = post.store.redis

    def happen(n: int, lane: str | None) -> None:
        key = post.store.keys.events if lane is None else post.store.keys.lane(lane).log
        client.xadd(key, {"event": "test", "agent": "ann", "detail": str(n)})
        if lane:
            client.sadd(post.store.keys.lanes, lane)

    for n in range(1200):  # more than a page of the past
        happen(n, None if n % 3 else "main")
    path = tmp_path / "watched"

    def wait_for(count: int) -> None:
        until = time.monotonic() + 30
        while len([n for n in notes(path) if "id" in n]) < count and time.monotonic() < until:
            time.sleep(0.1)

    watcher = begin(WATCHER, server, "eve", path, "0-0")
    try:
        while not notes(path):
            assert watcher.poll() is None
            time.sleep(0.05)
        count = 1200
        for part in range(3):
            for _ in range(100):
                happen(count, (None, "main", f"new-{part}")[count % 3])  # a lane that was never used before
                count += 1
            if part < 2:
                server.stop(signal.SIGKILL if part else signal.SIGTERM)
                time.sleep(1)
                server.start()
                post = Post(server)
                client = post.store.redis
                happen(count, None)
                count += 1
                wait_for(count)  # it is back
        wait_for(count)
    finally:
        watcher.kill()
        watcher.wait(10)
    seen = [n for n in notes(path) if "id" in n]
    assert sorted(int(n["detail"]) for n in seen) == list(range(count))
    assert sum("away" in n for n in notes(path)) == 2
    past = [events.order(n["id"]) for n in seen[:1200]]
    assert past == sorted(past), "the past comes in the order of the clock, over all streams"


def test_a_listener_waits_for_a_store_that_comes_back(server: Server, tmp_path: Path) -> None:
    post = Post(server)
    post.join("ben")
    path = tmp_path / "ben"
    listener = begin(LISTENER, server, "ben", path)
    try:
        asleep(server)
        until = time.monotonic() + 60
        server.stop(signal.SIGKILL)
        while not notes(path):
            assert (time.monotonic() < until, listener.poll()) == (True, None)
            time.sleep(0.05)
        server.start()
        mail.send(Post(server).store, CONFIG, post.me("ann"), "ben", "after", id="m-1")
        assert listener.wait(30) == 0
    finally:
        listener.kill()
        listener.wait(10)
    assert notes(path) == [{"away": True}, {"got": "m-1"}]
