"""The stub: when Python is started, and when it is not; what becomes of the hook that stood there first."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from prpgate import data, install
from prpgate.gitrepo import Repo
from tests.hooks import ENTRIES, LEDGER, POLICY, Recorder, edit, landed, policy, run_hook, setup, try_commit
from tests.world import Clone, World, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOTHING = "0" * 40
SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]


@pytest.fixture
def clone(world: World) -> Clone:
    return setup(world.clone("ann"))


@pytest.fixture
def python(clone: Clone, tmp_path: Path) -> Recorder:
    return Recorder(tmp_path).put(clone.path)


# --- commits ---------------------------------------------------------------------------------------------------------
def test_a_commit_beside_the_ledger_starts_no_python(clone: Clone, python: Recorder) -> None:
    clone.commit_files("Make it blue", {"code.py": "print(2)\n", "tracking/notes.txt": "not the ledger"})
    assert python.started == []


@pytest.mark.parametrize("name", [LEDGER, "prp.toml"])
def test_a_change_of_ledger_or_policy_is_asked_about(clone: Clone, python: Recorder, name: str) -> None:
    clone.commit_files("work", {name: clone.read(name) + "# more\n"})
    assert python.started == ["pre-commit"]


def test_a_deleted_ledger_is_asked_about(clone: Clone, python: Recorder) -> None:
    clone.git("rm", "-q", LEDGER)
    clone.git("commit", "-q", "-m", "work")
    assert python.started == ["pre-commit"]


def test_what_counts_is_what_is_staged(clone: Clone, python: Recorder) -> None:
    edit(clone, "second", "third", stage=False)
    clone.write("code.py", "print(3)\n")
    clone.git("commit", "-q", "-m", "only the code", "code.py")
    assert python.started == []
    clone.git("commit", "-q", "-m", "all of it", "-a")
    assert python.started == ["pre-commit"]


def test_a_path_of_the_same_name_deeper_down_is_no_ledger(clone: Clone, python: Recorder) -> None:
    clone.commit_files("work", {f"sub/{LEDGER}": ENTRIES, "sub/prp.toml": POLICY})
    assert python.started == []


def test_the_first_commit_of_all_is_asked_about(repo: Path, tmp_path: Path) -> None:
    clone = Clone(repo, "ann")
    clone.write("prp.toml", POLICY)
    install.install(Repo(str(repo)), policy())
    python = Recorder(tmp_path).put(repo)
    clone.write("code.py", "1")
    clone.git("add", "code.py")
    clone.git("commit", "-q", "-m", "code")
    assert python.started == []
    clone.git("checkout", "-q", "--orphan", "other")
    clone.git("add", "prp.toml")
    clone.git("commit", "-q", "-m", "policy")
    assert python.started == ["pre-commit"]


def test_a_ledger_folder_is_asked_about(world: World, tmp_path: Path) -> None:
    text = POLICY.replace(LEDGER, "prps/")
    clone = setup(world.clone("ann"), text)
    python = Recorder(tmp_path).put(clone.path, text)
    clone.commit_files("beside", {"prps.txt": "no"})
    assert python.started == []
    clone.commit_files("in it", {"prps/P2-050.yaml": "id: P2-050\ntitle: x\nstatus: new\n"})
    assert python.started == ["pre-commit"]


def test_a_ledger_path_is_no_pattern(world: World, tmp_path: Path) -> None:
    text = POLICY.replace(LEDGER, "t[a]*/:(x) 'é.yaml")
    clone = setup(world.clone("ann"), text)
    python = Recorder(tmp_path).put(clone.path, text)
    clone.commit_files("what a glob would match", {"ta-/:(x) 'é.yaml": "no"})
    assert python.started == []
    clone.commit_files("the file itself", {"t[a]*/:(x) 'é.yaml": "prp_tracking: {}\n"})
    assert python.started == ["pre-commit"]


# --- merges ----------------------------------------------------------------------------------------------------------
def fork(clone: Clone, ours: dict[str, str], theirs: dict[str, str]) -> None:
    """main and other, one commit each beyond their fork. main is checked out."""
    clone.git("checkout", "-q", "-b", "other")
    clone.commit_files("theirs", theirs)
    clone.git("checkout", "-q", "main")
    clone.commit_files("ours", ours)


def test_a_merge_that_brings_ledger_lines_is_asked_about(clone: Clone, python: Recorder) -> None:
    fork(clone, {"code.py": "2"}, {LEDGER: ENTRIES.replace("second", "third")})
    python.clear()
    clone.git("merge", "-q", "--no-edit", "other")
    assert python.started == ["pre-commit", "post-merge"]


def test_a_merge_of_code_starts_no_python(clone: Clone, python: Recorder) -> None:
    fork(clone, {"code.py": "2"}, {"more.py": "2"})
    clone.git("merge", "-q", "--no-edit", "other")
    assert python.started == []


@pytest.mark.parametrize("how", ["clean", "by hand"])
def test_a_merge_that_drops_the_others_lines_is_asked_about(clone: Clone, python: Recorder, how: str) -> None:
    """The staged ledger is HEAD's own then: only the other parent shows that something was lost."""
    fork(clone, {"code.py": "2"}, {LEDGER: ENTRIES.replace("second", "third")})
    python.clear()
    if how == "clean":
        clone.git("merge", "-q", "--no-edit", "-s", "ours", "other")
    else:
        clone.git("merge", "-q", "--no-commit", "other")
        clone.git("checkout", "HEAD", "--", LEDGER)
        clone.git("commit", "-q", "-m", "merged")
    assert python.started[:1] == ["pre-commit"]


# --- messages --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("message", "asked"),
    [
        ("Make it blue", False),
        ("feat(P2-040): blue", True),
        ("blue\n\nas P2-040 says", True),
        ("blue\n\nPrp: anything", True),
        ("blue\n\nprp:anything", True),
        ("P2 40", False),
    ],
)
def test_a_message_is_judged_when_it_names_something(clone: Clone, python: Recorder, message: str, asked: bool) -> None:
    clone.git("commit", "-q", "--allow-empty", "-m", message)
    assert python.started == (["commit-msg"] if asked else [])


@pytest.mark.parametrize(
    ("pattern", "message", "asked"),
    [
        (r"(?:ABC|DEF)-\d{2,}", "DEF-12 x", True),
        (r"(?:ABC|DEF)-\d{2,}", "DEF-1 x", False),
        (r"T\d+\b", "about T12", True),
        (r"(?i)abc-[0-9]+", "no id at all", True),  # grep cannot say that one: every message is asked about
        (r"ticket\W[0-9]+", "no id at all", True),
        ("É[0-9]+", "no id at all", True),
    ],
)
def test_the_id_pattern_is_the_teams(world: World, tmp_path: Path, pattern: str, message: str, asked: bool) -> None:
    text = f"id_pattern = '{pattern}'\n" + POLICY
    clone = setup(world.clone("ann"), text)
    python = Recorder(tmp_path).put(clone.path, text)
    clone.git("commit", "-q", "--allow-empty", "-m", message)
    assert python.started == (["commit-msg"] if asked else [])


# --- claims ----------------------------------------------------------------------------------------------------------
def wait_for(python: Recorder, text: str, times: int = 1) -> None:
    until = time.monotonic() + 30
    while python.text.count(text) < times:
        assert time.monotonic() < until, python.text
        time.sleep(0.02)


def age(path: Path, minutes: float) -> None:
    then = time.time() - minutes * 60
    os.utime(path, (then, then))


def test_commits_renew_a_claim_in_the_background(clone: Clone, python: Recorder, tmp_path: Path) -> None:
    slow = python.program.read_text().replace("#!/bin/sh\n", "#!/bin/sh\nsleep 3\n")
    python.program.write_text(slow)
    marker, stamp = clone.path / ".git/prp-claim", clone.path / ".git/prp-renewed"
    clone.git("commit", "-q", "--allow-empty", "-m", "no claim here")
    assert not stamp.exists()
    marker.write_text("P2-030 7\n")
    age(marker, 11)
    clone.git("commit", "-q", "--allow-empty", "-m", "one")
    assert "renew" not in python.text, "the commit waited for the renewal"
    wait_for(python, "-I -m prpgate renew --quiet\n")
    clone.git("commit", "-q", "--allow-empty", "-m", "a moment later")
    age(stamp, 11)
    clone.git("commit", "-q", "--allow-empty", "-m", "eleven minutes later")
    wait_for(python, "renew", 2)
    assert python.text.count("renew") == 2, "the one of a moment later would have been there first"


# --- pushes ----------------------------------------------------------------------------------------------------------
LANES = POLICY + '[lane]\nbranches = ["main", "release/*", "été-?"]\n'


def push_line(ref: str, local: str = "refs/heads/x") -> str:
    return f"{local} {'a' * 40} {ref} {'b' * 40}\n"


@pytest.fixture
def guarded(world: World, tmp_path: Path) -> Iterator[tuple[Clone, Recorder]]:
    clone = landed(world.clone("ann"), LANES)
    yield clone, Recorder(tmp_path).put(clone.path, LANES)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("remote", "given", "asked"),
    [
        ("origin", push_line("refs/heads/main"), True),
        ("origin", push_line("refs/heads/main").rstrip("\n"), True),
        ("origin", push_line("refs/heads/main").replace("\n", "\r\n"), True),
        ("origin", push_line("refs/heads/release/1.0/hotfix"), True),
        ("origin", push_line("refs/heads/été-5"), True),
        ("origin", push_line("refs/heads/été-é"), True),
        ("origin", push_line("refs/heads/main", "HEAD^{/a message with spaces}"), True),
        ("origin", f"(delete) {NOTHING} refs/heads/main {'b' * 40}\n", True),
        ("origin", push_line("refs/heads/x") + push_line("refs/tags/v1") + push_line("refs/heads/main"), True),
        ("origin", push_line("refs/heads/x") * 200 + push_line("refs/heads/main"), True),
        ("origin", "not what git writes\n", True),
        ("origin", "neither\n", True),
        ("origin", "", False),
        ("origin", push_line("refs/heads/x"), False),
        ("origin", push_line("refs/heads/main2") + push_line("refs/heads/my/main"), False),
        ("origin", push_line("refs/heads/x", "refs/heads/main"), False),
        ("origin", push_line("refs/tags/main"), False),
        ("fork", push_line("refs/heads/main"), False),
        ("../remote.git", push_line("refs/heads/main"), False),
    ],
)
def test_a_push_is_asked_about_when_it_may_touch_a_lane(
    guarded: tuple[Clone, Recorder], shell: str, remote: str, given: str, asked: bool
) -> None:
    clone, python = guarded
    shells = [shell, "sh"] if shell == "busybox" else [shell]
    run([*shells, clone.path / ".git/hooks/pre-push", remote, "url"], clone.path, stdin=given)
    assert python.started == (["pre-push"] if asked else [])
    if asked:
        assert given.rstrip("\n") in python.text, "Python has to see what git wrote"


def test_files_of_the_working_tree_do_not_stand_for_lanes(guarded: tuple[Clone, Recorder]) -> None:
    """Unguarded, a shell would take "origin refs/heads/release/*" for a pattern of file names."""
    clone, python = guarded
    clone.write("origin refs/heads/release/0", "a decoy")
    run_hook("sh", clone, "pre-push", "origin", "url", stdin=push_line("refs/heads/release/1"))
    assert python.started == ["pre-push"]


def test_git_itself_pushes_a_feature_without_python(guarded: tuple[Clone, Recorder]) -> None:
    clone, python = guarded
    clone.git("push", "-q", "origin", "HEAD:refs/heads/feature", "HEAD:refs/tags/v1")
    assert python.started == []
    clone.git("push", "-q", "origin", "HEAD:refs/heads/release/1")
    assert python.started == ["pre-push"]


def test_a_push_of_very_many_refs_is_decided_quickly(guarded: tuple[Clone, Recorder]) -> None:
    clone, python = guarded
    lines = "".join(push_line(f"refs/heads/topic/{n:05d}") for n in range(5000))
    begun = time.monotonic()
    run_hook("dash", clone, "pre-push", "origin", "url", stdin=lines)
    assert time.monotonic() - begun < 3
    assert python.started == []


def test_a_newer_policy_of_the_lane_is_asked_about(guarded: tuple[Clone, Recorder], world: World) -> None:
    """Whoever pushed a new prp.toml, the next push of anything in any clone that fetched it refreshes the filter."""
    clone, python = guarded
    other = world.clone("ben")
    other.commit_files("stricter", {"prp.toml": LANES.replace('"main"', '"*"')})
    other.git("push", "-q", "origin", "main")
    run_hook("sh", clone, "pre-push", "origin", "url", stdin=push_line("refs/heads/x"))
    assert python.started == []
    clone.git("fetch", "-q")
    run_hook("sh", clone, "pre-push", "origin", "url", stdin=push_line("refs/heads/x"))
    assert python.started == ["pre-push"]


def test_the_working_tree_never_loosens_the_lane(guarded: tuple[Clone, Recorder]) -> None:
    clone, python = guarded
    clone.write("prp.toml", LANES.replace('"main", ', ""))
    run_hook("sh", clone, "pre-push", "origin", "url", stdin=push_line("refs/heads/main"))
    os.unlink(clone.path / "prp.toml")
    run_hook("sh", clone, "pre-push", "origin", "url", stdin=push_line("refs/heads/main"))
    assert python.started == ["pre-push", "pre-push"]


# --- after a merge ---------------------------------------------------------------------------------------------------
def test_a_pull_of_code_starts_no_python_and_one_of_ledger_lines_does(world: World, tmp_path: Path) -> None:
    clone = landed(world.clone("ann"))
    python = Recorder(tmp_path).put(clone.path)
    other = world.clone("ben")
    other.commit_files("code", {"code.py": "2"})
    other.git("push", "-q", "origin", "main")
    clone.git("pull", "-q", "--ff-only")
    assert python.started == []
    other.commit_files("ledger", {LEDGER: ENTRIES.replace("second", "third")})
    other.git("push", "-q", "origin", "main")
    clone.git("pull", "-q", "--ff-only")
    assert python.started == ["post-merge"]


# --- when Python is gone ---------------------------------------------------------------------------------------------
@pytest.fixture
def broken(guarded: tuple[Clone, Recorder]) -> Clone:
    clone, python = guarded
    python.program.unlink()
    return clone


def test_without_python_a_push_to_a_lane_is_refused_with_the_way_out(broken: Clone, world: World) -> None:
    tip = world.tip()
    broken.commit_files("work", {"code.py": "2"})
    done = broken.git("push", "origin", "main", ok=False)
    assert done.code != 0
    said = done.err.splitlines()
    assert said[0].startswith("prp: push to main refused: what checks it is gone (")
    assert "  prp install" in said
    assert (broken.path / ".git/prp-why").read_text().startswith(said[0])
    assert world.tip() == tip
    broken.git("push", "-q", "origin", "main:refs/heads/feature")


def test_without_python_commits_that_need_no_check_go_on(broken: Clone) -> None:
    broken.commit_files("work", {"code.py": "2"})
    edit(broken, "second", "third")
    done = try_commit(broken)
    assert done.code != 0
    assert "prp: not committed: what checks it is gone" in done.err
    assert done.err.rstrip().endswith("\n  prp install")
    done = try_commit(broken, "P2-040: x", "--allow-empty")
    assert done.code != 0


def test_without_python_a_pull_still_succeeds(broken: Clone, world: World) -> None:
    other = world.clone("ben")
    other.commit_files("ledger", {LEDGER: ENTRIES.replace("second", "third")})
    other.git("push", "-q", "origin", "main")
    done = broken.git("pull", "--ff-only")
    assert "the state of the PRPs was not refreshed" in done.err
    assert broken.read(LEDGER) == ENTRIES.replace("second", "third")


def test_scripts_that_are_gone_count_like_python(guarded: tuple[Clone, Recorder], tmp_path: Path) -> None:
    clone, _ = guarded
    path = clone.path / ".git/prpgate/filter"
    path.write_text(path.read_text().replace(data.hooks_folder(), str(tmp_path / "nowhere")))
    done = run_hook("sh", clone, "pre-push", "origin", "url", stdin=push_line("refs/heads/main"), ok=False)
    assert done.code == 1
    assert f"({tmp_path}/nowhere/pre-push)" in done.err


def test_a_path_with_everything_in_it_cannot_break_out(world: World, tmp_path: Path) -> None:
    """Interpreter, ledger and lane come from files that others may write: they are data, whatever is in them."""
    bad = "it's; touch 'PWNED' $(touch PWNED) `touch PWNED` é\n\"x\"\\"
    clone = setup(world.clone("ann"))
    folder = tmp_path / bad.replace("/", "")
    folder.mkdir()
    python = Recorder(folder).put(clone.path)
    clone.commit_files("work", {LEDGER: ENTRIES + "# x\n"})
    assert python.started == ["pre-commit"]
    assert list(tmp_path.rglob("PWNED")) == []


# --- versions and strangers ------------------------------------------------------------------------------------------
def test_a_stub_of_another_version_says_so_once_and_goes_on(clone: Clone, python: Recorder) -> None:
    path = clone.path / ".git/hooks/pre-commit"
    text = path.read_text()
    path.write_text(
        text[: text.index("version=")] + "version=deadbeef\n" + text[text.index("\n", text.index("version=")) + 1 :]
    )
    first = try_commit(clone, "one", "--allow-empty")
    assert first.code == 0
    assert "To renew them: prp install" in first.err
    assert "prp install" not in try_commit(clone, "two", "--allow-empty").err


def test_in_a_repository_without_prpgate_only_the_other_hook_runs(world: World) -> None:
    clone = world.clone("ann", first=True)
    hooks = clone.path / ".git/hooks"
    for name in install.HOOKS:
        (hooks / name).write_bytes(install.stub(name))
        (hooks / name).chmod(0o755)
    (hooks / "pre-commit.prp-chained").write_text("#!/bin/sh\necho scanned >>scanned\n")
    (hooks / "pre-commit.prp-chained").chmod(0o755)
    done = clone.git("commit", "--allow-empty", "-m", "P2-040: x")
    assert done.err == ""
    assert clone.read("scanned") == "scanned\n"
    assert clone.git("push", "origin", "main").code == 0


def test_a_clone_that_did_not_join_says_so(world: World) -> None:
    clone = landed(world.clone("ann"))
    shutil.rmtree(clone.path / ".git/prpgate")
    done = clone.git("commit", "--allow-empty", "-m", "x")
    assert "prp install" in done.err


# --- the hook that stood there first ---------------------------------------------------------------------------------
def foreign(clone: Clone, name: str, text: str) -> Path:
    path = clone.path / ".git/hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("interpreter", ["/bin/sh", "/usr/bin/env sh", "/bin/bash", "/usr/bin/env python3"])
def test_the_other_hook_runs_first_with_arguments_and_input(world: World, tmp_path: Path, interpreter: str) -> None:
    clone = world.clone("ann")
    if "python" in interpreter:
        body = "import sys; open('seen', 'w').write(' '.join(sys.argv[1:]) + '|' + sys.stdin.read())"
    else:
        body = 'echo "$*|$(cat)" >seen'
    foreign(clone, "pre-push", f"#!{interpreter}\n{body}\n")
    landed(clone)
    clone.git("push", "-q", "origin", "HEAD:refs/heads/x")
    seen = clone.read("seen").rstrip("\n")
    assert seen == f"origin {world.remote}|HEAD {clone.head} refs/heads/x {NOTHING}"


def test_both_see_the_refs_of_a_push_to_a_lane(world: World, tmp_path: Path) -> None:
    clone = world.clone("ann")
    foreign(clone, "pre-push", "#!/bin/sh\ncat >seen\n")
    landed(clone)
    python = Recorder(tmp_path).put(clone.path)
    clone.commit_files("work", {"code.py": "2"})
    clone.git("push", "-q", "origin", "main")
    assert clone.read("seen") in python.text


@pytest.mark.parametrize("interpreter", ["/bin/sh", "/bin/bash"])
@pytest.mark.parametrize("name", ["pre-commit", "commit-msg", "pre-push"])
def test_the_other_hooks_refusal_counts_and_ours_is_not_asked(
    world: World, tmp_path: Path, name: str, interpreter: str
) -> None:
    clone = world.clone("ann")
    landed(clone)
    install.uninstall(Repo(str(clone.path)))
    foreign(clone, name, f"#!{interpreter}\necho a secret >&2\nexit 3\n")
    install.install(Repo(str(clone.path)), policy())
    python = Recorder(tmp_path).put(clone.path)
    if name == "pre-push":
        clone.commit_files("work", {"code.py": "2"})
        done = clone.git("push", "origin", "main", ok=False)
    else:
        edit(clone, "second", "third")
        done = try_commit(clone, "P2-040: x")
    assert done.code != 0
    assert "a secret" in done.err
    assert name not in python.started


def test_a_hook_that_was_switched_off_stays_off(world: World) -> None:
    clone = world.clone("ann")
    foreign(clone, "pre-commit", "#!/bin/sh\nexit 1\n").chmod(0o644)
    setup(clone)
    clone.git("commit", "-q", "--allow-empty", "-m", "x")


def test_a_shell_hook_still_finds_its_way_by_its_own_name(world: World) -> None:
    """husky's generated hooks are one line that sources a file beside them, which looks at its caller's name."""
    clone = world.clone("ann")
    foreign(clone, "pre-commit", '#!/usr/bin/env sh\n. "$(dirname "$0")/h"\n')
    (clone.path / ".git/hooks/h").write_text('echo "$(basename "$0") $(dirname "$0")" >seen\nexit 0\n')
    setup(clone)
    clone.git("commit", "-q", "--allow-empty", "-m", "x")
    assert clone.read("seen") == "pre-commit .git/hooks\n"


# --- the text --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shell", [s for s in SHELLS if s != "busybox"])
@pytest.mark.parametrize("hook", install.HOOKS)
def test_the_stub_is_plain_sh(tmp_path: Path, shell: str, hook: str) -> None:
    path = tmp_path / hook
    path.write_bytes(install.stub(hook))
    subprocess.run([shell, "-n", path], check=True)
    text = path.read_text()
    assert text.splitlines()[1] == "# prpgate hook stub"
    assert f"hook={hook}\n" in text
    assert "@" not in text.replace('"$@"', "")
