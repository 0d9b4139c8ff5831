"""A landing vouches for its own push: the hook of `prp land`'s own git push asks the process that holds the lock.

That process has judged exactly this push, has announced it to the store, and knows how long its lease lasts. Asking it
over a socket in a private folder costs the hook a twentieth of finding and asking the store. Whatever is not a plain
yes (no such process, another push, a lease that ran out) sends the hook to the store, as for every other push.

Only what every Python has anyway is imported here: the hook pays for it.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .model import RefUpdate

VOUCHER = "PRP_LAND_VOUCHER"  # where the landing listens; believed by nobody, only asked
YES = b"yes\n"
MOST = 4096
ASK_S, ANSWER_S = 2.0, 0.2


def question(head: str, base: str, ref: str) -> bytes:
    """What is asked of one ref's update."""
    return f"{head} {base} {ref}\n".encode("utf-8", "surrogateescape")


def vouched(updates: Sequence[RefUpdate]) -> bool:
    """Does the landing that this push says it belongs to hold the lane now, for exactly this push?"""
    where = os.environ.get(VOUCHER)
    if not where or len(updates) != 1:
        return False
    update = updates[0]
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(ASK_S)
            s.connect(where)
            s.sendall(question(update.local_sha, update.remote_sha, update.remote_ref))
            return s.recv(MOST) == YES
    except OSError:
        return False


class Voucher:
    """The other side: listens at `path` while a push lasts. Where nothing can listen, the hook asks the store."""

    def __init__(self, path: str, expected: bytes) -> None:
        self.path, self.expected = path, expected
        self.listener: socket.socket | None = socket.socket(socket.AF_UNIX)
        try:
            self.listener.bind(path)
            self.listener.listen(4)
            self.listener.settimeout(ANSWER_S)
        except OSError:  # a path that is too long for a socket, or a file system that has none
            self.close()

    def answer(self, holds: bool) -> None:
        """Answer one question that is waiting. `holds`: it is sure that the lane is held."""
        assert self.listener is not None
        try:
            asker, _ = self.listener.accept()
            with asker:
                asker.settimeout(ANSWER_S)
                asker.sendall(YES if asker.recv(MOST) == self.expected and holds else b"no\n")
        except OSError:
            return  # it has gone, and asks the store

    def close(self) -> None:
        if self.listener is not None:
            self.listener.close()
            self.listener = None
