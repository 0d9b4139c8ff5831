"""Live PRP state: the one module that the command line, hooks and programs ask.

Reading is in `live`, the verbs in `milestones` (what they share in `milestone`), the lane's events in `sync`, what a
push may bring in `lines`, and what proves a PRP done in `evidence`.
"""

from __future__ import annotations

from .claimfile import mine as claims_here
from .evidence import Recorded, note_verdict
from .lines import agreement, foreign_lines, prps_of_range
from .live import Claim, Line, PrpState, State, read, ready
from .milestone import Context, Done
from .milestones import complete, complete_undo, new, renew, reopen, start, validate
from .sync import SyncReport, sync

__all__ = [
    "Claim",
    "Context",
    "Done",
    "Line",
    "PrpState",
    "Recorded",
    "State",
    "SyncReport",
    "agreement",
    "claims_here",
    "complete",
    "complete_undo",
    "foreign_lines",
    "new",
    "note_verdict",
    "prps_of_range",
    "read",
    "ready",
    "renew",
    "reopen",
    "start",
    "sync",
    "validate",
]
