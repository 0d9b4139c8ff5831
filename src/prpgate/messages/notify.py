"""What people are told outside of prpgate, and what `prp notify` says of it."""

from __future__ import annotations

from shlex import join
from typing import TYPE_CHECKING

from ..errors import UserError
from ..output import inert
from .lane import counted, span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..tellings import Summary, Telling

LONGEST = 500  # characters of the sentence
TEST = "A test: prp notify test was typed."


def sentence(t: Telling) -> str:
    """One line, inert."""
    lane, who, why = inert(t.lane or ""), inert(t.agent or "somebody"), inert(t.detail)
    said = {
        "lane-closed": f"{lane} is closed by {who}: {why}. Only fixes land.",
        "lane-open": f"{lane} is open again, by {who}: {why}.",
        "your-turn": f"{who}: it is your turn on {lane}.",
        "claim-suspect": f"{inert(t.prp or '')}: {who} has not been heard of and its claim's lease is over.",
        "red": f"{lane}: {inert((t.sha or '')[:10])} of {who} is red.",
    }.get(t.event, why)
    return said if len(said) <= LONGEST else said[: LONGEST - 1] + "…"


def next_action(t: Telling) -> str | None:
    return {
        "lane-closed": "prp lock status",
        "lane-open": "prp land",
        "your-turn": "prp land",
        "claim-suspect": f"prp status {inert(t.prp or '')}",
        "red": "prp lock log",
    }.get(t.event)


# --- how a delivery ended --------------------------------------------------------------------------------------------


def late(seconds: float) -> str:
    return f"no answer within {seconds:g} s"


def no_answer(why: str) -> str:
    return f"not reached: {inert(why)}"


def redirected(status: int) -> str:
    return f"it redirects ({status}), and no redirect is followed"


def answered(status: int) -> str:
    return f"it answered {status}"


def ended_with(code: int, said: str) -> str:
    last = inert(said.strip().splitlines()[-1][:200]) if said.strip() else ""
    return f"it ended with {code}" + (f": {last}" if last else "")


def not_started(why: str) -> str:
    return f"it could not be started: {inert(why)}"


# --- why nothing is delivered from here ------------------------------------------------------------------------------

NOT_SET = (
    "prp.toml of the lane has no [notify] with a webhook or a command. To begin, land this in it: "
    '[notify], and below it webhook = "https://…" or command = ["/path/of/a/program"].'
)
NOT_LANDED = "[notify] counts once prp.toml is on the lane: what a branch says is run by nobody."
ALLOW = "prp notify allow"


def no_secret(host: str, least: int) -> str:
    return (
        f"there is no secret for {inert(host)} in PRP_NOTIFY_SECRET (the environment, or .env that git does not "
        f"track), as {inert(host)}=SECRET with at least {least} characters."
    )


def not_allowed(command: Sequence[str]) -> str:
    return f"this clone has not allowed the command: {inert(join(command))}"


def no_program(name: str) -> str:
    return f"there is no program {inert(name)} here."


def refused(why: str) -> UserError:
    then = ALLOW if "not allowed" in why else "prp notify status"
    return UserError(f"nothing is delivered from here: {why}", code="not-ready", next_action=then)


def test_failed(why: str) -> UserError:
    return UserError(f"the test was not delivered: {why}.", code="not-delivered", next_action="prp notify status")


# --- prp notify ------------------------------------------------------------------------------------------------------


def would_run(command: Sequence[str], events: Sequence[str]) -> str:
    return (
        f"On {', '.join(events) or 'nothing'}, prpgate would run as you, with a JSON object on its standard input:\n"
        f"  {inert(join(command))}"
    )


ALLOWED = "Allowed in this clone, until prp.toml names another command."
ALREADY = "Allowed already."
NOT_ALLOWED_NOW = "Nothing was allowed."
WEBHOOK_NEEDS_NONE = "A webhook needs no permission here; its secret is one: PRP_NOTIFY_SECRET, for its host only."
RUNNING = "Delivering; Ctrl-C ends it."
DELIVERED = "Delivered: {how}."


def head(how: str, events: Sequence[str], ready: str | None) -> list[str]:
    here = "this clone delivers" if ready is None else f"this clone does not deliver: {ready}"
    return [f"[notify] {how}, on {', '.join(events) or 'nothing'}", here]


def delivered(t: Telling, outcome: str, why: str | None) -> str:
    what = f"{t.event}  {sentence(t)}"
    return what if why is None else f"{what}  ({inert(why)}; {'given up' if outcome == 'dead' else 'again later'})"


def summary_lines(s: Summary) -> list[str]:
    lines = []
    if s.deliverer:
        ago = span((s.now_ms - s.deliverer["at"]) / 1000)
        lines.append(f"last looked after by {inert(s.deliverer['agent'])} on {inert(s.deliverer['host'])} {ago} ago")
    else:
        lines.append("nobody has looked after it yet")
    if s.dropped:
        lines.append(f"{s.dropped} found no room and were dropped")
    for title, rows in (("waiting", s.due), ("given up", s.dead), ("told", s.told)):
        if rows:
            lines.append(f"{title}: {len(rows)}")
        lines += [f"  {_row(t, s.now_ms)}" for t in rows[:10]]
    return lines


def _row(t: Telling, now_ms: int) -> str:
    ago = span((now_ms - t.at_ms) / 1000)
    said = [counted(t.tries, "try", "tries")] if t.tries > 1 or t.error else []
    said += [inert(t.error)] if t.error else []
    return f"{ago} ago  {t.event}  {sentence(t)}" + (f"  ({', '.join(said)})" if said else "")


def nobody(s: Summary) -> str:
    if s.deliverer is None:
        return "[notify] is set, and nobody has delivered anything yet"
    ago = span((s.now_ms - s.deliverer["at"]) / 1000)
    waiting = f"; {counted(len(s.due), 'message waits', 'messages wait')}" if s.due else ""
    return f"[notify] is set, and nobody has looked after it for {ago}{waiting}"


def well(s: Summary) -> str:
    ago = span((s.now_ms - (s.deliverer or {"at": s.now_ms})["at"]) / 1000)
    return f"[notify] was last looked after {ago} ago; {len(s.told)} told, {len(s.dead)} given up"


def given_up(count: int) -> str:
    return f"{counted(count, 'notification was', 'notifications were')} given up"
