"""Deliverers that commands leave behind end with their store; here it is waited for."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import Project
from tests.notify import until

if TYPE_CHECKING:
    from collections.abc import Iterator


def deliverers(home: Path) -> list[int]:
    """Those of this home."""
    mark, found = f"HOME={home}".encode(), []
    for pid in (int(p) for p in os.listdir("/proc") if p.isdigit()):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if b"notify" in words and mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(pid)
    return found


@pytest.fixture
def told(tmp_path: Path, home: Path) -> Iterator[Project]:
    """A project; whatever delivers when the test is over has ended."""
    project = Project(tmp_path)
    yield project
    project.ana.prp("store", "stop", ok=False)
    until(lambda: not deliverers(home), "deliverers end with their store")
