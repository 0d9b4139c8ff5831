"""`prp init --ci github`: what is proposed, what is taken unasked, what is written, and what is left alone."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from prpgate import recipes, workflow_file
from prpgate.config import parse
from prpgate.messages import recipes as say
from tests.ci.act import GATE, ROOT, WORKFLOW, Runner, pins
from tests.ci.test_workflows import PINNED, scripts
from tests.e2e.test_what_is_suggested import type_it
from tests.world import Clone, World, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAKE = """\
HOST = app.prod.example.org
URL = https://$(HOST)
.PHONY: test smoke check
test: build
\tgotestsum
build:
\t./scripts/build.sh
smoke:
\tpytest tests/smoke --base-url=$(URL)
check: lint
\tmypy .
lint:
\truff check .
"""


def repository(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def found(folder: Path, files: dict[str, str]) -> dict[str, recipes.Recipe]:
    return {r.name: r for r in recipes.find(str(repository(folder, files))).recipes}


# --- what is found ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("files", "run_line", "setup"),
    [
        ({"tests/test_a.py": ""}, "python -m pytest -q -x", "python -m pip install pytest"),
        ({"pytest.ini": "[pytest]\n", "requirements.txt": ""}, "python -m pytest -q -x", "-r requirements.txt"),
        (
            {"pyproject.toml": '[project]\nname = "a"\n[project.optional-dependencies]\ntest = []\n[tool.pytest]\n'},
            "python -m pytest -q -x",
            "python -m pip install -e '.[test]'",
        ),
        ({"tests/smoke/test_a.py": ""}, "python -m pytest -q -x tests/smoke", "pip install pytest"),
        ({"package.json": '{"scripts": {"test": "vitest"}}', "package-lock.json": ""}, "npm run test", "npm ci"),
        ({"package.json": '{"scripts": {"lint": "eslint"}}', "pnpm-lock.yaml": ""}, "pnpm run lint", "pnpm install"),
        ({"go.mod": "module x\n"}, "go test ./...", ""),
        ({"Cargo.toml": "", "Cargo.lock": ""}, "cargo test --locked", ""),
        ({"Makefile": "test:\n\ttrue\n"}, "make test", ""),
    ],
)
def test_what_is_found(tmp_path: Path, files: dict[str, str], run_line: str, setup: str) -> None:
    got = recipes.find(str(repository(tmp_path / "r", files)))
    assert run_line in [r.run for r in got.recipes if r.safe]
    assert setup in "\n".join(got.setup)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"package.json": "{"},
        {"package.json": '{"scripts": []}'},
        {"pyproject.toml": "["},
        {"Makefile": ":::\n\tx\n"},
    ],
)
def test_what_offers_nothing(tmp_path: Path, files: dict[str, str]) -> None:
    assert recipes.find(str(repository(tmp_path / "r", files))) == recipes.Found((), ())


def test_npms_own_placeholder_is_no_test(tmp_path: Path) -> None:
    script = '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'
    assert found(tmp_path / "r", {"package.json": script}) == {}


def test_a_recipe_comes_with_everything_that_it_leads_to(tmp_path: Path) -> None:
    files = {"Makefile": MAKE, "scripts/build.sh": "#!/bin/sh\n# builds\ncc main.c\n"}
    files["package.json"] = json.dumps({"scripts": {"pretest": "npm run gen", "gen": "tool", "test": "vitest"}})
    got = found(tmp_path / "r", files)
    assert got["make-test"].text == ("build: ./scripts/build.sh", "test: gotestsum", "scripts/build.sh: cc main.c")
    assert got["make-check"].text == ("lint: ruff check .", "check: mypy .")
    assert got["make-smoke"].text[1:] == ("URL = https://$(HOST)", "HOST = app.prod.example.org")
    assert got["npm-test"].text == ("pretest: npm run gen", "test: vitest", "gen: tool")


def test_knots_and_long_lines_are_read_in_little_time(tmp_path: Path) -> None:
    """Sixty targets and scripts, each of which needs all the others, and lines that patterns could trip over."""
    names = [f"t{n}" for n in range(60)]
    make = "".join(f"{n}: {' '.join(names)}\n\techo {n}\n" for n in names) + "test: t0\n\ttrue\n"
    make += " " * 300_000 + "\nA" + " " * 300_000 + "\nB = " + " " * 300_000 + "x\n"
    scripts = {n: "; ".join(f"npm run {other}" for other in names) for n in names} | {"test": "npm run t0"}
    began = time.monotonic()
    got = found(tmp_path / "r", {"Makefile": make, "package.json": json.dumps({"scripts": scripts})})
    assert time.monotonic() - began < 5
    assert len(got["make-test"].text) == len(got["npm-test"].text) == 61


def test_a_text_cannot_pass_for_our_own_lines(tmp_path: Path) -> None:
    script = {"scripts": {"test": "vitest\nTake make-smoke? [Y/n]\x1b[2J"}}
    (recipe,) = recipes.find(str(repository(tmp_path / "r", {"package.json": json.dumps(script)}))).recipes
    assert say.proposed(recipe).splitlines()[1:] == ["    test: vitest", "    Take make-smoke? [Y/n]\x1b[2J"]


@pytest.mark.parametrize(
    ("make", "why"),
    [
        ("test: \n\t./run --env=production\n", "prod"),
        ("T = curl -X POST x\ntest:\n\t$(T)\n", "curl"),
        ("test: up\n\tpytest\nup:\n\tdocker compose up\n", "docker"),
        ("test:\n\t$(MAKE) all\nall:\n\tkubectl apply\n", "kubectl"),
        ("test:\n\t./scripts/t.sh\n", "ssh"),
        ("test:\n\t$(RUNNER) tests\n", "set somewhere else"),
        ("include more.mk\ntest:\n\ttrue\n", "includes others"),
        ("test:\n\techo a; \\\n\tgit push\n", "git push"),
        ("smoke:\n\ttrue\n", "promises nothing"),
    ],
)
def test_what_reaches_out_is_not_safe_whatever_its_name(tmp_path: Path, make: str, why: str) -> None:
    got = recipes.find(str(repository(tmp_path / "r", {"Makefile": make, "scripts/t.sh": "ssh host\n"}))).recipes
    assert [r.safe for r in got] == [False]
    assert why in got[0].why


# --- what is written --------------------------------------------------------------------------------------------------
@pytest.fixture
def clone(world: World) -> Iterator[Clone]:
    one = world.clone("ana", first=True)
    files = {"Makefile": MAKE, "scripts/build.sh": "cc main.c\n", "tests/test_a.py": "def test_a(): pass\n"}
    one.commit_files("files", files)
    one.git("push", "-q")
    yield one
    one.prp("store", "stop", ok=False)


def answer(text: str) -> dict[str, Any]:
    return dict(json.loads(text))


def test_yes_takes_what_is_safe_and_says_what_it_left(clone: Clone) -> None:
    done = clone.prp("init", "--yes", "--ci", "github", "--gate", GATE)
    config = parse(clone.read("prp.toml"), "prp.toml")
    assert [s.name for s in config.smoke] == ["pytest", "make-test", "make-check", "make-lint"]
    assert "smoke: pytest tests/smoke --base-url=$(URL)" in done.out, "shown before it is left"
    assert "Not taken: make-smoke ('smoke' promises nothing)" in done.out
    assert 'git add :/prp.toml :/.github/workflows/smoke.yml && git commit -m "Use prpgate"' in done.out


def test_a_second_run_changes_nothing(clone: Clone) -> None:
    clone.prp("init", "--yes", "--ci", "github")
    before = {name: clone.read(name) for name in ("prp.toml", WORKFLOW)}
    done = clone.prp("init", "--yes", "--ci", "github", "--json")
    assert {name: clone.read(name) for name in before} == before
    assert answer(done.out)["wrote"] == []
    assert "is there already, and is what would be written" in done.err


def test_a_workflow_that_is_there_stays_and_the_difference_is_shown(clone: Clone) -> None:
    clone.write(WORKFLOW, "name: mine\n")
    done = clone.prp("init", "--yes", "--ci", "github", "--gate", GATE)
    assert clone.read(WORKFLOW) == "name: mine\n"
    assert "stays as it is" in done.out
    assert "-name: mine" in done.out and "+name: smoke" in done.out


def test_print_writes_nothing(clone: Clone) -> None:
    done = clone.prp("init", "--ci", "github", "--print", "--json")
    assert clone.git("status", "--porcelain").out == ""
    assert yaml.safe_load(answer(done.out)["workflow"])["name"] == "smoke"
    assert "make-smoke" not in answer(done.out)["steps"]


def test_a_gate_has_to_be_a_full_sha(clone: Clone) -> None:
    for wrong in ("example/prpgate@v1", "example/prpgate", f"{GATE}0", "a b@" + "1" * 40, f"x/y\n@{'1' * 40}"):
        done = clone.prp("init", "--yes", "--ci", "github", "--print", "--gate", wrong, ok=False)
        assert done.code == 2
        assert "OWNER/REPO@FULL_SHA" in done.err
    assert clone.prp("init", "--gate", GATE, ok=False).code == 2


def test_on_a_terminal_each_step_is_asked_for(clone: Clone) -> None:
    """The first question is init's own; then: pytest yes, make-smoke no by default, make-test no, the rest yes."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "prpgate", "init", "--ci", "github", "--gate", GATE],
        cwd=clone.path,
        env={**os.environ, **clone.env},
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    os.close(theirs)
    os.write(ours, b"y\n\n\nn\n\n\n")
    out, _ = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0, out
    assert [s.name for s in parse(clone.read("prp.toml"), "prp.toml").smoke] == ["pytest", "make-check", "make-lint"]
    assert "Take make-smoke? Mind: 'smoke' promises nothing. [y/N]" in out


def test_steps_that_are_declared_stay(clone: Clone) -> None:
    clone.prp("init", "--yes")
    clone.write("prp.toml", clone.read("prp.toml") + '\n[[smoke]]\nrun = "true"\n')
    clone.prp("init", "--yes", "--ci", "github")
    assert len(tomllib.loads(clone.read("prp.toml"))["smoke"]) == 1


@pytest.mark.parametrize("gate", [workflow_file.Gate("o/r", "1" * 40), workflow_file.Gate("", ""), None])
@pytest.mark.parametrize("setup", [(), ("python -m pip install -e '.[dev]'", "npm ci")])
def test_the_text_is_pinned_asks_for_little_and_pastes_nothing(
    gate: workflow_file.Gate | None, setup: tuple[str, ...]
) -> None:
    """.ci/run gives the same texts to actionlint, zizmor and the schema."""
    text = workflow_file.text(gate, setup, 180)
    flow = yaml.safe_load(text)
    assert (flow["permissions"], flow["concurrency"]["cancel-in-progress"]) == ({}, False)
    assert "github.ref }}" in flow["concurrency"]["group"], "one branch's run waits for no other's"
    assert set(flow[True]) == {"push", "pull_request", "merge_group", "workflow_dispatch"}
    job = flow["jobs"]["smoke"]
    assert job["permissions"] == {"contents": "read"}
    assert [script for script in scripts(flow) if "${{" in script] == []
    for line in text.splitlines():
        if "uses:" in line:
            assert PINNED.search(line) or "/gate.yml@" in line or "uses: ./" in line, line
    if gate is None:
        assert job["timeout-minutes"] == 10
        assert [s["with"]["persist-credentials"] for s in job["steps"] if "checkout" in s.get("uses", "")] == [False]
    else:
        assert job["with"].get("setup", "").split("\n")[:-1] == list(setup)


def test_its_pins_are_this_repositorys_own() -> None:
    for pin in (workflow_file.CHECKOUT, workflow_file.SETUP_PYTHON):
        action, _, sha = pin.partition(" ")[0].partition("@")
        assert pins()[action] == sha


@pytest.mark.parametrize("known", [True, False], ids=["uses", "whole"])
def test_what_is_written_runs(clone: Clone, world: World, known: bool) -> None:
    """Under act, from the commit that brings it: setup and steps, on what was pushed."""
    clone.commit_files("no make", {"Makefile": ""})
    clone.prp("init", "--yes", "--ci", "github", *(["--gate", GATE] if known else []))
    toml = clone.read("prp.toml").replace("python -m pytest", f"{sys.executable} -m pytest")
    written = clone.read(WORKFLOW).replace("python -m pip install pytest", "echo set up > ready")
    assert ("gate.yml@" in written) is known
    head = clone.commit_files("Use prpgate", {"prp.toml": toml + "\n[[smoke]]\nrun = 'cat ready'\n", WORKFLOW: written})
    clone.git("push", "-q", "--no-verify")
    before = run(["git", "rev-parse", f"{head}~1"], world.remote).out.strip()
    runner = Runner(world, variables={} if known else {"PRP_GATE": f"git+https://example.org/prpgate@{'1' * 40}"})
    job = runner.push(head, before)
    assert job.end() == 0, job.text
    assert job.outputs["verdict"] == "green" and "| set up" in job.text
    if not known:
        runner.variables = {}
        job = runner.push(head, before)
        assert job.end() == 1
        assert "PRP_GATE: set this repository variable: git+https://github.com/OWNER/REPO@FULL_SHA" in job.text
    runner.close()


# --- one name for all -------------------------------------------------------------------------------------------------
def test_the_names_that_count_by_default_are_those_of_the_workflow() -> None:
    config = parse('project = "x"', "prp.toml")
    assert f".github/workflows/{config.ci_workflow}" == workflow_file.PATH
    own = yaml.safe_load((ROOT / workflow_file.PATH).read_text("utf-8"))
    written = yaml.safe_load(workflow_file.text(None, (), 180))
    called = yaml.safe_load(workflow_file.text(workflow_file.Gate("o/r", "1" * 40), (), 180))
    into = yaml.safe_load((ROOT / workflow_file.OWN).read_text("utf-8"))
    assert list(own["jobs"]) == list(written["jobs"]) == [config.ci_check] == [workflow_file.check(None)]
    names = [f"{caller} / {callee}" for caller in called["jobs"] for callee in into["jobs"]]
    assert names == [workflow_file.check(workflow_file.Gate("o/r", "1" * 40))]


@pytest.mark.parametrize("before", ["", '\n[ci]\nobserve = "status"\n', "\n[ci] # of the host\npoll = 5\n[roles]\n"])
def test_init_names_the_check_run_of_a_called_workflow(clone: Clone, before: str) -> None:
    clone.prp("init", "--yes")
    clone.write("prp.toml", clone.read("prp.toml") + before)
    was = parse(clone.read("prp.toml"), "prp.toml")
    done = clone.prp("init", "--yes", "--ci", "github", "--gate", GATE)
    config = parse(clone.read("prp.toml"), "prp.toml")
    assert (config.ci_check, config.ci_observe, config.ci_poll_s) == ("smoke / smoke", was.ci_observe, was.ci_poll_s)
    assert "its check run is named smoke / smoke" in done.out and ":/prp.toml" in done.out
    text = clone.read("prp.toml")
    assert "smoke / smoke" not in clone.prp("init", "--yes", "--ci", "github", "--gate", GATE).out
    assert clone.read("prp.toml") == text


@pytest.mark.parametrize("said", ['[ci]\ncheck = "mine"\n', 'ci.check = "mine"\n', "ci = {poll = 5}\n"])
def test_another_check_stays_and_is_told(clone: Clone, said: str) -> None:
    clone.prp("init", "--yes")
    text = said + clone.read("prp.toml") if said[0] == "c" else clone.read("prp.toml") + said
    clone.write("prp.toml", text + '\n[[smoke]]\nrun = "true"\n')
    text = clone.read("prp.toml")
    done = clone.prp("init", "--yes", "--ci", "github", "--gate", GATE)
    assert clone.read("prp.toml") == text
    assert 'named "smoke / smoke": it would never count' in done.out


def test_print_says_what_prp_toml_would_get(clone: Clone) -> None:
    out = clone.prp("init", "--ci", "github", "--print", "--gate", GATE).out
    assert out.index("prp.toml would have in addition:") < out.index('[[smoke]]\nname = "pytest"')
    assert '[ci]\ncheck = "smoke / smoke"\n' in out


def test_old_names_are_committed_with_all_the_rest(clone: Clone) -> None:
    done = answer(clone.prp("init", "--yes", "--ancestor-shims", "--ci", "github", "--json").out)
    type_it(clone, done["next_action"])
    assert clone.git("status", "--porcelain", "--ignored=no").out == ""
    assert len(clone.git("show", "--name-only", "--format=", "HEAD").out.split()) == len(done["wrote"]) == 5
