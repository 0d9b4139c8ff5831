"""Live PRP state: the one module that the command line, hooks and programs ask.

Reading is in `live`, picking in `picking`, claims in `claims`, the other verbs in `milestones` (what they share in
`milestone`), the lane's events in `sync`, what a push may bring in `lines`, and what proves a PRP done in `evidence`.
"""

from __future__ import annotations

from . import graph
from .claimfile import mine as claims_here
from .claims import (
    Choice,
    Why,
    assign,
    block,
    choice,
    claim_next,
    deprecate,
    domain_of,
    give_back,
    handover,
    note,
    phase,
    release,
    start_on_branch,
    unblock,
    unvalidated,
    why,
)
from .evidence import Recorded, note_verdict
from .lines import agreement, foreign_lines, prps_of_range
from .live import Claim, Line, Note, PrpState, State, exclusive, is_empty, notes, open_ids, read, read_some
from .milestone import Context, Done
from .milestones import complete, complete_undo, new, new_fix, renew, reopen, start, validate
from .sync import SyncReport, sync

__all__ = [
    "Choice",
    "Claim",
    "Context",
    "Done",
    "Line",
    "Note",
    "PrpState",
    "Recorded",
    "State",
    "SyncReport",
    "Why",
    "agreement",
    "assign",
    "block",
    "choice",
    "claim_next",
    "claims_here",
    "complete",
    "complete_undo",
    "deprecate",
    "domain_of",
    "exclusive",
    "foreign_lines",
    "give_back",
    "graph",
    "handover",
    "is_empty",
    "new",
    "new_fix",
    "note",
    "note_verdict",
    "notes",
    "open_ids",
    "phase",
    "prps_of_range",
    "read",
    "read_some",
    "release",
    "renew",
    "reopen",
    "start",
    "start_on_branch",
    "sync",
    "unblock",
    "unvalidated",
    "validate",
    "why",
]
