"""What the hooks of a coding agent cost: a session's start and an edit, beside `python -c pass` and one round trip.

    python -m benchmarks.agent_hooks [--quick]

A real clone of a project with 57 PRPs, 8 of which others have in hand with paths of their own, and its embedded store.
Each hook runs as the agent runs it (its command out of the settings, by `sh -c`, one JSON object on stdin), in turn
with what it is compared to; medians of the ratios, pair by pair, so that a busy moment of the machine hits both. The
round trip is a PING over a connection made anew, as the hooks make one. Exit 1 when the bar of docs/design.md,
"Numbers", is missed: 3 x `python -c pass` and one round trip.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.hooks import LEDGER, Run, git, make_repository, once
from prpgate import agent_hooks
from prpgate.gitrepo import Repo
from prpgate.store import wire
from prpgate.store.embedded import stop_all

BAR = 3.0
OTHERS = 8


def prp(clone: Path, *args: str, agent: str = "bench") -> str:
    command = [sys.executable, "-m", "prpgate", *args]
    env = {**os.environ, "PRP_AGENT": agent}
    done = subprocess.run(command, cwd=clone, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command}: {done.stdout}{done.stderr}")
    return done.stdout


def with_paths(clone: Path) -> list[str]:
    """Give some PRPs paths of their own, and land that; their ids."""
    lines, ids = list[str](), list[str]()
    for line in (clone / LEDGER).read_text().split("\n"):
        lines.append(line)
        if line.endswith(":") and line.startswith("  P") and len(ids) < OTHERS:
            ids.append(line.strip(" :"))
        if line.startswith("    title:") and len(lines) > 3 and lines[-2].strip(" :") in ids:
            lines.append(f"    paths: {{exclusive: ['area{len(ids)}/**', 'src/part{len(ids):03d}/*.txt']}}")
    (clone / LEDGER).write_text("\n".join(lines))
    text = (clone / "prp.toml").read_text().replace("[store]\n", 'scopes.policy = "refuse"\n[store]\n', 1)
    (clone / "prp.toml").write_text(text)
    git(clone, "commit", "-qam", "paths")
    git(clone, "push", "-q")
    return ids


def prepare(folder: Path) -> Path:
    """A clone whose agent has the hooks, and others who hold what is in its way."""
    clone = make_repository(folder, 500)
    ids = with_paths(clone)
    prp(clone, "store", "start")
    prp(clone, "store", "adopt", "--yes")
    prp(clone, "redis-sync")
    for n, prp_id in enumerate(ids):
        other = f"other-{n}"
        if n % 2 == 0:
            prp(clone, "validate", prp_id, agent=other)
        prp(clone, "start", prp_id, agent=other)
    prp(clone, "send", "bench", "look at this", agent="other-0")
    prp(clone, "agent-hooks", "install", "--claude-code")
    return clone


def round_trip(socket: str, times: int) -> float:
    """Milliseconds, the median."""
    took = []
    for _ in range(times):
        begun = time.perf_counter()
        reply = wire.ask(socket, "PING")
        took.append((time.perf_counter() - begun) * 1000)
        if reply is None:
            raise SystemExit("the store does not answer")
    return statistics.median(took)


def measure(folder: Path, rounds: int) -> int:
    clone = prepare(folder)
    settings = json.loads((clone / agent_hooks.LOCAL).read_text())["hooks"]
    start, edit = (settings[event][0]["hooks"][0]["command"] for event in ("SessionStart", "PreToolUse"))
    env = {**os.environ, "PRP_AGENT": "bench"}

    def run(name: str, command: str, path: str) -> Run:
        told = folder / f"told-{name.replace(' ', '-')}"
        told.write_text(json.dumps({"cwd": str(clone), "tool_input": {"file_path": str(clone / path)}}))
        return Run(name, (("/bin/sh", "-c", command),), str(clone), env, str(told))

    python = Run("python -c pass", ((sys.executable, "-c", "pass"),), str(clone), env)
    runs = [
        python,
        run("edit of a path that nobody has", edit, "elsewhere/x.txt"),
        run("edit of a path that another has", edit, "area1/x.txt"),
        run("a session's start", start, "x"),
    ]
    for one, word in zip(runs, ("", "", '"deny"', "You hold no PRP"), strict=True):
        told = Path(one.stdin).read_bytes() if word else b""
        said = subprocess.run(one.commands[0], input=told, capture_output=True, env=env, cwd=clone, check=True).stdout
        if word not in said.decode() or (not word and said):
            raise SystemExit(f"{one.name}: it says {said!r}")
        once(one)
    times = [[once(one) for one in runs] for _ in range(rounds)]
    took = [statistics.median(column) for column in zip(*times, strict=True)]
    note = json.loads((Path(Repo(str(clone)).own_dir) / "agent-look").read_text())
    trip = round_trip(note["url"].removeprefix("unix://"), rounds)
    print(f"{'python -c pass':42s} {took[0]:7.2f} ms\n{'one round trip, connecting':42s} {trip:7.2f} ms")
    missed = 0
    for n, (one, ms) in enumerate(zip(runs[1:], took[1:], strict=True), 1):
        ratio = statistics.median((row[n] - trip) / row[0] for row in times)
        held = "held" if ratio <= BAR else "MISSED"
        missed += ratio > BAR
        print(f"{one.name:42s} {ms:7.2f} ms  {ratio:5.2f} x python -c pass + a round trip  bar {BAR:.1f} x  {held}")
    return 1 if missed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="What an agent's hooks cost, against the bar.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds; for a look, not for a figure")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pb-", dir="/tmp") as name:
        for variable in [v for v in os.environ if v.startswith(("GIT_", "PRP_", "REDIS_"))]:
            del os.environ[variable]
        os.environ.update(HOME=name, XDG_STATE_HOME=f"{name}/state", GIT_CONFIG_NOSYSTEM="1")
        Path(name, ".gitconfig").write_text("[user]\n\tname = bench\n\temail = bench@example.org\n")
        try:
            return measure(Path(name), 10 if args.quick else 40)
        finally:
            os.chdir("/")
            stop_all(f"{name}/state/prpgate")


if __name__ == "__main__":
    sys.exit(main())
