"""A landing that is cancelled, or whose client or server goes away: no ticket and no lock stays behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import prpgate
from tests.mcp.conftest import connected, ok, play, refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Project
    from tests.world import Clone


async def soon(what: Callable[[], object], seconds: float = 15) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        await asyncio.sleep(0.02)


def idle(api: prpgate.Project) -> bool:
    state = api.lane()
    return state.state == "free" and not state.queue


def landings_of(clone: Clone) -> list[int]:
    """Processes that land in this clone."""
    found = []
    for pid in (int(p) for p in os.listdir("/proc") if p.isdigit()):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if b"land" in words and os.readlink(f"/proc/{pid}/cwd") == str(clone.path):
                found.append(pid)
        except OSError:
            continue
    return found


def test_a_cancelled_landing_leaves_its_place_in_the_line(project: Project) -> None:
    project.ana.commit("work", one="1")

    async def work() -> None:
        with prpgate.connect(str(project.ana.path), agent="holder") as holder, holder.hold(wait_s=5):
            async with connected(project.ana) as client:
                told: list[str] = []

                async def progress(progress: float, total: float | None, message: str | None) -> None:
                    told.append(message or "")

                task = asyncio.create_task(client.call_tool("land", {}, progress_callback=progress))
                await soon(lambda: holder.lane().queue)
                await soon(lambda: told)
                assert "held by holder" in told[0] or "holder" in told[0]
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await soon(lambda: not holder.lane().queue, 5)
                await soon(lambda: not landings_of(project.ana), 5)
                again = await ok(client, "lane")
                assert again["lanes"][0]["holder"]["agent"] == "holder"
                queued = await ok(client, "land", wait_s=0.1)
                assert (queued["state"], queued["landed"], queued["position"]) == ("queued", False, 1)
                assert queued["next"] == "land {}"
                assert queued["waits_for"].startswith("main: held by holder")
        assert project.tip() != project.ana.head

    play(work())


def test_a_landing_cancelled_at_the_push_has_landed_or_has_not(project: Project, tmp_path: Path) -> None:
    project.ana.commit("work", one="1")
    begun = tmp_path / "begun"
    project.remote_hook("update", f"#!/bin/sh\n: > '{begun}'\nsleep 1\n")

    async def work() -> None:
        with prpgate.connect(str(project.ana.path), agent="looker") as looker:
            async with connected(project.ana) as client:
                task = asyncio.create_task(client.call_tool("land", {}))
                await soon(begun.exists)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await soon(lambda: idle(looker), 40)
                await soon(lambda: not landings_of(project.ana), 5)
                there = project.tip() == project.ana.head
                assert there == any(x.sha == project.ana.head and x.found == "landed" for x in looker.landings())
                assert (await ok(client, "lane"))["text"] == "main: free"

    play(work())


@pytest.mark.parametrize("how", ["closed", signal.SIGTERM, signal.SIGINT])
def test_a_client_or_a_server_that_ends_takes_its_landing_along(project: Project, how: str | signal.Signals) -> None:
    project.ana.commit("work", one="1")
    command = [sys.executable, "-P", "-m", "prpgate", "mcp", "--path", str(project.ana.path)]
    lines = (
        '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},'
        '"clientInfo":{"name":"x","version":"1"}}}\n{"jsonrpc":"2.0","method":"notifications/initialized"}\n'
        '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"land","arguments":{}}}\n'
    )

    async def work() -> None:
        with (
            prpgate.connect(str(project.ana.path), agent="holder") as holder,
            holder.hold(wait_s=5),
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as server,
        ):
            assert server.stdin is not None
            server.stdin.write(lines)
            server.stdin.flush()
            await soon(lambda: holder.lane().queue)
            if isinstance(how, signal.Signals):
                server.send_signal(how)
            else:
                server.stdin.close()
            code = await asyncio.to_thread(server.wait, 10)
            assert code == (128 + how if isinstance(how, signal.Signals) else 0)
            assert not holder.lane().queue, "it was over before the server was"
            assert not landings_of(project.ana)
        assert project.tip() != project.ana.head

    play(work())


def test_a_refused_landing_names_the_cause_and_the_call(project: Project) -> None:
    ben = project.join("ben")
    ben.commit("theirs", README="theirs\n")
    ben.git("push", "-q")
    project.ana.commit("mine", README="mine\n")

    async def work() -> None:
        async with connected(project.ana) as client:
            said = await refused(client, "land")
            assert "README" in said
            assert "\nNext: in a shell: git pull" in said
            assert "Code: conflict" in said

    play(work())


@pytest.mark.parametrize("reason", ["a\0b", "x" * 200_000])
def test_a_reason_that_no_command_line_takes_is_refused(project: Project, reason: str) -> None:
    project.ana.commit("work", one="1")

    async def work() -> None:
        async with connected(project.ana) as client:
            assert "prp land could not be started" in await refused(client, "land", reason=reason)
            await ok(client, "next")

    play(work())
