"""next, release, handover, block, unblock, assign, note, phase, deprecate, graph, why: who has what, and why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import ops
from ..errors import OK, UsageError
from ..messages import claims as claims_say
from ..messages import lane as words
from ..output import inert
from .mail import unread_note
from .prps import COMMIT, verb

if TYPE_CHECKING:
    import argparse

    from ..output import Output
    from ..prps import PrpState

SHOWN = 10


def next_(args: argparse.Namespace, out: Output) -> int:
    from .. import prps

    if args.claim:
        return verb(args, out, lambda ctx: prps.claim_next(ctx, args.domain), _yours, COMMIT, whole=False)
    session = ops.Session(url=args.redis_url)
    ops.greet(session)
    unread_note(session, out)
    found = prps.choice(session.context(), args.domain)
    first = found.ready[0].id if found.ready else None
    then = f"prp start {first}" if first else prps.unvalidated(session.context(), found)
    yours = [p for p, _ in found.claimed if p.claim and p.claim.agent == session.agent.name]
    given = [p.id for p in yours if p.claim and not p.claim.git_dir]
    if given:
        then = f"prp start {given[0]}"
    elif then is None and found.claimed:
        then = f"prp complete {yours[0].id}" if yours else f"prp why {found.claimed[0][0].id}"
    out.answer(
        prps=[ops.prp_json(p) for p in found.ready],
        waiting=[{"id": p.id, "why": why} for p, why in found.waiting],
        claimed=[{"id": p.id, "why": why} for p, why in found.claimed],
        yours=[p.id for p in yours],
        general=found.general,
        more=found.more,
        next_action=then,
    )
    for p in yours:
        whose = "handed over to you" if p.id in given else "yours"
        left = words.span(p.claim.deadline_s if p.claim else 0)
        out.say(f"{whose}: {p.id}  {inert(p.title)}  ({left} left)")
    for p in found.ready[:SHOWN]:
        out.say(f"{p.id}  {inert(p.priority)}  {inert(p.title)}")
    if len(found.ready) > SHOWN:
        out.say(f"… and {len(found.ready) - SHOWN} more (prp list --status validated)")
    for text in found.general:
        out.say(f"Not picked by --claim now: {text}.", colour="yellow")
    if found.ready:
        if found.waiting:
            p, why = found.waiting[0]
            many = words.counted(len(found.waiting), "is", "are")
            out.say(f"{many} not ready; the first: {p.id}: {why} (prp why {p.id})")
        out.say(f"  {then}")
        if not found.general:
            out.say("  prp next --claim")
        return OK
    out.say("Nothing is ready to start.")
    for p, why in [*found.waiting, *((p, why) for p, why in found.claimed if p not in yours)][:SHOWN]:
        out.say(f"  {p.id}: {why}")
    if then:
        out.say(f"  {then}")
    elif not found.waiting:
        out.say('  prp new "title"')
    return OK


def _yours(p: PrpState) -> str:
    left = f" for {words.span(p.claim.deadline_s)} (any prp command renews it)" if p.claim else ""
    return f"{p.id} is yours{left}: {inert(p.title)}"


def release(args: argparse.Namespace, out: Output) -> int:
    from .. import prps

    return verb(
        args,
        out,
        lambda ctx: prps.release(ctx, args.id, args.note),
        _free_again,
        "prp next",
    )


def _free_again(p: PrpState) -> str:
    if p.phase == "landed":
        return f"{p.id} is nobody's; it has landed as complete, and a green verdict makes it so (prp smoke)"
    to = p.marks.get("assigned", {}).get("agent")
    return f"{p.id} is {p.status}, and nobody's: {f'only {to}' if to else 'anybody'} may take it"


def handover(args: argparse.Namespace, out: Output) -> int:
    from .. import prps

    if (args.agent is None) == (args.to is None):
        raise claims_say.hand_to_whom(args.id)
    to = args.agent if args.to is None else args.to

    def said(p: PrpState) -> str:
        left = f" for {words.span(p.claim.deadline_s)}" if p.claim else ""
        then = f"there, prp start {p.id} takes it up, and until then takes it back here"
        return f"{p.id} is {inert(p.owner)}'s{left}; {then}"

    return verb(args, out, lambda ctx: prps.handover(ctx, args.id, to, args.note, force=args.force), said, COMMIT)


def block(args: argparse.Namespace, out: Output) -> int:
    from .. import prps

    return verb(
        args,
        out,
        lambda ctx: prps.block(ctx, args.id, args.reason, args.by),
        lambda p: f"{p.id} is blocked: prp next passes it over",
        "prp unblock {id}",
    )


def unblock(args: argparse.Namespace, out: Output) -> int:
    from .. import prps

    return verb(
        args, out, lambda ctx: prps.unblock(ctx, args.id), lambda p: f"{p.id} is blocked no more", "prp why {id}"
    )


def assign(args: argparse.Namespace, out: Output) -> int:
    from .. import prps

    if bool(args.agent) == args.clear:
        raise UsageError(
            "assign to whom? An agent's name, or --clear.",
            code="usage",
            hint=f"prp assign {args.id} NAME directs it; these are known:",
            next_action="prp agents",
        )

    def said(p: PrpState) -> str:
        to = p.marks.get("assigned", {}).get("agent")
        if to is None:
            return f"{p.id} is anybody's to start"
        now = f"; {p.claim.agent} has it until then" if p.claim and p.claim.agent != to else ""
        return f"{p.id} is for {to} alone to start{now}"

    return verb(
        args, out, lambda ctx: prps.assign(ctx, args.id, None if args.clear else args.agent), said, "prp status {id}"
    )


def note(args: argparse.Namespace, out: Output) -> int:
    from .. import prps

    return verb(
        args,
        out,
        lambda ctx: prps.note(ctx, args.id, args.text),
        lambda p: f"Noted: whoever takes {p.id} reads it",
        "prp status {id}",
    )


def phase(args: argparse.Namespace, out: Output) -> int:
    from .. import prps

    return verb(
        args,
        out,
        lambda ctx: prps.phase(ctx, args.id, args.name),
        lambda p: f"{p.id} is in {p.stage}",
        "prp status {id}",
    )


def deprecate(args: argparse.Namespace, out: Output) -> int:
    from .. import prps

    return verb(
        args,
        out,
        lambda ctx: prps.deprecate(ctx, args.id, args.by),
        lambda p: f"{p.id} is deprecated, superseded by {p.fields.get('superseded_by')}",
        'git commit -a -m "{id}: deprecated" && git push',
    )


def graph(args: argparse.Namespace, out: Output) -> int:
    from .. import prps
    from ..messages.prps import unknown

    session = ops.Session(url=args.redis_url)
    state = ops.read_state(session)
    root = state.resolve(args.id) if args.id else None
    if args.id and root is None:
        raise unknown(args.id, state)
    draw = prps.graph.mermaid if args.mermaid else prps.graph.tree
    lines = draw(state, root.id if root else None)
    for line in lines:
        out.say(line)
    needs = prps.graph.needs(state)
    shown = prps.graph.members(state, root.id if root else None)
    out.answer(edges=[{"id": i, "depends_on": d} for i in shown for d in needs.get(i, ())], text="\n".join(lines))
    if not lines:
        out.note("Nothing that is open depends on anything (depends_on in the ledger).")
    return OK


def why(args: argparse.Namespace, out: Output) -> int:
    if not args.id:
        from .lane import why as last

        return last(args, out)
    from .. import prps

    session = ops.Session(url=args.redis_url)
    ops.greet(session)
    found = prps.why(session.context(), args.id)
    p = found.prp
    then = next((r.next_action for r in found.reasons if r.next_action), None)
    if not found.reasons:
        then = f"prp validate {p.id}" if p.status == "new" else f"prp start {p.id}"
    shape = [{"text": r.text, "next_action": r.next_action} for r in found.reasons]
    out.answer(prp=ops.prp_json(p), ready=not found.reasons, reasons=shape, next_action=then)
    out.say(f"{p.id}  {inert(p.title)}", colour="bold")
    if not found.reasons:
        out.say(
            f"  It is {p.status} and can be started." if p.status != "new" else "  It is new: it is validated first."
        )
    for r in found.reasons:
        out.say(f"  {r.text}")
    if then:
        out.say(f"  {then}")
    return OK
