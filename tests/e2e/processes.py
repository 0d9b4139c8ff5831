"""Processes of a scene: who there is, and a way to stop one at a moment that is known to the byte."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from tests.world import Clone, Server


class Halting:
    """Stands between a client and its store. Who is granted what it asked with all of these `words` in it is sent
    SIGSTOP, and then the answer: it is there to be read when the process goes on."""

    def __init__(self, server: Server, *words: bytes) -> None:
        self.server, self.words = server, words
        self.path = f"{server.folder}/h"
        self.url = f"unix://{self.path}"
        self.pid = 0
        self.stopped = threading.Event()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(16)

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()
        if self.stopped.is_set() and state(self.pid) == "T":
            self.go_on()

    def halted(self) -> int:
        """The process that was stopped, once it is."""
        assert self.stopped.wait(60), "nobody asked for that"
        return self.pid

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def _listen(self) -> None:
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        asked = b""
        pid = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        with client, socket.socket(socket.AF_UNIX) as store:
            try:
                store.connect(self.server.socket)
            except OSError:  # the server has gone; who asks is told so as the connection ends
                return
            while True:
                for source in select.select([client, store], [], [])[0]:
                    try:
                        data = source.recv(1 << 20)
                        if not data:
                            return
                        if source is client:
                            asked = data
                        elif b"granted" in data and all(w in asked for w in self.words) and not self.stopped.is_set():
                            self._stop(pid)
                        (store if source is client else client).sendall(data)
                    except OSError:
                        return

    def _stop(self, pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        while state(pid) not in ("T", ""):
            time.sleep(0.001)
        self.pid = pid
        self.stopped.set()


def listed() -> list[int]:
    return [int(p) for p in os.listdir("/proc") if p.isdigit()]


def command(pid: int) -> bytes:
    """Its command line, words ended by NUL; nothing for one that is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read()
    except OSError:
        return b""


def stat(pid: int) -> list[str]:
    """The words of /proc/PID/stat behind the name: state, parent, ...; none for one that is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            return f.read().rpartition(")")[2].split()
    except OSError:
        return []


def state(pid: int) -> str:
    """The letter of its state, "" for one that is gone."""
    return (stat(pid) or [""])[0]


def started(pid: int) -> str:
    return stat(pid)[19]


def children(parent: int) -> list[int]:
    return [pid for pid in listed() if (words := stat(pid)) and int(words[1]) == parent]


def watchers(clone: Clone) -> list[int]:
    """Our pre-push processes that work in this clone."""
    found = []
    for pid in listed():
        with contextlib.suppress(OSError):
            if b"/pre-push\0" in command(pid) and os.readlink(f"/proc/{pid}/cwd") == str(clone.path):
                found.append(pid)
    return found
