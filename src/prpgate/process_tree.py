"""Everything that this process started since a moment, however it detached itself, and how to end it.

A process group is not enough: `setsid`, a double fork or a daemon leaves it. On Linux this process becomes the
"child subreaper": orphans of its descendants become its own children instead of init's, so a walk down from here
finds them all (prctl(2), PR_SET_CHILD_SUBREAPER). Elsewhere the tree is looked at again and again while it runs, and
whoever was seen in it once stays known by pid and start time.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

SET_SUBREAPER, GET_SUBREAPER = 36, 37  # from <linux/prctl.h>
POLL_S = 0.02


class Process(NamedTuple):
    """One process as the system lists it. `session` is the process group where there is no cheap session id."""

    pid: int
    parent: int
    session: int
    start: str  # tells a process from a later one with the same pid
    zombie: bool

    @property
    def identity(self) -> tuple[int, str]:
        return self.pid, self.start


def from_stat(text: str) -> Process:
    """One line of /proc/PID/stat. The name in it may hold spaces and brackets: the last bracket ends it."""
    pid, _, rest = text.partition(" (")
    words = rest[rest.rindex(")") + 1 :].split()
    return Process(int(pid), int(words[1]), int(words[3]), words[19], words[0] in "ZX")


def from_ps(text: str) -> dict[int, Process]:
    """The answer of `ps -axo pid=,ppid=,pgid=,stat=,lstart=`."""
    found = {}
    for line in text.splitlines():
        pid, parent, group, state, start = line.split(None, 4)
        found[int(pid)] = Process(int(pid), int(parent), int(group), start.strip(), state.startswith("Z"))
    return found


def listed() -> dict[int, Process]:
    """Every process of this machine that we may see."""
    if not os.path.isdir("/proc/self"):
        command = ["ps", "-axo", "pid=,ppid=,pgid=,stat=,lstart="]
        return from_ps(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as f:
                found[int(name)] = from_stat(f.read())  # one that has ended meanwhile is no loss
    return found


def below(processes: Mapping[int, Process], roots: Collection[int]) -> list[Process]:
    """The roots and all their descendants, parents before children."""
    children: dict[int, list[int]] = {}
    for process in processes.values():
        children.setdefault(process.parent, []).append(process.pid)
    order = [pid for pid in dict.fromkeys(roots) if pid in processes]
    seen = set(order)
    for pid in order:  # grows while it is walked
        fresh = [child for child in children.get(pid, ()) if child not in seen]
        seen.update(fresh)
        order.extend(fresh)
    return [processes[pid] for pid in order]


def _is_subreaper() -> bool | None:
    """Whether orphans of our descendants come to us; None where the system has no such thing."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    value = ctypes.c_int(0)
    failed = ctypes.CDLL(None).prctl(GET_SUBREAPER, ctypes.byref(value), 0, 0, 0)
    return None if failed else bool(value.value)


def _set_subreaper(on: bool) -> None:
    import ctypes

    ctypes.CDLL(None).prctl(SET_SUBREAPER, int(on), 0, 0, 0)


class ProcessTree:
    """All processes that are started below this one in a session of their own, while the `with` block lasts.

    Children that this process had before, and children that stay in its own session (another thread's git, say), are
    not part of it. On leaving the block everything that is left is ended.
    """

    def __init__(self) -> None:
        self.me = os.getpid()
        self.owned: set[int] = set()  # children that somebody waits for: not ours to reap
        self.known: set[tuple[int, str]] = set()
        self.session = os.getsid(0)
        self.before: set[tuple[int, str]] = set()
        self.was: bool | None = None

    def __enter__(self) -> Self:
        now = listed()
        self.session = now[self.me].session
        self.before = {p.identity for p in now.values() if p.parent == self.me}
        self.was = _is_subreaper()
        if self.was is False:
            _set_subreaper(True)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.end()
        finally:
            if self.was is False:
                _set_subreaper(False)

    @property
    def complete(self) -> bool:
        """Whether nobody can get away. If not, `members` has to be called now and then to know who is there."""
        return self.was is not None

    def members(self) -> list[Process]:
        """Who is alive now. Adopted orphans that have ended are reaped on the way."""
        now = listed()
        roots = [
            p.pid
            for p in now.values()
            if p.identity in self.known
            or (p.parent == self.me and p.session != self.session and p.identity not in self.before)
        ]
        found = below(now, roots)
        for process in found:
            if process.zombie and process.parent == self.me and process.pid not in self.owned:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(process.pid, os.WNOHANG)
        alive = [p for p in found if not p.zombie]
        self.known = {p.identity for p in alive}
        return alive

    def end(
        self, spare: Collection[tuple[int, str]] = (), *, grace_s: float = 1.5, limit_s: float = 4.0
    ) -> list[Process]:
        """Ask everyone but `spare` to end, kill who has not within `grace_s`; who outlived `limit_s` is returned."""
        began = time.monotonic()
        asked: set[tuple[int, str]] = set()
        while True:
            left = [p for p in self.members() if p.identity not in spare]
            late = time.monotonic() - began
            if not left or late > limit_s:
                return left
            for process in left:
                if late > grace_s or process.identity not in asked:
                    asked.add(process.identity)
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(process.pid, signal.SIGKILL if late > grace_s else signal.SIGTERM)
            time.sleep(POLL_S)
