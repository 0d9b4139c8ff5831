"""The short form: fixed seeds and one that is new each time; a failure names its seed.

`python -m tests.chaos --steps 10000 --seed N` is the long form.
"""

from __future__ import annotations

import os
import time
from zlib import crc32

import pytest

from tests.chaos import process_level, script_level

RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(time.time()))  # the same in all workers of a run
NEW = crc32(RUN.encode()) % 10**6
SCRIPT_STEPS, PROCESS_STEPS = 800, 15


@pytest.mark.parametrize("seed", [1, 2, 3, NEW], ids=["1", "2", "3", "new"])
def test_scripts_hold_what_the_lane_promises(seed: int) -> None:
    print("seed", seed)
    done = script_level.run(seed, SCRIPT_STEPS)
    assert done.violations == [], "\n".join([f"seed {seed}", *done.violations])
    assert done.landings > 0
    assert done.faults


@pytest.mark.timeout(300)  # seconds of waiting for leases, more on a busy machine
@pytest.mark.parametrize("seed", [17, NEW], ids=["17", "new"])
def test_real_pushes_hold_what_the_lane_promises(seed: int) -> None:
    print("seed", seed)
    done = process_level.run(seed, PROCESS_STEPS)
    assert done.violations == [], "\n".join([f"seed {seed}", *done.violations])
