"""What the MCP server costs its clients: the time from its start to the answer of tools/list, and that answer's size.

    python -m benchmarks.mcp [--rounds N]

Beside the smallest server that the SDK can make (one tool, no text), in pairs: both once a round, the ratio of the
medians. The client is a pipe and nothing else, so that only servers are timed. Exit 1 when a bar of docs/design.md,
"Numbers", is missed.
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
from typing import Any, NamedTuple

SMALLEST = """
from mcp.server.mcpserver import MCPServer
server = MCPServer("smallest")
@server.tool()
def nothing() -> None: ...
server.run("stdio")
"""
MOST_RATIO, MOST_TOKENS, MOST_TOOLS = 1.3, 2500, 10
CHARACTERS_PER_TOKEN = 3.5
"""The count is an upper bound that needs no tokenizer: compact JSON, one token for every 3.5 characters. Of this very
answer the public vocabularies o200k, cl100k and Anthropic's make one for every 3.9 to 4.2."""

PROTOCOL = "2025-11-25"
HELLO = {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": {"name": "benchmark", "version": "1"}}


class Start(NamedTuple):
    """One server, from its start to the answer."""

    seconds: float
    answer: dict[str, Any]  # the result of tools/list


def tokens(answer: dict[str, Any]) -> int:
    """An upper bound of what a list of tools costs a model."""
    text = json.dumps({"tools": answer["tools"]}, separators=(",", ":"), ensure_ascii=False)
    return -(-len(text) * 10 // int(CHARACTERS_PER_TOKEN * 10))


def start(command: list[str], cwd: str) -> Start:
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        for line in (
            {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO},
            {"jsonrpc": "2.0", "method": "notifications/initialized"},
            {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
        ):
            process.stdin.write(json.dumps(line) + "\n")
        process.stdin.flush()
        while (told := json.loads(process.stdout.readline())).get("id") != 2:
            pass
        seconds = time.perf_counter() - begun
        process.stdin.close()
    return Start(seconds, told["result"])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mcp")
    parser.add_argument("--rounds", type=int, default=15)
    rounds: int = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        smallest = os.path.join(folder, "smallest.py")
        with open(smallest, "w", encoding="utf-8") as f:
            f.write(SMALLEST)
        commands = {
            "smallest": [sys.executable, "-P", smallest],
            "prp mcp": [sys.executable, "-P", "-m", "prpgate", "mcp"],
        }
        for command in commands.values():
            start(command, folder)  # compiled files are written once
        taken: dict[str, list[float]] = {name: [] for name in commands}
        answers: dict[str, dict[str, Any]] = {}
        for _ in range(rounds):
            for name, command in commands.items():
                one = start(command, folder)
                taken[name].append(one.seconds)
                answers[name] = one.answer
    ours, theirs = (statistics.median(taken[name]) for name in ("prp mcp", "smallest"))
    count, size = len(answers["prp mcp"]["tools"]), tokens(answers["prp mcp"])
    rows = (
        (
            "start to tools/list, x the SDK's smallest server",
            ours / theirs,
            MOST_RATIO,
            f"{ours:.2f} s / {theirs:.2f} s",
        ),
        ("tools", count, MOST_TOOLS, ""),
        ("tokens of their schemas, at most", size, MOST_TOKENS, ""),
    )
    for what, value, bar, more in rows:
        print(f"{what:<50} {value:>8.{2 if isinstance(value, float) else 0}f}  bar {bar}  {more}".rstrip())
    return int(any(value > bar for _, value, bar, _ in rows))


if __name__ == "__main__":
    raise SystemExit(main())
