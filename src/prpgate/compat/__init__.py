"""Names that scripts of an earlier system import, on this project's store and with its guarantees.

    from prpgate.compat import sync_redis, prp_redis, agent_redis, RedisEnhancedStateManager

What is the same: names, arguments and kinds of answers. What is different, on purpose:

* Keys live in the project's own store, below `prp:{project}:compat:`, whichever namespace a script names.
* A store that is away is an exception (StoreDown), never a None that looks like an answer. `ping` and
  `get_redis_status` say False.
* The merge lock is the lane's: it is held by this agent from this worktree, for that PRP, as long as the process lives
  (a lease longer at most). Releasing somebody else's changes nothing and answers False.
* PRP states move only as the verbs allow.

What has a successor says once that it is deprecated, and what to use instead; small values (`set`, `get` …) have none.
Those of `sync_redis` are plain calls; those of `prp_redis` and `agent_redis` are awaited.
"""

from __future__ import annotations

from .bus import RedisMessageBus
from .states import AgentStateRedis, PRPStateRedis, RedisEnhancedStateManager, get_redis_state_manager
from .values import SyncRedisHelper

__all__ = [
    "AgentStateRedis",
    "PRPStateRedis",
    "RedisEnhancedStateManager",
    "RedisMessageBus",
    "SyncRedisHelper",
    "agent_redis",
    "get_redis_state_manager",
    "prp_redis",
    "sync_redis",
]

sync_redis = SyncRedisHelper()
prp_redis = PRPStateRedis()
agent_redis = AgentStateRedis()
