"""What people read when a commit is judged by its hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..output import inert

if TYPE_CHECKING:
    from collections.abc import Sequence

NOT_COMMITTED = "Not committed; your staging is unchanged."
NOT_MERGED = "Not merged; the merge waits for you as git left it."
AT_MOST = 10  # findings shown at once


POLICY_REMOVED = (
    "prp: this commit removes prp.toml. Once it has landed nobody is coordinated any more: no lock, no checks.\n"
    "  git checkout HEAD -- :/prp.toml"
)


def unknown_options(names: Sequence[str]) -> str:
    said = ", ".join(map(inert, names))
    return f"prp: prp.toml says {said}, which this version does not know: a slip, or meant for a newer prpgate."


def and_more(count: int) -> str:
    return f"and {count} more:\n  prp check --staged"


def could_not_tell(why: str) -> str:
    return f"prp: the ledger was not checked: {why} The push is checked again."


def no_policy(why: str) -> str:
    return f"prp: the ledger was not checked, the lane's policy cannot be read: {why}"


def needs(module: str) -> str:
    return f"prp: the hooks of this checkout need {module}, which python3 does not have."


NEEDS_NEXT = "  python3 -m pip install -e .[dev]"


def synced(count: int, lane: str) -> str:
    return f"prp: {count} PRP{'' if count == 1 else 's'} changed on {lane}; the live state has been told"


REFRESHED = "prp: the lane's prp.toml changed; the hooks follow it now"


def conflicts(count: int) -> str:
    one = count == 1
    what = "entry of the ledger has" if one else "entries of the ledger have"
    return f"prp: {count} {what} no valid seal, the last valid one stands\n  prp sync"


def not_synced(why: str) -> str:
    return f"prp: the live state was not refreshed: {why}"
