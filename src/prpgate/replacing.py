"""Files that other programs write too: replaced only as they were read, whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat

TRIES = 5  # at a file that somebody else writes each time


def current(path: str) -> bytes | None:
    """None: there is no file. Raises OSError."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def replace(path: str, old: bytes | None, new: bytes | None) -> bool:
    """Put `new` in the place of `old`; None is no file. False: it is not `old` any more, and was left.

    A reader sees the old file or the new one. Mode and symlinks stay. Who comes through here waits for whoever does so
    too; to other programs less than a millisecond is left, between the comparison and the replacing. Raises OSError,
    and the file is as it was.
    """
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if new is not None:
        os.makedirs(folder, exist_ok=True)
    elif not os.path.isdir(folder):
        return old is None
    fd = os.open(folder, os.O_RDONLY)
    try:
        return _put(fd, target, old, new)
    finally:
        os.close(fd)  # ends the flock


def _put(folder: int, target: str, old: bytes | None, new: bytes | None) -> bool:
    spare = os.path.join(os.path.dirname(target), f".{os.path.basename(target)[:200]}.new")
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
    except OSError:  # some network file systems have no flock; the comparison stays
        spare += f".{os.getpid()}.{os.urandom(4).hex()}"
    if current(target) != old:
        return False
    if new is None:
        if old is not None:
            os.unlink(target)
        return True
    with contextlib.suppress(FileNotFoundError):
        os.unlink(spare)  # of a writer that was killed here
    try:
        with open(spare, "xb") as file:
            if old is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(os.stat(target).st_mode))
            file.write(new)
            file.flush()
            os.fsync(file.fileno())
        os.replace(spare, target)
        os.fsync(folder)
        return True
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(spare)
