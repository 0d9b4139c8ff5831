"""What people read when a PRP cannot be proven done yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UserError

if TYPE_CHECKING:
    from ..config import Config
    from ..evidence import Evidence


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
