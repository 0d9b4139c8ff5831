"""Hand edits of sealed fields that landed: which side stands is for a person to say (`prp sync --ours/--theirs`).

Until somebody says so the last valid entry stands for everybody, and every sync reports it. `ours` writes what stands
back into this working tree: a sealed, correct line to commit. `theirs` makes the hand edit a milestone: a new rev in
the working tree, pending in the store under the caller's name, and an event. Nothing is complete by a hand edit.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from . import claimfile, ledger, ledger_edit, live, record, seal
from .errors import UserError
from .messages import prps as words
from .messages import settle as say
from .model import COMPLETE, STATUSES

if TYPE_CHECKING:
    from .ledger import Ledger
    from .live import Line, PrpState, State
    from .milestone import Context
    from .model import Prp

OURS, THEIRS = "ours", "theirs"
VERB = "settle"
TRIES = 20  # others that may write the same file first


class Step(NamedTuple):
    """What settling one PRP does, before it is done."""

    id: str
    side: str  # ours or theirs
    file: str
    fields: dict[str, Any]  # milestone fields of the working tree's entry, as they will be
    over: dict[str, Any]  # the same fields as they are now
    rev: str | None  # the entry's then
    line: Line | None  # theirs: the new milestone; None when the store has it already
    detail: str  # of the event

    @property
    def was(self) -> dict[str, Any]:
        """The fields that change, as they are now."""
        return {n: v for n, v in self.over.items() if v != self.fields[n]}

    @property
    def changes(self) -> bool:
        return bool(self.was) or self.line is not None


def plan(ctx: Context, any_id: str, side: str) -> Step:
    """What `apply` would do. Raises UserError when there is nothing to settle or it cannot be done here."""
    state = live.read(ctx.store, ctx.config)
    tree = ledger.load(ctx.repo, ctx.config, None)
    if tree.errors:
        raise words.unreadable(tree.errors[0])
    p = state.resolve(any_id)
    entry = tree.prps.get(p.id) if p else tree.resolve(any_id)
    if p is None and (entry is None or side == OURS):
        raise words.unknown(any_id, state)
    if entry is None:
        raise say.not_here(p.id if p else any_id, ctx.config.ledger_path)
    if side == OURS:
        assert p is not None
        return _ours(ctx, p, entry)
    return _theirs(ctx, state, p, entry)


def apply(ctx: Context, step: Step) -> str | None:
    """Do it: the ledger file that was written, None when it was so already. Raises UserError; then nothing changed."""
    if step.line is None:
        return _write(ctx, step)
    before = live.one(step.id, live.fetch(ctx.store))
    keys = live.script_keys(ctx.store.keys)
    args = [step.id, live.dump_line(step.line), _me(ctx, step.id), step.detail]
    answer = ctx.store.run("prp_settle", keys, args)
    if not answer["ok"]:
        state = live.read(ctx.store, ctx.config)
        at = state.prps.get(step.id)
        if at is None or answer["code"] == "changed":
            raise words.busy(step.id)
        raise words.refused("settle", answer, at, state, (answer.get("claim") or {}).get("agent") == ctx.agent.name)
    try:
        return _write(ctx, step)
    except UserError:
        claim = answer.get("claim")
        was = before.claim.raw if before and before.claim else ""
        fence = str(int(claim["fence"])) if claim else ""
        ctx.store.run("prp_undo", keys, [step.id, step.line.seal, fence, was, answer.get("replaced", "")])
        raise


def _ours(ctx: Context, p: PrpState, entry: Prp) -> Step:
    """What stands, over whatever this working tree says. An entry without a seal gets none by this.

    A milestone of somebody else that has not landed is theirs to bring: then what the lane records is written.
    """
    here, whole, rev = record.identity(entry), p.fields, p.rev
    if p.chain and here != p.seal and ctx.agent.name not in (p.chain[-1].agent, p.owner):
        on = live.fetch_some(ctx.store, [p.id]).recorded.get(p.id)
        if on is None or here in {line.on for line in p.chain}:
            raise say.not_landed(p)
        base = record.parse(p.id, on)
        whole, rev = base.fields, base.seal if base.number else None
    fields = {n: whole.get(n) for n in record.GROUP}
    return Step(p.id, OURS, entry.file, fields, _now(entry), rev, None, "")


def _theirs(ctx: Context, state: State, p: PrpState | None, entry: Prp) -> Step:
    top = p.chain[-1] if p and p.chain else None
    if p and top is not None and top.verb == VERB:  # taken already; the line may be missing here
        fields = {n: p.fields.get(n) for n in record.GROUP}
        return Step(p.id, THEIRS, entry.file, fields, _now(entry), p.rev, None, "")
    source = _hand_edit(ctx, state, p, entry)
    if source.status not in STATUSES:
        raise say.no_status(source)
    if source.status == COMPLETE:
        raise say.not_by_hand(source)
    if p is not None and record.identity(entry) != p.seal and _group(entry) != _group(source):
        raise say.another_here(entry, ctx.config.ledger_lane)
    with ctx.store.faults():
        number = int(ctx.store.redis.hget(ctx.store.keys.maxrev, source.id) or 0) + 1
    if record.identity(entry) == entry.rev:  # a line that was lost with a wiped store is gone over, not back to
        number = max(number, entry.number + 1)
    group: dict[str, Any] = {n: source.fields.get(n) for n in record.GROUP}
    group |= dict.fromkeys(seal.EVIDENCE)  # fetched, never typed
    group["rev"] = key = seal.compute(source.id, number, group)
    fields = group if p else {**source.fields, **group}
    detail = say.detail(p.seal if p else "", key, source.status)
    on, branch = p.seal if p else "", ctx.repo.branch or ""
    line = live.Line(key, number, source.status, False, fields, on, ctx.agent.name, branch, VERB)
    return Step(source.id, THEIRS, entry.file, group, _now(entry), key, line, detail)


def _hand_edit(ctx: Context, state: State, p: PrpState | None, entry: Prp) -> Prp:
    """What there is to take: the lane's entry that is not what its seal says, or this tree's that nobody knows."""
    if p is None:  # only a wiped store can have known a sealed line of a PRP that the lane never had
        if entry.rev and record.identity(entry) == entry.rev:
            return entry
        raise words.not_recorded(entry, ctx.config.ledger_lane)
    tip = ledger.load(ctx.repo, ctx.config, state.cursor) if state.cursor else ledger.empty()
    there = tip.prps.get(p.id)
    if there is not None and ((record.identity(there) != p.seal and not p.chain) or _reported(ctx, p.id)):
        return there
    if entry.rev and record.identity(entry) == entry.rev and entry.number > p.maxrev:
        return entry
    raise say.nothing(p)


def _reported(ctx: Context, prp_id: str) -> bool:
    with ctx.store.faults():
        known = json.loads(ctx.store.redis.hget(ctx.store.keys.meta, "conflicts") or "[]")
    return any(one[0] == prp_id for one in known)


def _group(prp: Prp) -> dict[str, Any]:
    return {n: v for n in record.GROUP if (v := prp.fields.get(n)) is not None}


def _now(entry: Prp) -> dict[str, Any]:
    return {n: entry.fields.get(n) for n in record.GROUP}


def _me(ctx: Context, prp_id: str) -> str:
    shape = {"agent": ctx.agent.name, "host": ctx.host, "git_dir": ctx.git_dir, "branch": ctx.repo.branch or ""}
    more = {"fence": claimfile.fence(ctx.git_dir, prp_id, ctx.agent.name), "lease": 0}
    # A path or branch that is no UTF-8 would make the store's JSON reader refuse everything.
    return json.dumps({**shape, **more}, ensure_ascii=False).encode("utf-8", "replace").decode()


def _write(ctx: Context, step: Step) -> str | None:
    """The working tree's entry gets the step's fields. Another entry of the file may be written meanwhile."""
    for n in range(TRIES):
        tree: Ledger = ledger.load(ctx.repo, ctx.config, None)
        entry = tree.prps.get(step.id)
        if entry is None or _now(entry) != step.over:
            raise words.moved_here(step.id)
        if not step.was:
            return None
        old = tree.files[entry.file]
        try:
            done = ledger_edit.change(old, entry.file, step.id, step.fields)
            ledger_edit.write(os.path.join(ctx.repo.top, entry.file), old, done)
        except UserError as e:
            if e.code != "changed-underneath" or n == TRIES - 1:
                raise
            continue
        return entry.file
    raise words.moved_here(step.id)
