"""What each tool asks of the verbs, and the answer in the shapes that the tools promise. Raises UserError."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import ops
from ..errors import UserError
from ..messages import mcp as say
from ..output import inert

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..land_process import Landed
    from ..live import PrpState
    from ..milestone import Context, Done
    from ..ops import Session
    from .shapes import Brief, Changed, Check, Event, Inbox, LandResult, Lanes, Log, Next, Sent

SHOWN = 10  # of a list that an agent reads as a whole
FINDINGS = 30  # errors first


def _there(answer: dict[str, Any]) -> Any:
    """An answer without what is not there."""
    return {key: value for key, value in answer.items() if value is not None}


def brief(p: PrpState) -> Brief:
    """A PRP in a few words. `until`: when its claim ends by itself."""
    until = None if p.claim is None else ops.iso_in(p.claim.deadline_s)
    status = f"{p.status} ({p.phase or p.stage})" if p.phase or p.stage else p.status
    said: Brief = _there({"id": p.id, "title": inert(p.title), "status": status, "owner": p.owner, "until": until})
    return said


def next_(s: Session, domain: str | None) -> Next:
    from .. import prps, registry

    ops.greet(s)
    found = prps.choice(s.context(), domain)
    yours = [p for p, _ in found.claimed if p.claim and p.claim.agent == s.agent.name]
    given = [p for p in yours if p.claim and not p.claim.git_dir]
    rest = [*found.waiting, *((p, why) for p, why in found.claimed if p not in yours)]
    then = None
    if given or (found.ready and not found.general):
        then = say.call("claim", id=(given or found.ready)[0].id)
    elif yours:
        then = say.call("complete", id=yours[0].id)
    elif command := prps.unvalidated(s.context(), found):
        then = say.then(command)
    elif found.claimed:
        then = say.call("log", id=found.claimed[0][0].id)
    answer: Next = _there(
        {
            "agent": s.agent.name,
            "yours": [brief(p) for p in yours],
            "ready": [brief(p) for p in found.ready[:SHOWN]],
            "waiting": [{"id": p.id, "why": why} for p, why in rest[:SHOWN]],
            "general": found.general,
            "more": max(0, len(found.ready) - SHOWN) + max(0, len(rest) - SHOWN) + found.more,
            "unread": registry.beat(s.store(), s.caller).unread,
            "next": then,
        }
    )
    return answer


def own_id(s: Session, any_id: str) -> str:
    """A PRP's own id. Raises UserError for one that there is not."""
    return ops.prp_called(s, any_id)


# --- verbs -----------------------------------------------------------------------------------------------------------


def _done(s: Session, act: Callable[[Context], Done], then: str, *, whole: bool = True) -> Changed:
    if whole:
        ops.read_state(s)
    else:
        ops.greet(s)
    done = act(s.context())
    p, notes = done.prp, [inert(n) for n in done.notes]
    if done.then:
        then = say.then(done.then) or then
    elif done.changed_file:
        then = say.commit(p.id, s.repo.root, done.changed_file, then)
    answer: Changed = _there(
        {
            "prp": brief(p),
            "already": done.already,
            "lease_s": int(p.claim.deadline_s) if p.claim else None,
            "changed_file": done.changed_file,
            "document": p.fields.get("doc") if isinstance(p.fields.get("doc"), str) else None,
            "notes": notes,
            "next": then,
        }
    )
    return answer


def start(s: Session, id: str) -> Changed:
    from .. import prps

    return _with_shell(s, _done(s, lambda ctx: prps.start(ctx, id), say.WORK))


def claim_next(s: Session, domain: str | None) -> Changed:
    from .. import prps

    return _with_shell(s, _done(s, lambda ctx: prps.claim_next(ctx, domain), say.WORK, whole=False))


def give_back(s: Session, id: str) -> None:
    from .. import prps

    prps.give_back(s.context(), id)


def _with_shell(s: Session, done: Changed) -> Changed:
    """Commits are made by the client's shell, which may have another name."""
    from .. import identity

    shell = identity.agent(s.repo).name
    if shell != s.agent.name:
        done["notes"].append(say.shell_is_another(shell, s.agent.name))
    return done


def complete(s: Session, id: str, undo: bool) -> Changed:
    from .. import prps

    if undo:
        return _done(s, lambda ctx: prps.complete_undo(ctx, id), say.call("log", id=id))
    return _done(s, lambda ctx: prps.complete(ctx, id), say.call("next"))


def update(s: Session, id: str, action: str, text: str, to: str | None) -> Changed:
    from .. import prps

    needed = {"note": text, "phase": text, "block": text, "reopen": text, "handover": to}
    if action in needed and not (needed[action] or "").strip():
        raise say.needs(action, "to" if action == "handover" else "text", id)
    acts: dict[str, Callable[[Context], Done]] = {
        "validate": lambda ctx: prps.validate(ctx, id),
        "note": lambda ctx: prps.note(ctx, id, text),
        "phase": lambda ctx: prps.phase(ctx, id, text),
        "block": lambda ctx: prps.block(ctx, id, text, to),
        "unblock": lambda ctx: prps.unblock(ctx, id),
        "release": lambda ctx: prps.release(ctx, id, text),
        "handover": lambda ctx: prps.handover(ctx, id, to or "", text),
        "reopen": lambda ctx: prps.reopen(ctx, id, text),
    }
    thens = {"validate": say.call("claim", id=id), "reopen": say.WORK, "release": say.call("next")}
    return _done(s, acts[action], thens.get(action, say.call("log", id=id)))


def landed(done: Landed, waits_for: str | None = None) -> LandResult:
    """The answer of a landing that was not refused. `waits_for`: the lane in a line, of one that still waits."""
    then = say.call("land") if done.state == "queued" else say.then(done.next_action)
    answer: LandResult = _there(
        {
            "state": done.state,
            "lane": done.lane,
            "landed": done.landed,
            "sha": done.sha,
            "position": done.position,
            "waits_for": waits_for,
            "run_url": done.run_url,
            "next": then,
        }
    )
    return answer


# --- looking ---------------------------------------------------------------------------------------------------------


def lanes(s: Session, name: str | None) -> Lanes:
    from ..messages.lane import lane_line

    states = [s.lock(one).state() for one in s.lanes(name)]
    return {"lanes": [ops.lane_json(one) for one in states], "text": "\n".join(lane_line(one) for one in states)}


def log(s: Session, id: str | None, lane: str | None, count: int) -> Log:
    if id is not None and lane is not None:
        raise say.one_of(id)
    if id is not None:
        return _of_prp(s, id, count)
    from .. import events, refusal

    answer: Log = {"reasons": [], "events": []}
    if lane is not None:
        name = s.lanes(lane)[0]
        answer["events"] = [_event(e) for e in events.tail(s.store(), count, lane=name)]
        return answer
    last = refusal.last_refusal(s.repo.git_dir)
    if last:
        answer["refused"] = f"{ops.iso(last[0] * 1000)}: {last[1]}"
    found = [e for name in (None, *s.lanes()) for e in events.tail(s.store(), count, lane=name)]
    answer["events"] = [_event(e) for e in sorted(found, key=lambda e: events.order(e.id))[-count:]]
    return answer


def _event(e: Any) -> Event:
    about = e.lane or e.prp
    return _moment(e.at_ms, e.event, about, e.agent, e.detail)


def _moment(at_ms: int, what: str, about: str | None, agent: str | None, detail: str) -> Event:
    one: Event = _there({"time": ops.iso(at_ms), "what": what, "about": about, "agent": agent, "detail": inert(detail)})
    return one


def _of_prp(s: Session, id: str, count: int) -> Log:
    from .. import history, prps, sync

    ops.greet(s)
    found = prps.why(s.context(), id)
    p = found.prp
    past = history.history(s.repo, s.store(), s.config, sync.lane_tip(s.repo, s.config).tip, p.id, count=count)
    then = next((r.next_action for r in found.reasons if r.next_action), None)
    if not found.reasons:
        then = f"prp validate {p.id}" if p.status == "new" else f"prp start {p.id}"
    answer: Log = _there(
        {
            "prp": ops.prp_json(p, whole=True),
            "ready": not found.reasons,
            "reasons": [*(r.text for r in found.reasons), *past.missing],
            "events": [_moment(m.at_ms, m.what, m.sha, m.agent, m.detail) for m in past.moments],
            "next": say.then(then),
        }
    )
    return answer


def whole(s: Session, id: str) -> dict[str, Any]:
    """A PRP as `prp status ID --json`. Raises UserError."""
    state = ops.read_state(s)
    p = state.resolve(id)
    if p is None:
        from ..messages.prps import unknown

        raise unknown(id, state)
    return ops.prp_json(p, whole=True)


def in_hand(s: Session, most: int) -> tuple[list[str], list[Brief]]:
    """The lanes, and the PRPs that are under way."""
    found = [p for page in ops.in_pages(s, ["in_progress"]) for p in page]
    return s.lanes(), [brief(p) for p in found[:most]]


def check(s: Session, everything: bool) -> Check:
    found = ops.check_all(s.repo, s.config) if everything else ops.check_staged(s.repo, s.config)
    errors = [f for f in found if f.severity == "error"]
    rest = [f for f in found if f.severity != "error"]
    shown = [*errors, *rest][:FINDINGS]
    return {"errors": len(errors), "more": len(found) - len(shown), "findings": [ops.finding_json(f) for f in shown]}


# --- messages --------------------------------------------------------------------------------------------------------


def send(s: Session, to: str, text: str, prp: str | None, priority: str, reply_to: str | None) -> Sent:
    from .. import mail

    about = ops.prp_called(s, prp) if prp is not None else None
    done = mail.send(s.store(), s.config, s.caller, to, text, prp=about, priority=priority, reply_to=reply_to)
    return {"id": done.id, "already": done.already, "due": done.due, "known": done.known, "near": list(done.near)}


def inbox(s: Session, ack: list[str]) -> Inbox:
    from .. import mail
    from ..messages.mail import not_yours, told

    acked: list[str] = []
    if ack:
        done = mail.acknowledge(s.store(), s.caller, ack)
        if done.unknown:
            raise UserError(f"{not_yours(done.unknown)}.", code="unknown-message", next_action="prp inbox")
        acked = [*done.acked, *done.already]
    found = mail.inbox(s.store(), s.caller)
    messages = [
        {
            "id": m.id,
            "from": m.sender,
            "to": m.to,
            "text": told(m),
            "prp": m.prp,
            "priority": m.priority,
            "reply_to": m.reply_to,
            "time": ops.iso(m.at_ms),
        }
        for m in found.messages
    ]
    return {"messages": messages, "unread": found.unread, "acked": acked}
