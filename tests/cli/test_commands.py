"""The command line: what it says when it is asked, misused, or run in an odd place."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from prpgate.cli.verbs import GROUPS, VERBS
from prpgate.output import annotation, inert, width
from tests.world import World, run

if TYPE_CHECKING:
    from tests.world import Result

PRP = [sys.executable, "-m", "prpgate"]
# Commands that look at a repository and need no argument.
LOOKS = ("status", "list", "next", "check", "doctor", "redis-status", "redis-sync", "lock status", "lock log", "whoami")


def prp(cwd: Path, *args: str, ok: bool = True, env: dict[str, str] | None = None) -> Result:
    return run([*PRP, *args], cwd, ok=ok, env=env)


def test_help_names_every_command(tmp_path: Path) -> None:
    said = prp(tmp_path, "--help").out
    for name, verb in VERBS.items():
        assert re.search(rf"^  {name} +{re.escape(verb.help)}$", said, re.MULTILINE), name
    assert all(f"{group}:" in said for group in GROUPS)


def test_every_answer_for_programs_has_a_row() -> None:
    """In docs/design.md: `prp a`, `b c` and `b` (of the same family: `prp lane close`, `open`) name commands."""
    page = (Path(__file__).parents[2] / "docs" / "design.md").read_text("utf-8")
    table = page.partition("## What programs may rely on")[2].partition("\nExit codes")[0]
    told: set[str] = set()
    for row in re.findall(r"^\| (.*?) \|", table, re.MULTILINE):
        family = ""
        for code in re.findall("`([^`]+)`", row):
            words = [w for w in code.removeprefix("prp ").split() if w.replace("-", "").islower() and w[0] != "-"]
            name = " ".join(words)
            if not code.startswith("prp ") and f"{family} {name}" in VERBS:
                name = f"{family} {name}"
            told.add(name)
            family = name.partition(" ")[0] if " " in name else ""
    assert {name for name, verb in VERBS.items() if verb.json} - told == set()


@pytest.mark.parametrize("name", VERBS)
def test_every_command_explains_itself_outside_a_repository(tmp_path: Path, name: str) -> None:
    said = prp(tmp_path, *name.split(), "--help").out
    assert said.startswith(f"usage: prp {name}")
    assert prp(tmp_path, "help", *name.split()).out == said


def test_no_command_is_a_usage_error_that_helps(tmp_path: Path) -> None:
    done = prp(tmp_path, ok=False)
    assert done.code == 2
    assert "prp init" in done.out


@pytest.mark.parametrize(
    ("args", "next_action"),
    [
        (["strat"], "prp start"),
        (["xyzzy"], "prp --help"),
        (["lock"], "prp lock status"),
        (["start"], "prp start --help"),
    ],
)
def test_wrong_usage_names_the_right_one(tmp_path: Path, args: list[str], next_action: str) -> None:
    done = prp(tmp_path, *args, ok=False)
    assert done.code == 2
    assert done.err.rstrip().endswith(next_action)
    answer = json.loads(prp(tmp_path, *args, "--json", ok=False).out)
    assert (answer["schema"], answer["ok"], answer["next_action"]) == (1, False, next_action)


@pytest.mark.parametrize("name", LOOKS)
def test_outside_a_repository(tmp_path: Path, name: str) -> None:
    done = prp(tmp_path, *name.split(), ok=False)
    assert done.code == 2, done
    assert "is not in a git repository" in done.err
    assert "Traceback" not in done.text


@pytest.mark.parametrize("name", [n for n in LOOKS if n != "whoami"])
def test_in_a_repository_without_prpgate(repo: Path, name: str) -> None:
    done = prp(repo, *name.split(), ok=False)
    assert done.code == 2, done
    assert "prp init" in done.err


@pytest.mark.parametrize("name", [*LOOKS, "init --yes", "join", "install"])
def test_in_a_bare_repository(tmp_path: Path, name: str) -> None:
    world = World(tmp_path)
    done = run([*PRP, *name.split()], world.remote, ok=name == "whoami")
    if name != "whoami":
        assert done.code in (1, 2)
        assert "Traceback" not in done.text
        assert "prp: " in done.err


def test_before_the_first_commit(repo: Path) -> None:
    prp(repo, "init", "--yes")
    assert "empty" in prp(repo, "list").text
    made = json.loads(prp(repo, "new", "First", "--json").out)
    assert made["prp"]["status"] == "new"
    assert prp(repo, "check").code == 0
    run(["git", "add", "-A"], repo)
    run(["git", "commit", "-q", "-m", "first"], repo)


def test_in_a_folder_with_spaces_and_umlauts(tmp_path: Path) -> None:
    odd = tmp_path / "mein größtes Projekt"
    odd.mkdir()
    world = World(odd)
    ana = world.clone("ana und ben", first=True)
    ana.prp("init", "--yes")
    ana.prp("new", "Über uns")
    ana.commit_files("Use prpgate", {})
    ana.git("push", "-q")
    assert "Über uns" in ana.prp("list").out
    nested = ana.path / "a b" / "c"
    nested.mkdir(parents=True)
    assert "Über uns" in run([*PRP, "list"], nested, env=ana.env).out


def test_on_a_detached_head(tmp_path: Path) -> None:
    world = World(tmp_path)
    ana = world.clone("ana", first=True)
    ana.prp("init", "--yes")
    ana.git("checkout", "-q", "--detach")
    first = json.loads(ana.prp("new", "Detached", "--json").out)["prp"]["id"]
    ana.prp("validate", first)
    assert json.loads(ana.prp("start", first, "--json").out)["prp"]["status"] == "in_progress"


def test_prp_toml_that_is_broken_names_the_place(repo: Path) -> None:
    (repo / "prp.toml").write_text('project = "a/b"\ngate = "perhaps"\n')
    done = prp(repo, "list", ok=False)
    assert done.code == 2
    assert "prp.toml: gate = 'perhaps' is not one of none, local, ci" in done.err
    (repo / "prp.toml").write_text('project = "a/b"\nledger.path = "prp.toml"\n')
    assert "a path inside the repository, and not prp.toml" in prp(repo, "list", ok=False).err
    (repo / "prp.toml").write_text("project = \n")
    done = prp(repo, "list", ok=False)
    assert done.code == 2
    assert "line 1" in done.err


def test_a_hostile_title_is_shown_inert(tmp_path: Path) -> None:
    world = World(tmp_path)
    ana = world.clone("ana", first=True)
    ana.prp("init", "--yes")
    title = "red \x1b[31malert\x07 \u202eevil <script>alert(1)</script>"
    refused_or_made = ana.prp("new", title, ok=False)
    shown = ana.prp("list").text + refused_or_made.text
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "\u202e" not in shown


def test_colour_only_on_a_terminal_and_not_with_no_color(tmp_path: Path) -> None:
    assert "\x1b" not in prp(tmp_path, "xyzzy", ok=False).text
    assert "\x1b[31m" in _on_a_terminal(tmp_path, {"NO_COLOR": ""})
    assert "\x1b[31m" not in _on_a_terminal(tmp_path, {"NO_COLOR": "1"})


def _on_a_terminal(cwd: Path, env: dict[str, str]) -> str:
    import pty

    shown, inner = pty.openpty()
    clean = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    more = {k: v for k, v in env.items() if v}
    child = subprocess.Popen(
        [*PRP, "xyzzy"], cwd=cwd, env={**clean, "TERM": "xterm", **more}, stdout=inner, stderr=inner
    )
    os.close(inner)
    said = b""
    try:
        while chunk := os.read(shown, 4096):
            said += chunk
    except OSError:
        pass  # Linux says EIO when the other side has closed
    os.close(shown)
    child.wait(10)
    return said.decode()


def test_a_reader_that_goes_away_is_no_fault(tmp_path: Path) -> None:
    done = run(["bash", "-c", f"set -o pipefail; {sys.executable} -m prpgate --help | head -1"], tmp_path)
    assert done.out.startswith("prp: ")
    assert "Traceback" not in done.err


def test_ctrl_c_ends_with_130_and_leaves_nothing(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [*PRP, "demo"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert demo.stdout is not None
    first = demo.stdout.readline()
    assert first.startswith("1. ")
    time.sleep(1)
    os.killpg(demo.pid, signal.SIGINT)
    out, err = demo.communicate(timeout=60)
    assert demo.returncode == 130, (out, err)
    assert "Traceback" not in err


def test_whoami_and_its_sources(tmp_path: Path) -> None:
    world = World(tmp_path)
    ana = world.clone("ana", first=True)
    env = {"PRP_AGENT": ""}
    assert json.loads(ana.prp("whoami", "--json", env=env).out)["agent"] == "ana@example.org"
    ana.git("config", "prp.agent", "ana the person")
    assert json.loads(ana.prp("whoami", "--json", env=env).out)["agent"] == "ana the person"
    ana.prp("whoami", "--set", "worktree-agent", env=env)
    named = json.loads(ana.prp("whoami", "--json", env=env).out)
    assert (named["agent"], named["person"]) == ("worktree-agent", False)
    assert json.loads(ana.prp("whoami", "--json", env={"PRP_AGENT": "from-env"}).out)["agent"] == "from-env"
    assert ana.prp("whoami", "--set", "two\nlines", ok=False, env=env).code == 2


def test_inert_width_and_annotations() -> None:
    from prpgate.model import Finding

    assert inert("plain ✅ größe") == "plain ✅ größe"
    assert inert("a\x1b[2Jb\nc\u2028\u202e") == "a\\x1b[2Jb\\x0ac\\u2028\\u202e"
    assert width("größe") == 5
    assert width("漢字") == 4
    evil = Finding("PRP1", "error", "a,b:c\n::warning::x", 1, 2, "P1", "50% done\r\n::error::y", "fix")
    line = annotation(evil)
    assert "\n" not in line
    assert line.startswith("::error file=a%2Cb%3Ac")
    assert "50%25 done" in line
