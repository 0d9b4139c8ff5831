"""The loop that runs declared steps: starts those whose needs have passed, reads what they write, watches the clock.

At most so many run at once; of those that may start, the one that was declared first does.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import selectors
import subprocess
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from .messages import smoke as say
from .process_tree import MARK, Ending

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from .config import SmokeStep
    from .process_tree import Part, ProcessTree

PASSED, FAILED, TIMEOUT, SKIPPED, STOPPED = "passed", "failed", "timeout", "skipped", "stopped"
NOT_NEEDED = "not needed"
TAIL_LINES = 200
LINE_CHARS = 4_000  # a longer line is cut into several: output without line ends must not fill the memory
WAKE_S = 0.05  # how late the end of a step may be noticed
TICK_S = 0.25  # between two calls of on_tick
LOOK_S = 0.5  # between looks at the process tree, where the system lets children get away
DRAIN_S = 0.5  # for what a step wrote right before it ended


class StepStart(NamedTuple):
    """A step begins."""

    name: str
    run: str
    timeout_s: int
    attempt: int = 1


class Tick(NamedTuple):
    """How far the run is."""

    running: tuple[str, ...]
    left: int  # steps that are neither done nor running
    elapsed_s: float
    budget_s: int


class StepResult(NamedTuple):
    """How a step ended. `code` is its exit status (negative: the signal), None unless it ended by itself."""

    name: str
    outcome: str  # "passed", "failed", "timeout", "skipped" (a need failed), "not needed", "stopped" (by an interrupt)
    code: int | None
    duration_s: float
    tail: tuple[str, ...]  # the last lines it wrote, as text, not sanitized
    began_s: float = 0.0  # after the run's begin
    before: tuple[StepResult, ...] = ()  # the attempt that failed, of a flaky step
    again: bool = False  # this is that attempt, and another follows


class _Output:
    """What a step writes: handed on line by line, and its last lines kept."""

    def __init__(self, line: Callable[[str], None]) -> None:
        self.line, self.rest = line, b""
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)

    def add(self, data: bytes) -> None:
        *whole, self.rest = (self.rest + data).split(b"\n")
        while len(self.rest) >= LINE_CHARS:
            whole.append(self.rest[:LINE_CHARS])
            self.rest = self.rest[LINE_CHARS:]
        for raw in whole:
            self._say(raw)

    def end(self) -> None:
        if self.rest:
            self._say(self.rest)
            self.rest = b""

    def _say(self, raw: bytes) -> None:
        text = raw.decode("utf-8", "replace").removesuffix("\r")
        for at in range(0, len(text) or 1, LINE_CHARS):
            part = text[at : at + LINE_CHARS]
            self.tail.append(part)
            self.line(part)


class _Running:
    """A step under way."""

    def __init__(self, step: SmokeStep, process: subprocess.Popen[bytes], output: _Output, part: Part) -> None:
        assert process.stdout is not None
        self.step, self.process, self.output, self.part = step, process, output, part
        self.pipe = process.stdout.fileno()
        self.began = time.monotonic()
        self.until = self.began + step.timeout_s
        self.ending: Ending | None = None  # what is left of it is being ended
        self.ended: tuple[str, int | None] = (TIMEOUT, None)  # with what outcome and code then


class StepRun:
    """One run of the steps."""

    def __init__(
        self,
        steps: Sequence[SmokeStep],
        cwd: str,
        env: Mapping[str, str],
        tree: ProcessTree,
        on_line: Callable[[str, str], None] | None,
        on_step: Callable[[StepStart | StepResult], None] | None,
        on_tick: Callable[[Tick], None] | None = None,
        *,
        parallel: int = 1,
        not_needed: Collection[str] = (),
    ) -> None:
        self.steps, self.cwd, self.env, self.tree = steps, cwd, env, tree
        self.on_line, self.on_step, self.on_tick = on_line, on_step, on_tick
        self.parallel, self.not_needed = parallel, not_needed
        self.began = self.ticked = time.monotonic()
        self.waiting = list(steps)
        self.running: list[_Running] = []
        self.done: list[_Running] = []
        self.results: dict[str, StepResult] = {}
        self.before: dict[str, StepResult] = {}  # first attempts of flaky steps, which failed
        self.watch = selectors.DefaultSelector()
        self.looked = 0.0
        self.trouble: list[str] = []  # why nothing was proven
        self.faults: list[str] = []  # why it is red, beside the steps' own results
        self.notes: list[str] = []
        self.cut_off: list[str] = []  # what was running when the budget ran out

    def go(self, until: float, budget_s: int) -> None:
        """Run until every step has ended or been given up. `until` is on the monotonic clock."""
        for step in [s for s in self.waiting if s.name in self.not_needed]:
            self.waiting.remove(step)
            self._result(step, NOT_NEEDED)
        while self.waiting or self.running:
            self._skip_hopeless()
            able = self.ready()
            for step in able:
                self._start(step)
            if not able and not self.running:  # needs that are in no step, or in a circle
                self._skip_all()
            if not self.running:
                continue
            self._read(min(WAKE_S, max(0.0, until - time.monotonic())))
            now = time.monotonic()
            for one in list(self.running):
                self._look_after(one, now, until)
            if self.on_tick and now - self.ticked >= TICK_S:
                self.ticked = now
                running = tuple(one.step.name for one in self.running)
                self.on_tick(Tick(running, len(self.waiting), now - self.began, budget_s))
            if now >= until and (self.running or self.waiting):
                self.cut_off = [one.step.name for one in self.running]
                self.faults.append(say.over_budget(budget_s, self.cut_off))
                self.stop(TIMEOUT)
            if not self.tree.complete and now - self.looked > LOOK_S:
                self.looked = now
                self.tree.members()

    def _look_after(self, one: _Running, now: float, until: float) -> None:
        """Has it ended, or is its time over? What it leaves of a failed attempt must not be in the next one's way."""
        if one.ending is not None:
            if one.ending.tick():
                self._close(one, *one.ended)
        elif one.process.poll() is not None:
            code = one.process.returncode
            if code and self._may_again(one.step):
                one.ending, one.ended = Ending(self.tree, one.part), (FAILED, code)
            else:
                self._close(one, FAILED if code else PASSED, code)
        elif one.until <= now < until:
            one.ending, one.ended = Ending(self.tree, one.part), (TIMEOUT, None)
            one.ending.tick()

    def _may_again(self, step: SmokeStep) -> bool:
        return step.flaky and step.name not in self.before

    def give_up(self) -> None:
        """Stop on an interrupt; another one meanwhile changes nothing."""
        while True:
            try:
                return self.stop(STOPPED)
            except KeyboardInterrupt:
                continue

    def stop(self, outcome: str) -> None:
        """End what runs and give up what waits."""
        self.tree.end()
        for one in list(self.running):
            known = one.ended if one.ending and one.ended[0] == FAILED else (outcome, None)
            self._close(one, *known, last=True)
        self._skip_all()

    def ready(self) -> list[SmokeStep]:
        """Steps that may start now: their needs have passed, and not too many are running."""
        able = [s for s in self.waiting if all(n in self.results for n in s.needs)]
        return able[: max(0, self.parallel - len(self.running))]

    def _skip_all(self) -> None:
        while self.waiting:
            self._result(self.waiting.pop(0), SKIPPED)

    def _skip_hopeless(self) -> None:
        for step in list(self.waiting):
            if any(n in self.results and self.results[n].outcome != PASSED for n in step.needs):
                self.waiting.remove(step)
                self._result(step, SKIPPED)

    def _start(self, step: SmokeStep) -> None:
        self.waiting.remove(step)
        if self.on_step:
            self.on_step(StepStart(step.name, step.run, step.timeout_s, 2 if step.name in self.before else 1))
        mark = secrets.token_hex(8)
        marked = " ".join(filter(None, (self.env.get(MARK), mark)))  # a gate inside a gate's step keeps the outer's
        try:
            process = subprocess.Popen(
                ["sh", "-c", step.run],
                cwd=self.cwd,
                env={**self.env, MARK: marked},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as e:
            self.trouble.append(say.not_started(step.name, str(e)))
            self._result(step, STOPPED)
            return
        self.tree.owned.add(process.pid)
        said = self.on_line
        output = _Output((lambda text: said(step.name, text)) if said else lambda text: None)
        one = _Running(step, process, output, self.tree.part(process.pid, mark))
        os.set_blocking(one.pipe, False)
        self.running.append(one)
        self.watch.register(one.pipe, selectors.EVENT_READ, one)

    def _read(self, wait_s: float) -> None:
        """Take what the steps wrote."""
        if not self.watch.get_map():
            return time.sleep(wait_s)
        for key, _ in self.watch.select(wait_s):
            data = os.read(key.fd, 1 << 16)
            if not data:
                self.watch.unregister(key.fd)
            elif key.data in self.running:
                key.data.output.add(data)
        return None

    def _close(self, one: _Running, outcome: str, code: int | None, last: bool = False) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):  # not even SIGKILL ends a process stuck in the kernel
            one.process.wait(1)
        # What the step left running may hold the pipe open for ever: take what is there, do not wait for its end.
        # The pipe stays open and is emptied till the run ends: a server that a later step needs must not die of it.
        until = time.monotonic() + DRAIN_S
        with contextlib.suppress(BlockingIOError):
            while time.monotonic() < until and (data := os.read(one.pipe, 1 << 16)):
                one.output.add(data)
        one.output.end()
        self.running.remove(one)
        self.done.append(one)
        now, again = time.monotonic(), outcome in (FAILED, TIMEOUT) and not last and self._may_again(one.step)
        result = StepResult(
            *(one.step.name, outcome, code, now - one.began, tuple(one.output.tail), one.began - self.began),
            before=(self.before[one.step.name],) if one.step.name in self.before else (),
            again=again,
        )
        if again:
            self.before[one.step.name] = result
            self.waiting.insert(0, one.step)
        else:
            self.results[one.step.name] = result
        if self.on_step:
            self.on_step(result)

    def _result(self, step: SmokeStep, outcome: str) -> None:
        before = (self.before[step.name],) if step.name in self.before else ()
        self.results[step.name] = result = StepResult(step.name, outcome, None, 0.0, (), before=before)
        if self.on_step:
            self.on_step(result)

    def close(self) -> None:
        """Let go of the pipes, once nothing is alive that writes to them."""
        self.watch.close()
        for one in (*self.running, *self.done):
            one.process.poll()
            if one.process.stdout:
                one.process.stdout.close()
