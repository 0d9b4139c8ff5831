"""Commits inside somebody else's exclusive paths, by real commits; and that nothing is asked where nobody has any."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from prpgate import scopes
from prpgate.gitrepo import Repo
from prpgate.messages import claims as words
from tests.hooks import POLICY, Recorder, landed, setup, try_commit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import Clone, World

EVE = scopes.Held(int(time.time()) + 3600, "P2-040", "eve \x1b[31m", "src/auth")
MINE = EVE._replace(agent="ann", glob="docs/**")


def hold(clone: Clone, *held: scopes.Held) -> str:
    git_dir = Repo(str(clone.path)).git_dir
    scopes.note(git_dir, held)
    return os.path.join(git_dir, scopes.FILE)


def stage(clone: Clone, *names: str) -> None:
    for name in names:
        clone.write(name, "1\n")
        clone.git("add", name)


def test_a_commit_in_anothers_paths_is_told_who_until_when_and_what_to_do(world: World) -> None:
    clone = setup(world.clone("ann"))
    hold(clone, EVE, MINE)
    stage(clone, "src/auth/login.py", "docs/x.md")
    done = try_commit(clone)
    assert done.code == 0
    first, second, third, last = done.err.splitlines()[:4]
    assert first.startswith("prp: src/auth/login.py lies in src/auth, which eve \\x1b[31m has for P2-040 alone until ")
    assert "Committed all the same" in second and third.startswith("Ask eve") and last == "  prp status P2-040"
    assert "docs/x.md" not in done.err


def test_a_commit_is_told_the_time_of_the_lease_and_that_of_a_suspect_claim(tmp_path: Path) -> None:
    now = int(time.time())
    current = EVE._replace(until=now + 7200, over=now + 10800)
    suspect, gone = current._replace(until=now - 60, over=now + 120), current._replace(until=now - 60, over=now - 1)
    scopes.note(str(tmp_path), [current, suspect, gone])
    assert scopes.known(str(tmp_path), now) == [current, suspect]
    assert "(2h00m left)." in words.in_the_way(current, ["src/auth"], now)
    said = words.in_the_way(suspect, ["src/auth"], now)
    assert "alone; suspect: the lease is over, and it is still theirs until " in said and said.endswith("(2m00s).")


def test_the_policy_may_refuse_or_say_nothing(world: World) -> None:
    clone = landed(world.clone("ann"), POLICY + '[scopes]\npolicy = "refuse"\n')
    hold(clone, EVE)
    stage(clone, "src/auth/login.py")
    done = try_commit(clone)
    assert done.code == 1 and "Not committed" in done.err
    assert "P2-040" in clone.prp("why").out
    assert try_commit(clone, "work", "--no-verify").code == 0
    stage(clone, "elsewhere.py")
    assert try_commit(clone).err == ""


def test_only_the_ledger_itself_is_everybodys(world: World) -> None:
    clone = landed(world.clone("ann"), POLICY + '[scopes]\npolicy = "refuse"\n')
    (ledger,) = [p for p in clone.git("ls-files").out.split() if p.endswith(".yaml")]
    hold(clone, EVE._replace(glob="**"))
    stage(clone, f"{ledger}.orig")
    done = try_commit(clone)
    assert done.code == 1 and "P2-040" in done.err


def test_off_is_off(world: World) -> None:
    clone = setup(world.clone("ann"), POLICY + '[scopes]\npolicy = "off"\n')
    hold(clone, EVE)
    stage(clone, "src/auth/login.py")
    assert try_commit(clone).err == ""


def test_what_is_overdue_is_forgotten(world: World) -> None:
    clone = setup(world.clone("ann"))
    path = hold(clone, EVE._replace(until=1))
    stage(clone, "src/auth/login.py")
    assert try_commit(clone).err == ""
    assert not os.path.exists(path)


def test_no_python_starts_where_nobody_has_paths(world: World, tmp_path: Path) -> None:
    clone = setup(world.clone("ann"))
    python = Recorder(tmp_path).put(clone.path)
    stage(clone, "src/auth/login.py")
    try_commit(clone)
    assert python.started == []
    hold(clone, EVE)
    stage(clone, "src/auth/more.py")
    try_commit(clone)
    assert python.started == ["pre-commit"]


@pytest.mark.parametrize(
    ("glob", "path", "yes"),
    [
        ("src/auth", "src/auth/login.py", True),
        ("src/auth", "src/authors.py", False),
        ("src/*.py", "src/a/b.py", False),
        ("src/**/b.py", "src/b.py", True),
        ("src/**/b.py", "src/x/y/b.py", True),
        ("*.md", "docs/a.md", False),
        ("**/*.md", "a.md", True),
        ("a?c", "abc", True),
        ("a.c", "abc", False),
    ],
)
def test_globs_cover_paths(glob: str, path: str, yes: bool) -> None:
    assert scopes.covers(glob, path) is yes


def test_what_an_entry_declares() -> None:
    assert scopes.declared({"paths": {"exclusive": ["./src/a/", "src/a", 7, ""], "shared": "docs/**"}}) == {
        "exclusive": ["src/a"],
        "shared": ["docs/**"],
    }
    assert scopes.declared({"paths": ["x\ny", "a" * 300, "ok"]}) == {"exclusive": ["ok"]}
    assert scopes.declared({"paths": None}) == scopes.declared({}) == {}
