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
from hold import LANE_EVENTS, Hold, take
from steplog import StepLog
from timeline import Timeline

from prpgate import junit, lane, policy, smoke, verdicts
from prpgate.errors import COULD_NOT_TELL, INTERRUPTED, OK, REFUSED, CouldNotTell, UsageError, UserError
from prpgate.gitrepo import Repo, lane_of
from prpgate.messages import smoke as say
from prpgate.messages import timeline as when
from prpgate.model import ERROR, ZERO, Finding
from prpgate.steps import FAILED, TIMEOUT, StepResult, StepStart

if TYPE_CHECKING:
    from types import FrameType

    from prpgate.config import Config
    from prpgate.smoke import SmokeReport


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


def stood_before(repo: Repo, event: runner.Event, head: str) -> str | None:
    """What steps with `changed` are compared with: what the event says stood there. None: all of them are needed."""
    if event.name == "pull_request":
        parents = repo.text("rev-list", "--parents", "-n", "1", head).split()[1:]
        return parents[0] if len(parents) == 2 else event.base
    return None if event.base == ZERO else event.base


def run_steps(
    repo: Repo, config: Config, log: runner.Log, hold: Hold, scope: verdicts.Scope, line: Timeline
) -> SmokeReport:
    """Run what prp.toml declares, its output fenced off in the log."""
    shown = StepLog(log, min(config.smoke_parallel or smoke.cores(), len(config.smoke)))

    def on_step(event: StepStart | StepResult) -> None:
        if isinstance(event, StepStart):
            line.begin(event.name)
        else:
            line.end(event.name, event.outcome)
        shown.step(event)

    report = smoke.run_declared(
        config,
        repo.top,
        ledger_path=config.ledger_path,
        paths=scope.paths,
        env=runner.env_for_steps(os.environ, hold.address),
        on_line=shown.line,
        on_step=on_step,
        on_tick=shown.tick,
    )
    log.close()
    return report


def is_the_commit(repo: Repo, config: Config, head: str) -> bool:
    """Is what is checked out still the commit that this run is about?"""
    state = smoke.tree_state(repo, config.ledger_path)
    return state is not None and state.head == head and not state.dirty


def run_again(
    repo: Repo, config: Config, head: str, log: runner.Log, hold: Hold, scope: verdicts.Scope, line: Timeline
) -> tuple[SmokeReport, str]:
    """Run the steps, and once more (`lane.red_retries` times) while they are red and there is time for it. Never on
    another tree: an attempt that changed tracked files is the last.

    The last attempt counts; what the others were is in the reason. One run knows best that it tried: a second run of
    the host's would have to be told, and the landing would wait for it.
    """
    reds: list[str] = []
    while True:
        report = run_steps(repo, config, log, hold, scope, line)
        tries = len(reds) + 1
        hold.ran(report, tries)
        may = report.result == smoke.RED and tries <= config.red_retries
        if may and is_the_commit(repo, config, head) and hold.again(tries, config.smoke_budget_s):
            reds.append(report.reason)
            log.line(say.tried_again(tries, report.reason))
            continue
        return report, say.after(report.result, reds, report.reason)


def prove(
    repo: Repo, config: Config, event: runner.Event, head: str, log: runner.Log, hold: Hold, line: Timeline
) -> Outcome:
    """Check and run: the verdict, whoever hears of it."""
    findings: list[Finding] = []
    trouble: list[str] = []
    state = smoke.tree_state(repo, config.ledger_path)
    if state and state.dirty:
        trouble.append(say.not_the_commit(sorted(state.dirty)))
    try:
        findings = check(repo, config, event, head, log)
        line.mark(when.CHECKED)
    except CouldNotTell as e:
        trouble.append(e.message)
        log.tell(runner.command("error", f"{e.message}\n{e.hint or ''}", title="the PRPs could not be checked"))
    report, reason = proven(repo, config, event, head, log, hold, line)
    bad = [say.findings(n)] if (n := sum(f.severity == ERROR for f in findings)) else []
    result = report.result if report else smoke.GREEN
    if bad and not (report and report.interrupted):
        result = smoke.RED
    elif trouble and result == smoke.GREEN:
        result = smoke.UNKNOWN
    return Outcome(result, "; ".join([*bad, *trouble, reason]), report, findings)


def proven(
    repo: Repo, config: Config, event: runner.Event, head: str, log: runner.Log, hold: Hold, line: Timeline
) -> tuple[SmokeReport | None, str]:
    """Run the steps, unless a verdict spares it: then there is no report, and the reason says whence it came."""
    if hold.stands:
        log.line(hold.stands)
        return None, hold.stands
    known = None if os.environ.get("PRP_NO_CACHE") else hold.known()
    if known is not None and is_the_commit(repo, config, head):
        said = say.known(known)
        log.line(said)
        return None, said
    scope = hold.scope(config, repo, stood_before(repo, event, head), head)
    if scope.note:
        log.line(scope.note)
    elif scope.base:
        log.line(say.compared(scope.base))
    return run_again(repo, config, head, log, hold, scope, line)


def lane_for(repo: Repo, config: Config, event: runner.Event, head: str) -> str | None:
    """The lane that this run speaks for; None where it only checks."""
    if event.name not in LANE_EVENTS or head != event.sha:
        return None
    return lane_of(config, config.remote, event.lane_ref)


def holding(config: Config, repo: Repo, event: runner.Event, head: str) -> Hold:
    """What this run speaks for: a landing's candidate, a lane, or nothing. Raises CouldNotTell: nobody waits for it, or
    its check run would be read as the verdict of another commit than it looks at."""
    if config.ci_observe == "status" and event.name == "workflow_dispatch" and event.sha != event.own:
        raise CouldNotTell(when.seen_on_another(event.own, event.sha), code="stale")
    number = candidate.number_of(config, event, head) if event.name in candidate.EVENTS else None
    if number is not None:
        return candidate.take(config, repo, event, number, head)
    return take(config, repo, event, lane_for(repo, config, event, head), head)


def outputs(outcome: Outcome, hold: Hold, again: bool) -> dict[str, str]:
    """What later steps of the job may read; action.yml names each."""
    report = outcome.report
    return {
        "verdict": outcome.result,
        "tree": (report.tree if report else hold.spared_tree()) or "",
        "fence": hold.fence,
        "reason": outcome.reason,
        "duration": f"{report.duration_s:.1f}" if report else "",
        "again": "true" if again else "false",
    }


def tell(
    log: runner.Log, event: runner.Event, outcome: Outcome, lane_text: str, hold: Hold, line: Timeline, cancel: Cancel
) -> None:
    """Say it in the log, in the annotations, in the summary and as outputs."""
    env, report = os.environ, outcome.report
    steps = report.steps if report else ()
    for step in steps:
        if step.outcome in (FAILED, TIMEOUT):
            last = "\n".join(line[: runner.TAIL_CHARS] for line in step.tail[-10:])
            log.tell(runner.command("error", f"{say.ended(step)}\n{last}", title=f"smoke: {step.name}"))
    kind = {smoke.GREEN: "notice", smoke.RED: "error"}.get(outcome.result, "warning")
    log.tell(runner.command(kind, outcome.reason, title=f"smoke gate: {outcome.result}"), last=True)
    if log.left_out:
        log.line(when.not_shown(log.left_out))
    if lane_text != hold.why:
        log.line(lane_text)
    facts = {"event": event.name, "branch": event.ref, "commit": event.sha, "by": event.actor, "lane": lane_text}
    said = runner.summary(outcome.result, outcome.reason, facts, steps, outcome.findings, line.ordered())
    runner.add_summary(env.get("GITHUB_STEP_SUMMARY"), said)
    if path := env.get("PRP_JUNIT"):
        try:
            junit.write(os.path.join(runner.workspace(dict(env)), path), outcome.result, outcome.reason, report)
        except OSError as e:
            log.tell(runner.command("warning", say.not_written(path, str(e)), title="JUnit report"))
    runner.set_outputs(env.get("GITHUB_OUTPUT"), outputs(outcome, hold, hold.wanted or cancel.asked))


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
    line = Timeline(event.pushed)
    with holding(config, repo, event, head) as hold:
        if candidate.number_of(config, event, head) is not None:
            event = event._replace(base=candidate.range_base(repo, config, hold, head))
        elif event.name == "workflow_dispatch":  # which says nothing of what stood there before
            event = event._replace(base=hold.base)
        log.line(hold.why)
        try:
            hold.story(line)
            outcome = prove(repo, config, event, head, log, hold, line)
        except KeyboardInterrupt:
            log.close()
            outcome = Outcome(smoke.UNKNOWN, say.INTERRUPTED, None, [])
        lane_text = hold.give(outcome.result, outcome.reason)
        line.mark(when.verdict(outcome.result))
    tell(log, event, outcome, lane_text, hold, line, cancel)
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
        runner.set_outputs(
            env.get("GITHUB_OUTPUT"), outputs(Outcome(smoke.UNKNOWN, e.message, None, []), Hold(""), False)
        )
        return e.exit_code
    except KeyboardInterrupt:
        runner.set_outputs(
            env.get("GITHUB_OUTPUT"), outputs(Outcome(smoke.UNKNOWN, say.INTERRUPTED, None, []), Hold(""), True)
        )
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
