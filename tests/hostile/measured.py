"""One command line in a process of its own: how it ended, what it said, what it cost."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

SECONDS, MEGABYTES = 1.0, 200.0

# The process tells its own peak: what wait4 tells of a child includes the memory of whoever forked it.
_CODE = """
import sys
from prpgate.cli.main import run
code = run(sys.argv[2:])
with open("/proc/self/status") as f:
    peak = next(line.split()[1] for line in f if line.startswith("VmHWM"))
with open(sys.argv[1], "w") as f:
    f.write(peak)
sys.exit(code)
"""


class Cost(NamedTuple):
    """`cpu_s` is of the process and what it started (git), not of the clock: noise must not fail a test."""

    code: int
    out: str
    err: str
    cpu_s: float
    peak_mb: float


def prp(folder: Path, *args: str) -> Cost:
    """Run `prp ...` there."""
    peak = folder.parent / f"peak-{folder.name}"
    out, err = folder.parent / "out", folder.parent / "err"
    with out.open("wb") as o, err.open("wb") as e:
        command = [sys.executable, "-c", _CODE, str(peak), *args]
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=o, stderr=e)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    said, noted = (path.read_bytes().decode("utf-8", "replace") for path in (out, err))
    mb = int(peak.read_text()) / 1024 if process.returncode >= 0 else -1.0
    return Cost(process.returncode, said, noted, used.ru_utime + used.ru_stime, mb)


def factor() -> float:
    """How much slower than usual this machine starts a Python, at least 1."""
    best = 9.0
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-I", "-S", "-c", "pass"])
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
        best = min(best, used.ru_utime + used.ru_stime)
    return max(1.0, best / 0.012)
