"""prp completion: what is offered where, in a real bash; zsh and fish are in screen/."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from prpgate.cli import completion
from prpgate.cli.main import parser
from prpgate.cli.verbs import VERBS
from prpgate.known_names import Names, entries, note_agents
from tests.world import Result, run

if TYPE_CHECKING:
    from tests.world import Clone, World

EVIL = "we$(touch${IFS}pwned)`touch${IFS}pwned2`';touch${IFS}pwned3;"  # git takes it as the name of a branch
TOML = """\
project = "example/app"
[store]
id = "x"
scope = "team"
[ledger]
path = "prps.yaml"
lane = "main"
[lane]
branches = ["main", "release/*"]
[roles]
reviewer = ["rita", "rob-*"]
[domains]
dora = ["P3-*"]
[phases]
names = ["design", "build"]
"""
LEDGER = """\
metadata:
  version: 1
prp_tracking:
  P1-001:
    title: "Tidy `rm -rf $HOME` $(touch pwned)\\e[2J"
    status: validated
    owner: ana
    notes:
      title: another
  P1-002:
    title: 'It''s in work'  # really
    status: in_progress
    owner: ben o'neil
    stable_id: PRP-7
  P2-003:
    status: complete
    title: Done
  --json:
    status: new
stats:
  P9-999:
    title: no entry
"""


@pytest.fixture
def clone(world: World) -> Clone:
    ana = world.clone("ana", first=True)
    ana.commit_files("settings", {"prp.toml": TOML, "prps.yaml": LEDGER, "src/x": ""})
    ana.git("branch", "release/1.0")
    ana.git("branch", EVIL)
    return ana


def ask(where: Path, *words: str, shell: str = "zsh", env: dict[str, str] | None = None) -> list[str]:
    """Words that are offered; nothing may go to stderr."""
    done = run([sys.executable, "-m", "prpgate", "__complete", shell, *words], where, env=env)
    assert done.err == ""
    return [line.partition("\t")[0] for line in done.out.splitlines()]


def bash(where: Path, line: str, then: str = "", *, cursor: int | None = None) -> Result:
    """A real bash in which Tab is pressed at the end of a line: COMPREPLY, a word a line."""
    point = len(line) if cursor is None else cursor
    told = f"COMP_LINE={_quoted(line)}; COMP_POINT={point}; _prp prp '' ''"
    show = 'for w in "${COMPREPLY[@]}"; do printf "%s\\n" "$w"; done'
    text = f'set -u; PATH={_quoted(str(Path(sys.executable).parent))}:$PATH; eval "$(prp completion bash)"; {told}'
    return run(["bash", "--norc", "-c", f"{text}; {then or show}"], where)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


# --- it cannot go stale -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", VERBS)
def test_what_is_offered_is_what_argparse_takes(name: str, tmp_path: Path) -> None:
    words = completion.candidates([*name.split(), "--"]) or []
    actions = parser(name)._actions
    assert {w.text for w in words} == {n for a in actions for n in a.option_strings if n.startswith("--")}
    told = {n: a.help or "" for a in actions for n in a.option_strings}
    assert all(w.about == told[w.text].replace("%%", "%") for w in words if w.text != "--help")


def test_every_command_is_offered() -> None:
    first = {w.text for w in completion.candidates([""]) or []}
    assert first == {name.partition(" ")[0] for name in VERBS} | {"help"}
    for name in VERBS:
        family, _, second = name.partition(" ")
        if second:
            assert second in {w.text for w in completion.candidates([family, ""]) or []}, name
            assert second in {w.text for w in completion.candidates(["help", family, ""]) or []}, name


def test_every_value_has_a_kind_or_is_known_to_have_none() -> None:
    """A new argument decides what is offered for it."""
    missing = [
        f"{name} {a.names[0]}"
        for name, verb in VERBS.items()
        for a in completion.options(verb) + [a for a in verb.args if not a.names[0].startswith("-")]
        if a.more.get("action") != "store_true"
        and "choices" not in a.more
        and not any((name, n) in completion.SPECIAL for n in a.names)
        and a.more.get("metavar") not in (*completion.KINDS, *completion.FREE)
    ]
    assert missing == []


# --- what is offered where --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["start", ""], ["P1-001", "P1-002"]),
        (["start", "p1-00"], ["P1-001", "P1-002"]),
        (["status", "P2"], ["P2-003"]),
        (["complete", "P2"], ["P2-003"]),  # nothing else begins so
        (["note", "P1-001", ""], []),
        (["handover", "P1-001", "b"], ["ben o'neil"]),
        (["lock", "status", ""], ["main", "release/1.0"]),
        (["lock", "break", "main", "--fence", ""], []),
        (["top", "--lane", "m"], ["main"]),
        (["top", "--lane=r"], ["--lane=release/1.0"]),
        (["watch", "--event", "landed,ver"], ["landed,verdict"]),
        (["watch", "--prp", "P1-002", "--ev"], ["--event"]),
        (["list", "--status", "comp"], ["complete"]),
        (["next", "--domain", ""], ["dora"]),
        (["agents", "--role", ""], ["reviewer"]),
        (["phase", "P1-002", ""], ["design", "build"]),
        (["send", "@"], ["@reviewer", "@all"]),
        (["send", "ana", "--priority", "h"], ["high"]),
        (["init", "--scope", ""], ["machine", "team"]),
        (["init", "--ledger", ""], [":files"]),
        (["check", "src/"], [":files"]),
        (["smoke", "--json", "--js"], []),  # given already
        (["check", "--", "--js"], [":files"]),
        (["inbox", "--ack", "m-1", ""], []),
        (["inbox", "--ack", "m-1", "--al"], ["--all"]),
        (["land", "--revert", "--ho"], ["--hotfix"]),
        (["xyzzy", ""], []),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["-"], ["--help", "--version"]),
    ],
)
def test_what_may_stand_there(clone: Clone, words: list[str], offered: list[str]) -> None:
    assert ask(clone.path, *words) == offered


def test_agents_are_those_that_were_seen_and_oneself(clone: Clone) -> None:
    note_agents(str(clone.path / ".git"), ["zoe", "bad\x1bname", "-x"])
    inside = clone.path / "src"
    found = ask(inside, "watch", "--agent", "", env={"PRP_AGENT": "me"})
    assert found == ["me", "zoe", "dora", "rita", "ana", "ben o'neil"]
    clone.git("worktree", "add", "-q", "../tree")
    assert "zoe" in ask(clone.path.parent / "tree", "send", "z")


def test_titles_are_told_and_inert(clone: Clone) -> None:
    said = run([sys.executable, "-m", "prpgate", "__complete", "fish", "status", "P1"], clone.path).out
    assert "P1-001\tTidy `rm -rf $HOME` $(touch pwned)" in said
    assert "P1-002\tIt's in work (in_progress)" in said
    clone.write("prps.yaml", LEDGER.replace("in work", "a\x1b[31mred\x07\u202e"))
    said = run([sys.executable, "-m", "prpgate", "__complete", "fish", "status", "P1"], clone.path).out
    assert "It's a\\x1b[31mred\\x07\\u202e" in said


def test_a_folder_of_files(clone: Clone) -> None:
    clone.write("prp.toml", TOML.replace("prps.yaml", "prps/"))
    clone.write("prps/P4-001.yaml", "id: P4-001\ntitle: One\nstatus: new\n")
    clone.write("prps/P4-002.yaml", "id: P4-002\ntitle: Two\nstatus: deprecated\n")
    clone.write("prps/bad name.yaml", "id: x\n")
    assert ask(clone.path, "start", "") == ["P4-001"]
    assert ask(clone.path, "status", "") == ["P4-001", "P4-002"]


def test_ten_thousand_entries_take_no_time() -> None:
    head = "prp_tracking:\n"
    data = head + "".join(
        f"  P1-{n:05d}:\n    title: Work {n}\n    status: new\n    notes: x\n    depends_on: []\n"
        for n in range(10_000)
    )
    begun = time.perf_counter()
    found = entries(data.encode())
    assert len(found) == 10_000 and found[-1][:3] == ("P1-09999", "Work 9999", "new")
    assert time.perf_counter() - begun < 5


# --- in bash ----------------------------------------------------------------------------------------------------------
def test_bash_takes_the_words(clone: Clone) -> None:
    assert bash(clone.path, "prp start P1-").out.split() == ["P1-001", "P1-002"]
    assert bash(clone.path, "prp lock br").out.split() == ["break"]
    assert bash(clone.path, "prp lock br main", cursor=len("prp lock br")).out.split() == ["break"]
    assert bash(clone.path, "prp top --lane=m").out.split() == ["main"], "what stands before = is no part of the word"
    assert bash(clone.path, "prp send @re").out.split() == ["@reviewer"], "and @ is one"
    assert bash(clone.path, "prp status 'P2").out.split() == ["P2-003"]
    assert bash(clone.path, "prp watch --agent ben\\ ").out == "ben\\ o\\'neil\n"
    assert bash(clone.path, 'prp watch --agent "ben').out == "", "nothing in quotes that might end them"


def test_bash_after_git(clone: Clone) -> None:
    line = "git -C . prp lock br"
    told = f"COMP_LINE={_quoted(line)}; COMP_POINT={len(line)}; _git_prp"
    path = f"PATH={_quoted(str(Path(sys.executable).parent))}:$PATH"
    done = run(["bash", "--norc", "-c", f'{path}; eval "$(prp completion bash)"; {told}; echo $COMPREPLY'], clone.path)
    assert (done.out, done.err) == ("break\n", "")


def test_a_hostile_name_is_one_word_and_runs_nothing(clone: Clone) -> None:
    # As if Enter were pressed.
    take = 'line="prp land --from ${COMPREPLY[0]}"; prp() { printf "<%s>" "$@"; }; eval "$line"'
    done = bash(clone.path, "prp land --from we", take)
    assert done.out == f"<land><--from><{EVIL}>"
    assert done.err == ""
    assert not list(clone.path.glob("pwned*"))


# --- nothing is in its way --------------------------------------------------------------------------------------------
def test_it_never_complains(clone: Clone, tmp_path: Path) -> None:
    assert ask(tmp_path, "start", "") == [], "outside a repository"
    assert "start" in ask(tmp_path, "st")
    for text in ("{", "prp_tracking: [", "\0\xff", "prp_tracking:\n" + "  " * 5000 + ":\n", ""):
        (clone.path / "prps.yaml").write_bytes(text.encode("latin-1"))
        assert ask(clone.path, "start", "") == []
    (clone.path / "prps.yaml").unlink()
    os.mkfifo(clone.path / "prps.yaml")
    assert ask(clone.path, "start", "") == [], "nobody will ever write into it"
    for toml in ("[", "ledger = 1\nlane = 2\nroles = []\n", '[ledger]\npath = "\\u0000"\n', "[ledger]\npath = 5\n"):
        clone.write("prp.toml", toml)
        assert ask(clone.path, "start", "") == []
        assert "main" not in ask(clone.path, "handover", "P1", "")
        ask(clone.path, "lock", "status", "")
    assert ask(clone.path, shell="tcsh") == []
    assert ask(clone.path, "only one", shell="bash") == []


def test_in_a_folder_that_was_deleted(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    code = f"cd {gone} && rmdir {gone} && {sys.executable} -m prpgate __complete zsh start ''"
    done = subprocess.run(["sh", "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_no_store_and_nothing_heavy_is_needed(clone: Clone) -> None:
    code = (
        "import sys\nfrom prpgate.cli.main import run\nassert run(['__complete', 'zsh', 'start', '']) == 0\n"
        "heavy = ('redis', 'yaml', 'git', 'rich', 'asyncio', 'argparse', 'subprocess', 'json')\n"
        "print('pulled', *[n for n in heavy if n in sys.modules])"
    )
    assert run([sys.executable, "-c", code], clone.path).out.splitlines()[-1] == "pulled"


def test_uninstall_all_forgets_the_names(clone: Clone) -> None:
    note_agents(str(clone.path / ".git"), ["zoe"])
    assert "zoe" in Names(str(clone.path)).agents()
    clone.prp("uninstall", "--all", ok=False)
    assert "zoe" not in Names(str(clone.path)).agents()


def test_bash_words_as_readline_sees_them(clone: Clone) -> None:
    note_agents(str(clone.path / ".git"), ["zoe@example.org", "host:1"])
    code = "COMP_WORDBREAKS=$' \\t\\n\"\\'@><=;|&(:'"
    show = 'printf "%s\\n" "${COMPREPLY[@]}"'
    for typed, word in (("zo", "zoe@example.org"), ("zoe@e", "@example.org"), ("host:", "1"), ("ho", "host:1")):
        line = f"prp send {typed}"
        told = f"{code}; COMP_LINE={_quoted(line)}; COMP_POINT={len(line)}; _prp prp"
        path = f"PATH={_quoted(str(Path(sys.executable).parent))}:$PATH"
        done = run(["bash", "--norc", "-c", f'{path}; eval "$(prp completion bash)"; {told}; {show}'], clone.path)
        assert done.out == f"{word}\n", typed
