"""What people read of events, one line each: what, whose, and why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..events import Event

# Every event that the store writes down. tests/cli/test_feed.py compares with the scripts.
LANE_EVENTS = (
    *("queue", "acquire", "offer", "claim", "window", "hotfix", "candidate", "intent", "landed", "late", "merged"),
    *("foreign-push", "unseen", "not-landed", "reconcile", "adopt", "pick-up", "redispatch", "verdict", "renew-late"),
    *("release", "leave", "expired", "dead", "break", "close", "open", "break-glass"),
)
PRP_EVENTS = (
    *("new", "validated", "started", "taken-over", "completing", "complete", "complete-undone", "completing-lapsed"),
    *("reopened", "suspect", "lapsed", "released", "handed-over", "deprecated", "blocked", "blocked-ended"),
    *("assigned", "assigned-ended", "phase", "phase-ended", "note", "undone", "verdict", "landed", "landed-red"),
    *("landed-without-line", "evidence-reverted", "filled", "recorded", "reverted", "rewritten", "conflict"),
    *("settled", "rebuilt", "untold", "orphaned"),
)
KNOWN = tuple(dict.fromkeys((*LANE_EVENTS, *PRP_EVENTS, "message")))

GOOD = ("landed", "complete", "open", "merged", "reopened")
BAD = (
    *("close", "break", "break-glass", "landed-red", "lapsed", "not-landed", "foreign-push", "conflict", "dead"),
    *("evidence-reverted", "landed-without-line", "completing-lapsed", "orphaned"),
)
ODD = (
    *("suspect", "expired", "late", "unseen", "renew-late", "redispatch", "blocked", "taken-over", "reverted"),
    *("rewritten", "untold", "hotfix"),
)

_WHY = {
    ("expired", "offer"): "did not take its turn in time",
    ("expired", "reconciling"): "the hold ran out in mid push: the remote is asked",
    ("expired", ""): "the hold ran out before anything was pushed",
    ("dead", "reservation"): "the kept place ran out",
    ("dead", "waiter"): "the waiter was not heard of any more",
    ("leave", "kept"): "left the line, and keeps the place",
    ("leave", ""): "left the line",
    ("release", "closed"): "the lane was closed",
    ("queue", ""): "waits in line",
    ("offer", ""): "it is their turn",
    ("window", ""): "free, and kept for the first in line for a moment",
    ("acquire", ""): "got the lane",
    ("claim", ""): "took their turn",
    ("intent", ""): "about to push",
    ("unseen", ""): "pushed, and not seen in the branch yet",
    ("not-landed", ""): "the push did not reach the branch",
    ("late", ""): "reached the branch after all",
    ("reconcile", ""): "asks the remote what became of the push",
    ("renew-late", ""): "renewed after its time",
    ("redispatch", ""): "CI did not pick it up: another run was asked for",
    ("foreign-push", "1"): "a commit that came without the lane's lock",
}


def why(e: Event) -> str:
    """The reason, in words where the log has only a code."""
    if e.event == "verdict":
        if told := _verdict(e.detail):
            result, stands = told.get("result"), told.get("stands")
            other = f"{stands} stands" if stands != result else None
            of = str(told.get("sha") or told.get("tree") or "")[:10]
            return ", ".join(str(p) for p in (of, result, told.get("class"), other, told.get("run_url")) if p)
        what, _, rest = e.detail.partition(" ")
        return "unknown: " + rest if what == "unknown" and rest else e.detail
    if e.event == "foreign-push" and e.detail.isdigit() and e.detail != "1":
        return f"{e.detail} commits that came without the lane's lock"
    if e.event in ("blocked", "assigned", "phase"):
        return _said(e.detail)
    return _WHY.get((e.event, e.detail)) or e.detail


def _told(detail: str) -> dict[str, Any] | None:
    """What an event carries as JSON, if that is what it carries."""
    try:
        told = json.loads(detail)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def _verdict(detail: str) -> dict[str, Any] | None:
    """A verdict that the PRPs' stream tells; a lane's log tells its own in words."""
    return _told(detail) if detail.startswith("{") else None


def _said(detail: str) -> str:
    """What a mark on a PRP says; its event carries it as JSON."""
    told = _told(detail)
    if told is None:
        return detail
    words = [str(told[k]) for k in ("reason", "name") if told.get(k)]
    words += [f"to {told['agent']}"] if told.get("agent") else []
    words += [f"until {told['waits_for']} is done"] if told.get("waits_for") else []
    return ", ".join(words) or detail


def colour(e: Event) -> str | None:
    """Red for what somebody should look at, green for what went well, yellow for what is out of the ordinary."""
    if e.event == "verdict":
        told = _verdict(e.detail)
        said = str(told.get("result")) if told else e.detail.removeprefix("late ").removeprefix("candidate ")
        return "green" if said.startswith("green") else "red" if said.startswith("red") else "yellow"
    return "green" if e.event in GOOD else "red" if e.event in BAD else "yellow" if e.event in ODD else None


def parts(e: Event) -> list[str]:
    """Whose, what, who, which commit, why; nothing where there is nothing."""
    message = e.event == "message"
    found = [(e.prp if message else e.lane or e.prp) or "-", e.event, e.agent or "", (e.sha or "")[:10]]
    return [p for p in (*found, f"to {e.to}" if message else "", why(e)) if p]


def no_event(name: str, near: Sequence[str]) -> UsageError:
    return UsageError(
        f"{name!r} is no event.",
        code="usage",
        hint="Events: " + ", ".join(KNOWN),
        next_action=f"prp watch --event {near[0]}" if near else "prp watch",
    )
