"""Every tool, on real clones; and what is refused, in words that an agent can act on."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from tests.mcp.conftest import connected, ok, refused

if TYPE_CHECKING:
    from tests.e2e.conftest import Project


def test_a_prp_from_next_to_complete(project: Project) -> None:
    async def work() -> None:
        async with connected(project.ana) as client:
            found = await ok(client, "next")
            assert found["yours"] == []
            first = found["ready"][0]["id"]
            assert found["next"] == f"claim {json.dumps({'id': first})}"
            claimed = await ok(client, "claim")
            print(claimed)
            own = claimed["prp"]["id"]
            project.ana.commit(f"feat({own}): work", one="1")
            seen: list[str] = []

            async def progress(done: float, total: float | None, message: str | None) -> None:
                seen.append(message or "")

            print(await ok(client, "complete", id=own))
            project.ana.git("commit", "-qam", f"{own}: complete")
            result = await client.call_tool("land", {}, progress_callback=progress)
            print(result, seen)
            print(await ok(client, "lane"))
            print(await ok(client, "log", id=own))
            print(await ok(client, "log"))
            print(await ok(client, "check", all=True))
            print(await ok(client, "send", to="ben", text="hello"))
            print(await ok(client, "inbox"))
            print(await refused(client, "claim", id="P2-020"))

    asyncio.run(work())
