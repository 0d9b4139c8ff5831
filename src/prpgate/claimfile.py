"""The claims that were taken in this worktree: `<git dir>/prp-claim`, one line `id fence agent` each.

The installed hook stub looks only whether the file is there: then commits renew the claims. It is no proof of
anything (the store is); with it a later command of the same agent carries its claim's fence.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = "prp-claim"


class Kept(NamedTuple):
    """One claim of this worktree."""

    id: str
    fence: str
    agent: str


def _inert(agent: str) -> str:
    """One line, whatever an agent calls itself."""
    return agent.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")


def _path(git_dir: str) -> str:
    return os.path.join(git_dir, FILE)


def _rows(git_dir: str) -> list[Kept]:
    try:
        with open(_path(git_dir), encoding="utf-8", errors="surrogateescape", newline="\n") as f:
            parts = [line.rstrip("\n").split(" ", 2) for line in f]
    except (FileNotFoundError, IsADirectoryError):
        return []
    return [Kept(*p) for p in parts if len(p) == 3 and p[1].isascii() and p[1].isdigit()]  # anything else is no fence


@contextlib.contextmanager
def _alone(git_dir: str) -> Iterator[None]:
    """One writer at a time, of all processes and threads: two that read the same rows would lose one's."""
    import fcntl  # not at import: hooks only read

    folder = os.open(git_dir, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems have no flock
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)  # ends the flock


def _write(git_dir: str, rows: list[Kept]) -> None:
    path = _path(git_dir)
    if not rows:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        return
    spare = f"{path}.{os.getpid()}.{os.urandom(4).hex()}"
    with open(spare, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as f:
        f.writelines(f"{r.id} {r.fence} {r.agent}\n" for r in rows)
    os.replace(spare, path)


def mine(git_dir: str, agent: str) -> list[Kept]:
    """This agent's claims in this worktree."""
    return [r for r in _rows(git_dir) if r.agent == _inert(agent)]


def fence(git_dir: str, prp_id: str, agent: str) -> str:
    """The fence of this agent's claim on a PRP, "" when this worktree knows of none."""
    return next((r.fence for r in mine(git_dir, agent) if r.id == prp_id), "")


def keep(git_dir: str, prp_id: str, number: int, agent: str) -> None:
    """Write a claim down, in the place of an older one of the same agent on the same PRP."""
    row = Kept(prp_id, str(number), _inert(agent))
    with _alone(git_dir):
        rows = _rows(git_dir)
        if row not in rows:
            _write(git_dir, [r for r in rows if (r.id, r.agent) != (prp_id, row.agent)] + [row])


def drop(git_dir: str, prp_id: str, agent: str) -> None:
    """Forget a claim. The file goes with the last one."""
    with _alone(git_dir):
        rows = _rows(git_dir)
        left = [r for r in rows if (r.id, r.agent) != (prp_id, _inert(agent))]
        if len(left) != len(rows):
            _write(git_dir, left)
