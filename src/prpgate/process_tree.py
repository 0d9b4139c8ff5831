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
MARK = "PRP_SMOKE_STEP"  # environment variable: whose steps a process came from, outermost first


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


class Part:
    """The processes of one step among all: its first one, and what came of that.

    A process is a part's because its parent is, or its session's leader was, or because it was given the part's mark
    in its environment (Linux only). One that is none of this (it left its session, its parent has ended, and it has
    cleared or overwritten its environment) cannot be told from another step's; nobody's part, it ends with all.
    """

    def __init__(self, pid: int, mark: str) -> None:
        self.pid, self.mark = pid, mark.encode()


class Ending:
    """Asks the processes of a part (None: everyone) to end, and kills who has not within `grace_s`.

    `tick` now and then until it says True; it does not wait. `left`: who is still there, and after `limit_s` stays so.
    """

    def __init__(self, tree: ProcessTree, part: Part | None = None, grace_s: float = 1.5, limit_s: float = 4.0) -> None:
        self.tree, self.part, self.grace_s, self.limit_s = tree, part, grace_s, limit_s
        self.began = time.monotonic()
        self.asked: set[tuple[int, str]] = set()
        self.left: list[Process] = []

    def tick(self) -> bool:
        self.left = self.tree.members(self.part)
        late = time.monotonic() - self.began
        if not self.left or late > self.limit_s:
            return True
        for process in self.left:
            if late > self.grace_s or process.identity not in self.asked:
                self.asked.add(process.identity)
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(process.pid, signal.SIGKILL if late > self.grace_s else signal.SIGTERM)
        return False


def marks(pid: int) -> list[bytes]:
    """What stands in a process's environment under MARK; [] where the system does not show it."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as f:
            text = f.read()
    except OSError:
        return []
    start = f"{MARK}=".encode()
    return next((v[len(start) :].split() for v in text.split(b"\0") if v.startswith(start)), [])


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
        self.parts: list[Part] = []
        self.whose: dict[tuple[int, str], Part] = {}
        self.leaders: dict[int, Part] = {}  # session -> whose it is, also when its leader has ended

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

    def part(self, pid: int, mark: str) -> Part:
        """The part that begins with a child of ours, which leads its session and has the mark in its environment."""
        one = Part(pid, mark)
        self.parts.append(one)
        self.leaders[pid] = one
        return one

    def members(self, part: Part | None = None) -> list[Process]:
        """Who is alive now, of one part or of all. Adopted orphans that have ended are reaped on the way."""
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
        self._tell_apart(found)
        return [p for p in alive if part is None or self.whose.get(p.identity) is part]

    def _tell_apart(self, found: list[Process]) -> None:
        """Say whose each process is. Parents come before their children."""
        whose: dict[tuple[int, str], Part] = {}
        by_pid: dict[int, Part] = {}
        for p in found:
            one = self.whose.get(p.identity) or by_pid.get(p.parent) or self.leaders.get(p.session) or self._marked(p)
            if one is not None:
                whose[p.identity] = by_pid[p.pid] = one
                if p.pid == p.session:
                    self.leaders[p.pid] = one
        self.whose = whose

    def _marked(self, process: Process) -> Part | None:
        found = marks(process.pid) if self.parts else []
        return next((part for part in self.parts if part.mark in found), None)

    def end(self) -> list[Process]:
        """End everyone: asked first, killed 1.5 s later; who outlived 4 s is returned."""
        ending = Ending(self)
        while not ending.tick():
            time.sleep(POLL_S)
        return ending.left
