"""A host and its runners, without either: `act` runs real workflows as processes of this machine, remote actions are
stubs, and a hook of the bare remote stands for the host that starts a run for each push.

    runner = Runner(world, secrets={"PRP_REDIS_URL": server.url})
    job = runner.push(head, before=base)          # one run by hand; ends by job.end()
    with Host(runner) as host:                    # or: whatever is pushed gets its run, as on a host
        ana.prp("land")
        host.idle()

`Host(on_start=…, on_end=…)` tells a test of each run (a fake API keeps its check runs this way); `wanted` says which
refs get a run at all.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.world import World, run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).resolve().parents[2]
GATE = "example/prpgate@1111111111111111111111111111111111111111"  # where the stubs say that this repository is
WORKFLOW = ".github/workflows/smoke.yml"
ZERO = "0" * 40

CHECKOUT = """\
name: checkout
inputs:
  repository: {{default: ""}}
  ref: {{default: ""}}
  path: {{default: ""}}
  fetch-depth: {{default: "1"}}
  persist-credentials: {{default: "true"}}
runs:
  using: composite
  steps:
    - shell: bash
      env:
        REF: ${{{{ inputs.ref }}}}
        INTO: ${{{{ inputs.path }}}}
        DEPTH: ${{{{ inputs.fetch-depth }}}}
      run: |
        if [ -n "$INTO" ]; then cp -r '{gate}' "$INTO"; exit; fi
        git init -q .
        git remote add origin 'file://{remote}'
        depth=(); [ "$DEPTH" = 0 ] || depth=(--depth "$DEPTH")
        git fetch -q "${{depth[@]}}" origin '+refs/heads/*:refs/remotes/origin/*' "${{REF:-$GITHUB_SHA}}"
        git checkout -q --detach "${{REF:-$GITHUB_SHA}}"
"""
SETUP = """\
name: setup
outputs:
  python-path:
    value: {python}
runs:
  using: composite
  steps:
    - shell: bash
      run: "true"
"""
# Stands for a fresh Python: the environment that it makes is the test's own, and nothing has to be installed into it.
PYTHON = """\
#!/bin/sh
mkdir -p "$3/bin"
printf '#!/bin/sh\\n[ "$1 $2" = "-m pip" ] || exec {python} "$@"\\n' > "$3/bin/python"
chmod +x "$3/bin/python"
"""


def act_binary() -> str:
    found = shutil.which("act", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert found, "act is missing: pip install -e '.[dev]'"
    return found


def pins() -> dict[str, str]:
    """action -> full sha, as this repository's own workflows and action pin them."""
    texts = [p.read_text("utf-8") for p in (*(ROOT / ".github/workflows").glob("*.yml"), ROOT / "ci/action.yml")]
    return dict(re.findall(r"uses: ([\w.-]+/[\w.-]+)@([0-9a-f]{40})", "\n".join(texts)))


class Job:
    """One run of a workflow, under way or over."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path, event: str, sha: str, ref: str) -> None:
        self.name, self.process, self.log = name, process, log
        self.event, self.sha, self.ref = event, sha, ref
        self.stopped = False

    @property
    def text(self) -> str:
        """What act has said so far: each line of a step after `| `, what it took for a command after a sign."""
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    @property
    def conclusion(self) -> str | None:
        """What a host would say of it: None while it runs, then "success", "failure" or "cancelled"."""
        code = self.process.poll()
        return None if code is None else "success" if code == 0 else "cancelled" if self.stopped else "failure"

    @property
    def outputs(self) -> dict[str, str]:
        return dict(re.findall(r"::set-output:: (\w+)=(.*)", self.text))

    @property
    def summary(self) -> str:
        """The job summary, as act shows what was given for it."""
        return "".join(re.findall(r"Summary - ((?:.*\n)*?)(?=\[)", self.text))

    @property
    def annotations(self) -> list[str]:
        """What act took for a command that annotates."""
        return re.findall(r"^\[[^]]*\]\s+\S+\s+(::(?:error|warning|notice).*)$", self.text, re.MULTILINE)

    def until(self, text: str, give_up_s: float = 30) -> None:
        end = time.monotonic() + give_up_s
        while text not in self.text:
            assert time.monotonic() < end and self.process.poll() is None, f"{text!r} never came:\n{self.text}"
            time.sleep(0.02)

    def end(self, timeout: float = 60) -> int:
        """Wait for it; 0 when the job succeeded."""
        return self.process.wait(timeout)

    def processes(self, word: str = "") -> list[int]:
        """Everything that belongs to this run and is alive, also what left its session; with `word` in its command."""
        mark, found = f"ACT_TEST_JOB={self.name}".encode(), []
        for pid in (int(p) for p in os.listdir("/proc") if p.isdigit()):
            with contextlib.suppress(OSError):
                ours = mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                if ours and word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return found

    def cancel(self) -> None:
        """As the host's runner cancels: the step's own process is interrupted. (The runner asks twice, then kills.)"""
        self.stopped = True
        for pid in self.processes("smoke.py"):
            os.kill(pid, signal.SIGINT)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End act itself: it kills the step's own process at once and asks nobody."""
        self.stopped = True
        self.process.send_signal(number)

    def lose(self) -> None:
        """The machine is gone: everything of this run at once, whatever session it is in."""
        while pids := self.processes():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.poll()
            time.sleep(0.01)
        self.process.wait(10)


class Runner:
    """Runs workflows of one remote, each in a checkout of the commit that it is about."""

    def __init__(
        self,
        world: World,
        *,
        secrets: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
        workflow: str = WORKFLOW,
        gate: str = GATE,
    ) -> None:
        self.world, self.secrets, self.workflow = world, dict(secrets or {}), workflow
        self.variables = dict(variables or {})
        self.folder = world.folder / f"runner-{uuid.uuid4().hex[:6]}"
        self.jobs: list[Job] = []
        self.count = 0
        home = self.folder / "home"  # a machine of its own: it shares nothing with the clones but remote and store
        home.mkdir(parents=True)
        shutil.copy(Path(os.environ["HOME"]) / ".gitconfig", home)
        self.env = {"HOME": str(home)} | {
            f"XDG_{w}": str(home / w) for w in ("CACHE_HOME", "STATE_HOME", "RUNTIME_DIR")
        }
        run(["git", "config", "uploadpack.allowAnySHA1InWant", "true"], world.remote)
        source, python = self.folder / "gate", self.folder / "python"
        for name in ("ci", ".github/workflows"):
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        python.write_text(PYTHON.format(python=sys.executable))
        python.chmod(0o755)
        self.stubs = [f"{gate}={source}"]
        for action, sha in pins().items():
            text = CHECKOUT if action == "actions/checkout" else SETUP
            stub = self.folder / action.replace("/", "-")
            stub.mkdir()
            (stub / "action.yml").write_text(text.format(gate=source, remote=world.remote, python=python))
            self.stubs.append(f"{action}@{sha}={stub}")

    def start(
        self,
        event: str,
        sha: str,
        ref: str,
        payload: Mapping[str, Any],
        *,
        secrets: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        actor: str = "ana",
    ) -> Job:
        """A run of the workflow as it stands at `sha`. `secrets`: others than the runner's; `env`: the machine's."""
        self.count += 1
        name = uuid.uuid4().hex[:8]
        place = self.folder / name
        run(["git", "init", "-q", place], self.folder)
        run(["git", "remote", "add", "origin", "https://github.com/team/app.git"], place)
        run(["git", "fetch", "-q", f"file://{self.world.remote}", sha], place)
        run(["git", "checkout", "-q", "-b", "it", "FETCH_HEAD"], place)
        (self.folder / f"{name}.json").write_text(json.dumps({"ref": ref, **payload}))
        given = self.secrets if secrets is None else secrets
        words = [
            *(act_binary(), event, "-W", self.workflow, "-e", f"../{name}.json", "-P", "ubuntu-latest=-self-hosted"),
            *("--actor", actor, "--no-skip-checkout", "--action-offline-mode", "--env", f"GITHUB_RUN_ID={self.count}"),
            *(word for stub in self.stubs for word in ("--local-repository", stub)),
            *(word for key in given for word in ("-s", key)),
            *(word for key, value in self.variables.items() for word in ("--var", f"{key}={value}")),
        ]
        log = self.folder / f"{name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                words,
                cwd=place,
                env={**os.environ, **self.env, **given, "ACT_TEST_JOB": name, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.jobs.append(job := Job(name, process, log, event, sha, ref))
        return job

    def push(self, sha: str, before: str, ref: str = "refs/heads/main", **more: Any) -> Job:
        return self.start("push", sha, ref, {"before": before, "after": sha, "deleted": False}, **more)

    def dispatch(self, tip: str, inputs: Mapping[str, str], ref: str = "refs/heads/main", **more: Any) -> Job:
        """The workflow as it stands at the branch's tip, asked to look at `inputs`."""
        return self.start("workflow_dispatch", tip, ref, {"inputs": dict(inputs)}, **more)

    def pull_request(
        self, merge: str, base: str, head: str, *, title: str = "", branch: str = "topic", **more: Any
    ) -> Job:
        """`merge` is what the host made of the two: refs/pull/1/merge."""
        number = {
            "number": 1,
            "title": title,
            "base": {"sha": base, "ref": "main"},
            "head": {"sha": head, "ref": branch},
        }
        return self.start("pull_request", merge, "refs/pull/1/merge", {"number": 1, "pull_request": number}, **more)

    def merge_group(self, sha: str, base: str, **more: Any) -> Job:
        group = {"head_sha": sha, "base_sha": base, "base_ref": "refs/heads/main"}
        return self.start(
            "merge_group", sha, f"refs/heads/gh-readonly-queue/main/pr-1-{base}", {"merge_group": group}, **more
        )

    def close(self) -> None:
        """Nothing of any run is left alive."""
        for job in self.jobs:
            job.lose()


class Host:
    """Starts a run for each branch that somebody pushes, as a host does. Runs go side by side, as on a host."""

    HOOK = "#!/bin/sh\ncat >> '{pushes}'\n"

    def __init__(
        self,
        runner: Runner,
        *,
        wanted: Callable[[str], bool] = lambda ref: ref.startswith("refs/heads/"),
        on_start: Callable[[Job], None] | None = None,
        on_end: Callable[[Job], None] | None = None,
    ) -> None:
        self.runner, self.wanted, self.on_start, self.on_end = runner, wanted, on_start, on_end
        self.pushes = runner.folder / "pushes"
        self.pushes.touch()
        runner.world.remote_hook("post-receive", self.HOOK.format(pushes=self.pushes))
        self.jobs: list[Job] = []
        self.open: list[Job] = []
        self.read = 0
        self.over = threading.Event()
        self.faults: list[BaseException] = []
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join(30)
        self.runner.close()
        assert not self.faults, self.faults

    def _watch(self) -> None:
        try:
            while not self.over.wait(0.02):
                self._look()
        except (AssertionError, OSError, subprocess.SubprocessError) as e:
            self.faults.append(e)

    def _look(self) -> None:
        for job in [j for j in self.open if j.process.poll() is not None]:
            if self.on_end:
                self.on_end(job)
            self.open.remove(job)
        lines = self.pushes.read_text().splitlines()
        for line in lines[self.read :]:
            before, after, ref = line.split(" ", 2)
            if after != ZERO and self.wanted(ref) and self._has_workflow(after):
                job = self.runner.push(after, before, ref)
                self.jobs.append(job)
                self.open.append(job)
                if self.on_start:
                    self.on_start(job)
            self.read += 1

    def _has_workflow(self, sha: str) -> bool:
        asked = ["git", "cat-file", "-e", f"{sha}:{self.runner.workflow}"]
        return run(asked, self.runner.world.remote, ok=False).code == 0

    def idle(self, give_up_s: float = 60) -> list[Job]:
        """Wait until every push has had its run, and all of them are over; the runs."""
        until = time.monotonic() + give_up_s
        while self.open or self.read < len(self.pushes.read_text().splitlines()):
            assert time.monotonic() < until and not self.faults, (self.faults, [j.text for j in self.open])
            time.sleep(0.02)
        return self.jobs
