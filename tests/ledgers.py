"""Ledger texts to try things on: one as untidy as a real team's, and small ones made to measure."""

from __future__ import annotations

from typing import Any

from prpgate import ledger_edit, seal
from prpgate.ledger import Ledger, parse

FILE = "tracking/prp_status.yaml"
PLACEHOLDER = "https://ci.example.org/team/app/actions"

_HEAD = """\
# kept by hand and by three scripts
metadata:
  version: '2.0'
  last_updated: '2025-07-20T21:08:12.943101Z'
  stable_id_system: true
prp_tracking:
"""

_STATS = """\
stats:
  total_prps: 14
  active_prps: 11
  deprecated_prps: 2
  priority_distribution:
    P0: 5
    P1: 3
  status_distribution:
    complete: 9
    new: 1
  completion_rate: 0.582
  by_wish:
    must_have: 28 (51%)
"""

# Out of order, deprecated by a flag, folded notes, null times, numbers for commits, placeholders for evidence.
_ENTRIES = f"""\
  P0-001:
    title: Fix login cache
    status: complete
    validated_at: '2025-07-10T10:00:00Z'
    started_at: '2025-07-10T11:00:00Z'
    completed_at: '2025-07-10T16:00:00Z'
    github_commit: 322579d
    ci_run_url: {PLACEHOLDER}
    stable_id: PRP-1001
    corrected_priority: P0
    legacy_id: P0-001
    migrated_at: '2025-07-20T21:08:12.943109Z'
  P0-002:
    title: Move sessions to the store
    status: complete
    validated_at: '2025-07-10T10:00:00Z'
    started_at: '2025-07-10T11:00:00Z'
    completed_at: '2025-07-10T17:00:00Z'
    github_commit: 322579d
    ci_run_url: {PLACEHOLDER}
    stable_id: PRP-1002
    corrected_priority: P0
    legacy_id: P0-002
    migrated_at: '2025-07-20T21:08:12.943110Z'
  P2-010:
    title: Invoice table views
    status: complete
    validated_at: '2025-07-16T08:00:00Z'
    started_at: '2025-07-18T10:37:45.277731Z'
    completed_at: '2025-07-18T15:45:00Z'
    github_commit: 322579d
    ci_run_url: {PLACEHOLDER}
    notes: Schema mended for the invoice table - customer_id is String(100) now (was Integer), migration written
      and chained to the one before, run on a copy
    stable_id: PRP-1030
    corrected_priority: P2
    legacy_id: P2-010
    migrated_at: '2025-07-20T21:08:12.943130Z'
  P2-020:
    title: Invoices as PDF
    status: complete
    validated_at: '2025-07-16T08:00:00Z'
    started_at: '2025-07-18T19:03:16.917609Z'
    completed_at: '2025-07-18T22:37:00Z'
    github_commit: 3320525
    ci_run_url: {PLACEHOLDER}/runs/451
    notes: Done - 12/12 pages, checked by eye
    stable_id: PRP-1031
    corrected_priority: P2
    legacy_id: P2-020
    migrated_at: '2025-07-20T21:08:12.943131Z'
  P2-030:
    title: Reminder mails v2
    status: in_progress
    validated_at: '2025-07-16T08:00:00Z'
    started_at: '2025-07-19T02:48:00Z'
    completed_at: null
    github_commit: null
    ci_run_url: null
    notes: agent-3 took it over from agent-1
    stable_id: PRP-1041
    corrected_priority: P1
    legacy_id: P2-030
    migrated_at: '2025-07-20T21:08:12.943132Z'
  P2-040:
    title: Report editor
    status: validated
    validated_at: '2025-07-16T08:00:00Z'
    started_at: null
    completed_at: null
    github_commit: null
    ci_run_url: null
    notes: Ready when somebody is
    stable_id: PRP-1047
    corrected_priority: P2
    legacy_id: P2-040
    migrated_at: '2025-07-20T21:08:12.943133Z'
  P2-050:
    title: Faster reports
    status: validated
    validated_at: '2025-07-16T08:00:00Z'
    started_at: null
    completed_at: null
    github_commit: null
    ci_run_url: null
    notes: Ready when somebody is
    stable_id: PRP-1048
    corrected_priority: P2
    legacy_id: P2-050
    migrated_at: '2025-07-20T21:08:12.943134Z'
  P2-070:
    title: Customer search page
    status: validated
    validated_at: '2025-07-16T08:00:00Z'
    started_at: null
    completed_at: null
    github_commit: null
    ci_run_url: null
    notes: Ready when somebody is
    stable_id: PRP-1050
    corrected_priority: P2
    legacy_id: P2-070
    migrated_at: '2025-07-20T21:08:12.943135Z'
    deprecated: true
    superseded_by: PRP-1042
    reason: Superseded by P0-029 (one search page for all)
  P0-024:
    title: Mail templates
    status: complete
    validated_at: '2025-07-16T16:00:00Z'
    started_at: '2025-07-18T08:00:00Z'
    completed_at: '2025-07-17T14:00:00Z'
    github_commit: mail_templates_impl
    ci_run_url: null
    notes: Found in the tree, nobody knows since when
    stable_id: PRP-1018
    corrected_priority: P0
    legacy_id: P0-024
    migrated_at: '2025-07-20T21:08:12.943145Z'
  P0-026:
    title: Roles & rights
    status: complete
    validated_at: '2025-07-16T16:00:00Z'
    started_at: null
    completed_at: null
    github_commit: null
    ci_run_url: null
    stable_id: PRP-1020
    corrected_priority: P0
    legacy_id: P0-026
    migrated_at: '2025-07-20T21:08:12.943146Z'
  P0-028:
    title: 'Colour tokens: first set'
    status: new
    validated_at: null
    started_at: null
    completed_at: null
    github_commit: null
    ci_run_url: null
    notes: third wave, needs a text
    stable_id: PRP-1038
    corrected_priority: P0
    legacy_id: P0-028
    migrated_at: '2025-07-20T21:08:12.943148Z'
  P0-029:
    title: Customer search page
    status: new
    validated_at: null
    started_at: null
    completed_at: null
    github_commit: null
    ci_run_url: null
    notes: third wave, needs a text
    stable_id: PRP-1042
    corrected_priority: P1
    legacy_id: P0-029
    migrated_at: '2025-07-20T21:08:12.943149Z'
"""

UNTIDY = _HEAD + _ENTRIES + _STATS
UNTIDY_IDS = tuple(line.strip(" :") for line in _ENTRIES.splitlines() if line.startswith("  P"))


def many(count: int) -> str:
    """An untidy ledger of as many PRPs as asked for."""
    blocks = _ENTRIES.split("  P0-001:\n")[1].split("\n  P")[0]
    more = [
        f"  P7-{n:04d}:\n{blocks.replace('PRP-1001', f'PRP-7{n:04d}').replace('P0-001', f'P7-{n:04d}')}\n"
        for n in range(count)
    ]
    return _HEAD + "".join(more) + _STATS


def read(text: str | bytes, file: str = FILE) -> Ledger:
    return parse(text if isinstance(text, bytes) else text.encode(), file)


def tracking(**entries: dict[str, Any]) -> bytes:
    """A tidy tracking file; `P2_040=dict(...)` is the entry P2-040."""
    data = b""
    for name, fields in entries.items():
        data = ledger_edit.add(data, FILE, name.replace("_", "-"), {"title": "A title", "status": "new", **fields})
    return data or b"prp_tracking: {}\n"


def milestone(data: bytes, prp_id: str, /, number: int | None = None, file: str = FILE, **fields: Any) -> bytes:
    """The file with a milestone written the way prpgate does: fields and a seal that fits them."""
    prp = parse(data, file).prps[prp_id]
    rev = seal.compute(prp_id, prp.number + 1 if number is None else number, {**prp.fields, **fields})
    return ledger_edit.change(data, file, prp_id, {**fields, "rev": rev})
