"""What people read about merges of the ledger: the driver's conflicts, and how the driver stands in a clone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UserError
from ..output import inert

if TYPE_CHECKING:
    from collections.abc import Sequence

INSTALL = "prp install"
OURS, THEIRS = "ours", "theirs"
NAME = "PRP ledger, entry by entry (prpgate)"

GROUP = "the lines from status to evidence"
COMMENT = "the comment above {}"
ENTRY = "the whole entry"
FILE = "the whole file"


def no_version(path: str, why: str) -> UserError:
    return UserError(
        f"the ledger was not merged: {inert(path)} cannot be read ({inert(why)}).",
        code="no-version",
        hint="The three versions are named as git names them (%O %A %B). Nothing was written; git has all of them.",
        next_action="git status",
    )


def conflict(file: str, prp_id: str, what: str) -> str:
    return f"{inert(file)}: {inert(prp_id) or 'the file'}: both sides changed {inert(what)}."


def conflicts(file: str, found: Sequence[tuple[str, str]], most: int = 10) -> list[str]:
    """What the driver says of a merge that a person has to finish."""
    lines = [conflict(file, prp_id, what) for prp_id, what in found[:most]]
    if len(found) > most:
        lines.append(f"{inert(file)}: and {len(found) - most} more.")
    if any(what == GROUP for _, what in found):
        lines.append("Take those lines whole, from one side: their rev seals them. Then prp check, and git add.")
    return lines


def unreadable(file: str, why: str) -> str:
    return f"{inert(file)} could not be merged entry by entry ({inert(why)}): git's text merge was used."


# --- install, uninstall, doctor --------------------------------------------------------------------------------------


def installed(path: str) -> str:
    return f"Merges of {path} go entry by entry (git config merge.prp, info/attributes)."


def unchanged(path: str) -> str:
    return f"Merges of {path}: unchanged."


def removed() -> str:
    return "Removed the merge driver."


def foreign_attribute(path: str, value: str) -> str:
    return (
        f"{path} has merge={value} in its git attributes, which is somebody's own: prpgate's merge driver is not used."
    )


def foreign_driver(command: str) -> str:
    return f"git config merge.prp.driver is somebody's own ({inert(command)[:80]}): it was left as it is."


def missing(path: str) -> str:
    return f"merges of {path} go by text here: prpgate's merge driver is not set up"


def stale(path: str) -> str:
    return f"merges of {path}: the merge driver is set up for another interpreter or ledger"


def gone(python: str) -> str:
    return f"the merge driver's interpreter is gone ({python}): merges of the ledger go by text"


def there(path: str) -> str:
    return f"merges of {path} go entry by entry"
