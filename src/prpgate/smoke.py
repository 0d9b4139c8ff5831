"""The smoke gate: run declared steps inside a budget, leave nothing behind, and say what was proven.

Used by `prp smoke` and by ci/smoke.py. Green is said only when at least one step ran, every step passed and the
tracked files are as they were; red when a step failed or the time ran out; unknown when nothing was proven either way.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from .gitrepo import Repo, clean_env
from .messages import smoke as say
from .process_tree import ProcessTree
from .steps import FAILED, PASSED, SKIPPED, STOPPED, TIMEOUT, StepResult, StepRun, StepStart

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .config import Config, SmokeStep

GREEN, RED, UNKNOWN = "green", "red", "unknown"


class SmokeReport(NamedTuple):
    """What a run of the gate proved."""

    result: str  # "green", "red" or "unknown"
    tree: str | None  # the tree it is about; None when the working tree was no committed tree: record nothing then
    steps_hash: str
    steps: tuple[StepResult, ...]  # in the order of declaration
    started: datetime
    duration_s: float
    budget_s: int
    reason: str  # one sentence: why this result
    interrupted: bool = False


class TreeState(NamedTuple):
    """Where HEAD stands, and every tracked path that differs from it, with what it holds."""

    head: str | None
    dirty: dict[str, str]


def steps_hash(steps: Sequence[SmokeStep], budget_s: int) -> str:
    """12 hex digits that change with everything that decides what the steps prove."""
    canonical = json.dumps([budget_s, [[s.name, s.run, s.timeout_s, sorted(s.needs)] for s in steps]])
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


# --- the tree ---------------------------------------------------------------------------------------------------------
def _in_ledger(path: str, ledger_path: str) -> bool:
    return path.startswith(ledger_path) if ledger_path.endswith("/") else path == ledger_path


def _status(repo: Repo, untracked: str, ledger_path: str) -> list[tuple[str, str]] | None:
    """(state, path) of what differs from HEAD, the ledger aside; None outside a working tree."""
    done = repo.run(
        *("--no-optional-locks", "status", "--porcelain=v1", "-z", "--no-renames", "--ignore-submodules=untracked"),
        f"--untracked-files={untracked}",
        check=False,
    )
    if done.returncode:
        return None
    entries = [e.decode("utf-8", "surrogateescape") for e in done.stdout.split(b"\0") if e]
    return [(e[:2], e[3:]) for e in entries if not _in_ledger(e[3:], ledger_path)]


def _content(path: str) -> str:
    """A short text that changes with a path's content, kind and mode."""
    try:
        found = os.lstat(path)
        if stat.S_ISLNK(found.st_mode):
            return f"link {os.readlink(path)}"
        if not stat.S_ISREG(found.st_mode):
            return "other"
        with open(path, "rb") as f:
            return f"{found.st_mode & 0o111:o} {hashlib.file_digest(f, 'sha256').hexdigest()}"
    except OSError:
        return "gone"


def tree_state(repo: Repo, ledger_path: str = "") -> TreeState | None:
    """What a step could change: HEAD and the tracked files, the ledger aside. None outside a working tree."""
    entries = _status(repo, "no", ledger_path)
    if entries is None:
        return None
    return TreeState(repo.head, {p: f"{state} {_content(os.path.join(repo.top, p))}" for state, p in entries})


def unclean(repo: Repo, config: Config | None = None) -> list[str]:
    """Paths that make the working tree something else than HEAD's tree.

    Untracked files that are not ignored count: a file that was never added makes the steps pass here and nowhere
    else. Ledger files do not count: milestones are written into the working tree between commits as a matter of
    course. Ignored files do not count either, so a verdict of class "local" is only as good as the ignore rules.
    """
    return [path for _, path in _status(repo, "all", config.ledger_path if config else "") or []]


def clean_tree(repo: Repo, config: Config | None = None) -> str | None:
    """HEAD's tree if the working tree is that tree (see `unclean`), else None."""
    return _clean_tree(repo, config.ledger_path if config else "")


def _clean_tree(repo: Repo, ledger_path: str) -> str | None:
    entries = _status(repo, "all", ledger_path)
    return repo.tree("HEAD") if entries == [] else None


def _tree_faults(before: TreeState | None, after: TreeState | None) -> list[str]:
    if before is None or after is None:
        return []
    paths = sorted(p for p in before.dirty.keys() | after.dirty.keys() if before.dirty.get(p) != after.dirty.get(p))
    faults = [say.tree_changed(paths)] if paths else []
    if before.head != after.head:
        faults.append(say.head_moved(before.head, after.head))
    return faults


def _judge(gate: StepRun, steps: Sequence[StepResult], interrupted: bool, duration_s: float) -> tuple[str, str]:
    """The verdict and its reason."""
    lost = [s.name for s in steps if s.outcome == SKIPPED]
    not_run = [say.skipped(lost)] if lost else []
    bad = [say.ended(s) for s in steps if s.outcome in (FAILED, TIMEOUT) and s.name not in gate.cut_off]
    if interrupted:
        stopped = [say.ended(s) for s in steps if s.outcome == STOPPED]
        return UNKNOWN, "; ".join([say.INTERRUPTED, *stopped, *not_run, *gate.notes])
    if bad or gate.faults:
        return RED, "; ".join([*gate.faults, *bad, *gate.trouble, *not_run, *gate.notes])
    if gate.trouble or any(s.outcome != PASSED for s in steps):
        return UNKNOWN, "; ".join([*gate.trouble, *not_run, *gate.notes])
    return GREEN, "; ".join([say.passed(len(steps), duration_s), *gate.notes])


def run(
    steps: Sequence[SmokeStep],
    cwd: str,
    *,
    budget_s: int,
    ledger_path: str = "",
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str, str], None] | None = None,
    on_step: Callable[[StepStart | StepResult], None] | None = None,
) -> SmokeReport:
    """Run the steps in `cwd` (the top of a working tree) and report.

    Each step is `sh -c RUN` in a session of its own, without input. `budget_s` is a hard stop for all of them and for
    everything they started: 5 seconds later none of it is alive, except what SIGKILL cannot end, and that is named in
    the reason. What a step leaves running is there for later steps and ends with the run. An interrupt
    (KeyboardInterrupt; let a handler of SIGTERM raise it) ends them too and gives "unknown". The callbacks are called
    from this thread; `on_line` gets (step name, line) with the text as written: it may hold anything. Meanwhile no
    other thread may start processes in sessions of their own: they would be taken for a step's.
    """
    digest, started, began = steps_hash(steps, budget_s), datetime.now(UTC), time.monotonic()
    repo = Repo(cwd)
    tree, before = _clean_tree(repo, ledger_path), tree_state(repo, ledger_path)
    if not steps:
        return SmokeReport(UNKNOWN, tree, digest, (), started, 0.0, budget_s, say.NO_STEPS)
    interrupted = False
    with ProcessTree() as processes:
        gate = StepRun(steps, cwd, clean_env() if env is None else env, processes, on_line, on_step)
        try:
            gate.go(began + budget_s, budget_s)
            processes.end()
        except KeyboardInterrupt:
            interrupted = True
            gate.give_up()
        finally:
            left = processes.end()
            gate.close()
    if left:
        gate.notes.append(say.left_running([p.pid for p in left]))
    gate.faults += _tree_faults(before, tree_state(repo, ledger_path))
    results = [gate.results.get(s.name) or StepResult(s.name, STOPPED, None, 0.0, ()) for s in steps]
    duration = time.monotonic() - began
    result, reason = _judge(gate, results, interrupted, duration)
    return SmokeReport(result, tree, digest, tuple(results), started, duration, budget_s, reason, interrupted)


def run_tree(
    repo: Repo,
    config: Config,
    *,
    on_line: Callable[[str, str], None] | None = None,
    on_step: Callable[[StepStart | StepResult], None] | None = None,
) -> SmokeReport:
    """The declared gate, in the working tree as it is. Unless that is clean, `tree` is None: record nothing then."""
    return run(
        config.smoke,
        repo.top,
        budget_s=config.smoke_budget_s,
        ledger_path=config.ledger_path,
        on_line=on_line,
        on_step=on_step,
    )


def to_json(report: SmokeReport) -> dict[str, Any]:
    """The report as a program reads it. Times are ISO 8601 UTC, durations seconds."""
    return {
        "result": report.result,
        "reason": report.reason,
        "tree": report.tree,
        "steps_hash": report.steps_hash,
        "started": report.started.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "duration_s": round(report.duration_s, 3),
        "budget_s": report.budget_s,
        "steps": [
            {
                "name": s.name,
                "outcome": s.outcome,
                "code": s.code,
                "duration_s": round(s.duration_s, 3),
                "tail": list(s.tail),
            }
            for s in report.steps
        ],
    }
