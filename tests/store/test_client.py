"""Whose store it is, and calling it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
import redis

from prpgate.config import parse
from prpgate.errors import UsageError, UserError
from prpgate.store import client, discover
from prpgate.store.client import Store, adopt, connect
from prpgate.store.discover import Place
from prpgate.store.embedded import Embedded

from .stage import ID, META, OTHER, PROJECT, SECRET, Talker, config, down, tcp

if TYPE_CHECKING:
    import socket

    from tests.world import Server


# --- whose store it is -----------------------------------------------------------------------------------------------


def test_a_new_store_of_our_own_needs_no_asking_and_is_the_same_for_all(root: str) -> None:
    with connect(config(), root, timeout_s=10) as first, connect(config(), root, timeout_s=10) as second:
        assert (first.rule, first.store_id, second.store_id) == ("embedded", ID, ID)
        first.redis.set("k", "v")
        assert second.redis.get("k") == "v"
        assert not Embedded(PROJECT).is_new


def test_eight_racing_first_users_make_one_store(root: str) -> None:
    code = (
        "import sys; from prpgate.config import parse; from prpgate.store.client import connect\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        f"c = parse('project = \"{PROJECT}\"\\nstore.id = \"{ID}\"', 'prp.toml')\n"
        f"s = connect(c, {root!r}, timeout_s=30)\n"
        "print(s.redis.hgetall(s.keys.meta), s.redis.info('server')['process_id'])\n"
    )
    racers = [
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    told = [racer.communicate(timeout=60)[0] for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * 8
    assert len(set(told)) == 1
    assert ID in told[0]


def test_a_first_user_killed_before_adopting_leaves_nobody_locked_out(root: str) -> None:
    Embedded(PROJECT).ensure(20)
    with connect(config(), root, timeout_s=10) as one:
        assert one.store_id == ID


def test_a_wiped_store_is_refused_even_our_own(root: str) -> None:
    with connect(config(), root, timeout_s=10) as one:
        one.redis.flushall()
    e = down(lambda: connect(config(), root))
    assert (e.code, e.next_action) == ("store-empty", "prp rebuild")
    assert "empty" in e.message
    with connect(config(), root, adopt_check=False) as one:
        assert one.store_id == ""
        assert adopt(one, ID) == ""
    connect(config(), root).close()


def test_an_empty_server_is_refused_until_it_is_adopted(root: str, server: Server) -> None:
    e = down(lambda: connect(config(), root, url=server.url))
    assert (e.code, e.next_action) == ("store-empty", "prp rebuild")
    with connect(config(), root, url=server.url, adopt_check=False) as one:
        adopt(one, ID)
    with connect(config(), root, url=server.url) as one:
        assert (one.store_id, one.rule, one.project) == (ID, "--redis-url", PROJECT)


def test_the_store_of_another_project_id_is_refused(root: str, store: Store, server: Server) -> None:
    e = down(lambda: connect(config(OTHER), root, url=server.url))
    assert e.code == "store-other"
    assert ID in e.message
    assert OTHER in e.message
    assert "prp store adopt" in e.message
    assert down(lambda: connect(config(project="example.org/other"), root, url=server.url)).code == "store-empty"


def test_adopting_is_refused_where_another_id_stands_and_harmless_twice(store: Store) -> None:
    meta = store.redis.hgetall(META)
    assert meta["store_id"] == ID
    assert abs(int(meta["created"]) - time.time()) < 3600
    assert adopt(store, ID) == ID
    assert adopt(store, ID, replace=True) == ID
    assert store.redis.hgetall(META) == meta
    with pytest.raises(UserError) as e:
        adopt(store, OTHER)
    assert (e.value.exit_code, e.value.next_action) == (1, "prp store adopt --replace")
    assert ID in e.value.message
    assert store.redis.hgetall(META) == meta
    assert adopt(store, OTHER, replace=True) == ID
    assert store.redis.hget(META, "store_id") == store.store_id == OTHER
    assert int(store.redis.hget(META, "epoch") or 0) > int(meta["epoch"])


def test_the_epoch_grows_across_a_wipe(store: Store) -> None:
    before = int(store.redis.hget(META, "epoch") or 0)
    time.sleep(1.1)
    store.redis.flushall()
    adopt(store, ID)
    assert int(store.redis.hget(META, "epoch") or 0) > before


def test_a_project_without_a_store_id_is_told_to_make_one(root: str) -> None:
    with pytest.raises(UsageError) as e:
        connect(parse(f'project = "{PROJECT}"\n', "prp.toml"), root)
    assert "prp.toml has no store.id" in e.value.message
    assert not Embedded(PROJECT).running


def test_no_second_store_is_started_beside_the_one_that_was_used(
    root: str, store: Store, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REDIS_URL missing from one shell must not give that shell a lock of its own."""
    monkeypatch.setenv("REDIS_URL", server.url)
    connect(config(), root).close()
    monkeypatch.delenv("REDIS_URL")
    e = down(lambda: connect(config(), root))
    assert e.code == "store-elsewhere"
    assert server.url in e.message
    assert "prp store adopt" in (e.hint or "")
    assert not Embedded(PROJECT).running
    assert "not used: the store was" in str(discover.tried(config(), root)[-1])
    # Meant so: adopting this machine's own store ends it.
    with connect(config(), root, adopt_check=False, timeout_s=10) as own:
        adopt(own, ID)
    connect(config(), root, timeout_s=10).close()
    # And using the other again brings it back.
    connect(config(), root, url=server.url).close()
    assert down(lambda: connect(config(), root)).code == "store-elsewhere"


def test_the_own_server_named_by_its_address_is_no_other_store(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CI runner beside the clones is given the address of the socket; the clones go on without one."""
    connect(config(), root, timeout_s=10).close()
    monkeypatch.setenv("PRP_REDIS_URL", Embedded(PROJECT).url)
    connect(config(), root).close()
    monkeypatch.delenv("PRP_REDIS_URL")
    connect(config(), root).close()


def test_a_home_that_cannot_hold_the_note_is_no_obstacle(
    root: str, store: Store, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/dev/null/x")
    connect(config(), root, url=server.url).close()
    monkeypatch.delenv("HOME")
    connect(config(), root, url=server.url).close()


def test_hooks_at_commit_start_no_server(root: str) -> None:
    e = down(lambda: connect(config(), root, start=False))
    assert (e.code, e.next_action) == ("store-not-running", "prp store start")
    assert not os.path.exists(Embedded(PROJECT).data)
    connect(config(), root, timeout_s=10).close()
    connect(config(), root, start=False).close()


# --- calls -----------------------------------------------------------------------------------------------------------


def test_run_says_that_the_server_is_gone(store: Store, server: Server) -> None:
    server.stop(signal.SIGKILL)
    e = down(lambda: store.run("adopt", [META], [ID, 0]))
    assert (e.code, e.next_action) == ("store-unreachable", "prp redis-status")
    assert server.url in e.message
    assert "set by REDIS_URL" in e.message
    assert down(store.ping_ms).code == "store-unreachable"
    server.start()
    assert store.run("adopt", [META], [ID, 0])["before"] == ID


def test_run_says_what_our_own_server_said_last(root: str) -> None:
    with connect(config(), root, timeout_s=10) as store:
        pid = Embedded(PROJECT).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        e = down(lambda: store.run("adopt", [META], [ID, 0]))
    assert e.code == "store-unreachable"
    assert "Ready to accept connections" in str(e.hint)


def test_run_says_that_the_server_is_silent(server: Server) -> None:
    with client.open_store(Place(server.url, "REDIS_URL", "set by REDIS_URL"), PROJECT, timeout_s=0.5) as store:
        adopt(store, ID)
        server.send(signal.SIGSTOP)
        try:
            e = down(lambda: store.run("adopt", [META], [ID, 0]))
        finally:
            server.send(signal.SIGCONT)
        assert e.code == "store-silent"
        assert "did not answer in 0.5 s" in e.message
        # The reply that came late belongs to nobody: the next call has a connection of its own.
        server.redis().ping()
        assert store.run("adopt", [META], [OTHER, 1])["before"] == ID


def test_run_says_that_the_server_takes_no_writes(store: Store) -> None:
    store.redis.replicaof("127.0.0.1", "1")
    assert down(lambda: store.run("adopt", [META], [OTHER, 1])).code == "store-not-writable"
    store.redis.replicaof("NO", "ONE")
    store.redis.config_set("maxmemory", "1")
    assert down(lambda: store.run("adopt", [META], [OTHER, 1])).code == "store-not-writable"


def test_run_lets_a_bug_of_ours_through(store: Store) -> None:
    store.redis.set("k", "a string")
    with pytest.raises(redis.ResponseError):
        store.run("adopt", ["k"], [ID, 0])


def test_run_sends_a_script_again_to_a_server_that_forgot_it(store: Store) -> None:
    store.redis.script_flush()
    assert store.run("adopt", [META], [ID, 0])["before"] == ID


def test_a_call_whose_reply_was_lost_is_not_repeated_behind_our_back(listener: socket.socket) -> None:
    def part(peer: socket.socket, data: bytes) -> None:
        if b"HGET" in data:
            peer.sendall(b"$-1\r\n")
        else:
            peer.close()

    talker = Talker(listener, part)
    with client.open_store(Place(tcp(listener, ""), "REDIS_URL", "set by REDIS_URL"), PROJECT) as store:
        assert down(lambda: store.run("adopt", [META], [ID, 0])).code == "store-unreachable"
        assert down(lambda: store.redis and store.run("adopt", [META], [ID, 0])).code == "store-unreachable"
    assert talker.heard.count(b"EVALSHA") == 2


def test_a_blocking_call_may_wait_longer_than_other_calls(server: Server) -> None:
    place = Place(server.url, "REDIS_URL", "set by REDIS_URL")
    with client.open_store(place, PROJECT, timeout_s=0.3) as store, store.blocking(1.0) as waiting:
        begun = time.monotonic()
        assert waiting.blpop(["nothing"], 1.0) is None
        assert time.monotonic() - begun > 0.9
        store.redis.rpush("something", "woken")
        assert waiting.blpop(["something"], 1.0) == ("something", "woken")


def test_a_store_over_a_client_that_is_there(server: Server) -> None:
    with Store.over(server.redis(), PROJECT, ID) as store:
        assert (store.project, store.store_id, store.rule, store.keys.meta) == (PROJECT, ID, "given", META)
        assert 0 < store.ping_ms() < 1000
        assert store.server().split()[0] in ("valkey", "redis")
        with store.blocking(0.1) as waiting:
            assert waiting.blpop(["x"], 0.1) is None
        assert server.url not in repr(store)
        server.stop(signal.SIGKILL)
        assert "an address of its own" in down(store.ping_ms).message


def test_replies_have_one_shape_whatever_redis_py_prefers(store: Store) -> None:
    store.redis.xadd("stream", {"a": "1"}, id="1-1")
    assert store.redis.xread({"stream": "0"}) == [["stream", [("1-1", {"a": "1"})]]]


def test_a_user_with_few_rights_is_enough(root: str, store: Store, server: Server) -> None:
    """What docs/operations.md names as the least that a user needs, taken from there."""
    (line,) = [line for line in docs().splitlines() if line.startswith("ACL SETUSER prpgate ")]
    words = line.replace("YOUR-PASSWORD", SECRET).replace("example.org/team/app", PROJECT).split()
    store.redis.execute_command(*words)  # type: ignore[no-untyped-call]
    url = server.url.replace("unix://", f"unix://prpgate:{SECRET}@")
    with connect(config(), root, url=url) as one:
        assert adopt(one, ID) == ID
        assert one.ping_ms() > 0
        assert one.server() == "unknown"
        with pytest.raises(redis.exceptions.NoPermissionError):
            one.redis.set("another:project", "1")
        e = down(lambda: one.run("adopt", ["another:project"], [ID, 0]))
        assert e.code == "store-refused"


def docs() -> str:
    from pathlib import Path

    return (Path(__file__).parents[2] / "docs/operations.md").read_text("utf-8")
