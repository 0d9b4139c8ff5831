"""Fixtures of the store's tests."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from prpgate.store import client
from prpgate.store.client import Store, adopt
from prpgate.store.discover import Place
from prpgate.store.embedded import Embedded

from .stage import ID, PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.world import Server


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(tmp_path)


@pytest.fixture
def store(server: Server) -> Iterator[Store]:
    """The store of the project, on a server of this test."""
    place = Place(server.url, "REDIS_URL", "set by REDIS_URL")
    with client.open_store(place, PROJECT, timeout_s=5) as one:
        adopt(one, ID)
        yield one


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as s:
        yield s


@pytest.fixture
def own(home: Path) -> Iterator[Embedded]:
    """A store that is not started yet. The `home` fixture stops what is started."""
    one = Embedded(PROJECT)
    yield one
    one.stop()
