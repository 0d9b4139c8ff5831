"""The verbs of PRPS's table that move a PRP along: new, validate, start, complete, reopen.

Each writes the store and the working tree's ledger together, or neither; `milestone` has the steps that they share.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from . import claimfile, evidence, gates, ledger, ledger_edit, live, milestone, picking, record, seal, smoke, sync
from .errors import UserError
from .ledger_scan import is_id
from .live import Line, PrpState
from .messages import evidence as words
from .messages import prps as say
from .milestone import GROUP, TRIES, Context, Done, Look
from .model import COMPLETE, DEPRECATED, IN_PROGRESS, NEW, VALIDATED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .gates import OnLine
    from .ledger import Ledger
    from .live import State

COMPLETING_S = 24 * 3600  # how long a completion may wait for its landing
FIXES = "fixes"  # the field of a PRP that was made for a red commit
NO_EVIDENCE = {"github_commit": None, "ci_run_url": None, "verdict": None}


# --- the verbs -------------------------------------------------------------------------------------------------------


def new(
    ctx: Context,
    title: str,
    doc: str | None = None,
    id: str | None = None,
    *,
    place: Callable[[str, str, dict[str, Any]], None] | None = None,
    more: dict[str, Any] | None = None,
) -> Done:
    """Add a PRP to the ledger, as `new`. Without an id it gets the next free one.

    `place(file, id, fields)` writes the entry where it belongs; without it, it is added behind the others. `more`:
    fields that no milestone touches.
    """
    title = " ".join(title.split())
    if not title:
        raise say.no_title()
    if id is not None and not (is_id(id) and re.fullmatch(ctx.config.id_pattern, id)):
        raise say.bad_id(id, ctx.config.id_pattern)
    notes = milestone.freshen(ctx)
    for _ in range(TRIES):
        state = live.read(ctx.store, ctx.config)
        tree = ledger.load(ctx.repo, ctx.config, None)
        if tree.errors:
            raise say.unreadable(tree.errors[0])
        taken = {i for p in state.prps.values() for i in p.ids} | {*tree.prps, *tree.aliases}
        cut_off = _cut_off(ctx, state, tree, title) if id is None else None
        prp_id = id or cut_off or free_id([*state.prps, *tree.prps], taken | _ever(ctx), ctx.config.id_pattern)
        file = f"{ctx.config.ledger_path}{prp_id}.yaml" if ctx.config.one_file_per_prp else ctx.config.ledger_path
        lost = state.prps.get(prp_id)
        if lost and prp_id not in tree.prps and _my_draft(ctx, lost):  # its line was thrown away: write it again
            (place or partial(_add, ctx))(file, prp_id, lost.chain[0].fields)
            return Done(lost, file, True, notes)
        if prp_id in taken:
            raise say.taken(prp_id)
        with ctx.store.faults():
            number = int(ctx.store.redis.hget(ctx.store.keys.maxrev, prp_id) or 0) + 1
        key = seal.compute(prp_id, number, {"status": NEW})
        fields = {"title": title, "status": NEW, "rev": key, **({"doc": doc} if doc else {}), **(more or {})}
        ledger_edit.add(tree.files.get(file), file, prp_id, fields)  # what cannot be written is found out first
        line = Line(key, number, NEW, False, fields, "", ctx.agent.name, ctx.repo.branch or "", "new")
        answer = milestone.call(ctx, "prp_new", prp_id, live.dump_line(line), milestone.me(ctx, prp_id))
        if answer["code"] == "changed" or (answer["code"] == "exists" and id is None):
            continue
        if not answer["ok"]:
            raise say.taken(prp_id)
        try:
            (place or partial(_add, ctx))(file, prp_id, fields)
        except UserError:
            milestone.call(ctx, "prp_undo", prp_id, key, "", "", answer.get("replaced", ""))
            raise
        return Done(milestone.now(ctx, prp_id), file, False, notes)
    raise say.busy(title)


def new_fix(ctx: Context, rev: str, title: str = "", doc: str | None = None, id: str | None = None) -> Done:
    """Add a PRP that mends a commit whose smoke gate is red; its field `fixes` names the commit.

    Raises UserError where nothing red is known of the commit, and where somebody made such a PRP that is not done yet.
    """
    sha = ctx.repo.sha(f"{rev}^{{commit}}")
    if sha is None:
        raise words.no_commit(rev)
    verdict = evidence.red(ctx.store, ctx.repo.tree(sha) or "")
    if verdict is None:
        raise words.not_red(sha)
    milestone.freshen(ctx)
    tree = ledger.load(ctx.repo, ctx.config, None)
    for p in live.read(ctx.store, ctx.config).prps.values():
        cut_off = _my_draft(ctx, p) and p.id not in tree.prps
        if p.fields.get(FIXES) == sha and p.status not in (COMPLETE, DEPRECATED) and not cut_off:
            raise words.is_being_fixed(p.id, sha)
    subject = ctx.repo.text("log", "-1", "--no-show-signature", "--format=%s", sha)
    more = {FIXES: sha, "notes": words.fix_notes(verdict.get("run_url") or "")}
    return new(ctx, title or words.fix_title(sha, subject), doc, id, more=more)


def _ever(ctx: Context) -> set[str]:
    """Every id that ever had a milestone, also of entries that are gone: none of them is given again."""
    with ctx.store.faults():
        found: Any = ctx.store.redis.hkeys(ctx.store.keys.maxrev)
    return set(found)


def _cut_off(ctx: Context, state: State, tree: Ledger, title: str) -> str | None:
    """The id under which the store has this very PRP already, from a `new` here that was killed before it wrote."""
    branch = (ctx.repo.branch or "").encode("utf-8", "replace").decode()  # as the store has it
    for p in state.prps.values():
        if p.title == title and p.id not in tree.prps and _my_draft(ctx, p) and p.chain[0].branch == branch:
            return p.id
    return None


def _my_draft(ctx: Context, p: PrpState) -> bool:
    """A new PRP of this agent that no landing has brought yet."""
    return p.recorded is None and [(c.verb, c.agent) for c in p.chain] == [("new", ctx.agent.name)]


def validate(ctx: Context, id: str, *, on_line: OnLine | None = None) -> Done:
    """new -> validated, once the steps of [gates.validated] have passed. `on_line` hears what they write."""

    def fields(at: Look) -> dict[str, Any]:
        return {"status": VALIDATED, "validated_at": live.iso(at.state.now_ms)}

    return milestone.run(ctx, "validate", id, fields, gate=gates.VALIDATED, on_line=on_line)


def start(ctx: Context, id: str, branch: str | None = None, *, picked: bool = False) -> Done:
    """Claim a PRP that is validated, or in progress with nobody's claim on it. Of several racers one wins.

    What `prp next` would have passed it over for is no obstacle, and told in the notes. `picked`: `prp next` reserved
    it for us.
    """
    remarks: list[str] = []

    def fields(at: Look) -> dict[str, Any]:
        remarks[:] = [] if picked else picking.remarks(ctx, at.prp.id)
        return {"status": IN_PROGRESS, "owner": ctx.agent.name, "started_at": live.iso(at.state.now_ms)}

    def notes(at: Look) -> list[str]:
        return remarks + picking.left_behind(ctx, at.prp)

    return milestone.run(ctx, "start", id, fields, notes_of=notes, branch=branch, picked=picked)


def complete(ctx: Context, id: str, *, on_line: OnLine | None = None) -> Done:
    """Record a PRP as done, once the steps of [gates.complete] have passed. `on_line` hears what they write.

    With a green landing of this claim's work it is complete at once, and the claim ends. With none, the line is
    written without evidence, to land with the work, and the PRP is "completing" for at most COMPLETING_S. A landing
    that is not green yet is refused.
    """

    proof: evidence.Evidence | None = None

    def fields(at: Look) -> dict[str, Any]:
        nonlocal proof
        proof = _evidence(ctx, at.prp)
        done = {"status": COMPLETE, "owner": ctx.agent.name, "completed_at": live.iso(at.state.now_ms)}
        return {**done, **(proof.fields() if proof else NO_EVIDENCE)}

    def more() -> list[str | int]:
        return [COMPLETING_S * 1000, proof.field if proof else ""]

    done = milestone.run(ctx, "complete", id, fields, more_of=more, gate=gates.COMPLETE, on_line=on_line)
    return _with_what_lands_it(ctx, done) if done.prp.phase == live.COMPLETING else done


def _with_what_lands_it(ctx: Context, done: Done) -> Done:
    """A completion whose line would be refused at the push, alone as it is: say so, and what helps."""
    p = done.prp
    tip = ctx.repo.known_tip(ctx.config.remote, ctx.config.ledger_lane)
    if tip is None or p.claim is None or ctx.repo.head is None:
        return done
    new = {*evidence.unlanded_paths(ctx.repo, tip, ctx.repo.head), *smoke.unclean(ctx.repo, ctx.config)}
    if any(not record.in_ledger(ctx.config, path) for path in new):
        return done
    landed = evidence.find(ctx.store, ctx.repo, ctx.config, tip, p.ids, p.claim)
    note, then = words.has_landed(p.id, landed[0].head) if landed else words.alone(p.id)
    return done._replace(notes=[*done.notes, note], then=then)


def complete_undo(ctx: Context, id: str) -> Done:
    """Take back a completion that has not landed: the PRP is in progress again, and so says the working tree."""
    notes = milestone.freshen(ctx)
    at = milestone.look(ctx, id)
    answer = milestone.call(ctx, "prp_complete_undo", at.prp.id, milestone.me(ctx, at.prp.id))
    if not answer["ok"]:
        raise milestone.refusal(ctx, "complete --undo", answer, at.prp, at.state)
    p = milestone.now(ctx, at.prp.id)
    entry, file = at.entry, None
    if entry is not None and at.here and entry.status == COMPLETE and entry.number > record.number(p.seal):
        file = milestone.write(ctx, p.id, at.here, p.seal, {n: p.fields.get(n) for n in GROUP})
    return Done(p, file, answer["code"] == "already", notes)


def reopen(ctx: Context, id: str, reason: str) -> Done:
    """Take a complete PRP up again, or one that landed and was not proven. It gets a new claim."""
    said = reason.strip().encode("utf-8", "replace").decode()  # what a shell gave may be no UTF-8
    if not said:
        raise say.no_reason(id)

    def fields(at: Look) -> dict[str, Any]:
        begun = {"status": IN_PROGRESS, "owner": ctx.agent.name, "started_at": live.iso(at.state.now_ms)}
        return {**begun, "completed_at": None, **NO_EVIDENCE}

    return milestone.run(ctx, "reopen", id, fields, more_of=lambda: [said])


def renew(ctx: Context, id: str) -> Done:
    """Move the deadline of one's own claim. A claim that is no longer one's own is forgotten here."""
    state = live.read(ctx.store, ctx.config)
    p = state.resolve(id)
    if p is None:
        raise say.unknown(id, state)
    answer = milestone.call(ctx, "prp_renew", p.id, milestone.me(ctx, p.id))
    if not answer["ok"]:
        claimfile.drop(ctx.git_dir, p.id, ctx.agent.name)
        raise say.refused("renew", answer, p, state, milestone.is_me(ctx, answer))
    milestone.keep_claim(ctx, p.id, answer)
    return Done(milestone.now(ctx, p.id), None, False, [])


def _evidence(ctx: Context, p: PrpState) -> evidence.Evidence | None:
    if p.claim is None or not p.claim.live or p.claim.agent != ctx.agent.name or p.phase == live.LANDED:
        return None
    tip = sync.lane_tip(ctx.repo, ctx.config).tip
    return evidence.green(ctx.store, ctx.repo, ctx.config, tip, p, p.claim)


def _add(ctx: Context, file: str, prp_id: str, fields: dict[str, Any]) -> None:
    """Write a new entry, behind whatever was written to the file meanwhile."""
    for n in range(TRIES):
        old = ledger.load(ctx.repo, ctx.config, None).files.get(file)
        try:
            ledger_edit.write(os.path.join(ctx.repo.top, file), old, ledger_edit.add(old, file, prp_id, fields))
            return
        except UserError as e:
            if e.code != "changed-underneath" or n == TRIES - 1:
                raise


_NUMBERED = re.compile(r"(.*?)([0-9]+)")


def free_id(own: Iterable[str], taken: Iterable[str], pattern: str) -> str:
    """The next id that nobody has: with the prefix P2 when that is used, else the commonest one's."""
    parts = [m.groups() for i in own if (m := _NUMBERED.fullmatch(i))]
    counted = Counter(prefix for prefix, _ in parts)
    prefixes = ["P2-"] if "P2-" in counted or not counted else [counted.most_common(1)[0][0]]
    for prefix in [*prefixes, "P2-", "PRP-"]:
        used = [m[2] for i in taken if (m := _NUMBERED.fullmatch(i)) and m[1] == prefix]
        width = max([len(digits) for own_prefix, digits in parts if own_prefix == prefix], default=3)
        found = f"{prefix}{max((int(d) for d in used), default=0) + 1:0{width}d}"
        if re.fullmatch(pattern, found):
            return found
    raise say.no_free_id(pattern)
