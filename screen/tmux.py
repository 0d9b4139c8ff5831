"""A terminal in tmux: a server of its own, a shell that types, and a screen that can be read."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.world import run

if TYPE_CHECKING:
    from collections.abc import Mapping

PROMPT = "ready>"
CLOCK = re.compile(r"\b\d\d:\d\d(:\d\d)?(\.\d\d\d)?\b")
SHELLS = {
    "sh": "exec env PS1='ready> ' sh",
    "bash": "exec env PS1='ready> ' bash --norc --noprofile",
    "zsh": "exec env PS1='ready> ' zsh -f",
    "fish": "exec fish --no-config -C 'function fish_prompt; echo -n \"ready> \"; end'",
}


def needed(*programs: str) -> None:
    missing = [p for p in programs if shutil.which(p) is None]
    assert not missing, f"these tests need {', '.join(missing)}: apt-get install {' '.join(missing)}"


class Tmux:
    """One shell on one screen. Use as a context manager: its server ends with it."""

    def __init__(
        self, folder: Path, size: tuple[int, int] = (80, 24), *, shell: str = "sh", env: Mapping[str, str] | None = None
    ) -> None:
        needed("tmux", shell)
        self.folder = folder
        self.name = f"prp-{uuid.uuid4().hex[:12]}"
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.env = {"TMUX_TMPDIR": os.environ["HOME"], "PATH": path, "LC_ALL": "C.UTF-8", "SHELL": "/bin/sh"}
        self.env |= {**(env or {}), "TMUX": ""}
        with contextlib.ExitStack() as undo:
            undo.callback(self.end)
            self.command("new-session", "-d", "-x", str(size[0]), "-y", str(size[1]), "-s", "it", SHELLS[shell])
            self.command("set-option", "-g", "status", "off")
            self.command("set-option", "-g", "window-size", "manual")
            self.resize(*size)
            self.until(PROMPT)
            undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        run(["tmux", "-L", self.name, "kill-server"], self.folder, env=self.env, ok=False)

    def command(self, *args: str) -> str:
        return run(["tmux", "-L", self.name, "-f", "/dev/null", *args], self.folder, env=self.env).out

    def resize(self, columns: int, lines: int) -> None:
        self.command("resize-window", "-t", "it", "-x", str(columns), "-y", str(lines))

    def keys(self, *names: str) -> None:
        """Keys by their names: Enter, Tab, C-c, Up, q."""
        self.command("send-keys", "-t", "it", *names)

    def type(self, text: str) -> None:
        """A line, with Enter behind it."""
        self.command("send-keys", "-t", "it", "-l", text)
        self.keys("Enter")

    def screen(self, *, styles: bool = False) -> list[str]:
        """The lines of the screen, trailing spaces left out."""
        said = self.command("capture-pane", "-t", "it", "-p", "-N", *(["-e"] if styles else []))
        return [line.rstrip() for line in said.split("\n")[:-1]]

    def plain(self) -> str:
        """The screen with its times of day and spans told alike."""
        text = CLOCK.sub("HH:MM", "\n".join(self.screen()))
        return re.sub(r"\b(?:\d+h\d\dm?|\d+m\d\ds|\d+[smd])(?= |\)|,|$)", "TIME", text, flags=re.MULTILINE)

    def until(self, *texts: str, seconds: float = 20, gone: str | None = None) -> str:
        """The screen, once all of these are on it, and `gone` is not."""
        end = time.monotonic() + seconds
        while True:
            said = "\n".join(self.screen())
            if all(t in said for t in texts) and (gone is None or gone not in said):
                return said
            assert time.monotonic() < end, f"{texts} did not come on the screen (and {gone} not go):\n{said}"
            time.sleep(0.05)

    def flags(self) -> tuple[bool, bool, bool]:
        """(an alternate screen is shown, the cursor is shown, long lines wrap)."""
        said = self.command("display-message", "-t", "it", "-p", "#{alternate_on}#{cursor_flag}#{wrap_flag}")
        alternate, cursor, wrap = (c == "1" for c in said.strip())
        return alternate, cursor, wrap
