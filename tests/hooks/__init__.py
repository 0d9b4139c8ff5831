"""Hooks are tested by what git does with them: real commits, merges and pushes in real repositories."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING

from prpgate import config as settings
from prpgate import data, hook_filter, install, ledger, ledger_edit, seal
from prpgate.gitrepo import Repo
from tests.world import Clone, Result, run

if TYPE_CHECKING:
    from pathlib import Path

    from prpgate.config import Config

STORE_ID = "0c8f7f0e-0a52-4a5b-9d59-2a3c7f1f9c11"
LEDGER = "tracking/status.yaml"
POLICY = f"""project = "example.org/team/app"
[store]
id = "{STORE_ID}"
[ledger]
path = "{LEDGER}"
"""
ENTRIES = """# the team's PRPs
metadata:
  version: '2.1'
prp_tracking:
  P2-020:
    title: "Fix the login cache"
    status: complete
    github_commit: 322579d
    stable_id: PRP-1020
  P2-030:
    title: Mail, second version
    status: in_progress
    started_at: '2025-07-19T02:48:00Z'
    completed_at: null
  P2-040:
    title: 'Search: faster'
    status: validated
    legacy_id: P1-007
stats:
  total: 3
"""
FIRST = {"prp.toml": POLICY, LEDGER: ENTRIES, "code.py": "print(1)\n"}


def policy(text: str = POLICY) -> Config:
    return settings.parse(text, "prp.toml")


def setup(clone: Clone, text: str = POLICY, **more: str) -> Clone:
    """Make the first commit with policy and ledger, and install the hooks. Nothing is pushed."""
    clone.git("checkout", "-q", "-B", "main")
    clone.commit_files("first", {**FIRST, "prp.toml": text, **more})
    install.install(Repo(str(clone.path)), policy(text))
    return clone


def landed(clone: Clone, text: str = POLICY, **more: str) -> Clone:
    """The same, with the first commit in the remote's main as well (before there were hooks)."""
    clone.git("checkout", "-q", "-B", "main")
    clone.commit_files("first", {**FIRST, "prp.toml": text, **more})
    clone.git("push", "-q", "-u", "origin", "main")
    install.install(Repo(str(clone.path)), policy(text))
    return clone


class Recorder:
    """Stands where the stub expects Python, and notes how it was started: whether, with what, on what input."""

    def __init__(self, folder: Path, exit_code: int = 0) -> None:
        self.log = folder / "started"
        self.program = folder / "python"
        self.program.write_text(
            "#!/bin/sh\n"
            f'printf "%s\\n" "$*" >>{shlex.quote(str(self.log))}\n'
            f"case $2 in *pre-push) cat >>{shlex.quote(str(self.log))} ;; esac\nexit {exit_code}\n"
        )
        self.program.chmod(0o755)

    def put(self, path: Path, text: str = POLICY) -> Recorder:
        hook_filter.write(Repo(str(path)), policy(text), str(self.program), data.hooks_folder())
        return self

    @property
    def text(self) -> str:
        return self.log.read_bytes().decode() if self.log.exists() else ""

    @property
    def started(self) -> list[str]:
        """Names of the hooks that were started, in order."""
        return [os.path.basename(line.split()[1]) for line in self.text.splitlines() if line.startswith("-I /")]

    def clear(self) -> None:
        self.log.unlink(missing_ok=True)


def edit(clone: Clone, old: str, new: str, *, stage: bool = True) -> None:
    text = clone.read(LEDGER)
    assert old in text
    clone.write(LEDGER, text.replace(old, new, 1))
    if stage:
        clone.git("add", LEDGER)


def milestone(text: str, prp_id: str, number: int, **changed: str) -> str:
    """The ledger text with a sealed milestone of one PRP, as prpgate's own commands write it."""
    before = ledger.parse(text.encode(), LEDGER)
    fields = {**before.prps[prp_id].fields, **changed}
    fields["rev"] = seal.compute(prp_id, number, fields)
    return ledger_edit.change(text.encode(), LEDGER, prp_id, {**changed, "rev": fields["rev"]}).decode()


def try_commit(clone: Clone, message: str = "work", *more: str) -> Result:
    return clone.git("commit", "-m", message, *more, ok=False)


def run_hook(shell: str, clone: Clone, name: str, *args: str, stdin: str = "", ok: bool = True) -> Result:
    """Run an installed hook under a given shell, as git would."""
    return run([shell, clone.path / ".git/hooks" / name, *args], clone.path, stdin=stdin, ok=ok)


PYTHON = sys.executable
