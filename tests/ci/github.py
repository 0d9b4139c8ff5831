"""A pretended runner: real git, a real checkout, the files and variables that GitHub gives to a step."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from prpgate import lane, smoke
from prpgate.config import Config, parse
from prpgate.gitrepo import Repo
from prpgate.lock import Granted, Look, MergeLock, Reported, Who
from prpgate.model import ZERO, Intent
from prpgate.store.client import adopt, connect
from tests.world import Clone, World, run

if TYPE_CHECKING:
    from tests.world import Server

SCRIPT = Path(__file__).resolve().parents[2] / "ci" / "smoke.py"
LEDGER = "prps/P1-001.yaml"
NEW = "id: P1-001\ntitle: First\nstatus: new\n"
COMMAND = re.compile(r"^\s*::|##\[", re.MULTILINE)


class Ended(NamedTuple):
    """How a run ended and what it left for the runner."""

    code: int
    log: str
    outputs: dict[str, str]
    summary: str

    @property
    def commands(self) -> list[str]:
        """What the runner takes for workflow commands: lines between stop-commands and its token are not."""
        found, token = [], None
        for line in self.log.splitlines():
            if token:
                if line.strip() == f"::{token}::":
                    token = None
            elif line.lstrip().startswith("::"):
                found.append(line)
                if line.startswith("::stop-commands::"):
                    token = line.removeprefix("::stop-commands::")
        return found


class Github:
    """One repository on a host, and the checkout that a job works in."""

    def __init__(self, world: World, steps: str = 'run = "true"', *, gate: str = "none", more: str = "") -> None:
        self.world, self.folder = world, world.folder
        self.store_id = str(uuid.uuid4())
        self.ana = world.clone("ana", first=True)
        table = f"[[smoke]]\n{steps}\n" if steps else ""
        self.toml = (
            f'project = "example.org/team/app"\ngate = "{gate}"\nstore.id = "{self.store_id}"\n'
            f"smoke_gate.budget = 60\n{more}\n{table}"
        )
        self.base = self.ana.commit_files("set up", {"prp.toml": self.toml, LEDGER: NEW})
        self.ana.git("push", "-q")
        self.env: dict[str, str] = {}

    @property
    def config(self) -> Config:
        return parse(self.toml, "prp.toml")

    def push(self, message: str, files: dict[str, str]) -> str:
        head = self.ana.commit_files(message, files)
        self.ana.git("push", "-q", "origin", "HEAD:main")
        return head

    # --- the store ---------------------------------------------------------------------------------------------------
    def use(self, server: Server) -> MergeLock:
        """Make the server this project's store and give its address to every run as a secret."""
        self.env["PRP_REDIS_URL"] = server.url
        store = connect(self.config, str(self.ana.path), url=server.url, adopt_check=False)
        adopt(store, self.store_id)
        return MergeLock(store, "main", self.config.times)

    def land(self, lock: MergeLock, message: str, files: dict[str, str], gate: str = "ci") -> str:
        """What the hooks do around a push of ana's, with the lock's own verbs."""
        base = self.world.tip()
        head = self.ana.commit_files(message, files)
        who = Who("ana", f"ana:{head}", "ana", "desk", os.getpid(), "push", "P1-001", head)
        repo = Repo(str(self.ana.path))
        answer = lock.acquire(who, plain=True, intent=Intent(head, base), info={"agent": "ana", "prps": ["P1-001"]})
        assert isinstance(answer, Granted)
        self.ana.git("push", "-q", "origin", "HEAD:main")
        saw, look = lane.observe(repo, self.config, lock.state())
        assert isinstance(look, Look)
        told = lock.report(answer.lease, saw, look, gate=gate)
        assert isinstance(told, Reported)
        assert told.record == "landed"
        return head

    def key(self, head: str, where: Clone | None = None) -> tuple[str, str, str]:
        config = self.config
        tree = run(["git", "rev-parse", f"{head}^{{tree}}"], where.path if where else self.world.remote).out.strip()
        return tree, smoke.hash_of(config), "ci"

    # --- a run -------------------------------------------------------------------------------------------------------
    def checkout(self, sha: str, *options: str) -> Path:
        """A job's own clone at a commit, detached as actions/checkout leaves it."""
        path = self.folder / f"work-{uuid.uuid4().hex[:8]}"
        run(["git", "clone", "-q", *options, f"file://{self.world.remote}", path], self.folder)
        run(["git", "checkout", "-q", "--detach", sha], path)
        return path

    def start(
        self, checkout: Path, event: str, payload: dict[str, Any], sha: str, ref: str = "refs/heads/main", **env: str
    ) -> subprocess.Popen[str]:
        self.files = self.folder / f"runner-{uuid.uuid4().hex[:8]}"
        self.files.mkdir()
        (self.files / "event.json").write_text(json.dumps(payload), "utf-8")
        given = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTOR": "ana",
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(self.files / "event.json"),
            "GITHUB_OUTPUT": str(self.files / "output"),
            "GITHUB_REF": ref,
            "GITHUB_REPOSITORY": "team/app",
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_RUN_ID": "77",
            "GITHUB_SERVER_URL": "https://host.example",
            "GITHUB_SHA": sha,
            "GITHUB_STEP_SUMMARY": str(self.files / "summary"),
            "GITHUB_WORKSPACE": str(checkout),
        }
        return subprocess.Popen(
            [sys.executable, str(SCRIPT)],
            cwd=checkout,
            env={**os.environ, **given, **self.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )

    def end(self, process: subprocess.Popen[str], timeout: float = 60) -> Ended:
        log, _ = process.communicate(timeout=timeout)
        output, summary = self.files / "output", self.files / "summary"
        return Ended(
            process.returncode,
            log,
            outputs(output.read_text("utf-8")) if output.exists() else {},
            summary.read_text("utf-8") if summary.exists() else "",
        )

    def on_push(self, head: str, before: str = "", **env: str) -> Ended:
        payload = {"before": before or self.base, "after": head, "ref": "refs/heads/main", "deleted": False}
        return self.end(self.start(self.checkout(head), "push", payload, head, **env))

    def on_pull_request(self, head: str, **env: str) -> Ended:
        """A pull request as the host checks it out: its merge into the base."""
        merge = self.world.folder / f"merge-{uuid.uuid4().hex[:8]}"
        run(["git", "clone", "-q", self.world.remote, merge], self.folder)
        host = Clone(merge, "host")
        host.git("merge", "-q", "--no-ff", "-m", f"Merge {head}", head)
        host.git("push", "-q", "origin", "HEAD:refs/pull/1/merge")
        sha = host.head
        checkout = self.checkout(self.world.tip())
        run(["git", "fetch", "-q", "origin", "refs/pull/1/merge"], checkout)
        run(["git", "checkout", "-q", "--detach", sha], checkout)
        payload = {"pull_request": {"base": {"sha": self.base}, "head": {"sha": head}}}
        return self.end(self.start(checkout, "pull_request", payload, sha, "refs/pull/1/merge", **env))


def outputs(text: str) -> dict[str, str]:
    """Read GITHUB_OUTPUT as the runner does: name<<delimiter, lines, delimiter."""
    found: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        name, mark, delimiter = line.partition("<<")
        assert mark, line
        value = []
        for inner in lines:
            if inner == delimiter:
                break
            value.append(inner)
        assert name not in found, "an output was given twice"
        found[name] = "\n".join(value)
    return found


NOTHING = ZERO
