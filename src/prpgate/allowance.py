"""Permissions of a server's owner for one commit to land once: for the moment when the store is what is broken.

One file each in the repository itself; nothing else is needed to give or to use one.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import time
from typing import TYPE_CHECKING, NamedTuple

from . import identity
from .errors import UsageError, UserError
from .messages import server as say

if TYPE_CHECKING:
    from .gitrepo import Repo

FOLDER = "allowed"
FULL_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")  # abbreviated ones mean nothing before the commit is here


class Permission(NamedTuple):
    """Who lets a commit land, and why."""

    by: str
    reason: str
    at: str


def make_folder(repo: Repo, folder: str) -> None:
    """A folder in the repository into which everybody may write who may write into the repository itself."""
    os.makedirs(folder, exist_ok=True)
    with contextlib.suppress(PermissionError):  # somebody else made it
        os.chmod(folder, stat.S_IMODE(os.stat(repo.common_dir).st_mode))


def _file(repo: Repo, sha: str) -> str:
    return os.path.join(repo.own_dir, FOLDER, sha)


def allow(repo: Repo, sha: str, reason: str) -> Permission:
    """Let this commit land once on a lane, whatever stands against it but git itself. Raises UsageError."""
    if not FULL_ID.fullmatch(sha):
        raise UsageError(say.no_full_id(sha), code="usage", next_action="prp server allow --help")
    if not reason.strip():
        raise UsageError(say.NO_REASON, code="usage", next_action=say.allow_command(sha))
    given = Permission(identity.agent(repo).name, reason.strip(), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    path = _file(repo, sha)
    make_folder(repo, os.path.dirname(path))
    temporary = f"{path}.{os.getpid()}.new"
    with open(temporary, "w", encoding="utf-8") as f:
        json.dump(given._asdict(), f)
    os.replace(temporary, path)
    return given


def use(repo: Repo, sha: str) -> Permission | None:
    """Take the permission away and give it: of two pushes at once one gets it. None where there is none."""
    path = _file(repo, sha)
    mine = f"{path}.{os.getpid()}.used"
    try:
        os.rename(path, mine)
    except FileNotFoundError:
        return None
    except PermissionError as e:
        raise UserError(say.not_usable(path), code="not-writable", next_action=say.allow_command(sha)) from e
    with open(mine, encoding="utf-8") as f:
        text = f.read()
    os.unlink(mine)
    return Permission(**json.loads(text))


def forget(repo: Repo) -> None:
    """Take all permissions that were not used away."""
    folder = os.path.join(repo.own_dir, FOLDER)
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        os.rmdir(folder)
