"""smoke, smoke stats: run the declared steps on what is checked out and record the verdict; what earlier runs say."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from .. import ops
from ..errors import COULD_NOT_TELL, INTERRUPTED, OK, REFUSED, StoreDown, UsageError
from ..messages import gate_runs as stats_say
from ..messages import smoke as say

if TYPE_CHECKING:
    import argparse

    from ..config import Config
    from ..lock import MergeLock
    from ..ops import Session
    from ..output import Output
    from ..smoke import SmokeReport
    from ..steps import StepResult, StepStart, Tick
    from ..verdicts import Known, Scope

COLOURS = {"green": "green", "red": "red"}


class Shown:
    """What people see while the steps run: each line with its step's name, on a terminal a line that is rewritten."""

    def __init__(self, out: Output, config: Config) -> None:
        self.out, self.budget_s = out, config.smoke_budget_s
        self.widest = min(20, max((len(s.name) for s in config.smoke), default=0))

    def line(self, step: str, text: str) -> None:
        self.out.note(f"{step:{self.widest}} | {text}")

    def step(self, event: StepStart | StepResult) -> None:
        from ..steps import StepResult

        if isinstance(event, StepResult) and event.again:
            self.out.note(say.step_line(event))

    def tick(self, now: Tick) -> None:
        self.out.progress(say.under_way(now)[: shutil.get_terminal_size().columns - 1])


def smoke(args: argparse.Namespace, out: Output) -> int:
    from .. import policy
    from .. import smoke as gate
    from ..interrupts import alike

    session = ops.Session(url=args.redis_url)
    repo = session.repo
    # The steps are those of the tree that is judged; everything else is the lane's policy.
    config = policy.working_tree(repo) or session.config
    lock = _lock(session, config, out)
    known = None if args.no_cache or lock is None else _known(session, config, lock)
    if known is not None and lock is not None:
        return _spared(args, session, config, known, lock, out)
    scope = _scope(session, config, lock, args.all)
    if scope.note or scope.base:
        out.note(scope.note or say.compared(scope.base or ""))
    session.close()  # what is between here and the store may end a connection that is quiet for minutes
    shown = Shown(out, config)
    with alike():
        report = gate.run_tree(
            repo, config, on_line=shown.line, on_step=shown.step, on_tick=shown.tick, paths=scope.paths
        )
    for step in report.steps:
        out.say("  " + say.step_line(step))
    said = say.verdict_line(report)
    out.say(said, colour=COLOURS.get(report.result, "yellow"))
    if not config.smoke:
        out.say(say.HOW_TO_DECLARE)
    recorded, then = False, None
    if report.tree is None and not report.interrupted:
        out.say(say.not_clean(gate.unclean(repo, config)))
    elif report.tree and not report.interrupted:
        recorded, then = _record(session, config, report, out)
    if report.result == "green" and not recorded:
        out.say("Green here, but no verdict is recorded: it says nothing of a commit to anybody else.", colour="yellow")
    _junit(args.junit, report.result, report.reason, report, out)
    if out.json:
        base = scope.base if scope.paths is not None else None
        shape = {**gate.to_json(report), "recorded": recorded, "base": base, "known": None}
        if report.result == "green" and recorded:
            out.answer(**shape, next_action=then)
        else:
            out.refused_with(said, report.result, "prp smoke", hint=report.reason, **shape)
    if report.interrupted:
        return INTERRUPTED
    if report.result == "red":
        return REFUSED
    return OK if recorded else COULD_NOT_TELL


# --- without a run ----------------------------------------------------------------------------------------------------
def _lock(session: Session, config: Config, out: Output) -> MergeLock | None:
    """Where verdicts are. A store that does not answer costs what it knows, and the run goes on."""
    from ..lock import MergeLock

    if not config.smoke:
        return None
    try:
        return MergeLock(session.store(), config.ledger_lane, config.times)
    except StoreDown as e:
        out.note(say.store_silent_here(e.message), colour="yellow")
        return None


def _known(session: Session, config: Config, lock: MergeLock) -> Known | None:
    from .. import lane, verdicts
    from .. import smoke as gate

    head = session.repo.head
    if head is None or gate.clean_tree(session.repo, config) is None:
        return None
    try:
        return verdicts.find(session.repo, config, lock, head, verdicts.LOCAL, lane.judge_range)
    except StoreDown:
        return None


def _scope(session: Session, config: Config, lock: MergeLock | None, everything: bool) -> Scope:
    """What steps with `changed` are compared with: the lane's tip; on the lane itself, the commit before."""
    from .. import smoke as gate
    from .. import verdicts

    repo, head = session.repo, session.repo.head
    if everything or head is None or not any(s.changed for s in config.smoke):
        return verdicts.Scope(None)
    tip = repo.known_tip(config.remote, config.ledger_lane)
    base = repo.sha(f"{head}^") if tip and repo.is_ancestor(head, tip) else tip
    try:
        clean = gate.clean_tree(repo, config) is not None
        return verdicts.scope(
            repo, config, lock if clean else None, base, head, verdicts.LOCAL, () if clean else gate.unclean(repo)
        )
    except StoreDown as e:
        return verdicts.Scope(None, None, say.not_asked(e.message))


def _spared(
    args: argparse.Namespace, session: Session, config: Config, known: Known, lock: MergeLock, out: Output
) -> int:
    """Say whence the verdict came, and note an inherited one for this tree: as local, whatever it was below."""
    from .. import verdicts

    said = say.known(known)
    try:
        proven = verdicts.take(lock.store, known, agent=session.agent.name, sha=session.repo.head or "")
    except StoreDown as e:
        raise StoreDown(say.not_noted(e.message), code=e.code, next_action=e.next_action) from None
    for prp_id in proven:
        out.say(say.complete_now(prp_id), colour="green")
    out.say(f"smoke gate green on tree {known.tree[:7]}: {said}", colour="green")
    out.say(say.NO_CACHE)
    then = None if proven else _still_wait(session, config, out)
    _junit(args.junit, "green", said, None, out)
    out.answer(
        next_action=then,
        result="green",
        reason=said,
        tree=known.tree,
        steps_hash=known.steps,
        started=None,
        duration_s=0.0,
        budget_s=config.smoke_budget_s,
        parallel=None,
        steps=[],
        recorded=True,
        base=None,
        known={
            "how": known.how,
            "class": known.klass,
            "by": known.by,
            "proven": ops.iso(known.proven_ms),
            "run_url": known.run_url,
            "sha": known.head,
        },
    )
    return OK


def _record(session: Session, config: Config, report: SmokeReport, out: Output) -> tuple[bool, str | None]:
    """Whether the verdict is recorded, and what to do if it proves nothing of what has landed."""
    from .. import verdicts

    assert report.tree is not None
    try:
        done = verdicts.record(session.store(), report, agent=session.agent.name, sha=session.repo.head or "")
    except StoreDown as e:
        out.note(f"The verdict is not recorded: {e.message}", colour="yellow")
        return False, None
    if done is None:
        return False, None
    out.say(f"Recorded for tree {report.tree[:12]}, class local.")
    for prp_id in done.proven:
        out.say(say.complete_now(prp_id), colour="green")
    then = _still_wait(session, config, out) if report.result == "green" and not done.proven else None
    return done.written or done.result == report.result, then


def _still_wait(session: Session, config: Config, out: Output) -> str | None:
    """Say what waits for a green verdict although this one is green, and what to do; None when nothing waits."""
    from .. import evidence
    from ..messages import evidence as words

    try:
        ids = evidence.waiting(session.store())
    except StoreDown:
        return None
    then = evidence.proof(session.repo, config)
    if not ids or then == words.HERE:
        return None
    out.say(words.still_wait(ids, config.ledger_lane, then == words.IN_CI), colour="yellow")
    out.say(f"  {then}")
    return then


def _junit(path: str | None, result: str, reason: str, report: SmokeReport | None, out: Output) -> None:
    from .. import junit

    if path:
        folder = os.path.dirname(path)
        if folder and not os.path.isdir(folder):
            out.note(f"{folder} is not there yet: it is made for the JUnit report.")
        try:
            junit.write(path, result, reason, report)
        except OSError as e:
            raise UsageError(say.not_written(path, os.strerror(e.errno or 0)), code="junit") from None


# --- what earlier runs say --------------------------------------------------------------------------------------------
def stats(args: argparse.Namespace, out: Output) -> int:
    from .. import gate_runs

    if args.count < 1:
        raise UsageError("-n takes a number from 1 up.", code="usage")
    runs = gate_runs.read(ops.Session(url=args.redis_url).store(), args.count)
    found = [s for klass in ("ci", "local") if (s := gate_runs.stats(runs, klass))]
    if not found:
        out.say(stats_say.NONE)
    for n, one in enumerate(found):
        out.say(("\n" if n else "") + stats_say.heading(one), colour="bold")
        out.table([stats_say.row(f) for f in (one.gate, *one.steps)], stats_say.HEAD)
        for line in stats_say.lines(one):
            out.say(line)
        if one.slow:
            out.say(stats_say.slow(one), colour="yellow")
    out.answer(classes=[gate_runs.to_json(s) for s in found])
    return OK
