"""A child that outlives the hook which made it. Nothing heavy is imported: hooks that have little to do pay for it."""

from __future__ import annotations

import os


def detach(keep: int | None = None) -> bool:
    """Fork a child that outlives the hook, in a session of its own, with no inherited stream or descriptor but `keep`.
    True in the child.

    git reads a hook's streams to their end, so a child that kept one would hang every captured push.
    """
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return False
    os.setsid()
    if os.fork():
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    most = 256 if not hasattr(os, "sysconf") else min(os.sysconf("SC_OPEN_MAX"), 65536)
    if keep is None:
        os.closerange(3, most)
    else:
        os.closerange(3, keep)
        os.closerange(keep + 1, most)
    return True
