"""One command to one server, without redis-py: its import costs twelve Python starts, and most probes fail."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import NamedTuple


class Reply(NamedTuple):
    """One reply of a server: its RESP type ("+", "-", ":", "$") and its text."""

    kind: str
    text: str


def ask(address: str | tuple[str, int], *words: str, timeout_s: float = 0.5) -> Reply | None:
    """Send one command, without redis-py (its import costs twelve Python starts). None when no reply came in time.

    For commands that answer one text or number. `address` is a socket's path or (host, port); `timeout_s` bounds
    the whole exchange.
    """
    until = time.monotonic() + timeout_s
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    parts = [word.encode() for word in words]
    request = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(p), p) for p in parts)
    with socket.socket(family, socket.SOCK_STREAM) as s, contextlib.suppress(OSError, ValueError):
        s.settimeout(timeout_s)
        s.connect(address)
        s.sendall(request)
        got = b""
        while True:
            head, found, rest = got.partition(b"\r\n")
            kind, text = head[:1].decode("ascii", "replace"), head[1:].decode("utf-8", "replace")
            if found and kind != "$":
                return Reply(kind, text)
            if found and int(text) < 0:
                return None
            if found and len(rest) >= int(text) + 2:
                return Reply(kind, rest[: int(text)].decode("utf-8", "replace"))
            s.settimeout(max(until - time.monotonic(), 0.001))
            more = s.recv(65536)
            if not more or time.monotonic() > until:
                return None
            got += more
    return None
