"""The hooks find what they need in every shape that a repository can have, and judge the right one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from prpgate import install
from prpgate.gitrepo import Repo
from tests.hooks import ENTRIES, FIRST, LEDGER, POLICY, Recorder, edit, landed, policy, setup, try_commit
from tests.world import Clone, World, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def plain(world: World, tmp_path: Path) -> Clone:
    return landed(world.clone("ann"))


def strange_path(world: World, tmp_path: Path) -> Clone:
    return landed(world.clone('it\'s "ann" $HOME `x` é 中'))


def worktree(world: World, tmp_path: Path) -> Clone:
    main = landed(world.clone("ann"))
    main.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "a side tree"))
    return Clone(tmp_path / "a side tree", "ann")


def worktree_of_bare(world: World, tmp_path: Path) -> Clone:
    landed(world.clone("ann"))
    run(["git", "clone", "-q", "--bare", world.remote, tmp_path / "hub.git"], tmp_path)
    hub = tmp_path / "hub.git"
    run(["git", "config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"], hub)
    run(["git", "fetch", "-q", "origin"], hub)
    run(["git", "worktree", "add", "-q", "-b", "side", tmp_path / "tree", "main"], hub)
    install.install(Repo(str(tmp_path / "tree")), policy())
    return Clone(tmp_path / "tree", "ann")


def submodule(world: World, tmp_path: Path) -> Clone:
    landed(world.clone("ann"))
    outer = tmp_path / "outer"
    run(["git", "init", "-q", outer], tmp_path)
    run(["git", "-c", "protocol.file.allow=always", "submodule", "add", "-q", world.remote, "inner"], outer)
    install.install(Repo(str(outer / "inner")), policy())
    return Clone(outer / "inner", "ann")


def separate_git_dir(world: World, tmp_path: Path) -> Clone:
    landed(world.clone("ann"))
    run(["git", "clone", "-q", "--separate-git-dir", tmp_path / "kept here", world.remote, tmp_path / "sep"], tmp_path)
    install.install(Repo(str(tmp_path / "sep")), policy())
    return Clone(tmp_path / "sep", "ann")


def shallow(world: World, tmp_path: Path) -> Clone:
    landed(world.clone("ann"))
    run(["git", "clone", "-q", "--depth", "1", f"file://{world.remote}", tmp_path / "shallow"], tmp_path)
    install.install(Repo(str(tmp_path / "shallow")), policy())
    return Clone(tmp_path / "shallow", "ann")


def detached(world: World, tmp_path: Path) -> Clone:
    clone = landed(world.clone("ann"))
    clone.git("checkout", "-q", "--detach")
    return clone


SHAPES = [plain, strange_path, worktree, worktree_of_bare, submodule, separate_git_dir, shallow, detached]


@pytest.fixture(params=SHAPES, ids=lambda shape: str(shape.__name__))
def clone(request: pytest.FixtureRequest, world: World, tmp_path: Path) -> Clone:
    make: Callable[[World, Path], Clone] = request.param
    return make(world, tmp_path)


def test_a_broken_ledger_is_refused_and_a_good_commit_passes(clone: Clone) -> None:
    edit(clone, "status: in_progress", "status: done")
    done = try_commit(clone)
    assert done.code == 1
    assert done.err.startswith("PRP104")
    assert Repo(str(clone.path)).git_dir
    assert "PRP104" in run(["cat", os.path.join(Repo(str(clone.path)).git_dir, "prp-why")], clone.path).out
    clone.git("checkout", "-q", "HEAD", "--", LEDGER)
    assert try_commit(clone, "feat(P9-999): x", "--allow-empty").code == 1
    edit(clone, "second", "third")
    assert try_commit(clone, "feat(P2-030): x").code == 0


def test_python_is_started_for_lanes_only(clone: Clone, tmp_path: Path) -> None:
    python = Recorder(tmp_path).put(clone.path)
    clone.git("checkout", "-q", "-b", "feature")
    clone.commit_files("work", {"code.py": "2"})
    clone.git("push", "-q", "origin", "feature")
    assert python.started == []
    clone.git("push", "-q", "origin", "feature:main")
    assert python.started == ["pre-push"]


def test_from_a_folder_below(clone: Clone) -> None:
    below = Clone(clone.path / "tracking", clone.agent)
    edit(clone, "status: in_progress", "status: done", stage=False)
    done = below.git("commit", "-a", "-m", "x", ok=False)
    assert done.code == 1
    assert done.err.startswith(f"PRP104 {LEDGER}:")


def test_doctor_and_a_second_install_agree(clone: Clone) -> None:
    repo = Repo(str(clone.path))
    assert not install.install(repo, policy()).changed
    assert [f.level for f in install.inspect(repo, policy())] == ["ok"]


def test_named_by_options_and_by_the_environment(world: World, tmp_path: Path) -> None:
    clone = landed(world.clone("ann"))
    edit(clone, "status: in_progress", "status: done")
    place = [f"--git-dir={clone.path}/.git", f"--work-tree={clone.path}"]
    done = run(["git", *place, "commit", "-m", "x"], tmp_path, ok=False)
    assert done.code == 1
    assert done.err.startswith("PRP104")
    env = {"GIT_DIR": f"{clone.path}/.git", "GIT_WORK_TREE": str(clone.path)}
    done = run(["git", "commit", "-m", "x"], tmp_path, env=env, ok=False)
    assert done.err.startswith("PRP104")
    done = run(["git", "-C", clone.path, "commit", "-m", "x"], tmp_path, ok=False)
    assert done.err.startswith("PRP104")


def test_a_worktree_and_its_main_one_share_hooks_and_keep_their_own_refusals(world: World, tmp_path: Path) -> None:
    main = landed(world.clone("ann"))
    main.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    side = Clone(tmp_path / "side", "ann")
    assert try_commit(side, "P9-999: x", "--allow-empty").code == 1
    assert not (main.path / ".git/prp-why").exists()
    assert (main.path / ".git/worktrees/side/prp-why").exists()
    install.uninstall(Repo(str(side.path)))
    assert try_commit(main, "P9-999: x", "--allow-empty").code == 0


def test_the_outer_repository_of_a_submodule_is_another_project(world: World, tmp_path: Path) -> None:
    inner = submodule(world, tmp_path)
    outer = Clone(tmp_path / "outer", "ann")
    outer.commit_files("P9-999: no rule here", {LEDGER: ENTRIES.replace("status: complete", "status: done")})
    assert try_commit(inner, "P9-999: x", "--allow-empty").code == 1


def test_a_repository_with_sha_256(tmp_path: Path) -> None:
    run(["git", "init", "-q", "-b", "main", "--object-format=sha256", tmp_path / "new"], tmp_path)
    clone = setup(Clone(tmp_path / "new", "ann"))
    edit(clone, "status: in_progress", "status: done")
    assert try_commit(clone).err.startswith("PRP104")


def test_installed_before_anything_was_committed_or_pushed(world: World, tmp_path: Path) -> None:
    clone = world.clone("ann")
    clone.git("checkout", "-q", "-B", "main")
    for name, text in FIRST.items():
        clone.write(name, text)
    install.install(Repo(str(clone.path)), policy())
    clone.git("add", "-A")
    assert try_commit(clone, "P2-040: first").code == 0
    python = Recorder(tmp_path).put(clone.path)
    clone.git("push", "-q", "origin", "main")
    assert python.started == ["pre-push"]
    clone.git("push", "-q", "origin", "main:refs/heads/x")
    assert python.started == ["pre-push", "pre-push"], "the lane has its own policy now: that has to be looked at once"


def test_an_old_branch_without_policy_or_ledger_is_bound_all_the_same(world: World, tmp_path: Path) -> None:
    text = POLICY + '[lane]\nbranches = ["main", "release/*"]\n'
    clone = world.clone("ann", first=True)
    clone.git("branch", "old")
    clone.commit_files("policy", {**FIRST, "prp.toml": text})
    clone.git("push", "-q", "origin", "main")
    install.install(Repo(str(clone.path)), policy(text))
    clone.git("checkout", "-q", "old")
    clone.commit_files("P2-040: known from the lane", {"code.py": "1"})
    assert try_commit(clone, "P9-999: x", "--allow-empty").code == 1
    python = Recorder(tmp_path).put(clone.path, text)
    clone.git("push", "-q", "origin", "old:release/1")
    assert python.started == ["pre-push"]


def test_a_policy_that_is_nowhere_any_more_judges_no_ledger(world: World) -> None:
    clone = setup(world.clone("ann"))
    clone.git("rm", "-q", "prp.toml")
    clone.git("commit", "-q", "-m", "no more prpgate")
    clone.commit_files("x", {LEDGER: ENTRIES.replace("status: complete", "status: done")})
