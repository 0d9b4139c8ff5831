"""The verbs around a claim: pick and claim, release, hand over, deprecate; and what is said of a PRP while it is open.

Blocks, assignments, phases and notes are live only: no line in the ledger, gone with the PRP's end (notes stay).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from . import claimfile, evidence, ledger, live, milestone, milestones, picking, record
from .errors import UserError
from .messages import claims as say
from .messages import prps as words
from .milestone import TRIES, Context, Done, Look
from .model import COMPLETE, DEPRECATED, IN_PROGRESS, NEW, VALIDATED
from .output import inert

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .live import PrpState, State

MOST_TEXT = 1000  # characters of a reason or a note
MOST_SLUG = 40
LOST = ("claimed", "assigned", "stale-line", "not-startable", "deprecated", "complete")  # others were first: pick anew


class Choice(NamedTuple):
    """What can be started, best first, what cannot and why, and what keeps everything from being started."""

    ready: list[PrpState]
    waiting: list[tuple[PrpState, str]]
    general: list[str]
    more: int  # that are not told
    claimed: list[tuple[PrpState, str]]  # what is under way, and with whom; one's own too


class Why(NamedTuple):
    """Everything that stands in the way of a PRP, most telling first. Nothing: it can be started."""

    prp: PrpState
    reasons: list[say.Said]


# --- picking ---------------------------------------------------------------------------------------------------------


def domain_of(ctx: Context, name: str | None) -> tuple[str, ...]:
    """The ids that count: of the domain asked for, else of this agent's own, if it has one. Raises UsageError."""
    if name is None:
        return ctx.config.domains.get(ctx.agent.name, ())
    if name not in ctx.config.domains:
        raise say.no_domain(name, list(ctx.config.domains))
    return ctx.config.domains[name]


def choice(ctx: Context, domain: str | None = None, most: int = picking.MOST) -> Choice:
    """What `prp next` shows, in one call of the store's script and one reading of those PRPs: `most` of each kind."""
    answer = picking.ask(ctx, "list", domain=domain_of(ctx, domain), most=most)
    ready, waiting = picking.many(answer["ready"]), picking.many(answer["waiting"])
    claimed = picking.many(answer["claimed"])
    state = live.read_some(ctx.store, [row[0] for row in (*ready, *waiting, *claimed)])
    why, held = (
        [(state.prps[i], say.obstacle(o, answer["now"]).text) for i, o in rows if i in state.prps]
        for rows in (waiting, claimed)
    )
    general = [say.obstacle(o, answer["now"]).text for o in picking.many(answer["general"])]
    return Choice([state.prps[i] for i, _ in ready if i in state.prps], why, general, int(answer["more"]), held)


def unvalidated(ctx: Context, found: Choice) -> str | None:
    """The command for the first new PRP of a choice: validate it where its line is current, else see why."""
    new = [p for p, _ in found.waiting if p.status == NEW]
    tree = ledger.load_some(ctx.repo, ctx.config, [p.id for p in new])
    for p in new:
        if p.id in tree.prps and not tree.errors and record.identity(tree.prps[p.id]) == p.seal:
            return f"prp validate {p.id}"
    return f"prp why {new[0].id}" if new else None


def claim_next(ctx: Context, domain: str | None = None) -> Done:
    """Pick the best PRP that is to be had, and start it: of several racers each gets another one.

    What was handed over to this agent comes first. The store's script picks and reserves in one step
    (picking.RESERVE_S); the line, which only this working tree can carry, completes it. What has no current line here
    is passed over. Raises UserError when there is none.
    """
    globs, notes = domain_of(ctx, domain), milestone.freshen(ctx)
    skip: list[str] = []
    stale: list[str] = []
    for _ in range(TRIES):
        answer = picking.ask(ctx, "claim", domain=globs, asked=domain is not None, skip=skip)
        if answer["code"] == "limit":
            raise say.full(picking.many(answer["general"]), answer["now"])
        if not answer["ok"]:
            raise say.none_ready(picking.many(answer["passed"]), int(answer["more"]), answer["now"], stale)
        given = answer["code"] == "handed-over"  # claim and line are there already
        if not given and not _current(ctx, [(answer["id"], answer["seals"])]):
            listed = picking.many(picking.ask(ctx, "list", domain=globs)["ready"])
            current = _current(ctx, listed)
            stale = [answer["id"], *(i for i, _ in listed if i not in current)]
            skip = [*dict.fromkeys([*skip, *stale])]
            continue
        try:
            done = milestones.start(ctx, answer["id"], picked=True)
        except UserError as e:
            if not given:
                milestone.call(ctx, "prp_release", answer["id"], milestone.me(ctx, answer["id"]), "")
            if e.code not in LOST:
                raise
            skip.append(answer["id"])
            continue
        return done._replace(notes=[*notes, *done.notes, *([say.passed_stale(stale)] if stale else [])])
    raise words.busy("what is next")


def give_back(ctx: Context, id: str) -> None:
    """Release what `claim_next` picked, and nobody will hear of. What was handed over to this agent stays its own."""
    if [line.verb for line in milestone.now(ctx, id).chain[-1:]] == ["start"]:
        release(ctx, id)


def _current(ctx: Context, rows: Iterable[tuple[str, Sequence[str]]]) -> list[str]:
    """Of these (id, seals), the ids whose entry in this working tree has one of the seals."""
    rows = list(rows)
    tree = ledger.load_some(ctx.repo, ctx.config, [i for i, _ in rows])
    if tree.errors:
        raise words.unreadable(tree.errors[0])
    return [i for i, seals in rows if i in tree.prps and record.identity(tree.prps[i]) in seals]


# --- the claim -------------------------------------------------------------------------------------------------------


def release(ctx: Context, id: str, note: str = "") -> Done:
    """Give one's claim back. The PRP stays in progress, and anybody may take it at once; the branch is told to them."""
    state = live.read(ctx.store, ctx.config)
    p = _known(state, id)
    answer = milestone.call(ctx, "prp_release", p.id, milestone.me(ctx, p.id), _text(note, "a note", needed=False))
    if not answer["ok"]:
        raise words.refused("release", answer, p, state, milestone.is_me(ctx, answer))
    claimfile.drop(ctx.git_dir, p.id, ctx.agent.name)
    return Done(milestone.now(ctx, p.id), None, answer["code"] == "already", [])


def handover(ctx: Context, id: str, to: str, note: str = "", *, force: bool = False) -> Done:
    """Make one's claim another agent's, under a new fence: a milestone. The other picks it up with `start`; until then
    a `start` of the giver takes it back. A name that was never seen is refused without `force`."""
    name, text = inert(to.strip()), _text(note, "a note", needed=False)
    if not name or len(name) > 200:
        raise say.bad_agent(to)
    if name == ctx.agent.name:
        raise say.to_yourself(inert(id))
    others = None if force else live.nobody_called(ctx.store, name)
    if others is not None:
        raise say.handed_to_nobody(inert(id), name, others)

    def fields(at: Look) -> dict[str, Any]:
        return {"status": IN_PROGRESS, "owner": name}

    return milestone.run(ctx, "handover", id, fields, more_of=lambda: [name, text])


def deprecate(ctx: Context, id: str, by: str) -> Done:
    """Take a PRP out for good, in favour of another one: a milestone. What somebody works on is theirs to deprecate."""

    def fields(at: Look) -> dict[str, Any]:
        heir = _known(at.state, by)
        if heir.id == at.prp.id:
            raise say.after_itself(at.prp.id)
        if heir.status == DEPRECATED:
            raise say.successor_gone(at.prp.id, heir)
        return {"status": DEPRECATED, "superseded_by": heir.id}

    return milestone.run(ctx, "deprecate", id, fields)


def start_on_branch(ctx: Context, id: str) -> Done:
    """Switch to the PRP's own branch, made from HEAD when it is not there, and claim the PRP.

    The branch comes first: the claim is made only on it. When the claim is refused, the working tree is back where it
    was, and a branch that was made goes again.
    """
    state = live.read(ctx.store, ctx.config)
    p = _known(state, id)
    branch, before, head = branch_name(p), ctx.repo.branch, ctx.repo.head
    if branch == before:
        done = milestones.start(ctx, p.id, branch)
        return done._replace(notes=[*done.notes, say.on_branch(branch, made=False, before=before)])
    new = ctx.repo.sha(f"refs/heads/{branch}") is None
    _switch(ctx, p.id, branch, new)
    try:
        done = milestones.start(ctx, p.id, branch)
        return done._replace(notes=[*done.notes, say.on_branch(branch, made=new, before=before)])
    except UserError as e:
        back = [before] if before else ["--detach", str(head)]
        ctx.repo.run("switch", "--quiet", *back)
        if new:
            ctx.repo.run("branch", "--quiet", "-D", branch)
        e.hint = " ".join(x for x in (e.hint, say.went_back(branch)) if x)
        raise


def branch_name(p: PrpState) -> str:
    """`feat/p2-040-fix-login-cache`."""
    slug = re.sub(r"[^a-z0-9]+", "-", p.title.casefold())[:MOST_SLUG].strip("-")
    return f"feat/{re.sub(r'[^a-z0-9._-]+', '-', p.id.casefold())}{f'-{slug}' if slug else ''}"


def _switch(ctx: Context, prp_id: str, branch: str, new: bool) -> None:
    done = ctx.repo.run("switch", "--quiet", *(["--create"] if new else []), branch, check=False)
    if done.returncode:
        why = " ".join(done.stderr.decode("utf-8", "replace").split())
        raise say.branch_refused(branch, why.removeprefix("error: ").rstrip("."), prp_id)


# --- what is said of it ----------------------------------------------------------------------------------------------


def block(ctx: Context, id: str, reason: str, by: str | None = None) -> Done:
    """Keep a PRP from being picked, until `unblock`; with `by`, until that PRP is done."""
    state = live.read(ctx.store, ctx.config)
    p = _known(state, id)
    shape = {"reason": _text(reason, "the reason", p.id)}
    if by is not None:
        shape["waits_for"] = _known(state, by).id
        if shape["waits_for"] == p.id:
            raise say.waits_for_itself(p.id)
    return _mark(ctx, state, p, "blocked", shape)


def unblock(ctx: Context, id: str) -> Done:
    state = live.read(ctx.store, ctx.config)
    return _mark(ctx, state, _known(state, id), "blocked", None)


def assign(ctx: Context, id: str, agent: str | None) -> Done:
    """Direct a PRP to one agent: nobody else may start it. None takes that back. With a role `pm` it is theirs."""
    state = live.read(ctx.store, ctx.config)
    p = _known(state, id)
    if "pm" in ctx.config.roles and not ctx.is_person:
        _must_have_role(ctx, "pm", "assigning")
    if agent is None:
        return _mark(ctx, state, p, "assigned", None)
    name = inert(agent.strip())
    if not name or len(name) > 200:
        raise say.bad_agent(agent)
    done = _mark(ctx, state, p, "assigned", {"agent": name})
    return done._replace(notes=[*done.notes, *_never_seen(ctx, name)])


def _never_seen(ctx: Context, name: str) -> list[str]:
    """A remark on a name that may be a slip of the pen: nobody would ever take up what is theirs."""
    others = live.nobody_called(ctx.store, name)
    return [] if others is None else [say.never_seen(name, others)]


def phase(ctx: Context, id: str, name: str) -> Done:
    """Move a PRP in progress to one of the team's phases; out of one that has a role, only who has that role."""
    if name not in ctx.config.phases:
        raise say.no_phase(id, name, ctx.config.phases)
    state = live.read(ctx.store, ctx.config)
    p = _known(state, id)
    role = ctx.config.phase_roles.get(p.stage or "")
    if role is not None and p.stage != name:
        _must_have_role(ctx, role, f"moving {p.id} on from {p.stage}")
    return _mark(ctx, state, p, "phase", {"name": name}, others_too=role is not None)


def note(ctx: Context, id: str, text: str) -> Done:
    """Leave a word for whoever works on the PRP next: shown at take-over, the last 20 are kept."""
    state = live.read(ctx.store, ctx.config)
    p = _known(state, id)
    answer = milestone.call(ctx, "prp_note", p.id, milestone.me(ctx, p.id), _text(text, "the note", p.id))
    if not answer["ok"]:
        raise words.refused("note", answer, p, state, False)
    return Done(p, None, answer["code"] == "already", [])


def has_role(ctx: Context, role: str) -> bool:
    from fnmatch import fnmatchcase

    return any(fnmatchcase(ctx.agent.name, glob) for glob in ctx.config.roles.get(role, ()))


def _must_have_role(ctx: Context, role: str, what: str) -> None:
    if not has_role(ctx, role):
        raise say.not_your_role(what, role, ctx.config.roles.get(role, ()))


def _mark(
    ctx: Context, state: State, p: PrpState, kind: str, shape: dict[str, str] | None, *, others_too: bool = False
) -> Done:
    text = json.dumps(shape, ensure_ascii=False) if shape is not None else ""
    answer = milestone.call(ctx, "prp_mark", p.id, milestone.me(ctx, p.id), kind, text, int(others_too))
    if not answer["ok"]:
        if answer["code"] == "not-open":
            raise say.not_open(p)
        raise words.refused(kind, answer, p, state, milestone.is_me(ctx, answer))
    return Done(milestone.now(ctx, p.id), None, answer["code"] == "already", [])


def _known(state: State, any_id: str) -> PrpState:
    found = state.resolve(any_id)
    if found is None:
        raise words.unknown(any_id, state)
    return found


def _text(text: str, what: str, prp_id: str = "ID", *, needed: bool = True) -> str:
    """A reason or a note: text that the store's JSON can hold, of a length that people read."""
    clean = text.strip().encode("utf-8", "replace").decode()
    if needed and not clean:
        raise say.needs_text(f"{what} is empty", f"prp status {prp_id}")
    if len(clean) > MOST_TEXT:
        raise say.too_long(what, MOST_TEXT)
    return clean


# --- why -------------------------------------------------------------------------------------------------------------


def why(ctx: Context, id: str) -> Why:
    """Everything that keeps this agent from starting a PRP here and now, each with the command that helps."""
    state = live.read(ctx.store, ctx.config)
    p = _known(state, id)
    if p.status in (COMPLETE, DEPRECATED):
        return Why(p, [say.finished(p)])
    if p.phase is not None:
        return Why(p, [say.unlanded(p, evidence.proof(ctx.repo, ctx.config))])
    answer = picking.ask(ctx, "why", id=p.id)
    if p.claim and p.claim.live and p.claim.agent == ctx.agent.name and not p.claim.reserved:
        blocked = [o for o in picking.many(answer["obstacles"]) if o["code"] == "blocked"]
        return Why(p, [say.mine(p), *(_for(p, say.obstacle(o, answer["now"])) for o in blocked)])
    found = []
    for o in picking.many(answer["obstacles"]):
        said = say.obstacle(o, answer["now"])
        if o["code"] == "depends":
            told = "; ".join(say.waited_for(one, answer["now"]) for one in o["names"])
            said = said._replace(text=f"{said.text}: {told}")
        found.append(said)
    ring = _ring(state, p)
    found += [say.cycle(ring)] if ring else []
    found += [say.obstacle(o, answer["now"]) for o in picking.many(answer["general"])]
    if p.status in (NEW, VALIDATED, IN_PROGRESS) and not _current(ctx, [(p.id, milestone.stands_on(p))]):
        entry = ledger.load(ctx.repo, ctx.config, None).prps.get(p.id)
        stale = words.stale(p, entry, ctx.repo.branch)
        text = " ".join(filter(None, (stale.message.removesuffix(" Nothing was changed."), stale.hint)))
        one = say.Said(text, stale.next_action)
        found.insert(0 if p.status == NEW else len(found), one)  # before "validate it", which would be refused
    return Why(p, [_for(p, s) for s in found])


def _for(p: PrpState, said: say.Said) -> say.Said:
    return said._replace(next_action=said.next_action and said.next_action.replace("{id}", p.id))


def _ring(state: State, start: PrpState) -> list[str]:
    """A way from a PRP back to itself along what it waits for, itself at both ends; empty when there is none."""
    from .graph import ring

    return ring(state, start.id)
