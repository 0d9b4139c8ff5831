"""What people read about a branch's rules at the host."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from ..errors import UsageError, UserError
from ..output import inert

if TYPE_CHECKING:
    from collections.abc import Sequence

VIA_LINE = 'via = "pr"                # prp land merges the pull request, in turn; push: it pushes'
ALL_THERE = "Nothing to do: the checks are required already."
DRY_RUN = "Nothing was changed. To do it:\n  prp ci protect"


def queue(lane: str) -> str:
    return (
        f"{inert(lane)} has the host's own merge queue: that lands, prpgate records and smokes what it lands and does "
        'not compete (via = "pr").'
    )


def pulls_only(lane: str) -> str:
    return f'{inert(lane)} takes pull requests only, so prp land merges them in turn (via = "pr").'


def checked_only(lane: str, required: Sequence[str]) -> str:
    names = ", ".join(inert(n) for n in required)
    return f'{inert(lane)} takes only commits with {names}, so a plain push is refused there: via = "pr".'


def checks(lane: str, required: Sequence[str]) -> tuple[str, ...]:
    if not required:
        return ()
    first = inert(required[0])
    return (
        f"Required there: {', '.join(inert(n) for n in required)}. If {first} also runs on pushes to {inert(lane)}, "
        f'gate = "ci", ci.check = "{first}" and ci.observe = "status" make each landing wait for it. '
        "Left at gate none.",
    )


def protected(lane: str) -> str:
    return (
        f"{inert(lane)} is protected at the host, and not so that pushes by those who may push would be refused: "
        'via = "push".'
    )


def pushes_would_be_refused(lane: str) -> UsageError:
    return UsageError(
        f'with via = "push" a required check would refuse every push to {inert(lane)}. Nothing was changed.',
        code="via-push",
        hint='Required checks are for via = "pr": set it in prp.toml, and land that first.',
        next_action="prp ci protect --dry-run",
    )


def no_branch(lane: str) -> UserError:
    return UserError(
        f"the host has no branch {inert(lane)}.", code="no-branch", next_action=f"git push -u origin {quote(lane)}"
    )


def needs_yes() -> UserError:
    return UserError(
        "this changes who may merge, and there is nobody to ask here. Nothing was changed.",
        code="declined",
        next_action="prp ci protect --yes",
    )


def done(count: int) -> str:
    return f"{count} call{'' if count == 1 else 's'} made; the checks are required now."
