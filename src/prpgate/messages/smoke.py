"""What is said about the smoke gate: the fact, the reason, the command that fixes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..lock import Judged
    from ..smoke import SmokeReport
    from ..steps import StepResult, StepStart, Tick
    from ..verdicts import Known

NO_STEPS = "no step is declared in prp.toml, so nothing was proven"
HOW_TO_DECLARE = """\
Declare one in prp.toml, then: prp smoke
  [[smoke]]
  name = "test"
  run = "python -m pytest -q"
  timeout = 120"""
INTERRUPTED = "interrupted"
NO_CACHE = "To run it all the same: prp smoke --no-cache"
NO_BASE = "all steps run: what changed is not known here"
NONE_NEEDED = "all steps run: none is needed for what changed, and a run of nothing proves nothing"
READ_AS_VERDICT = (
    'all steps run: with [ci] observe = "status" this run is the verdict of the whole tree, and it is not known here '
    "whether what stood there before is green"
)


def names(found: Sequence[str], most: int = 5) -> str:
    """A short list of names or paths; how many more there are is said, not shown."""
    shown = ", ".join(found[:most])
    return shown if len(found) <= most else f"{shown} and {len(found) - most} more"


def seconds(value: float) -> str:
    return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"


def not_started(step: str, why: str) -> str:
    return f"{step} could not be started: {why}"


def ended(step: StepResult) -> str:
    """How one step ended, in a few words."""
    if step.outcome == "failed" and step.code is not None:
        how = f"was ended by signal {-step.code}" if step.code < 0 else f"ended with {step.code}"
        return f"{step.name} {how}"
    if step.outcome == "timeout":
        return f"{step.name} did not end within {seconds(step.duration_s)}"
    return f"{step.name} was {step.outcome}"


def skipped(steps: Sequence[str]) -> str:
    return f"not run: {names(steps)}"


def over_budget(budget_s: int, running: Sequence[str]) -> str:
    at = f" while {names(running)} {'was' if len(running) == 1 else 'were'} running" if running else ""
    return f"the budget of {budget_s} s ran out{at}"


def tree_changed(paths: Sequence[str]) -> str:
    return f"tracked files were changed during the run: {names(paths)}"


def head_moved(before: str | None, after: str | None) -> str:
    return f"HEAD moved during the run, from {(before or 'nothing')[:7]} to {(after or 'nothing')[:7]}"


def left_running(pids: Sequence[int]) -> str:
    return f"processes that could not be ended: {names([str(p) for p in pids])}"


def passed(count: int, duration_s: float) -> str:
    return f"{count} step{'s' if count != 1 else ''} passed in {seconds(duration_s)}"


def none_needed(steps: Sequence[str]) -> str:
    return f"no step was needed for what changed, so nothing was proven ({names(steps)})"


def left_out(steps: Sequence[str]) -> str:
    return f"not needed: {names(steps)}"


def passed_again(steps: Sequence[str]) -> str:
    return f"flaky, passed when tried again: {names(steps)}"


def too_fast(min_s: int) -> str:
    return f"faster than smoke_gate.min_duration = {min_s} s, so nothing was proven"


def not_green_before(base: str) -> str:
    return f"all steps run: {base[:12]}, which this is compared with, has no green verdict under these steps"


def not_asked(why: str) -> str:
    return f"all steps run: the store could not be asked what this is compared with: {why}"


def store_silent_here(why: str) -> str:
    return f"The store does not answer, so it is not known whether this was proven already: {why}"


def not_noted(why: str) -> str:
    return f"The tree is green already, but that could not be noted: {why}"


def complete_now(prp_id: str) -> str:
    return f"{prp_id} is complete: its line landed, and the tree that has it is green."


def compared(base: str) -> str:
    return f"steps with `changed` are compared with {base[:12]}"


def begins(step: StepStart) -> str:
    return f"{step.name} begins{' again' if step.attempt > 1 else ''}: {step.run}"


def under_way(now: Tick) -> str:
    waiting = f" · {now.left} to come" if now.left else ""
    return f"smoke: {names(now.running)}{waiting} · {now.elapsed_s:.0f} s of {now.budget_s} s"


def age(value: float) -> str:
    """How long ago, roughly."""
    for name, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if value >= size:
            return f"{value / size:.0f} {name}"
    return f"{value:.0f} s"


def known(found: Known) -> str:
    """Whence a verdict came that no run was made for."""
    run = f", {found.run_url}" if found.run_url else ""
    whence = f"by {found.by} {age(found.age_s)} ago (class {found.klass}{run})"
    if found.how == "inherited":
        return f"inherited from {(found.head or '')[:12]}, only ledger entries changed since; that was proven {whence}"
    return f"nothing was run, this tree was proven {whence}"


def not_written(path: str, why: str) -> str:
    return f"the JUnit report could not be written to {path}: {why}"


def not_clean(paths: Sequence[str]) -> str:
    """Why no verdict is recorded: what ran is no tree that git knows."""
    return (
        f"No verdict is recorded: the working tree is not the last commit ({names(paths)}). "
        "A verdict is on a committed tree.\n"
        "  git add the files that belong to it and commit, or: git stash -u; then: prp smoke"
    )


def step_line(step: StepResult) -> str:
    """One line per step for a report."""
    sign = {"passed": "ok", "failed": "FAILED", "timeout": "TIMED OUT"}.get(step.outcome, step.outcome)
    code = f" (exit {step.code})" if step.outcome == "failed" and step.code is not None else ""
    again = ", tried again" if step.again else ", the 2nd try" if step.before else ""
    return f"{sign:9} {step.name}{code}  {seconds(step.duration_s)}{again}"


def verdict_line(report: SmokeReport) -> str:
    """The line that stands alone: the verdict, and why."""
    tree = f" on tree {report.tree[:7]}" if report.tree else ""
    return f"smoke gate {report.result}{tree}: {report.reason}"


# --- on a runner ------------------------------------------------------------------------------------------------------
NO_CONFIG_HERE = "the commit that is checked out has no prp.toml, so there is no gate to run"
FETCH_ALL = "Check the whole history out: actions/checkout with fetch-depth: 0"
NO_STORE = "no store is set, so no lane hears of this run: it checks and runs the steps only"


def shallow(base: str | None) -> str:
    what = f"{base[:12]}, which the push came on top of, is" if base else "the commit's parent is"
    return f"{what} not in this shallow checkout, so the pushed range cannot be judged"


def checking(base: str | None, head: str) -> str:
    return f"checking the PRPs of {base[:12] + '..' if base else 'everything up to '}{head[:12]}"


def findings(count: int) -> str:
    return f"{count} finding{'s' if count != 1 else ''} in the PRPs of the pushed range"


def branch_deleted(ref: str) -> str:
    return f"{ref} was deleted: there is nothing to smoke"


def tried_again(attempt: int, reason: str) -> str:
    return f"attempt {attempt} is red: {reason}. Once more, as lane.red_retries in prp.toml says."


def after(result: str, reds: Sequence[str], reason: str) -> str:
    """The reason of a verdict, with what the attempts before it were."""
    if not reds:
        return reason
    if result == "red":
        return f"red {'twice' if len(reds) == 1 else f'{len(reds) + 1} times'}: {reason}"
    before = "the first attempt was" if len(reds) == 1 else f"the first {len(reds)} attempts were"
    return f"{reason}; {before} red ({reds[-1]})"


def no_lane(event: str, ref: str) -> str:
    return f"a {event} of {ref} is no landing on a lane: this run checks and runs the steps only"


def store_silent(why: str) -> str:
    return f"The store could not be asked, so the lane's state is unknown to this run: {why}"


def not_the_commit(paths: Sequence[str]) -> str:
    return f"what is checked out is not the commit, an earlier step of the job changed {names(paths)}"


def adopted(lane: str, fence: str) -> str:
    return f"{lane} is held by this run (fence {fence}) until it has a verdict"


def apart(lane: str) -> str:
    return f"{lane} is not this commit's to hold right now (another landing has it, or a verdict stands): run beside it"


def gate_none(lane: str) -> str:
    return f'{lane} has gate = "none": the verdict is recorded as evidence, the merge lock is left alone'


def judged(lane: str, result: str, answer: Judged) -> str:
    """What the lane made of a verdict."""
    if answer.again:
        return f"{lane}: unknown; the landing waits for another run"
    if result == "unknown":
        return f"{lane}: unknown; {answer.stands or 'no verdict'} stands"
    if not answer.written and answer.stands and answer.stands != result:
        return f"{lane}: this run says {result}, but {answer.stands} stands; a verdict is written once"
    if not answer.written and not answer.stands:
        return f"{lane}: {result} came too late to count: the lane has gone on without this run"
    if answer.state.closed:
        return f"{lane}: {result}; closed by {answer.state.closed.by}: {answer.state.closed.reason}"
    return f"{lane}: {result}; the lane goes on"


def verdict_lost(lane: str, result: str, why: str) -> str:
    return f"{lane}: {result} could not be told, so the lane's state is unknown until its deadline: {why}"
