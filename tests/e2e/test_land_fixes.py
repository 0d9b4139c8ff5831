"""`prp land --hotfix`, `--revert` and by merging: who may, what goes back, what is refused and what it says then."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from prpgate import ops
from prpgate.lock import Granted, Who
from tests.e2e.conftest import LEDGER, Project
from tests.e2e.test_land import answer, begin, end, events, local, nothing_left, status, until
from tests.world import run

if TYPE_CHECKING:
    import subprocess

    from prpgate.lock import MergeLock
    from tests.world import Clone, Result

HOTFIX = {"[lane]\n": '[lane]\nhotfix = ["ana", "ops-*"]\n'}
MERGE = {"[lane]\n": '[lane]\nupdate = "merge"\n'}


def refused(clone: Clone, *args: str) -> dict[str, Any]:
    """`prp land` with these; what it said. Nobody's working tree changes by it."""
    before = clone.git("status", "--porcelain=v2", "--branch").out, clone.git("branch", "-v").out
    done = clone.prp("land", *args, "--json", ok=False)
    assert (clone.git("status", "--porcelain=v2", "--branch").out, clone.git("branch", "-v").out) == before
    assert done.code in (1, 2), done
    said = answer(done)
    assert (said["landed"], "Traceback" in done.err) == (False, False)
    return said


def landed(clone: Clone, *args: str) -> dict[str, Any]:
    said = answer(clone.prp("land", *args, "--json"))
    assert said["landed"] is True
    return said


def hold(project: Project) -> tuple[subprocess.Popen[str], Path]:
    """A landing of ana's that the remote takes when the file is made, and not before."""
    go = project.folder / "go"
    project.remote_hook("pre-receive", f"#!/bin/sh\nwhile ! test -e {go}; do sleep 0.05; done\n")
    project.ana.commit_files("slow", {"slow.txt": "slow"})
    process = begin(project.ana)
    until(lambda: (status(project.ana)["holder"] or {}).get("phase") == "intent", "the slow push began")
    return process, go


def lock(clone: Clone) -> MergeLock:
    return ops.Session(str(clone.path)).lock("main")


def show(project: Project, *args: str) -> str:
    return run(["git", *args], project.remote).out.strip()


def ci_says(project: Project, clone: Clone, sha: str, result: str) -> None:
    """A run on what landed: takes the lane over and gives its verdict."""
    one = lock(clone)
    answer = one.adopt(sha, Who("run", "run", "ci", "runner", 1, "ci", None, sha), "https://ci.example/1")
    assert isinstance(answer, Granted), answer
    one.verdict(sha, f"tree of {sha}", "steps", "ci", result, answer.lease.fence, reason="unit ended with 1")


def gate_ci(project: Project) -> None:
    text = project.ana.read("prp.toml").replace('gate = "none"', 'gate = "ci"')
    project.ana.commit_files("gate ci", {"prp.toml": text})
    project.ana.git("push", "-q")
    project.settle()


@pytest.fixture
def hot(tmp_path: Path, home: Path) -> Project:
    return Project(tmp_path, settings=HOTFIX)


# --- hotfix ----------------------------------------------------------------------------------------------------------


def test_a_hotfix_goes_next_and_everybody_sees_why(hot: Project) -> None:
    """cleo and dora stand in line behind a landing that is under way; ops-1 comes last and lands first of them."""
    cleo, dora, ops1 = hot.join("cleo"), hot.join("dora"), hot.join("ops-1")
    for clone in (cleo, dora, ops1):
        clone.commit_files(f"work of {clone.agent}", {f"{clone.agent}.txt": "x"})
    slow, go = hold(hot)
    behind = [begin(cleo)]
    until(lambda: len(status(cleo)["queue"]) == 1, "cleo stands in line")
    urgent = begin(ops1, "--hotfix", "--reason", "logins fail")
    until(lambda: len(status(cleo)["queue"]) == 2, "ops-1 stands in line")
    behind.append(begin(dora))
    until(lambda: len(status(cleo)["queue"]) == 3, "dora stands in line")
    time.sleep(0.6)  # dora's first line
    lane = status(cleo)
    assert [(t["agent"], t["kind"], t["reason"]) for t in lane["queue"]] == [
        ("ops-1", "hotfix", "logins fail"),
        ("cleo", "waiting", None),
        ("dora", "waiting", None),
    ]
    assert lane["holder"]["agent"] == "ana", "what is under way goes on"
    assert "hotfix by ops-1 goes first: logins fail" in cleo.prp("lock", "status", "main").out
    go.touch()
    done = [end(p) for p in (slow, urgent, *behind)]
    assert [d.code for d in done] == [0, 0, 0, 0], done
    assert hot.subjects()[:4] == ["work of dora", "work of cleo", "work of ops-1", "slow"]
    assert "3rd of 3 · ana pushing" in done[3].err, done[3]
    assert "· hotfix by ops-1 goes first: logins fail ·" in done[3].err, done[3]
    assert "2nd of 2 · ana pushing" in done[2].err, "cleo saw it when it happened"
    logged = [(e["agent"], e["detail"]) for e in events(cleo) if e["event"] == "hotfix"]
    assert logged == [("ops-1", "logins fail")]
    assert not [e for e in events(cleo) if e["event"] in ("break", "expired", "not-landed", "unseen")]
    nothing_left(ops1)


def test_a_kept_place_does_not_delay_a_hotfix(hot: Project) -> None:
    """A refused push has a place, and with it a grace window; a hotfix waits for nobody who is not there."""
    ben = hot.join("ben")
    ben.commit_files("work of ben", {"b.txt": "b"})
    ana2 = hot.join("ana2")
    ana2.env = {"PRP_AGENT": "ana"}
    ana2.commit_files("urgent", {"u.txt": "u"})
    slow, go = hold(hot)
    assert ben.git("push", "-q", ok=False).code != 0
    urgent = begin(ana2, "--hotfix")
    until(lambda: len(status(ben)["queue"]) == 2, "the hotfix stands in line")
    go.touch()
    assert [end(p).code for p in (slow, urgent)] == [0, 0]
    names = [e["event"] for e in events(ben)]
    of_ana = [n for n, e in enumerate(events(ben)) if e["event"] == "landed" and e["agent"] == "ana"]
    assert "window" not in names[: of_ana[-1]], "ben's window opens after it"
    assert [e["detail"] for e in events(ben) if e["event"] == "hotfix"] == ["urgent"], (
        "the subject, for want of a reason"
    )
    assert [t["agent"] for t in status(ben)["queue"]] == ["ben"]


def test_only_those_who_are_named_may(hot: Project) -> None:
    ben = hot.join("ben")
    ben.commit_files("work of ben", {"b.txt": "b"})
    said = refused(ben, "--hotfix", "--reason", "I am in a hurry")
    assert said["error"]["code"] == "no-hotfix"
    assert "only ana, ops-* may" in said["error"]["message"]
    assert 'hotfix = ["ana", "ops-*", "ben"]' in said["error"]["hint"]
    assert said["next_action"] == "prp land"
    assert status(ben)["queue"] == []
    assert not [e for e in events(ben) if e["event"] == "hotfix"]
    toml = ben.read("prp.toml")
    ben.write("prp.toml", toml.replace('"ana"', '"ben"'))
    assert refused(ben, "--hotfix")["error"]["code"] == "no-hotfix", (
        "the lane's prp.toml counts, not the working tree's"
    )


def test_where_nobody_is_named_nobody_may(project: Project) -> None:
    project.ana.commit_files("work", {"w.txt": "w"})
    said = refused(project.ana, "--hotfix")
    assert "nobody may" in said["error"]["message"]
    assert 'hotfix = ["ana"]' in said["error"]["hint"]


def test_a_hotfix_is_the_named_override_of_a_closed_lane_and_the_log_says_so(hot: Project) -> None:
    ben = hot.join("ben")
    ben.commit_files("work of ben", {"b.txt": "b"})
    hot.ana.prp("lane", "close", "--reason", "the demo is on")
    assert refused(ben)["error"]["code"] == "closed"
    hot.ana.commit_files("urgent", {"u.txt": "u"})
    assert refused(hot.ana)["error"]["code"] == "closed", "only as a hotfix"
    landed(hot.ana, "--hotfix", "--reason", "logins fail")
    assert hot.subjects()[0] == "urgent"
    details = [e["detail"] for e in events(ben) if e["event"] == "hotfix"]
    assert details == ["logins fail", "while closed by ana: logins fail"]
    assert status(ben)["closed"]["reason"] == "the demo is on", "and it stays closed"


def test_a_reason_goes_with_something(project: Project) -> None:
    said = refused(project.ana, "--reason", "why not")
    assert (said["error"]["code"], "--hotfix or --revert" in said["error"]["message"]) == ("usage", True)


# --- revert ----------------------------------------------------------------------------------------------------------


def test_a_revert_lands_in_turn_and_touches_nothing_of_mine(project: Project) -> None:
    ben = project.join("ben")
    bad = project.ana.commit_files("break it\n\nPrp: P2-040", {"README": "broken\n", "bad.txt": "x"})
    landed(project.ana)
    project.ana.commit_files("more", {"m.txt": "m"})
    landed(project.ana)
    ben.commit_files("mine, not landed", {"b.txt": "b"})
    ben.write("b.txt", "half done\n")
    before = ben.git("status", "--porcelain=v2", "--branch").out
    done = ben.prp("land", "--revert", bad[:12], "--reason", "logins fail")
    assert ben.git("status", "--porcelain=v2").out in before
    assert ben.read("b.txt") == "half done\n"
    assert "break it) is taken back." in done.out, done
    assert "Your branch is as it was. To follow:\n  git pull --rebase --autostash" in done.out, done
    assert show(project, "log", "-1", "--format=%B", "main") == (
        f'Revert "break it"\n\nThis reverts commit {bad}.\n\nlogins fail\n\nPrp: P2-040'
    )
    assert show(project, "show", "main:README") == "hello"
    assert "bad.txt" not in show(project, "ls-tree", "--name-only", "main")
    assert "m.txt" in show(project, "ls-tree", "--name-only", "main")
    record = lock(ben).record(project.tip())
    assert record is not None
    assert (record.record, record.agent, record.prps) == ("landed", "ben", ("P2-040",))
    nothing_left(ben)


def test_the_head_of_a_landing_takes_all_of_it_back(project: Project) -> None:
    before = show(project, "rev-parse", "main^{tree}")
    for n in range(3):
        project.ana.commit_files(f"part {n}", {"same.txt": f"{n}\n"})
    head = landed(project.ana)["sha"]
    done = project.ana.prp("land", "--revert", head)
    assert "with the 2 before it in its landing" in done.out, done
    assert project.subjects()[:3] == [f'Revert "part {n}"' for n in range(3)]
    assert show(project, "rev-parse", "main^{tree}") == before


def test_one_commit_from_the_middle_is_taken_back_alone(project: Project) -> None:
    project.ana.commit_files("one", {"1.txt": "1"})
    middle = project.ana.commit_files("two", {"2.txt": "2"})
    project.ana.commit_files("three", {"3.txt": "3"})
    landed(project.ana)
    landed(project.ana, "--revert", middle)
    names = show(project, "ls-tree", "--name-only", "main").split()
    assert ("1.txt" in names, "2.txt" in names, "3.txt" in names) == (True, False, True)


def test_a_merge_is_taken_back_against_its_first_parent(tmp_path: Path, home: Path) -> None:
    project = Project(tmp_path, settings=MERGE)
    ben = project.join("ben")
    ben.git("switch", "-q", "-c", "feat/x")
    inner = ben.commit_files("feature", {"f.txt": "f"})
    project.ana.commit_files("before", {"a.txt": "a"})
    landed(project.ana)
    merge = landed(ben, "--from", "feat/x")["sha"]
    said = refused(project.ana, "--revert", inner)
    assert (said["error"]["code"], said["next_action"]) == ("inside-a-merge", f"prp land --revert {merge[:10]}")
    landed(project.ana, "--revert", merge)
    names = show(project, "ls-tree", "--name-only", "main").split()
    assert ("f.txt" in names, "a.txt" in names) == (False, True)
    assert f"This reverts commit {merge}, reversing" in show(project, "log", "-1", "--format=%B", "main")


def test_what_is_not_there_to_be_taken_back(project: Project) -> None:
    ben = project.join("ben")
    assert refused(ben, "--revert", "nosuch")["error"]["code"] == "no-commit"
    mine = ben.commit_files("never landed", {"b.txt": "b"})
    assert refused(ben, "--revert", mine)["error"]["code"] == "not-in-lane"
    said = refused(ben, "--revert")
    assert (said["error"]["code"], "main is open" in said["error"]["message"]) == ("no-culprit", True)
    assert refused(ben, "--revert", mine, "--for", "P2-040")["error"]["code"] == "usage"
    assert status(ben)["queue"] == []


def test_never_a_revert_of_a_revert_and_never_twice(project: Project) -> None:
    bad = project.ana.commit_files("break it", {"bad.txt": "x"})
    landed(project.ana)
    back = landed(project.ana, "--revert", bad)["sha"]
    said = refused(project.ana, "--revert", back)
    assert said["error"]["code"] == "is-a-revert"
    assert said["next_action"] == f"git cherry-pick -x {bad[:10]} && prp land"
    said = refused(project.ana, "--revert", bad)
    assert (said["error"]["code"], back[:10] in said["error"]["message"]) == ("already-reverted", True)
    # By hand it is somebody's own decision; then the commit is there again, and can be taken back again.
    project.ana.git("pull", "-q", "--rebase")
    project.ana.git("revert", "--no-edit", back)
    landed(project.ana)
    assert "bad.txt" in show(project, "ls-tree", "--name-only", "main")
    landed(project.ana, "--revert", bad)
    assert "bad.txt" not in show(project, "ls-tree", "--name-only", "main")


def test_what_a_landing_took_back_itself_does_not_come_back(project: Project) -> None:
    before = show(project, "rev-parse", "main^{tree}")
    slip = project.ana.commit_files("a slip", {"slip.txt": "s"})
    project.ana.git("revert", "--no-edit", slip)
    head = landed(project.ana)["sha"]
    said = refused(project.ana, "--revert", head)
    assert (said["error"]["code"], "in its landing" in said["error"]["message"]) == ("is-a-revert", False)
    slip = project.ana.commit_files("another slip", {"slip.txt": "s"})
    project.ana.git("revert", "--no-edit", slip)
    project.ana.commit_files("good", {"good.txt": "g"})
    landed(project.ana, "--revert", landed(project.ana)["sha"])
    assert show(project, "rev-parse", "main^{tree}") == before
    assert project.subjects()[0] == 'Revert "good"'


def test_a_landing_that_holds_a_revert_of_older_work_is_not_taken_back(project: Project) -> None:
    old = project.ana.commit_files("old", {"old.txt": "x"})
    landed(project.ana)
    project.ana.git("revert", "--no-edit", old)
    project.ana.commit_files("and more", {"more.txt": "m"})
    head = landed(project.ana)["sha"]
    said = refused(project.ana, "--revert", head)
    assert (said["error"]["code"], "holds" in said["error"]["message"]) == ("is-a-revert", True)


def test_what_others_changed_since_is_named(project: Project) -> None:
    ben = project.join("ben")
    bad = project.ana.commit_files("break it", {"README": "broken\n"})
    landed(project.ana)
    ben.git("pull", "-q", "--rebase")
    ben.commit_files("built on it", {"README": "broken, but better\n"})
    landed(ben)
    tip = project.tip()
    said = refused(project.ana, "--revert", bad)
    assert said["error"]["code"] == "conflict"
    assert "README" in said["error"]["message"]
    assert "ben: built on it" in said["error"]["message"]
    assert project.tip() == tip
    nothing_left(project.ana)


def test_what_others_undid_already_is_no_empty_commit(project: Project) -> None:
    bad = project.ana.commit_files("break it", {"README": "broken\n"})
    landed(project.ana)
    project.ana.commit_files("mended", {"README": "hello\n"})
    landed(project.ana)
    said = refused(project.ana, "--revert", bad)
    assert (said["error"]["code"], "nothing of what" in said["error"]["message"]) == ("already-reverted", True)


def test_a_gate_proves_the_revert_before_it_is_pushed(tmp_path: Path, home: Path) -> None:
    project = local(tmp_path, "test ! -e needs.txt || test -e base.txt")
    base = project.ana.commit_files("base", {"base.txt": "b"})
    landed(project.ana)
    text = project.ana.read("prp.toml").replace('gate = "none"', 'gate = "local"')
    project.ana.commit_files("gate local", {"prp.toml": text})
    landed(project.ana)
    project.ana.commit_files("needs it", {"needs.txt": "n"})
    landed(project.ana)
    tip = project.tip()
    assert refused(project.ana, "--revert", base)["error"]["code"] == "red"
    assert project.tip() == tip


def test_milestones_go_back_with_it(project: Project) -> None:
    def shown() -> str:
        return str(json.loads(project.ana.prp("status", "P2-040", "--json").out)["prp"]["status"])

    assert shown() == "validated"
    project.ana.prp("start", "P2-040")
    project.ana.commit_files("P2-040: begin", {"w.txt": "w"})
    sha = landed(project.ana)["sha"]
    assert (shown(), "in_progress" in project.ana.read(LEDGER)) == ("in_progress", True)
    landed(project.ana, "--revert", sha)
    assert shown() == "validated"
    assert "P2-040" in show(project, "log", "-1", "--format=%B", "main")


def test_a_revert_is_no_evidence_of_work(project: Project) -> None:
    """It names the PRP and its tree is green, but it is the work taken out."""
    project.ana.prp("start", "P2-040")
    project.ana.commit_files("start", {})
    landed(project.ana)
    work = project.ana.commit_files("P2-040: break it", {"bad.txt": "x"})
    landed(project.ana)
    landed(project.ana, "--revert", work)
    project.ana.git("pull", "-q", "--rebase")
    record = lock(project.ana).record(project.tip())
    assert record is not None
    assert (record.prps, record.code) == (("P2-040",), True)
    project.ana.prp("smoke")
    project.ana.prp("complete", "P2-040")
    one = json.loads(project.ana.prp("status", "P2-040", "--json").out)["prp"]
    assert (one["status"], one["phase"]) == ("in_progress", "completing"), "it waits for work to land"


def test_red_closes_and_the_revert_of_the_culprit_opens(project: Project) -> None:
    gate_ci(project)
    ben = project.join("ben")
    bad = project.ana.commit_files("break it", {"bad.txt": "x"})
    landed(project.ana)
    ci_says(project, ben, bad, "red")
    ben.commit_files("work of ben", {"b.txt": "b"})
    said = refused(ben)
    assert said["error"]["code"] == "closed"
    assert ben.prp("lock", "status", "main").out.splitlines()[-1].strip() == "prp land --revert"
    back = landed(ben, "--revert")["sha"]
    assert f"This reverts commit {bad}." in show(project, "log", "-1", "--format=%B", "main")
    assert status(ben)["closed"] is not None, "until it is green"
    ci_says(project, ben, back, "green")
    assert status(ben)["closed"] is None
    assert [e["detail"] for e in events(ben) if e["event"] == "open"] == ["green"]
    landed(ben)


def test_another_revert_is_no_fix_of_a_closed_lane(project: Project) -> None:
    gate_ci(project)
    ben = project.join("ben")
    good = project.ana.commit_files("good", {"good.txt": "x"})
    landed(project.ana)
    ci_says(project, ben, good, "green")
    bad = project.ana.commit_files("break it", {"bad.txt": "x"})
    landed(project.ana)
    ci_says(project, ben, bad, "red")
    assert refused(ben, "--revert", good)["error"]["code"] == "closed"


def test_a_revert_waits_its_turn_and_looks_again(project: Project) -> None:
    """Two take the same landing back; the second finds it done."""
    ben, cleo = project.join("ben"), project.join("cleo")
    bad = project.ana.commit_files("break it", {"bad.txt": "x"})
    landed(project.ana)
    slow, go = hold(project)
    both = [begin(ben, "--revert", bad, "--json")]
    until(lambda: len(status(ben)["queue"]) == 1, "ben stands in line")
    both.append(begin(cleo, "--revert", bad, "--json"))
    until(lambda: len(status(ben)["queue"]) == 2, "cleo stands in line")
    go.touch()
    assert end(slow).code == 0
    first, second = [end(p) for p in both]
    assert (first.code, second.code) == (0, 1), (first, second)
    assert answer(second)["error"]["code"] == "already-reverted"
    assert "was taken back already, by" in answer(second)["error"]["message"]
    assert show(project, "log", "--format=%s", "main").count('Revert "break it"') == 1


# --- merge instead of rebase -----------------------------------------------------------------------------------------


def merging(tmp_path: Path) -> tuple[Project, Clone]:
    project = Project(tmp_path, settings=MERGE)
    ben = project.join("ben")
    ben.git("switch", "-q", "-c", "feat/x")
    return project, ben


def test_a_merge_keeps_the_lane_as_its_first_parent(tmp_path: Path, home: Path) -> None:
    project, ben = merging(tmp_path)
    head = ben.commit_files("feature", {"f.txt": "f"})
    project.ana.commit_files("before", {"a.txt": "a"})
    base = landed(project.ana)["sha"]
    done = ben.prp("land", "--for", "P2-040")
    tip = project.tip()
    assert show(project, "log", "-1", "--format=%P", "main").split() == [base, head]
    assert show(project, "log", "-1", "--format=%B", "main") == "Merge branch 'feat/x'\n\nPrp: P2-040"
    assert ben.head == head
    assert "It landed as a merge of your branch, which is under it now. To follow:" in done.out, done
    command = done.out.strip().splitlines()[-1].strip()
    assert command == "git pull --ff-only origin main"
    run(["sh", "-c", command], ben.path, env=ben.env)
    assert ben.head == tip
    record = lock(ben).record(tip)
    assert record is not None
    assert (record.record, record.base, record.prps) == ("landed", base, ("P2-040",))
    nothing_left(ben)


def test_a_branch_on_top_needs_no_merge(tmp_path: Path, home: Path) -> None:
    project, ben = merging(tmp_path)
    head = ben.commit_files("feature", {"f.txt": "f"})
    landed(ben)
    assert project.tip() == head


def test_a_merge_that_conflicts_names_who_and_what(tmp_path: Path, home: Path) -> None:
    project, ben = merging(tmp_path)
    ben.commit_files("feature", {"README": "ben\n"})
    project.ana.commit_files("before", {"README": "ana\n"})
    landed(project.ana)
    said = refused(ben)
    assert said["error"]["code"] == "conflict"
    assert "README" in said["error"]["message"]
    assert "ana: before" in said["error"]["message"]
    assert said["next_action"] == "git pull --no-rebase origin main && prp land"
    nothing_left(ben)


# --- the entry point, and what is shown ------------------------------------------------------------------------------


def test_git_prp_land(project: Project) -> None:
    """git finds `git-prp` on PATH, beside the Python that runs this."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    head = project.ana.commit_files("work", {"w.txt": "w"})
    done = project.ana.git("prp", "land", "--json", env={"PATH": path})
    assert (answer(done)["landed"], project.tip()) == (True, head)


def on_a_pipe(clone: Clone, code: str) -> Result:
    return run([sys.executable, "-c", code], clone.path, env=clone.env)


LIVE = """
import sys, time
from prpgate.cli.land import Live
from prpgate.land import Stage
from prpgate.output import Output
with Live("main", Output()) as live:
    live.stage(Stage("fetching")); time.sleep({first})
    live.stage(Stage("pushing")); time.sleep(0.1)
    live.stage(Stage("pushing", detail="x")); time.sleep(0.1)
    live.stage(Stage("pushing", detail="x")); time.sleep(0.1)
"""


def test_quiet_for_400_ms_and_then_a_line_on_each_change(project: Project) -> None:
    assert on_a_pipe(project.ana, LIVE.format(first="0")).text == ""
    said = on_a_pipe(project.ana, LIVE.format(first="0.6"))
    assert said.out == ""
    assert [line.removeprefix("main: your turn · ") for line in said.err.splitlines()] == [
        "fetching the tip",
        "pushing",
        "pushing (x)",
    ]


def test_lock_status_says_when_it_is_whose_turn(project: Project) -> None:
    ben = project.join("ben")
    ben.commit_files("work of ben", {"b.txt": "b"})
    slow, go = hold(project)
    waiting = begin(ben)
    until(lambda: len(status(ben)["queue"]) == 1, "ben stands in line")
    said = ben.prp("lock", "status", "main").out
    assert "1. ben  waiting for" in said
    assert ", turn about " in said
    assert ", latest " in said
    go.touch()
    assert [end(p).code for p in (slow, waiting)] == [0, 0]


def test_lock_status_of_a_closed_lane_says_what_opens_it_and_promises_no_time(project: Project) -> None:
    ben = project.join("ben")
    ben.commit_files("work of ben", {"b.txt": "b"})
    project.ana.prp("lane", "close", "--reason", "the demo is on")
    assert "(before: by ana: the demo is on)" in project.ana.prp("lane", "close", "--reason", "it goes on").out
    assert ben.git("push", "-q", ok=False).code != 0
    said = ben.prp("lock", "status", "main").out
    assert "1. ben  place kept until " in said
    assert "turn about" not in said
    assert said.splitlines()[-1].strip() == 'prp lane open main --reason "why"'
    assert "It was closed by ana: it goes on." in project.ana.prp("lane", "open", "--reason", "over").out


def test_who_is_behind_hears_that_the_lane_is_closed_too(project: Project) -> None:
    ben = project.join("ben")
    project.ana.commit_files("first", {"a.txt": "a"})
    landed(project.ana)
    project.ana.prp("lane", "close", "--reason", "the demo is on")
    ben.commit_files("work of ben", {"b.txt": "b"})
    refused = ben.git("push", "-q", ok=False)
    assert "moved on to" in refused.err
    assert "It is closed, too, by ana: the demo is on." in refused.err
