"""The status `prp/lane` on the heads of open pull requests: whether the lane may be had right now, who has it, and why.

Required by the repository, it keeps the merge button in line. It is written where it changed; the store remembers what
was written. A host that does not answer is nobody's fault here: whoever looks next writes it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import HostDown, HostRefused, UserError
from .lane_state import FREE
from .lock import MergeLock
from .messages import sign as say

if TYPE_CHECKING:
    from .config import Config
    from .gitrepo import Repo
    from .host import Host, Pull
    from .lane_state import LaneState
    from .store.client import Store

ASK_S = 5.0  # for one answer of the host
MOST, MOST_S = 100, 15.0  # pull requests that are told, and how long that may take
KEPT_MS = 30 * 24 * 3600 * 1000
SUCCESS, FAILURE = "success", "failure"


class Sign(NamedTuple):
    """What a status says. `key` is the same for as long as it need not be written again."""

    state: str
    text: str
    key: str


def wanted(config: Config) -> bool:
    return config.via == "pr" and bool(config.land_check)


def of(state: LaneState, pull: Pull) -> Sign:
    """What a lane's state means for one pull request."""
    if state.state != FREE and pull.head_sha in (p.head for p in state.pulls):
        return Sign(SUCCESS, say.yours(state), f"own {state.fence}")
    if state.closed:
        return Sign(FAILURE, say.closed(state), f"closed {state.closed.by} {state.closed.reason}")
    if state.state != FREE:
        return Sign(FAILURE, say.held(state), f"held {state.fence} {state.phase}")
    return Sign(SUCCESS, say.free(state.name), "free")


def show(repo: Repo, config: Config, host: Host, store: Store, lane: str) -> UserError | None:
    """Bring the status of each open pull request to this lane up to date. Raises StoreDown; what the host said when it
    could not be done is returned."""
    if not wanted(config):
        return None
    client: Any = store.redis
    key, until = store.keys.signs(lane), time.monotonic() + MOST_S
    try:
        pulls = [p for p in host.pulls(base=lane) if p.state == "open"][:MOST]
        state = MergeLock(store, lane, config.times).state()  # after what it took to ask: it is what stands now
        with store.faults():
            before: dict[str, str] = client.hgetall(key)
        for pull in pulls:
            sign = of(state, pull)
            if before.pop(pull.head_sha, "") != sign.key and time.monotonic() < until:
                _put(config, host, store, key, pull.head_sha, sign)
        with store.faults():
            if before:
                client.hdel(key, *before)
            client.pexpire(key, KEPT_MS)
    except (HostDown, HostRefused) as e:
        return e
    return None


def follow(repo: Repo, config: Config, store: Store, lane: str) -> UserError | None:
    """`show`, for who has not asked the host for anything yet."""
    from .host import choose

    try:
        return show(repo, config, choose.of(repo, config, timeout_s=ASK_S), store, lane)
    except HostRefused as e:
        return e


def allow(config: Config, host: Host, store: Store, lane: str, pull: Pull, agent: str) -> None:
    """The lane is this pull request's: its own status must not stand in the way of its landing."""
    if not wanted(config):
        return
    try:
        _put(config, host, store, store.keys.signs(lane), pull.head_sha, Sign(SUCCESS, say.turn(lane, agent), "turn"))
    except (HostDown, HostRefused):
        return  # where it is required the merge itself will be refused, and says so


def _put(config: Config, host: Host, store: Store, key: str, head: str, sign: Sign) -> None:
    client: Any = store.redis
    host.set_status(head, config.land_check, sign.state, sign.text)
    with store.faults():
        client.hset(key, head, sign.key)
