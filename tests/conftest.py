"""Every test lives in its own home, with no server set and no config of the person who runs it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.world import Server, World, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xdist.remote import Producer
    from xdist.scheduler import Scheduling

# The same examples in each run, on a slow machine as well; --hypothesis-profile explore tries others.
settings.register_profile("same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("same")

# It is noon where the tests are, whenever they run: what was an hour ago, or will be, is of today.
os.environ["TZ"] = f"TEST{time.gmtime().tm_hour - 12:+d}"
time.tzset()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """What -n auto means here: half as many again as there are cores, for most of these tests wait half of the time."""
    return max(2, (os.cpu_count() or 1) * 3 // 2)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """A worker that is done takes over from the others: the long tests stand together, in a few files."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


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
    _end_watchers(folder)
    if (folder / "state" / "prpgate").is_dir():
        from prpgate.store.embedded import stop_all

        stop_all(str(folder / "state" / "prpgate"))
    shutil.rmtree(folder, ignore_errors=True)


def _end_watchers(home: Path, patience_s: float = 15) -> None:
    """Detached watchers end by themselves, a moment after the last push; what still hangs then is ended by its id."""
    until = time.monotonic() + patience_s
    mark = f"HOME={home}".encode()
    while True:
        found = []
        for pid in (int(p) for p in os.listdir("/proc") if p.isdigit()):
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                ours = any(w.endswith(b"/pre-push") for w in words)
                if ours and mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    found.append(pid)
        if not found:
            return
        if time.monotonic() > until:
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.05)


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
