"""Refusals by hooks: what they say of findings, and the last one kept for `prp why` (editors swallow hook text)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .messages import commit as say
from .model import ERROR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .model import Finding

FILE = "prp-why"  # in the worktree's git dir; hooks/shim.sh writes it too


def save_refusal(git_dir: str, text: str) -> None:
    """Keep a refusal. A git dir that cannot be written is no reason to fail: the text was shown as well."""
    try:
        with open(os.path.join(git_dir, FILE), "w", encoding="utf-8", errors="backslashreplace") as f:
            f.write(text.rstrip("\n") + "\n")
    except OSError:
        return


def last_refusal(git_dir: str) -> tuple[float, str] | None:
    """(when, in seconds since 1970; the refusal kept last in this worktree), None when there was none."""
    try:
        with open(os.path.join(git_dir, FILE), encoding="utf-8", errors="replace") as f:
            return os.fstat(f.fileno()).st_mtime, f.read().rstrip("\n")
    except FileNotFoundError:
        return None


def findings_text(findings: Sequence[Finding], outcome: str) -> str:
    """Findings as a commit shows them: errors first, the outcome said once, each with its place and fix.

    Nothing in it can steer a terminal."""
    from .messages import ledger
    from .output import inert, inert_lines

    def harmless(f: Finding) -> Finding:
        who = inert(f.id) if f.id else None
        return f._replace(file=inert(f.file), id=who, message=inert(f.message), fix=f.fix and inert_lines(f.fix))

    errors = [harmless(f) for f in findings if f.severity == ERROR]
    remarks = [harmless(f) for f in findings if f.severity != ERROR]
    lines = [ledger.place(f) for f in remarks[: say.AT_MOST]]
    if errors:
        lines.append(ledger.refusal(errors[: say.AT_MOST], outcome))
    hidden = max(0, len(errors) - say.AT_MOST) + max(0, len(remarks) - say.AT_MOST)
    return "\n".join(lines + ([say.and_more(hidden)] if hidden else []))
