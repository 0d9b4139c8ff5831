"""What people read when store and ledger are brought together, and when a hand edit that landed is settled."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from ..output import inert
from .lane import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..model import Prp
    from ..settle import Step
    from ..sync import Move

SHOWN = 20  # changes that the plan names one by one
UP_TO_DATE = "The store has all that the lane records."
NOTHING_CHANGED = "Nothing was changed."


def not_here(prp_id: str, path: str) -> UserError:
    return UserError(
        f"{inert(prp_id)} is not in this working tree's ledger ({inert(path)}).",
        code="stale-line",
        next_action="git pull --rebase --autostash",
    )


def nothing(p: Any) -> UserError:
    return UserError(
        f"{p.id} is in the lane as its rev says ({p.rev or 'no rev'}): there is no hand edit to take.",
        code="nothing-to-settle",
        hint="What this working tree says instead is thrown away with --ours.",
        next_action=f"prp sync --ours {p.id}",
    )


def not_landed(p: Any) -> UserError:
    last = p.chain[-1]
    return UserError(
        f"{p.id} has nothing to settle here: {inert(last.agent)} took it to {inert(last.status)} ({p.rev}), which has "
        "not landed and is theirs to bring. Nothing was changed.",
        code="nothing-to-settle",
        next_action=f"prp status {p.id}",
    )


def no_status(prp: Prp) -> UserError:
    return UserError(
        f"{prp.id}: the hand edit says status {inert(prp.status)!r}, which is none. Nothing was changed.",
        code="status",
        next_action=f"prp sync --apply --ours {prp.id}",
    )


def not_by_hand(prp: Prp) -> UserError:
    return UserError(
        f"{prp.id}: the hand edit says complete, and that is proven, not typed. Nothing was changed.",
        code="not-by-hand",
        hint=f"Put back what stands, then prp complete {prp.id} fetches the evidence.",
        next_action=f"prp sync --apply --ours {prp.id}",
    )


def another_here(entry: Prp, lane: str) -> UserError:
    return UserError(
        f"{entry.file}:{entry.line}  {entry.id} is neither what stands nor what {inert(lane)} has.",
        code="stale-line",
        hint="Take the lane in first, or put back what stands: prp sync --apply --ours " + entry.id,
        next_action="git pull --rebase --autostash",
    )


def detail(on: str, key: str, status: str) -> str:
    return f"{on or 'nothing'} -> {inert(status)} {key}, a hand edit taken as it is"


def plan_lines(move: Move) -> list[str]:
    report = move.report
    if not move.args:
        lines = [UP_TO_DATE]
    else:
        here = (report.cursor_before or "nothing")[:10]
        many = counted(len(report.changed), "PRP changes", "PRPs change")
        lines = [f"Cursor {here} -> {(report.cursor_after or 'nothing')[:10]}: {many}."]
        lines += [f"  lands: {i} {inert(status)} ({seal})" for i, seal, status in report.landed]
        shown = move.changes[:SHOWN]
        lines += [f"  {inert(i)}: {inert(before)} -> {inert(after)}" for i, before, after in shown]
        if len(move.changes) > SHOWN:
            lines.append(f"  … and {len(move.changes) - SHOWN} more (--json has them all)")
    return lines + ([report.note] if report.note else [])


def conflict_lines(prp_id: str, text: str) -> list[str]:
    if not prp_id:
        return [f"  conflict: {inert(text)}"]
    name = shlex.quote(prp_id)
    return [
        f"  conflict: {inert(prp_id)}: {inert(text)}",
        f"    what stands:    prp sync --apply --ours {name}",
        f"    the hand edit:  prp sync --apply --theirs {name}",
    ]


def step_lines(step: Step) -> list[str]:
    if not step.changes:
        return [f"{inert(step.id)} ({step.side}): it is so already."]
    which = "what stands" if step.side == "ours" else "the hand edit, as a milestone"
    lines = [f"{inert(step.id)} ({step.side}): {which}, rev {step.rev or 'none'}, in {inert(step.file)}"]
    return lines + [
        f"  {inert(n)}: {inert(_text(was))} -> {inert(_text(step.fields[n]))}" for n, was in step.was.items()
    ]


def _text(value: Any) -> str:
    return "nothing" if value is None else str(value)


def commit(ids: Sequence[str], files: Sequence[str]) -> str:
    paths = " ".join(shlex.quote(":/" + f) for f in dict.fromkeys(files))
    message = shlex.quote(f"Ledger: settle {', '.join(ids)}")
    return f"git commit -m {message} -- {paths} && git push"
