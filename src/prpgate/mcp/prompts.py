"""Prompts: three things that people say to their agents, said so that the tools are used in the right order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..messages import mcp as say

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer


def register(server: MCPServer[Any]) -> None:
    """Put every prompt on a server."""

    @server.prompt(title="Take the next PRP", description="Pick, claim, do, land and complete the next PRP")
    def take_next(domain: str = "") -> str:
        return say.take_next(domain)

    @server.prompt(title="Hand over", description="Give a PRP to another agent, with all that it needs to know")
    def hand_over(id: str, to: str) -> str:
        return say.hand_over(id, to)

    @server.prompt(
        title="Fix the closed lane", description="Find out why a lane is closed, and mend it or take it back"
    )
    def fix_closed_lane(lane: str = "") -> str:
        return say.fix_closed_lane(lane)
