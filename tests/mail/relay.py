"""Between a client and the server: passes everything on, and loses replies when told to."""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
import threading
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from prpgate.store.client import Store


class Relay:
    """A Unix socket in front of a server's. A reply that is cut was made: the server has done what was asked."""

    def __init__(self, behind: str) -> None:
        self.folder = tempfile.mkdtemp(prefix="rl-", dir="/tmp")
        self.path, self.behind = f"{self.folder}/s", behind
        self.cuts, self._left = 0, 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def store(self, project: str) -> Store:
        client = redis.Redis(
            unix_socket_path=self.path, protocol=2, decode_responses=True, socket_timeout=5, retry=Retry(NoBackoff(), 0)
        )
        return Store.over(client, project)

    def cut_next_reply(self, count: int = 1) -> None:
        """Lose the replies to so many calls of scripts, and with each its connection."""
        self._left = count

    def _accept(self) -> None:
        while True:
            try:
                near = self._listener.accept()[0]
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(self.behind)
            self._open += [near, far]
            threading.Thread(target=self._serve, args=(near, far), daemon=True).start()

    def _serve(self, near: socket.socket, far: socket.socket) -> None:
        lose = threading.Event()

        def back() -> None:
            with contextlib.suppress(OSError):
                while answer := far.recv(1 << 20):
                    if lose.is_set():
                        self.cuts += 1
                        break
                    near.sendall(answer)
            _shut(near, far)

        threading.Thread(target=back, daemon=True).start()
        with contextlib.suppress(OSError):
            while asked := near.recv(1 << 20):
                if b"EVALSHA" in asked and self._left > 0:
                    self._left -= 1
                    lose.set()
                far.sendall(asked)
        _shut(near, far)


def _shut(*both: socket.socket) -> None:
    for one in both:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
