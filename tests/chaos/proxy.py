"""A door between clients and the store that can lose replies, lose requests, delay, stall and refuse.

It relays bytes on a Unix socket, one thread for each connection and direction. Faults are armed by whoever runs the
test, and spent in the order in which replies come.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time

CUT, DROP, DELAY = "cut", "drop", "delay"  # the reply is lost; the request is lost; the reply comes late
BYTES = 1 << 16


class Proxy:
    """Listens on `path`, speaks to `server`. Use as a context manager, or close it."""

    def __init__(self, path: str, server: str) -> None:
        self.path, self.server = path, server
        self.faults = dict.fromkeys((CUT, DROP, DELAY), 0)  # how often each was spent
        self._armed: list[tuple[str, int, float]] = []  # (kind, replies or requests to let pass first, seconds)
        self._lock = threading.Lock()
        self._open = threading.Event()  # not set: nothing passes
        self._open.set()
        self._refusing = False
        self._closed = False
        self._sockets: set[socket.socket] = set()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(path)
        self._listener.listen(128)
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def arm(self, kind: str, after: int = 0, seconds: float = 0.0) -> None:
        """Let `after` replies (requests, for DROP) pass, then do it to the next one."""
        with self._lock:
            self._armed.append((kind, after, seconds))

    def stall(self, on: bool) -> None:
        """Nothing passes in either direction, and nobody is told."""
        (self._open.clear if on else self._open.set)()

    def refuse(self, on: bool) -> None:
        """New connections are closed at once."""
        self._refusing = on

    def calm(self) -> None:
        """No fault from now on."""
        with self._lock:
            self._armed.clear()
        self._refusing = False
        self._open.set()

    def close(self) -> None:
        self._closed = True
        self.calm()
        self._listener.close()
        for one in list(self._sockets):
            end(one)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            upstream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                if self._refusing:
                    raise ConnectionRefusedError
                upstream.connect(self.server)
            except OSError:
                client.close()
                upstream.close()
                continue
            self._sockets |= {client, upstream}
            greeting = threading.Event()  # set while the client says who it is: nothing is lost by losing that
            for source, sink, kinds in ((client, upstream, (DROP,)), (upstream, client, (CUT, DELAY))):
                threading.Thread(target=self._relay, args=(source, sink, kinds, greeting), daemon=True).start()

    def _relay(
        self, source: socket.socket, sink: socket.socket, kinds: tuple[str, ...], greeting: threading.Event
    ) -> None:
        try:
            while data := source.recv(BYTES):
                self._open.wait()
                if DROP in kinds:
                    (greeting.set if b"SETINFO" in data else greeting.clear)()
                fault = None if greeting.is_set() else self._spend(kinds)
                if fault and fault[0] == DELAY:
                    time.sleep(fault[1])
                elif fault:
                    break
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for one in (source, sink):
                end(one)
                self._sockets.discard(one)

    def _spend(self, kinds: tuple[str, ...]) -> tuple[str, float] | None:
        with self._lock:
            for n, (kind, after, seconds) in enumerate(self._armed):
                if kind not in kinds:
                    continue
                if after > 0:
                    self._armed[n] = (kind, after - 1, seconds)
                    return None
                del self._armed[n]
                self.faults[kind] += 1
                return kind, seconds
        return None


def end(one: socket.socket) -> None:
    """Both directions, also for a thread that waits in it."""
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
