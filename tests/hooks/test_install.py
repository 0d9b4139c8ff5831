"""Installing beside whatever is there, taking it away byte for byte, and telling how things stand."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from typing import TYPE_CHECKING

import pytest

from prpgate import data, hook_filter, install
from prpgate.errors import UserError
from prpgate.gitrepo import Repo
from tests.hooks import LEDGER, POLICY, Recorder, edit, landed, policy, setup
from tests.world import Clone, World, run

if TYPE_CHECKING:
    from pathlib import Path

SCANNER = '#!/bin/sh\necho "scanned by $0" >>scanned\n'


def snapshot(folder: Path) -> dict[str, tuple[int, str]]:
    """Every file and folder below, with its mode and a hash of its bytes (or where it points)."""
    found = {}
    for path in sorted(folder.rglob("*")):
        mode = stat.S_IMODE(path.lstat().st_mode)
        if path.is_symlink():
            found[str(path.relative_to(folder))] = mode, os.readlink(path)
        else:
            content = path.read_bytes() if path.is_file() else b"folder"
            found[str(path.relative_to(folder))] = mode, hashlib.sha256(content).hexdigest()
    return found


def put(path: Path, text: str, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def state(repo: Path) -> dict[str, str]:
    report = install.install(Repo(str(repo)), policy())
    return {step.hook: step.did for step in report.steps}


def levels(repo: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for fact in install.inspect(Repo(str(repo)), policy()):
        found.setdefault(fact.level, []).append(fact.text)
    return found


def test_a_second_install_changes_nothing(repo: Path) -> None:
    first = install.install(Repo(str(repo)), policy())
    assert {s.did for s in first.steps} == {"installed"}
    before = snapshot(repo / ".git")
    again = install.install(Repo(str(repo)), policy())
    assert {s.did for s in again.steps} == {"unchanged"}
    assert not again.changed
    assert again.lines[0].endswith(": unchanged.")
    assert snapshot(repo / ".git") == before


def test_uninstall_leaves_no_trace(repo: Path) -> None:
    before = snapshot(repo / ".git")
    install.install(Repo(str(repo)), policy())
    assert snapshot(repo / ".git") != before
    for name in ("prp-why", "prp-renewed"):
        (repo / ".git" / name).write_text("as the hooks leave them\n")
    report = install.uninstall(Repo(str(repo)))
    assert {s.did for s in report.steps} == {"removed"}
    assert snapshot(repo / ".git") == before


def test_a_hooks_folder_that_was_not_there_goes_again(repo: Path) -> None:
    shutil.rmtree(repo / ".git/hooks", ignore_errors=True)
    before = snapshot(repo / ".git")
    install.install(Repo(str(repo)), policy())
    install.uninstall(Repo(str(repo)))
    assert snapshot(repo / ".git") == before


def test_an_empty_hooks_folder_stays(repo: Path) -> None:
    shutil.rmtree(repo / ".git/hooks", ignore_errors=True)
    (repo / ".git/hooks").mkdir()
    install.install(Repo(str(repo)), policy())
    install.uninstall(Repo(str(repo)))
    assert (repo / ".git/hooks").is_dir()


def test_other_peoples_hooks_are_called_and_come_back_as_they_were(repo: Path) -> None:
    hooks = repo / ".git/hooks"
    put(hooks / "pre-commit", SCANNER, 0o711)
    put(hooks / "pre-push", "#!/bin/sh\nexit 1\n", 0o644)
    put(hooks / "commit-msg.sample", "sample")
    put(hooks / "post-checkout", SCANNER)
    put(repo / "scripts/msg", SCANNER)
    os.symlink("../../scripts/msg", hooks / "commit-msg")
    os.symlink("nowhere", hooks / "post-merge")
    before = snapshot(repo / ".git")
    did = state(repo)
    assert did == dict.fromkeys(install.HOOKS, "chained") | {"pre-merge-commit": "installed"}
    assert snapshot(repo / ".git")["hooks/pre-commit.prp-chained"] == before["hooks/pre-commit"]
    Clone(repo, "ann").git("commit", "-q", "--allow-empty", "-m", "x")
    assert (repo / "scanned").read_text().count("scanned by") == 2
    install.uninstall(Repo(str(repo)))
    after = {k: v for k, v in snapshot(repo / ".git").items() if k in before or k.startswith(("hooks", "prpgate"))}
    shared = {k: v for k, v in before.items() if k in after}
    assert {k: after[k] for k in after if k.startswith("hooks")} == {
        k: v for k, v in shared.items() if k.startswith("hooks")
    }
    assert not (repo / ".git/prpgate").exists()
    assert after["config"] == before["config"]


def test_a_chained_install_can_be_repeated(repo: Path) -> None:
    put(repo / ".git/hooks/pre-commit", SCANNER)
    state(repo)
    before = snapshot(repo / ".git")
    assert state(repo)["pre-commit"] == "unchanged"
    assert snapshot(repo / ".git") == before


def test_an_old_stub_is_renewed(repo: Path) -> None:
    state(repo)
    path = repo / ".git/hooks/pre-commit"
    path.write_text(path.read_text() + "# as an older prpgate wrote it\n")
    assert any("another version" in text for text in levels(repo)["warning"])
    assert state(repo)["pre-commit"] == "renewed"
    assert path.read_bytes() == install.stub("pre-commit")


def test_a_tool_that_took_our_place_is_chained_in_its_turn(repo: Path) -> None:
    state(repo)
    put(repo / ".git/hooks/pre-push", SCANNER)
    assert any("replaced pre-push" in text for text in levels(repo)["error"])
    assert state(repo)["pre-push"] == "chained"
    assert "error" not in levels(repo)


def test_two_strangers_are_never_overwritten(repo: Path) -> None:
    put(repo / ".git/hooks/pre-push", SCANNER)
    state(repo)
    put(repo / ".git/hooks/pre-push", "#!/bin/sh\n# another one\n")
    before = snapshot(repo / ".git/hooks")
    report = install.install(Repo(str(repo)), policy())
    step = next(s for s in report.steps if s.hook == "pre-push")
    assert step.did == "left"
    assert "keep one of them" in step.detail
    assert snapshot(repo / ".git/hooks") == before
    install.uninstall(Repo(str(repo)))
    left = snapshot(repo / ".git/hooks")
    assert left["pre-push"] == before["pre-push"]
    assert left["pre-push.prp-chained"] == before["pre-push.prp-chained"]


def test_a_generated_hook_that_came_back_newer_replaces_its_older_self(repo: Path) -> None:
    """lefthook, husky and the like write their hooks anew at will."""
    put(repo / ".git/hooks/pre-commit", "#!/bin/sh\n# LEFTHOOK 1\n")
    state(repo)
    put(repo / ".git/hooks/pre-commit", "#!/bin/sh\n# LEFTHOOK 2\n")
    assert state(repo)["pre-commit"] == "chained"
    install.uninstall(Repo(str(repo)))
    assert (repo / ".git/hooks/pre-commit").read_text() == "#!/bin/sh\n# LEFTHOOK 2\n"


# --- frameworks ------------------------------------------------------------------------------------------------------
FRAMEWORK = """#!/usr/bin/env bash
# File generated by pre-commit: https://pre-commit.com
HERE="$(cd "$(dirname "$0")" && pwd)"
if [ -n "$PRE_COMMIT_RUNNING_LEGACY" ]; then echo "called again by itself" >&2; exit 1; fi
echo "framework" >>ran
if [ -x "$HERE/{name}.legacy" ]; then PRE_COMMIT_RUNNING_LEGACY=1 "$HERE/{name}.legacy" "$@" || exit; fi
"""


def framework_installs(repo: Path, name: str) -> None:
    """What `pre-commit install` does with a hook that it did not write: moves it to .legacy, which it then calls."""
    path = repo / ".git/hooks" / name
    if path.exists() and "generated by pre-commit" not in path.read_text():
        path.rename(f"{path}.legacy")
    put(path, FRAMEWORK.replace("{name}", name))


def test_a_framework_that_comes_later_calls_us(world: World, tmp_path: Path) -> None:
    clone = landed(world.clone("ann"))
    python = Recorder(tmp_path).put(clone.path)
    framework_installs(clone.path, "pre-push")
    clone.commit_files("work", {"code.py": "2"})
    clone.git("push", "-q", "origin", "main")
    assert clone.read("ran") == "framework\n"
    assert python.started == ["pre-push"]
    assert "refs/heads/main" in python.text
    report = install.install(Repo(str(clone.path)), policy())
    assert not report.changed
    assert any("pre-commit took its place and calls it" in line for line in report.lines)
    facts = levels(clone.path)
    assert "error" not in facts
    assert any("pre-commit stands in front and calls ours for pre-push" in text for text in facts["ok"])


def test_a_framework_before_and_after_us_is_not_called_by_itself(world: World, tmp_path: Path) -> None:
    clone = world.clone("ann")
    clone.git("commit", "-q", "--allow-empty", "-m", "zero")
    framework_installs(clone.path, "pre-commit")
    setup(clone)
    (clone.path / "ran").unlink()
    framework_installs(clone.path, "pre-commit")
    clone.git("commit", "-q", "--allow-empty", "-m", "x")
    assert clone.read("ran") == "framework\n"
    python = Recorder(tmp_path).put(clone.path)
    edit(clone, "second", "third")
    clone.git("commit", "-q", "-m", "x")
    assert python.started == ["pre-commit"]
    install.uninstall(Repo(str(clone.path)))
    assert not list((clone.path / ".git/hooks").glob("*.legacy"))
    assert not list((clone.path / ".git/hooks").glob("*.prp-chained"))
    assert "generated by pre-commit" in clone.read(".git/hooks/pre-commit")


def test_a_stub_kept_as_legacy_is_taken_away_too(repo: Path) -> None:
    before = snapshot(repo / ".git/hooks")
    state(repo)
    framework_installs(repo, "pre-push")
    install.uninstall(Repo(str(repo)))
    left = snapshot(repo / ".git/hooks")
    assert set(left) - set(before) == {"pre-push"}


def test_the_stranger_behind_a_legacy_stub_stays_called(repo: Path) -> None:
    put(repo / ".git/hooks/pre-commit", SCANNER)
    state(repo)
    framework_installs(repo, "pre-commit")
    install.uninstall(Repo(str(repo)))
    assert (repo / ".git/hooks/pre-commit.legacy").read_text() == SCANNER
    Clone(repo, "ann").git("commit", "-q", "--allow-empty", "-m", "x")
    assert "scanned by" in (repo / "scanned").read_text()


def test_a_tool_that_moves_us_aside_without_calling_us_is_noticed(repo: Path) -> None:
    """lefthook renames what it finds to <name>.old and never runs it."""
    state(repo)
    (repo / ".git/hooks/pre-push").rename(repo / ".git/hooks/pre-push.old")
    put(repo / ".git/hooks/pre-push", "#!/bin/sh\n# LEFTHOOK\n")
    assert any("lefthook replaced pre-push" in text for text in levels(repo)["error"])
    assert state(repo)["pre-push"] == "chained"
    install.uninstall(Repo(str(repo)))
    assert not (repo / ".git/hooks/pre-push.old").exists()


def test_doctor_says_when_only_the_framework_guards_pushes(repo: Path) -> None:
    (repo / ".pre-commit-config.yaml").write_text("repos:\n- repo: x\n  hooks: [{id: prp-merge-lock}]\n")
    facts = levels(repo)
    assert any("only the framework's prp-merge-lock" in text for text in facts["warning"])
    assert any("not installed in this clone" in text for text in facts["error"])
    state(repo)
    assert "warning" not in levels(repo)


# --- core.hooksPath --------------------------------------------------------------------------------------------------
def test_husky_is_chained_where_git_looks(world: World) -> None:
    clone = world.clone("ann")
    put(clone.path / ".husky/_/.gitignore", "*\n", 0o644)
    put(
        clone.path / ".husky/_/h",
        'n=$(basename "$0")\ns=$(dirname "$(dirname "$0")")/$n\n[ ! -f "$s" ] && exit 0\nsh -e "$s" "$@"\n',
    )
    put(clone.path / ".husky/pre-commit", "echo husky >>ran\n")
    for name in ("pre-commit", "commit-msg", "pre-push"):
        put(clone.path / ".husky/_" / name, '#!/usr/bin/env sh\n. "$(dirname "$0")/h"\n')
    clone.git("config", "core.hooksPath", ".husky/_")
    before = snapshot(clone.path / ".husky")
    clone.write("prp.toml", POLICY)
    report = install.install(Repo(str(clone.path)), policy())
    assert {s.hook: s.did for s in report.steps}["pre-commit"] == "chained"
    assert any("husky" in line for line in report.remarks)
    (clone.path / "ran").unlink(missing_ok=True)
    clone.commit_files("first", {LEDGER: "prp_tracking: {}\n"})
    assert clone.read("ran") == "husky\n"
    assert clone.git("status", "--porcelain").out == "?? ran\n"
    install.uninstall(Repo(str(clone.path)))
    assert snapshot(clone.path / ".husky") == before


@pytest.mark.parametrize("link", [False, True])
def test_a_tracked_hooks_folder_is_left_to_its_team(world: World, tmp_path: Path, link: bool) -> None:
    clone = world.clone("ann")
    own = put(clone.path / "githooks/pre-push", "#!/bin/sh\nexit 0\n")
    if link:
        shutil.rmtree(clone.path / ".git/hooks", ignore_errors=True)
        os.symlink("../githooks", clone.path / ".git/hooks")
    else:
        clone.git("config", "core.hooksPath", "githooks")
    landed(clone)
    report = install.install(Repo(str(clone.path)), policy())
    assert {s.did for s in report.steps} == {"left"}
    assert clone.git("status", "--porcelain").out == ""
    assert len(levels(clone.path)["error"]) == len(install.HOOKS)
    # do as told: one line in the hook that is there, two lines in one that is not
    said = {s.hook: s.detail.splitlines() for s in report.steps}
    put(own, "#!/bin/sh\n" + said["pre-push"][1].strip() + "\nexit 0\n")
    for hook in install.HOOKS:
        if hook != "pre-push":
            put(clone.path / "githooks" / hook, "\n".join(line.strip() for line in said[hook][1:]) + "\n")
    assert "error" not in levels(clone.path)
    python = Recorder(tmp_path).put(clone.path)
    clone.commit_files("P2-040: work", {"code.py": "2"})
    clone.git("push", "-q", "origin", "main")
    assert python.started == ["commit-msg", "pre-push"]
    assert install.uninstall(Repo(str(clone.path))).changed is False
    clone.commit_files("P2-040: goes on without prpgate", {"code.py": "3"})
    assert python.started == ["commit-msg", "pre-push"]


def test_this_repositorys_own_hooks_need_no_stubs(tmp_path: Path) -> None:
    top = tmp_path / "checkout"
    run(["git", "init", "-q", top], tmp_path)
    run(["git", "config", "core.hooksPath", data.hooks_folder()], top)
    before = snapshot(top / ".git/hooks") if (top / ".git/hooks").exists() else {}
    inside = snapshot_of_hooks()
    report = install.install(Repo(str(top)), policy())
    assert report.steps == ()
    assert snapshot_of_hooks() == inside
    assert (snapshot(top / ".git/hooks") if (top / ".git/hooks").exists() else {}) == before
    assert list(levels(top)) == ["ok"]


def snapshot_of_hooks() -> list[str]:
    return sorted(name for name in os.listdir(data.hooks_folder()) if not name.startswith("__"))


def test_hooks_shared_by_all_repositories_stay_while_one_needs_them(world: World, home: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared hooks"
    put(shared / "pre-commit", SCANNER)
    before = snapshot(shared)
    run(["git", "config", "--global", "core.hooksPath", shared], tmp_path)
    ann, ben, stranger = (Clone(world.clone(name).path, name) for name in ("ann", "ben", "stranger"))
    report = install.install(Repo(str(ann.path)), policy())
    assert any("serves other repositories too" in line for line in report.remarks)
    install.install(Repo(str(ben.path)), policy())
    stranger.git("commit", "-q", "--allow-empty", "-m", "P2-040: x")
    assert stranger.read("scanned").startswith("scanned by")
    install.uninstall(Repo(str(ann.path)))
    assert (shared / "pre-commit").read_bytes() == install.stub("pre-commit")
    assert not (ann.path / ".git/prpgate").exists()
    install.uninstall(Repo(str(ben.path)))
    assert snapshot(shared) == before


def test_hooks_switched_off_are_not_switched_on_behind_ones_back(repo: Path) -> None:
    run(["git", "config", "core.hooksPath", "/dev/null"], repo)
    with pytest.raises(UserError) as refused:
        install.install(Repo(str(repo)), policy())
    assert "switched off" in refused.value.message
    assert refused.value.next_action == "git config --unset core.hooksPath && prp install"


# --- the filter ------------------------------------------------------------------------------------------------------
def test_the_filter_can_be_read_back_whatever_is_in_it(repo: Path) -> None:
    bad = 'it\'s $(x) `y` "z" \\ # é\nnext'
    install.install(Repo(str(repo)), policy())
    hook_filter.write(Repo(str(repo)), policy(), bad, "/hooks")
    known = hook_filter.read(Repo(str(repo)))
    assert known is not None
    assert known["PRP_PYTHON"] == bad
    assert known["PRP_LANES"] == "origin refs/heads/main"
    printed = run(["sh", "-c", '. .git/prpgate/filter; printf %s "$PRP_PYTHON"'], repo).out
    assert printed == bad


def test_refresh_follows_the_policy_and_keeps_the_interpreter(repo: Path, tmp_path: Path) -> None:
    assert install.refresh(Repo(str(repo)), policy()) is False, "a clone without stubs gets none by a refresh"
    install.install(Repo(str(repo)), policy())
    assert install.refresh(Repo(str(repo)), policy()) is False
    python = Recorder(tmp_path).put(repo)
    stricter = policy(POLICY + '[lane]\nbranches = ["main", "release/*"]\n')
    assert install.refresh(Repo(str(repo)), stricter) is True
    known = hook_filter.read(Repo(str(repo)))
    assert known is not None
    assert known["PRP_LANES"].splitlines() == ["origin refs/heads/main", "origin refs/heads/release/*"]
    assert known["PRP_PYTHON"] == str(python.program)
    python.program.unlink()
    assert install.refresh(Repo(str(repo)), stricter) is True
    assert os.access((hook_filter.read(Repo(str(repo))) or {})["PRP_PYTHON"], os.X_OK)


@pytest.mark.parametrize(
    ("pattern", "branch"),
    [("main", "main"), ("release/*", "release/a/b"), ("v?", "vé"), ("[ab]x", "bx"), ("été", "été"), ("a[!b]c", "adc")],
)
def test_a_glob_of_the_filter_matches_at_least_what_the_lane_does(repo: Path, pattern: str, branch: str) -> None:
    config = policy()._replace(lanes=(pattern,))
    install.install(Repo(str(repo)), config)
    script = '. .git/prpgate/filter; case "origin refs/heads/$1" in $PRP_LANES) echo yes ;; esac'
    assert run(["sh", "-c", script, "sh", branch], repo).out == "yes\n"


def test_doctor_notices_an_interpreter_that_is_gone(repo: Path, tmp_path: Path) -> None:
    install.install(Repo(str(repo)), policy())
    python = Recorder(tmp_path).put(repo)
    python.program.unlink()
    facts = install.inspect(Repo(str(repo)), policy())
    assert ("error", f"hooks: the Python that they start is gone ({python.program})", "prp install") in [
        (f.level, f.text, f.command) for f in facts
    ]
    install.install(Repo(str(repo)), policy())
    assert "error" not in levels(repo)


# --- where it cannot be ----------------------------------------------------------------------------------------------
def test_a_bare_repository_is_refused(world: World) -> None:
    for verb in (lambda r: install.install(r, policy()), install.uninstall):
        with pytest.raises(UserError) as refused:
            verb(Repo(str(world.remote)))
        assert "bare repository" in refused.value.message
        assert refused.value.hint
    assert not (world.remote / "prpgate").exists()


def test_a_folder_that_cannot_be_written_is_named(repo: Path) -> None:
    """As root nothing is unwritable, so a file stands where the folder for ours would be."""
    (repo / ".git/prpgate").write_text("in the way")
    with pytest.raises(UserError) as refused:
        install.install(Repo(str(repo)), policy())
    assert str(repo / ".git/prpgate") in refused.value.message
    assert "Not a directory" in refused.value.message
    assert not list((repo / ".git/hooks").glob("pre-push"))
