"""What every part of the Python API stands on: one command's view of one clone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import ops
from ..errors import UserError

if TYPE_CHECKING:
    from ..lock import MergeLock
    from ..milestone import Context


class Face:
    """One clone, its policy and its store."""

    def __init__(self, path: str = ".", *, url: str | None = None, agent: str | None = None) -> None:
        self._session = ops.Session(path, url=url, agent=agent, command=False)
        _ = self._session.config  # a folder without prp.toml is found out here, not at the first verb

    @property
    def session(self) -> ops.Session:
        """What the verbs work on, for what this class has no verb for."""
        return self._session

    @property
    def agent(self) -> str:
        """The name under which everything is done."""
        return self._session.agent.name

    def _context(self) -> Context:
        ops.greet(self._session)
        return self._session.context()

    def _lock(self, name: str | None) -> MergeLock:
        only = self._session.lanes(name) if name else [self._session.config.ledger_lane]
        return self._session.lock(only[0])


def deaf(*_: object) -> None:
    """Nobody listens."""


def said(reason: str) -> str:
    if not reason.strip():
        raise UserError("say why: everybody who is refused reads it.", code="usage")
    return " ".join(reason.split())
