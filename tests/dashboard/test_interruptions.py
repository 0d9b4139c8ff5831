"""The store goes away, the dashboard goes away, a page goes away or does not read: nothing is missed, nothing twice."""

from __future__ import annotations

import contextlib
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prpgate import events
from prpgate.dashboard import fanout
from prpgate.dashboard.server import MOST_CONNECTIONS, STRANGER_S
from tests.dashboard import PROJECT, Dashboard, Small, adopt
from tests.dashboard.test_live import store_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dashboard import Message
    from tests.world import Server

DOCS = Path(__file__).parents[2] / "docs" / "operations.md"


def write(server: Server, first: int, count: int, size: int = 10) -> None:
    """Events as scripts write them."""
    with store_of(server) as store:
        for n in range(first, first + count):
            detail = str(n).ljust(size, ".")
            store.redis.xadd(store.keys.events, {"event": "note", "prp": "P1-000", "agent": "ben", "detail": detail})


def ids_after(server: Server, after: str) -> list[str]:
    with store_of(server) as store:
        return [e.id for e in events.tail(store, 10_000) if events.order(e.id) > events.order(after)]


def last_id(server: Server) -> str:
    with store_of(server) as store:
        return events.tail(store, 1)[-1].id


def tells(detail: str) -> Callable[[Message], bool]:
    return lambda m: m.event == "change" and any(e["detail"] == detail for e in m.data["events"])


def test_the_store_is_restarted(small: Small, board: Dashboard, server: Server) -> None:
    board.log_in()
    begin = last_id(server)
    with board.listen(board.state()["cursor"]) as page:
        write(server, 0, 5)
        page.until(lambda m: m.event == "change" and m.data["events"][-1]["detail"].startswith("4"))
        server.stop()
        away = page.until(lambda m: m.event == "store")
        assert away.data["connected"] is False
        assert away.data["message"]
        page.until(lambda m: m.event == "store" and (m.data["next_action"] or "").startswith("prp "))
        status, _, _ = board.ask("/api/state")  # what was known is still shown, and that the store is away
        assert (status, board.state()["store"]["connected"]) == (200, False)
        assert board.ask("/api/events")[0] == 503
        server.start()
        write(server, 5, 5)
        assert page.until(lambda m: m.event == "store").data["connected"] is True
        page.until(
            lambda m: m.event == "change" and m.data["events"] and m.data["events"][-1]["detail"].startswith("9")
        )
        assert page.event_ids() == ids_after(server, begin)
        assert not [m for m in page.all if m.event == "reset"]
        with board.listen(board.state()["cursor"]) as late:  # its state may have been read while the store was away
            first = late.next()
            assert (first.event, first.data["connected"]) == ("store", True)
        small.prp("start", "P1-001")
        page.until_event("started")
    assert board.process.poll() is None


def test_the_store_hangs_and_goes_on(small: Small, board: Dashboard, server: Server) -> None:
    board.log_in()
    begin = last_id(server)
    with board.listen(board.state()["cursor"]) as page:
        server.send(signal.SIGSTOP)
        assert page.until(lambda m: m.event == "store", 30).data["connected"] is False
        server.send(signal.SIGCONT)
        assert page.until(lambda m: m.event == "store").data["connected"] is True
        write(server, 0, 3)
        page.until(
            lambda m: m.event == "change" and m.data["events"] and m.data["events"][-1]["detail"].startswith("2")
        )
        assert page.event_ids() == ids_after(server, begin)


def test_the_store_is_wiped_and_filled_anew(small: Small, board: Dashboard, server: Server) -> None:
    board.log_in()
    with board.listen(board.state()["cursor"]) as page:
        with server.redis() as r:
            r.flushall()
        assert page.until(lambda m: m.event == "store").data["connected"] is False
        small.clone.prp("rebuild", "--yes")
        page.until(lambda m: m.event == "reset")
        page.until(lambda m: m.event == "store" and m.data["connected"])
        assert len(board.state()["prps"]) == 4
        small.prp("start", "P1-001")
        page.until_event("started")


def test_the_dashboard_is_restarted(small: Small, server: Server) -> None:
    """The page asks again with the id of the last thing that it heard, and with the cookie that it has."""
    begin = last_id(server)
    with Dashboard(small.clone, "--port", "0") as board:
        board.log_in()
        with board.listen(board.state()["cursor"]) as page:
            write(server, 0, 5)
            page.until(lambda m: m.data["events"][-1]["detail"].startswith("4"))
            code, err = board.end()
            assert page.ended()
    assert (code, "Traceback" in err) == (130, False), err
    write(server, 5, 5)
    small.prp("start", "P1-001")
    with Dashboard(small.clone, "--port", str(board.port)) as again:
        again.cookie = board.cookie
        with again.listen(Last_Event_ID=page.last_id) as back:
            missed = back.next()
            assert (missed.event, missed.id) == ("change", again.state()["cursor"])
            assert page.event_ids() + back.event_ids() == ids_after(server, begin)
            assert {p["id"] for p in missed.data["prps"]} == {"P1-000", "P1-001"}
            assert missed.data["lanes"]
            assert missed.data["agents"]
            write(server, 10, 1)
            back.until(lambda m: m.data["events"] and m.data["events"][-1]["detail"].startswith("10"))
            assert page.event_ids() + back.event_ids() == ids_after(server, begin)
        old = board.link.partition(f":{board.port}")[2]
        assert again.ask(old, Cookie="")[0] == 403  # a link of the one before


def test_a_cursor_of_which_the_streams_have_lost_the_next(small: Small, board: Dashboard, server: Server) -> None:
    board.log_in()
    old = board.state()["cursor"]
    with board.listen(old) as page:
        write(server, 0, 5)
        page.until(lambda m: m.event == "change" and m.data["events"][-1]["detail"].startswith("4"))
    with store_of(server) as store:
        store.redis.xtrim(store.keys.events, maxlen=2, approximate=False)
    with board.listen(old) as page:
        assert page.next().event == "reset"
    for cursor in ("nonsense", "1.000000000000..p-1-0", old[:-1], "1" * 300, "%0d%0aevent:%20x"):
        with board.listen(cursor) as page:
            assert page.next().event == "reset", cursor
    now = board.state()["cursor"]
    with board.listen(now) as page:
        write(server, 5, 1)
        assert page.until(lambda m: m.event == "change").data["events"][0]["detail"].startswith("5")


def test_a_page_that_does_not_read_is_let_go_and_the_others_go_on(
    small: Small, board: Dashboard, server: Server
) -> None:
    board.log_in()
    begin, cursor = last_id(server), board.state()["cursor"]
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(("127.0.0.1", board.port))
    deaf.sendall(f"GET /events?after={cursor} HTTP/1.1\r\nHost: localhost\r\nCookie: {board.cookie}\r\n\r\n".encode())
    with deaf, board.listen(cursor) as page:
        rounds = fanout.MOST_FRAMES + 150
        for n in range(rounds):
            write(server, n, 1, size=30_000)
            time.sleep(0.035)  # a frame each
        page.until(lambda m: m.event == "change" and m.data["events"][-1]["detail"].startswith(str(rounds - 1)))
        assert page.event_ids() == ids_after(server, begin)
        deaf.settimeout(20)
        try:  # what is still in the kernel's buffers, and then the end: it was cut off
            while deaf.recv(1 << 20):
                pass
        except ConnectionResetError:
            pass
        small.prp("start", "P1-001")
        page.until_event("started")


def test_many_events_at_once_are_all_told(small: Small, board: Dashboard, server: Server) -> None:
    board.log_in()
    begin = last_id(server)
    with board.listen(board.state()["cursor"]) as page:
        with store_of(server) as store:
            pipe = store.redis.pipeline(transaction=False)
            for n in range(2500):
                entry = {"event": "note", "prp": f"P1-00{n % 4}", "agent": "ben", "detail": str(n)}
                pipe.xadd(store.keys.events, entry)  # type: ignore[arg-type]
            pipe.execute()
        page.until(lambda m: m.event == "change" and m.data["events"] and m.data["events"][-1]["detail"] == "2499")
        assert page.event_ids() == ids_after(server, begin)


def test_bytes_that_are_no_text_end_nothing(small: Small, board: Dashboard, server: Server) -> None:
    """Some other program wrote them; whoever reads a name with them in it sees a mark in their place."""
    board.log_in()
    with board.listen(board.state()["cursor"]) as page, store_of(server) as store:
        keys, raw = store.keys, store.redis
        odd: Any = {b"event": b"note\xff", b"prp": b"P1-\xc3", b"agent": b"\xfe\xed", b"detail": b"caf\xe9"}
        raw.xadd(keys.events, odd)
        told = page.until(lambda m: m.event == "change" and m.data["events"])
        assert told.data["events"][-1]["detail"] == "caf\ufffd"
        raw.hset(keys.agents, b"\xff", b'{"host": "\xe9", "worktree": "/\xff", "at": %d}' % (time.time() * 1000))
        raw.sadd(keys.lanes, b"release/\xff")
        small.prp("start", "P1-003", agent="ben")
        claim: Any = str(raw.hget(keys.claims, "P1-003")).encode().replace(b'"ben"', b'"b\xffn"')
        raw.hset(keys.claims, "P1-003", claim)
        small.prp("note", "P1-002", "after all of it")
        page.until_event("note", "P1-002")
        begun = time.monotonic()
        while "release/\ufffd" not in [x["name"] for x in board.state()["lanes"]]:
            assert time.monotonic() < begun + 20, "a lane that was never used before is found by looking round"
            time.sleep(0.1)
        assert "\ufffd" in [a["name"] for a in board.state()["agents"]]
        raw.xadd(keys.events, {"event": "note", "prp": "P1-003", "agent": "cyd", "detail": ""})
        (prp,) = page.until_event("note", "P1-003").data["prps"]
        assert prp["claim"]["agent"] == "b\ufffdn"
    assert board.process.poll() is None


def test_a_value_that_cannot_be_read_is_said_and_mended(small: Small, board: Dashboard, server: Server) -> None:
    board.log_in()
    small.prp("start", "P1-001")
    with board.listen(board.state()["cursor"]) as page, store_of(server) as store:
        kept = store.redis.hget(store.keys.claims, "P1-001")
        for odd in ("{", "{}", "null"):
            store.redis.hset(store.keys.claims, "P1-001", odd)
            write(server, 0, 1)  # of another PRP
            store.redis.xadd(store.keys.events, {"event": "note", "prp": "P1-001", "agent": "x", "detail": odd})
            away = page.until(lambda m: m.event == "store")
            assert (away.data["connected"], away.data["next_action"]) == (False, "prp doctor"), odd
            assert "cannot be read" in away.data["message"]
            assert board.state()["store"]["connected"] is False, "what was known is still shown"
            store.redis.hset(store.keys.claims, "P1-001", str(kept))
            page.until(tells(odd))
            assert page.until(lambda m: m.event == "store").data["connected"] is True
        assert len(page.event_ids()) == len(set(page.event_ids())) == 6
    assert board.process.poll() is None


def test_a_store_that_is_another_one_is_not_shown(small: Small, board: Dashboard, server: Server) -> None:
    board.log_in()
    with board.listen(board.state()["cursor"]) as page:
        with server.redis() as r:
            r.hset(f"prp:{{{PROJECT}}}:meta", "store_id", "66666666-6f0c-4f9a-8a53-d1a2b6c0e9f7")
        assert page.until(lambda m: m.event == "store").data["connected"] is False
        with server.redis() as r:
            r.hdel(f"prp:{{{PROJECT}}}:meta", "store_id")
        adopt(server)
        page.until(lambda m: m.event == "store" and m.data["connected"])


def test_with_the_least_rights_that_the_docs_name(small: Small, server: Server) -> None:
    """The line of docs/operations.md, "A server of yours"."""
    (line,) = [x for x in DOCS.read_text("utf-8").splitlines() if x.startswith("ACL SETUSER prpgate ")]
    line = line.replace(">YOUR-PASSWORD", ">secret-word").replace("{example.org/team/app}", f"{{{PROJECT}}}")
    with server.redis() as r:
        r.execute_command(*line.split())
    small.clone.env["PRP_REDIS_URL"] = f"unix://prpgate:secret-word@{server.socket}"
    with Dashboard(small.clone, "--port", "0") as board, board.log_in().listen() as page:
        assert len(board.state()["prps"]) == 4
        small.prp("start", "P1-001")
        page.until_event("started")
        assert board.json("/api/prp/P1-001")["history"]
        assert board.json("/api/events")["events"]
        server.stop()
        away = page.until(lambda m: m.event == "store").data
        assert (away["connected"], "secret-word" in away["message"]) == (False, False)


def test_connections_of_strangers_keep_nobody_out(board: Dashboard) -> None:
    """Any user of this machine can open as many as they like, and ask nothing, or half of something, on them."""
    board.log_in()
    held = []
    with board.listen() as page:
        try:
            for n in range(MOST_CONNECTIONS + 50):
                held.append(socket.create_connection(("127.0.0.1", board.port), timeout=20))
                if n % 2:
                    held[-1].sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
            assert board.ask("/api/state")[0] == 200
            held[-1].settimeout(STRANGER_S + 10)
            with contextlib.suppress(ConnectionResetError):
                assert held[-1].recv(1) == b""
            assert board.ask("/api/state")[0] == 200
            assert not page.ended(0.1)
        finally:
            for one in held:
                one.close()
