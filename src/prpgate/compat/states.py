"""PRP states, agents and the merge lock, as the earlier system's scripts ask for them."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import ops
from ..errors import StoreDown, UserError
from ..messages import api as say
from .desk import DESK, deprecated
from .values import AsyncNames

if TYPE_CHECKING:
    from ..api import Project
    from ..live import PrpState
    from .desk import Desk
    from .values import SyncRedisHelper

HEARTBEAT_S = 300


class PRPStateRedis(AsyncNames):
    """PRP states and the merge lock."""

    def __init__(self) -> None:
        super().__init__("prp")

    async def set_prp_state(self, prp_id: str, state: str, owner: str | None = None) -> bool:
        """Take a PRP to a state by its verb (validated, in_progress, complete). False when it is not there after.

        `owner` is ignored: who does it owns it. Raises UserError with the reason when the verb refuses.
        """
        deprecated("set_prp_state", "prpgate.connect().validate, start or complete")
        return await asyncio.to_thread(DESK.do, lambda desk: _move(desk.project(), prp_id, state).status == state)

    async def get_prp_state(self, prp_id: str) -> dict[str, Any] | None:
        """{"state", "owner", "updated_at"}; None for one that nobody knows."""
        deprecated("get_prp_state", "prpgate.connect().prp")
        found = await asyncio.to_thread(DESK.do, lambda desk: _find(desk.project(), prp_id))
        return found and {"state": found.status, "owner": found.owner, "updated_at": _changed(found)}

    async def add_to_integration_queue(self, prp_id: str) -> int:
        """Put a PRP at the end of a list; its length. The lane's own queue is `prp land`'s."""
        deprecated("add_to_integration_queue", "prp land")
        return await asyncio.to_thread(_push_last, self._sync, "integration:queue", prp_id)

    async def get_next_for_integration(self, timeout: int = 0) -> Any:
        """Take the first of that list."""
        return await self.blpop("integration:queue", timeout)

    async def acquire_merge_lock(self, prp_id: str, ttl: int = 3600) -> bool:
        """Hold the lane for a PRP, now or not at all. It is renewed while this process lives; `ttl` is ignored."""
        deprecated("acquire_merge_lock", "prp land, or prpgate.connect().hold")
        return await asyncio.to_thread(DESK.do, lambda desk: desk.acquire(prp_id))

    async def release_merge_lock(self, prp_id: str | None = None) -> bool:
        """Give it back. False, and nothing changes, when it is not this agent's own from this worktree."""
        deprecated("release_merge_lock", "prp land, or prpgate.connect().hold")
        return await asyncio.to_thread(DESK.do, lambda desk: desk.release(prp_id))

    async def get_merge_lock_owner(self) -> str | None:
        """The PRP for which the lane is held, else the agent; None when it is free."""
        deprecated("get_merge_lock_owner", "prpgate.connect().lane")
        holder = await asyncio.to_thread(DESK.do, lambda desk: desk.project().lane().holder)
        return (holder.prp or holder.agent) if holder else None


class AgentStateRedis(AsyncNames):
    """What agents say of themselves."""

    def __init__(self) -> None:
        super().__init__("agent")

    async def set_agent_status(self, agent_id: str, status: str, current_prp: str | None = None) -> bool:
        said = {"status": status, "current_prp": current_prp, "updated_at": ops.iso(_now_ms())}
        return await self.set(f"{agent_id}:status", said)

    async def get_agent_status(self, agent_id: str) -> dict[str, Any] | None:
        found = await self.get(f"{agent_id}:status")
        return found if isinstance(found, dict) else None

    async def heartbeat(self, agent_id: str) -> bool:
        """A sign of life that holds for five minutes."""
        return await self.set(f"{agent_id}:heartbeat", ops.iso(_now_ms()), HEARTBEAT_S)

    async def get_all_agents(self) -> list[dict[str, Any]]:
        names = [k.removesuffix(":status") for k in await self.keys("*:status")]
        found = [(name, await self.get_agent_status(name)) for name in names]
        return [{**said, "agent_id": name} for name, said in found if said]


class Connection(NamedTuple):
    """What `get_redis_status` tells."""

    connected: bool
    enabled: bool
    url: str
    helper_available: bool


class RedisEnhancedStateManager:
    """What the earlier system's scripts ask of the PRPs."""

    def __init__(self, status_file: str | None = None, enable_redis: bool = True) -> None:
        deprecated("RedisEnhancedStateManager", "prpgate.connect()")
        self.enable_redis = enable_redis

    def get_redis_status(self) -> dict[str, Any]:
        """{"connected", "enabled", "url", "helper_available"}; never raises for a store that is away."""
        try:
            store = DESK.do(lambda desk: desk.project().store())
        except StoreDown as e:
            return Connection(False, self.enable_redis, e.message, True)._asdict()
        return Connection(True, self.enable_redis, store.url, True)._asdict()

    def sync_all_to_redis(self) -> dict[str, Any]:
        """Bring the live state up to the lane: {"synced", "errors", "prps"}."""

        def act(desk: Desk) -> dict[str, Any]:
            report = desk.project().sync()
            ids = [p.id for p in desk.project().prps()]
            return {"synced": report.synced, "errors": len(report.conflicts), "prps": ids}

        done: dict[str, Any] = DESK.do(act)
        return done

    def get_prp(self, prp_id: str) -> PrpState | None:
        found: PrpState | None = DESK.do(lambda desk: _find(desk.project(), prp_id))
        return found

    def list_prps(self, status: Any = None) -> list[PrpState]:
        wanted = [] if status is None else [str(getattr(status, "value", status))]
        found: list[PrpState] = DESK.do(lambda desk: desk.project().prps(*wanted))
        return found

    def get_next_prp(self) -> PrpState | None:
        ready: list[PrpState] = DESK.do(lambda desk: desk.project().ready().prps)
        return ready[0] if ready else None

    def transition_prp(
        self, prp_id: str, new_status: Any, commit_hash: str | None = None, notes: str | None = None
    ) -> tuple[bool, str]:
        """(done, what to tell). Evidence is fetched: `commit_hash` is not taken on trust."""
        wanted = str(getattr(new_status, "value", new_status))
        try:
            after = DESK.do(lambda desk: _move(desk.project(), prp_id, wanted))
        except StoreDown:
            raise
        except UserError as e:
            return False, e.message
        return after.status == wanted, f"{after.id} is {after.status}" + (f" ({after.phase})" if after.phase else "")

    async def get_redis_prp_state(self, prp_id: str) -> dict[str, Any] | None:
        return await PRPStateRedis().get_prp_state(prp_id)

    async def get_merge_lock_status(self) -> str | None:
        return await PRPStateRedis().get_merge_lock_owner()


def get_redis_state_manager() -> RedisEnhancedStateManager:
    return RedisEnhancedStateManager()


def _now_ms() -> float:
    return time.time() * 1000


def _changed(p: PrpState) -> str | None:
    times = [p.fields.get(f) for f in ("completed_at", "started_at", "validated_at")]
    return next((str(t) for t in times if t), None)


def _find(project: Project, prp_id: str) -> PrpState | None:
    try:
        return project.prp(prp_id)
    except StoreDown:
        raise
    except UserError:
        return None


def _move(project: Project, prp_id: str, state: str) -> PrpState:
    verbs = {"validated": project.validate, "in_progress": project.start, "complete": project.complete}
    if state not in verbs:
        raise say.no_verb(state, list(verbs))
    return verbs[state](prp_id).prp


def _push_last(names: SyncRedisHelper, key: str, value: Any) -> int:
    text = json.dumps(value, default=str)
    return int(names.call(lambda r, _: r.rpush(names.key(key), text)))
