"""What the declared steps print, in the log of a runner: one group for each step, fenced off.

GitHub's groups cannot interleave. Where only one step runs at a time, its lines come as it writes them. Where several
may, they are kept until their step ends and its group is printed whole, so that each step's output stands in one place;
meanwhile a line now and then says what is running.
"""

from __future__ import annotations

import tempfile
import time
from typing import IO, TYPE_CHECKING

from prpgate.messages import smoke as say
from prpgate.steps import StepStart

if TYPE_CHECKING:
    from runner import Log

    from prpgate.steps import StepResult, Tick

IN_MEMORY = 1 << 20  # bytes of one step's output; what follows is kept in a file
SAY_EVERY_S = 30.0


class StepLog:
    """The callbacks of one run of the gate."""

    def __init__(self, log: Log, at_once: int) -> None:
        self.log, self.live = log, at_once == 1
        self.titles: dict[str, str] = {}
        self.kept: dict[str, IO[str]] = {}
        self.said = time.monotonic()

    def step(self, event: StepStart | StepResult) -> None:
        if isinstance(event, StepStart):
            self.titles[event.name] = f"{event.name}: {event.run}"
            if self.live:
                self.log.open(self.titles[event.name])
            else:
                self.log.line(say.begins(event))
                self.kept[event.name] = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - closed when it was printed
                    IN_MEMORY, "w+", encoding="utf-8", errors="replace", newline="\n"
                )
            return
        if self.live:
            self.log.close()
        elif event.name in self.kept:
            with self.kept.pop(event.name) as lines:
                self.log.open(self.titles[event.name])
                lines.seek(0)
                for line in lines:
                    self.log.line(line.removesuffix("\n"))
                self.log.close()
        self.log.line(say.step_line(event))

    def line(self, step: str, text: str) -> None:
        if self.live:
            self.log.line(text)
        elif step in self.kept:
            self.kept[step].write(f"{text}\n")

    def tick(self, now: Tick) -> None:
        if not self.live and time.monotonic() - self.said >= SAY_EVERY_S:
            self.said = time.monotonic()
            self.log.line(say.under_way(now))
