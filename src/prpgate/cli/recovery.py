"""rebuild, sync: bring store and ledger together, and say first what that does."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .. import ops
from ..errors import OK, REFUSED, StoreDown, UsageError
from ..messages import lane as words
from ..messages import rebuild as say

if TYPE_CHECKING:
    import argparse

    from ..ops import Session
    from ..output import Output
    from ..rebuild import Plan, Proof
    from ..store.client import Store


def agreed(out: Output, question: str) -> bool:
    """Ask on a terminal. Without one nobody agreed: the command says what it would do and how to say yes."""
    if not sys.stdin.isatty():
        return False
    out.note(f"{question} [y/N]")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _store(session: Session) -> Store:
    """The project's store, or the empty one that stands in its place."""
    from ..store import client

    try:
        return session.store()
    except StoreDown as e:
        if e.code != "store-empty":
            raise
    return client.connect(session.config, session.repo.root, url=session.url, timeout_s=5.0, adopt_check=False)


def rebuild(args: argparse.Namespace, out: Output) -> int:
    from .. import rebuild as recovery

    session = ops.Session(url=args.redis_url)
    config = session.config
    store = _store(session)
    out.progress("fetching the lane and comparing …")
    plan = recovery.look(session.repo, store, config)
    for line in say.plan_lines(plan):
        out.say(line)
    if plan.state == recovery.INTACT and not args.anew:
        assert plan.proof is not None
        return _end(plan, plan.proof, out, did=False)
    if not (args.yes or agreed(out, f"Fill {store.url} from git?")):
        _lost(plan, out)
        command = "prp rebuild --yes" + (" --anew" if args.anew else "")
        out.say("Nothing was changed.")
        out.say(f"  {command}")
        if out.json:
            out.refused_with("a rebuild was planned, not done.", "not-confirmed", command, **_json(plan, None, False))
        return REFUSED
    proof = recovery.rebuild(session.repo, store, config, plan, session.agent.name)
    return _end(plan, proof, out, did=True, quiet_s=config.times.lease_ms / 1000)


def _end(plan: Plan, proof: Proof, out: Output, *, did: bool, quiet_s: float = 0.0) -> int:
    for line in say.proof_lines(proof):
        out.say(line, colour=None if proof.holds else "red")
    shape = _json(plan, proof, did and proof.holds)
    if not proof.holds:
        out.say(say.NOT_THE_STORE_YET, colour="red")
        out.say("  prp rebuild")
        if out.json:
            out.refused_with("store and ledger do not agree.", "disagree", "prp rebuild", **shape)
        return REFUSED
    if did:
        out.say(say.VERDICTS)
        out.say(f"Rebuilt. Pushes to lanes are let go from {words.clock(quiet_s)} on.", colour="green")
    else:
        out.say("Nothing was changed. To read everything from git again all the same: prp rebuild --anew")
    _lost(plan, out)
    out.answer(**shape, next_action="prp list" if did else None)
    return OK


def _lost(plan: Plan, out: Output) -> None:
    out.say(say.lost_head(len(plan.lost)))
    if any(one.landed for one in plan.lost):
        out.say(say.LOST_IN_THE_LANE)
    out.table([say.lost_row(one) for one in plan.lost])


def _json(plan: Plan, proof: Proof | None, rebuilt: bool) -> dict[str, Any]:
    return {
        "state": plan.state,
        "tip": plan.tip,
        "rebuilt": rebuilt,
        "kept": [{"id": i, "rev": seal, "status": status} for i, seal, status in plan.kept],
        "lost": [one._asdict() for one in plan.lost],
        "proof": None
        if proof is None
        else {
            **proof._asdict(),
            "differ": [{"id": i, "what": what} for i, what in proof.differ],
            "holds": proof.holds,
        },
    }


def sync(args: argparse.Namespace, out: Output) -> int:
    from .. import prps, settle
    from .. import sync as moving
    from ..messages import settle as said

    if both := set(args.ours) & set(args.theirs):
        raise UsageError(f"{min(both)}: either --ours or --theirs.", code="usage", next_action="prp sync --help")
    session = ops.Session(url=args.redis_url)
    ctx = session.context()
    move = moving.preview(session.repo, ctx.store, session.config)
    for line in said.plan_lines(move):
        out.say(line)
    report = prps.sync(session.repo, ctx.store, session.config) if args.apply else move.report
    if args.apply and move.args:
        out.say(f"Done: {len(report.changed)} changed, {len(report.landed)} landed.", colour="green")
    asked = [(i, settle.OURS) for i in args.ours] + [(i, settle.THEIRS) for i in args.theirs]
    steps, files = [], []
    for any_id, side in asked:
        step = settle.plan(ctx, any_id, side)
        steps.append(step)
        for line in said.step_lines(step):
            out.say(line)
        file = settle.apply(ctx, step) if args.apply else None
        files += [file] if file else []
    settled = {step.id for step in steps}
    for prp_id, text in report.conflicts:
        if prp_id not in settled:
            for line in said.conflict_lines(prp_id, text):
                out.say(line, colour="yellow")
    then = None
    if files:
        then = said.commit([s.id for s in steps], files)
    elif not args.apply:
        if not move.args and not any(s.changes for s in steps):
            then = None
        else:
            sides = [f" --{side} {step.id}" for step, (_, side) in zip(steps, asked, strict=True)]
            then = "prp sync --apply" + "".join(sides)
            out.say(said.NOTHING_CHANGED)
    if then:
        out.say(f"  {then}")
    out.answer(
        **ops.sync_json(report),
        applied=bool(args.apply),
        cursor_before=move.report.cursor_before,
        tip=move.report.cursor_after,
        changes=[{"id": i, "before": before, "after": after} for i, before, after in move.changes],
        settle=[{"id": s.id, "side": s.side, "file": s.file, "rev": s.rev, "changes": s.changes} for s in steps],
        next_action=then,
    )
    return OK
