"""The server's parts by themselves, for moments that no outside test can choose."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING

import pytest
import redis

from prpgate import events, ops
from prpgate.dashboard import fanout, stream
from prpgate.dashboard.board import Board
from prpgate.dashboard.cursor import PRPS, Cursor
from prpgate.dashboard.fanout import Fanout, Frame
from prpgate.dashboard.feed import Feed, frame
from tests.dashboard.test_live import store_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.dashboard import Small
    from tests.world import Server


def session_of(small: Small, monkeypatch: pytest.MonkeyPatch) -> ops.Session:
    for name, value in small.clone.env.items():
        monkeypatch.setenv(name, value)
    return ops.Session(str(small.clone.path))


def at(n: int) -> Cursor:
    return Cursor.at("0123456789ab", "", {PRPS: f"{n}-0"})


def test_who_does_not_keep_up_is_let_go_and_nobody_else() -> None:
    async def run() -> None:
        many, gone = Fanout(), list[str]()
        slow, quick = many.join(lambda: gone.append("slow")), many.join(lambda: gone.append("quick"))
        assert slow and quick
        for n in range(fanout.MOST_FRAMES):
            many.publish(Frame(b"%d" % n, at(n), True))
            assert (await quick.next()) == Frame(b"%d" % n, at(n), True)
        assert gone == []
        many.publish(Frame(b"one more", None))
        assert (gone, many.dropped, slow.over, many.clients) == (["slow"], 1, True, {quick})
        assert await slow.next() is None
        assert (await quick.next() or Frame(b"", None)).body == b"one more"
        many.close()
        assert await quick.next() is None
        assert many.join(lambda: None) is None

    asyncio.run(run())


def test_a_full_house() -> None:
    async def run() -> None:
        many = Fanout()
        clients = [many.join(lambda: None) for _ in range(fanout.MOST_CLIENTS)]
        assert None not in clients
        assert (many.room(), many.join(lambda: None)) == (False, None)

    asyncio.run(run())


def test_what_the_state_had_already_is_not_told_again(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page reads the state, and the frame that it contains is still on its way to the queues."""
    feed = Feed(session_of(small, monkeypatch))

    async def run() -> list[bytes]:
        many = Fanout()
        many.at = at(1)
        bodies = stream._bodies(feed, many, str(at(2)), lambda: None)
        assert (await anext(bodies)).startswith(b"retry")
        told = asyncio.ensure_future(anext(bodies))
        await asyncio.sleep(0.05)
        many.publish(frame("change", {"n": 2}, at(2), moves=True))
        many.publish(frame("change", {"n": "time"}, at(2)))
        many.publish(frame("change", {"n": 3}, at(3), moves=True))
        found = [await told, await anext(bodies)]
        await bodies.aclose()  # type: ignore[attr-defined]
        assert many.clients == set()
        return found

    told = [json.loads(body.partition(b"data: ")[2])["n"] for body in asyncio.run(run())]
    feed.store.close()
    assert told == ["time", 3]


def test_a_lease_that_was_renewed_is_seen_when_one_looks_round(
    small: Small, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Renewing is told by no event."""
    session = session_of(small, monkeypatch)
    small.prp("start", "P1-001")
    board, store = Board(session.config), session.store()
    board.fill(store)
    before = board.prps.shapes["P1-001"]["lease"]
    with store_of(server) as other:
        claim = json.loads(str(other.redis.hget(other.keys.claims, "P1-001")))
        claim["deadline"] += 600_000
        claim["over"] = claim["deadline"] + 600_000
        other.redis.hset(other.keys.claims, "P1-001", json.dumps(claim))
    assert board.change(store, []) is None
    board.look_round()
    change = board.change(store, [])
    assert change is not None
    (prp,) = change["prps"]
    assert before is not None
    assert prp["lease"] is not None
    assert prp["lease"]["until"] > before["until"]
    session.close()


def test_the_picture_that_events_made_is_the_one_that_is_read_anew(
    small: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """After many verbs, what was changed bit by bit is what a fresh reading says."""
    session = session_of(small, monkeypatch)
    feed = Feed(session)
    published: list[Frame] = []
    feed.publish = published.append
    thread = threading.Thread(target=feed.run)
    thread.start()
    small.prp("start", "P1-000", agent="ben")
    small.prp("block", "P1-001", "--reason", "later", "--by", "P1-000")
    small.prp("assign", "P1-002", "eve")
    small.prp("start", "P1-003", agent="eve")
    small.prp("release", "P1-003", agent="eve")
    small.prp("note", "P1-000", "a word", agent="ben")
    small.prp("unblock", "P1-001")
    small.prp("block", "P1-002", "--reason", "never", "--by", "P1-000")
    small.prp("new", "One more")
    small.prp("deprecate", "P1-000", "--by", "P1-003", agent="ben")
    small.prp("lane", "close", "main", "--reason", "broken")
    for _ in range(200):
        if any(b'"event":"close"' in one.body for one in published):
            break
        threading.Event().wait(0.05)
    feed.stop()
    thread.join(10)
    assert not thread.is_alive()
    anew = Board(session.config)
    anew.fill(session.store())

    def prps(board: Board) -> dict[str, object]:
        aged = {"claim", "lease"}
        return {i: {k: v for k, v in p.items() if k not in aged} for i, p in board.prps.shapes.items()}

    assert prps(feed.board) == prps(anew)
    assert [p["id"] for p in anew.prps.shapes.values() if p["blocked_by"]] == []  # its obstacle is deprecated
    assert feed.board.lanes["main"].shape is not None
    assert anew.lanes["main"].shape is not None
    assert feed.board.lanes["main"].shape["closed"] == anew.lanes["main"].shape["closed"]
    held = [{a["name"]: a["holds"] for a in board.agents.shapes()} for board in (feed.board, anew)]
    assert held[0].keys() == held[1].keys()
    assert feed.board.cursor() == anew.cursor()
    session.close()
    feed.store.close()


def test_what_was_seen_when_the_store_went_away_is_told_later(
    small: Small, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lane was read, and then the store was gone before the rest could be."""
    session = session_of(small, monkeypatch)
    board, store = Board(session.config), session.store()
    board.fill(store)
    small.prp("start", "P1-001")
    small.prp("lane", "close", "main", "--reason", "broken")
    with store_of(server) as other:
        happened = [*events.tail(other, 1), *events.tail(other, 1, lane="main")]
        recorded = other.redis.type(other.keys.agents)
        other.redis.rename(other.keys.agents, other.keys.prefix + "aside")
        other.redis.set(other.keys.agents, "no hash")  # what reads the agents fails, after all else was read
        with pytest.raises(redis.ResponseError):
            board.change(store, happened)
        other.redis.rename(other.keys.prefix + "aside", other.keys.agents)
    assert recorded == "hash"
    change = board.change(store, happened)
    assert change is not None
    assert [lane["name"] for lane in change["lanes"]] == ["main"]
    assert [p["id"] for p in change["prps"]] == ["P1-001"]
    session.close()
