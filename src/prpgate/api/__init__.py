"""prpgate for programs: the verbs of the command line as calls that take and give plain values.

    with prpgate.connect() as project:
        for prp in project.ready().prps:
            print(prp.id, prp.title)
        done = project.start("P2-040")
        with project.hold("main", wait_s=60) as held:
            ...                                   # nobody else lands meanwhile; held.lost() says if that ends

Values are the named tuples of `prpgate.live`, `prpgate.lane_state` and `prpgate.outcomes`. What the command line says
on stderr comes as an exception: UserError and its kinds, with `message`, `code`, `hint` and `next_action`.

A Project belongs to one thread at a time. `prpgate.aio` is the same for async programs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .lanes import Lanes, Stop
from .mail import Mail
from .prps import Prps, Ready, Smoked

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Project", "Ready", "Smoked", "Stop", "StoreStatus", "connect"]


class StoreStatus(NamedTuple):
    """Which store this is, and how it answers."""

    url: str  # without a secret
    rule: str  # which of the rules found it
    store_id: str
    latency_ms: float
    server: str  # such as "valkey 9.1.2"


class Project(Prps, Lanes, Mail):
    """One clone, its policy and its store. Close it, or use it in a `with`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. The next verb opens them again."""
        self._session.close()

    @property
    def name(self) -> str:
        """The project's id."""
        return self._session.config.project

    @property
    def path(self) -> str:
        """Top of the working tree."""
        return self._session.repo.root

    def store(self) -> StoreStatus:
        """Reach the store. Raises StoreDown."""
        store = self._session.store()
        return StoreStatus(store.url, store.rule, store.store_id, store.ping_ms(), store.server())


def connect(path: str = ".", *, url: str | None = None, agent: str | None = None) -> Project:
    """The project of the clone at `path`. `url`: this store, instead of the one that the rules find; `agent`: the
    name to act under, instead of PRP_AGENT and the rest.

    Raises UsageError where there is no repository or no prp.toml. The store is reached by the first verb that
    needs it.
    """
    return Project(path, url=url, agent=agent)
