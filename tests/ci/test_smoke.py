"""The smoke runner on real processes: what it proves, and that nothing of it outlives its time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from prpgate import process_tree, smoke, steps
from prpgate.config import SmokeStep, parse
from prpgate.gitrepo import Repo
from prpgate.messages import smoke as say
from tests.world import run

if TYPE_CHECKING:
    from prpgate.smoke import SmokeReport


def step(name: str, command: str, *needs: str, timeout: int = 60) -> SmokeStep:
    return SmokeStep(name, command, timeout, needs)


def gate(cwd: Path, *declared: SmokeStep, budget: int = 60) -> SmokeReport:
    return smoke.run(declared, str(cwd), budget_s=budget)


@pytest.fixture
def tree(repo: Path) -> Path:
    """A repository with one commit and nothing else."""
    (repo / "a.txt").write_text("a\n")
    (repo / ".gitignore").write_text("*.out\n")
    run(["git", "add", "-A"], repo)
    run(["git", "commit", "-q", "-m", "first"], repo)
    return repo


def alive(mark: str) -> list[int]:
    """Processes whose command line holds `mark`, zombies aside."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with suppress(OSError):
                if mark.encode() in Path(f"/proc/{name}/cmdline").read_bytes():
                    found.append(int(name))
    return found


def unique_seconds(folder: Path) -> str:
    """A sleep that only this test asks for, so that it can be found in the process list."""
    return f"1000.{abs(hash(str(folder))) % 10**9:09d}1"


def test_green_needs_a_step_that_passed(tree: Path) -> None:
    report = gate(tree, step("one", "echo hello"), step("two", "echo err >&2", "one"))
    assert (report.result, [s.outcome for s in report.steps]) == ("green", ["passed", "passed"])
    assert [s.tail for s in report.steps] == [("hello",), ("err",)]
    assert report.tree == run(["git", "rev-parse", "HEAD^{tree}"], tree).out.strip()
    assert "2 steps passed" in report.reason


def test_no_step_proves_nothing(tree: Path) -> None:
    report = gate(tree)
    assert (report.result, report.steps, report.reason) == ("unknown", (), say.NO_STEPS)


def test_red_names_the_step_and_runs_what_does_not_need_it(tree: Path) -> None:
    report = gate(tree, step("lint", "exit 3"), step("test", "true", "lint"), step("docs", "true"))
    assert [(s.name, s.outcome, s.code) for s in report.steps] == [
        ("lint", "failed", 3),
        ("test", "skipped", None),
        ("docs", "passed", 0),
    ]
    assert report.result == "red"
    assert report.reason == "lint ended with 3; not run: test"


def test_a_step_ended_by_a_signal_is_red(tree: Path) -> None:
    assert gate(tree, step("oom", "kill -9 $$")).reason == "oom was ended by signal 9"


def test_needs_that_can_never_be_met_end_the_run(tree: Path) -> None:
    report = gate(tree, step("a", "true", "b"), step("b", "true", "a"), step("c", "true", "nowhere"))
    assert (report.result, {s.outcome for s in report.steps}) == ("unknown", {"skipped"})


def test_steps_that_cannot_start_prove_nothing(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    report = smoke.run([step("one", "true")], str(tree), budget_s=5, env={"PATH": "/nowhere"})
    assert report.result == "unknown"
    assert "one could not be started" in report.reason


@pytest.mark.parametrize(
    "command",
    [
        "sleep {s}",
        "trap '' TERM; sleep {s}; sleep {s}",
        "setsid sleep {s} & setsid setsid sleep {s} & sleep {s}",
        "(setsid sh -c 'trap \"\" TERM HUP; sleep {s} & (setsid sleep {s} &) ; wait' &) ; sleep {s}",
        "{python} -c 'import os,time\nif os.fork() == 0:\n os.setsid()\n if os.fork() == 0:\n  "
        'os.execlp("sleep", "sleep", "{s}")\n os._exit(0)\nos.wait()\ntime.sleep(1000)\'',
    ],
)
def test_budget_is_a_hard_stop_for_everything_that_was_started(tree: Path, command: str) -> None:
    seconds = unique_seconds(tree)
    text = command.format(s=seconds, python=sys.executable)
    began = time.monotonic()
    report = gate(tree, step("first", "true"), step("slow", text), step("never", "true", "slow"), budget=2)
    assert time.monotonic() - began < 2 + 5
    assert alive(seconds) == []
    assert report.result == "red"
    assert [s.outcome for s in report.steps] == ["passed", "timeout", "skipped"]
    assert report.reason == "the budget of 2 s ran out while slow was running; not run: never"


def test_a_step_over_its_own_time_is_ended_and_the_others_go_on(tree: Path) -> None:
    seconds = unique_seconds(tree)
    report = gate(
        tree,
        step("server", f"setsid sleep {seconds}7 & echo $! > server.out; echo up"),
        step("slow", f"setsid sleep {seconds} & echo $! > slow.out; echo begun; sleep {seconds}", timeout=4),
        step("after", "kill -0 $(cat server.out) && ! kill -0 $(cat slow.out)"),
    )
    assert [(s.outcome, s.tail) for s in report.steps[:2]] == [("passed", ("up",)), ("timeout", ("begun",))]
    assert report.steps[2].outcome == "passed", "a step's time-out ended too much, or too little"
    assert (report.result, alive(seconds)) == ("red", [])
    assert report.reason.startswith("slow did not end within 4.")


def test_what_a_passing_step_left_behind_serves_the_next_and_ends_with_the_run(tree: Path) -> None:
    seconds = unique_seconds(tree)
    report = gate(
        tree,
        step("serve", f"(sh -c 'echo $$ > pid.out; while :; do echo noise; sleep 0.01; done' {seconds} &) ; echo up"),
        step("use", "sleep 0.3; kill -0 $(cat pid.out)", "serve"),
    )
    assert report.result == "green", report
    assert alive(seconds) == []


def test_processes_from_before_are_none_of_its_business(tree: Path) -> None:
    before = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    try:
        assert gate(tree, step("slow", "sleep 1000"), budget=1).result == "red"
        assert before.poll() is None
    finally:
        before.kill()
        before.wait()


def test_ctrl_c_ends_everything_and_gives_unknown(tree: Path, tmp_path: Path) -> None:
    seconds = unique_seconds(tree)
    script = tmp_path / "gate.py"
    script.write_text(
        "import json, sys\nfrom prpgate import smoke\nfrom prpgate.config import SmokeStep\n"
        f"slow = \"trap '' INT TERM; setsid sleep {seconds} & echo begun; sleep {seconds}\"\n"
        "steps = [SmokeStep('slow', slow, 60, ()), SmokeStep('next', 'true', 60, ())]\n"
        "report = smoke.run(steps, sys.argv[1], budget_s=60, on_line=lambda s, l: print(l, flush=True))\n"
        "print(json.dumps(smoke.to_json(report)))\n"
    )
    child = subprocess.Popen([sys.executable, script, tree], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "begun\n"
    child.send_signal(signal.SIGINT)
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)  # an impatient second one
    out, _ = child.communicate(timeout=10)
    report = json.loads(out)
    assert (report["result"], [s["outcome"] for s in report["steps"]]) == ("unknown", ["stopped", "skipped"])
    assert report["reason"] == "interrupted; slow was stopped; not run: next"
    assert alive(seconds) == []


def test_a_reader_that_fails_leaves_nothing_running(tree: Path) -> None:
    seconds = unique_seconds(tree)

    def fail(_: str, __: str) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        smoke.run([step("slow", f"echo x; sleep {seconds}")], str(tree), budget_s=60, on_line=fail)
    assert alive(seconds) == []


def test_output_arrives_while_the_step_runs_and_is_bounded(tree: Path) -> None:
    seen: list[tuple[str, float]] = []
    began = time.monotonic()
    report = smoke.run(
        [step("slow", "echo first; sleep 1.5; echo last"), step("loud", "yes x | head -100000; printf '%09000d' 0")],
        str(tree),
        budget_s=60,
        on_line=lambda name, line: seen.append((line, time.monotonic() - began)),
    )
    assert seen[0][0] == "first"
    assert seen[1][1] - seen[0][1] > 1
    assert len(seen) == 2 + 100_000 + 3
    loud = report.steps[1]
    assert len(loud.tail) == steps.TAIL_LINES
    assert max(map(len, loud.tail)) <= steps.LINE_CHARS


def test_output_that_is_no_text_is_carried(tree: Path) -> None:
    report = gate(tree, step("raw", r"printf '\377\000\033[31mred\r\nend'"))
    assert report.steps[0].tail == ("\ufffd\x00\x1b[31mred", "end")


def test_steps_have_no_input_and_no_git_of_a_hook(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    report = gate(tree, step("read", "! read x"), step("git", 'test -z "$GIT_INDEX_FILE" && git status'))
    assert report.result == "green", report


def test_starts_and_results_are_told_in_order(tree: Path) -> None:
    told: list[str] = []

    def tell(event: steps.StepStart | steps.StepResult) -> None:
        told.append(f"{event.name} {event.outcome if isinstance(event, steps.StepResult) else 'starts'}")

    smoke.run([step("a", "false"), step("b", "true", "a"), step("c", "true")], str(tree), budget_s=9, on_step=tell)
    assert told == ["a starts", "a failed", "b skipped", "c starts", "c passed"]


# --- the tree ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("echo more >> a.txt", "a.txt"),
        ("rm a.txt", "a.txt"),
        ("chmod +x a.txt", "a.txt"),
        ("ln -sf /etc/passwd a.txt", "a.txt"),
        ("echo x > b.txt; git add b.txt", "b.txt"),
        ("git commit -q --allow-empty -m sneaky", "HEAD moved"),
    ],
)
def test_a_step_that_changes_the_tree_is_red(tree: Path, command: str, named: str) -> None:
    report = gate(tree, step("one", command))
    assert report.result == "red"
    assert named in report.reason


def test_a_second_change_of_a_file_that_was_dirty_is_seen(tree: Path) -> None:
    (tree / "a.txt").write_text("dirty\n")
    report = gate(tree, step("one", "echo more >> a.txt"))
    assert (report.result, report.tree) == ("red", None)
    assert gate(tree, step("one", "true")).result == "green"


def test_build_products_and_the_ledger_are_no_change(tree: Path) -> None:
    (tree / "prps").mkdir()
    (tree / "prps" / "P1-001.yaml").write_text("id: P1-001\n")
    run(["git", "add", "-A"], tree)
    run(["git", "commit", "-q", "-m", "ledger"], tree)
    command = "echo x > new.txt; echo y > x.out; echo z >> prps/P1-001.yaml"
    report = smoke.run([step("one", command)], str(tree), budget_s=9, ledger_path="prps/")
    assert report.result == "green", report.reason
    assert smoke.run([step("one", command)], str(tree), budget_s=9).result == "red"


def test_a_verdict_is_on_a_committed_tree_only(tree: Path) -> None:
    repo = Repo(str(tree))
    head = run(["git", "rev-parse", "HEAD^{tree}"], tree).out.strip()
    (tree / "x.out").write_text("ignored\n")
    assert smoke.clean_tree(repo) == head
    (tree / "scratch.txt").write_text("never added\n")
    assert (smoke.clean_tree(repo), smoke.unclean(repo)) == (None, ["scratch.txt"])
    assert gate(tree, step("one", "true")).tree is None
    (tree / "scratch.txt").unlink()
    (tree / "a.txt").write_text("changed\n")
    assert (smoke.clean_tree(repo), smoke.unclean(repo)) == (None, ["a.txt"])
    config = parse('project = "x"\nledger.path = "a.txt"\n', "prp.toml")
    assert (smoke.clean_tree(repo, config), smoke.unclean(repo, config)) == (
        head,
        [],
    )  # a ledger's own change is no obstacle
    run(["git", "add", "-A"], tree)
    assert smoke.clean_tree(repo) is None


def test_outside_git_and_before_the_first_commit_there_is_no_tree(repo: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    for folder in (plain, repo):
        report = gate(folder, step("one", "true"))
        assert (report.result, report.tree) == ("green", None)


def test_a_step_named_with_spaces_in_a_folder_with_spaces(tmp_path: Path) -> None:
    folder = tmp_path / "ein Ordner mit ä"
    folder.mkdir()
    report = gate(folder, step("the tests\x1b[2J", "pwd"))
    assert report.steps[0].tail == (str(folder),)


# --- values -----------------------------------------------------------------------------------------------------------
def test_steps_hash_changes_with_what_decides() -> None:
    one = [step("a", "true"), step("b", "false", "a")]
    base = smoke.steps_hash(one, 180, 0, 0)
    assert base == smoke.steps_hash(list(one), 180, 0, 0)
    assert len(base) == 12
    others = [
        smoke.steps_hash(one, 181, 0, 0),
        smoke.steps_hash(one[:1], 180, 0, 0),
        smoke.steps_hash(one[::-1], 180, 0, 0),
        smoke.steps_hash([step("a", "true "), one[1]], 180, 0, 0),
        smoke.steps_hash([step("A", "true"), one[1]], 180, 0, 0),
        smoke.steps_hash([step("a", "true", timeout=61), one[1]], 180, 0, 0),
        smoke.steps_hash([one[0], step("b", "false")], 180, 0, 0),
    ]
    assert len({base, *others}) == len(others) + 1


def test_json_of_a_report_is_plain(tree: Path) -> None:
    found = json.loads(json.dumps(smoke.to_json(gate(tree, step("a", "exit 2")))))
    assert found["result"] == "red"
    assert found["started"].endswith("Z")
    assert found["steps"][0]["code"] == 2


# --- processes as other systems list them -----------------------------------------------------------------------------
def test_the_list_of_ps_reads_like_the_one_of_proc() -> None:
    text = (
        "    1     0     1 Ss   Sun Nov 22 13:47:01 2026\n"
        "  204     1   204 S+   Sun Nov 22 13:47:09 2026    \n"
        "  205   204   204 Z    Sun Nov 22 13:47:10 2026\n"
    )
    found = process_tree.from_ps(text)
    assert found[204] == process_tree.Process(204, 1, 204, "Sun Nov 22 13:47:09 2026", False)
    assert found[205].zombie
    assert [p.pid for p in process_tree.below(found, [204])] == [204, 205]


def test_a_name_with_brackets_does_not_confuse_the_list() -> None:
    line = "77 (a) S 1 (b)) S 5 77 76 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 424242 1 1\n"
    assert process_tree.from_stat(line) == process_tree.Process(77, 5, 76, "424242", False)


def test_orphans_go_to_init_again_after_the_run(tree: Path) -> None:
    gate(tree, step("one", "true"))
    pid = int(run(["sh", "-c", "setsid sleep 30 >/dev/null 2>&1 & echo $!"], tree).out)
    try:
        assert process_tree.listed()[pid].parent != os.getpid()
    finally:
        os.kill(pid, signal.SIGKILL)
