"""Every shape that a push can have, and what each is told."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import Project
from tests.e2e.test_landing import push_until_landed
from tests.world import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import Clone


def events(clone: Clone, lane: str = "main") -> list[str]:
    return [e["event"] for e in json.loads(clone.prp("lock", "log", lane, "-n", "500", "--json").out)["events"]]


def fence(clone: Clone) -> int:
    return int(json.loads(clone.prp("lock", "status", "main", "--json").out)["lanes"][0]["fence"] or 0)


def break_python(clone: Clone) -> None:
    """From here on any hook that starts Python fails: what still passes has not started it."""
    filter_file = clone.path / ".git" / "prpgate" / "filter"
    lines = filter_file.read_text().splitlines()
    kept = [line for line in lines if not line.startswith("PRP_PYTHON=")]
    filter_file.write_text("\n".join([*kept, "PRP_PYTHON=/nonexistent/python"]) + "\n")


def test_one_lane_ref_takes_the_lock_and_gives_it_back(project: Project) -> None:
    before = fence(project.ana)
    project.ana.commit_files("one", {"1.txt": "1"})
    project.ana.git("push", "-q")
    project.settle()
    assert fence(project.ana) > before
    assert events(project.ana)[-1] in ("landed", "release")


def test_two_lane_refs_are_refused_with_a_command_each(tmp_path: Path) -> None:
    project = Project(tmp_path, settings={'branches = ["main"]': 'branches = ["main", "release"]'})
    before = fence(project.ana)
    project.ana.commit_files("both", {"b.txt": "b"})
    refused = project.ana.git("push", "origin", "HEAD:refs/heads/main", "HEAD:refs/heads/release", ok=False)
    assert refused.code != 0
    assert "git push origin HEAD:main" in refused.err
    assert "git push origin HEAD:release" in refused.err
    assert fence(project.ana) == before


def test_a_hostile_lane_is_quoted_in_what_one_is_told_to_type(tmp_path: Path) -> None:
    project = Project(tmp_path, settings={'branches = ["main"]': 'branches = ["main", "rel/*"]'})
    project.ana.commit_files("both", {"b.txt": "b"})
    name = "rel/$(touch${IFS}pwned);`touch${IFS}pwned`"
    refused = project.ana.git("push", "origin", "HEAD:refs/heads/main", f"HEAD:refs/heads/{name}", ok=False)
    told = [line.strip() for line in refused.err.splitlines() if line.strip().startswith("git push")]
    assert len(told) == 2
    for line in told:
        run(["sh", "-c", line], project.ana.path, env=project.ana.env)
        project.settle(name if "rel/" in line else "main")
    assert project.tip(name) == project.tip() == project.ana.head
    assert not [p for p in (project.ana.path, project.remote) if (p / "pwned").exists()]


def test_an_unknown_remote_tip_means_fetch_first_and_keeps_a_place(project: Project) -> None:
    ben = project.join("ben")
    project.ana.commit_files("ahead", {"a.txt": "a"})
    project.ana.git("push", "-q")
    project.settle()
    before = fence(ben)
    ben.commit_files("behind", {"b.txt": "b"})
    refused = ben.git("push", "-q", "--force", "origin", "HEAD:main", ok=False)
    assert refused.code != 0
    assert "git pull --rebase --autostash origin main && git push" in refused.err
    assert fence(ben) == before, "the lock was touched"
    lane = json.loads(ben.prp("lock", "status", "main", "--json").out)["lanes"][0]
    assert [t["agent"] for t in lane["queue"]] == ["ben"]
    push_until_landed(ben)


def test_nothing_to_push(project: Project) -> None:
    before = fence(project.ana)
    assert "up-to-date" in project.ana.git("push").err
    assert fence(project.ana) == before


def test_a_dry_run_holds_for_a_moment_only(project: Project) -> None:
    tip = project.tip()
    project.ana.commit_files("dry", {"d.txt": "d"})
    project.ana.git("push", "-q", "--dry-run")
    project.settle()
    assert project.tip() == tip
    project.ana.git("push", "-q")
    assert project.tip() == project.ana.head


def test_a_forced_push_that_drops_commits_is_refused(project: Project) -> None:
    tip = project.tip()
    project.ana.git("reset", "-q", "--hard", "HEAD~1")
    project.ana.commit_files("other", {"o.txt": "o"})
    for args in (("--force",), ("--force-with-lease",)):
        refused = project.ana.git("push", "-q", *args, ok=False)
        assert refused.code != 0
        assert "take commits away from main" in refused.err
    refused = project.ana.git("push", "-q", "origin", "+HEAD:main", ok=False)
    assert "take commits away from main" in refused.err
    assert project.tip() == tip


def test_after_a_rewrite_round_the_hook_pushes_go_on(project: Project) -> None:
    """Somebody took commits away with --no-verify. The lane remembers a tip that is gone; the remote decides."""
    ben = project.join("ben")
    project.ana.commit_files("taken away later", {"t.txt": "t"})
    project.ana.git("push", "-q")
    project.settle()
    project.ana.git("push", "-q", "--force", "--no-verify", "origin", "HEAD~1:main")
    ben.commit_files("goes on", {"g.txt": "g"})
    ben.git("push", "-q")
    project.settle()
    assert project.subjects()[0] == "goes on"


def test_a_lane_is_not_deleted(project: Project) -> None:
    refused = project.ana.git("push", "-q", "origin", ":main", ok=False)
    assert refused.code != 0
    assert "is not deleted by a push" in refused.err
    refused = project.ana.git("push", "-q", "origin", "--delete", "main", ok=False)
    assert "is not deleted by a push" in refused.err
    assert project.tip()


def test_other_refs_tags_and_remotes_pass_without_python(project: Project, tmp_path: Path) -> None:
    run(["git", "init", "-q", "--bare", tmp_path / "fork.git"], tmp_path)
    project.ana.git("remote", "add", "fork", str(tmp_path / "fork.git"))
    project.ana.commit_files("work", {"w.txt": "w"})
    project.ana.git("tag", "v1")
    break_python(project.ana)
    project.ana.git("push", "-q", "origin", "HEAD:refs/heads/topic")
    project.ana.git("push", "-q", "origin", "v1")
    project.ana.git("push", "-q", "fork", "HEAD:refs/heads/main")
    project.ana.git("push", "-q", str(tmp_path / "fork.git"), "HEAD:refs/heads/other")
    refused = project.ana.git("push", "-q", "origin", "HEAD:main", ok=False)
    assert refused.code != 0
    assert "prp install" in refused.err


def test_a_lane_and_another_ref_in_one_push(project: Project) -> None:
    before = fence(project.ana)
    project.ana.commit_files("mixed", {"m.txt": "m"})
    project.ana.git("tag", "v2")
    project.ana.git("push", "-q", "origin", "HEAD:main", "v2")
    project.settle()
    assert fence(project.ana) > before


def test_a_shallow_clone_that_cannot_tell_is_refused(project: Project) -> None:
    for n in range(3):
        project.ana.commit_files(f"c{n}", {"c.txt": str(n)})
    project.ana.git("push", "-q")
    project.settle()
    path = project.folder / "shallow"
    run(["git", "clone", "-q", "--depth", "1", f"file://{project.remote}", path], project.folder)
    from tests.world import Clone as Copy

    shallow = Copy(path, "shallow")
    shallow.git("config", "user.email", "s@example.org")
    shallow.git("config", "user.name", "s")
    shallow.prp("join")
    shallow.commit_files("on top", {"t.txt": "t"})
    shallow.git("push", "-q")  # its parent is known: that can be told
    project.settle()
    run(["git", "init", "-q", "--bare", project.folder / "cut.git"], project.folder)
    older = shallow.git("rev-parse", "HEAD~1").out.strip()
    graft = (path / ".git" / "shallow").read_text().split()
    assert older in graft
    shallow.git("checkout", "-q", "--orphan", "lost")
    shallow.commit_files("no history", {"n.txt": "n"})
    refused = shallow.git("push", "-q", "--force", "origin", "HEAD:main", ok=False)
    assert refused.code != 0
    assert "history is missing here" in refused.err
    assert refused.err.rstrip().splitlines()[-2].strip() == "git fetch --unshallow"


@pytest.mark.parametrize(
    "line",
    [
        "refs/heads/main abc refs/heads/main def",
        "refs/heads/main " + "1" * 40 + " refs/heads/main",
        "garbage",
    ],
)
def test_a_line_that_git_never_writes_is_refused(project: Project, line: str) -> None:
    from prpgate.data import hooks_folder

    done = run(
        [sys.executable, f"{hooks_folder()}/pre-push", "origin", "url"], project.ana.path, stdin=line + "\n", ok=False
    )
    assert done.code == 1
    assert "unexpected" in done.err


def test_from_a_linked_worktree_and_a_detached_head(project: Project) -> None:
    from tests.world import Clone as Copy

    project.ana.git("worktree", "add", "-q", "--detach", "../täst tree")
    tree = Copy(project.folder / "täst tree", "wt")
    tree.commit_files("from a worktree", {"w.txt": "w"})
    before = fence(project.ana)
    tree.git("push", "-q", "origin", "HEAD:main")
    project.settle()
    assert fence(project.ana) > before
    assert project.subjects()[0] == "from a worktree"


def test_a_submodule_is_its_own_project(project: Project, tmp_path: Path) -> None:
    run(["git", "clone", "-q", "--bare", project.remote, tmp_path / "sub.git"], tmp_path)
    project.ana.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(tmp_path / "sub.git"), "sub")
    from tests.world import Clone as Copy

    sub = Copy(project.ana.path / "sub", "ana")
    before = fence(project.ana)
    sub.git("checkout", "-q", "-B", "main")
    sub.commit_files("inside", {"s.txt": "s"})
    sub.git("push", "-q", "origin", "HEAD:main")
    assert fence(project.ana) == before
