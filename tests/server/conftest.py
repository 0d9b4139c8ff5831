"""A project whose remote is guarded by the server's own hooks."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from prpgate import server
from prpgate.gitrepo import Repo
from prpgate.lock import MergeLock
from prpgate.policy import working_tree
from prpgate.store.client import connect
from tests.e2e.conftest import Project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from prpgate.config import Config
    from prpgate.lock import LaneState
    from tests.world import Clone, Result


class Guarded(Project):
    """The remote has our pre-receive and post-receive; `plain` clones have no client hooks at all."""

    def __init__(self, folder: Path, *, settings: dict[str, str] | None = None) -> None:
        super().__init__(folder, settings=settings)
        server.install_hooks(server.served(str(self.remote)))
        found = working_tree(Repo(str(self.ana.path)))
        assert found is not None
        self.config: Config = found

    def plain(self, name: str) -> Clone:
        return self.clone(name)

    def lock(self, lane: str = "main") -> MergeLock:
        return MergeLock(connect(self.config, str(self.ana.path), timeout_s=5), lane, self.config.times)

    def state(self, lane: str = "main") -> LaneState:
        lock = self.lock(lane)
        with lock.store:
            return lock.state()

    def log(self, lane: str = "main") -> list[tuple[str, str, str]]:
        """(event, sha, detail), oldest first."""
        lock = self.lock(lane)
        with lock.store:
            return [(e.event, e.sha, e.detail) for e in reversed(lock.log(500))]

    def tip_or_none(self, branch: str) -> str | None:
        return Repo(str(self.remote)).sha(f"refs/heads/{branch}")

    def quiet(self) -> None:
        """Wait until no process works in the remote any more: what watches a push goes a moment after it."""
        until = time.monotonic() + 20
        while time.monotonic() < until:
            if not processes_in(self.folder):
                return
            time.sleep(0.05)
        raise AssertionError(f"still at work: {processes_in(self.folder)}")


def processes_in(folder: Path) -> list[str]:
    """Command lines of the processes whose current folder is below this one."""
    found = []
    for pid in (p for p in os.listdir("/proc") if p.isdigit()):
        try:
            if os.readlink(f"/proc/{pid}/cwd").startswith(f"{folder}/"):
                with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as f:
                    found.append(f.read().replace("\0", " "))
        except OSError:
            continue
    return found


def said(done: Result) -> list[str]:
    """What the server told the pusher, without git's prefix."""
    return [
        line.removeprefix("remote: ").rstrip()
        for line in done.err.splitlines()
        if line.startswith("remote: ") and line.removeprefix("remote: ").strip()
    ]


@pytest.fixture
def guarded(tmp_path: Path, home: Path) -> Iterator[Guarded]:
    one = Guarded(tmp_path)
    yield one
    one.quiet()
