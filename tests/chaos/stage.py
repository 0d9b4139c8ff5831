"""What the process level stands on: a bare remote that keeps its own log and hangs when told, a store behind the proxy,
clones with installed hooks, and one home for all of them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from prpgate import server as guard
from prpgate.config import Config, parse
from prpgate.lock import MergeLock
from prpgate.store.client import adopt, connect
from tests.chaos.proxy import Proxy
from tests.chaos.server import Spoiled
from tests.chaos.story import Took, Visit
from tests.world import Clone, World, run

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

SMOKE = Path(__file__).resolve().parents[2] / "ci" / "smoke.py"
PROJECT = "example.org/chaos"
BAD = "bad"  # in a subject: CI's step fails on that commit

# The remote's own log: who was let in and when, what git did to the branch, who was over and when. `told` is where the
# test says that a hook shall hang.
PRE = """#!/bin/sh
if [ -x {hooks}/pre-receive.guard ]; then {hooks}/pre-receive.guard || exit 1; fi
echo "in $PPID $(date +%s%N)" >>{log}
while [ -e {told}/pre-receive ]; do sleep 0.05; done
"""
POST = """#!/bin/sh
while [ -e {told}/post-receive ]; do sleep 0.05; done
echo "out $PPID $(date +%s%N)" >>{log}
if [ -x {hooks}/post-receive.guard ]; then {hooks}/post-receive.guard; fi
"""
MOVED = """#!/bin/sh
[ "$1" = committed ] || exit 0
while read -r old new ref; do
	[ "$ref" = refs/heads/main ] && echo "took $old $new" >>{log}
done
exit 0
"""


@contextlib.contextmanager
def home() -> Iterator[Path]:
    """A home of its own for everything that runs, as tests/conftest.py makes one for each test."""
    folder = Path(tempfile.mkdtemp(prefix="ph-", dir="/tmp"))
    before = dict(os.environ)
    for name in list(os.environ):
        if name.startswith(("PRP_", "GIT_", "XDG_", "REDIS_", "GITHUB_")) and name != "PRP_TEST_SERVER":
            del os.environ[name]
    os.environ.update(HOME=str(folder), XDG_STATE_HOME=f"{folder}/state", XDG_RUNTIME_DIR=f"{folder}/run")
    os.environ.update(GIT_CONFIG_NOSYSTEM="1", NO_COLOR="1")
    (folder / "run").mkdir(mode=0o700)
    (folder / ".gitconfig").write_text(
        "[user]\n\tname = tester\n\temail = tester@example.org\n[init]\n\tdefaultBranch = main\n"
        "[commit]\n\tgpgsign = false\n[gc]\n\tauto = 0\n"
    )
    try:
        yield folder
    finally:
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(folder, ignore_errors=True)


class Stage(World):
    """Built calm; everything on it can be spoiled and healed."""

    def __init__(self, folder: Path, *, persistence: str, gate: str, guarded: bool, lease_s: int) -> None:
        super().__init__(folder)
        self.lease_s, self.gate = lease_s, gate
        self.server = Spoiled(persistence)
        self.proxy = Proxy(f"{self.server.folder}/p", self.server.socket)
        self.env = {"PRP_REDIS_URL": f"unix://{self.proxy.path}"}
        self.store_id = str(uuid.uuid4())
        self.told, self.log = folder / "told", folder / "remote.log"
        self.told.mkdir()
        self.log.touch()
        self.ana = self.clone("ana", first=True)
        self.toml = (
            f'project = "{PROJECT}"\ngate = "{gate}"\nstore.id = "{self.store_id}"\n'
            f"[lane]\nlease = {lease_s}\ncap = {lease_s + 5}\nreserve_grace = 1\n"
            "ci_wait = 2\nci_lease = 3\nci_cap = 5\n"
            f'[[smoke]]\nname = "subject"\nrun = "! git log -1 --format=%s | grep -q {BAD}"\n'
        )
        self.adopt()
        self.ana.commit_files("Use prpgate", {"prp.toml": self.toml})
        self.ana.git("push", "-q", "--no-verify")
        self.ana.prp("install", env=self.env)
        words = {"hooks": self.remote / "hooks", "log": self.log, "told": self.told}
        if guarded:
            with_store = {**os.environ, **self.env}
            run([sys.executable, "-m", "prpgate", "server", "install", self.remote], folder, env=with_store)
            for name in guard.HOOKS:
                os.rename(self.remote / "hooks" / name, self.remote / "hooks" / f"{name}.guard")
        self.remote_hook("pre-receive", PRE.format(**words))
        self.remote_hook("post-receive", POST.format(**words))
        self.remote_hook("reference-transaction", MOVED.format(**words))
        self.first = self.tip()

    @property
    def config(self) -> Config:
        return parse(self.toml, "prp.toml")

    def lock(self) -> MergeLock:
        """The lane, past the proxy."""
        return MergeLock(
            connect(self.config, str(self.ana.path), url=self.server.url, timeout_s=5), "main", self.config.times
        )

    def adopt(self) -> None:
        """What `prp store adopt` does to a server that forgot whose store it is."""
        if (self.ana.path / "prp.toml").exists():
            self.ana.prp("store", "adopt", env={"PRP_REDIS_URL": self.server.url})
            return
        with connect(self.config, str(self.ana.path), url=self.server.url, adopt_check=False) as store:
            adopt(store, self.store_id)

    def join(self, name: str) -> Clone:
        clone = self.clone(name)
        clone.prp("install", env=self.env)
        return clone

    # --- faults ------------------------------------------------------------------------------------------------------
    def hang(self, hook: str, on: bool) -> None:
        path = self.told / hook
        if on:
            path.touch()
        else:
            path.unlink(missing_ok=True)

    def away(self, on: bool) -> None:
        """The remote cannot be reached: it is not where it was."""
        there, gone = self.remote, self.remote.with_name("remote.away")
        if on and there.exists():
            there.rename(gone)
        elif not on and gone.exists():
            gone.rename(there)

    def heal(self) -> None:
        self.proxy.calm()
        for hook in guard.HOOKS:
            self.hang(hook, False)
        self.away(False)

    # --- what the remote says ----------------------------------------------------------------------------------------
    def visits(self) -> list[Visit]:
        """Pushes that were let in and came to their end."""
        begun: dict[str, float] = {}
        found = []
        for line in self.log.read_text().splitlines():
            word, process, at = line.split()
            if word == "in":
                begun[process] = int(at) / 1e9
            elif word == "out" and process in begun:
                found.append(Visit(process, begun.pop(process), int(at) / 1e9))
        return found

    def moves(self) -> list[Took]:
        """How the branch moved. A move whose line is missing (git was killed before it wrote one) is filled in."""
        pairs = [line.split()[1:] for line in self.log.read_text().splitlines() if line.startswith("took ")]
        found, tip = [], self.first
        for old, new in [*pairs, [self.tip(), self.tip()]]:
            for a, b in ((tip, old), (old, new)):
                if a != b:
                    found.append(Took(a, b, tuple(self.between(b, a)), tuple(reversed(self.between(a, b)))))
            tip = new
        return found

    def between(self, old: str, new: str) -> list[str]:
        """Commits of `new` that `old` does not have, newest first."""
        return run(["git", "rev-list", new, f"^{old}"], self.remote).out.split()

    def processes(self) -> dict[int, str]:
        """Everything that runs in our home, by its environment: pid -> command line."""
        mark, found = f"HOME={os.environ['HOME']}".encode(), {}
        for pid in (int(p) for p in os.listdir("/proc") if p.isdigit()):
            if pid in (os.getpid(), self.server.process.pid if self.server.process else 0):
                continue
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                if mark in words:
                    found[pid] = (
                        Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                    )
        return found

    def watchers(self) -> list[int]:
        """Detached watchers of pushes: hooks whose session has lost its leader."""
        found = []
        for pid, words in self.processes().items():
            with contextlib.suppress(ProcessLookupError):
                hook = any(w.endswith(("/pre-push", "/pre-receive")) for w in words.split())
                if hook and not os.path.exists(f"/proc/{os.getsid(pid)}"):
                    found.append(pid)
        return sorted(found)

    def signal(self, process: subprocess.Popen[bytes], number: int, *, whole: bool) -> None:
        """To a process that we started, or to all of its session: also to what is left of one whose leader is gone."""
        if not whole:
            process.send_signal(number)
            return
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                if os.getsid(pid) == process.pid:
                    os.kill(pid, number)

    def close(self) -> None:
        self.heal()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.proxy.close()
        self.server.close()


def wait_until(done: object, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if done():  # type: ignore[operator]
            return True
        time.sleep(0.05)
    return False
