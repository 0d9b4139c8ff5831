"""The values that the rest of the package passes around. Frozen; no behaviour that needs anything outside.

NamedTuple, not dataclass: a commit hook pays for every import, and `dataclasses` costs half a Python start.
"""

from __future__ import annotations

from typing import Any, NamedTuple

NEW, VALIDATED, IN_PROGRESS, COMPLETE, DEPRECATED = (
    "new",
    "validated",
    "in_progress",
    "complete",
    "deprecated",
)
STATUSES = (NEW, VALIDATED, IN_PROGRESS, COMPLETE, DEPRECATED)

ZERO = "0" * 40  # git's object id for "nothing"

ERROR, WARNING = "error", "warning"


class Prp(NamedTuple):
    """One work item as one ledger text records it."""

    id: str
    title: str
    status: str  # one of STATUSES when valid; an old entry with `deprecated: true` reads as "deprecated"
    rev: str | None  # the seal, "4-3fa9c1b2"; None for an entry that prpgate has not written yet
    owner: str | None
    fields: dict[str, Any]  # every field as written, in the order of the file
    file: str
    line: int  # 1-based, of the id

    @property
    def number(self) -> int:
        """The counter in the seal; 0 without one."""
        head = (self.rev or "0").partition("-")[0]
        return int(head) if head.isascii() and head.isdigit() else 0

    @property
    def priority(self) -> str:
        """`corrected_priority` where there is one, else `priority`, else the id's own prefix ("P2" of P2-040)."""
        for key in ("corrected_priority", "priority"):
            value = self.fields.get(key)
            if value not in (None, ""):
                return str(value)
        return self.id.partition("-")[0]

    @property
    def depends_on(self) -> tuple[str, ...]:
        value = self.fields.get("depends_on") or ()
        return tuple(str(v) for v in ([value] if isinstance(value, str) else value))

    @property
    def ids(self) -> tuple[str, ...]:
        """Every id that this entry answers to, its own first."""
        others = (self.fields.get("stable_id"), self.fields.get("legacy_id"))
        return (self.id, *dict.fromkeys(str(o) for o in others if o and o != self.id))


class Finding(NamedTuple):
    """What a rule says of one place. Codes are PRP1xx, listed in docs/findings.md."""

    code: str
    severity: str  # ERROR or WARNING
    file: str
    line: int
    column: int
    id: str | None
    message: str
    fix: str | None  # a command or an instruction; None where only a person can know


class RefUpdate(NamedTuple):
    """One line of pre-push's (or pre-receive's) stdin."""

    local_ref: str
    local_sha: str
    remote_ref: str
    remote_sha: str  # the old value that the remote will compare


class Agent(NamedTuple):
    """Who acts: a person or a program."""

    name: str
    source: str  # where the name came from: "PRP_AGENT", "this worktree", "connect", "git config prp.agent", …


class Intent(NamedTuple):
    """What a holder is about to push. `base` is the old value that the remote will compare."""

    head: str
    base: str


class Verdict(NamedTuple):
    """What a smoke gate said of one tree under given steps."""

    tree: str
    steps: str  # hash of the steps
    klass: str  # "local" or "ci"
    result: str  # "green", "red" or "unknown"
