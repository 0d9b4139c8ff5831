"""What a coding agent's hooks tell the model, and what `prp agent-hooks` tells a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import UserError
from ..output import inert

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..scopes import Held

SHOWN = 120  # characters of a title or reason
MOST = 10  # claims that are listed
NOT_ASKED = "prpgate: nothing is known here yet. Run: prp status"
AWAY = (
    "prpgate: the store does not answer, so this is not known: what you hold, who has the lanes. Run: prp redis-status"
)
HOW = "How to work here: prp prime"


def cut(text: object) -> str:
    safe = inert(text)
    return safe if len(safe) <= SHOWN else safe[:SHOWN] + "…"


# --- before an edit --------------------------------------------------------------------------------------------------


def in_the_way(found: Sequence[tuple[Held, Sequence[str]]], now_s: float, refused: bool) -> str:
    """Who has the path, until when, and what to do."""
    from .scopes import in_the_way as one
    from .scopes import scope_way_out

    lines = [one(held, paths, now_s) for held, paths in found[:3]]
    lines.append("Not edited." if refused else "Edit it only if your person says so: a commit there will warn.")
    return "\n".join([*lines, scope_way_out(found[0][0])])


# --- at the start of a session ---------------------------------------------------------------------------------------


def brief(name: str, source: str, answer: Mapping[str, Any], lanes: Sequence[str]) -> str:
    now = float(answer["now"])
    lines = [f"prpgate: you are {inert(name)} here ({source})."]
    if source not in ("PRP_AGENT", "this worktree"):
        lines.append("That is your person's name. Take one of your own: prp whoami --set NAME")
    mine = list(answer["mine"] or ())
    lines += [_claim(one, now) for one in mine[:MOST]]
    lines += [f"and {len(mine) - MOST} more: prp status"] if len(mine) > MOST else []
    if not mine:
        lines.append("You hold no PRP. To take one: prp next --claim")
    if answer["unread"]:
        urgent = f", {answer['urgent']} urgent" if answer["urgent"] else ""
        noun = "message" if answer["unread"] == 1 else "messages"
        lines.append(f"{answer['unread']} unread {noun}{urgent}: prp inbox")
    lines += [_lane(lane, one, name, now) for lane, one in zip(lanes, answer["lanes"] or (), strict=False)]
    return "\n".join([*lines, HOW])


def _claim(one: Mapping[str, Any], now: float) -> str:
    from .lane import clock, span

    title = f' "{cut(one["title"])}"' if one["title"] else ""
    branch = f" on branch {cut(one['branch'])}" if one.get("branch") else ""
    left_s = (one["deadline"] - now) / 1000
    until = (
        f"until {clock(left_s)} ({span(left_s)} left)"
        if left_s > 0
        else f"its lease is over; any prp command of yours renews it until {clock((one['over'] - now) / 1000)}"
    )
    return f"You hold {inert(one['id'])}{title}{branch}, {until}."


def _lane(lane: str, one: Mapping[str, Any], me: str, now: float) -> str:
    from .lane import span

    parts = []
    if one.get("closed"):
        parts.append(
            f"closed by {cut(one.get('by') or '?')} ({cut(one.get('reason') or 'no reason')}); only fixes land"
        )
    if one["state"] == "free":
        parts.append("free")
    elif one.get("agent"):
        whose = "you" if one["agent"] == me else cut(one["agent"])
        prp = f" for {inert(one['prp'])}" if one.get("prp") else ""
        left_s = (float(one["deadline"]) - now) / 1000
        until = f", {span(left_s)} left" if left_s > 0 else ""
        parts.append(f"{cut(one.get('phase') or one['state'])} by {whose}{prp}{until}")
    else:
        parts.append(cut(one["state"]))
    if one["waiting"]:
        place = f", you are number {one['place']}" if one.get("place") else ""
        parts.append(f"{one['waiting']} in line{place}")
    return f"{inert(lane)}: {'; '.join(parts)}."


# --- prp agent-hooks -------------------------------------------------------------------------------------------------


def which() -> str:
    return "for which agent? There is one so far: --claude-code."


def no_json(path: str, why: str) -> UserError:
    return UserError(
        f"{inert(path)} cannot be changed without losing something: {why}. Nothing was written.",
        code="settings",
        hint="Mend it by hand, then do it again. What belongs into it is printed by:",
        next_action="prp agent-hooks install --claude-code --print",
    )


def no_rest(path: str) -> UserError:
    return UserError(
        f"{inert(path)} is written by another program all the time. Nothing was written.",
        code="settings",
        hint="End the session that writes it, then do it again. What belongs into it is printed by:",
        next_action="prp agent-hooks install --claude-code --print",
    )


def leads_out(path: str) -> UserError:
    return UserError(
        f"{inert(path)} leads out of this repository by a link that is committed. Nothing was written.",
        code="symlink",
        hint="Whoever committed it chose the file. Take the link out of the repository, then do it again.",
        next_action=None,
    )


def did(path: str, what: str) -> str:
    return {
        "written": f"Wrote the hooks into {inert(path)}; a running session takes them at its next start.",
        "unchanged": f"{inert(path)}: unchanged.",
        "removed": f"Took the hooks out of {inert(path)}.",
        "nothing": f"{inert(path)} has none of our hooks.",
    }[what]


def shared_note(path: str) -> str:
    return (
        f"{inert(path)} is for the whole team, and these lines name this machine's interpreter: where that is not, "
        "they do nothing."
    )


def fact(path: str, state: str) -> str:
    return {
        "current": f"{inert(path)}: our hooks are in it.",
        "stale": f"{inert(path)}: our hooks are in it, from another installation.",
        "none": f"{inert(path)}: none of our hooks.",
    }[state]


INSTALL = "prp agent-hooks install --claude-code"


def not_ignored(path: str) -> str:
    return f"git does not ignore {inert(path)} here; it holds paths of this machine, so leave it out of commits."


def no_note(why: str) -> str:
    return f"{inert(why[:1].upper() + why[1:])} The hooks say nothing until a prp command has reached the store."
