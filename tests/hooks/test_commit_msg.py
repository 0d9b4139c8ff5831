"""commit-msg: the PRPs that a message claims, by real commits."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from prpgate.data import hooks_folder
from tests.hooks import ENTRIES, LEDGER, POLICY, landed, policy, setup, try_commit
from tests.world import Clone, World, run

if TYPE_CHECKING:
    from pathlib import Path

SCISSORS = "# ------------------------ >8 ------------------------\n"


@pytest.fixture
def clone(world: World) -> Clone:
    return setup(world.clone("ann"))


@pytest.mark.parametrize(
    "message",
    [
        "Make it blue",
        "feat(P2-040): by its id",
        "P1-007: by its legacy id",
        "PRP-1020 P2-030: two at once",
        "work\n\nPrp: P2-040\n",
        "work\n\nPrp: other-repo#P9-999\n",
        "Merge branch 'P9-999-x'",
        'Revert "feat(P9-999): x"',
    ],
)
def test_what_may_be_said(clone: Clone, message: str) -> None:
    assert try_commit(clone, message, "--allow-empty").code == 0


@pytest.mark.parametrize("message", ["feat(P9-999): x", "P9-999: x", "x\n\nPrp: P9-999", "x\n\nprp: nonsense"])
def test_a_claim_of_a_prp_that_is_nowhere_is_refused(clone: Clone, message: str) -> None:
    head = clone.head
    done = try_commit(clone, message, "--allow-empty")
    assert done.code == 1
    assert done.err.startswith("PRP150 commit message:")
    assert "Not committed; your staging is unchanged." in done.err
    assert done.err.rstrip().endswith('git commit -e -F "$(git rev-parse --git-path COMMIT_EDITMSG)"')
    assert clone.head == head
    assert clone.read(".git/prp-why") == done.err


def test_the_way_out_that_is_named_works(clone: Clone) -> None:
    assert try_commit(clone, "feat(P2-041): x", "--allow-empty").code == 1
    editor = "sed -i s/P2-041/P2-040/"
    named = 'git commit --allow-empty -e -F "$(git rev-parse --git-path COMMIT_EDITMSG)"'
    run(["sh", "-c", named], clone.path, env={"GIT_EDITOR": editor})
    assert clone.git("log", "-1", "--format=%s").out == "feat(P2-040): x\n"


@pytest.mark.parametrize(("given", "named"), [("-a", "git commit -a -e -F"), ("--", "git commit -e -F")])
def test_the_way_out_takes_what_the_refused_commit_took(clone: Clone, given: str, named: str) -> None:
    """After a refused `commit -a` nothing is staged: without -a the command that is named would commit nothing."""
    clone.commit_files("code", {"code.py": "1"})
    clone.write("code.py", "2")
    if given == "--":
        clone.git("add", "code.py")
        clone.write("code.py", "3")  # not meant yet
    done = try_commit(clone, "feat(P2-041): x", given)
    assert done.code == 1
    line = done.err.splitlines()[-1].strip()
    assert line.startswith(named)
    run(["sh", "-c", line], clone.path, env={"GIT_EDITOR": "sed -i s/P2-041/P2-040/"})
    assert clone.git("log", "-1", "--format=%s").out == "feat(P2-040): x\n"
    assert clone.git("show", "HEAD:code.py").out == "2"


def test_a_slip_is_told_what_was_meant(clone: Clone) -> None:
    assert "P2-040" in try_commit(clone, "feat(P2-041): x", "--allow-empty").err


def test_a_mention_is_only_remarked(clone: Clone) -> None:
    done = try_commit(clone, "work\n\nas P9-999 did", "--allow-empty")
    assert done.code == 0
    assert "PRP151" in done.err


def test_comments_and_the_diff_below_the_scissors_do_not_count(clone: Clone, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    text = "Make it blue\n# On branch P9-999: x\n" + SCISSORS + "diff\n+Prp: P9-999\n"
    editor.write_text(f"#!/bin/sh\ncat >\"$1\" <<'END'\n{text}END\n")
    editor.chmod(0o755)
    clone.write("code.py", "2")
    clone.git("commit", "-a", "-v", env={"GIT_EDITOR": str(editor)})
    assert clone.git("log", "-1", "--format=%B").out.strip() == "Make it blue"


def test_a_prp_of_this_very_commit_is_known(clone: Clone) -> None:
    clone.write(LEDGER, ENTRIES.replace("stats:", "  P2-050:\n    title: new one\n    status: new\nstats:"))
    clone.git("add", LEDGER)
    assert try_commit(clone, "P2-050: begin").code == 0


def test_a_prp_that_is_only_staged_is_known(clone: Clone) -> None:
    clone.write(LEDGER, ENTRIES.replace("stats:", "  P2-050:\n    title: new one\n    status: new\nstats:"))
    clone.git("add", LEDGER)
    os.unlink(clone.path / LEDGER)
    os.mkfifo(clone.path / LEDGER)
    assert try_commit(clone, "P2-050: begin").code == 0


def test_a_prp_that_is_not_staged_yet_is_known(clone: Clone) -> None:
    clone.write(LEDGER, ENTRIES.replace("stats:", "  P2-050:\n    title: new one\n    status: new\nstats:"))
    clone.write("code.py", "2")
    assert try_commit(clone, "P2-050: begin", "code.py").code == 0


def test_a_prp_newer_than_the_branch_is_known_from_the_lane(world: World) -> None:
    clone = landed(world.clone("ann"))
    clone.git("checkout", "-q", "-b", "old")
    ben = world.clone("ben")
    ben.commit_files("new", {LEDGER: ENTRIES.replace("stats:", "  P2-060:\n    title: newer\n    status: new\nstats:")})
    ben.git("push", "-q", "origin", "main")
    assert try_commit(clone, "P2-060: x", "--allow-empty").code == 1
    clone.git("fetch", "-q")
    assert try_commit(clone, "P2-060: x", "--allow-empty").code == 0


def test_without_any_ledger_nothing_is_judged(world: World) -> None:
    clone = world.clone("ann", first=True)
    clone.write("prp.toml", POLICY)
    from prpgate import install
    from prpgate.gitrepo import Repo

    install.install(Repo(str(clone.path)), policy())
    assert try_commit(clone, "P9-999: x", "--allow-empty").code == 0


def test_one_file_per_prp(world: World) -> None:
    text = POLICY.replace(LEDGER, "prps/")
    files = {
        "prps/P2-040.yaml": "id: P2-040\ntitle: x\nstatus: new\nstable_id: PRP-1040\n",
        "prps/P2-041.yaml": "id: P2-041\ntitle: y\nstatus: new\n",
    }
    clone = setup(world.clone("ann"), text, **files)
    assert try_commit(clone, "P2-041: x", "--allow-empty").code == 0
    assert try_commit(clone, "PRP-1040: x", "--allow-empty").code == 0
    assert try_commit(clone, "P2-042: x", "--allow-empty").code == 1
    clone.write("prps/P2-042.yaml", "id: P2-042\ntitle: z\nstatus: new\n")
    assert try_commit(clone, "P2-042: x", "--allow-empty").code == 0


def test_escapes_in_a_message_are_shown_inert(clone: Clone) -> None:
    done = try_commit(clone, "x\n\nPrp: P9-\x1b[31m\u202e999", "--allow-empty")
    assert done.code == 1
    assert "\x1b" not in done.err
    assert "\u202e" not in done.err


def test_a_message_that_is_no_utf8_is_judged(clone: Clone, tmp_path: Path) -> None:
    path = tmp_path / "message"
    path.write_bytes(b"P9-999: \xff\xfe caf\xe9\n")
    assert clone.git("commit", "--allow-empty", "-F", str(path), ok=False).code == 1


def test_it_runs_offline_and_imports_nothing_heavy(clone: Clone, tmp_path: Path) -> None:
    """The bar is four Python starts for the whole commit; these imports alone would break it."""
    message = tmp_path / "message"
    message.write_text("feat(P2-040): x\n")
    told = {"PRP_PATTERN": "P[0-9]-[0-9]+", "PRP_LEDGER": LEDGER, "PRP_RECORD": "refs/remotes/origin/main"}
    command = [sys.executable, "-I", "-X", "importtime", f"{hooks_folder()}/commit-msg", str(message)]
    done = run(command, clone.path, env=told)
    imported = {line.rpartition("|")[2].strip() for line in done.err.splitlines() if line.startswith("import time:")}
    assert "prpgate.commit_message" in imported
    heavy = {"yaml", "redis", "argparse", "tomllib", "dataclasses", "json", "socket", "hashlib", "git", "subprocess"}
    assert not imported & heavy
    assert "prpgate.store" not in imported


def test_the_hooks_are_programs() -> None:
    for name in ("pre-commit", "commit-msg", "pre-push", "post-merge"):
        path = os.path.join(hooks_folder(), name)
        with open(path) as f:
            assert f.readline() == "#!/usr/bin/env python3\n"
        assert stat.S_IMODE(os.stat(path).st_mode) & 0o111 == 0o111, f"{name} is not executable"
