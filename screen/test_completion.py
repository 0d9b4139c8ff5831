"""Completion with real keys in real shells, in tmux."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import pytest

from screen.tmux import PROMPT, Tmux
from tests.cli.test_completion import EVIL, LEDGER, TOML

if TYPE_CHECKING:
    from tests.world import Clone, World

LOAD = {
    "bash": 'eval "$(prp completion bash)"',
    "zsh": 'autoload -Uz compinit && compinit -u; eval "$(prp completion zsh)"',
    "fish": "prp completion fish | source",
}
FISH = "set -g fish_complete_path $__fish_data_dir/completions"  # it reads no settings here, so it has none
shells = pytest.mark.parametrize("shell", LOAD)


@pytest.fixture
def clone(world: World) -> Clone:
    ana = world.clone("ana", first=True)
    hostile = LEDGER.replace("It''s in work", "`touch pwned4` $(touch pwned5); touch pwned6 %(touch pwned7) #{x}")
    ana.commit_files("settings", {"prp.toml": TOML, "prps.yaml": hostile, "src/x": ""})
    ana.git("branch", EVIL)
    return ana


def ready(clone: Clone, shell: str, load: str = "") -> Tmux:
    tmux = Tmux(clone.path, (100, 24), shell=shell, env=clone.env)
    with contextlib.ExitStack() as undo:
        undo.callback(tmux.end)
        tmux.type(load or LOAD[shell])
        tmux.type("clear; echo loaded")
        tmux.until(f"loaded\n{PROMPT}", gone="completion")
        undo.pop_all()
    return tmux


def completed(tmux: Tmux, typed: str, *offered: str, tabs: int = 1) -> str:
    """Type, press Tab, and see; then the line is given up."""
    tmux.command("send-keys", "-t", "it", "-l", typed)
    for _ in range(tabs):
        tmux.keys("Tab")
        time.sleep(0.5)
    said = tmux.until(*offered)
    for key in ("C-c", "C-u", "C-l"):
        tmux.keys(key)
        time.sleep(0.1)
    tmux.until(PROMPT, gone=typed)
    return said


@shells
def test_words_ids_and_files(clone: Clone, shell: str) -> None:
    with ready(clone, shell) as tmux:
        completed(tmux, "prp handov", "prp handover")
        completed(tmux, "prp lock br", "prp lock break")
        completed(tmux, "prp lock status --js", "prp lock status --json")
        completed(tmux, "prp status P2", "prp status P2-003")
        completed(tmux, "prp top --lane=ma", "prp top --lane=main")
        completed(tmux, "prp check prps.y", "prp check prps.yaml")
        completed(tmux, "prp send @rev", "prp send @reviewer")
        completed(tmux, "prp watch --event landed,verd", "landed,verdict")
        said = completed(tmux, "prp start P1-00", "P1-001", "P1-002", tabs=2)
        if shell != "bash":
            assert "$(touch pwned5)" in said, "titles stand beside the ids"
        assert "command not found" not in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("shell", "load"),
    [
        ("zsh", LOAD["zsh"]),
        ("zsh", "fpath=($PWD/kept $fpath); autoload -Uz compinit && compinit -u"),
        ("fish", f"{FISH}; {LOAD['fish']}"),
        ("fish", f"{FISH}; source $PWD/kept/prp.fish"),
    ],
)
def test_after_git(clone: Clone, shell: str, load: str) -> None:
    """In bash: tests/cli. As a script at hand, and as the files that its first lines name."""
    kept = clone.path / "kept"
    kept.mkdir()
    (kept / "prp.fish").write_text(clone.prp("completion", "fish").out)
    (kept / "_prp").write_text(clone.prp("completion", "zsh").out)
    (kept / "_git-prp").symlink_to("_prp")
    with ready(clone, shell, load) as tmux:
        completed(tmux, "git prp lock br", "git prp lock break")
        completed(tmux, "git -C . prp status P2", "prp status P2-003")
        completed(tmux, "git prp start P1-00", "P1-001", "P1-002", tabs=2)
        completed(tmux, "git statu", "git status")
        completed(tmux, "prp lock br", "prp lock break")


@shells
def test_nothing_that_is_offered_runs(clone: Clone, shell: str) -> None:
    with ready(clone, shell) as tmux:
        completed(tmux, "prp start P1-00", "P1-001", tabs=3)
        tmux.command("send-keys", "-t", "it", "-l", "printf '<%s>' prp; true prp land --from we")
        tmux.keys("C-u")
        tmux.command("send-keys", "-t", "it", "-l", "prp land --from we")
        tmux.keys("Tab")
        tmux.until("pwned")
        tmux.keys("C-a")
        tmux.command("send-keys", "-t", "it", "-l", "echo ")
        tmux.keys("Enter")
        tmux.until(f"\nprp land --from {EVIL}")
        time.sleep(0.3)
        assert not list(clone.path.glob("pwned*"))


@shells
def test_it_is_silent_where_there_is_nothing_to_say(clone: Clone, shell: str) -> None:
    clone.write("prps.yaml", "{" * 100)
    clone.write("prp.toml", "[[[")
    with ready(clone, shell) as tmux:
        said = completed(tmux, "prp start P1-00", "prp start P1-00")
        assert "rror" not in said and "Traceback" not in said
        tmux.type("cd /")
        said = completed(tmux, "prp start P1-00", "prp start P1-00")
        assert "rror" not in said and "Traceback" not in said
