"""A landing vouches for its own push: the hook of `prp land`'s own git push asks the process that holds the lock.

That process has judged exactly this push, has announced it to the store, and knows how long its lease lasts. Asking it
over a socket in a private folder costs the hook a twentieth of finding and asking the store. Whatever is not a plain
yes (no such process, another push, a lease that ran out) sends the hook to the store, as for every other push.

The link stays open after a yes. At its other end waits a detached child of the hook: told "reported" it goes; when the
link breaks without that word, the landing was killed, and the child watches the push in its stead.

Only what every Python has anyway is imported here: the hook pays for it.
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from .model import RefUpdate

VOUCHER = "PRP_LAND_VOUCHER"  # where the landing listens; believed by nobody, only asked
YES, REPORTED = b"yes\n", b"reported\n"
MOST = 4096
ASK_S, ANSWER_S = 2.0, 0.2


def question(head: str, base: str, ref: str) -> bytes:
    """What is asked of one ref's update."""
    return f"{head} {base} {ref}\n".encode("utf-8", "surrogateescape")


def vouched(updates: Sequence[RefUpdate]) -> socket.socket | None:
    """The link to the landing that this push says it belongs to, if that holds the lane now for exactly this push."""
    where = os.environ.get(VOUCHER)
    if not where or len(updates) != 1:
        return None
    update = updates[0]
    link = socket.socket(socket.AF_UNIX)
    try:
        link.settimeout(ASK_S)
        link.connect(where)
        link.sendall(question(update.local_sha, update.remote_sha, update.remote_ref))
        if link.recv(len(YES)) == YES:
            return link
    except OSError:
        pass
    link.close()
    return None


def reported(link: socket.socket) -> bool:
    """Wait until the landing is over, however long that takes: did it report what became of its push?"""
    link.settimeout(None)
    try:
        return link.recv(len(REPORTED)) == REPORTED
    except OSError:
        return False


class Voucher:
    """The other side. Listens while a push lasts; where nothing can listen, the hook asks the store."""

    def __init__(self) -> None:
        self.listener: socket.socket | None = None
        self._expected = b""
        self._links: list[socket.socket] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_listening()
        while self._links:
            self._links.pop().close()

    def listen(self, path: str, expected: bytes) -> None:
        """Answer at `path` from now on, with yes to exactly this question."""
        self._expected = expected
        self.listener = socket.socket(socket.AF_UNIX)
        try:
            self.listener.bind(path)
            self.listener.listen(4)
            self.listener.settimeout(ANSWER_S)
        except OSError:  # a path that is too long for a socket, or a file system that has none
            self.stop_listening()

    def stop_listening(self) -> None:
        if self.listener is not None:
            self.listener.close()
            self.listener = None

    def answer(self, holds: bool) -> None:
        """Answer one question that is waiting. `holds`: it is sure that the lane is held."""
        assert self.listener is not None
        with contextlib.ExitStack() as otherwise, contextlib.suppress(OSError):  # it has gone, and asks the store
            asker = otherwise.enter_context(self.listener.accept()[0])
            asker.settimeout(ANSWER_S)
            if asker.recv(MOST) == self._expected and holds:
                asker.sendall(YES)
                self._links.append(asker)
                otherwise.pop_all()
            else:
                asker.sendall(b"no\n")

    def reported(self) -> None:
        """What became of the push is on record: whoever stands by may go."""
        for link in self._links:
            with contextlib.suppress(OSError):
                link.sendall(REPORTED)
