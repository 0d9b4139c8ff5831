"""Ctrl-C at every point of what the main thread shares with others: nobody is left waiting."""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from prpgate import faults, lookout
from prpgate.cli import main
from prpgate.cli.land import Live
from prpgate.config import parse
from prpgate.grip import Grip
from prpgate.interrupts import held_back
from prpgate.job import Ears
from prpgate.land import Stage
from prpgate.outcomes import Lease
from prpgate.output import Output
from tests.lock.clocked import waiter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

CONFIG = parse('project = "example.org/app"\n[ci]\nobserve = "status"\n', "prp.toml")
NOBODY = Ears(lambda _: None, lambda *_: None, lambda _: None, lambda: None)
BOTH = {signal.SIGINT, signal.SIGTERM}


def struck(at: int, do: Callable[[], object]) -> bool:
    """Do it, with a KeyboardInterrupt before its `at`th step, in whatever function that is, not counting those where
    it is held back. Was there one?"""
    steps = 0

    def trace(frame: FrameType, event: str, _: object) -> object:
        nonlocal steps
        frame.f_trace_opcodes = True
        if event == "opcode" and not BOTH & signal.pthread_sigmask(signal.SIG_BLOCK, ()):
            steps += 1
            if steps == at:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    try:
        sys.settrace(trace)  # type: ignore[arg-type]
        do()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def everywhere(once: Callable[[int], bool]) -> None:
    """With the interrupt before the first step, the second and so on, to the end."""
    at = 1
    while once(at):
        at += 1
    assert at > 5


def test_what_is_told_of_a_landing_leaves_nothing_locked(capsys: pytest.CaptureFixture[str]) -> None:
    def once(at: int) -> bool:
        with Live("main", Output()) as live:

            def tell(live: Live = live) -> None:
                live.stage(Stage("pushing"))
                live.line("unit", "first")

            was = struck(at, tell)
            live.line("unit", "last")
            thread = live._thread
        assert not thread.is_alive()
        assert "unit | last" in capsys.readouterr().err
        return was

    everywhere(once)


def test_what_is_told_after_the_end_is_said_too(capsys: pytest.CaptureFixture[str]) -> None:
    with Live("main", Output()) as live:
        pass
    live.line("ci", "main: red")
    assert capsys.readouterr().err == "ci | main: red\n"


def test_a_grip_ends_wherever_it_is_struck() -> None:
    def once(at: int) -> bool:
        grip = Grip(CONFIG, "/", None, Lease("main", 1, "h", 60_000, 60_000, 0.0))
        with grip:
            was = struck(at, lambda: grip.__exit__(None, None, None))
        assert not grip._thread.is_alive()
        return was

    everywhere(once)


def test_held_back_is_over_when_it_was_struck_on_its_way_in() -> None:
    def enter() -> None:
        with held_back():
            pass

    def once(at: int) -> bool:
        was = struck(at, enter)
        assert not BOTH & signal.pthread_sigmask(signal.SIG_BLOCK, ())
        return was

    everywhere(once)


def test_one_that_came_just_before_is_raised_and_leaves_nothing_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """As pthread_sigmask does with a signal that Python has noted and not yet raised: it blocks, and raises."""
    real = signal.pthread_sigmask

    def blocks_and_raises(how: int, which: Iterable[int]) -> set[int | signal.Signals]:
        before = real(how, which)
        if how == signal.SIG_BLOCK and which:
            raise KeyboardInterrupt
        return before

    monkeypatch.setattr(signal, "pthread_sigmask", blocks_and_raises)
    with pytest.raises(KeyboardInterrupt), held_back():
        raise AssertionError
    assert not BOTH & real(signal.SIG_BLOCK, ())


def test_a_lookout_ends_with_its_waiter_wherever_that_is_struck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "TICK_S", 0.05)

    def once(at: int) -> bool:
        told: list[tuple[bool, threading.Thread]] = []

        def wait() -> None:
            one = lookout.Lookout(CONFIG, "/", None, "main", waiter("ana"), NOBODY)
            one._thread.start()  # as when there was something to look at, and now there is not
            told.append((struck(at, lambda: one.__exit__(None, None, None)), one._thread))

        person = threading.Thread(target=wait)
        person.start()
        person.join()
        ((was, thread),) = told
        thread.join(5)
        assert not thread.is_alive()
        return was

    everywhere(once)


def test_what_cpython_makes_of_one_while_a_class_is_built_is_no_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Named:
        def __set_name__(self, owner: type, name: str) -> None:
            raise KeyboardInterrupt

    def dispatch(_: object) -> int:
        type("Built", (), {"it": Named()})
        return 0

    monkeypatch.setattr(main, "dispatch", dispatch)
    assert main.run(["status"]) == 130
    assert capsys.readouterr().err == "prp: stopped\n"
    with pytest.raises((RuntimeError, KeyboardInterrupt)) as e:  # Python 3.12 lets it through as it is
        dispatch(None)
    faults.hook(e.type, e.value, e.tb)
    assert capsys.readouterr().err == "prp: stopped\n"
