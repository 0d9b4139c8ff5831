"""prpgate for async programs: the verbs of `prpgate.api`, awaited.

    async with prpgate.aio.connect() as project:
        done = await project.start("P2-040")
        async with project.hold("main", wait_s=60) as held:
            ...

Safe to cancel at every await. A verb is one step in the store and in a file; it is never left half done: a cancelled
call is finished first (the store's time-outs bound that), then CancelledError is raised, and the same call again tells
what came of it. What was being waited for is given up: no ticket, no lock and no process stays behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from . import api, land_process
from .errors import UserError
from .land_process import Landed as Landed
from .land_process import settled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence
    from typing import Self

    from .claims import Why
    from .events import Event
    from .grip import Grip
    from .history import History
    from .lane_log import LandingSeen
    from .lane_state import LaneState, LogEvent
    from .mail import Acked, Inbox, Sent
    from .milestone import Done
    from .model import Finding
    from .outcomes import Queued
    from .prps import Note, PrpState, SyncReport
    from .registry import Entry
    from .verify import Verified

P = ParamSpec("P")
T = TypeVar("T")
FOLLOW_MOST = 10_000  # events that wait for a slow reader; past it the reader is told


class Project:
    """One clone, its policy and its store. Use it in an `async with`, or `await close()` it."""

    def __init__(self, path: str = ".", *, url: str | None = None, agent: str | None = None) -> None:
        self._path, self._url, self._named = path, url, agent
        self._project = api.Project(path, url=url, agent=agent)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="prpgate")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections and end the thread."""
        await self._do(self._project.close)
        self._thread.shutdown(wait=False)

    @property
    def agent(self) -> str:
        return self._project.agent

    async def _do(self, call: Callable[P, T], *args: P.args, **more: P.kwargs) -> T:
        return await _finished(self._thread, lambda: call(*args, **more))

    # --- the verbs, as in prpgate.api --------------------------------------------------------------------------------
    async def store(self) -> api.StoreStatus:
        return await self._do(self._project.store)

    async def prps(self, *statuses: str) -> list[PrpState]:
        return await self._do(self._project.prps, *statuses)

    async def prp(self, any_id: str) -> PrpState:
        return await self._do(self._project.prp, any_id)

    async def ready(self) -> api.Ready:
        return await self._do(self._project.ready)

    async def new(self, title: str, *, id: str | None = None, doc: str | None = None) -> Done:
        return await self._do(self._project.new, title, id=id, doc=doc)

    async def validate(self, id: str) -> Done:
        return await self._do(self._project.validate, id)

    async def start(self, id: str) -> Done:
        return await self._do(self._project.start, id)

    async def complete(self, id: str) -> Done:
        return await self._do(self._project.complete, id)

    async def complete_undo(self, id: str) -> Done:
        return await self._do(self._project.complete_undo, id)

    async def reopen(self, id: str, reason: str) -> Done:
        return await self._do(self._project.reopen, id, reason)

    async def renew(self, id: str) -> Done:
        return await self._do(self._project.renew, id)

    async def claim_next(self, domain: str | None = None) -> Done:
        """Cancelled when it has just got one, it gives that back: nobody would know of it. What was handed over to this
        agent stays its own, as it was before."""
        doing = asyncio.get_running_loop().run_in_executor(self._thread, self._project.claim_next, domain)
        try:
            return await asyncio.shield(doing)
        except asyncio.CancelledError:
            await settled(doing)
            if doing.exception() is None:
                from .claims import give_back

                def back() -> None:
                    give_back(self._project.session.context(), doing.result().prp.id)

                await settled(asyncio.get_running_loop().run_in_executor(self._thread, back))
            raise

    async def release(self, id: str, note: str = "") -> Done:
        return await self._do(self._project.release, id, note)

    async def handover(self, id: str, to: str, note: str = "", *, force: bool = False) -> Done:
        return await self._do(partial(self._project.handover, force=force), id, to, note)

    async def deprecate(self, id: str, by: str) -> Done:
        return await self._do(self._project.deprecate, id, by)

    async def block(self, id: str, reason: str, by: str | None = None) -> Done:
        return await self._do(self._project.block, id, reason, by)

    async def unblock(self, id: str) -> Done:
        return await self._do(self._project.unblock, id)

    async def assign(self, id: str, agent: str | None) -> Done:
        return await self._do(self._project.assign, id, agent)

    async def phase(self, id: str, name: str) -> Done:
        return await self._do(self._project.phase, id, name)

    async def note(self, id: str, text: str) -> Done:
        return await self._do(self._project.note, id, text)

    async def notes(self, id: str) -> list[Note]:
        return await self._do(self._project.notes, id)

    async def why(self, id: str) -> Why:
        return await self._do(self._project.why, id)

    async def history(self, id: str, count: int = 50) -> History:
        return await self._do(self._project.history, id, count)

    async def verify(self, *ids: str) -> Verified:
        return await self._do(self._project.verify, *ids)

    async def smoke(self) -> api.Smoked:
        return await self._do(self._project.smoke)

    async def agents(self) -> list[Entry]:
        return await self._do(self._project.agents)

    async def send(
        self,
        to: str,
        text: str,
        *,
        prp: str | None = None,
        priority: str = "normal",
        reply_to: str | None = None,
        id: str | None = None,
    ) -> Sent:
        more = {"prp": prp, "reply_to": reply_to, "id": id}
        return await self._do(lambda: self._project.send(to, text, priority=priority, **more))

    async def inbox(self, which: str = "unread") -> Inbox:
        return await self._do(self._project.inbox, which)

    async def acknowledge(self, ids: Iterable[str]) -> Acked:
        return await self._do(self._project.acknowledge, list(ids))

    async def sync(self) -> SyncReport:
        return await self._do(self._project.sync)

    async def check(self) -> list[Finding]:
        return await self._do(self._project.check)

    async def lanes(self) -> list[str]:
        return await self._do(self._project.lanes)

    async def lane(self, name: str | None = None) -> LaneState:
        return await self._do(self._project.lane, name)

    async def lane_log(self, name: str | None = None, *, count: int = 30) -> list[LogEvent]:
        return await self._do(self._project.lane_log, name, count=count)

    async def landings(self, name: str | None = None, *, count: int = 30) -> list[LandingSeen]:
        return await self._do(self._project.landings, name, count=count)

    async def close_lane(self, reason: str, name: str | None = None) -> None:
        await self._do(self._project.close_lane, reason, name)

    async def open_lane(self, reason: str, name: str | None = None) -> bool:
        return await self._do(self._project.open_lane, reason, name)

    async def break_lock(self, fence: int, reason: str, name: str | None = None) -> bool:
        return await self._do(self._project.break_lock, fence, reason, name)

    async def events(self, count: int = 30, *, lane: str | None = None) -> list[Event]:
        return await self._do(self._project.events, count, lane=lane)

    # --- what takes time ---------------------------------------------------------------------------------------------
    async def land(self, branch: str | None = None, *, prp: str | None = None, wait_s: float | None = None) -> Landed:
        """`prp land`, in a process of its own: cancelled, it is told to stop as by Ctrl-C, and its end is awaited.

        Raises UserError when it is refused. A landing that was cancelled too late has landed: `landings` tells.
        """
        given = land_process.options(branch, prp, wait_s, url=self._url)
        return await land_process.run(self._project.path, given, agent=self._named)

    @contextlib.asynccontextmanager
    async def hold(
        self,
        name: str | None = None,
        *,
        wait_s: float = 0.0,
        on_change: Callable[[Queued], None] | None = None,
    ) -> AsyncIterator[Grip]:
        """Hold a lane's merge lock for as long as the block lasts. `on_change` is called in another thread."""
        thread = ThreadPoolExecutor(1, thread_name_prefix="prpgate-hold")
        project = api.Project(self._path, url=self._url, agent=self._named)
        stop = api.Stop()
        held = project.hold(name, wait_s=wait_s, on_change=on_change, stop=stop)
        loop = asyncio.get_running_loop()
        entering = loop.run_in_executor(thread, held.__enter__)
        try:
            try:
                grip = await asyncio.shield(entering)
            except asyncio.CancelledError:
                await settled(loop.run_in_executor(None, stop.now))
                await settled(entering)
                if entering.exception() is None:
                    await settled(loop.run_in_executor(thread, held.__exit__, None, None, None))
                raise
            try:
                yield grip
            finally:
                await _finished(thread, lambda: held.__exit__(None, None, None))
        finally:
            await _finished(thread, project.close)
            thread.shutdown(wait=False)

    async def follow(self, after: str = "$", *, lanes: Sequence[str] | None = None) -> AsyncIterator[Event]:
        """Every event from now on, or after a stream id, as it comes. Raises StoreDown."""
        loop, came = asyncio.get_running_loop(), asyncio.Queue[Any](FOLLOW_MOST)
        project = api.Project(self._path, url=self._url, agent=self._named)
        over = threading.Event()

        def give(what: Event | UserError) -> None:
            if not over.is_set():
                asyncio.run_coroutine_threadsafe(came.put(what), loop).result()

        def read() -> None:
            with project, contextlib.suppress(RuntimeError, asyncio.CancelledError):  # the loop is over
                try:
                    for event in project.follow(after, lanes=lanes):
                        if over.is_set():
                            return
                        if event is not None:
                            give(event)
                except UserError as e:
                    give(e)

        # A daemon: it is inside a blocking call for up to eight seconds, and keeps nobody from leaving.
        threading.Thread(target=read, name="prpgate-follow", daemon=True).start()
        try:
            while True:
                what = await came.get()
                if isinstance(what, UserError):
                    raise what
                yield what
        finally:
            over.set()
            while not came.empty():  # room for the one that the thread may be about to put
                came.get_nowait()


async def _finished(thread: ThreadPoolExecutor, call: Callable[[], T]) -> T:
    """Call it in the thread. Cancelled, it is finished all the same, and then CancelledError is raised."""
    doing = asyncio.get_running_loop().run_in_executor(thread, call)
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await settled(doing)
        raise


def connect(path: str = ".", *, url: str | None = None, agent: str | None = None) -> Project:
    """As `prpgate.connect`, for async programs."""
    return Project(path, url=url, agent=agent)
