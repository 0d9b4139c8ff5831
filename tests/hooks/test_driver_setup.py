"""The merge driver in a clone: put there by install, taken away byte for byte, and told of by doctor."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from prpgate import driver_setup
from prpgate.gitrepo import Repo
from tests.hooks import ENTRIES, LEDGER, POLICY, policy, setup
from tests.hooks.test_install import snapshot
from tests.world import Clone, World, run

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = POLICY.replace(LEDGER, "prps/")


def install(repo: Path, text: str = POLICY) -> driver_setup.Setup:
    return driver_setup.install(Repo(str(repo)), policy(text))


def facts(repo: Path, text: str = POLICY) -> list[tuple[str, str]]:
    return [(f.level, f.text) for f in driver_setup.inspect(Repo(str(repo)), policy(text))]


def attribute(repo: Path, path: str) -> str:
    return run(["git", "check-attr", "merge", "--", path], repo).out.strip().rpartition(": ")[2]


def test_it_is_set_up_once_and_leaves_no_trace(repo: Path) -> None:
    before = snapshot(repo / ".git")
    assert install(repo).did == "installed"
    assert (attribute(repo, LEDGER), attribute(repo, "other.yaml")) == ("prp", "unspecified")
    there = snapshot(repo / ".git")
    assert install(repo).did == "unchanged" and snapshot(repo / ".git") == there
    assert facts(repo) == [("ok", f"merges of {LEDGER} go entry by entry")]
    assert driver_setup.uninstall(Repo(str(repo))).did == "removed"
    assert snapshot(repo / ".git") == before
    assert driver_setup.uninstall(Repo(str(repo))).did == "nothing"
    assert [level for level, _ in facts(repo)] == ["warning"]


@pytest.mark.parametrize("content", [b"", b"*.bin binary", b"*.bin binary\r\n\r\n# mine\n", None])
def test_an_attributes_file_comes_back_byte_for_byte(repo: Path, content: bytes | None) -> None:
    path = repo / ".git/info/attributes"
    if content is None:
        shutil.rmtree(path.parent)
    else:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    before = snapshot(repo / ".git")
    install(repo)
    install(repo, FOLDER)
    assert attribute(repo, "prps/P2-001.yaml") == "prp" and attribute(repo, LEDGER) == "unspecified"
    assert (content or b"") in path.read_bytes()
    driver_setup.uninstall(Repo(str(repo)))
    assert snapshot(repo / ".git") == before


def test_only_files_right_in_the_folder(repo: Path) -> None:
    install(repo, FOLDER)
    paths = ("prps/a.yaml", "prps/a.yml", "prps/x/a.yaml", "prps/a.md", "x/prps/a.yaml")
    assert [attribute(repo, p) for p in paths] == ["prp", "prp", *["unspecified"] * 3]


@pytest.mark.parametrize("path", ["my plans/p [1].yaml", 'a"b\\c*.yaml', "!x/#y.yaml", "plans ü/"])
def test_odd_paths_are_quoted(repo: Path, path: str) -> None:
    quoted = path.replace("\\", "\\\\").replace('"', '\\"')
    text = POLICY.replace(LEDGER, quoted)
    install(repo, text)
    sample = f"{path}P2-001.yaml" if path.endswith("/") else path
    out = run(["git", "check-attr", "-z", "merge", "--", sample], repo).out.split("\0")
    assert out[2] == "prp"
    assert facts(repo, text)[0][0] == "ok"


def test_somebodys_own_attribute_is_respected_and_told(repo: Path) -> None:
    (repo / ".gitattributes").write_text(f"{LEDGER} merge=union\n")
    before = snapshot(repo / ".git")
    done = install(repo)
    assert done.did == "left" and "merge=union" in done.detail
    assert snapshot(repo / ".git") == before
    assert facts(repo) == [("warning", done.detail)]
    (repo / ".gitattributes").write_text(f"{LEDGER} merge=prp\n")
    assert install(repo).did == "installed"
    (repo / ".gitattributes").write_text("*.yaml -merge\n")  # it came after ours
    assert facts(repo)[0][0] == "warning" and install(repo).did == "left"
    assert snapshot(repo / ".git") == before


def test_somebodys_own_driver_of_that_name_stays(repo: Path) -> None:
    run(["git", "config", "merge.prp.driver", "mine %A"], repo)
    before = snapshot(repo / ".git")
    assert install(repo).did == "left" and snapshot(repo / ".git") == before
    assert driver_setup.uninstall(Repo(str(repo))).did == "nothing" and snapshot(repo / ".git") == before
    assert "somebody's own" in facts(repo)[0][1]


def test_doctor_says_what_became_of_it(repo: Path) -> None:
    install(repo)
    assert facts(repo, FOLDER)[0] == (
        "warning",
        "merges of prps/: the merge driver is set up for another interpreter or ledger",
    )
    run(["git", "config", "merge.prp.driver", driver_setup.command("/nowhere/python")], repo)
    assert "interpreter is gone (/nowhere/python)" in facts(repo)[0][1]
    assert install(repo).did == "installed" and facts(repo)[0][0] == "ok"


def test_a_linked_worktree_shares_it(world: World) -> None:
    ann = setup(world.clone("ann"))
    install(ann.path)
    ann.git("worktree", "add", "-q", "../second")
    assert attribute(world.folder / "second", LEDGER) == "prp"
    assert install(world.folder / "second").did == "unchanged"


def test_the_commands_set_it_up_and_take_it_away(world: World) -> None:
    ann = world.clone("ann", first=True)
    before = snapshot(ann.path / ".git/info"), (ann.path / ".git/config").read_bytes()
    ann.commit_files("policy", {"prp.toml": POLICY})
    said = ann.prp("install")
    assert f"Merges of {LEDGER} go entry by entry" in said.text
    assert "go entry by entry" in ann.prp("doctor", ok=False).text
    assert "Removed the merge driver." in ann.prp("uninstall").text
    assert (snapshot(ann.path / ".git/info"), (ann.path / ".git/config").read_bytes()) == before
    assert "prp install" in ann.prp("doctor", ok=False).text


def conflicting(clone: Clone) -> None:
    """Two branches that change one PRP's title, and another's on one of them."""
    text = clone.read(LEDGER)
    clone.git("checkout", "-q", "-b", "other")
    clone.commit_files("other", {LEDGER: text.replace("Fix the login cache", "other")})
    clone.git("checkout", "-q", "main")
    clone.commit_files("main", {LEDGER: text.replace("Fix the login cache", "main")})


@pytest.mark.parametrize("python", ["/nowhere/python", "no-prpgate", "killed"])
def test_when_it_cannot_run_git_merges_the_text(world: World, tmp_path: Path, python: str) -> None:
    """An interpreter that is gone must not look like a conflict in which one side was dropped without a trace."""
    ann = setup(world.clone("ann"))
    conflicting(ann)
    if not python.startswith("/"):
        stand_in = tmp_path / python
        stand_in.write_text("#!/bin/sh\n" + ("exit 1\n" if python == "no-prpgate" else "kill -9 $$\n"))
        stand_in.chmod(0o755)
        python = str(stand_in)
    install(ann.path)
    ann.git("config", "merge.prp.driver", driver_setup.command(python))
    assert ann.git("merge", "-q", "other", ok=False).code == 1
    text = ann.read(LEDGER)
    assert "<<<<<<<" in text and 'title: "main"' in text and 'title: "other"' in text
    ann.git("merge", "--abort")
    ann.git("checkout", "-q", "other")
    ann.git("reset", "-q", "--hard", "HEAD~1")
    ann.commit_files("elsewhere", {LEDGER: ann.read(LEDGER).replace("Search: faster", "Search")})
    ann.git("merge", "-q", "--no-edit", "main")
    assert "Search'" in ann.read(LEDGER) and 'title: "main"' in ann.read(LEDGER)


def test_a_text_merge_that_mixes_a_sealed_group_is_a_conflict(repo: Path) -> None:
    """A ledger all in braces has no lines of its own: git merges its text, and what comes out is looked at."""
    lines = ['{"prp_tracking": {"A-1": {"title": "t",', '"status": "in_progress",', '"owner": "ann",', '"notes": null,']
    lines += ['"x": 1,', '"y": 2,', '"ci_run_url": null}}}']
    base = "\n".join(lines) + "\n"
    for name, old, new in (("O", "", ""), ("A", '"ann"', '"ben"'), ("B", '"ci_run_url": null', '"ci_run_url": "u"')):
        (repo / name).write_text(base.replace(old, new) if old else base)
    command = [sys.executable, "-I", "-m", "prpgate", "merge-driver", "O", "A", "B", "f.yaml"]
    done = run(command, repo, ok=False)
    text = (repo / "A").read_text()
    assert done.code == 1 and "git's text merge was used" in done.err
    assert text.startswith("<<<<<<< ours\n{") and text.count('"owner": "ben"') == text.count('"ci_run_url": "u"') == 1
    (repo / "A").write_text(base.replace('"t"', '"better"'))
    assert run(command, repo).code == 0
    assert '"better"' in (repo / "A").read_text() and '"ci_run_url": "u"' in (repo / "A").read_text()


def test_a_merge_of_57_prps_takes_no_third_of_a_second(tmp_path: Path) -> None:
    from tests.ledgers import many

    text = many(57)
    for name, content in (("O", text), ("A", text + "x: 1\n"), ("B", text.replace("Fix login", "Mend login", 1))):
        (tmp_path / name).write_text(content)

    def cost(*args: str) -> float:
        """Processor seconds of one process, the least of three."""
        used = []
        for _ in range(3):
            (tmp_path / "A").write_text(text + "x: 1\n")
            before = os.times()
            subprocess.run([sys.executable, "-I", *args], cwd=tmp_path, check=True)
            after = os.times()
            used.append(after.children_user + after.children_system - before.children_user - before.children_system)
        return min(used)

    # On a machine at rest a bare Python takes 9 ms: a busy one is allowed as much longer as that takes.
    assert cost("-m", "prpgate", "merge-driver", "O", "A", "B", "f.yaml") < max(0.3, 12 * cost("-c", "pass"))


def test_git_names_the_sides_where_it_can(repo: Path) -> None:
    """From 2.44 on; an older git leaves %X and %Y as they are."""
    command = [sys.executable, "-I", "-m", "prpgate", "merge-driver", "O", "A", "B", "f.yaml", "--marker-size", "9"]
    for names, said in ((("-HEAD", "topic -- x"), ("-HEAD", "topic -- x")), (("%X", "%Y"), ("ours", "theirs"))):
        for name, title in (("O", "o"), ("A", "a"), ("B", "b")):
            (repo / name).write_text(f"id: P2-001\ntitle: {title}\nstatus: new\n")
        more = [f"--ours-label={names[0]}", f"--theirs-label={names[1]}"]
        assert run([*command[:5], *more, *command[9:], "--", *command[5:9]], repo, ok=False).code == 1
        text = (repo / "A").read_text()
        assert f"<<<<<<<<< {said[0]}\ntitle: a\n=========\ntitle: b\n>>>>>>>>> {said[1]}\n" in text


def test_init_recommends_one_file_per_prp_and_keeps_a_ledger_that_is_there(world: World) -> None:
    ann = world.clone("ann", first=True)
    said = ann.prp("init", "--yes").text
    assert "new PRPs go to prps/, one file each" in said and "conflict wherever" in said
    assert 'path = "prps/"' in ann.read("prp.toml") and attribute(ann.path, "prps/P2-001.yaml") == "prp"
    ben = world.clone("ben")
    ben.commit_files("ledger", {LEDGER: "\ufeff" + ENTRIES})
    said = ben.prp("init", "--yes").text
    assert f"Found the ledger {LEDGER}. It stays one file." in said and "conflict wherever" in said
    assert f'path = "{LEDGER}"' in ben.read("prp.toml") and attribute(ben.path, LEDGER) == "prp"
