"""Messages between agents, under the earlier system's name: durable, where that one's were lost on nobody's ear."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from .. import api
from .desk import DESK, deprecated

if TYPE_CHECKING:
    from .desk import Desk

PRIORITIES = {"low": "low", "normal": "normal", "medium": "normal", "high": "high", "urgent": "urgent"}


class RedisMessageBus:
    """Direct messages and broadcasts. Each waits until its receiver has taken it."""

    def __init__(self, agent_id: str | None = None) -> None:
        deprecated("RedisMessageBus", "prpgate.connect().send, inbox and listen")
        self.agent_id = agent_id  # only told along: who sends is who runs this process

    async def send(self, to: str, message: Any, priority: str = "normal") -> str:
        """To an agent; the message's id. What is no text goes as JSON. Raises UserError when the mailbox is full."""

        def act(desk: Desk) -> str:
            text = message if isinstance(message, str) else json.dumps(message, default=str)
            return desk.project().send(to, text, priority=PRIORITIES.get(priority, "normal")).id

        return str(await asyncio.to_thread(DESK.do, act))

    async def broadcast(self, message: Any, priority: str = "normal") -> str:
        """To everybody who is registered."""
        return await self.send("@all", message, priority)

    async def receive(self, timeout: float | None = 0) -> list[dict[str, Any]]:
        """Take what is unread, urgent ones first; waits `timeout` seconds for the first (None: as long as it takes).
        The process's other calls go on meanwhile."""

        def wait() -> None:
            with api.connect() as own:
                own.listen(timeout)

        def take(desk: Desk) -> list[dict[str, Any]]:
            project = desk.project()
            messages = project.inbox().messages
            if messages:
                project.acknowledge([m.id for m in messages])
            return [{"id": m.id, "from": m.sender, "message": m.text, "priority": m.priority} for m in messages]

        while True:
            if timeout != 0:
                await asyncio.to_thread(wait)
            taken: list[dict[str, Any]] = await asyncio.to_thread(DESK.do, take)
            if taken or timeout is not None:  # else somebody else of this name took them first
                return taken
