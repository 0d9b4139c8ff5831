"""Our hooks in a bare repository that a team pushes to: in and out, as `install` does it for clones."""

from __future__ import annotations

import contextlib
import os
import pwd
import sys
from shlex import quote
from typing import TYPE_CHECKING

from . import allowance, data, hook_filter, install, policy
from .errors import UserError
from .install import MADE_FOLDER, Folder, Report
from .messages import server as say
from .served import Served

if TYPE_CHECKING:
    from .config import Config

HOOKS = ("pre-receive", "post-receive")


def served(path: str) -> Served:
    """The bare repository at a path. Raises UsageError where there is none."""
    repo = Served(path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path)))
    if not os.path.isdir(path) or not repo.bare:
        raise say.not_bare(path)
    return repo


def hooks_folder(repo: Served) -> str:
    """Its own hooks folder. Raises UserError when git looks elsewhere: there others are bound too, or nobody."""
    path = repo.text("rev-parse", "--path-format=absolute", "--git-path", "hooks")
    own = os.path.realpath(repo.common_dir)
    if not install.inside(os.path.realpath(path), own):
        raise say.hooks_elsewhere(path, own)
    return path


def record_lane(repo: Served, lane: str | None) -> tuple[str, Config | None]:
    """The branch whose prp.toml counts, and that. As asked for, else HEAD's, else the only one that has a prp.toml."""
    if lane is not None:
        tip = repo.sha(f"refs/heads/{lane}^{{commit}}")
        if tip is None and repo.text("for-each-ref", "--count=1", "refs/heads/"):
            raise say.no_lane(repo.common_dir, lane)
        return lane, policy.at(repo, tip) if tip else None
    names = repo.text("for-each-ref", "--format=%(refname)", "refs/heads/").split("\n")
    found = {n.removeprefix("refs/heads/"): c for n in names if n and (c := policy.at(repo, n))}
    head = (repo.maybe("symbolic-ref", "--quiet", "HEAD") or "refs/heads/main").removeprefix("refs/heads/")
    named = {config.ledger_lane for config in found.values()} & found.keys()
    if head not in found and len(found) > 1 and len(named) != 1:
        raise say.several(repo.common_dir, sorted(found))
    branch = head if head in found or not found else min(named or found)
    return branch, found.get(branch)


def install_hooks(repo: Served, lane: str | None = None) -> Report:
    """Put pre-receive and post-receive there; a hook that stands there is chained. A second time nothing changes."""
    folder = hooks_folder(repo)
    branch, config = record_lane(repo, lane)
    with install.writable(folder):
        allowance.make_folder(repo, repo.own_dir)
        hook_filter.write_server(repo, f"refs/heads/{branch}", sys.executable, data.folder("hooks"))
        if not os.path.isdir(folder):
            os.makedirs(folder)
            install.write_file(os.path.join(repo.own_dir, MADE_FOLDER), b"")
        # post-receive first: a push that comes in between is reported without having been let in, and not the reverse.
        steps = tuple(install.place_stub(folder, hook) for hook in reversed(HOOKS))
    remarks = [say.guarded(branch, config and config.project)]
    if config and config.store_scope == "machine":
        remarks.append(say.machine_scope(pwd.getpwuid(os.getuid()).pw_name))
    if config is None or config.store_scope == "team":
        remarks.append(say.store_for(repo.common_dir))
    return Report(folder, steps, tuple(remarks))


def uninstall_hooks(repo: Served) -> Report:
    """Take them away. What was set aside stands where it stood, with its bytes and mode; records of emergencies that
    no store has heard of yet stay."""
    path = hooks_folder(repo)
    folder = Folder(path, tracked=False, shared=False)
    with install.writable(path):
        steps = tuple(step for hook in HOOKS for step in install.take_away(folder, hook))
        if os.path.lexists(os.path.join(repo.own_dir, MADE_FOLDER)):
            with contextlib.suppress(OSError):  # somebody put something there since
                os.rmdir(path)
        allowance.forget(repo)
        names = [hook_filter.NAME, MADE_FOLDER]
        if os.path.isdir(repo.own_dir):
            names += [name for name in os.listdir(repo.own_dir) if name.startswith("said-")]
        for name in names:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(os.path.join(repo.own_dir, name))
        with contextlib.suppress(OSError):
            os.rmdir(repo.own_dir)
    return Report(path, steps, ())


def allow(repo: Served, sha: str, reason: str) -> allowance.Permission:
    """`allowance.allow`, in a repository that has our hooks."""
    if hook_filter.read(repo) is None:
        action = f"prp server install {quote(repo.common_dir)}"
        raise UserError(say.not_installed(repo.common_dir), code="not-installed", next_action=action)
    with install.writable(repo.own_dir):
        return allowance.allow(repo, sha, reason)
