"""One signed POST to an address of the team's, and how its receiver checks it.

https, or http on this machine. One deadline over everything, no redirect, no proxy, at most a line read of the answer.
The signature is HMAC-SHA256 over "<time>.<body>", in a header `Prp-Signature: t=<time>,v1=<hex>`.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import socket
import ssl
import threading
import time
from concurrent.futures import Future
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from . import __version__
from .messages import notify as say
from .output import inert

DEADLINE_S = 10.0
PORTS = {"http": 80, "https": 443}
HERE = ("localhost", "127.0.0.1", "::1")
SIGNATURE = "Prp-Signature"
LEAST_SECRET = 16  # characters


class Sent(NamedTuple):
    """How a POST ended. `why_not` is None when the receiver took it (2xx)."""

    status: int
    why_not: str | None


def address(url: str) -> str | None:
    """The host (with its port, if it says one) that a secret is for; None for an address that nothing is sent to."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    host = (parts.hostname or "").lower()
    plain = host.isascii() and url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    if not host or not plain or "@" in parts.netloc or parts.fragment:
        return None
    if parts.scheme != "https" and not (parts.scheme == "http" and host in HERE):
        return None
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


def secret_in(pairs: str, host: str) -> str | None:
    """The secret for a host, of `HOST=SECRET HOST=SECRET ...`; None where there is none that is long enough."""
    for pair in pairs.split():
        name, _, value = pair.partition("=")
        if name.lower() == host and len(value) >= LEAST_SECRET:
            return value
    return None


def signature(secret: str, at_s: int, body: bytes) -> str:
    """The header's value."""
    digest = hmac.new(secret.encode("utf-8", "surrogateescape"), b"%d." % at_s + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


def post(url: str, secret: str, event: str, cause: str, body: bytes, *, deadline_s: float = DEADLINE_S) -> Sent:
    """Send once. Never raises for what a network or a receiver does, and ends within the deadline, name look-up
    included."""
    until = time.monotonic() + deadline_s
    parts = urlsplit(url)
    connection = _connection(parts, deadline_s)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"prpgate/{__version__}",
        "Prp-Event": event,
        "Prp-Cause": inert(cause).encode("ascii", "backslashreplace").decode(),
        SIGNATURE: signature(secret, int(time.time()), body),
    }
    alarm: threading.Timer | None = None
    ending: socket.socket | None = None
    try:
        s = connection.sock = _reach(parts, deadline_s)
        # A time-out on a socket starts anew with each byte. The copy stays one through what TLS makes of the other.
        ending = s.dup()
        alarm = threading.Timer(max(0.0, until - time.monotonic()), _end, [ending])
        alarm.daemon = True
        alarm.start()
        if parts.scheme == "https":
            connection.sock = ssl.create_default_context().wrap_socket(s, server_hostname=parts.hostname)
        connection.request("POST", target, body, headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError) as e:  # the last: a name or text that none can send
        late = time.monotonic() >= until or isinstance(e, TimeoutError)
        return Sent(0, say.late(deadline_s) if late else say.no_answer(str(e) or type(e).__name__))
    finally:
        if alarm and ending:
            alarm.cancel()
            alarm.join(1)  # it is cancelled, or at its end
            ending.close()
        connection.close()
    if 200 <= status < 300:
        return Sent(status, None)
    return Sent(status, say.redirected(status) if 300 <= status < 400 else say.answered(status))


def _connection(parts: SplitResult, deadline_s: float) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, parts.port, timeout=deadline_s)
    return http.client.HTTPConnection(host, parts.port, timeout=deadline_s)


def _reach(parts: SplitResult, deadline_s: float) -> socket.socket:
    """A connection, within one deadline, from a thread: a look-up of a name has no time-out, and each of its addresses
    one of its own. Raises TimeoutError, and what connecting raises."""
    found: Future[socket.socket] = Future()
    late = threading.Event()

    def work() -> None:
        try:
            s = socket.create_connection((parts.hostname or "", parts.port or PORTS[parts.scheme]), deadline_s)
        except (OSError, ValueError) as e:
            found.set_exception(e)
        else:
            found.set_result(s)
            if late.is_set():
                s.close()

    threading.Thread(target=work, name="prp-webhook", daemon=True).start()
    try:
        return found.result(deadline_s)
    except TimeoutError:
        late.set()
        if found.done() and found.exception() is None:
            found.result().close()
        raise


def _end(s: socket.socket) -> None:
    with contextlib.suppress(OSError):
        s.shutdown(socket.SHUT_RDWR)
