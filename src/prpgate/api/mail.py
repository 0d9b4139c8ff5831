"""Agents, messages and events, for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import events, mail, ops, registry
from .face import Face

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from ..events import Event
    from ..mail import Acked, Inbox, Sent
    from ..registry import Entry


class Mail(Face):
    """Every verb between agents."""

    def agents(self) -> list[Entry]:
        """Who is there, what they hold, and since when nothing was heard of them."""
        return registry.agents(self._session.store(), self._session.config, self._session.lanes())

    def send(
        self,
        to: str,
        text: str,
        *,
        prp: str | None = None,
        priority: str = "normal",
        reply_to: str | None = None,
        id: str | None = None,
    ) -> Sent:
        """Send a message that waits until it is acknowledged: to an agent, "@role" or "@all". The same `id` again
        sends nothing. `prp` is any id of a PRP that there is."""
        s = self._session
        more = {"prp": ops.prp_called(s, prp) if prp is not None else None, "reply_to": reply_to, "id": id}
        return mail.send(s.store(), s.config, s.caller, to, text, priority=priority, **more)

    def inbox(self, which: str = "unread") -> Inbox:
        """Messages: "unread" (urgent ones first), "read" or "sent" (newest first). Reading acknowledges nothing."""
        return mail.inbox(self._session.store(), self._session.caller, which)

    def acknowledge(self, ids: Iterable[str]) -> Acked:
        """Say that these were read and taken up. Their senders see it."""
        return mail.acknowledge(self._session.store(), self._session.caller, ids)

    def listen(self, timeout_s: float | None = None) -> Inbox | None:
        """Wait until there is something unread; None when the time is over."""
        return mail.listen(self._session.store(), self._session.caller, timeout_s=timeout_s)

    def events(self, count: int = 30, *, lane: str | None = None) -> list[Event]:
        """The last events of PRPs, or of one lane, oldest first."""
        return events.tail(self._session.store(), count, lane=lane)

    def follow(self, after: str = "$", *, lanes: Sequence[str] | None = None) -> Generator[Event | None, None, None]:
        """Every event from now on, as it comes; None when eight seconds passed without one."""
        return events.follow(self._session.store(), after, lanes)
