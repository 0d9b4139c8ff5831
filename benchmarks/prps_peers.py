"""Other trackers of work items for agents, as benchmarks/prps.py drives them: by their own commands, as an agent would.

`ready` asks for the list of what can be had, `take` makes an item the agent's. A tool with a claim command is driven by
it; one without by the list and then the edit that its instructions tell agents to make.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from pathlib import Path

OURS = "prpgate"


def git(folder: Path, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *args], cwd=folder, check=check, capture_output=True, text=True)


class Tool:
    """One tracker with `items` items in a repository of its own."""

    name: ClassVar[str]
    program: ClassVar[str]

    def __init__(self, folder: Path, binary: str, items: int) -> None:
        self.folder, self.binary, self.items = folder, binary, items
        folder.mkdir()
        git(folder, "init", "-q", "-b", "main")
        git(folder, "commit", "-q", "--allow-empty", "-m", "first")
        self.fill()
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "--allow-empty", "-m", "items")

    def run(self, *args: str, cwd: Path | None = None, agent: str = "") -> subprocess.CompletedProcess[str]:
        path = f"{os.path.dirname(self.binary)}{os.pathsep}{os.environ['PATH']}"  # a tool may need what came with it
        env = {**os.environ, "PRP_AGENT": agent or "bench", "PATH": path}
        return subprocess.run(
            [self.binary, *args],
            cwd=cwd or self.folder,
            env=env,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    def fill(self) -> None:
        raise NotImplementedError

    def listing(self) -> tuple[str, ...]:
        """The command that lists what can be had."""
        raise NotImplementedError

    def ids(self, said: str) -> list[str]:
        raise NotImplementedError

    def ready(self, cwd: Path | None = None) -> list[str]:
        return self.ids(self.run(*self.listing(), cwd=cwd).stdout)

    def take(self, item: str, agent: str, cwd: Path | None = None) -> bool:
        raise NotImplementedError

    def pick(self, agent: str) -> str | None:
        """Take the first that is to be had; None when the tool said no, "" when nothing is left."""
        found = self.ready()
        if not found:
            return ""
        return found[0] if self.take(found[0], agent) else None

    def race_for(self, item: str, agent: str) -> bool:
        return item in self.ready() and self.take(item, agent)

    # --- two clones
    syncs: ClassVar[bool] = False  # it has a sync of its own beside git's push and pull

    def joined(self, clone: Path) -> None:
        """What a teammate does in a fresh clone."""

    def publish(self, clone: Path) -> None:
        git(clone, "add", "-A")
        git(clone, "commit", "-q", "--allow-empty", "-m", "claim")

    def sync(self, clone: Path) -> subprocess.CompletedProcess[str]:
        raise NotImplementedError

    def shows(self, item: str, clone: Path) -> bool:
        return item in self.run(*self.everything(), cwd=clone).stdout

    def everything(self) -> tuple[str, ...]:
        return self.listing()


class AgentTrack(Tool):
    name, program = "agent-track", "track"

    def fill(self) -> None:
        self.run("init")
        self.run("create", "-t", "Item 1", "--no-claim")
        first = self.folder / ".track/tickets/T-0001.md"
        for n in range(2, self.items + 1):
            new = first.read_text().replace("T-0001", f"T-{n:04d}").replace("Item 1", f"Item {n}")
            first.with_name(f"T-{n:04d}.md").write_text(new)

    def listing(self) -> tuple[str, ...]:
        return "list", "--available"

    def ids(self, said: str) -> list[str]:
        return re.findall(r"^T-\d+", said, re.MULTILINE)

    def everything(self) -> tuple[str, ...]:
        return "list", "--all"

    def take(self, item: str, agent: str, cwd: Path | None = None) -> bool:
        return self.run("claim", item, "--agent", agent, cwd=cwd).returncode == 0

    def race_for(self, item: str, agent: str) -> bool:
        return self.take(item, agent)


class Backlog(Tool):
    name, program = "Backlog.md", "backlog"

    def fill(self) -> None:
        self.run("init", "--defaults", "app")
        self.run("task", "create", "Item 1")
        first = self.folder / "backlog/tasks/task-1 - Item-1.md"
        for n in range(2, self.items + 1):
            new = first.read_text().replace("TASK-1\n", f"TASK-{n}\n").replace("Item 1", f"Item {n}")
            first.with_name(f"task-{n} - Item-{n}.md").write_text(new.replace("ordinal: 1000", f"ordinal: {n}000"))

    def listing(self) -> tuple[str, ...]:
        return "task", "list", "-s", "To Do", "--plain"

    def ids(self, said: str) -> list[str]:
        return re.findall(r"TASK-\d+", said)

    def everything(self) -> tuple[str, ...]:
        return "task", "list", "--plain"

    def take(self, item: str, agent: str, cwd: Path | None = None) -> bool:
        return (
            self.run("task", "edit", item, "-s", "In Progress", "-a", f"@{agent}", "--plain", cwd=cwd).returncode == 0
        )


class Tisket(Tool):
    name, program = "tisket", "tisket"

    def fill(self) -> None:
        self.run("init")
        self.run("issue", "create", "item")
        first = next((self.folder / ".tisket/default").glob("*-item.md"))
        for n in range(2, self.items + 1):
            first.with_name(f"{n:04d}-item.md").write_text(first.read_text().replace("title: item", f"title: item {n}"))

    def listing(self) -> tuple[str, ...]:
        return "issue", "list", "-s", "todo", "--format", "json"

    def ids(self, said: str) -> list[str]:
        return [one["id"] for one in json.loads(said or "[]")]

    def everything(self) -> tuple[str, ...]:
        return "issue", "list"

    def take(self, item: str, agent: str, cwd: Path | None = None) -> bool:
        return self.run("issue", "edit", item, "-s", "in_progress", "-a", agent, cwd=cwd).returncode == 0


class Microbeads(Tool):
    name, program = "microbeads", "mb"

    def fill(self) -> None:
        self.run("init")
        self.run("create", "item 1")
        where = self.folder / ".git/microbeads-worktree"
        first = next((where / ".microbeads/issues/active").glob("*.json"))
        for n in range(2, self.items + 1):
            name = f"m-{n:08x}"
            first.with_name(f"{name}.json").write_text(first.read_text().replace(first.stem, name))
        git(where, "add", "-A")
        git(where, "commit", "-q", "-m", "items")

    def listing(self) -> tuple[str, ...]:
        return "--json", "ready"

    def ids(self, said: str) -> list[str]:
        return [one["id"] for one in json.loads(said or "[]") if one["status"] == "open"]

    def everything(self) -> tuple[str, ...]:
        return ("list",)

    syncs = True

    def joined(self, clone: Path) -> None:
        git(clone, "fetch", "-q", "origin")
        self.run("init", cwd=clone)

    def publish(self, clone: Path) -> None:
        self.run("sync", cwd=clone)

    def sync(self, clone: Path) -> subprocess.CompletedProcess[str]:
        return self.run("sync", cwd=clone)

    def take(self, item: str, agent: str, cwd: Path | None = None) -> bool:
        return self.run("update", item, "-s", "in_progress", cwd=cwd).returncode == 0


class Seeds(Tool):
    name, program = "seeds", "sd"

    def fill(self) -> None:
        self.run("init")
        self.run("create", "--title", "item 1")
        file = self.folder / ".seeds/issues.jsonl"
        line = file.read_text().strip()
        first = json.loads(line)["id"]
        more = (line.replace(first, f"s-{n:04x}").replace("item 1", f"item {n}") for n in range(2, self.items + 1))
        file.write_text("".join(one + "\n" for one in (line, *more)))

    def listing(self) -> tuple[str, ...]:
        return "ready", "--json", "--limit", "100000"

    def ids(self, said: str) -> list[str]:
        return [one["id"] for one in json.loads(said or "{}").get("issues", [])]

    def everything(self) -> tuple[str, ...]:
        return "list", "--all"

    def take(self, item: str, agent: str, cwd: Path | None = None) -> bool:
        return self.run("update", item, "--status", "in_progress", "--assignee", agent, cwd=cwd).returncode == 0


class Ours(Tool):
    name, program = OURS, sys.executable

    def fill(self) -> None:
        from benchmarks.prps_ledger import Entry, file_of, policy, ready_entry

        (self.folder / "prps").mkdir()
        (self.folder / "prp.toml").write_text(policy())
        entries: list[Entry] = [ready_entry(n) for n in range(self.items)]
        for one in entries:
            (self.folder / file_of(one)).write_bytes(one.text)

    def run(self, *args: str, cwd: Path | None = None, agent: str = "") -> subprocess.CompletedProcess[str]:
        return super().run("-m", "prpgate", *args, cwd=cwd, agent=agent)

    def listing(self) -> tuple[str, ...]:
        return "list", "--status", "validated", "--json"

    def ids(self, said: str) -> list[str]:
        return [one["id"] for one in json.loads(said or "{}").get("prps", [])]

    def everything(self) -> tuple[str, ...]:
        return "list", "--json"

    def joined(self, clone: Path) -> None:
        self.run("join", cwd=clone)

    def take(self, item: str, agent: str, cwd: Path | None = None) -> bool:
        return self.run("start", item, cwd=cwd, agent=agent).returncode == 0

    def race_for(self, item: str, agent: str) -> bool:
        return self.take(item, agent)

    def pick(self, agent: str) -> str | None:
        done = self.run("next", "--claim", "--json", agent=agent)
        said: dict[str, Any] = json.loads(done.stdout or "{}")
        if done.returncode == 0:
            return str(said["prp"]["id"])
        return "" if said.get("error", {}).get("code") == "none-ready" else None


TOOLS: tuple[type[Tool], ...] = (AgentTrack, Backlog, Tisket, Microbeads, Seeds)


def found(where: str) -> dict[type[Tool], str]:
    """The tools that are in these folders (as in PATH), and their programs."""
    return {tool: binary for tool in TOOLS if (binary := shutil.which(tool.program, path=where))}
