"""`prp server install` and `uninstall`: every byte as it was, and never open where it should be shut."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest

from prpgate import server
from prpgate.errors import UserError
from tests.server.conftest import Guarded, said
from tests.world import run

if TYPE_CHECKING:
    from pathlib import Path

FOREIGN = '#!/usr/bin/env bash\n# theirs\n[ "$(basename "$0")" != x ] || exit 9\ncat >>"$GIT_DIR/theirs"\n'


def tree(folder: Path) -> dict[str, tuple[int, bytes | str]]:
    """Every path below a folder with its mode and bytes, but for objects and refs."""
    found: dict[str, tuple[int, bytes | str]] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.startswith(("objects", "refs", "logs")):
            continue
        kind = os.readlink(path) if path.is_symlink() else b"" if path.is_dir() else path.read_bytes()
        found[name] = (path.lstat().st_mode, kind)
    return found


def prp(cwd: Path, *args: str, ok: bool = True) -> dict[str, object]:
    done = run([sys.executable, "-m", "prpgate", *args, "--json"], cwd, ok=ok)
    answer: dict[str, object] = json.loads(done.out)
    return answer


def test_uninstall_leaves_every_byte_as_it_was(tmp_path: Path, home: Path) -> None:
    project = Guarded(tmp_path)
    server.uninstall_hooks(server.served(str(project.remote)))
    project.remote_hook("pre-receive", FOREIGN)
    (project.remote / "hooks/post-receive").symlink_to("nowhere")
    before = tree(project.remote)
    prp(tmp_path, "server", "install", str(project.remote))
    assert tree(project.remote) != before
    again = prp(tmp_path, "server", "install", str(project.remote))
    hooks = again["hooks"]
    assert isinstance(hooks, dict)
    assert [step[2] for step in hooks["steps"]] == ["unchanged", "unchanged"]
    prp(tmp_path, "server", "uninstall", str(project.remote))
    assert tree(project.remote) == before


def test_who_may_write_in_the_repository_may_write_in_our_folder(tmp_path: Path) -> None:
    bare = tmp_path / "shared.git"
    run(["git", "init", "-q", "--bare", "--shared=group", bare], tmp_path)
    server.install_hooks(server.served(str(bare)))
    assert (bare / "prpgate").stat().st_mode == bare.stat().st_mode
    server.allow(server.served(str(bare)), "1" * 40, "why")
    assert (bare / "prpgate/allowed").stat().st_mode == bare.stat().st_mode


def test_a_folder_that_was_not_there_is_taken_away_again(tmp_path: Path) -> None:
    bare = tmp_path / "täm's repo.git"
    run(["git", "init", "-q", "--bare", "--template=", bare], tmp_path)
    before = tree(bare)
    server.install_hooks(server.served(str(bare)))
    assert (bare / "hooks/pre-receive").exists()
    server.uninstall_hooks(server.served(str(bare)))
    assert tree(bare) == before


def test_a_foreign_pre_receive_runs_first_with_all_refs_and_its_refusal_counts(tmp_path: Path, home: Path) -> None:
    project = Guarded(tmp_path)
    server.uninstall_hooks(server.served(str(project.remote)))
    project.remote_hook("pre-receive", FOREIGN)
    server.install_hooks(server.served(str(project.remote)))
    head = project.ana.commit_files("work", {"w.txt": "w"})
    project.ana.git("push", "-q", "--no-verify", "origin", "HEAD:main", "HEAD:topic")
    seen = (project.remote / "theirs").read_text().splitlines()
    assert sorted(line.split()[2] for line in seen) == ["refs/heads/main", "refs/heads/topic"]
    assert project.tip() == head
    (project.remote / "hooks/pre-receive.prp-chained").write_text("#!/bin/sh\necho theirs says no\nexit 1\n")
    project.ana.commit_files("more", {"w.txt": "v"})
    done = project.ana.git("push", "--no-verify", ok=False)
    assert done.code != 0
    assert said(done) == ["theirs says no"]
    assert project.tip() == head
    project.quiet()
    assert project.state().state == "free"


def test_from_any_folder_by_command_and_what_it_says(tmp_path: Path, home: Path) -> None:
    project = Guarded(tmp_path)
    done = run([sys.executable, "-m", "prpgate", "server", "install", "remote.git"], tmp_path)
    assert "Guards local/remote-" in done.out
    assert "by the prp.toml of main" in done.out
    assert "store.scope is machine: the hooks use the store of " in done.out
    assert "server allow" in run([sys.executable, "-m", "prpgate", "--help"], project.folder).out


def test_head_that_names_no_branch_does_not_leave_it_open(tmp_path: Path, home: Path) -> None:
    project = Guarded(tmp_path)
    run(["git", "symbolic-ref", "HEAD", "refs/heads/master"], project.remote)
    report = server.install_hooks(server.served(str(project.remote)))
    assert "by the prp.toml of main" in report.remarks[0]
    refused = project.ana.git("push", "--no-verify", "origin", ":main", ok=False)
    assert "is not deleted by a push" in refused.err


def test_where_it_does_not_belong(tmp_path: Path, home: Path) -> None:
    project = Guarded(tmp_path)
    answer = prp(tmp_path, "server", "install", str(project.ana.path), ok=False)
    assert answer["next_action"] == "prp install"
    assert prp(tmp_path, "server", "install", str(tmp_path / "nowhere"), ok=False)["ok"] is False
    (tmp_path / "shared").mkdir()
    run(["git", "config", "core.hooksPath", str(tmp_path / "shared")], project.remote)
    with pytest.raises(UserError, match=r"core\.hooksPath") as e:
        server.install_hooks(server.served(str(project.remote)))
    assert e.value.code == "hooks-elsewhere"
    assert list((tmp_path / "shared").iterdir()) == []
    with pytest.raises(UserError, match="no branch"):
        run(["git", "config", "--unset", "core.hooksPath"], project.remote)
        server.install_hooks(server.served(str(project.remote)), "trunk")


@pytest.mark.parametrize("gone", ["filter", "python"])
def test_a_guard_that_is_gone_refuses(tmp_path: Path, home: Path, gone: str) -> None:
    project = Guarded(tmp_path)
    notes = project.remote / "prpgate/filter"
    if gone == "filter":
        notes.unlink()
    else:
        notes.write_text(notes.read_text().replace(sys.executable, "/nonexistent/python"))
    tip = project.tip()
    project.ana.commit_files("work", {"w.txt": "w"})
    done = project.ana.git("push", "--no-verify", ok=False)
    assert done.code != 0
    assert said(done)[0].startswith("prp: push refused: ")
    assert said(done)[-1] == "  prp server install PATH"
    assert project.tip() == tip


@pytest.mark.parametrize("line", ["garbage", "1 2 refs/heads/main", "0" * 40 + " " + "1" * 40 + " main"])
def test_a_line_that_git_never_writes_is_refused(tmp_path: Path, home: Path, line: str) -> None:
    project = Guarded(tmp_path)
    hook = project.remote / "hooks/pre-receive"
    done = run([hook], project.remote, env={"GIT_DIR": "."}, stdin=line + "\n", ok=False)
    assert done.code == 1
    assert "unexpected" in done.err
