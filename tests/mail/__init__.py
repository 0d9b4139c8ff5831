"""Tests of the registry of agents, of messages between them, and of following what happens."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prpgate import config as configuration
from prpgate import mail, registry
from prpgate.store.client import Store

if TYPE_CHECKING:
    from prpgate.mail import Inbox, Sent
    from prpgate.registry import Me
    from tests.world import Server

PROJECT = "example/mail"
CONFIG = configuration.parse(f'project = "{PROJECT}"\n', "prp.toml")


def asleep(server: Server) -> None:
    """Wait until somebody waits in a blocking call: whoever begun to listen has looked, and found nothing."""
    client, until = server.redis(), time.monotonic() + 60
    while not int(client.info("clients")["blocked_clients"]):
        assert time.monotonic() < until
        time.sleep(0.02)


class Post:
    """A store, and everybody's mail in it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.store = Store.over(server.redis(), PROJECT)

    def me(self, name: str, *roles: str) -> Me:
        return registry.Me(name, "box", f"/git/{name}", f"/src/{name}", registry.PROGRAM, roles)

    def join(self, *names: str) -> None:
        for name in names:
            registry.beat(self.store, self.me(name))

    def send(self, sender: str, to: str, text: str = "hello", **more: str) -> Sent:
        return mail.send(self.store, CONFIG, self.me(sender), to, text, **more)

    def inbox(self, name: str, which: str = "unread") -> Inbox:
        return mail.inbox(self.store, self.me(name), which)

    def texts(self, name: str, which: str = "unread") -> list[str]:
        return [m.text for m in self.inbox(name, which).messages]

    def ack(self, name: str, *ids: str) -> mail.Acked:
        return mail.acknowledge(self.store, self.me(name), ids or [m.id for m in self.inbox(name).messages])

    def age(self, name: str, **ms: int) -> None:
        """Move times of a registry entry into the past."""
        import json

        client = self.store.redis
        raw = client.hget(self.store.keys.agents, name)
        assert isinstance(raw, str)
        one = json.loads(raw)
        client.hset(self.store.keys.agents, name, json.dumps({**one, **{k: one[k] - v for k, v in ms.items()}}))
