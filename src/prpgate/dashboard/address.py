"""Where the dashboard listens, and how a second `prp dashboard` finds the first."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import ipaddress
import json
import os
import socket
from typing import TYPE_CHECKING, NamedTuple

from ..errors import StoreDown
from ..messages import dashboard as say
from ..store import folders

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST, PORTS = 8137, 20
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # and how this machine reaches what listens there
SEND_BYTES = 1 << 16  # that the kernel keeps for a page that does not read; every connection inherits it


class Running(NamedTuple):
    """A dashboard of this project, of this user, on this machine."""

    pid: int
    host: str
    port: int
    instance: str


class Address(NamedTuple):
    """What was bound."""

    socket: socket.socket
    host: str  # as it was asked for
    port: int
    public: bool

    @property
    def names(self) -> list[str]:
        """What requests may call it. No name that others can point here: this machine's own, where they reach it."""
        return [self.host, socket.gethostname()] if self.public else [self.host]

    @property
    def for_others(self) -> str:
        """How others reach it."""
        return url(socket.gethostname() if self.host in EVERYWHERE else self.host, self.port)


def url(host: str, port: int) -> str:
    """How to reach it; from this machine, when it listens everywhere."""
    shown = EVERYWHERE.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


def is_public(host: str) -> tuple[socket.AddressFamily, str, bool]:
    """Family and address of a host, and whether others can reach it. Raises UsageError for what is none."""
    try:
        family, _, _, _, found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError) as e:
        raise say.bad_host(host, str(getattr(e, "strerror", None) or e)) from None
    address = str(found[0])
    return family, address, not ipaddress.ip_address(address.partition("%")[0]).is_loopback


def listen(host: str, port: int | None) -> Address:
    """Bind to the port, or to the first free one from 8137 on. Raises UserError where it is taken."""
    family, address, public = is_public(host)
    for one in [port] if port is not None else range(FIRST, FIRST + PORTS):
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
        try:
            bound.bind((address, one))
            bound.listen(512)
        except OSError as e:
            bound.close()
            if e.errno == errno.EADDRNOTAVAIL:
                raise say.bad_host(host, e.strerror or str(e)) from None
            continue
        return Address(bound, host, bound.getsockname()[1], public)
    if port is None:
        raise say.no_port(host, FIRST, FIRST + PORTS - 1)
    with contextlib.closing(listen(host, None).socket) as free:
        raise say.port_taken(host, port, free.getsockname()[1])


def _path(project: str) -> str:
    return folders.folder_of(project) + ".dashboard"


def running(project: str) -> Running | None:
    """The dashboard that runs already; None when there is none."""
    try:
        with open(_path(project), encoding="utf-8") as f:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(f, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None
            return Running(**json.load(f))
    except (OSError, StoreDown, ValueError, TypeError):
        return None


@contextlib.contextmanager
def note(project: str, one: Running) -> Iterator[None]:
    """While it runs, others find it. Where the folder cannot be written they do not, and that is all."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError, StoreDown):
            os.makedirs(folders.state_folder(), 0o700, exist_ok=True)
            f = stack.enter_context(
                open(_path(project), "a+", encoding="utf-8", opener=lambda n, flags: os.open(n, flags, 0o600))
            )
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            f.truncate(0)
            f.write(json.dumps(one._asdict()))
            f.flush()
        yield
