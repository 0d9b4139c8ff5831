"""Ctrl-C and SIGTERM, alike: both are a KeyboardInterrupt, and neither strikes where something is being tidied up."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_BOTH = {signal.SIGINT, signal.SIGTERM}


@contextlib.contextmanager
def alike() -> Iterator[None]:
    """SIGTERM ends what runs inside as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's business
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is signal.default_int_handler:
            signal.signal(signal.SIGTERM, before)


def no_more() -> None:
    """From now on neither does anything: what was to be done is done, and this process only says so and ends."""
    if threading.current_thread() is threading.main_thread():
        for number in _BOTH:
            signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Both wait until what runs inside is done. Processes and threads that start inside are spared too: a terminal
    sends Ctrl-C to every process of the group, and git must not die while it removes what we made.

    A thread that was started outside takes the signal in this one's stead: none may be. One that came just before is
    raised by the call that blocks, which has blocked by then."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, _BOTH)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
