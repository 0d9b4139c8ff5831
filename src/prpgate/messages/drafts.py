"""What people read about drafts: PRPs that have no number yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UserError
from .ledger import Said, quoted

if TYPE_CHECKING:
    from ..model import Prp

NUMBER = "prp number"
NONE = "No drafts here."


def made(prp_id: str, title: str) -> str:
    return f"{prp_id} is a draft: {title}. It gets a number when the store can be asked."


def numbered(draft: str, prp_id: str) -> str:
    return f"{draft} is {prp_id} now."


def on_a_lane(prp_id: str) -> Said:
    return Said("a draft has no number yet, and a lane takes none", f"Give it one, commit, and push again:\n  {NUMBER}")


def no_draft(prp: Prp) -> UserError:
    return UserError(
        f"{prp.id} is no draft any more: its status is {quoted(prp.status)}{', and it has a rev' if prp.rev else ''}.",
        code="no-draft",
        hint='A draft is new and has no rev. Set "status: new" and take the rev out; milestones come with the number.',
        next_action="prp check --all",
    )


def gone(prp_id: str) -> UserError:
    return UserError(f"{prp_id} is not in this working tree any more.", code="no-draft", next_action=NUMBER)
