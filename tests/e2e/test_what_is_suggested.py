"""What a command names to type next works when it is typed, as it stands, where it was named."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from prpgate.messages.ledger import command_in, merge_mixed, status_by_hand
from tests.world import World, run

if TYPE_CHECKING:
    from tests.world import Clone


def ask(clone: Clone, *args: str, ok: bool = True) -> Any:
    return json.loads(clone.prp(*args, "--json", ok=ok).out)


def type_it(clone: Clone, command: str) -> None:
    """Run a suggested command line as a shell takes it."""
    here = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    run(["sh", "-c", command], clone.path, env={**clone.env, **here})


@pytest.fixture
def ana(tmp_path: Path, home: Path) -> Clone:
    """The first of a new repository, where each PRP has a file of its own."""
    clone = World(tmp_path).clone("ana", first=True)
    type_it(clone, ask(clone, "init", "--yes")["next_action"])
    return clone


@pytest.mark.parametrize("branch", [False, True])
def test_the_whole_way_of_a_new_prp(ana: Clone, branch: bool) -> None:
    """Its file is new to git until the first commit; a branch of its own has no upstream to push to."""
    said = ask(ana, "new", "Login, as it should be")
    for _ in ("validate", "start"):
        command = said["next_action"] + (" --branch" if branch and " start " in said["next_action"] else "")
        said = ask(ana, *command.split()[1:])
    type_it(ana, said["next_action"])
    assert ask(ana, "status", said["prp"]["id"])["prp"]["recorded"] == "in_progress"
    assert ana.git("status", "--porcelain").out == ""


def test_deprecating_a_new_one_and_again(ana: Clone) -> None:
    one, other = (ask(ana, "new", title)["prp"]["id"] for title in ("one", "other"))
    type_it(ana, ask(ana, "deprecate", one, "--by", other)["next_action"])
    again = ask(ana, "deprecate", one, "--by", other)
    assert (again["already"], again["next_action"]) == (True, f"prp status {one}")


def test_slips_are_refused_with_the_right_thing(ana: Clone) -> None:
    one = ask(ana, "new", "one")["prp"]["id"]
    assert ask(ana, "status", one.lower()[:-1], ok=False)["next_action"] == f"prp status {one}"
    assert ask(ana, "lane", "close", "mian", "--reason", "x", ok=False)["error"]["code"] == "no-lane"
    assert [lane["name"] for lane in ask(ana, "lock", "status")["lanes"]] == ["main"]
    assert ask(ana, "lane", "log", "-n", "0", ok=False)["error"]["code"] == "usage"
    assert ask(ana, "init", "--ledger", "x", ok=False)["next_action"] == "prp init"
    assert ask(ana, "lane", ok=False)["next_action"] == "prp lane log"


def test_what_is_released_is_said_as_it_is(ana: Clone) -> None:
    one = ask(ana, "new", "one")["prp"]["id"]
    ana.prp("validate", one)
    ana.prp("start", one)
    ana.prp("assign", one, "ben")
    assert "only ben may take it" in ana.prp("release", one).out


def test_next_actions_are_commands_not_advice() -> None:
    assert command_in(status_by_hand("validated", "done", "prp start P1-001").fix) == "prp start P1-001"
    assert command_in(merge_mixed(["1-x", "2-y"]).fix) is None
    assert command_in("prp new TITLE") is None
    assert command_in(None) is None


def test_uninstall_twice_says_so_and_all_of_it_goes(ana: Clone) -> None:
    ana.prp("whoami", "--set", "anna")
    ana.prp("uninstall")
    assert "Nothing of prpgate is installed" in ana.prp("uninstall").out
    ana.prp("uninstall", "--all")
    assert sorted(p.name for p in (ana.path / ".git").glob("prp*")) == []


def test_a_bare_repository_is_told_apart(ana: Clone, tmp_path: Path) -> None:
    for verb in ("status", "install", "doctor"):
        done = run([sys.executable, "-m", "prpgate", verb], tmp_path / "remote.git", ok=False)
        assert "bare repository" in done.err and "prp init" not in done.err
