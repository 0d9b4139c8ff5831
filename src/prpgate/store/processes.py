"""Finding a server among this machine's processes by its title; works where /proc is, and where only ps is."""

from __future__ import annotations

import os

from . import folders


def command(pid: int) -> str:
    """Command line (title) of a process, "" when it is gone. A dead one that nobody waited for has none."""
    if os.path.isdir("/proc/self"):
        return folders.text(f"/proc/{pid}/cmdline") or ""
    return next((line for found, line in _table() if found == pid), "")


def is_titled(pid: int, title: str) -> bool:
    """Whether the process is a server that gave itself this title (not, say, a `grep` for it)."""
    return _fits(command(pid), title)


def titled(title: str) -> int | None:
    """Id of the server process of that title."""
    if os.path.isdir("/proc/self"):
        found = (int(name) for name in os.listdir("/proc") if name.isdigit() and is_titled(int(name), title))
    else:
        found = (pid for pid, line in _table() if _fits(line, title))
    return next(found, None)


def _fits(line: str, title: str) -> bool:
    # A title is one text; the arguments of any other command have NULs between them.
    return line.rstrip("\0 ").endswith(f"server {title}") and "\0" not in line.rstrip("\0 ")


def _table() -> list[tuple[int, str]]:
    """All processes, where there is no /proc to read (macOS)."""
    import subprocess

    out = subprocess.run(
        ["ps", "-axww", "-o", "pid=,command="], capture_output=True, text=True, errors="replace"
    ).stdout
    rows = (line.strip().partition(" ") for line in out.splitlines())
    return [(int(pid), command) for pid, _, command in rows if pid.isdigit()]
