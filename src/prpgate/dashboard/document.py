"""The document of a PRP: a file of the repository, as the ledger names it, and nothing else."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from ..doc_links import inside

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ..gitrepo import Repo
    from .shapes import DocumentShape

MOST = 256 * 1024  # bytes that are shown


def read(repo: Repo, fields: Mapping[str, Any]) -> DocumentShape | None:
    """The first document that an entry names, where it is a plain file that git tracks here.

    Anybody who can land a ledger entry chooses the path. So no link is followed, on no part of the way, and what git
    does not track (a .env, say) is not shown.
    """
    value = fields.get("doc")
    path = value[0] if isinstance(value, list) and value else value
    if not isinstance(path, str) or "\0" in path or "\n" in path or not inside(path) or os.path.normpath(path) != path:
        return None
    listed = repo.run("ls-files", "-z", "--full-name", "--cached", "--", f":(top,literal){path}", check=False)
    if listed.stdout.split(b"\0")[0] != os.fsencode(path):
        return None
    found = _open(repo.top, path)
    if found is None:
        return None
    with open(found, "rb") as f:
        if not stat.S_ISREG(os.fstat(found).st_mode):
            return None
        content = f.read(MOST + 1)
    return {"path": path, "text": content[:MOST].decode("utf-8", "replace"), "truncated": len(content) > MOST}


def _open(top: str, path: str) -> int | None:
    """A file below a folder, opened step by step without following a link; None where that is no way to a file."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    *folders, name = path.split("/")
    at = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in folders:
            below = os.open(part, flags | os.O_DIRECTORY, dir_fd=at)
            os.close(at)
            at = below
        return os.open(name, flags, dir_fd=at)
    except OSError:
        return None
    finally:
        os.close(at)
