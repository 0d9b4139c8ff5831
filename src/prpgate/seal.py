"""The seal of an entry: `rev: N-HHHHHHHH`, a counter and a hash over what milestones write.

The hashed text is, in this order and in UTF-8: the line `prp-seal 1`, the id, N, then every field of SEALED that has a
value. Each is written `name length LF value LF`, the length in bytes, so that no value can pass for two. Numbers and
booleans are hashed as YAML writes them, so quoting them differently changes nothing; null and a missing field are the
same. `status` is the one that counts: `deprecated` for an entry with `deprecated: true`.
A seal finds mistakes (a hand edit, a merge that mixed two sides). It is no signature: anybody can compute one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .model import DEPRECATED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .model import Prp

TIMES = ("validated_at", "started_at", "completed_at")
EVIDENCE = ("github_commit", "ci_run_url", "verdict")
SEALED = ("status", "owner", *TIMES, *EVIDENCE, "superseded_by")
_HEX = frozenset("0123456789abcdef")


def status(fields: Mapping[str, Any]) -> str:
    """The status that counts. Old ledgers deprecate with `deprecated: true` and leave the status as it was."""
    if fields.get("deprecated") is True:
        return DEPRECATED
    value = fields.get("status")
    return "" if value is None else _text(value)


def well_formed(rev: object) -> bool:
    """Whether this looks like a seal, "4-3fa9c1b2". (No regex: compiling one costs a commit hook more than this.)"""
    if not isinstance(rev, str):
        return False
    number, _, digest = rev.partition("-")
    counts = 0 < len(number) < 10 and number.isascii() and number.isdigit() and number[0] != "0"
    return counts and len(digest) == 8 and _HEX.issuperset(digest)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "".join(f"- {len(t)} {t}" for t in map(_text, value))
    if isinstance(value, dict):
        return "".join(f"{_text(k)}: {len(t)} {t}" for k, t in sorted((str(k), _text(v)) for k, v in value.items()))
    return str(value)


def compute(prp_id: str, number: int, fields: Mapping[str, Any]) -> str:
    """The seal "N-HHHHHHHH" that these fields of this PRP have with the counter `number`."""
    import hashlib

    parts = [("id", prp_id), ("n", str(number)), ("status", status(fields))]
    for name in SEALED[1:]:
        value = fields.get(name)
        if value is not None:
            parts.append((name, _text(value)))
    hashed = hashlib.sha256(b"prp-seal 1\n")
    for name, text in parts:
        data = text.encode("utf-8", "surrogatepass")
        hashed.update(b"%s %d\n%s\n" % (name.encode(), len(data), data))
    return f"{number}-{hashed.hexdigest()[:8]}"


def check(prp: Prp) -> bool | None:
    """Whether the entry is what its seal says. None: it has no seal (an old entry, valid, rev 0)."""
    if prp.rev is None:
        return None
    return well_formed(prp.rev) and prp.rev == compute(prp.id, prp.number, prp.fields)
