"""The verbs that move a PRP: each writes the store and the working tree's ledger together, or neither.

Order: look (store and working tree), compute the new line and its seal, let one script decide and write the store
under compare-and-set, write the line, and take the milestone back if it cannot be written. A verb that was cut off
between store and file writes the line when it is repeated. The scripts are the only place that knows PRPS's table.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from . import claimfile, evidence, ledger, ledger_edit, live, record, seal, sync
from .errors import CouldNotTell, UserError
from .live import Line, PrpState, State
from .messages import prps as say
from .model import COMPLETE, IN_PROGRESS, NEW, VALIDATED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .config import Config
    from .gitrepo import Repo
    from .ledger import Ledger
    from .model import Agent, Prp
    from .store.client import Store

COMPLETING_S = 24 * 3600  # how long a completion may wait for its landing
TRIES = 20  # other agents that may be first before a verb gives up
GROUP = (*seal.SEALED, "rev")
NO_EVIDENCE = {"github_commit": None, "ci_run_url": None, "verdict": None}


class Context(NamedTuple):
    """What every verb works on."""

    store: Store
    repo: Repo
    config: Config
    agent: Agent
    host: str
    git_dir: str  # of the worktree: with agent and host it says whose a claim is
    is_person: bool


class Done(NamedTuple):
    """What a verb did."""

    prp: PrpState  # as it stands now
    changed_file: str | None  # the ledger file that was written, relative to the top of the working tree
    already: bool  # it was so before
    notes: list[str]


class _Look(NamedTuple):
    """One PRP in the store and in this working tree, at one moment."""

    state: State
    prp: PrpState
    tree: Ledger
    entry: Prp | None  # of the working tree
    here: str | None  # the seal that the working tree's entry is known by; None: no entry, or not what its seal says


# --- the verbs -------------------------------------------------------------------------------------------------------


def new(
    ctx: Context,
    title: str,
    doc: str | None = None,
    id: str | None = None,
    *,
    place: Callable[[str, str, dict[str, Any]], None] | None = None,
) -> Done:
    """Add a PRP to the ledger, as `new`. Without an id it gets the next free one.

    `place(file, id, fields)` writes the entry where it belongs; without it, it is added behind the others.
    """
    title = " ".join(title.split())
    if not title:
        raise say.no_title()
    if id is not None and not re.fullmatch(ctx.config.id_pattern, id):
        raise say.bad_id(id, ctx.config.id_pattern)
    notes = _freshen(ctx)
    for _ in range(TRIES):
        state = live.read(ctx.store, ctx.config)
        tree = ledger.load(ctx.repo, ctx.config, None)
        if tree.errors:
            raise say.unreadable(tree.errors[0])
        taken = {i for p in state.prps.values() for i in p.ids} | {*tree.prps, *tree.aliases}
        prp_id = id or free_id([*state.prps, *tree.prps], taken | _ever(ctx), ctx.config.id_pattern)
        file = f"{ctx.config.ledger_path}{prp_id}.yaml" if ctx.config.one_file_per_prp else ctx.config.ledger_path
        lost = state.prps.get(prp_id)
        if lost and prp_id not in tree.prps and _my_draft(ctx, lost):  # its line was thrown away: write it again
            _add(ctx, file, prp_id, lost.chain[0].fields)
            return Done(lost, file, True, notes)
        if prp_id in taken:
            raise say.taken(prp_id)
        with ctx.store.faults():
            number = int(ctx.store.redis.hget(ctx.store.keys.maxrev, prp_id) or 0) + 1
        key = seal.compute(prp_id, number, {"status": NEW})
        fields = {"title": title, "status": NEW, "rev": key, **({"doc": doc} if doc else {})}
        ledger_edit.add(tree.files.get(file), file, prp_id, fields)  # what cannot be written is found out first
        line = Line(key, number, NEW, False, fields, "", ctx.agent.name, ctx.repo.branch or "", "new")
        answer = _call(ctx, "prp_new", prp_id, live.dump_line(line), _me(ctx, prp_id))
        if answer["code"] == "changed" or (answer["code"] == "exists" and id is None):
            continue
        if not answer["ok"]:
            raise say.taken(prp_id)
        try:
            if place:
                place(file, prp_id, fields)
            else:
                _add(ctx, file, prp_id, fields)
        except UserError:
            _call(ctx, "prp_undo", prp_id, key, "", "")
            raise
        return Done(_now(ctx, prp_id), file, False, notes)
    raise say.busy(title)


def _ever(ctx: Context) -> set[str]:
    """Every id that ever had a milestone, also of entries that are gone: none of them is given again."""
    with ctx.store.faults():
        found: Any = ctx.store.redis.hkeys(ctx.store.keys.maxrev)
    return set(found)


def _my_draft(ctx: Context, p: PrpState) -> bool:
    """A new PRP of this agent that no landing has brought yet."""
    return p.recorded is None and [(c.verb, c.agent) for c in p.chain] == [("new", ctx.agent.name)]


def validate(ctx: Context, id: str) -> Done:
    """new -> validated."""
    return _run(ctx, "validate", id, lambda at: {"status": VALIDATED, "validated_at": live.iso(at.state.now_ms)})


def start(ctx: Context, id: str, branch: str | None = None) -> Done:
    """Claim a PRP that is validated, or in progress with nobody's live claim on it. Of several racers one wins."""

    def fields(at: _Look) -> dict[str, Any]:
        return {"status": IN_PROGRESS, "owner": ctx.agent.name, "started_at": live.iso(at.state.now_ms)}

    def notes(at: _Look) -> list[str]:
        waiting = [d for d in at.prp.depends_on if (p := at.state.resolve(d)) is None or p.status != COMPLETE]
        last = at.prp.chain[-1].branch if at.prp.chain else ""
        found = [say.waits_for(waiting)] if waiting else []
        return found + ([say.taken_over(at.prp, last)] if at.prp.status == IN_PROGRESS else [])

    return _run(ctx, "start", id, fields, notes_of=notes, branch=branch)


def complete(ctx: Context, id: str) -> Done:
    """Record a PRP as done.

    With a green landing of this claim's work it is complete at once, and the claim ends. With none, the line is
    written without evidence, to land with the work, and the PRP is "completing" for at most COMPLETING_S. A landing
    that is not green yet is refused.
    """

    proof: evidence.Evidence | None = None

    def fields(at: _Look) -> dict[str, Any]:
        nonlocal proof
        proof = _evidence(ctx, at.prp)
        done = {"status": COMPLETE, "owner": ctx.agent.name, "completed_at": live.iso(at.state.now_ms)}
        return {**done, **(proof.fields() if proof else NO_EVIDENCE)}

    def more() -> list[str | int]:
        return [COMPLETING_S * 1000, proof.field if proof else ""]

    return _run(ctx, "complete", id, fields, more_of=more)


def complete_undo(ctx: Context, id: str) -> Done:
    """Take back a completion that has not landed: the PRP is in progress again, and so says the working tree."""
    notes = _freshen(ctx)
    at = _look(ctx, id)
    answer = _call(ctx, "prp_complete_undo", at.prp.id, _me(ctx, at.prp.id))
    if not answer["ok"]:
        raise say.refused("complete --undo", answer, at.prp, at.state, _is_me(ctx, answer))
    p = _now(ctx, at.prp.id)
    entry, file = at.entry, None
    if entry is not None and at.here and entry.status == COMPLETE and entry.number > record.number(p.seal):
        file = _write(ctx, p.id, at.here, p.seal, {n: p.fields.get(n) for n in GROUP})
    return Done(p, file, answer["code"] == "already", notes)


def reopen(ctx: Context, id: str, reason: str) -> Done:
    """Take a complete PRP up again, or one that landed and was not proven. It gets a new claim."""
    if not reason.strip():
        raise say.no_reason(id)

    def fields(at: _Look) -> dict[str, Any]:
        begun = {"status": IN_PROGRESS, "owner": ctx.agent.name, "started_at": live.iso(at.state.now_ms)}
        return {**begun, "completed_at": None, **NO_EVIDENCE}

    return _run(ctx, "reopen", id, fields, more_of=lambda: [reason.strip()])


def renew(ctx: Context, id: str) -> Done:
    """Move the deadline of one's own claim. A claim that is no longer one's own is forgotten here."""
    state = live.read(ctx.store, ctx.config)
    p = state.resolve(id)
    if p is None:
        raise say.unknown(id, state)
    answer = _call(ctx, "prp_renew", p.id, _me(ctx, p.id))
    if not answer["ok"]:
        claimfile.drop(ctx.git_dir, p.id, ctx.agent.name)
        raise say.refused("renew", answer, p, state, _is_me(ctx, answer))
    _keep_claim(ctx, p.id, answer)
    return Done(_now(ctx, p.id), None, False, [])


# --- looking ---------------------------------------------------------------------------------------------------------


def _freshen(ctx: Context) -> list[str]:
    """The store as far as this clone knows the lane: a landing that nobody published is taken in first."""
    try:
        report = sync.sync(ctx.repo, ctx.store, ctx.config)
    except CouldNotTell:
        with ctx.store.faults():
            if ctx.store.redis.exists(ctx.store.keys.cursor):
                return []  # what the store has stands; `prp redis-sync` says what is missing here
        raise
    return [report.note] if report.note and report.cursor_before is None else []


def _look(ctx: Context, any_id: str) -> _Look:
    state = live.read(ctx.store, ctx.config)
    tree = ledger.load(ctx.repo, ctx.config, None)
    prp = state.resolve(any_id)
    if prp is None:
        only_here = tree.resolve(any_id)
        if only_here is not None:
            raise say.not_recorded(only_here, ctx.config.ledger_lane)
        raise say.unknown(any_id, state)
    entry = tree.prps.get(prp.id)
    here = record.identity(entry) if entry is not None and not tree.errors else None
    return _Look(state, prp, tree, entry, here)


def _evidence(ctx: Context, p: PrpState) -> evidence.Evidence | None:
    if p.claim is None or not p.claim.live or p.claim.agent != ctx.agent.name or p.phase == live.LANDED:
        return None
    tip = sync.lane_tip(ctx.repo, ctx.config).tip
    return evidence.green(ctx.store, ctx.repo, ctx.config, tip, p, p.claim)


def _now(ctx: Context, prp_id: str) -> PrpState:
    found = live.one(prp_id, live.fetch(ctx.store))
    if found is None:  # only a wiped store, or a removal that landed this very moment
        raise say.busy(prp_id)
    return found


def _call(ctx: Context, script: str, *args: str | int) -> dict[str, Any]:
    answer: dict[str, Any] = ctx.store.run(script, live.script_keys(ctx.store.keys), args)
    return answer


def _me(ctx: Context, prp_id: str, branch: str | None = None) -> str:
    lease_s = ctx.config.claim_person_s if ctx.is_person else ctx.config.claim_agent_s
    shape = {
        "agent": ctx.agent.name,
        "host": ctx.host,
        "git_dir": ctx.git_dir,
        "branch": branch or ctx.repo.branch or "",
        "fence": claimfile.fence(ctx.git_dir, prp_id, ctx.agent.name),
        "lease": lease_s * 1000,
    }
    # A path or branch that is no UTF-8 would make the store's JSON reader refuse everything.
    return json.dumps(shape, ensure_ascii=False).encode("utf-8", "replace").decode()


def _is_me(ctx: Context, answer: dict[str, Any]) -> bool:
    return (answer.get("claim") or {}).get("agent") == ctx.agent.name


# --- one milestone ---------------------------------------------------------------------------------------------------


def _run(
    ctx: Context,
    verb: str,
    any_id: str,
    fields_of: Callable[[_Look], dict[str, Any]],
    *,
    more_of: Callable[[], list[str | int]] | None = None,
    notes_of: Callable[[_Look], list[str]] | None = None,
    branch: str | None = None,
) -> Done:
    """One milestone from beginning to end: see the module."""
    notes = _freshen(ctx)
    for _ in range(TRIES):
        at = _look(ctx, any_id)
        p = at.prp
        line = _line(ctx, verb, at, fields_of(at))
        if at.entry is not None and at.here == p.seal:  # what cannot be edited is found out before anything changes
            ledger_edit.change(at.tree.files[at.entry.file], at.entry.file, p.id, line.fields)
        more = more_of() if more_of else []
        answer = _call(ctx, f"prp_{verb}", p.id, live.dump_line(line), _me(ctx, p.id, branch), *more)
        if answer["code"] == "changed":
            if at.here != p.seal:
                raise _not_current(ctx, at)
            continue  # somebody else was first: look again
        if not answer["ok"]:
            raise say.refused(verb, answer, p, at.state, _is_me(ctx, answer))
        if answer["code"] == "already":
            return _again(ctx, p.id, answer, notes)
        try:
            file = _write(ctx, p.id, at.here, line.seal, line.fields)
        except UserError:
            _undo(ctx, p, line.seal, answer)
            raise
        _keep_claim(ctx, p.id, answer)
        return Done(_now(ctx, p.id), file, False, notes + (notes_of(at) if notes_of else []))
    raise say.busy(any_id)


def _line(ctx: Context, verb: str, at: _Look, fields: dict[str, Any]) -> Line:
    """The next line: these milestone fields over the effective ones, under the next number.

    It stands on what this working tree has: the script refuses it unless that is what is effective.
    """
    p = at.prp
    number = p.maxrev + 1
    group = {**{k: v for k, v in p.fields.items() if k in seal.SEALED}, **fields}
    key = seal.compute(p.id, number, group)
    proof = fields["status"] == COMPLETE and record.has_evidence(number, group)
    done = {**fields, "rev": key}
    on = at.here or "nothing"
    return Line(key, number, fields["status"], proof, done, on, ctx.agent.name, ctx.repo.branch or "", verb)


def _not_current(ctx: Context, at: _Look) -> UserError:
    """Milestones need a current line; why this working tree's is none."""
    if at.tree.errors:
        return say.unreadable(at.tree.errors[0])
    if at.tree.missing:
        return say.no_ledger_here(ctx.config.ledger_path, ctx.repo.branch)
    if at.entry is not None and at.here is None:
        return say.invalid_here(at.entry)
    return say.stale(at.prp, at.entry, ctx.repo.branch)


def _write(ctx: Context, prp_id: str, over: str | None, key: str, fields: dict[str, Any]) -> str | None:
    """Bring the working tree's entry from the line `over` to the line `key`. The file written, None if it was so.

    Another PRP's milestone may be written to the same file meanwhile: then the file is read anew.
    """
    for n in range(TRIES):
        tree = ledger.load(ctx.repo, ctx.config, None)
        entry = tree.prps.get(prp_id)
        here = record.identity(entry) if entry is not None else None
        if here == key:
            return None
        if entry is None or here != over:
            raise say.moved_here(prp_id)
        old = tree.files[entry.file]
        done = ledger_edit.change(old, entry.file, prp_id, fields)
        try:
            ledger_edit.write(os.path.join(ctx.repo.top, entry.file), old, done)
        except UserError as e:
            if e.code != "changed-underneath" or n == TRIES - 1:
                raise
            continue
        return entry.file
    raise say.moved_here(prp_id)


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


def _again(ctx: Context, prp_id: str, answer: dict[str, Any], notes: list[str]) -> Done:
    """The same verb again gets the same answer; the line is written if it was never written here."""
    p, file = _now(ctx, prp_id), None
    entry = ledger.load(ctx.repo, ctx.config, None).prps.get(prp_id)
    top = p.chain[-1] if p.chain else None
    if top is not None and entry is not None and top.agent == ctx.agent.name and record.identity(entry) == top.on:
        file = _write(ctx, prp_id, top.on, top.seal, top.fields)
    _keep_claim(ctx, prp_id, answer)
    return Done(p, file, True, notes)


def _undo(ctx: Context, before: PrpState, key: str, answer: dict[str, Any]) -> None:
    """The line could not be written: the store is again as it was before the milestone."""
    after = None if answer["state"] == "D" else answer.get("claim")
    was = before.claim.raw if before.claim else ""
    _call(ctx, "prp_undo", before.id, key, str(int(after["fence"])) if after else "", was)


def _keep_claim(ctx: Context, prp_id: str, answer: dict[str, Any]) -> None:
    claim = answer.get("claim")
    if claim and answer["state"] != "D":
        claimfile.keep(ctx.git_dir, prp_id, int(claim["fence"]), ctx.agent.name)
    else:
        claimfile.drop(ctx.git_dir, prp_id, ctx.agent.name)


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
