"""What people read about lanes, landings and the merge lock."""

from __future__ import annotations

import time
from shlex import quote
from typing import TYPE_CHECKING

from ..errors import CouldNotTell, LaneClosed, StoreDown, UserError
from ..output import inert

if TYPE_CHECKING:
    from ..lane_state import Closing
    from ..lock import LaneState, Refused


def span(seconds: float) -> str:
    """1m50s, 12s, 2h03m."""
    s = max(0, round(seconds))
    if s < 60:
        return f"{s}s"
    if s < 3600:
        return f"{s // 60}m{s % 60:02d}s"
    minutes = round(seconds / 60)
    return f"{minutes // 60}h{minutes % 60:02d}m"


def clock(in_seconds: float) -> str:
    """The local time so many seconds from now (or ago, below zero): with seconds when it is near, with the day when
    it is not today."""
    now = time.time()
    at = time.localtime(now + in_seconds)
    day = "" if at[:3] == time.localtime(now)[:3] else "%a %d %b "
    return time.strftime(day + ("%H:%M" if abs(in_seconds) >= 120 else "%H:%M:%S"), at)


def place(position: int) -> str:
    return "next in line" if position == 1 else f"{nth(position)} in line"


def kept(position: int, reserved_ms: float) -> str:
    return f"Nothing is lost; you are {place(position)}, your place is kept until {clock(reserved_ms / 1000)}."


def counted(number: int, one: str, many: str = "") -> str:
    """`1 PRP`, `3 PRPs`, `1 entry`, `2 entries`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def nth(position: int) -> str:
    ending = "th" if 10 <= position % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(position % 10, "th")
    return f"{position}{ending}"


# A ledger line that waits to be committed is the normal state here; a pull must not trip over it.
AGAIN = "git pull --rebase --autostash && git push"


def again(remote: str, lane: str, plain: bool = False) -> str:
    """Fetch what is new on the lane and push once more; `plain`: a bare `git push` here goes to that lane."""
    there = f"{quote(remote)} {quote(lane)}"
    where = "" if plain else f" {quote(remote)} {quote('HEAD:' + lane)}"
    return f"git pull --rebase --autostash {there} && git push{where}"


WAIT_IN_LINE = ("or wait in line", "prp land")
EMERGENCY = ("emergency, recorded", 'PRP_BREAK_GLASS="why" git push')

PHASES = {
    "claimed": "about to push",
    "intent": "pushing",
    "accepting": "pushing",
    "candidate": "waiting for CI",
    "landed": "waiting for CI",
    "smoking": "in CI",
}


def holder_words(state: LaneState) -> str:
    """`ben (P2-040, 9ab41c2), in CI for 1m50s`"""
    h = state.holder
    if h is None:
        return "nobody"
    known = ", ".join(inert(x) for x in (h.prp, (h.sha or "")[:7]) if x)
    who = f"{inert(h.agent)} ({known})" if known else inert(h.agent)
    if state.state == "reconciling":
        return f"{who}, whose push has not been heard of since {clock(-h.since_ms / 1000)}"
    if state.state == "offered":
        return f"{who}, whose turn it is right now"
    return f"{who}, {PHASES.get(h.phase or '', h.phase or 'there')} for {span(h.since_ms / 1000)}"


def free_in_s(state: LaneState) -> float:
    """When the lane may be free: by the usual length of a hold here, never later than its deadline."""
    h = state.holder
    if h is None:
        return state.window_ms / 1000
    latest = ends_in_s(state)
    if state.hold_p50_ms and (state.candidate or h.phase not in ("landed", "smoking")):
        return min(latest, usual_left_s(state.hold_p50_ms, h.since_ms, latest))
    return latest


def ends_in_s(state: LaneState) -> float:
    """When the hold ends if nobody renews it: its deadline, of a candidate its cap."""
    h = state.holder
    return max(0.0, ((h.cap_ms or 0.0) if state.candidate else h.deadline_ms) / 1000) if h else 0.0


def usual_left_s(usual_ms: float, gone_ms: float, ends_s: float) -> float:
    """What is left of a usual hold. One that took longer already may take until it ends: nothing else is known."""
    return max(1.0, (usual_ms - gone_ms) / 1000) if gone_ms < usual_ms else ends_s


def held(state: LaneState, position: int, reserved_ms: float, again: str = AGAIN) -> UserError:
    wait = free_in_s(state)
    if state.state == "reconciling":
        asking = f"{inert(state.looker)} is asking the remote" if state.looker else "the remote could not be asked"
        first = f"{state.name} is not free: {holder_words(state)}, and {asking}."
        return UserError(
            f"{first} {kept(position, reserved_ms)}",
            code="reconciling",
            hint="Once the remote answers, the next push looks and goes on by itself. If it never will:",
            next_action=f'prp lock break {quote(state.name)} --fence {state.fence} --reason "why"',
        )
    what = f"is held by {holder_words(state)}" if state.holder else "waits for a place kept before yours"
    return UserError(
        f"{state.name} {what}, free about {clock(wait)}. " + kept(position, reserved_ms),
        code="held",
        next_action=again,
        when=f"after {clock(wait)}",
        otherwise=WAIT_IN_LINE,
    )


def closed(state: LaneState) -> LaneClosed:
    c = state.closed
    assert c is not None
    opens = "a person opens it" if c.kind == "person" else "such a fix is green, or a person opens it"
    back = ("or take it back", "prp land --revert")
    if not c.culprit_sha:
        back = ("whoever may open it", f'prp lane open {quote(state.name)} --reason "why"')
    return LaneClosed(
        f"{state.name} is closed by {inert(c.by)} since {clock(-c.since_ms / 1000)}: {sentence(c.reason)} "
        "Nothing is lost.",
        code="closed",
        hint="Until then only fixes land: a revert of what broke it, a fix by its own agent, a hotfix "
        f"(prp land --hotfix, for those whom prp.toml names). It opens when {opens}.",
        next_action="prp lock status",
        otherwise=back,
    )


def sentence(text: str) -> str:
    """Somebody's words, with a stop at their end."""
    words = inert(text).rstrip()
    return words if words.endswith((".", "!", "?", "…")) else f"{words}."


def closed_by_a_person(lane: str, closing: Closing) -> UserError:
    return UserError(
        f"{lane} was closed by {inert(closing.by)}: {sentence(closing.reason)} What a person closed, a person opens.",
        code="closed-by-person",
        hint="You are a program here (PRP_AGENT, or the name of this worktree).",
        next_action="prp lock status",
    )


def lost(lane: str, state: LaneState | None = None, again: str = AGAIN) -> UserError:
    now = f"; now it is held by {holder_words(state)}" if state and state.holder else " (was this process stopped?)"
    return UserError(
        f"the lock of {lane} was lost before the push could begin{now}. Nothing was pushed.",
        code="lost",
        next_action=again,
    )


def store_down(lane: str, error: StoreDown) -> StoreDown:
    return StoreDown(
        f"push to {lane} refused: {error.message} Commits and other branches work.",
        code=error.code,
        hint=error.hint,
        next_action=error.next_action or "prp redis-status",
        otherwise=EMERGENCY,
    )


def emergency(lane: str, reason: str) -> str:
    return (
        f"prp: this push goes to {lane} without its lock ({inert(reason)}). It is recorded here with your name, and "
        "delivered to the others when the store is back."
    )


def two_lanes(remote: str, pairs: list[tuple[str, str]]) -> UserError:
    names = " and ".join(name for _, name in pairs)
    return UserError(
        f"one push to {names}: each lands in its own turn. Nothing was pushed.",
        code="two-lanes",
        next_action="\n".join(
            f"git push {quote(remote)} "
            + quote(f"{local.removeprefix('refs/heads/') if local != '(delete)' else ''}:{name}")
            for local, name in pairs
        ),
    )


def deletion(lane: str) -> UserError:
    return UserError(
        f"{lane} is a lane: it is not deleted by a push. Nothing was pushed.",
        code="deletion",
        hint="Take it out of lane.branches in prp.toml first, and land that.",
        next_action="prp lock status",
    )


def just_adopted(lane: str, wait_s: float, again: str = AGAIN) -> UserError:
    return UserError(
        f"push to {lane} refused: the store was emptied and adopted anew; pushes that were under way then may still "
        f"arrive, so nobody is let go before {clock(wait_s)}. Nothing is lost.",
        code="adopted",
        next_action=again,
        when=f"after {clock(wait_s)}",
    )


def fetch_first(remote: str, lane: str, sha: str, line: Refused | None, plain: bool = True) -> UserError:
    place = kept(line.position, line.reserved_ms) if line else "Nothing is lost."
    if line and (c := line.state.closed):
        place = f"It is closed, too, by {inert(c.by)}: {sentence(c.reason)} Only fixes land. {place}"
    return UserError(
        f"{lane} moved on to {sha[:10]}, which is not under what you push. {place}",
        code="fetch-first",
        next_action=again(remote, lane, plain),
    )


def not_forward(lane: str, remote: str, plain: bool = True) -> UserError:
    return UserError(
        f"this push would take commits away from {lane}, which others have. Nothing was pushed.",
        code="not-forward",
        hint="A lane only moves forward. To undo a commit, revert it.",
        next_action=again(remote, lane, plain),
    )


def cannot_tell(lane: str, why: str, action: str | None) -> CouldNotTell:
    return CouldNotTell(
        f"push to {lane} refused: could not tell what it brings: {why}. Nothing was pushed.",
        code="could-not-tell",
        next_action=action,
    )


NOT_PUSHED = "Nothing was pushed. Mend it here and commit, or git revert the commit; then push again."


def findings(lane: str, count: int, text: str) -> UserError:
    said = f"{count} finding{'s' if count > 1 else ''}"
    return UserError(f"push to {lane} refused: {said} in what it brings.\n{text}", code="findings")


def lane_line(state: LaneState) -> str:
    """One lane in one line."""
    if state.holder:
        what = holder_words(state)
        line = f"{state.name}: {what}" if state.state == "reconciling" else f"{state.name}: held by {what}"
    elif state.window_ms > 0:
        line = f"{state.name}: free, kept for the first in line for {span(state.window_ms / 1000)}"
    else:
        line = f"{state.name}: free"
    if state.queue:
        line += f", {len(state.queue)} in line"
    if state.closed:
        line += f"; closed by {inert(state.closed.by)}: {inert(state.closed.reason)}"
    return line


def closed_lines(state: LaneState) -> list[str]:
    """What `prp lock status` says below a closed lane: since when, and the command that opens it."""
    c = state.closed
    if c is None:
        return []
    opens = f'prp lane open {quote(state.name)} --reason "why"'
    if c.kind != "person" and c.culprit_sha:
        sha = c.culprit_sha[:10]
        told = f"a green fix opens it; {sha} closed it, and is taken back by:"
        opens = "prp land --revert"
    elif c.kind != "person":
        told = "a green fix opens it, or a person:"
    else:
        told = "a person opens it:"
    return [f"  closed since {clock(-c.since_ms / 1000)}, only fixes land; {told}", f"    {opens}"]


def kept_place(reserved_ms: float) -> str:
    return f"place kept until {clock(reserved_ms / 1000)}"


def quiet(wait_s: float) -> str:
    return f"Nobody lands before {clock(wait_s)}: the store was emptied and adopted anew."


def closed_now(name: str, before: Closing | None) -> str:
    """`before`: the closing that this one takes the place of."""
    over = f" (before: by {inert(before.by)}: {inert(before.reason)})" if before else ""
    return f"{name} is closed{over}. It takes only fixes until you, or somebody else, opens it:"


def opened(name: str, before: Closing | None) -> str:
    was = f" It was closed by {inert(before.by)}: {sentence(before.reason)}" if before else ""
    return f"{name} is open.{was}"


def moment(event_id: str) -> str:
    """Local date and time of a stream id."""
    ms = int(event_id.partition("-")[0])
    return time.strftime("%m-%d %H:%M:%S", time.localtime(ms / 1000)) + f".{ms % 1000:03d}"


def not_broken(state: LaneState, fence: int) -> UserError:
    if state.state == "free":
        return UserError(f"{state.name} is free: there is no hold to end.", code="free", next_action="prp lock status")
    return UserError(
        f"fence {fence} is not the current hold of {state.name}; it is fence {state.fence}, {holder_words(state)}.",
        code="fence",
        hint="The hold you saw has ended by itself. Look before you break this one.",
        next_action="prp lock status",
    )
