"""A terminal that one command has for itself: full screen, keys as they are typed, and everything back as it was after.

The alternate screen is drawn by rich (the extra `terminal`). Signals only leave a mark and wake who waits: nothing ever
strikes in the middle of a drawing or of the tidying up.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import sys
import termios
import tty
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from .output import coloured

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    Row = Sequence[tuple[str, str]]

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
SEEN = (*ENDING, signal.SIGWINCH, signal.SIGTSTP)
# Lines that are longer than somebody's terminal counts must not spill onto the next one.
NO_WRAP, WRAP = b"\x1b[?7l", b"\x1b[?7h"
KEYS = {b"\x1b[A": "k", b"\x1bOA": "k", b"\x1b[B": "j", b"\x1bOB": "j", b"\x1b[5~": "K", b"\x1b[6~": "J", b"\t": "l"}
UNUSED = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]?|O.?)?")  # a key that means nothing here, or Esc alone


class Input(NamedTuple):
    """What came while waiting."""

    keys: tuple[str, ...] = ()
    resized: bool = False
    ended: bool = False  # a signal, or the terminal went away
    woken: bool = False  # by `Terminal.wake`


def can_show() -> bool:
    """Whether standard input and output are a terminal that a screen can be drawn on."""
    return os.environ.get("TERM", "dumb") not in ("dumb", "") and sys.stdin.isatty() and sys.stdout.isatty()


class Terminal:
    """Use as a context manager, in the main thread; `wake` may be called from any. Needs rich."""

    def __init__(self) -> None:
        self._in, self._out = sys.stdin.fileno(), sys.stdout.fileno()
        self._reading, self._waking = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._came: set[int] = set()
        self._handlers: dict[int, Any] = {}
        self._settings: list[Any] = []
        self._live: Any = None
        self._wakeup_before = -1

    def __enter__(self) -> Self:
        from rich.console import Console

        self._console = Console(
            file=sys.stdout, force_terminal=True, no_color=not coloured(sys.stdout), highlight=False, markup=False
        )
        with contextlib.ExitStack() as undo:
            undo.callback(self._leave)
            # Before the screen is taken, so that a signal in between is not lost and does not kill.
            self._wakeup_before = signal.set_wakeup_fd(self._waking, warn_on_full_buffer=False)
            for number in SEEN:
                self._handlers[number] = signal.signal(number, self._note)
            self._take()
            undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()

    def _leave(self) -> None:
        self._give_back()
        for number, before in self._handlers.items():
            signal.signal(number, before)
        signal.set_wakeup_fd(self._wakeup_before)
        for end in (self._reading, self._waking):
            os.close(end)

    def size(self) -> tuple[int, int]:
        """Columns and lines, as they are now."""
        try:
            found = os.get_terminal_size(self._out)
        except OSError:
            return 80, 24
        return found.columns or 80, found.lines or 24

    def draw(self, rows: Sequence[Row]) -> None:
        """The whole screen anew, in one write."""
        from rich.console import Group
        from rich.text import Text

        encoding = sys.stdout.encoding or "utf-8"
        texts = []
        for row in rows:
            text = Text(no_wrap=True, overflow="crop", end="\n")
            for said, style in row:
                text.append(said.encode(encoding, "replace").decode(encoding), style or None)
            texts.append(text)
        columns, lines = self.size()
        self._console.size = (columns, lines)
        with contextlib.suppress(OSError):  # the terminal is gone; the next wait says so
            self._live.update(Group(*texts), refresh=True)

    def wait(self, seconds: float) -> Input:
        """Until a key, a signal or `wake`; at most so long. A stop (Ctrl-Z) is over when this returns."""
        ready, _, _ = select.select([self._in, self._reading], [], [], max(0.0, seconds))
        woken = False
        if self._reading in ready:
            with contextlib.suppress(BlockingIOError):
                woken = b"\0" in os.read(self._reading, 4096)
        keys = self._keys() if self._in in ready else ()
        came, self._came = self._came, set()
        if signal.SIGTSTP in came:
            self._stop()
            return Input(keys or (), resized=True, ended=bool(came & {*ENDING}), woken=woken)
        ended = bool(came & {*ENDING}) or keys is None
        return Input(keys or (), resized=signal.SIGWINCH in came, ended=ended, woken=woken)

    def wake(self) -> None:
        """End a `wait`."""
        with contextlib.suppress(BlockingIOError, OSError):  # full: it wakes already; closed: nobody waits
            os.write(self._waking, b"\0")

    # --- within -------------------------------------------------------------------------------------------------------
    def _note(self, number: int, _: FrameType | None) -> None:
        if number in ENDING and number in self._came:
            raise KeyboardInterrupt  # asked twice, and not heard: the terminal takes no output
        self._came.add(number)

    def _keys(self) -> tuple[str, ...] | None:
        """What was typed; None: the terminal is gone."""
        try:
            typed = os.read(self._in, 1024)
        except OSError:
            return None
        if not typed:
            return None
        found = []
        while typed:
            special = next((k for k in KEYS if typed.startswith(k)), None)
            if special:
                found.append(KEYS[special])
                typed = typed[len(special) :]
                continue
            if other := UNUSED.match(typed):
                typed = typed[other.end() :]
                continue
            found.append(chr(typed[0]))
            typed = typed[1:]
        return tuple(found)

    def _take(self) -> None:
        from rich.live import Live

        self._settings = termios.tcgetattr(self._in)
        tty.setcbreak(self._in, termios.TCSADRAIN)
        self._live = Live(
            console=self._console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        self._live.start()
        os.write(self._out, NO_WRAP)

    def _give_back(self) -> None:
        """As it was. Done twice it does nothing more; a terminal that is gone needs nothing."""
        live, self._live = self._live, None
        settings, self._settings = self._settings, []
        if live is not None:
            with contextlib.suppress(OSError):
                os.write(self._out, WRAP)
            with contextlib.suppress(OSError):
                live.stop()
        if settings:
            with contextlib.suppress(termios.error):
                # What was typed and not read is not for the shell.
                termios.tcsetattr(self._in, termios.TCSAFLUSH, settings)

    def _stop(self) -> None:
        """Ctrl-Z: the shell gets its terminal as it was; `fg` goes on here."""
        self._give_back()
        mine = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, mine)
        self._take()
