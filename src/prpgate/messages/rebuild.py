"""What people read when a store is filled from git again."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ..errors import UserError
from ..output import inert
from .lane import counted, span

if TYPE_CHECKING:
    from ..rebuild import Lost, Plan, Proof

SHALLOW = "the highest revs are found in the lane's whole history, and this is a shallow clone."
NO_CURSOR = "the store has no cursor: it was never filled"
NOT_WAITING = "the store has it waiting for a green verdict, the ledger has no such line"
STATES = {
    "wiped": "This store is empty: it was wiped, or is new.",
    "unfilled": "This is the project's store, but what it had of PRPs is gone.",
    "damaged": "This is the project's store, but it does not say what the ledger says.",
    "intact": "This store is not wiped, and it agrees with the ledger.",
}
VERDICTS = "Verdicts are not in git: complete lines without evidence wait for one green verdict (prp smoke)."


def done(state: str, count: int, tip: str) -> str:
    return f"{state}; {counted(count, 'PRP')} from {tip[:10]}"


def lane_gone(remote: str, lane: str) -> str:
    return f"{inert(remote)} has no branch {inert(lane)} any more, though this clone has seen it there."


def another_store(url: str, found: str) -> UserError:
    return UserError(
        f"{url} became the store {inert(found)} meanwhile. It was left so.",
        code="store-other",
        next_action="prp redis-status",
    )


def cursor_not_here(cursor: str) -> str:
    return f"the store has seen the lane at {cursor[:10]}, which is not in this clone."


def only_in(which: str) -> str:
    return f"only {which} has it"


def other_line(ledger: str, store: str) -> str:
    if ledger == store:
        return f"line {ledger}, but title, dependencies or notes differ"
    return f"the ledger has {ledger}, the store {store}"


def low_number(ledger: int, store: int) -> str:
    return f"the lane has had rev number {ledger}, the store knows of {store}"


def plan_lines(plan: Plan) -> list[str]:
    """What would be done, before it is."""
    lines = [STATES[plan.state]]
    if plan.move is not None:
        found = counted(plan.move.synced, "PRP")
        lines.append(f"From git: {found} as of {plan.tip[:10]}, {len(plan.move.changed)} to write.")
        lines += [f"  conflict: {inert(i)}: {inert(text)}" for i, text in plan.move.conflicts]
    if plan.kept or plan.claims:
        kept, claims = counted(len(plan.kept), "pending milestone"), counted(plan.claims, "claim")
        lines.append(f"Kept: {kept} and {claims} that the store has.")
        lines += [f"  {inert(i)} {inert(status)} ({seal})" for i, seal, status in plan.kept]
    return lines


def proof_lines(proof: Proof) -> list[str]:
    counts = ", ".join(f"{n} {s}" for s, n in proof.counts.items()) or "none"
    lines = [
        f"Compared: {counted(proof.ledger, 'PRP')} in the ledger at {proof.tip[:10] or 'nothing'}, "
        f"{proof.store} in the store, {proof.agree} the same ({counts}); highest revs of {proof.sealed}.",
    ]
    lines += [f"  differs: {inert(i) or 'all'}: {inert(what)}" for i, what in proof.differ]
    if proof.waiting:
        wait = counted(len(proof.waiting), "has landed as complete and waits", "have landed as complete and wait")
        lines.append(f"{wait} for a green verdict (prp smoke).")
    return lines


def lost_head(count: int) -> str:
    if not count:
        return "No branch here carries a claim that the lane does not have (after git fetch --all: every pushed one)."
    return f"{count} {'claims were' if count > 1 else 'claim was'} lost; each owner takes it again, on that branch:"


LOST_IN_THE_LANE = (
    "(Of one that has landed only the store knew whether it was still claimed; any current branch will do.)"
)


def lost_row(one: Lost) -> tuple[str, ...]:
    commit = f"{one.commit[:10]}, {span(one.age_s or 0)} old" if one.commit else "not committed"
    commit = "landed" if one.landed else commit
    return ("  " + one.id, one.status, one.owner or "nobody", one.branch, commit, one.command)


def take_again(prp_id: str, *, recorded: bool) -> str:
    """What the owner of a lost claim types. A PRP that the lane never had is made known first."""
    start = f"prp start {shlex.quote(prp_id)}"
    return start if recorded else f"prp sync --apply --theirs {shlex.quote(prp_id)} && {start}"


def taken_again(rev: str) -> str:
    return f"the line that this branch had ({rev}) was lost with the store; this one stands in its place"


NOT_THE_STORE_YET = "Store and ledger do not agree, so nothing was let in. Somebody may have landed meanwhile: again."
