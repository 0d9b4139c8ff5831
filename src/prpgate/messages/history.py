"""What people read of a PRP's history."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..errors import UserError
from ..output import inert

if TYPE_CHECKING:
    from ..history import Moment
    from ..model import Prp

MILESTONE = ("status", "rev", "owner")
EMPTY_STORE = "The store is empty: of events, landings and verdicts nothing is known before it is filled (prp rebuild)."
SHALLOW = "This is a shallow clone: older commits are not here (git fetch --unshallow)."


def no_store(why: str) -> str:
    return f"The store was not asked: events, landings and verdicts are missing. ({why})"


def events_begin(at_ms: int | None) -> str:
    if at_ms is None:
        return "The store knows no event of it: what is shown is from commits."
    return f"The store's events of it begin at {clock(at_ms)}: of what was before, only commits are known."


def clock(at_ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_ms / 1000))


def verdict(klass: str, tree: str, steps: str, url: str | None) -> str:
    return f"class {klass}, tree {tree[:12]}, steps {steps}" + (f", {url}" if url else "")


def change(old: Prp | None, new: Prp | None, *, valid: bool) -> str:
    """What a commit did to the entry."""
    if new is None:
        return "removed"
    by_hand = "" if valid else " (by hand: not what its rev says)"
    line = f"{inert(new.status)}" + (f" {new.rev}" if new.rev else "")
    if old is None:
        return f"added as {line}{by_hand}"
    was = f"{inert(old.status)}" + (f" {old.rev}" if old.rev else "")
    other = [n for n in dict.fromkeys((*old.fields, *new.fields)) if n not in MILESTONE]
    fields = [n for n in other if old.fields.get(n) != new.fields.get(n)]
    words = [f"{was} -> {line}"] if was != line else []
    if old.owner != new.owner:
        words.append(f"owner {inert(old.owner or 'nobody')} -> {inert(new.owner or 'nobody')}")
    words += [", ".join(inert(n) for n in fields)] if fields else []
    back = "back: " if old.number > new.number else ""
    return back + "; ".join(words) + by_hand


def plain(detail: str) -> str:
    """What an event kept as JSON, in words: a reason stands for itself."""
    if not detail.startswith("{"):
        return detail
    import json

    try:
        found = json.loads(detail)
    except ValueError:
        return detail
    kept = {k: v for k, v in found.items() if v not in (None, "", [])}
    return str(kept["reason"]) if list(kept) == ["reason"] else ", ".join(f"{k} {v}" for k, v in kept.items())


def row(one: Moment) -> tuple[str, ...]:
    where = "" if one.in_lane is not False else " (not landed)"
    return clock(one.at_ms), one.kind, one.what + where, one.agent or "", (one.sha or "")[:10], plain(one.detail)


def older(prp_id: str, count: int) -> str:
    return f"Older ones are not shown: prp history {inert(prp_id)} -n {count * 4}"


def unknown(any_id: str) -> UserError:
    return UserError(
        f"nothing is known of {inert(any_id)}: neither the ledger nor the store has it.",
        code="unknown-prp",
        next_action="prp list",
    )
