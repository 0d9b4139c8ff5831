"""The smoke gate as a graph, on real processes: what runs when, what a time-out ends, what is tried again, left out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prpgate import junit, smoke
from prpgate.config import SmokeStep, parse
from prpgate.errors import UsageError
from prpgate.process_tree import ProcessTree
from prpgate.steps import StepResult, StepRun, StepStart, Tick
from tests.ci.test_smoke import alive, tree, unique_seconds

if TYPE_CHECKING:
    from pathlib import Path

    from prpgate.smoke import SmokeReport

__all__ = ["tree"]  # a fixture of test_smoke


def step(
    name: str, command: str, *needs: str, timeout: int = 60, changed: tuple[str, ...] = (), flaky: bool = False
) -> SmokeStep:
    return SmokeStep(name, command, timeout, needs, changed, flaky)


def gate(
    cwd: Path, *declared: SmokeStep, budget: int = 60, parallel: int = 8, min_s: int = 0, paths: set[str] | None = None
) -> SmokeReport:
    return smoke.run(declared, str(cwd), budget_s=budget, parallel=parallel, min_s=min_s, paths=paths)


# --- the graph --------------------------------------------------------------------------------------------------------
PASS, FAIL, SECOND, NEVER = "pass", "fail", "second", "never"  # SECOND and NEVER are flaky: passes then, or never does
COMMANDS = {PASS: "true", FAIL: "exit 3", SECOND: "mkdir {name} 2>/dev/null && exit 3; true", NEVER: "exit 3"}


@st.composite
def graphs(draw: st.DrawFn) -> list[tuple[str, str, tuple[str, ...], bool]]:
    """(name, how it ends, needs, whether it says that nothing that it reads has changed)"""
    names = [f"s{n}" for n in range(draw(st.integers(1, 7)))]
    return [
        (
            name,
            draw(st.sampled_from((PASS, PASS, PASS, FAIL, SECOND, NEVER))),
            tuple(draw(st.sets(st.sampled_from(names[:n])))) if n else (),
            draw(st.sampled_from((False, False, True))),
        )
        for n, name in enumerate(names)
    ]


def read_plainly(graph: list[tuple[str, str, tuple[str, ...], bool]]) -> dict[str, str]:
    """How each step ends, read off the graph."""
    wanted = {name for name, _, _, idle in graph if not idle}
    while more := {need for name, _, needs, _ in graph if name in wanted for need in needs} - wanted:
        wanted |= more
    ends: dict[str, str] = {}
    for name, how, needs, _ in graph:
        if name not in wanted:
            ends[name] = "not needed"
        elif any(ends[need] != "passed" for need in needs):
            ends[name] = "skipped"
        else:
            ends[name] = "passed" if how in (PASS, SECOND) else "failed"
    return ends


@settings(max_examples=60, deadline=None)
@given(graphs(), st.integers(1, 4))
def test_any_graph_runs_as_it_reads(graph: list[tuple[str, str, tuple[str, ...], bool]], at_once: int) -> None:
    declared = [
        step(
            name, COMMANDS[how].format(name=name), *needs, changed=("x",) if idle else (), flaky=how in (SECOND, NEVER)
        )
        for name, how, needs, idle in graph
    ]
    events: list[StepStart | StepResult] = []
    with tempfile.TemporaryDirectory() as folder, ProcessTree() as processes:
        left_out = smoke.not_needed(declared, {"y"})
        one = StepRun(
            *(declared, folder, dict(os.environ), processes, None, events.append),
            parallel=at_once,
            not_needed=left_out,
        )
        one.go(time.monotonic() + 60, 60)
        one.close()
    assert {name: r.outcome for name, r in one.results.items()} == read_plainly(graph)
    running: set[str] = set()
    passed: set[str] = set()
    needs_of = {name: needs for name, _, needs, _ in graph}
    for event in events:
        if isinstance(event, StepStart):
            assert set(needs_of[event.name]) <= passed, "started before what it needs had passed"
            running.add(event.name)
            assert len(running) <= at_once
        else:
            running.discard(event.name)
            if event.outcome == "passed":
                passed.add(event.name)
    for name, how, _, _ in graph:
        result = one.results[name]
        ran = result.outcome in ("passed", "failed")
        assert len(result.before) == (1 if ran and how in (SECOND, NEVER) else 0), (
            "a flaky step is tried twice, no other"
        )


def test_independent_steps_run_side_by_side_up_to_the_number(tree: Path) -> None:
    declared = [step(name, "sleep 1") for name in "abcd"]
    began = time.monotonic()
    report = gate(tree, *declared, parallel=4)
    assert (report.result, report.parallel) == ("green", 4)
    assert time.monotonic() - began < 3
    ends = [s.began_s + s.duration_s for s in report.steps]
    assert max(s.began_s for s in report.steps) < min(ends), "all had begun before the first ended"
    one_by_one = gate(tree, *declared[:2], parallel=1)
    assert one_by_one.steps[1].began_s >= one_by_one.steps[0].began_s + one_by_one.steps[0].duration_s - 0.05


def test_as_many_as_there_are_cores_unless_told(tree: Path) -> None:
    assert gate(tree, step("a", "true"), parallel=0).parallel == len(os.sched_getaffinity(0))


def test_a_step_is_told_while_it_runs_and_lines_say_whose_they_are(tree: Path) -> None:
    lines: list[tuple[str, str]] = []
    ticks: list[Tick] = []
    smoke.run(
        [step("a", "echo one; sleep 1; echo two"), step("b", "sleep 0.4; echo three"), step("c", "true", "a")],
        str(tree),
        budget_s=60,
        parallel=2,
        on_line=lambda name, line: lines.append((name, line)),
        on_tick=ticks.append,
    )
    assert lines == [("a", "one"), ("b", "three"), ("a", "two")]
    assert ticks[0].running == ("a", "b")
    assert (ticks[0].left, ticks[0].budget_s) == (1, 60)
    assert ("a",) in {t.running for t in ticks}


# --- ends -------------------------------------------------------------------------------------------------------------
AWAY = "(setsid sh -c 'echo $$ > {name}.out; trap \"\" TERM; sleep {s}; sleep {s}' {s} &)"


def test_one_steps_time_out_ends_only_what_that_step_started(tree: Path) -> None:
    """Both have a child that left its session and whose parent is gone: only the environment says whose it is."""
    seconds = unique_seconds(tree)
    report = gate(
        tree,
        step("a", AWAY.format(name="a", s=seconds) + f"; sleep {seconds}", timeout=1),
        step("b", AWAY.format(name="b", s=seconds) + "; sleep 4.5; kill -0 $(cat b.out) && ! kill -0 $(cat a.out)"),
    )
    assert [s.outcome for s in report.steps] == ["timeout", "passed"], report
    assert (report.result, alive(seconds)) == ("red", [])


def test_what_cannot_be_told_apart_ends_with_the_run(tree: Path) -> None:
    """In a session of its own, without a parent, with an empty environment: nobody's, until all are ended."""
    seconds = unique_seconds(tree)
    report = gate(
        tree,
        step("a", f"(env -i setsid sleep {seconds} &) ; sleep {seconds}", timeout=1),
        step("b", f"sleep 3; ps ax | grep -q '[s]leep {seconds}'"),
    )
    assert [s.outcome for s in report.steps] == ["timeout", "passed"], report
    assert alive(seconds) == []


def test_the_budget_is_a_hard_stop_for_all_that_run(tree: Path) -> None:
    """Steps that would take ten minutes, hide in sessions of their own and ignore what they are asked; one of them is
    just being ended for its own time-out."""
    seconds = unique_seconds(tree)
    began = time.monotonic()
    report = gate(
        tree,
        step("plain", f"sleep {seconds}"),
        step("deaf", f"trap '' TERM; sleep {seconds}; sleep {seconds}"),
        step("away", AWAY.format(name="x", s=seconds) + f"; sleep {seconds}"),
        step(
            "bare", f"(env -i setsid sh -c 'trap \"\" TERM HUP; sleep {seconds}; sleep {seconds}' &) ; sleep {seconds}"
        ),
        step("late", f"trap '' TERM; sleep {seconds}; sleep {seconds}", timeout=2),
        step("next", "true", "plain"),
        budget=3,
    )
    assert time.monotonic() - began < 3 + 5
    assert alive(seconds) == []
    assert report.result == "red"
    assert "the budget of 3 s ran out while plain, deaf, away, bare" in report.reason
    assert [s.outcome for s in report.steps][:4] == ["timeout"] * 4
    assert report.steps[5].outcome == "skipped"


def test_ctrl_c_ends_all_that_run_and_gives_unknown(tree: Path, tmp_path: Path) -> None:
    seconds = unique_seconds(tree)
    script = tmp_path / "gate.py"
    script.write_text(
        "import json, sys\nfrom prpgate import smoke\nfrom prpgate.config import SmokeStep\n"
        f"slow = \"trap '' INT TERM; setsid sleep {seconds} & echo begun; sleep {seconds}\"\n"
        "steps = [SmokeStep(n, slow, 60, ()) for n in 'ab'] + [SmokeStep('c', 'true', 60, ('a',))]\n"
        "report = smoke.run(steps, sys.argv[1], budget_s=60, parallel=2, on_line=lambda s, l: print(l, flush=True))\n"
        "print(json.dumps(smoke.to_json(report)))\n"
    )
    child = subprocess.Popen([sys.executable, script, tree], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert [child.stdout.readline() for _ in "ab"] == ["begun\n"] * 2
    child.send_signal(signal.SIGINT)
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)  # an impatient second one
    out, _ = child.communicate(timeout=10)
    report = json.loads(out)
    assert (report["result"], [s["outcome"] for s in report["steps"]]) == ("unknown", ["stopped", "stopped", "skipped"])
    assert alive(seconds) == []


# --- flaky ------------------------------------------------------------------------------------------------------------
ONCE = "if mkdir once.out 2>/dev/null; then echo broken; exit 4; fi; echo fine"


def test_a_flaky_step_is_tried_once_more_and_both_are_told(tree: Path) -> None:
    report = gate(tree, step("net", ONCE, flaky=True), step("after", "true", "net"))
    assert (report.result, [s.outcome for s in report.steps]) == ("green", ["passed", "passed"])
    assert "flaky, passed when tried again: net" in report.reason
    first = report.steps[0].before[0]
    assert (first.outcome, first.code, first.tail, report.steps[0].tail) == ("failed", 4, ("broken",), ("fine",))
    assert smoke.to_json(report)["steps"][0]["before"][0]["code"] == 4


def test_a_step_that_is_not_flaky_is_not_tried_again(tree: Path) -> None:
    assert gate(tree, step("net", ONCE)).result == "red"


def test_flaky_twice_is_red(tree: Path) -> None:
    report = gate(tree, step("net", "echo x >> tries.out; exit 4", flaky=True))
    assert (report.result, report.reason) == ("red", "net ended with 4")
    assert (tree / "tries.out").read_text() == "x\nx\n"


def test_what_the_first_try_left_is_gone_before_the_second(tree: Path) -> None:
    seconds = unique_seconds(tree)
    command = (
        f"if mkdir once.out; then setsid sleep {seconds} & echo $! > pid.out; exit 1; fi; ! kill -0 $(cat pid.out)"
    )
    report = gate(tree, step("net", command, flaky=True), step("other", "sleep 1"))
    assert report.result == "green", report


def test_a_flaky_time_out_is_tried_again_within_the_budget(tree: Path) -> None:
    seconds = unique_seconds(tree)
    declared = step("net", f"if mkdir once.out; then sleep {seconds}; fi", timeout=1, flaky=True)
    report = gate(tree, declared)
    assert (report.result, report.steps[0].before[0].outcome) == ("green", "timeout")
    began = time.monotonic()
    report = gate(tree, step("net", f"sleep {seconds}", timeout=2, flaky=True), budget=3)
    assert report.result == "red"
    assert "the budget of 3 s ran out while net was running" in report.reason
    assert time.monotonic() - began < 3 + 5


# --- changed ----------------------------------------------------------------------------------------------------------
def test_a_step_runs_only_where_its_paths_changed(tree: Path) -> None:
    declared = (step("docs", "true", changed=("docs/**", "*.md")), step("code", "true", changed=("src/**",)))
    report = gate(tree, *declared, paths={"src/a.py"})
    assert [s.outcome for s in report.steps] == ["not needed", "passed"]
    assert (report.result, "not needed: docs" in report.reason) == ("green", True)
    assert [s.outcome for s in gate(tree, *declared, paths={"README.md"}).steps] == ["passed", "not needed"]
    assert [s.outcome for s in gate(tree, *declared).steps] == ["passed", "passed"], "nobody knows what changed"


def test_where_no_step_is_needed_nothing_is_proven(tree: Path) -> None:
    report = gate(tree, step("docs", "true", changed=("docs/**",)), paths={"src/a.py"})
    assert (report.result, report.steps[0].outcome) == ("unknown", "not needed")
    assert "no step was needed for what changed" in report.reason


def test_what_a_needed_step_needs_is_needed_too(tree: Path) -> None:
    declared = (step("build", "true", changed=("src/**",)), step("test", "true", "build", changed=("tests/**",)))
    assert [s.outcome for s in gate(tree, *declared, paths={"tests/t.py"}).steps] == ["passed", "passed"]


# --- min_duration -----------------------------------------------------------------------------------------------------
def test_a_run_that_is_too_fast_proves_nothing(tree: Path) -> None:
    report = gate(tree, step("test", "true"), min_s=2)
    assert (report.result, report.steps[0].outcome) == ("unknown", "passed")
    assert report.reason.startswith("faster than smoke_gate.min_duration = 2 s, so nothing was proven")
    assert gate(tree, step("test", "sleep 1.2"), min_s=1).result == "green"
    assert gate(tree, step("test", "false"), min_s=2).result == "red"


# --- declared ---------------------------------------------------------------------------------------------------------
HEAD = 'project = "x"\n'


def test_everything_that_decides_is_in_the_hash() -> None:
    base = (
        HEAD + '[smoke_gate]\nparallel = 2\nmin_duration = 1\n[[smoke]]\nname = "a"\nrun = "x"\nchanged = ["src/**"]\n'
    )
    others = [
        base.replace("parallel = 2", "parallel = 3"),
        base.replace("min_duration = 1", "min_duration = 2"),
        base.replace("src/**", "lib/**"),
        base + "flaky = true\n",
    ]
    hashes = [smoke.hash_of(parse(text, "prp.toml")) for text in (base, *others)]
    assert len(set(hashes)) == len(hashes)
    same = base.replace("parallel = 2", "parallel = 2\nmax_age = 60\ninherit = false")
    assert smoke.hash_of(parse(same, "prp.toml")) == hashes[0]


@pytest.mark.parametrize(
    "wrong",
    [
        "changed = []",
        "changed = [1]",
        'changed = ["/"]',
        'changed = ["a\\u0007"]',
        "changed = 3",
        "flaky = 1",
        'flaky = "yes"',
        'needs = ["later"]',
    ],
)
def test_what_a_step_cannot_say_is_refused_by_name(wrong: str) -> None:
    text = HEAD + f'[[smoke]]\nname = "a"\nrun = "x"\n{wrong}\n[[smoke]]\nname = "later"\nrun = "x"\n'
    with pytest.raises(UsageError, match=wrong.partition(" ")[0]):
        parse(text, "prp.toml")


@pytest.mark.parametrize(
    "wrong", ["parallel = -1", "parallel = true", "min_duration = -1", 'max_age = "1d"', "inherit = 1"]
)
def test_what_the_gate_cannot_say_is_refused_by_name(wrong: str) -> None:
    with pytest.raises(UsageError, match="smoke_gate." + wrong.partition(" ")[0]):
        parse(HEAD + f"[smoke_gate]\n{wrong}\n", "prp.toml")


def test_a_gate_of_a_milestone_knows_no_changed_and_no_flaky() -> None:
    with pytest.raises(UsageError, match="made of name, run, timeout and needs only"):
        parse(HEAD + '[[gates.complete]]\nrun = "x"\nflaky = true\n', "prp.toml")


# --- JUnit ------------------------------------------------------------------------------------------------------------
def test_junit_says_what_the_report_says(tree: Path, tmp_path: Path) -> None:
    report = gate(
        tree,
        step("ok", "echo fine"),
        step("flaky", ONCE, flaky=True),
        step("bad\x1b[2J", r"printf 'a<b&\001\377\n'; exit 3"),
        step("never", "true", "bad\x1b[2J"),
        step("docs", "true", changed=("docs/**",)),
        paths=set(),
    )
    path = tmp_path / "out" / "junit.xml"
    junit.write(str(path), report.result, report.reason, report)
    suite = ET.parse(path).getroot()
    assert {k: suite.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
        "tests": "6",
        "failures": "2",
        "errors": "0",
        "skipped": "2",
    }
    cases = {case.get("name"): case for case in suite}
    assert [child.tag for child in cases["flaky"]] == ["flakyFailure", "system-out"]
    bad = cases["bad\\x1b[2J"]
    failure = bad.find("failure")
    assert failure is not None
    assert failure.get("message") == "bad\\x1b[2J ended with 3"
    assert bad.findtext("system-out") == "a<b&\\x01\ufffd"
    gate_itself = cases["(gate)"].find("failure")
    assert gate_itself is not None
    assert (gate_itself.get("type"), cases["docs"].find("skipped") is not None) == ("red", True)
    assert list((tmp_path / "out").iterdir()) == [path]
    junit.write(str(path), "unknown", "nobody knows", None)
    assert ET.parse(path).getroot().get("errors") == "1"
