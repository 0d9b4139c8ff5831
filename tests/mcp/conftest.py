"""A server process of its own for each client, in a clone of the project of tests/e2e."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import Implementation

from tests.e2e.conftest import Project
from tests.world import Clone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Sequence
    from pathlib import Path

    from mcp_types import CallToolResult


HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "lines", "version": "1"}}


@pytest.fixture
def project(tmp_path: Path, home: Path) -> Project:
    return Project(tmp_path)


def parameters(folder: Path | str, *options: str, **env: str) -> StdioServerParameters:
    """How a host starts the server: from anywhere, with an environment of its own."""
    command = ["-P", "-m", "prpgate", "mcp", "--path", str(folder), *options]
    return StdioServerParameters(command=sys.executable, args=command, env={**os.environ, **env}, cwd="/")


@contextlib.asynccontextmanager
async def connected(
    clone: Clone | Path,
    *options: str,
    name: str = "tester",
    mode: str = "legacy",
    env: dict[str, str] | None = None,
    **more: Any,
) -> AsyncIterator[Client]:
    folder = clone.path if isinstance(clone, Clone) else clone
    transport = stdio_client(parameters(folder, *options, **(env or {})))
    info = Implementation(name=name, version="1")
    async with Client(transport, client_info=info, mode=mode, **more) as client:
        yield client


def play(work: Coroutine[Any, Any, None]) -> None:
    """Run it to its end. What fails inside a client's task groups is shown as what it is."""
    try:
        asyncio.run(work)
    except BaseExceptionGroup as group:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None


def text(result: CallToolResult) -> str:
    return "\n".join(getattr(c, "text", "") for c in result.content)


async def ok(client: Client, tool: str, /, **arguments: Any) -> dict[str, Any]:
    """The structured answer of a call that must go well."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, text(result)
    assert result.structured_content is not None
    answer: dict[str, Any] = result.structured_content
    return answer


async def refused(client: Client, tool: str, /, **arguments: Any) -> str:
    """The text of a call that must be refused."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error, text(result)
    return text(result)


def ask(command: Sequence[str], method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
    """One request to a server of its own, as bare lines: the result."""
    lines = (
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": method, "params": params or {}},
    )
    with subprocess.Popen(command, cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in lines:
            process.stdin.write(json.dumps(line) + "\n")
        process.stdin.flush()
        while (told := json.loads(process.stdout.readline())).get("id") != 2:
            pass
        process.stdin.close()
        result: dict[str, Any] = told["result"]
    return result
