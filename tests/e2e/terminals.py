"""A command on a terminal of its own: a pseudo-terminal whose settings can be compared before and after."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from tests.world import Clone

ENTERED, LEFT = "\x1b[?1049h", "\x1b[?1049l"
SHOWN, WRAPS = "\x1b[?25h", "\x1b[?7h"
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class OnTerminal:
    """`prp` with these arguments, in a session of its own whose terminal we hold the other end of."""

    def __init__(
        self, clone: Clone, *args: str, size: tuple[int, int] = (80, 24), code: str | None = None, **env: str
    ) -> None:
        self.master, self.slave = pty.openpty()
        self.resize(*size)
        self.before = self.settings()
        self.said = ""
        command = [sys.executable, *(["-c", code] if code else ["-m", "prpgate"]), *args]
        self.process = subprocess.Popen(
            command,
            cwd=clone.path,
            env={**os.environ, "TERM": "xterm", **clone.env, **env},
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(10)
        for end in (self.master, self.slave):
            with contextlib.suppress(OSError):
                os.close(end)

    def settings(self) -> list[Any]:
        return termios.tcgetattr(self.slave)

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def read(self, seconds: float = 0.05) -> str:
        """What was written since, after at most so long a wait for the first of it."""
        new = ""
        while select.select([self.master], [], [], 0.05 if new else seconds)[0]:
            try:
                got = os.read(self.master, 65536)
            except OSError:
                break
            if not got:
                break
            new += got.decode("utf-8", "replace")
        self.said += new
        return new

    def until(self, *texts: str, seconds: float = 30) -> str:
        """What was written from here on until all of these were in it, escape sequences left out."""
        end, said = time.monotonic() + seconds, ""
        while not all(t in CONTROL.sub("", said) for t in texts):
            assert time.monotonic() < end, f"{texts} did not come in\n{CONTROL.sub('', said)}"
            said += self.read(0.2)
        return CONTROL.sub("", said)

    def ended(self, seconds: float = 20) -> int:
        """Its exit code; what it still wrote is in `said`."""
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < end, "it did not end"
            self.read(0.1)
        self.read(0.1)
        return self.process.returncode


def is_as_before(one: OnTerminal) -> bool:
    """Settings, screen, cursor and wrapping are what they were."""
    order = [one.said.rfind(x) for x in (ENTERED, LEFT, SHOWN, WRAPS)]
    return one.settings() == one.before and -1 < order[0] < min(order[1:])
