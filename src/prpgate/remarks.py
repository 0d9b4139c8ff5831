"""What `prp check --all` remarks on: nothing here stops a commit. Old ledgers claim more than they can show."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from . import seal
from .messages import ledger as say
from .model import COMPLETE, DEPRECATED, STATUSES, WARNING, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .ledger import Ledger
    from .model import Prp

MANY = 3  # two PRPs may well be one commit's work


def _remark(ledger: Ledger, prp: Prp, code: str, field: str, said: say.Said) -> Finding:
    return Finding(code, WARNING, prp.file, *ledger.at(prp.id, field), prp.id, said.message, said.fix)


def counted(ledger: Ledger) -> dict[str, Any]:
    """The figures of a tracking file's `stats`, counted from its entries. Deprecated ones are not active."""
    active = [p for p in ledger.prps.values() if p.status != DEPRECATED]
    by_status = {s: sum(p.status == s for p in active) for s in STATUSES if s != DEPRECATED}
    priorities = sorted({p.priority for p in active})
    return {
        "total_prps": len(ledger.prps),
        "active_prps": len(active),
        "deprecated_prps": len(ledger.prps) - len(active),
        "priority_distribution": {name: sum(p.priority == name for p in active) for name in priorities},
        "status_distribution": by_status,
        "completion_rate": f"{by_status[COMPLETE] / len(active) if active else 0:.3f}",
    }


def _stats(ledger: Ledger) -> Iterator[Finding]:
    stats = ledger.extra.get("stats")
    if not isinstance(stats, dict):
        return
    differences: list[tuple[str, str]] = []
    for name, value in counted(ledger).items():
        said = stats.get(name)
        if isinstance(value, dict) and isinstance(said, dict):
            for part in dict.fromkeys((*said, *value)):
                if said.get(part, 0) != value.get(part, 0):
                    told = f"{part} is {say.quoted(said.get(part, 0))}, counted {value.get(part, 0)}"
                    differences.append((f"stats.{name}.{part}", told))
        elif said is not None and str(said) != str(value):
            differences.append((f"stats.{name}", f"{name} is {say.quoted(said)}, counted {value}"))
    if differences:
        where = next((ledger.places["", key] for key, _ in differences if ("", key) in ledger.places), (1, 1))
        message, fix = say.stale_stats([text for _, text in differences[:3]], len(differences))
        yield Finding("PRP140", WARNING, next(iter(ledger.files), ""), *where, None, message, fix)


def _shared(ledger: Ledger, field: str) -> Iterator[tuple[str, list[Prp]]]:
    """Values of a field that many PRPs give, with the PRPs."""
    users: dict[str, list[Prp]] = {}
    for prp in ledger.prps.values():
        value = prp.fields.get(field)
        if isinstance(value, str) and value:
            users.setdefault(value, []).append(prp)
    return ((value, prps) for value, prps in users.items() if len(prps) >= MANY)


def remarks(ledger: Ledger) -> list[Finding]:
    """Stale stats, shared evidence, complete without any, times that run backwards, successors that are not there."""
    found = list(_stats(ledger))
    for url, prps in _shared(ledger, "ci_run_url"):
        found.append(_remark(ledger, prps[0], "PRP141", "ci_run_url", say.shared_url(url, [p.id for p in prps])))
    for commit, prps in _shared(ledger, "github_commit"):
        found.append(
            _remark(ledger, prps[0], "PRP142", "github_commit", say.shared_commit(commit, [p.id for p in prps]))
        )
    for prp in ledger.prps.values():
        fields = prp.fields
        if prp.status == COMPLETE and prp.rev is None and all(fields.get(f) is None for f in seal.EVIDENCE):
            found.append(_remark(ledger, prp, "PRP143", "status", say.no_evidence()))
        times = [(name, fields[name]) for name in seal.TIMES if isinstance(fields.get(name), str)]
        for (first, early), (second, late) in pairwise(times):
            if late[:19] < early[:19]:
                found.append(_remark(ledger, prp, "PRP144", second, say.times_backwards(first, second)))
        heir = fields.get("superseded_by")
        if isinstance(heir, str) and heir and ledger.resolve(heir) is None:
            found.append(_remark(ledger, prp, "PRP132", "superseded_by", say.unknown_successor(heir)))
    return found
