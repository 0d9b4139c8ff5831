"""smoke: run the declared steps on what is checked out and record the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import ops
from ..errors import COULD_NOT_TELL, INTERRUPTED, OK, REFUSED, StoreDown
from ..messages import smoke as say
from ..model import Verdict

if TYPE_CHECKING:
    import argparse

    from ..ops import Session
    from ..output import Output
    from ..smoke import SmokeReport

COLOURS = {"green": "green", "red": "red"}


def smoke(args: argparse.Namespace, out: Output) -> int:
    from .. import policy
    from .. import smoke as gate

    session = ops.Session(url=args.redis_url)
    repo = session.repo
    # The steps are those of the tree that is judged; everything else is the lane's policy.
    config = policy.working_tree(repo) or session.config
    report = gate.run_tree(
        repo,
        config,
        on_line=lambda step, line: out.note(f"{step} | {line}"),
        on_step=lambda event: out.progress(f"smoke: {event.name} …"),
    )
    for step in report.steps:
        out.say("  " + say.step_line(step))
    said = say.verdict_line(report)
    out.say(said, colour=COLOURS.get(report.result, "yellow"))
    if not config.smoke:
        out.say(say.HOW_TO_DECLARE)
    recorded = False
    if report.tree is None and not report.interrupted:
        out.say(say.not_clean(gate.unclean(repo, config)))
    elif report.tree and report.result != "unknown":
        recorded = _record(session, report, out)
    if report.result == "green" and not recorded:
        out.say("Green here, but no verdict is recorded: it says nothing of a commit to anybody else.", colour="yellow")
    if out.json:
        shape = {**gate.to_json(report), "recorded": recorded}
        if report.result == "green" and recorded:
            out.answer(**shape)
        else:
            out.refused_with(said, report.result, "prp smoke", hint=report.reason, **shape)
    if report.interrupted:
        return INTERRUPTED
    if report.result == "red":
        return REFUSED
    return OK if recorded else COULD_NOT_TELL


def _record(session: Session, report: SmokeReport, out: Output) -> bool:
    from .. import prps

    assert report.tree is not None
    verdict = Verdict(report.tree, report.steps_hash, "local", report.result)
    try:
        done = prps.note_verdict(session.store(), verdict, agent=session.agent.name, sha=session.repo.head or "")
    except StoreDown as e:
        out.note(f"The verdict is not recorded: {e.message}", colour="yellow")
        return False
    out.say(f"Recorded for tree {report.tree[:12]}, class local.")
    for prp_id in done.proven:
        out.say(f"{prp_id} is complete: its line landed, and the tree that has it is green.", colour="green")
    return done.written or done.result == report.result
