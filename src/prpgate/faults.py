"""A fault nobody foresaw: the traceback goes to a log file, and the person is told where."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from typing import TYPE_CHECKING

from .output import Output

if TYPE_CHECKING:
    from types import TracebackType


def log_file() -> str:
    """A new file under $XDG_STATE_HOME/prpgate/log (or the temporary folder when there is no home)."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    folder = os.path.join(state, "prpgate", "log")
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError:
        folder = tempfile.gettempdir()
    return os.path.join(folder, time.strftime("%Y%m%d-%H%M%S-") + f"{os.getpid()}.log")


def record(error: BaseException) -> str:
    """Write the traceback down; the path of the file. The command line stays out of it: it may hold a secret."""
    import traceback

    path = log_file()
    with open(path, "w", encoding="utf-8", errors="backslashreplace") as f:
        f.write(f"python {sys.version}\n")
        traceback.print_exception(error, file=f)
    return path


def sentence(error: BaseException, path: str) -> str:
    return f"prp: this is a fault in prpgate: {type(error).__name__}: {error}\nThe details are in {path}"


def is_interrupt(error: BaseException) -> bool:
    """Ctrl-C, or what CPython made of it: one that strikes while a class is built may come as a RuntimeError."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, KeyboardInterrupt):
            return True
        cause = cause.__cause__
    return False


def hook(_: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """For sys.excepthook in hooks: git sees exit code 1 and stops, the person sees two lines."""
    if is_interrupt(error):
        Output().note("prp: stopped")
        return
    Output().note(sentence(error.with_traceback(trace), record(error)))
