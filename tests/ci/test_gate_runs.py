"""Earlier runs of the gate: what is kept of them, and the figures that are made of it."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from math import ceil
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prpgate import gate_runs
from prpgate.gate_runs import Run, StepNote
from tests.ci.github import Github
from tests.ci.test_smoke import alive, unique_seconds
from tests.ci.test_verdict_cache import Desk

if TYPE_CHECKING:
    from tests.world import Server, World


def one(
    duration_s: float, result: str = "green", *, sha: str = "c1", attempt: int = 1, how: str = "run", **more: Any
) -> Run:
    told = {"klass": "ci", "steps_hash": "h1", "budget_s": 180, **more}
    steps = told.pop("steps", (StepNote("unit", "passed" if result == "green" else "failed", duration_s, 1),))
    return Run(0, how, result, told["klass"], sha, "t", told["steps_hash"], "ci", "", duration_s, 180, attempt, steps)


# --- figures ----------------------------------------------------------------------------------------------------------
@given(st.lists(st.floats(0, 1000), min_size=1, max_size=60))
def test_percentiles_are_by_nearest_rank(durations: list[float]) -> None:
    found = gate_runs.stats([one(d, sha=str(n)) for n, d in enumerate(durations)], "ci")
    assert found is not None
    p50 = next(d for d in sorted(durations) if sum(x <= d for x in durations) >= ceil(0.5 * len(durations)))
    p95 = next(d for d in sorted(durations) if sum(x <= d for x in durations) >= ceil(0.95 * len(durations)))
    assert (found.gate.p50_s, found.gate.p95_s, found.gate.most_s) == (p50, p95, max(durations))
    assert found.left_s == 180 - p95


def test_red_then_green_is_a_flake_and_red_twice_is_none() -> None:
    runs = [
        one(10, "red", sha="c1"),
        one(12, "green", sha="c1", attempt=2),
        one(10, "red", sha="c2"),
        one(10, "red", sha="c2", attempt=2),
        one(10, sha="c3"),
        one(10, sha="c4", steps=(StepNote("unit", "passed", 10.0, 2),)),
    ]
    found = gate_runs.stats(runs, "ci")
    assert found is not None
    assert (found.gate.runs, found.gate.failed, found.gate.flaked, found.flake_rate) == (4, 1, 2, 0.5)
    assert (found.gate.most_s, found.landings, round(found.minutes * 60)) == (22, 4, 62)
    assert [(f.runs, f.failed, f.flaked) for f in found.steps] == [(6, 3, 1)]


def test_figures_are_of_one_class_and_of_the_steps_of_today() -> None:
    runs = [one(500, steps_hash="old"), one(1, klass="local"), one(10), one(0, how="cached", steps=(), sha="c9")]
    found = gate_runs.stats(runs, "ci")
    assert found is not None
    assert (found.gate.runs, found.gate.most_s, found.spared, found.landings) == (1, 10, 1, 2)
    assert gate_runs.stats(runs[1:2], "ci") is None


def test_slow_is_said_over_90_seconds_and_not_over_a_few_runs() -> None:
    def slow(*durations: float) -> bool:
        found = gate_runs.stats([one(d, sha=str(n)) for n, d in enumerate(durations)], "ci")
        return found is not None and found.slow

    assert slow(91, 91, 91, 91, 91)
    assert not slow(90, 90, 90, 90, 90)
    assert not slow(91, 91, 91, 91)


# --- kept -------------------------------------------------------------------------------------------------------------
def test_runs_here_are_kept_and_the_list_is_bounded(world: World, server: Server) -> None:
    desk = Desk(world, server)
    desk.smoke()
    desk.smoke()
    kept = gate_runs.read(desk.lock.store)
    assert [(r.how, r.klass, r.result, r.by) for r in kept] == [
        ("run", "local", "green", "ana"),
        ("cached", "local", "green", "ana"),
    ]
    assert [s[:2] for s in kept[0].steps] == [("unit", "passed")]
    assert kept[0].sha == desk.ana.head
    client: Any = desk.lock.store.redis
    text = client.xrange(desk.lock.store.keys.gate_runs)[0][1]["run"]
    with client.pipeline(transaction=False) as pipe:
        for _ in range(3 * gate_runs.MOST):
            pipe.xadd(desk.lock.store.keys.gate_runs, {"run": text}, maxlen=gate_runs.MOST, approximate=True)
        pipe.execute()
    desk.smoke("--no-cache")
    assert client.xlen(desk.lock.store.keys.gate_runs) < 1.2 * gate_runs.MOST


def test_stats_for_people_and_for_programs(world: World, server: Server) -> None:
    desk = Desk(world, server)
    assert "No run of the smoke gate is on record yet" in desk.ana.prp("smoke", "stats").out
    assert json.loads(desk.ana.prp("smoke", "stats", "--json").out)["classes"] == []
    desk.smoke()
    desk.smoke()
    said = desk.ana.prp("smoke", "stats").out
    assert "the gate  1" in said
    assert "1 verdict without a run: cached or inherited" in said
    found = json.loads(desk.ana.prp("smoke", "stats", "--json").out)["classes"][0]
    assert (found["class"], found["gate"]["runs"], found["spared"], found["budget_s"]) == ("local", 1, 1, 60)
    assert desk.ana.prp("smoke", "stats", "-n", "0", ok=False).code == 2


def test_a_slow_gate_is_a_warning_of_stats_and_doctor(world: World, server: Server) -> None:
    desk = Desk(world, server)
    client: Any = desk.lock.store.redis
    for n in range(6):
        told = one(100 + n, sha=str(n))._asdict()
        del told["at_ms"]
        client.xadd(desk.lock.store.keys.gate_runs, {"run": json.dumps(told)})
    warning = (
        "The gate's P95 in CI is 105 s: while it runs nobody else lands, so a lane takes at most 34 landings an hour"
    )
    assert warning in desk.ana.prp("smoke", "stats").out
    assert warning in desk.ana.prp("doctor", ok=False).text


def test_ci_keeps_every_attempt_and_the_flake_is_counted(world: World, server: Server) -> None:
    github = Github(world, 'name = "unit"\nrun = "mkdir once 2>/dev/null && exit 1; true"', gate="ci")
    lock = github.use(server)
    assert github.on_push(github.land(lock, "more", {"b": "b\n"})).code == 0
    kept = gate_runs.read(lock.store)
    assert [(r.result, r.attempt, r.klass) for r in kept] == [("red", 1, "ci"), ("green", 2, "ci")]
    found = gate_runs.stats(kept, "ci")
    assert found is not None
    assert (found.gate.runs, found.gate.flaked, found.flake_rate) == (1, 1, 1.0)


@pytest.mark.parametrize("step", ["true", "exit 1"])
def test_the_runs_of_merge_groups_count_too(world: World, server: Server, step: str) -> None:
    """They take minutes as any other, also where the queue throws the group away."""
    github = Github(world, f'name = "unit"\nrun = "{step}"', gate="ci", more="lane.red_retries = 0\n")
    lock = github.use(server)
    head = github.push("in the queue", {"b": "b\n"})
    payload = {"merge_group": {"base_ref": "refs/heads/main"}}
    github.end(github.start(github.checkout(head), "merge_group", payload, head, "refs/heads/q/main/pr-1"))
    (kept,) = gate_runs.read(lock.store)
    assert (kept.sha, kept.klass, kept.result) == (head, "ci", "green" if step == "true" else "red")


def test_an_interrupted_run_is_not_kept(world: World, server: Server) -> None:
    seconds = unique_seconds(world.folder)
    desk = Desk(world, server, steps=f'run = "echo begun; sleep {seconds}"')
    command = [sys.executable, "-m", "prpgate", "smoke", "--junit", "junit.out"]
    child = subprocess.Popen(
        command, cwd=desk.ana.path, env={**os.environ, **desk.ana.env}, stderr=subprocess.PIPE, text=True
    )
    assert child.stderr is not None
    while "begun" not in child.stderr.readline():
        assert child.poll() is None
    child.send_signal(signal.SIGTERM)  # as Ctrl-C
    child.communicate(timeout=20)
    assert (child.returncode, alive(seconds)) == (130, [])
    assert gate_runs.read(desk.lock.store) == []
    assert 'type="unknown"' in (desk.ana.path / "junit.out").read_text()


def test_a_cancelled_run_in_ci_is_not_kept(world: World, server: Server) -> None:
    github = Github(world, f'run = "echo begun; sleep {unique_seconds(world.folder)}"', gate="ci")
    lock = github.use(server)
    head = github.land(lock, "more", {"b": "b\n"})
    process = github.start(github.checkout(head), "push", {"before": github.base}, head)
    assert process.stdout is not None
    while "begun" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert github.end(process).outputs["verdict"] == "unknown"
    assert gate_runs.read(lock.store) == []


# --- on a terminal ----------------------------------------------------------------------------------------------------
def test_on_a_terminal_a_line_says_what_runs_and_how_much_time_is_used(world: World, server: Server) -> None:
    desk = Desk(world, server, steps='name = "slow"\nrun = "sleep 1.5"', more="smoke_gate.parallel = 2")
    ours, theirs = pty.openpty()
    env = {**os.environ, **desk.ana.env, "COLUMNS": "80"}
    child = subprocess.Popen(
        [sys.executable, "-m", "prpgate", "smoke"],
        cwd=desk.ana.path,
        env=env,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    said, until = b"", time.monotonic() + 30
    while time.monotonic() < until and child.poll() is None:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                said += os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
    child.wait(10)
    os.close(ours)
    assert b"\r\x1b[Ksmoke: slow \xc2\xb7 1 s of 60 s" in said
    assert child.returncode == 0


def test_without_a_terminal_there_is_no_progress_line(world: World, server: Server) -> None:
    desk = Desk(world, server, steps='name = "slow"\nrun = "echo hello; sleep 1"')
    done = desk.ana.prp("smoke")
    assert "slow | hello\n" in done.err
    assert "\r" not in done.text
    assert " s of 60 s" not in done.text
