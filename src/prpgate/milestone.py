"""One milestone from beginning to end: what the verbs of `milestones` and `claims` share.

Order: look (store and working tree), compute the new line and its seal, let one script decide and write the store
under compare-and-set, write the line, and take the milestone back if it cannot be written. A verb that was cut off
between store and file writes the line when it is repeated. The scripts are the only place that knows PRPS's table.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from . import claimfile, evidence, gates, ledger, ledger_edit, live, record, seal, sync
from .errors import CouldNotTell, UserError
from .live import Line, PrpState, State
from .messages import prps as say
from .messages.rebuild import taken_again
from .model import COMPLETE, IN_PROGRESS

if TYPE_CHECKING:
    from collections.abc import Callable

    from .config import Config
    from .gates import OnLine
    from .gitrepo import Repo
    from .ledger import Ledger
    from .model import Agent, Prp
    from .store.client import Store

GROUP = (*seal.SEALED, "rev")
TRIES = 20  # other agents that may be first before a verb gives up


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
    then: str | None = None  # the command to type next, where it is not what the verb leads to


class Look(NamedTuple):
    """One PRP in the store and in this working tree, at one moment."""

    state: State
    prp: PrpState
    tree: Ledger
    entry: Prp | None  # of the working tree
    here: str | None  # the seal that the working tree's entry is known by; None: no entry, or not what its seal says


# --- looking ---------------------------------------------------------------------------------------------------------


def freshen(ctx: Context) -> list[str]:
    """The store as far as this clone knows the lane: a landing that nobody published is taken in first."""
    keys, tip = ctx.store.keys, ctx.repo.known_tip(ctx.config.remote, ctx.config.ledger_lane)
    with ctx.store.faults():
        cursor, provisional = ctx.store.redis.get(keys.cursor), ctx.store.redis.hget(keys.meta, "provisional")
    if tip is not None and cursor == tip and provisional != "1":
        return []
    try:
        report = sync.sync(ctx.repo, ctx.store, ctx.config)
    except CouldNotTell:
        with ctx.store.faults():
            if ctx.store.redis.exists(ctx.store.keys.cursor):
                return []  # what the store has stands; `prp redis-sync` says what is missing here
        raise
    return [report.note] if report.note and report.cursor_before is None else []


def look(ctx: Context, any_id: str) -> Look:
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
    return Look(state, prp, tree, entry, here)


def look_at(ctx: Context, prp_id: str) -> Look:
    """The same for a PRP by its own id; what it costs in the store does not grow with the others."""
    state = live.read_some(ctx.store, [prp_id])
    if prp_id not in state.prps:
        raise say.unknown(prp_id, state)
    tree = ledger.load_some(ctx.repo, ctx.config, [prp_id])
    entry = tree.prps.get(prp_id)
    here = record.identity(entry) if entry is not None and not tree.errors else None
    return Look(state, state.prps[prp_id], tree, entry, here)


def now(ctx: Context, prp_id: str) -> PrpState:
    found = live.one(prp_id, live.fetch_some(ctx.store, [prp_id]))
    if found is None:  # only a wiped store, or a removal that landed this very moment
        raise say.busy(prp_id)
    return found


def call(ctx: Context, script: str, *args: str | int) -> dict[str, Any]:
    answer: dict[str, Any] = ctx.store.run(script, live.script_keys(ctx.store.keys), args)
    claim = answer.get("claim")
    if claim:  # is it in this worktree, or to be taken up in any?
        answer["here"] = (claim["host"], claim["git_dir"]) in ((ctx.host, ctx.git_dir), ("", ""))
    return answer


def me(ctx: Context, prp_id: str, branch: str | None = None) -> str:
    lease_s = ctx.config.claim_person_s if ctx.is_person else ctx.config.claim_agent_s
    shape = {
        "agent": ctx.agent.name,
        "host": ctx.host,
        "git_dir": ctx.git_dir,
        "branch": branch or ctx.repo.branch or "",
        "fence": claimfile.fence(ctx.git_dir, prp_id, ctx.agent.name),
        "lease": lease_s * 1000,
        "suspect": (lease_s // 2 if ctx.config.claim_suspect_s is None else ctx.config.claim_suspect_s) * 1000,
    }
    # A path or branch that is no UTF-8 would make the store's JSON reader refuse everything.
    return json.dumps(shape, ensure_ascii=False).encode("utf-8", "replace").decode()


def is_me(ctx: Context, answer: dict[str, Any]) -> bool:
    return (answer.get("claim") or {}).get("agent") == ctx.agent.name


def refusal(ctx: Context, verb: str, answer: dict[str, Any], p: PrpState, state: State) -> UserError:
    """A script's refusal in words, with what helps from this working tree."""
    proof = evidence.proof(ctx.repo, ctx.config) if answer.get("state") == "L" else ""
    return say.refused(verb, answer, p, state, is_me(ctx, answer), proof)


# --- one milestone ---------------------------------------------------------------------------------------------------


def run(
    ctx: Context,
    verb: str,
    any_id: str,
    fields_of: Callable[[Look], dict[str, Any]],
    *,
    more_of: Callable[[], list[str | int]] | None = None,
    notes_of: Callable[[Look], list[str]] | None = None,
    branch: str | None = None,
    picked: bool = False,
    gate: str | None = None,
    on_line: OnLine | None = None,
) -> Done:
    """One milestone from beginning to end: see the module. `picked`: the id is the PRP's own, and was looked up.
    `gate`: the team's own steps that must pass first; `on_line` hears what they write."""
    notes = [] if picked else freshen(ctx)
    for _ in range(TRIES):
        at = look_at(ctx, any_id) if picked else look(ctx, any_id)
        p = at.prp
        usable = stands_on(p) if verb == "start" else [p.seal]
        line = next_line(ctx, verb, at, fields_of(at))
        if gate is not None and gates.applies(ctx, gate, p):
            if line.on not in usable:
                raise not_current(ctx, at)
            notes += gates.require(ctx, gate, p, on_line)
            gate = None
            continue  # that took its time: look again
        if at.entry is not None and at.here in usable:  # what cannot be edited is found out before all else
            ledger_edit.change(at.tree.files[at.entry.file], at.entry.file, p.id, line.fields)
        more = more_of() if more_of else []
        answer = call(ctx, f"prp_{verb}", p.id, live.dump_line(line), me(ctx, p.id, branch), *more)
        if answer["code"] == "changed":
            if at.here not in usable:
                raise not_current(ctx, at)
            continue  # somebody else was first: look again
        if not answer["ok"]:
            raise refusal(ctx, verb, answer, p, at.state)
        if answer["code"] == "already":
            return again(ctx, p.id, answer, notes)
        if answer["code"] == "taken-up":
            done = again(ctx, p.id, answer, notes)
            return done._replace(already=False, notes=notes + (notes_of(at) if notes_of else []))
        try:
            file = write(ctx, p.id, at.here, line.seal, line.fields)
        except UserError:
            undo(ctx, p, line.seal, answer)
            raise
        keep_claim(ctx, p.id, answer)
        if at.here not in usable:
            notes.append(taken_again(str(at.here)))
        return Done(now(ctx, p.id), file, False, notes + (notes_of(at) if notes_of else []))
    raise say.busy(any_id)


def next_line(ctx: Context, verb: str, at: Look, fields: dict[str, Any]) -> Line:
    """The next line: these milestone fields over the effective ones, under the next number.

    It stands on what this working tree has: the script refuses it unless that is what is effective.
    """
    p = at.prp
    lost = lost_with_the_store(ctx, verb, at)
    # Above the lost line: under its own number this one would look like a fork of it (PRP123).
    number = (at.entry.number if lost and at.entry is not None else p.maxrev) + 1
    over = at.entry.fields if at.entry is not None and at.here and not lost else p.fields
    group = {**{k: v for k, v in over.items() if k in seal.SEALED}, **fields}
    key = seal.compute(p.id, number, group)
    proof = fields["status"] == COMPLETE and record.has_evidence(number, group)
    done = {**fields, "rev": key}
    on = at.here or "nothing"
    if lost:  # it is written over, whole: nobody else has ever heard of it
        done, on = {**{n: p.fields.get(n) for n in GROUP}, **done}, p.seal
    return Line(key, number, fields["status"], proof, done, on, ctx.agent.name, ctx.repo.branch or "", verb)


def lost_with_the_store(ctx: Context, verb: str, at: Look) -> bool:
    """Whether this working tree has a line of the caller's that only a wiped store can have known (`prp rebuild`)."""
    entry = at.entry
    mine = entry is not None and entry.owner in (None, ctx.agent.name) and verb in ("validate", "start")
    return mine and entry is not None and at.here == entry.rev and entry.number > at.prp.maxrev


def stands_on(p: PrpState) -> list[str]:
    """The seals that the line of a start may stand on: the effective one; and, when the claim under which that was
    written ended before it landed (or was handed over, and is taken back), the one that the lane records."""
    nobodys = p.claim is None or p.claim.reserved or not p.claim.git_dir
    taken_over = p.status == IN_PROGRESS and p.phase is None and nobodys
    return [p.seal, p.chain[0].on] if taken_over and p.chain and p.chain[0].on else [p.seal]


def not_current(ctx: Context, at: Look) -> UserError:
    """Milestones need a current line; why this working tree's is none."""
    if at.tree.errors:
        return say.unreadable(at.tree.errors[0])
    if at.tree.missing:
        return say.no_ledger_here(ctx.config.ledger_path, ctx.repo.branch)
    if at.entry is not None and at.here is None:
        return say.invalid_here(at.entry)
    return say.stale(at.prp, at.entry, ctx.repo.branch)


def write(ctx: Context, prp_id: str, over: str | None, key: str, fields: dict[str, Any]) -> str | None:
    """Bring the working tree's entry from the line `over` to the line `key`. The file written, None if it was so.

    Another PRP's milestone may be written to the same file meanwhile: then the file is read anew.
    """
    for n in range(TRIES):
        tree = ledger.load_some(ctx.repo, ctx.config, [prp_id])
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


def again(ctx: Context, prp_id: str, answer: dict[str, Any], notes: list[str]) -> Done:
    """The same verb again gets the same answer; the line is written if it was never written here."""
    p, file = now(ctx, prp_id), None
    entry = ledger.load(ctx.repo, ctx.config, None).prps.get(prp_id)
    top = p.chain[-1] if p.chain else None
    mine = top is not None and (top.agent == ctx.agent.name or p.owner == ctx.agent.name)  # written, or handed over
    if top is not None and entry is not None and mine and record.identity(entry) == top.on:
        file = write(ctx, prp_id, top.on, top.seal, top.fields)
    keep_claim(ctx, prp_id, answer)
    return Done(p, file, True, notes)


def undo(ctx: Context, before: PrpState, key: str, answer: dict[str, Any]) -> None:
    """The line could not be written: the store is again as it was before the milestone."""
    after = None if answer["state"] in ("D", "X") else answer.get("claim")
    was = before.claim.raw if before.claim and not before.claim.reserved else ""
    fence = str(int(after["fence"])) if after else ""
    call(ctx, "prp_undo", before.id, key, fence, was, answer.get("replaced", ""))


def keep_claim(ctx: Context, prp_id: str, answer: dict[str, Any]) -> None:
    claim = answer.get("claim")
    if claim and claim["agent"] == ctx.agent.name and answer["state"] not in ("D", "X"):
        claimfile.keep(ctx.git_dir, prp_id, int(claim["fence"]), ctx.agent.name)
    else:
        claimfile.drop(ctx.git_dir, prp_id, ctx.agent.name)
