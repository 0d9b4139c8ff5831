"""A store whose clock and whose memory are ours to spoil: Valkey under libfaketime, in three ways of keeping data."""

from __future__ import annotations

import glob
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from tests.world import Server

if TYPE_CHECKING:
    from collections.abc import Sequence

ALWAYS, EVERYSEC, NONE = "always", "everysec", "none"
PERSISTENCE = (ALWAYS, EVERYSEC, NONE)
PLACES = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib*/faketime/libfaketime.so.1")
PLACES_MAC = ("/opt/homebrew/lib/faketime/libfaketime.*.dylib", "/usr/local/lib/faketime/libfaketime.*.dylib")


def libfaketime() -> str:
    """The library; an AssertionError that says what to install when it is not there."""
    for pattern in (*PLACES, *PLACES_MAC):
        for found in sorted(glob.glob(pattern)):
            return found
    raise AssertionError("libfaketime is not installed: apt-get install libfaketime (Debian), brew install libfaketime")


class Spoiled(Server):
    """A server that can be killed, restarted, wiped, and told another time while it runs."""

    def __init__(self, persistence: str) -> None:
        self.persistence = persistence
        self.offset_s = 0
        self.library = libfaketime()
        keep = ("--appendonly", "no") if persistence == NONE else ("--appendfsync", persistence)
        super().__init__(*keep, "--enable-debug-command", "yes")

    @property
    def _clock(self) -> str:
        return f"{self.folder}/clock"

    def spawn(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        self.set_clock(self.offset_s)
        preload = "DYLD_INSERT_LIBRARIES" if self.library.endswith(".dylib") else "LD_PRELOAD"
        env = {
            **os.environ,
            preload: self.library,
            "FAKETIME_TIMESTAMP_FILE": self._clock,
            "FAKETIME_CACHE_DURATION": "-1",  # read the file whenever it is asked
            "DONT_FAKE_MONOTONIC": "1",
        }
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)

    def set_clock(self, offset_s: int) -> None:
        """From now on the server's wall clock is so many seconds after ours; its monotonic clock does not jump."""
        self.offset_s = offset_s
        with open(f"{self._clock}.new", "w", encoding="ascii") as f:
            f.write(f"{offset_s:+d}\n")
        os.replace(f"{self._clock}.new", self._clock)
        if self.process is None:
            return
        until = time.monotonic() + 12
        with self.redis() as client:
            while abs(client.time()[0] - time.time() - offset_s) > 60:
                assert time.monotonic() < until, "libfaketime does not move the server's clock"
                time.sleep(0.002)

    def kill_and_restart(self) -> None:
        self.stop(signal.SIGKILL)
        self.start()
