"""smoke: run the declared steps on what is checked out and record the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import ops
from ..errors import COULD_NOT_TELL, OK, REFUSED, StoreDown
from ..model import Verdict

if TYPE_CHECKING:
    import argparse

    from ..output import Output


def smoke(args: argparse.Namespace, out: Output) -> int:
    from .. import policy
    from .. import smoke as gate

    session = ops.Session(url=args.redis_url)
    repo = session.repo
    # The steps are those of the tree that is judged; everything else is the lane's policy.
    config = policy.working_tree(repo) or session.config
    tree = gate.clean_tree(repo, config)
    steps_hash = gate.steps_hash(config.smoke, config.smoke_budget_s)
    report = gate.run(
        config.smoke,
        repo.top,
        budget_s=config.smoke_budget_s,
        on_line=lambda step, line: out.note(f"{step} | {line}"),
        on_step=lambda event: out.progress(f"smoke: {event.name} …"),
    )
    colour = {"green": "green", "red": "red"}.get(report.result, "yellow")
    for step in report.steps:
        out.say(f"  {step.name:<20} {step.outcome:<8} {step.duration_s:.1f} s")
    said = f"smoke: {report.result} in {report.duration_s:.1f} s of {report.budget_s} s"
    out.say(said + (f": {report.reason}" if report.reason else ""), colour=colour)
    recorded = None
    if tree is None:
        out.say("Not recorded: the working tree differs from HEAD, so this says nothing of a commit.")
    elif report.result != "unknown":
        from .. import prps

        try:
            verdict = Verdict(tree, steps_hash, "local", report.result)
            prps.note_verdict(session.store(), verdict, agent=session.agent.name, sha=repo.head or "")
            recorded = tree
            out.say(f"Recorded for tree {tree[:12]} (class local).")
        except StoreDown as e:
            out.note(f"Not recorded: {e.message}", colour="yellow")
    if out.json:
        shape = {**gate.to_json(report), "recorded": recorded}
        if report.result == "green":
            out.answer(**shape)
        else:
            out.refused_with(said, report.result, "prp smoke", hint=report.reason, **shape)
    return {"green": OK, "red": REFUSED}.get(report.result, COULD_NOT_TELL)
