"""What people read when a PRP cannot be proven done yet."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from ..errors import UserError
from ..output import inert
from .prps import some

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..config import Config
    from ..evidence import Evidence

IN_CI, HERE = "prp lock status", "prp smoke"  # what gets a tree of the lane its verdict


def take_in_first(remote: str, lane: str) -> str:
    return f"git pull --rebase --autostash {quote(remote)} {quote(lane)} && {HERE}"


def on_the_tip(remote: str, lane: str) -> str:
    return f"git switch --detach {quote(f'{remote}/{lane}')} && {HERE}; git switch -"


def still_wait(ids: Sequence[str], lane: str, in_ci: bool) -> str:
    """Green, and yet it proves none of what has landed."""
    wait = f"{some(ids)} {'waits' if len(ids) == 1 else 'wait'} all the same for a green verdict"
    if in_ci:
        return f"{wait}: with this gate only one of CI counts."
    return f"{wait}: this tree is not that of {inert(lane)}'s tip, nor of a landing that has it."


def no_commit(rev: str) -> UserError:
    return UserError(
        f"{inert(rev)} is no commit in this clone. Nothing was changed.", code="missing-commit", next_action="git fetch"
    )


def not_red(sha: str) -> UserError:
    return UserError(
        f"No verdict on {sha[:12]} is red, so there is nothing to fix. Nothing was changed.",
        code="not-red",
        hint="What landed, and what became of it:",
        next_action="prp lane log",
    )


def is_being_fixed(prp_id: str, sha: str) -> UserError:
    return UserError(
        f"{prp_id} is there to fix {sha[:12]} already. Nothing was changed.",
        code="exists",
        next_action=f"prp status {prp_id}",
    )


def fix_title(sha: str, subject: str) -> str:
    return f"Fix what is red since {sha[:12]}: {inert(subject)[:80]}"


def fix_notes(run_url: str) -> str:
    return f"The smoke gate is red: {inert(run_url)}" if run_url else "The smoke gate is red."


def alone(prp_id: str) -> tuple[str, str]:
    """A completion with nothing to land it, and the command that takes it back."""
    return (
        f"No landing since it was claimed names {prp_id}, and nothing here but the ledger is new: this line is refused "
        f"alone (PRP128). It lands with the next change of another file, under a subject such as feat({prp_id}): …, "
        "or it is taken back:",
        f"prp complete {prp_id} --undo",
    )


def has_landed(prp_id: str, head: str) -> tuple[str, str]:
    """A completion whose work landed without its line, and the commands that complete it by that landing."""
    return (
        f"{head[:10]} has landed, and it names {prp_id} without this line, which is refused alone (PRP128). "
        "That landing is evidence by itself:",
        f"prp complete {prp_id} --undo && prp complete {prp_id}",
    )


def not_green(prp_id: str, found: Evidence, config: Config) -> UserError:
    said = f"is {found.result}" if found.result else "has no verdict yet"
    first = f"{prp_id} landed in {found.head[:10]}, but its tree {said}. Nothing was changed."
    if not config.smoke:
        return UserError(
            first,
            code="not-green",
            hint="No [[smoke]] step is declared in prp.toml, so nothing can become green. Declare one and land that.",
            next_action="prp smoke",
        )
    ours = config.gate not in ("ci", "ci-first")
    here = f"git pull --rebase --autostash && prp smoke && prp complete {prp_id}"
    return UserError(
        first,
        code="not-green",
        hint=f"It counts when that tree is green{'' if ours else ' in CI'}, or the tree of a later tip that has it.",
        next_action=here if ours else "prp lock status",
    )
