"""Every test lives in its own home, with no server set and no config of the person who runs it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.world import Server, World, run

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short folder that is HOME and holds all XDG folders; embedded stores started in it are stopped after."""
    folder = Path(tempfile.mkdtemp(prefix="ph-", dir="/tmp"))
    for name in list(os.environ):
        if name.startswith(("PRP_", "GIT_", "XDG_", "REDIS_", "GITHUB_")) and name != "PRP_TEST_SERVER":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder / "run"))
    (folder / "run").mkdir(mode=0o700)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    (folder / ".gitconfig").write_text(
        "[user]\n\tname = tester\n\temail = tester@example.org\n[init]\n\tdefaultBranch = main\n"
        "[commit]\n\tgpgsign = false\n[advice]\n\tdetachedHead = false\n"
    )
    yield folder
    if (folder / "state" / "prpgate").is_dir():
        from prpgate.store.embedded import stop_all

        stop_all(str(folder / "state" / "prpgate"))
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    yield one
    one.close()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """An empty repository with an unborn main branch."""
    path = tmp_path / "repo"
    run(["git", "init", "-q", "-b", "main", path], tmp_path)
    return path
