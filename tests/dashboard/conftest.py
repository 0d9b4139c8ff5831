"""A small project and its dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.dashboard import Dashboard, Small
from tests.e2e.conftest import project as project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.world import Server


@pytest.fixture
def small(tmp_path: Path, server: Server) -> Small:
    return Small(tmp_path / "app", server)


@pytest.fixture
def board(small: Small) -> Iterator[Dashboard]:
    """Its dashboard, on a port of its own; nobody is logged in."""
    with Dashboard(small.clone, "--port", "0") as one:
        yield one
