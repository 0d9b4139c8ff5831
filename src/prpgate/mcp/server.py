"""The server: tools, resources and prompts on stdio, and what goes on beside them while it runs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp_types import EmptyResult, Resource, SubscribeRequestParams, Tool, UnsubscribeRequestParams

from .. import __version__
from ..errors import UserError
from ..messages import mcp as say
from . import prompts, tools
from .changes import LANE, PRP, Changes, lane_uri, prp_uri
from .own import LOOK_EVERY_S

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

    from .own import Own

LISTED = 50  # PRPs among the resources: those that somebody works on


class ProjectServer(MCPServer[Any]):
    """One client's view of one clone."""

    def __init__(self, own: Own) -> None:
        self._changes = Changes(own)
        super().__init__(
            "prpgate",
            version=__version__,
            instructions=say.INSTRUCTIONS,
            log_level="WARNING",
            subscriptions=self._changes,
        )
        self._own = own
        self.desk = tools.register(self, own)
        prompts.register(self)
        self._resources()
        # The handshake's way to subscribe has no door of its own in MCPServer; the low level is its documented one.
        low = self._lowlevel_server
        low.add_request_handler("resources/subscribe", SubscribeRequestParams, self._subscribe)
        low.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, self._unsubscribe)

    def _resources(self) -> None:
        @self.resource(PRP + "{id}", mime_type="application/json", description="A PRP: all that is recorded of it")
        async def prp(id: str) -> str:
            from .answers import whole

            return await self._read(lambda s: whole(s, id))

        @self.resource(
            LANE + "{name}", mime_type="application/json", description="A lane: holder, queue, closed or not"
        )
        async def lane(name: str) -> str:
            from .answers import lanes

            return await self._read(lambda s: lanes(s, name)["lanes"][0])

    async def _read(self, look: Any) -> str:
        try:
            return json.dumps(await anyio.to_thread.run_sync(self.desk.run, look), ensure_ascii=False, default=str)
        except UserError as e:
            kind = ResourceNotFoundError if e.code in ("unknown-prp", "no-lane") else ResourceError
            raise kind(say.refusal(e)) from None

    async def list_tools(self) -> list[Tool]:
        """The tools, their schemas without what says nothing: clients pay for every word."""
        found = await super().list_tools()
        for tool in found:
            tool.description = " ".join((tool.description or "").split())
            tool.input_schema = lean(tool.input_schema)
            tool.output_schema = tool.output_schema and lean(tool.output_schema)
        return found

    async def list_resources(self) -> list[Resource]:
        """The lanes, and the PRPs that somebody works on; nothing while the store is away."""
        from .answers import in_hand

        try:
            lanes, prps = await anyio.to_thread.run_sync(self.desk.run, lambda s: in_hand(s, LISTED))
        except UserError:
            return []
        kind = "application/json"
        return [
            *(Resource(uri=lane_uri(n), name=f"lane {n}", mime_type=kind) for n in lanes),
            *(Resource(uri=prp_uri(p["id"]), name=p["id"], title=p["title"], mime_type=kind) for p in prps),
        ]

    async def _subscribe(self, ctx: ServerRequestContext[Any, Any], params: SubscribeRequestParams) -> EmptyResult:
        self._changes.add(ctx.session, str(params.uri))
        return EmptyResult()

    async def _unsubscribe(self, ctx: ServerRequestContext[Any, Any], params: UnsubscribeRequestParams) -> EmptyResult:
        self._changes.remove(str(params.uri))
        return EmptyResult()

    async def serve(self) -> None:
        """Until the client closes its end, or a signal says so."""
        async with anyio.create_task_group() as beside:
            beside.start_soon(self._until_a_signal)
            beside.start_soon(self._renew)
            await self.run_stdio_async()
            beside.cancel_scope.cancel()

    async def _until_a_signal(self) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            async for number in signals:
                await self.desk.stop()
                os._exit(128 + number)  # a thread is inside a read of standard input, which nothing else ends

    async def _renew(self) -> None:
        while True:
            await anyio.sleep(LOOK_EVERY_S)
            with contextlib.suppress(UserError):  # the next call says it; a claim outlives many of these
                await anyio.to_thread.run_sync(self._own.renew)


def lean(schema: Any, *, names: bool = False) -> Any:
    """The same JSON schema in fewer words. `names`: its keys are a user's, not the schema's."""
    if isinstance(schema, list):
        return [lean(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if names:
        return {key: lean(value) for key, value in schema.items()}
    kinds = [one.get("type") if isinstance(one, dict) and len(one) == 1 else None for one in schema.get("anyOf", ())]
    found = {key: lean(value, names=key in ("properties", "$defs")) for key, value in schema.items()}
    if kinds and all(kinds):
        found = {"type": kinds, **{k: v for k, v in found.items() if k != "anyOf"}}
    return {key: value for key, value in found.items() if not _says_nothing(key, value, "properties" in schema)}


def _says_nothing(key: str, value: Any, is_shape: bool) -> bool:
    """What a schema says that is so without it, or that nobody who calls needs to be told."""
    return (
        key == "title"
        or (key == "description" and is_shape)
        or (key == "default" and value in (None, "", []))
        or (key == "additionalProperties" and value is True)
    )
