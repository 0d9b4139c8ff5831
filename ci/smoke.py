"""The smoke gate on a GitHub Actions runner: adopt the landing's lock, check, run the steps, give the verdict.

    python ci/smoke.py          (ci/action.yml calls it with the Python that has prpgate)

On a push to a lane, with a store, the run takes the lane's lock over from the landing (or takes it for a push that came
round the hooks), keeps it alive while it works, and frees the lane with its verdict. Everywhere else, and without a
store, it checks the PRPs of the pushed range and runs the steps, and says that no lane hears of it. A store that does
not answer never makes a run red.

Exit codes: 0 green; 1 red, findings among it; 5 unknown: nothing was proven; 130 cancelled.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, NamedTuple

import candidate
import runner
from hold import Hold, take

from prpgate import lane, policy, smoke
from prpgate.errors import COULD_NOT_TELL, INTERRUPTED, OK, REFUSED, CouldNotTell, UsageError, UserError
from prpgate.gitrepo import Repo, lane_of
from prpgate.messages import smoke as say
from prpgate.model import ERROR, ZERO, Finding
from prpgate.steps import FAILED, TIMEOUT, StepResult, StepStart

if TYPE_CHECKING:
    from types import FrameType

    from prpgate.config import Config
    from prpgate.smoke import SmokeReport

LANDINGS = ("push", "workflow_dispatch")  # a dispatch stands for a push whose own run never came


class Outcome(NamedTuple):
    """What this run says in the end."""

    result: str  # "green", "red" or "unknown"
    reason: str
    report: SmokeReport | None
    findings: list[Finding]


class Cancel:
    """A signal handler: the first signal ends the steps; a later one must not cut off what is said about it."""

    asked = False

    def __call__(self, _: int, __: FrameType | None) -> None:
        self.asked = True
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt


def range_start(repo: Repo, event: runner.Event, head: str) -> str | None:
    """What the range is judged against; None for a first commit, where all of it is new.

    A pull request is checked out as its merge into the base, and a branch that is new or was rewritten has no usable
    old tip: then it is the first parent. Raises CouldNotTell when history is missing.
    """
    parents = repo.text("rev-list", "--parents", "-n", "1", head).split()[1:]
    shallow = repo.text("rev-parse", "--is-shallow-repository") == "true"
    base = None if event.base == ZERO or (event.name == "pull_request" and len(parents) == 2) else event.base
    if base and repo.has(base) and repo.is_ancestor(base, head):
        return base
    if shallow and (base or not parents):
        raise CouldNotTell(say.shallow(base), code="shallow", hint=say.FETCH_ALL)
    return parents[0] if parents else None


def check(repo: Repo, config: Config, event: runner.Event, head: str, log: runner.Log) -> list[Finding]:
    """Findings over the PRPs of the pushed range. Raises CouldNotTell."""
    base = range_start(repo, event, head)
    log.line(say.checking(base, head))
    found = lane.judge_range(repo, config, base or ZERO, head)
    log.findings(found)
    return found


def run_steps(repo: Repo, config: Config, log: runner.Log) -> SmokeReport:
    """Run what prp.toml declares, its output fenced off in the log."""

    def on_step(event: StepStart | StepResult) -> None:
        if isinstance(event, StepStart):
            log.open(f"{event.name}: {event.run}")
        else:
            log.close()
            log.line(say.step_line(event))

    report = smoke.run(
        config.smoke,
        repo.top,
        budget_s=config.smoke_budget_s,
        ledger_path=config.ledger_path,
        env=runner.env_for_steps(os.environ),
        on_line=lambda _, line: log.line(line),
        on_step=on_step,
    )
    log.close()
    return report


def is_the_commit(repo: Repo, config: Config, head: str) -> bool:
    """Is what is checked out still the commit that this run is about?"""
    state = smoke.tree_state(repo, config.ledger_path)
    return state is not None and state.head == head and not state.dirty


def run_again(repo: Repo, config: Config, head: str, log: runner.Log, hold: Hold) -> tuple[SmokeReport, str]:
    """Run the steps, and once more (`lane.red_retries` times) while they are red and there is time for it. Never on
    another tree: an attempt that changed tracked files is the last.

    The last attempt counts; what the others were is in the reason. One run knows best that it tried: a second run of
    the host's would have to be told, and the landing would wait for it.
    """
    reds: list[str] = []
    while True:
        report = run_steps(repo, config, log)
        tries = len(reds) + 1
        may = report.result == smoke.RED and tries <= config.red_retries
        if may and is_the_commit(repo, config, head) and hold.again(tries, config.smoke_budget_s):
            reds.append(report.reason)
            log.line(say.tried_again(tries, report.reason))
            continue
        return report, say.after(report.result, reds, report.reason)


def prove(repo: Repo, config: Config, event: runner.Event, head: str, log: runner.Log, hold: Hold) -> Outcome:
    """Check and run: the verdict, whoever hears of it."""
    findings: list[Finding] = []
    trouble: list[str] = []
    state = smoke.tree_state(repo, config.ledger_path)
    if state and state.dirty:
        trouble.append(say.not_the_commit(sorted(state.dirty)))
    try:
        findings = check(repo, config, event, head, log)
    except CouldNotTell as e:
        trouble.append(e.message)
        log.tell(runner.command("error", f"{e.message}\n{e.hint or ''}", title="the PRPs could not be checked"))
    report, reason, result = None, hold.stands, smoke.GREEN
    if not hold.stands:
        report, reason = run_again(repo, config, head, log, hold)
        result = report.result
    bad = [say.findings(n)] if (n := sum(f.severity == ERROR for f in findings)) else []
    if bad and not (report and report.interrupted):
        result = smoke.RED
    elif trouble and result == smoke.GREEN:
        result = smoke.UNKNOWN
    return Outcome(result, "; ".join([*bad, *trouble, reason]), report, findings)


def lane_for(repo: Repo, config: Config, event: runner.Event, head: str) -> str | None:
    """The lane that this run speaks for; None where it only checks."""
    if event.name not in LANDINGS or head != event.sha:
        return None
    return lane_of(config, config.remote, event.ref)


def holding(config: Config, repo: Repo, event: runner.Event, head: str) -> Hold:
    """What this run speaks for: a landing's candidate, a lane, or nothing. Raises CouldNotTell: nobody waits for it."""
    number = candidate.number_of(config, event, head) if event.name in LANDINGS else None
    if number is not None:
        return candidate.take(config, repo, event, number, head)
    return take(config, repo, event, lane_for(repo, config, event, head), head)


def tell(log: runner.Log, event: runner.Event, outcome: Outcome, lane_text: str, hold: Hold) -> None:
    """Say it in the log, in the annotations, in the summary and as outputs."""
    env, report = os.environ, outcome.report
    steps = report.steps if report else ()
    for step in steps:
        if step.outcome in (FAILED, TIMEOUT):
            last = "\n".join(line[: runner.TAIL_CHARS] for line in step.tail[-10:])
            log.tell(runner.command("error", f"{say.ended(step)}\n{last}", title=f"smoke: {step.name}"))
    kind = {smoke.GREEN: "notice", smoke.RED: "error"}.get(outcome.result, "warning")
    log.tell(runner.command(kind, outcome.reason, title=f"smoke gate: {outcome.result}"))
    if lane_text != hold.why:
        log.line(lane_text)
    facts = {"event": event.name, "branch": event.ref, "commit": event.sha, "by": event.actor, "lane": lane_text}
    runner.add_summary(
        env.get("GITHUB_STEP_SUMMARY"), runner.summary(outcome.result, outcome.reason, facts, steps, outcome.findings)
    )
    tree = (report.tree if report else hold.stands and hold.tree) or ""
    runner.set_outputs(env.get("GITHUB_OUTPUT"), {"verdict": outcome.result, "tree": tree, "fence": hold.fence})


def gate(env: dict[str, str], log: runner.Log, cancel: Cancel) -> int:
    """The whole run. Raises UserError where there is nothing to judge."""
    event = runner.read(env)
    if event.deleted:
        log.line(say.branch_deleted(event.ref))
        return OK
    repo = Repo(runner.workspace(env))
    head = repo.head
    config = policy.at(repo, head) if head else None
    if head is None or config is None:
        raise UsageError(say.NO_CONFIG_HERE, code="no-config", next_action="prp init")
    with holding(config, repo, event, head) as hold:
        if candidate.number_of(config, event, head) is not None:
            event = event._replace(base=candidate.range_base(repo, config, hold, head))
        log.line(hold.why)
        try:
            outcome = prove(repo, config, event, head, log, hold)
        except KeyboardInterrupt:
            log.close()
            outcome = Outcome(smoke.UNKNOWN, say.INTERRUPTED, None, [])
        lane_text = hold.give(outcome.result, outcome.reason)
    tell(log, event, outcome, lane_text, hold)
    if cancel.asked:
        return INTERRUPTED
    return {smoke.GREEN: OK, smoke.RED: REFUSED}.get(outcome.result, COULD_NOT_TELL)


def main() -> int:
    """Set the process up for a runner, run the gate, and turn what cannot be judged into an annotation."""
    env, log, cancel = dict(os.environ), runner.Log(), Cancel()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, cancel)
    # In a container job the checkout may belong to another user; git would not look at it.
    os.environ.update(GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="safe.directory", GIT_CONFIG_VALUE_0=runner.workspace(env))
    try:
        return gate(env, log, cancel)
    except UserError as e:
        log.tell(runner.command("error", "\n".join(filter(None, [e.message, e.hint, e.next_action])), title=e.code))
        runner.set_outputs(env.get("GITHUB_OUTPUT"), {"verdict": smoke.UNKNOWN, "tree": "", "fence": ""})
        return e.exit_code
    except KeyboardInterrupt:
        runner.set_outputs(env.get("GITHUB_OUTPUT"), {"verdict": smoke.UNKNOWN, "tree": "", "fence": ""})
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
