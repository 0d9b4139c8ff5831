"""[gates.validated] and [gates.complete]: the team's own steps before a milestone."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from prpgate import config as configuration
from prpgate import gates
from prpgate.errors import CouldNotTell, UsageError, UserError
from tests.prps import OLD, TOML, Desk, office

if TYPE_CHECKING:
    from tests.world import Server, World


def gate(name: str, run: str, more: str = "") -> str:
    return f"[[gates.{name}]]\nname = 'check'\nrun = '''{run}'''\n{more}\n"


def desk(world: World, server: Server, *declared: str, ledger: str = OLD) -> Desk:
    (ann,) = office(world, server, "ann", config=TOML + "\n".join(declared), ledger=ledger)
    return ann


def log(ann: Desk, prp_id: str, name: str) -> str:
    return Path(ann.repo.git_dir, gates.FOLDER, f"{prp_id}-{name}.log").read_text("utf-8")


def test_a_green_gate_lets_the_milestone_through(world: World, server: Server) -> None:
    ann = desk(world, server, gate("validated", "echo looked at $PRP_ID"))
    heard: list[str] = []
    done = ann.validate("P1-004", on_line=lambda step, line: heard.append(f"{step}: {line}"))
    assert done.prp.status == "validated" and "1 step passed" in done.notes[0]
    assert heard == ["check: looked at P1-004"]
    assert "check | looked at P1-004" in log(ann, "P1-004", "validated")
    (run,) = gates.last(ann.repo.git_dir, "P1-004")
    assert (run.gate, run.result, run.agent) == ("validated", "green", "ann")


def test_a_red_gate_changes_nothing_and_shows_the_failing_steps_end(world: World, server: Server) -> None:
    ann = desk(world, server, gate("validated", "seq 1 50; echo 'no tests' >&2; exit 3"))
    before, tree = ann.snapshot(), ann.ledger()
    with pytest.raises(UserError) as e:
        ann.validate("P1-004")
    assert (e.value.code, e.value.next_action) == ("gate-red", "prp validate P1-004")
    assert "check" in e.value.message and "Nothing was changed" in e.value.message
    assert e.value.hint is not None
    assert "no tests" in e.value.hint and "check | 40" in e.value.hint and "check | 30\n" not in e.value.hint
    assert (ann.snapshot(), ann.ledger()) == (before, tree)
    assert "check | 1\n" in log(ann, "P1-004", "validated")
    (run,) = gates.last(ann.repo.git_dir, "P1-004")
    assert run.result == "red" and run.path in e.value.hint


def test_complete_has_a_gate_of_its_own(world: World, server: Server) -> None:
    ann = desk(world, server, gate("complete", "test -f done.txt"))
    assert ann.validate("P1-004").prp.status == "validated"
    ann.start("P1-003")
    assert ann.code("complete", "P1-003") == "gate-red"
    assert (ann.prp("P1-003").status, ann.prp("P1-003").phase) == ("in_progress", None)
    ann.clone.write("done.txt", "yes")
    assert ann.code("complete", "P1-003") == ""
    assert ann.prp("P1-003").phase == "completing"
    Path(ann.clone.path, "done.txt").unlink()
    assert ann.code("complete", "P1-003") == "already"  # it was let through once
    assert ann.complete_undo("P1-003").prp.phase is None


def test_a_gate_does_not_run_for_what_would_be_refused_anyway(world: World, server: Server) -> None:
    ann = desk(world, server, gate("validated", "touch ran"), gate("complete", "touch ran"))
    for verb, prp_id, code in (
        ("validate", "P1-003", "validated"),
        ("validate", "P9-999", "unknown-prp"),
        ("complete", "P1-003", "not-started"),
        ("complete", "P1-002", "not-claimed"),
    ):
        assert ann.code(verb, prp_id) == code
    ann.edit("P1-004", "status: new", "status: deprecated")  # a line that is not current
    assert ann.code("validate", "P1-004") == "stale-line"
    assert not Path(ann.clone.path, "ran").exists()


def test_the_prp_is_in_the_environment_and_never_in_the_shell(world: World, server: Server) -> None:
    hostile = "'; touch owned; echo $(touch owned) `touch owned` \\e[31m"
    ledger = OLD.replace("title: The work of P1-004", f"doc: docs/four.md\n    title: {json.dumps(hostile)}")
    ann = desk(
        world, server, gate("validated", 'printf "%s|%s|%s" "$PRP_ID" "$PRP_TITLE" "$PRP_DOC" > said'), ledger=ledger
    )
    ann.validate("P1-004")
    title = ann.prp("P1-004").title
    assert "touch owned" in title
    assert ann.clone.read("said") == f"P1-004|{title}|docs/four.md"
    assert not Path(ann.clone.path, "owned").exists()


def test_a_step_that_takes_too_long_ends_with_all_it_started(world: World, server: Server) -> None:
    run = "setsid sh -c 'echo $$ > pid; exec sleep 300' & sleep 300"
    ann = desk(world, server, gate("validated", run, "timeout = 3"))
    began = time.monotonic()
    assert ann.code("validate", "P1-004") == "gate-red"
    assert time.monotonic() - began < 60, "not the five minutes that it would take"
    pid = int(ann.clone.read("pid"))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert ann.prp("P1-004").status == "new"


def test_all_steps_run_and_each_is_in_the_log(world: World, server: Server) -> None:
    two = gate("validated", "echo first; false") + gate("validated", "echo second").replace("'check'", "'two'")
    ann = desk(world, server, two)
    with pytest.raises(UserError) as e:
        ann.validate("P1-004")
    assert "check" in e.value.message
    assert "check | first" in log(ann, "P1-004", "validated") and "two | second" in log(ann, "P1-004", "validated")


def test_a_gate_that_cannot_be_run_could_not_tell(world: World, server: Server) -> None:
    needs = gate("validated", "true") + "[[gates.validated]]\nname = 'b'\nrun = 'true'\nneeds = ['check']\n"
    ann = desk(world, server, needs)
    before = ann.snapshot()
    path = os.environ["PATH"]
    folder = Path(ann.clone.path, "bin")
    folder.mkdir()
    for tool in ("git",):
        found = subprocess.run(["which", tool], capture_output=True, text=True, check=True).stdout.strip()
        (folder / tool).symlink_to(found)
    os.environ["PATH"] = str(folder)  # there is no sh
    try:
        with pytest.raises(CouldNotTell) as e:
            ann.validate("P1-004")
    finally:
        os.environ["PATH"] = path
    assert e.value.code == "gate-unknown"
    assert ann.snapshot() == before


def test_ids_of_old_ledgers_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    assert gates.last(str(tmp_path), "../../escape") == []
    folder = Path(gates._path(str(tmp_path), "../../escape", gates.COMPLETE)).parent
    assert folder == tmp_path / gates.FOLDER


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("[gates.validated]\nrun = 'true'\n", 1),
        ("[[gates.validated]]\nrun = 'true'\n[[gates.validated]]\nrun = 'false'\n", 2),
        ("", 0),
    ],
)
def test_both_forms_are_read(text: str, count: int) -> None:
    config = configuration.parse(TOML + text, "prp.toml")
    assert (len(config.gates_validated), config.gates_complete, config.unknown) == (count, (), ())
    assert all(s.timeout_s == configuration.GATE_STEP_S for s in config.gates_validated)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[gates.complete]]\nname = 'x'\n", "[[gates.complete]] number 1"),
        ("gates.complete = 'make'\n", "gates.complete"),
        ("[[gates.complete]]\nrun = 'true'\ntimeout = 0\n", "timeout"),
    ],
)
def test_a_gate_that_cannot_be_read_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError) as e:
        configuration.parse('project = "example/app"\n' + text, "prp.toml")
    assert said in e.value.message


def test_gates_that_no_version_knows_are_named() -> None:
    assert configuration.parse(TOML + gate("started", "true"), "prp.toml").unknown == ("gates.started",)


def by_command(world: World, server: Server, *declared: str) -> Desk:
    store = '[store]\nid = "the-id"\n'
    (ann,) = office(world, server, "ann", config=TOML + store + "\n".join(declared))
    ann.store.run("adopt", [ann.store.keys.meta], ["the-id", 0])
    ann.clone.env["REDIS_URL"] = server.url
    return ann


def test_the_policy_is_the_lanes_and_status_shows_the_last_run(world: World, server: Server) -> None:
    ann = by_command(world, server, gate("validated", "test -f reviewed"))
    ann.clone.write("prp.toml", TOML + '[store]\nid = "the-id"\n')  # an agent that would rather have no gate
    red = ann.clone.prp("validate", "P1-004", ok=False)
    assert red.code == 1 and "gate validated is red" in red.err
    shown = ann.clone.prp("status", "P1-004")
    assert "gate validated: red" in shown.out and "P1-004-validated.log" in shown.out
    told = json.loads(ann.clone.prp("status", "P1-004", "--json").out)
    assert [(g["gate"], g["result"]) for g in told["gates"]] == [("validated", "red")]
    ann.clone.write("reviewed", "")
    assert ann.clone.prp("validate", "P1-004").code == 0
    assert "gate validated: green" in ann.clone.prp("status", "P1-004").out


def test_an_interrupted_gate_leaves_nothing_running_and_changes_nothing(world: World, server: Server) -> None:
    ann = by_command(world, server, gate("validated", "echo $$ > pid; sleep 300"))
    before = ann.snapshot()
    command = [sys.executable, "-m", "prpgate", "validate", "P1-004"]
    env = {**os.environ, **ann.clone.env}
    running = subprocess.Popen(command, cwd=ann.clone.path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until = time.monotonic() + 30
    pid = 0
    while not pid and time.monotonic() < until:
        with contextlib.suppress(FileNotFoundError, ValueError):
            pid = int(ann.clone.read("pid"))
        time.sleep(0.05)
    assert pid
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=60)
    assert running.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert ann.snapshot() == before
    (run,) = gates.last(ann.repo.git_dir, "P1-004")
    assert run.result == "unknown"
