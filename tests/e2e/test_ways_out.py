"""Where a verb refuses or falls short, the command that is printed leads on: it is run here."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import LEDGER, Project
from tests.world import run

if TYPE_CHECKING:
    from tests.world import Clone, Result


@pytest.fixture
def project(tmp_path: Path, home: Path) -> Project:
    return Project(tmp_path)


def answer(done: Result) -> dict[str, Any]:
    return dict(json.loads(done.out))


def shell(clone: Clone, command: str) -> str:
    """Type a command as it was printed."""
    here = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return run(["bash", "-c", command], clone.path, env={**clone.env, **here}).text


def landed_on_top_of_others(project: Project) -> Clone:
    """ben's P2-040 has landed as complete, on top of ana's work; his branch has a tree of its own."""
    ben = project.join("ben")
    ben.prp("start", "P2-040")
    ben.git("switch", "-q", "-c", "work")
    ben.commit_files("feat(P2-040): all of it", {"work.txt": "1"})
    ben.prp("complete", "P2-040")
    ben.git("commit", "-q", "-a", "-m", "P2-040: complete")
    project.ana.commit_files("of ana", {"ana.txt": "1"})
    project.ana.git("push", "-q")
    project.settle()
    ben.prp("land")
    project.settle()
    assert answer(ben.prp("status", "P2-040", "--json"))["prp"]["phase"] == "landed"
    return ben


@pytest.mark.parametrize("more", [False, True], ids=["nothing more", "work that has not landed"])
def test_a_landed_completion_gets_its_verdict_by_what_is_printed(project: Project, more: bool) -> None:
    ben = landed_on_top_of_others(project)
    if more:
        ben.commit_files("what comes next", {"next.txt": "1"})
    smoked = answer(ben.prp("smoke", "--json"))
    assert smoked["result"] == "green"
    then = smoked["next_action"]
    assert then == "git pull --rebase --autostash origin main && prp smoke"
    again = ben.prp("smoke")  # the verdict is known by now
    assert "P2-040 waits all the same for a green verdict" in again.out and then in again.out
    refused = answer(ben.prp("complete", "P2-040", "--json", ok=False))
    assert (refused["error"]["code"], refused["next_action"]) == ("landed", then)
    noted = answer(ben.prp("verify", "P2-040", "--json"))["doubts"]
    assert [(d["code"], d["mend"]) for d in noted] == [("waits", then)]
    text = shell(ben, then)
    if more:
        then = answer(ben.prp("smoke", "--json"))["next_action"]
        assert then == "git switch --detach origin/main && prp smoke; git switch -"
        text = shell(ben, then)
        assert ben.git("branch", "--show-current").out.strip() == "work"
    assert "P2-040 is complete" in text
    assert answer(ben.prp("status", "P2-040", "--json"))["prp"]["status"] == "complete"
    assert answer(ben.prp("smoke", "--json"))["next_action"] is None


def test_a_completion_with_nothing_to_land_it_says_so(project: Project) -> None:
    """The work landed under a subject that does not name the PRP: its line alone is refused, and no command is printed
    that would run into that."""
    ben = project.join("ben")
    ben.prp("start", "P2-040")
    ben.git("switch", "-q", "-c", "work")
    ben.commit_files("all of it", {"work.txt": "1"})
    ben.prp("land")
    project.settle()
    done = ben.prp("complete", "P2-040")
    assert "No landing since it was claimed names P2-040" in done.out and "git commit" not in done.out
    ben.git("commit", "-q", "-a", "-m", "P2-040: complete")
    again = answer(ben.prp("complete", "P2-040", "--json"))
    assert (again["already"], again["next_action"]) == (True, "prp complete P2-040 --undo")
    assert "PRP128" in ben.prp("land", ok=False).err
    shell(ben, again["next_action"])
    ben.write("CHANGES", "work")
    ben.git("add", "CHANGES")
    assert "PRP123" not in ben.git("commit", "-a", "-m", "feat(P2-040): tell of it").err
    said = answer(ben.prp("complete", "P2-040", "--json"))["next_action"]
    assert said == 'git commit -a -m "P2-040: complete" && prp land'  # there is work to land it now
    shell(ben, said)
    project.settle()
    assert answer(ben.prp("status", "P2-040", "--json"))["prp"]["phase"] == "landed"


def test_a_completion_whose_work_landed_before_its_line(project: Project) -> None:
    ben = project.join("ben")
    ben.prp("start", "P2-040")
    ben.commit_files("feat(P2-040): all of it", {"work.txt": "1"})
    ben.prp("complete", "P2-040")
    ben.git("stash", "-q")
    ben.git("push", "-q")
    project.settle()
    ben.git("stash", "pop", "-q")
    assert "prp complete P2-040 --undo && prp complete P2-040" in ben.prp("inbox").out
    said = answer(ben.prp("complete", "P2-040", "--json"))
    assert said["next_action"] == "prp complete P2-040 --undo && prp complete P2-040"
    ben.git("commit", "-q", "-a", "-m", "P2-040: complete")
    assert "PRP128" in ben.git("push", ok=False).err
    ben.git("reset", "-q", "HEAD~1")
    ben.prp("smoke", "--no-cache")
    assert "P2-040 is complete" in shell(ben, said["next_action"])


def test_a_completion_that_was_taken_back_is_no_slip(project: Project) -> None:
    """The line before has not landed either, so only the store knows that it is the right one."""
    ben = project.join("ben")
    ben.git("switch", "-q", "-c", "work")
    ben.prp("start", "P2-040")
    ben.commit_files("feat(P2-040): begin", {"work.txt": "1"})
    ben.prp("complete", "P2-040")
    ben.git("commit", "-q", "-a", "-m", "P2-040: complete")
    ben.prp("complete", "P2-040", "--undo")
    assert "PRP123" not in ben.git("commit", "-a", "-m", "feat(P2-040): go on").err


def test_without_a_remote_it_is_said_what_is_missing(project: Project) -> None:
    ana = project.ana
    url = ana.git("remote", "get-url", "origin").out.strip()
    ana.commit_files("work", {"work.txt": "1"})
    ana.git("remote", "remove", "origin")
    gone = answer(ana.prp("land", "--json", ok=False))
    assert gone["error"]["code"] == "no-remote" and gone["next_action"] == "git remote add origin URL"
    ana.git("remote", "add", "origin", url + "-elsewhere")
    refused = ana.prp("land", ok=False)
    assert "fatal: " in refused.err and "does not appear to be a git repository" in refused.err
    assert "and the repository exists" not in refused.err


def test_the_name_of_a_worktree_and_what_goes_before_it(project: Project) -> None:
    ana = project.ana
    said = ana.prp("whoami", "--set", "zed")
    assert (
        said.out.startswith("ana (PRP_AGENT)") and "zed is kept for this worktree; while PRP_AGENT is set" in said.out
    )
    refused = answer(ana.prp("whoami", "--set", "a b", "--json", ok=False))
    assert (refused["error"]["code"], refused["next_action"]) == ("usage", "prp whoami --set a-b")
    assert ana.prp("whoami", env={"PRP_AGENT": ""}).out.startswith("zed (this worktree)")


def test_what_is_landed_and_waits_does_not_hold_yet(project: Project) -> None:
    landed_on_top_of_others(project)
    ana = project.ana
    ana.git("pull", "-q", "--rebase")
    done = ana.prp("verify", "P2-040")
    assert "1 complete PRP: 0 hold, 1 waits for a green verdict, 0 false, 0 could not be told" in done.out
    assert answer(ana.prp("verify", "P2-040", "--json"))["waiting"] == ["P2-040"]
    found = ana.prp("verify", ok=False).out.splitlines()
    reopened = [line.split()[2] for line in found if line.strip().startswith("prp reopen")]
    assert reopened and len(reopened) == len(set(reopened)), "once for each"


def test_the_branch_is_named(project: Project) -> None:
    ana = project.ana
    branch = answer(ana.prp("start", "P2-040", "--branch", "--json"))["notes"][-1]
    assert branch == "Switched to its branch feat/p2-040-report-editor, made from main."
    assert "You are on its branch feat/p2-040-report-editor." in ana.prp("start", "P2-040", "--branch").out
    ana.git("commit", "-q", "-a", "-m", "feat(P2-040): begin")
    ana.git("switch", "-q", "main")
    assert "Switched to its branch feat/p2-040-report-editor, from main." in ana.prp("start", "P2-040", "--branch").out


@pytest.mark.parametrize(
    ("words", "then"),
    [
        (["phase", "P2-040", "revew"], "prp note P2-040 revew"),
        (["send", "ben", "hello", "--priority", "asap"], "prp send NAME TEXT --priority urgent"),
        (["send", "ben", "hello", "--priority", "hig"], "prp send NAME TEXT --priority high"),
    ],
)
def test_slips_get_a_command(project: Project, words: list[str], then: str) -> None:
    assert answer(project.ana.prp(*words, "--json", ok=False))["next_action"] == then


def test_findings_on_a_broken_ledger_name_a_command(project: Project) -> None:
    ana = project.ana
    whole = ana.read(LEDGER)
    ana.write(LEDGER, whole + "<<<<<<< ours\n")
    assert answer(ana.prp("check", "--all", "--json", ok=False))["next_action"] == "prp check"
    head, _, tail = whole.partition("  P2-040:\n")
    ana.write(LEDGER, head + tail[tail.index("\n  P") + 1 :])
    ana.git("add", "-A")
    assert answer(ana.prp("check", "--staged", "--json", ok=False))["next_action"] == "git diff HEAD"


def test_a_reason_is_no_json_in_the_history(project: Project) -> None:
    ana = project.ana
    ana.prp("block", "P2-040", "--reason", "waits for {a} key")
    out = ana.prp("history", "P2-040").out
    assert "waits for {a} key" in out and '"reason"' not in out


def test_a_claim_that_was_handed_over_says_that_nobody_took_it_up(project: Project) -> None:
    project.ana.prp("start", "P2-040")
    project.join("ben").prp("inbox")
    project.ana.prp("handover", "P2-040", "--to", "ben")
    shown = project.ana.prp("status", "P2-040").out
    assert "handed over, not taken up yet)" in shown and " on )" not in shown


def test_a_bare_repository_says_where_to_go(project: Project, tmp_path: Path) -> None:
    bare = tmp_path / "bare.git"
    run(["git", "clone", "-q", "--bare", project.ana.path, bare], tmp_path)
    for verb in ("init", "land", "install"):
        refused = run(["git", "-C", bare, "rev-parse"], tmp_path)
        done = run([sys.executable, "-m", "prpgate", verb, "--json"], bare, env=project.ana.env, ok=False)
        assert refused.code == 0 and answer(done)["next_action"] == f"git clone {bare}", (verb, done)


def test_junit_says_that_it_makes_a_folder(project: Project) -> None:
    done = project.ana.prp("smoke", "--no-cache", "--junit", "build/reports/smoke.xml")
    assert "build/reports is not there yet" in done.err
    assert (
        "not there yet"
        not in project.ana.prp("smoke", "--no-cache", "--junit", "build/reports/smoke.xml", ok=False).err
    )
