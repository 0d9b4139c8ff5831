"""What the linters do not say of the workflows, the action, the hook lists and .ci/run; and the action's own script."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from prpgate.cli.main import find
from prpgate.config import parse
from prpgate.observing import GATE_STEP
from tests.ci.github import Github, outputs
from tests.world import World, run, server_binary

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))
ACTION = ROOT / "ci" / "action.yml"
EVENTS = {"push", "pull_request", "merge_group", "workflow_dispatch"}
PINNED = re.compile(r"uses: (\./ci|[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)")


def load(path: Path) -> dict[Any, Any]:
    found = yaml.safe_load(path.read_text("utf-8"))
    assert isinstance(found, dict)
    return found


def scripts(value: object) -> Iterator[str]:
    """Every `run` anywhere in a workflow or action."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "run":
                yield str(inner)
            yield from scripts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from scripts(inner)


@pytest.mark.parametrize("name", ["smoke.yml", "ci.yml"])
def test_workflows_run_for_everything_that_comes(name: str) -> None:
    workflow = load(FOLDER / name)
    assert set(workflow[True]) == EVENTS, "YAML reads `on` as true"
    filtered = [event for event, given in workflow[True].items() if given and event != "workflow_dispatch"]
    assert not filtered, "a gate with a filter is a gate that some pushes go round"
    assert "github.sha" in workflow["concurrency"]["group"]
    assert workflow["concurrency"]["cancel-in-progress"] is False
    if name == "smoke.yml":  # the same commit may be pushed to a branch, a candidate and the lane within seconds
        assert "github.ref" in workflow["concurrency"]["group"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_workflows_ask_for_little_and_end_by_themselves(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        assert job["timeout-minutes"] == "${{ inputs.timeout-minutes }}" or job["timeout-minutes"] <= 30
        publishes = (path.name, name) == ("release.yml", "publish")
        assert job["permissions"] == (
            {"id-token": "write", "attestations": "write"} if publishes else {"contents": "read"}
        )
        checkouts = [s for s in job["steps"] if s.get("uses", "").startswith("actions/checkout@")]
        assert {s["with"]["persist-credentials"] for s in checkouts} == (set() if publishes else {False})


def test_everything_runs_on_every_python_and_the_compose_file_is_the_service() -> None:
    jobs = load(FOLDER / "ci.yml")["jobs"]
    assert jobs["test"]["strategy"]["matrix"] == {"python": ["3.11", "3.12", "3.13", "3.14"]}
    assert list(scripts(jobs["test"])) == [".ci/run"]
    assert list(scripts(jobs["compose"]))[1:] == [
        "docker compose up --detach --wait",
        ".ci/service redis://127.0.0.1:6379/0",
    ]
    whole = (ROOT / ".ci" / "run").read_text("utf-8")
    assert 'step "merge lock on Redis 7"' in whole, "and everything on Valkey"


@pytest.mark.parametrize("path", [FOLDER / "gate.yml", FOLDER / "smoke.yml"], ids=lambda p: p.name)
def test_the_gates_step_has_the_name_that_check_runs_are_read_by(path: Path) -> None:
    (job,) = load(path)["jobs"].values()
    assert job["steps"][-1]["name"] == GATE_STEP


def test_what_is_released_was_built_once_from_the_tag_and_is_attested() -> None:
    workflow = load(FOLDER / "release.yml")
    build, publish = workflow["jobs"]["build"], workflow["jobs"]["publish"]
    assert workflow[True] == {"release": {"types": ["published"]}}
    assert (publish["needs"], publish["environment"]) == ("build", "pypi")
    assert not any("run" in step for step in publish["steps"]), "nothing of the project runs beside the identity"
    used = [step["uses"].partition("@")[0] for step in publish["steps"]]
    assert used == ["actions/download-artifact", "actions/attest-build-provenance", "pypa/gh-action-pypi-publish"]
    assert "__version__" in " ".join(scripts(build))


def test_the_reusable_workflow_is_the_action_with_what_comes_before_it() -> None:
    workflow, action = load(FOLDER / "gate.yml"), load(ACTION)
    (job,) = workflow["jobs"].values()
    assert set(workflow[True]) == {"workflow_call"}
    assert set(workflow[True]["workflow_call"]["outputs"]) == set(job["outputs"]) == set(action["outputs"])
    own, theirs = (s["with"] for s in job["steps"] if s.get("uses", "").startswith("actions/checkout@"))
    assert (own["repository"], own["ref"]) == ("${{ job.workflow_repository }}", "${{ job.workflow_sha }}")
    assert (theirs["ref"], theirs["fetch-depth"]) == ("${{ github.event.inputs.sha }}", 0)
    ours = [
        s.replace("$GITHUB_ACTION_PATH/..", "$SOURCE").replace("$GITHUB_ACTION_PATH", "$SOURCE/ci")
        for s in scripts(action)
    ]
    called = [s.replace("$RUNNER_TEMP/prpgate-source", "$SOURCE") for s in scripts(workflow)]
    assert [s for s in called if s in ours] == ours


@pytest.mark.parametrize("path", [FOLDER / "gate.yml", FOLDER / "smoke.yml"], ids=lambda p: p.name)
def test_the_secret_goes_to_what_has_landed_only(path: Path) -> None:
    """A pull request's run has no use for it, and its code is not reviewed yet."""
    (line,) = [x for x in path.read_text("utf-8").splitlines() if "&& secrets." in x]
    named = re.search(r"fromJSON\('(\[.*?\])'\), github.event_name\)", line)
    assert named is not None
    assert set(json.loads(named.group(1))) == {"push", "merge_group", "workflow_dispatch"}
    assert line.rstrip().endswith("|| '' }}")


@pytest.mark.parametrize("path", [*WORKFLOWS, ACTION], ids=lambda p: p.name)
def test_actions_are_pinned_and_no_value_is_pasted_into_a_script(path: Path) -> None:
    lines = [line for line in path.read_text("utf-8").splitlines() if "uses:" in line]
    assert lines
    assert [line for line in lines if not PINNED.search(line)] == []
    assert [script for script in scripts(load(path)) if "${{" in script] == []


def test_the_gate_fits_its_name() -> None:
    workflow = load(ROOT / ".github" / "workflows" / "smoke.yml")
    steps = workflow["jobs"]["smoke"]["steps"]
    assert steps[-1]["uses"] == "./ci"
    assert steps[0]["with"]["fetch-depth"] == 0, "the pushed range is judged"


@pytest.mark.parametrize("event", ["push", "pull_request"])
def test_the_actions_own_script_runs_the_gate(world: World, tmp_path: Path, event: str) -> None:
    """The last step of action.yml as the runner runs it: bash, its env, the Python that the step before prepared."""
    github = Github(world)
    head = github.push("more", {"b": "b\n"})
    checkout = github.checkout(head)
    temp = tmp_path / "temp"
    temp.mkdir()
    (temp / "prpgate").symlink_to(sys.prefix)
    step = next(s for s in load(ACTION)["runs"]["steps"] if s.get("id") == "gate")
    assert step["env"] == {"PRP_REDIS_URL": "${{ inputs.redis-url }}", "PRP_JUNIT": "${{ inputs.junit }}"}
    (tmp_path / "event.json").write_text(f'{{"before": "{github.base}"}}')
    script = tmp_path / "step.sh"
    script.write_text(step["run"])
    env = {
        "GITHUB_ACTION_PATH": str(ACTION.parent),
        "RUNNER_TEMP": str(temp),
        "GITHUB_WORKSPACE": str(checkout),
        "GITHUB_SHA": head,
        "GITHUB_EVENT_NAME": event,
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
        "GITHUB_REF": "refs/heads/main",
        "GITHUB_OUTPUT": str(tmp_path / "out"),
        "PRP_REDIS_URL": "",
    }
    done = run(["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", script], checkout, env=env)
    assert "::notice title=smoke gate%3A green::" in done.out
    assert outputs((tmp_path / "out").read_text())["verdict"] == "green"


def test_the_actions_outputs_are_given() -> None:
    action = load(ACTION)
    for name, output in action["outputs"].items():
        assert output["value"] == f"${{{{ steps.gate.outputs.{name} }}}}"
    assert set(action["outputs"]) == {"verdict", "tree", "fence", "reason", "duration", "again"}


# --- hook lists -------------------------------------------------------------------------------------------------------
def hooks() -> dict[str, dict[str, Any]]:
    found = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    return {hook["id"]: hook for hook in found}


def test_hooks_for_the_framework_see_every_commit() -> None:
    stages = {name: hook["stages"] for name, hook in hooks().items()}
    assert stages == {
        "prp-check": ["pre-commit", "pre-merge-commit"],
        "prp-commit-msg": ["commit-msg"],
        "prp-merge-lock": ["pre-push"],
    }
    for name, hook in hooks().items():
        assert hook["always_run"], "a commit that only deletes files skips hooks that filter by file"
        assert hook["require_serial"]
        assert hook["pass_filenames"] is (name == "prp-commit-msg")
        assert hook["language"] == "python"
    assert "first branch of a push" in " ".join(hooks()["prp-merge-lock"]["description"].split())


def test_every_command_in_the_hook_lists_is_one_of_ours() -> None:
    config = load(ROOT / ".pre-commit-config.yaml")
    local = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert {repo["repo"] for repo in config["repos"]} == {"local"}, "nothing is fetched from a code host"
    assert {hook["language"] for hook in local} == {"system"}
    entries = [hook["entry"].split() for hook in (*hooks().values(), *local)]
    for words in entries:
        if words[:3] == ["python", "-m", "prpgate"]:
            words = ["prp", *words[3:]]
        if words[0] == "prp":
            assert find(words[1:]) is not None, words


# --- .ci/run ----------------------------------------------------------------------------------------------------------
def test_the_full_run_calls_the_readmes_own_test_command(tmp_path: Path) -> None:
    """The line that .ci/run takes out of the README is the command below the marker, whole and nothing else."""
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    extract = next(line for line in script.splitlines() if line.startswith("line=$(awk"))
    done = run(["bash", "-c", f"{extract}\nprintf '%s' \"$line\""], ROOT)
    assert done.out == "python3 -m venv .venv && .venv/bin/pip install -q -e '.[dev]' && .venv/bin/pytest -q -n auto"


def test_the_full_run_stops_at_the_first_failure(tmp_path: Path) -> None:
    """With a pip that fails, nothing after it runs, and the exit code says so."""
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "python3").write_text(
        '#!/bin/sh\nmkdir -p "$3/bin"\nprintf "#!/bin/sh\\nexit 9\\n" > "$3/bin/pip"\nchmod +x "$3/bin/pip"\n'
    )
    (fake / "python3").chmod(0o755)
    env = {**os.environ, "PATH": f"{fake}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}
    done = subprocess.run([ROOT / ".ci" / "run"], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 9
    assert "== ruff" not in done.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["bin"], "it cleans up after itself"


def listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def test_a_store_that_is_a_service_serves_a_team(tmp_path: Path) -> None:
    """.ci/service is what ci.yml runs against the compose file's server; here against one with the same options."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]["redis"]["command"]
    options = command.removeprefix("redis-server ").split()
    started = [server_binary(), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path), *options]
    server = subprocess.Popen(started, stdout=subprocess.DEVNULL)
    try:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        until = time.monotonic() + 10
        while not listens(port):
            assert time.monotonic() < until
            time.sleep(0.05)
        done = run([ROOT / ".ci" / "service", f"redis://127.0.0.1:{port}/0"], tmp_path, env={"PATH": path})
        assert "the service works" in done.out
    finally:
        server.kill()
        server.wait()


def test_this_repository_declares_the_gate_that_its_workflow_runs() -> None:
    config = parse((ROOT / "prp.toml").read_text("utf-8"), "prp.toml")
    assert config.smoke
    assert config.smoke_budget_s < 180
    assert config.unknown == ()
