"""The tools. Each is one call into the verbs that every front shares; here they are only asked and answered."""

from __future__ import annotations

import asyncio
import contextlib
import time
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import anyio
import anyio.to_thread
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import BeforeValidator, Field

from ..errors import UserError
from ..messages import mcp as say
from . import answers
from .shapes import Changed, Check, Inbox, LandResult, Lanes, Log, Next, Sent

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..land_process import Landed
    from ..ops import Session
    from .own import Own

T = TypeVar("T")
GATE_LINES_EVERY_S = 0.2  # what steps write is told no more often; what the landing is at, always

LOOKS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
ADDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
CHANGES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)
PUSHES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=True)
SAYS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False)

# Not given is "", for some hosts take no schema in which a value may be null; a null is taken all the same.
_no_null = BeforeValidator(lambda value: "" if value is None else value)
Text = Annotated[str, _no_null]
Id = Annotated[str, Field(description="a PRP, by any of its ids")]
Action = Literal["validate", "note", "phase", "block", "unblock", "release", "handover", "reopen"]


class Desk:
    """Where calls are served, in threads, never left half done: what writes the ledger one at a time."""

    def __init__(self, own: Own) -> None:
        self.own = own
        self.landings: set[asyncio.Task[Landed]] = set()
        self._looking, self._writing = anyio.CapacityLimiter(4), anyio.CapacityLimiter(1)

    async def do(self, ctx: Context[Any, Any], verb: Callable[[Session], T], *, writes: bool = False) -> T:
        """One verb. A cancelled call is finished first. Raises ToolError for what the verb refuses."""
        params = ctx.session.client_params
        self.own.client(params.client_info.name if params else None)
        try:
            return await anyio.to_thread.run_sync(self.run, verb, limiter=self._writing if writes else self._looking)
        except UserError as e:
            raise ToolError(say.refusal(e)) from None

    def run(self, verb: Callable[[Session], T]) -> T:
        """One verb, here and now. Raises UserError."""
        session = self.own.session()
        try:
            return verb(session)
        finally:
            session.close()

    async def land(self, ctx: Context[Any, Any], given: list[str]) -> Landed:
        """One landing, in a process of its own; a call that is cancelled ends when that has given everything back."""
        from .. import land_process

        path, name = await self.do(ctx, lambda s: (s.repo.root, s.agent.name))
        count, last = 0, 0.0

        async def tell(line: str) -> None:
            nonlocal count, last
            if " | " in line and time.monotonic() - last < GATE_LINES_EVERY_S:
                return
            count, last = count + 1, time.monotonic()
            await ctx.report_progress(count, message=line)

        task = asyncio.create_task(land_process.run(path, given, agent=name, on_line=tell))
        self.landings.add(task)
        try:
            return await asyncio.shield(task)
        except UserError as e:
            raise ToolError(say.refusal(e)) from None
        except asyncio.CancelledError:
            task.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([task])
            raise
        finally:
            self.landings.discard(task)

    async def stop(self) -> None:
        """End the landings that are under way; it is over when they have given everything back."""
        for task in self.landings:
            task.cancel()
        if self.landings:
            await asyncio.wait(self.landings)


def register(server: MCPServer[Any], own: Own) -> Desk:
    """Put every tool on a server."""
    desk = Desk(own)
    tool = partial(server.tool, structured_output=True)  # a shape that is none is an error here, not text there

    @tool(annotations=LOOKS)
    async def next(ctx: Context[Any, Any], domain: Text = "") -> Next:
        """What you hold, what is ready to start (best first), and why the rest is not."""
        return await desk.do(ctx, lambda s: answers.next_(s, domain or None))

    @tool(annotations=ADDS)
    async def claim(ctx: Context[Any, Any], id: Text = "", domain: Text = "") -> Changed:
        """Claim a PRP, so that nobody else works on it; without an id, the best one that is ready. Renewed while this
        server runs."""
        if id:
            return await desk.do(ctx, lambda s: answers.start(s, id), writes=True)
        done = await desk.do(ctx, lambda s: answers.claim_next(s, domain or None), writes=True)
        try:
            await anyio.lowlevel.checkpoint()
        except anyio.get_cancelled_exc_class():  # nobody would know of it
            with anyio.CancelScope(shield=True), contextlib.suppress(ToolError):
                await desk.do(ctx, lambda s: answers.give_back(s, done["prp"]["id"]), writes=True)
            raise
        return done

    @tool(annotations=CHANGES)
    async def update(
        ctx: Context[Any, Any],
        id: Id,
        action: Action,
        text: Annotated[str, _no_null, Field(description="the note, reason or phase")] = "",
        to: Annotated[str, _no_null, Field(description="handover: whom; block: the PRP waited for")] = "",
    ) -> Changed:
        """Change a PRP short of completing it."""
        return await desk.do(ctx, lambda s: answers.update(s, id, action, text, to or None), writes=True)

    @tool(annotations=CHANGES)
    async def complete(ctx: Context[Any, Any], id: Id, undo: bool = False) -> Changed:
        """Record a PRP as done. Evidence is fetched, not typed: a green landing of its work. Without one, the line
        written here lands with the work. undo: while it has not landed."""
        return await desk.do(ctx, lambda s: answers.complete(s, id, undo), writes=True)

    @tool(annotations=PUSHES)
    async def land(
        ctx: Context[Any, Any],
        prp: Text = "",
        wait_s: Annotated[float, Field(ge=0, description="for your turn")] = 45,
        revert: Annotated[str, _no_null, Field(description="take back this sha instead; 'last': what closed it")] = "",
        reason: Text = "",
    ) -> LandResult:
        """Land the commits of the current branch: waits in line, rebases, proves, pushes, asks the remote. May take
        minutes; cancel it and nothing stays behind. state queued: your place is kept, call again."""
        from .. import land_process

        sha = "" if revert == "last" else revert or None
        own_id = await desk.do(ctx, partial(answers.own_id, any_id=prp)) if prp else None
        given = land_process.options(None, own_id, wait_s, sha, reason, own.url)
        done = await desk.land(ctx, given)
        if done.state != "queued":
            return answers.landed(done)
        return answers.landed(done, await desk.do(ctx, lambda s: answers.lanes(s, done.lane)["text"]))

    @tool(annotations=LOOKS)
    async def lane(ctx: Context[Any, Any], name: Text = "") -> Lanes:
        """Who holds each lane (protected branch), until when, who waits, and whether it is closed and why."""
        return await desk.do(ctx, lambda s: answers.lanes(s, name or None))

    @tool(annotations=LOOKS)
    async def log(
        ctx: Context[Any, Any],
        id: Text = "",
        lane: Text = "",
        count: Annotated[int, Field(ge=1, le=200)] = 20,
    ) -> Log:
        """Why a PRP cannot be started and how it got there; or what happened on a lane; with neither, the last refusal
        here and the newest events."""
        return await desk.do(ctx, lambda s: answers.log(s, id or None, lane or None, count))

    @tool(annotations=SAYS)
    async def send(
        ctx: Context[Any, Any],
        to: Annotated[str, Field(description="agent, @role or @all")],
        text: str,
        prp: Text = "",
        priority: Literal["low", "normal", "high", "urgent"] = "normal",
        reply_to: Text = "",
    ) -> Sent:
        """Send a message; it is kept until it is acknowledged."""
        return await desk.do(ctx, lambda s: answers.send(s, to, text, prp or None, priority, reply_to or None))

    @tool(annotations=ADDS)
    async def inbox(
        ctx: Context[Any, Any],
        ack: Annotated[list[str], Field(description="ids that you have taken up")] = [],  # noqa: B006 - never changed
    ) -> Inbox:
        """Your unread messages. Reading acknowledges nothing."""
        return await desk.do(ctx, lambda s: answers.inbox(s, ack))

    @tool(annotations=LOOKS)
    async def check(ctx: Context[Any, Any], all: bool = False) -> Check:
        """Judge the ledger: what is staged, or all of it."""
        return await desk.do(ctx, lambda s: answers.check(s, all))

    return desk
