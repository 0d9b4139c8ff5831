"""The smoke gate: run declared steps inside a budget, leave nothing behind, and say what was proven.

Used by `prp smoke`, `prp land` and ci/smoke.py. Green is said only when at least one step ran, every step that ran
passed, it took not less than `min_duration`, and the tracked files are as they were; red when a step failed or the time
ran out; unknown when nothing was proven either way.
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
from .scopes import covers
from .steps import FAILED, NOT_NEEDED, PASSED, SKIPPED, STOPPED, TIMEOUT, StepResult, StepRun, StepStart

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from .config import Config, SmokeStep
    from .steps import Tick

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
    parallel: int = 1  # steps at the same time, at most


class TreeState(NamedTuple):
    """Where HEAD stands, and every tracked path that differs from it, with what it holds."""

    head: str | None
    dirty: dict[str, str]


def steps_hash(steps: Sequence[SmokeStep], budget_s: int, parallel: int, min_s: int) -> str:
    """12 hex digits that change with everything declared that decides what the steps prove.

    `parallel` is the declared number: how many cores a machine has is the machine's, and no verdict depends on it.
    """
    told = [[s.name, s.run, s.timeout_s, sorted(s.needs), sorted(s.changed), s.flaky] for s in steps]
    canonical = json.dumps([budget_s, parallel, min_s, told])
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def hash_of(config: Config) -> str:
    """The steps hash of the gate that a prp.toml declares."""
    return steps_hash(config.smoke, config.smoke_budget_s, config.smoke_parallel, config.smoke_min_s)


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def not_needed(steps: Sequence[SmokeStep], paths: Collection[str]) -> set[str]:
    """Names of the steps that have nothing to do: none of the paths is in their `changed`, and no step that has
    something to do needs them."""
    needed = {s.name for s in steps if not s.changed or any(covers(glob, p) for glob in s.changed for p in paths)}
    for step in reversed(steps):  # needs are earlier steps
        if step.name in needed:
            needed.update(step.needs)
    return {s.name for s in steps} - needed


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


def _judge(
    gate: StepRun, steps: Sequence[StepResult], interrupted: bool, duration_s: float, min_s: int
) -> tuple[str, str]:
    """The verdict and its reason."""
    lost = [s.name for s in steps if s.outcome == SKIPPED]
    not_run = [say.skipped(lost)] if lost else []
    bad = [say.ended(s) for s in steps if s.outcome in (FAILED, TIMEOUT) and s.name not in gate.cut_off]
    if interrupted:
        stopped = [say.ended(s) for s in steps if s.outcome == STOPPED]
        return UNKNOWN, "; ".join([say.INTERRUPTED, *stopped, *not_run, *gate.notes])
    if bad or gate.faults:
        return RED, "; ".join([*gate.faults, *bad, *gate.trouble, *not_run, *gate.notes])
    left_out = [s.name for s in steps if s.outcome == NOT_NEEDED]
    if gate.trouble or any(s.outcome not in (PASSED, NOT_NEEDED) for s in steps):
        return UNKNOWN, "; ".join([*gate.trouble, *not_run, *gate.notes])
    if len(left_out) == len(steps):
        return UNKNOWN, "; ".join([say.none_needed(left_out), *gate.notes])
    about = [say.left_out(left_out)] if left_out else []
    about += [say.passed_again([s.name for s in steps if s.before])] if any(s.before for s in steps) else []
    passed = say.passed(len(steps) - len(left_out), duration_s)
    if duration_s < min_s:
        return UNKNOWN, "; ".join([say.too_fast(min_s), passed, *about, *gate.notes])
    return GREEN, "; ".join([passed, *about, *gate.notes])


def run(
    steps: Sequence[SmokeStep],
    cwd: str,
    *,
    budget_s: int,
    ledger_path: str = "",
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str, str], None] | None = None,
    on_step: Callable[[StepStart | StepResult], None] | None = None,
    on_tick: Callable[[Tick], None] | None = None,
    parallel: int = 1,
    min_s: int = 0,
    paths: Collection[str] | None = None,
) -> SmokeReport:
    """Run the steps in `cwd` (the top of a working tree) and report.

    At most `parallel` at once (0: as many as there are cores), each after those that it needs. `paths`: what changed,
    for steps that say when they are needed; None: nobody knows, and all are. A run that takes less than `min_s` is not
    green. Each step is `sh -c RUN` in a session of its own, without input. `budget_s` is a hard stop for all of them
    and for everything they started: 5 seconds later none of it is alive, except what SIGKILL cannot end, and that is
    named in the reason. What a step leaves running is there for later steps and ends with the run. An interrupt
    (KeyboardInterrupt; let a handler of SIGTERM raise it) ends them too and gives "unknown". The callbacks are called
    from this thread; `on_line` gets (step name, line) with the text as written: it may hold anything. Meanwhile no
    other thread may start processes in sessions of their own: they would be taken for a step's.
    """
    digest, started, began = steps_hash(steps, budget_s, parallel, min_s), datetime.now(UTC), time.monotonic()
    at_once = parallel or cores()
    repo = Repo(cwd)
    tree, before = _clean_tree(repo, ledger_path), tree_state(repo, ledger_path)
    if not steps:
        return SmokeReport(UNKNOWN, tree, digest, (), started, 0.0, budget_s, say.NO_STEPS)
    interrupted = False
    with ProcessTree() as processes:
        gate = StepRun(
            *(steps, cwd, clean_env() if env is None else env, processes, on_line, on_step, on_tick),
            parallel=at_once,
            not_needed=set() if paths is None else not_needed(steps, paths),
        )
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
    result, reason = _judge(gate, results, interrupted, duration, min_s)
    return SmokeReport(result, tree, digest, tuple(results), started, duration, budget_s, reason, interrupted, at_once)


def run_declared(
    config: Config,
    cwd: str,
    *,
    ledger_path: str = "",
    paths: Collection[str] | None = None,
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str, str], None] | None = None,
    on_step: Callable[[StepStart | StepResult], None] | None = None,
    on_tick: Callable[[Tick], None] | None = None,
) -> SmokeReport:
    """The gate that a prp.toml declares, in the working tree at `cwd`. As `run`."""
    return run(
        config.smoke,
        cwd,
        budget_s=config.smoke_budget_s,
        ledger_path=ledger_path,
        env=env,
        on_line=on_line,
        on_step=on_step,
        on_tick=on_tick,
        parallel=config.smoke_parallel,
        min_s=config.smoke_min_s,
        paths=paths,
    )


def run_tree(
    repo: Repo,
    config: Config,
    *,
    on_line: Callable[[str, str], None] | None = None,
    on_step: Callable[[StepStart | StepResult], None] | None = None,
    on_tick: Callable[[Tick], None] | None = None,
    paths: Collection[str] | None = None,
) -> SmokeReport:
    """The declared gate, in the working tree as it is. Unless that is clean, `tree` is None: record nothing then."""
    return run_declared(
        config,
        repo.top,
        ledger_path=config.ledger_path,
        paths=paths,
        on_line=on_line,
        on_step=on_step,
        on_tick=on_tick,
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
        "parallel": report.parallel,
        "steps": [{**_told(s), "before": [_told(b) for b in s.before]} for s in report.steps],
    }


def _told(step: StepResult) -> dict[str, Any]:
    return {
        "name": step.name,
        "outcome": step.outcome,
        "code": step.code,
        "began_s": round(step.began_s, 3),
        "duration_s": round(step.duration_s, 3),
        "tail": list(step.tail),
    }
