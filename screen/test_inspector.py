"""The MCP inspector's command line, another maker's client, calls every tool of the server.

It is a program for Node 22; screen/package.json brings one, for most systems have an older.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import home
from tests.mcp.conftest import project
from tests.world import Result, run

SCREEN = Path(__file__).parent
INSTALL = "npm install --no-package-lock --prefix screen"

__all__ = ["home", "project"]


def node() -> Path:
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    found = SCREEN / "node_modules" / f"node-{sys.platform}-{machine}" / "bin" / "node"
    assert found.exists(), f"Node 22 is not there ({found}): {INSTALL}"
    return found


class Inspector:
    """The inspector, and the server that it starts for each question."""

    def __init__(self, folder: Path, clone: Path) -> None:
        self.command = SCREEN / "node_modules" / ".bin" / "mcp-inspector"
        assert self.command.exists(), f"the inspector is not there ({self.command}): {INSTALL}"
        self.folder = folder
        self.config = folder / "inspected.json"
        arguments = ["-P", "-m", "prpgate", "mcp", "--path", str(clone), "--agent", "inspector"]
        keep = {k: v for k, v in os.environ.items() if k in ("HOME", "PATH") or k.startswith(("XDG_", "GIT_"))}
        server = {"command": sys.executable, "args": arguments, "env": keep}
        self.config.write_text(json.dumps({"mcpServers": {"prp": server}}))

    def ask(self, method: str, *options: str, ok: bool = True) -> Result:
        chosen = ["--cli", "--config", str(self.config), "--server", "prp", "--method", method, *options]
        env = {"MCP_INSPECTOR_SECRET_STORE": "memory", "PATH": f"{node().parent}{os.pathsep}{os.environ['PATH']}"}
        return run([node(), self.command.resolve(), *chosen], self.folder, env=env, ok=ok)

    def answer(self, method: str, *options: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ask(method, *options).out)
        return found

    def call(self, tool: str, **arguments: str) -> dict[str, Any]:
        """The structured answer of a call that goes well."""
        pairs = [x for name, value in arguments.items() for x in ("--tool-arg", f"{name}={value}")]
        told = self.answer("tools/call", "--tool-name", tool, *pairs)
        assert not told.get("isError"), told
        found: dict[str, Any] = told["structuredContent"]
        return found


@pytest.fixture
def inspector(tmp_path: Path, project: Any) -> Inspector:
    return Inspector(tmp_path, project.ana.path)


def test_the_schema_is_fit_for_every_client(inspector: Inspector) -> None:
    told = inspector.ask("tools/list", "--strict")
    assert len(json.loads(told.out)["tools"]) == 10
    assert "warning" not in told.err.lower()


def test_every_tool_is_called(inspector: Inspector, project: Any) -> None:
    ana = project.ana
    assert inspector.call("next")["next"] == 'claim {"id": "P2-040"}'
    assert inspector.call("claim", id="P2-040")["prp"]["owner"] == "inspector"
    assert inspector.call("update", id="P2-040", action="note", text="half of it")["prp"]["id"] == "P2-040"
    assert inspector.call("check")["errors"] == 0
    assert inspector.call("complete", id="P2-040")["prp"]["status"] == "in_progress (completing)"
    ana.commit("feat(P2-040): work", one="1")
    assert inspector.call("land", prp="P2-040", wait_s="30")["sha"] == ana.head == project.tip()
    assert inspector.call("lane")["text"] == "main: free"
    assert inspector.call("log", id="P2-040", count="5")["prp"]["phase"] == "landed"
    assert inspector.call("send", to="inspector", text="to myself")["due"] == 1
    assert [m["text"] for m in inspector.call("inbox")["messages"]] == ["to myself"]
    refused = inspector.ask("tools/call", "--tool-name", "claim", "--tool-arg", "id=P2-020", ok=False)
    assert "P2-020 is complete" in refused.text
    assert "Next: update" in refused.text


def test_resources_and_prompts(inspector: Inspector) -> None:
    assert "prp://lane/main" in [r["uri"] for r in inspector.answer("resources/list")["resources"]]
    read = inspector.answer("resources/read", "--uri", "prp://prp/P2-040")
    assert json.loads(read["contents"][0]["text"])["id"] == "P2-040"
    assert len(inspector.answer("prompts/list")["prompts"]) == 3
    got = inspector.answer("prompts/get", "--prompt-name", "take_next")
    assert "claim {}" in got["messages"][0]["content"]["text"]
