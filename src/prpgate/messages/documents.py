"""What findings and refusals say about the documents of PRPs."""

from __future__ import annotations

import shlex

from ..errors import UserError
from .ledger import Said, quoted


def missing(path: str, *, is_inside: bool) -> Said:
    where = "is not there" if is_inside else "leads out of the repository"
    return Said(f"its document {quoted(path)} {where}", "Correct doc (a path from the top of the repository).")


def shared(path: str, other: str) -> Said:
    return Said(f"its document {quoted(path)} is {other}'s as well", "Name it in one of them.")


def no_entry(path: str) -> Said:
    return Said("no PRP names this document", f'prp new "title" --doc {shlex.quote(path)}')


def several(count: int) -> Said:
    return Said(f"the entry names {count} documents", "Keep the one that counts, if only one does.")


def not_here(path: str) -> UserError:
    return UserError(
        f"there is no file {quoted(path)}.",
        code="no-document",
        hint="A document is named by a path, as seen from the folder you are in.",
        next_action="git ls-files",
    )


def outside(path: str) -> UserError:
    return UserError(
        f"{quoted(path)} is not inside this repository.",
        code="document-outside",
        hint="The others could not read it: copy it into the repository and commit it.",
        next_action="git ls-files",
    )
