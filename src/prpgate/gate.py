"""Under which steps CI judges a commit, as far as whoever lands it can know before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import policy
from .smoke import hash_of

if TYPE_CHECKING:
    from .config import Config
    from .gitrepo import Repo


def verdict_steps(repo: Repo, config: Config, head: str) -> str | None:
    """The hash under which CI will give its verdict, or has given it (ci-first). None: the gate asks for none.

    CI takes the steps that the commit itself declares. With gate ci the lane's are what a landing waits under.
    """
    if config.gate == "ci-first":
        return own_steps(repo, config, head)
    return hash_of(config) if config.gate == "ci" else None


def own_steps(repo: Repo, config: Config, head: str) -> str:
    """The hash of the steps that a commit declares itself."""
    settings = policy.at(repo, head) or config
    return hash_of(settings)
