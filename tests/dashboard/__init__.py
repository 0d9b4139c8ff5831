"""A real `prp dashboard`, the project that it shows, and what a browser would do with it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from prpgate.store import client
from prpgate.store.discover import Place
from tests.world import Clone, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.world import Server

STORE_ID = "55555555-6f0c-4f9a-8a53-d1a2b6c0e9f7"
PROJECT = "example/app"
TOML = f'project = "{PROJECT}"\n[ledger]\npath = "prps.yaml"\n[store]\nid = "{STORE_ID}"\n'
ENTRY = "  {id}:\n    title: {title}\n    status: {status}\n"


class Small:
    """A repository without a remote, whose store is a server of the test's own."""

    def __init__(self, folder: Path, server: Server, prps: str | None = None, name: str = "ana") -> None:
        self.server = server
        run(["git", "init", "-q", "-b", "main", folder], folder.parent)
        self.clone = Clone(folder, name)
        self.clone.env["PRP_REDIS_URL"] = server.url
        self.clone.commit_files("start", {"prp.toml": TOML, "prps.yaml": prps or entries(4), "README": "hello\n"})
        adopt(server)
        self.clone.prp("redis-sync")

    def prp(self, *args: str, agent: str = "ana") -> Any:
        """The JSON answer of a command."""
        return json.loads(self.clone.prp(*args, "--json", env={"PRP_AGENT": agent}).out)


def entries(count: int, status: str = "validated") -> str:
    return "prp_tracking:\n" + "".join(
        ENTRY.format(id=f"P1-{n:03d}", title=f"Work {n}", status=status) for n in range(count)
    )


def adopt(server: Server) -> None:
    with client.open_store(Place(server.url, "given", "test"), PROJECT) as store:
        client.adopt(store, STORE_ID)


class Message(NamedTuple):
    """One server-sent event."""

    id: str
    event: str
    data: Any
    at: float  # time.monotonic()


class Dashboard:
    """The process, from the moment that it answers."""

    def __init__(self, clone: Clone, *args: str, env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "prpgate", "dashboard", "--json", *args],
            cwd=clone.path,
            env={**os.environ, **clone.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(self.process.communicate(timeout=10)[1])
        self.said = json.loads(line)
        assert self.said.get("ok"), self.said
        self.port: int = self.said["port"]
        self.link: str = self.said["url"]
        self.cookie = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.communicate(timeout=10)

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal; the exit code, and what it said on stderr."""
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=10)
        return self.process.returncode, err

    # --- asking ------------------------------------------------------------------------------------------------------
    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (names in lower case) and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers={**({"Cookie": self.cookie} if self.cookie else {}), **given})
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()

    def log_in(self) -> Self:
        status, headers, _ = self.ask(self.link.partition(f":{self.port}")[2])
        assert status == 303, status
        self.cookie = headers["set-cookie"].partition(";")[0]
        return self

    def json(self, path: str) -> Any:
        status, headers, body = self.ask(path)
        assert (status, headers["content-type"]) == (200, "application/json"), (status, body)
        return json.loads(body)

    def state(self) -> Any:
        return self.json("/api/state")

    def listen(self, after: str = "", **headers: str) -> Stream:
        return Stream(self, after, headers)

    def raw(self, request: bytes) -> bytes:
        """What comes back for these bytes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as s:
            s.sendall(request)
            found = b""
            while True:
                part = s.recv(65536)
                found += part
                if not part or (b"\r\n\r\n" in found and _whole(found)):
                    return found


def _whole(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return length is not None and len(body) >= int(length[1])


class Stream:
    """One open page: what it hears, in a thread of its own."""

    def __init__(self, dashboard: Dashboard, after: str = "", headers: dict[str, str] | None = None) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", dashboard.port, timeout=60)
        given = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        self.connection.request(
            "GET", "/events" + (f"?after={after}" if after else ""), headers={"Cookie": dashboard.cookie, **given}
        )
        assert self.connection.sock is not None
        self.socket = self.connection.sock.dup()
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200, self.answer.read()
        self.heard: queue.Queue[Message | None] = queue.Queue()
        self.all: list[Message] = []
        self.beats: list[float] = []  # time.monotonic() of each
        self.last_id = after or (headers or {}).get("Last_Event_ID", "")
        self.thread = threading.Thread(target=self._hear, daemon=True)
        self.thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join(10)
        self.answer.close()
        self.connection.close()
        self.socket.close()

    def _hear(self) -> None:
        fields: dict[str, str] = {}
        try:
            while line := self.answer.readline():
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if line == b"\n":
                    if fields.get("event") == "beat":
                        self.beats.append(time.monotonic())
                    elif "data" in fields:
                        data = json.loads(fields["data"])
                        one = Message(fields.get("id", ""), fields["event"], data, time.monotonic())
                        self.heard.put(one)
                    fields = {}
                else:
                    fields[name] = value
        except (OSError, http.client.HTTPException):
            pass
        self.heard.put(None)

    def next(self, wait_s: float = 20) -> Message:
        one = self.heard.get(timeout=wait_s)
        assert one is not None, "the stream ended"
        self.all.append(one)
        self.last_id = one.id or self.last_id
        return one

    def until(self, fits: Callable[[Message], Any], wait_s: float = 20) -> Message:
        """The first message that fits; those before it are passed over."""
        end = time.monotonic() + wait_s
        while True:
            one = self.next(max(0.01, end - time.monotonic()))
            if fits(one):
                return one

    def until_event(self, name: str, prp: str | None = None) -> Message:
        """The first message that tells of an event."""
        return self.until(
            lambda m: (
                m.event == "change" and any(e["event"] == name and prp in (None, e["prp"]) for e in m.data["events"])
            )
        )

    def ended(self, wait_s: float = 20) -> bool:
        """Whether the server ends it within that time."""
        end = time.monotonic() + wait_s
        with contextlib.suppress(queue.Empty):
            while True:
                one = self.heard.get(timeout=max(0.01, end - time.monotonic()))
                if one is None:
                    return True
                self.all.append(one)
        return False

    def event_ids(self) -> list[str]:
        """Ids of all events that came, in the order in which they did."""
        return [e["id"] for m in self.all if m.event == "change" for e in m.data["events"]]
