"""Telling people: a receiver on loopback that can be told to misbehave, and a store with events in it."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from prpgate.config import parse
from prpgate.lock import MergeLock
from prpgate.store.client import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from prpgate.config import Config
    from tests.world import Server

PROJECT, SECRET = "example.org/team/app", "a-secret-that-is-long-enough"
ALL = '["lane-closed", "lane-open", "your-turn", "claim-suspect", "red"]'
HANG, DRIP, CUT = "hang", "drip", "cut"


def until(true: Callable[[], object], what: str, give_up_s: float = 30) -> None:
    end_s = time.monotonic() + give_up_s
    while not true():
        assert time.monotonic() < end_s, what
        time.sleep(0.05)


class Got(NamedTuple):
    """One request that a receiver read."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


class Receiver:
    """What a webhook points at. `answers` are taken one after the other (a status, HANG, DRIP, CUT); then 204."""

    def __init__(self, *answers: int | str, location: str = "") -> None:
        self.answers, self.location = list(answers), location
        self.got: list[Got] = []
        self.over = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append(Got(self.path, dict(self.headers.items()), body))
                receiver.answer(self)

            do_GET = do_POST

            def log_message(self, format: str, *args: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def answer(self, to: BaseHTTPRequestHandler) -> None:
        one = self.answers.pop(0) if self.answers else 204
        if one == HANG:
            self.over.wait(60)
        elif one == DRIP:
            for byte in b"HTTP/1.1 200 " + b"x" * 1000:
                if self.over.wait(0.1):
                    return
                try:
                    to.wfile.write(bytes([byte]))
                except OSError:
                    return
        elif isinstance(one, int):
            to.send_response(one)
            if self.location:
                to.send_header("Location", self.location)
            to.end_headers()
        to.close_connection = True

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/hook"

    @property
    def pair(self) -> str:
        return f"{self.host}={SECRET}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class Outbox:
    """A store in which things happen."""

    def __init__(self, server: Server, webhook: str = "https://hooks.example.org/x") -> None:
        self.config = config(f'webhook = "{webhook}"\nevents = {ALL}')
        self.store = Store.over(server.redis(), PROJECT, "an id")
        self.lock = MergeLock(self.store, "main", self.config.times)

    def close(self, reason: str) -> None:
        self.lock.close("ana", reason, person=True)

    def open(self, reason: str) -> None:
        self.lock.open("ana", reason)

    def no_more_waiting(self) -> None:
        """As if the time had passed after which what is due is taken (again)."""
        client: Any = self.store.redis
        key = self.store.keys.prefix + "notify:when"
        for cause in client.zrange(key, 0, -1):
            client.zadd(key, {cause: 1})


def config(notify: str, source: str = "prp.toml of 0123456789ab") -> Config:
    return parse(f'project = "{PROJECT}"\n[notify]\n{notify}\n', source)
