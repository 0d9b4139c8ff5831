"""A report of the smoke gate as JUnit XML, as hosts and editors read it: one test case for each step, one for the gate.

A step that failed first and passed then has a `flakyFailure`, one that failed twice a `rerunFailure`, as Maven's
Surefire names them. Text is made inert: no character in it that XML forbids.
"""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from .messages import smoke as say
from .output import inert
from .steps import FAILED, PASSED, TIMEOUT

if TYPE_CHECKING:
    from .smoke import SmokeReport
    from .steps import StepResult


def text(result: str, reason: str, report: SmokeReport | None) -> str:
    """The whole document. `result` and `reason` are the run's, which may know more than its steps."""
    steps = report.steps if report else ()
    suite = ET.Element("testsuite", name="smoke")
    for step in steps:
        _case(suite, step)
    gate = ET.SubElement(suite, "testcase", classname="smoke", name="(gate)")
    gate.set("time", f"{report.duration_s if report else 0:.3f}")
    if result == "red":
        ET.SubElement(gate, "failure", type="red", message=inert(reason))
    elif result != "green":
        ET.SubElement(gate, "error", type="unknown", message=inert(reason))
    else:
        ET.SubElement(gate, "system-out").text = inert(reason)
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(sum(case.find(tag) is not None for case in suite)))
    suite.set("tests", str(len(suite)))
    suite.set("time", gate.get("time", "0"))
    if report:
        suite.set("timestamp", report.started.strftime("%Y-%m-%dT%H:%M:%S"))
    ET.indent(suite)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suite, encoding="unicode")}\n'


def write(path: str, result: str, reason: str, report: SmokeReport | None) -> None:
    """Write it to a file, whole or not at all; folders on the way are made. Raises OSError."""
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    fd, new = tempfile.mkstemp(dir=folder, prefix=".junit-")
    try:
        with open(fd, "w", encoding="utf-8") as f:
            f.write(text(result, reason, report))
        os.chmod(new, 0o644)
        os.replace(new, path)
    except OSError:
        os.unlink(new)
        raise


def _case(suite: ET.Element, step: StepResult) -> None:
    case = ET.SubElement(suite, "testcase", classname="smoke", name=inert(step.name), time=f"{step.duration_s:.3f}")
    if step.outcome in (FAILED, TIMEOUT):
        _failure(case, "failure", step)
    elif step.outcome != PASSED:
        ET.SubElement(case, "skipped", message=inert(step.outcome))
    for first in step.before:
        _failure(case, "flakyFailure" if step.outcome == PASSED else "rerunFailure", first)
    if step.tail:
        ET.SubElement(case, "system-out").text = "\n".join(inert(line) for line in step.tail)


def _failure(case: ET.Element, tag: str, step: StepResult) -> None:
    found = ET.SubElement(case, tag, type=step.outcome, message=inert(say.ended(step)))
    if tag != "failure":
        found.text = "\n".join(inert(line) for line in step.tail)
