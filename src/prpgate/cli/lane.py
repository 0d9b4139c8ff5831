"""lock status|log|break, lane close|open|log, redis-merge-status, why."""

from __future__ import annotations

import time
from shlex import quote
from typing import TYPE_CHECKING

from .. import lane_log, ops
from ..errors import OK, UsageError
from ..lane_state import ACCEPTING, INTENT, LANDED, SMOKING
from ..messages import lane as words
from ..messages.candidates import waits as candidate_waits
from ..messages.fixes import goes_first
from ..messages.land import turn
from ..output import inert

if TYPE_CHECKING:
    import argparse

    from ..lock import LaneState
    from ..output import Output


def status(args: argparse.Namespace, out: Output) -> int:
    session = ops.Session(url=args.redis_url)
    states = [session.lock(name).state() for name in session.lanes(args.lane)]
    out.answer(lanes=[ops.lane_json(s) for s in states])
    for state in states:
        _show(state, out)
    if (quiet_s := session.store().quiet_s()) > 0:
        out.say(words.quiet(quiet_s))
    return OK


def _show(state: LaneState, out: Output) -> None:
    out.say(words.lane_line(state), colour="bold")
    if state.holder:
        until = words.clock(state.holder.deadline_ms / 1000)
        out.say(f"  fence {state.fence}, on {inert(state.holder.host)}, until {until}")
        if state.candidate:
            out.say(f"  {candidate_waits(state.candidate)}")
        if state.holder.hotfix:
            out.say(f"  hotfix: {inert(state.holder.hotfix)}")
    for t in state.queue:
        waits = t.kind == "waiting"
        told = f"waiting for {words.span(t.since_ms / 1000)}" if waits else words.kept_place(t.reserved_ms)
        line = f"  {t.position}. {inert(t.agent)}  {told}"
        if when := turn(state, t.position):
            line += f", turn about {words.clock(when[0])}, latest {words.clock(when[1])}"
        out.say(line + (f"; {goes_first(t)}" if t.hotfix is not None else ""))
    for line in words.closed_lines(state):
        out.say(line)
    if state.state == "reconciling":
        out.say("  The next push that reaches the remote looks and goes on. If none ever will:")
        out.say(f'  prp lock break {quote(state.name)} --fence {state.fence} --reason "why"')


def log(args: argparse.Namespace, out: Output) -> int:
    if args.count < 1:
        raise UsageError("-n wants a number from 1 up.", code="usage", next_action="prp lock log -n 30")
    session = ops.Session(url=args.redis_url)
    events = [e for name in session.lanes(args.lane) for e in session.lock(name).log(args.count)]
    events.sort(key=lambda e: tuple(int(n) for n in e.id.split("-")))
    events = events[-args.count :]
    out.answer(events=[ops.event_json(e) for e in events])
    if not out.json:
        rows = [
            (words.moment(e.id), e.lane, e.event, e.fence or "", e.agent or "", (e.sha or "")[:10], e.detail or "")
            for e in events
        ]
        out.table(rows, head=("TIME", "LANE", "EVENT", "FENCE", "AGENT", "SHA", "DETAIL"))
    if not events:
        out.note("Nothing has happened yet: the first push to a lane is the first line here.")
    return OK


def break_(args: argparse.Namespace, out: Output) -> int:
    from ..lock import Lost

    session = ops.Session(url=args.redis_url)
    name = session.lanes(args.lane or session.config.ledger_lane)[0]
    lock = session.lock(name)
    before = lock.state()
    if not args.reason.strip():
        raise UsageError(
            "a reason is needed: the holder will read it.", code="usage", next_action="prp lock break --help"
        )
    answer = lock.break_(args.fence, session.agent.name, args.reason)
    if isinstance(answer, Lost):
        raise words.not_broken(answer.state, args.fence)
    out.say(f"{name}: the hold of {words.holder_words(before)}, is ended. It is in the log, with your name and reason.")
    if before.phase in (INTENT, ACCEPTING):
        out.say("Its push may still arrive; if it does, the log will say so, under its owner's name.")
    elif before.phase in (LANDED, SMOKING):
        out.say("What it landed stays in the branch, unproven: CI had not said what it is.")
    out.say(f"  prp lock log {quote(name)}")
    out.answer(lane=ops.lane_json(answer.state))
    return OK


def close(args: argparse.Namespace, out: Output) -> int:
    session = ops.Session(url=args.redis_url)
    name, reason = session.lanes(args.lane or session.config.ledger_lane)[0], _reason(args)
    lock = session.lock(name)
    before = lock.state().closed
    state = lock.close(session.agent.name, reason).state
    _sign(session, name, out)
    out.say(words.closed_now(name, before))
    out.say(f'  prp lane open {quote(name)} --reason "why"')
    out.answer(lane=ops.lane_json(state))
    return OK


def open_(args: argparse.Namespace, out: Output) -> int:
    from .. import identity
    from ..lock import Lost

    session = ops.Session(url=args.redis_url)
    name, reason = session.lanes(args.lane or session.config.ledger_lane)[0], _reason(args)
    lock = session.lock(name)
    closed = lock.state().closed
    theirs = closed and closed.kind == "person" and closed.by != session.agent.name
    if closed and theirs and not identity.is_person(session.agent):
        raise words.closed_by_a_person(name, closed)
    answer = lock.open(session.agent.name, reason)
    if isinstance(answer, Lost):
        out.say(f"{name} is open already.")
    else:
        out.say(words.opened(name, closed))
    _sign(session, name, out)
    out.answer(lane=ops.lane_json(answer.state))
    return OK


def _sign(session: ops.Session, name: str, out: Output) -> None:
    """What the open pull requests say of the lane follows at once; what could not be told is told by `ci watch`."""
    from .. import sign
    from ..messages import sign as say

    if sign.wanted(session.config) and (error := sign.follow(session.repo, session.config, session.store(), name)):
        out.note(say.not_shown(session.config.land_check, error))


def _reason(args: argparse.Namespace) -> str:
    if not args.reason.strip():
        raise UsageError(
            "a reason is needed: everybody who is refused will read it.", code="usage", next_action="prp lane log"
        )
    return str(args.reason)


def landings(args: argparse.Namespace, out: Output) -> int:
    """Newest last, one line a commit that was pushed or was found in the branch."""
    if args.count < 1:
        raise UsageError("-n wants a number from 1 up.", code="usage", next_action="prp lane log -n 30")
    session = ops.Session(url=args.redis_url)
    found = []
    for name in session.lanes(args.lane):
        found += lane_log.landings(session.lock(name), args.count)
    found.sort(key=lambda one: one.time_ms)
    found = found[-args.count :]
    out.answer(landings=[lane_log.as_json(one) for one in found])
    if not out.json:
        rows = [
            (words.moment(f"{one.time_ms}-0"), one.lane, one.agent or "", one.sha[:10], one.claimed, one.found)
            for one in found
        ]
        out.table(rows, head=("TIME", "LANE", "AGENT", "SHA", "CLAIMED", "FOUND"))
    if not found:
        out.note("Nothing has landed yet.")
    return OK


def why(args: argparse.Namespace, out: Output) -> int:
    from ..gitrepo import Repo
    from ..refusal import last_refusal

    found = last_refusal(Repo().git_dir)
    if found is None:
        out.say("Nothing was refused in this worktree so far.")
        out.answer(refused_at=None, text=None)
        return OK
    at, text = found
    out.say(f"Refused {words.span(time.time() - at)} ago ({words.clock(at - time.time())}):")
    out.say(text)
    out.answer(refused_at=ops.iso(at * 1000), text=text)
    return OK
