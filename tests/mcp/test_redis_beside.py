"""The user that docs/mcp.md makes for the official Redis MCP server: it reads this project's keys, and that is all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from prpgate.store.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.world import Server

PROJECT = "example.org/team/app"
PAGE = Path(__file__).parents[2] / "docs" / "mcp.md"
KEYS = Keys(PROJECT)


@pytest.fixture
def reader(server: Server) -> Iterator[redis.Redis]:
    """Logged in as that user, on a server with this project's keys and others."""
    line = re.search(r"<!-- acl -->\n```\n(ACL .*)\n```", PAGE.read_text("utf-8"))
    assert line is not None
    with server.redis() as admin:
        admin.hset(KEYS.claims, "P2-040", "{}")
        admin.xadd(KEYS.events, {"event": "started"})
        admin.zadd(KEYS.open, {"P2-040": 1})
        admin.sadd(KEYS.lanes, "main")
        admin.set(KEYS.cursor, "abc")
        admin.hset(KEYS.lane("main").s, "holder", "ana")
        admin.set("other", "secret")
        admin.hset(Keys(PROJECT + "2").claims, "P1-001", "{}")
        admin.hset(Keys("example.org/team").claims, "P1-001", "{}")
        words = line[1].replace("PROJECT", PROJECT).replace("PASSWORD", "geheim").split()
        assert admin.execute_command(*words) in ("OK", True, b"OK")
    client = redis.Redis(
        unix_socket_path=server.socket, username="prp-reader", password="geheim", decode_responses=True
    )
    yield client
    client.close()


def test_it_reads_what_is_the_projects(reader: redis.Redis) -> None:
    r: Any = reader
    assert r.ping()
    assert r.hgetall(KEYS.claims) == {"P2-040": "{}"}
    assert [fields for _, fields in r.xrange(KEYS.events)] == [{"event": "started"}]
    assert r.zrange(KEYS.open, 0, -1) == ["P2-040"]
    assert r.smembers(KEYS.lanes) == {"main"}
    assert r.get(KEYS.cursor) == "abc"
    assert r.hget(KEYS.lane("main").s, "holder") == "ana"
    assert r.type(KEYS.claims) == "hash"
    assert r.exists(KEYS.claims, KEYS.cursor) == 2


REFUSED: dict[str, Callable[[Any], object]] = {
    "set": lambda r: r.set(KEYS.cursor, "x"),
    "hset": lambda r: r.hset(KEYS.claims, "P2-040", "x"),
    "delete": lambda r: r.delete(KEYS.claims),
    "expire": lambda r: r.expire(KEYS.claims, 1),
    "xadd": lambda r: r.xadd(KEYS.events, {"a": "b"}),
    "xgroup": lambda r: r.xgroup_create(KEYS.events, "g"),
    "rename": lambda r: r.rename(KEYS.cursor, KEYS.cursor + "2"),
    "getdel": lambda r: r.getdel(KEYS.cursor),
    "getex": lambda r: r.getex(KEYS.cursor, ex=1),
    "copy": lambda r: r.copy(KEYS.cursor, KEYS.cursor + "2"),
    "a new key": lambda r: r.set("mine", "x"),
    "another key": lambda r: r.get("other"),
    "another project": lambda r: r.hgetall(Keys(PROJECT + "2").claims),
    "a shorter project": lambda r: r.hgetall(Keys("example.org/team").claims),
    "keys": lambda r: r.keys("*"),
    "scan": lambda r: r.scan(),
    "randomkey": lambda r: r.randomkey(),
    "dbsize": lambda r: r.dbsize(),
    "info": lambda r: r.info(),
    "config": lambda r: r.config_get("*"),
    "client list": lambda r: r.client_list(),
    "flushall": lambda r: r.flushall(),
    "eval": lambda r: r.eval("return redis.call('get', KEYS[1])", 1, "other"),
    "eval_ro": lambda r: r.eval_ro("return redis.call('get', KEYS[1])", 1, "other"),
    "acl": lambda r: r.acl_setuser("prp-reader", enabled=True, commands=["+@all"]),
    "publish": lambda r: r.publish("channel", "x"),
    "monitor": lambda r: r.execute_command("MONITOR"),
    "modules": lambda r: r.execute_command("MODULE", "LIST"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_it_does_nothing_else(reader: redis.Redis, server: Server, what: str) -> None:
    with server.redis() as admin:
        before = sorted(admin.scan_iter())
        with pytest.raises(redis.exceptions.NoPermissionError):
            REFUSED[what](reader)
        assert sorted(admin.scan_iter()) == before
        assert admin.get(KEYS.cursor) == "abc"


def test_no_password_no_entry(server: Server, reader: redis.Redis) -> None:
    for password in ("wrong", ""):
        with (
            redis.Redis(
                unix_socket_path=server.socket, username="prp-reader", password=password, retry=Retry(NoBackoff(), 0)
            ) as client,
            pytest.raises((redis.exceptions.AuthenticationError, redis.exceptions.NoPermissionError)),
        ):
            client.get(KEYS.cursor)
            raise redis.exceptions.DataError("it was let in")
