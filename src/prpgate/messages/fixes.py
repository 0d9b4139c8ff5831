"""What people read about fixing a lane: hotfixes, and taking back what has landed."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from ..errors import UsageError, UserError
from ..output import inert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..candidate import Conflict
    from ..lane_state import LaneState, Place

REASON_MOST = 60  # letters of somebody else's reason in a line that has to stay one line


# --- hotfixes --------------------------------------------------------------------------------------------------------


def goes_first(place: Place) -> str:
    """`hotfix by ana goes first: logins fail`"""
    return f"hotfix by {inert(place.agent)} goes first: {short(place.hotfix or '')}"


def short(reason: str) -> str:
    text = inert(reason)
    return text if len(text) <= REASON_MOST else text[: REASON_MOST - 1] + "…"


def not_named(lane: str, agent: str, names: Sequence[str]) -> UserError:
    who = f"only {', '.join(names)} may" if names else "nobody may"
    first = f"{lane} takes no hotfix of {agent}: {who}, says lane.hotfix in {lane}'s prp.toml. Nothing was pushed."
    example = ", ".join(f'"{n}"' for n in [*names, agent])
    return UserError(
        first,
        code="no-hotfix",
        hint=f"To allow it, land this in prp.toml first (names of agents, or globs such as ops-*):\n"
        f"  [lane]\n  hotfix = [{example}]\nWithout it you land in your turn:",
        next_action="prp land",
    )


# --- taking back -----------------------------------------------------------------------------------------------------


def no_such_commit(lane: str, asked: str) -> UserError:
    return UsageError(
        f"{asked!r} is no commit here, nor on {lane}, whose tip was just fetched.",
        code="no-commit",
        next_action=f"prp lane log {quote(lane)}",
    )


def nothing_closed_it(state: LaneState) -> UserError:
    c = state.closed
    what = f"was closed by {inert(c.by)}, not by a red landing" if c else "is open, so no landing stands out"
    return UserError(
        f"{state.name} {what}: say which commit to take back.",
        code="no-culprit",
        hint="What landed here:",
        next_action=f"prp lane log {quote(state.name)}",
        otherwise=("then", "prp land --revert SHA"),
    )


def not_in_lane(lane: str, sha: str) -> UserError:
    return UserError(
        f"{sha[:10]} is not in {lane}: there is nothing to take back.",
        code="not-in-lane",
        hint="It may have landed under another id (a rebase gives new ones); this lists what landed:",
        next_action=f"prp lane log {quote(lane)}",
    )


def brought_by_a_merge(lane: str, sha: str, merge: str) -> UserError:
    return UserError(
        f"{sha[:10]} came into {lane} inside the merge {merge[:10]}. A landing is taken back as it came.",
        code="inside-a-merge",
        hint="The whole merge:",
        next_action=f"prp land --revert {merge[:10]}",
        otherwise=("or only this commit, by hand", f"git revert {sha[:10]} && prp land"),
    )


def sideways(lane: str, sha: str, base: str) -> UserError:
    return UserError(
        f"{sha[:10]} merged {lane} into a branch and was pushed as it was, so the line of {lane} before it "
        f"({base[:10]}) is not its first parent. Taking it back by rule could take others' work with it.",
        code="sideways",
        hint="Look what it brought, take back by hand what is wrong, and land that:",
        next_action=f"git log {base[:10]}..{sha[:10]}",
        otherwise=("then", "git revert SHA && prp land"),
    )


def is_a_revert(lane: str, sha: str, taken: str, of: str | None = None) -> UserError:
    what = f"the landing of {of[:10]} holds {sha[:10]}, which" if of else f"{sha[:10]}"
    return UserError(
        f"{what} takes another commit back itself. Taking it back would bring into {lane} what was taken out, "
        "unseen by anybody.",
        code="is-a-revert",
        hint="To bring the work back, bring it as work, on a branch on top of the tip, and mended:",
        next_action=f"git cherry-pick -x {taken[:10]} && prp land",
        otherwise=("or as it was, by hand", f"git revert {sha[:10]} && prp land"),
    )


def already(lane: str, sha: str, by: str) -> UserError:
    return UserError(
        f"{sha[:10]} was taken back already, by {by[:10]} in {lane}.",
        code="already-reverted",
        next_action=f"git show {by[:10]}",
    )


def nothing_left(lane: str, sha: str) -> UserError:
    return UserError(
        f"nothing of what {sha[:10]} changed is left in {lane}: there is nothing to take back. The lane is given back.",
        code="already-reverted",
        hint="Later commits undid or replaced all of it:",
        next_action=f"git log -p {sha[:10]}..",
    )


def conflict(lane: str, found: Conflict) -> UserError:
    sha = (found.taking_back or "")[:10]
    files = "\n".join(f"  {f}" for f in found.files)
    theirs = "".join(f"\n  {c}" for c in found.theirs)
    return UserError(
        f"{sha} does not come out of {lane} cleanly: others have changed the same lines since. The lane is given "
        f"back; nothing was pushed.\n{files}" + (f"\nWhat landed on top of it there:{theirs}" if theirs else ""),
        code="conflict",
        hint="Decide by hand what stays, in your own clone (a merge needs -m 1):",
        next_action=f"git pull --rebase && git revert {sha}",
        otherwise=("then", "prp land"),
    )


def taken_back(lane: str, sha: str, subject: str, count: int) -> str:
    what = f"{sha[:10]} ({inert(subject)})"
    return f"{what} is taken back" + (f", with the {count - 1} before it in its landing." if count > 1 else ".")
