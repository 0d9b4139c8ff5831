"""The host of a clone's remote, ready to be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import address
from .github import Github
from .transport import TIMEOUT_S, transport

if TYPE_CHECKING:
    from ..config import Config
    from ..gitrepo import Repo
    from . import Host


def of(repo: Repo, config: Config, *, timeout_s: float = TIMEOUT_S) -> Host:
    """The host of the remote that the lanes are on; `timeout_s` is for each call, all of it. Nothing is asked yet.

    Raises HostRefused when it cannot be told which host or repository, and when there is neither a token nor `gh`.
    """
    place = address.find(repo, config)
    return Github(transport(place, timeout_s), place.api, place.repository)
