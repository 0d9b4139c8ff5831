"""What the tests of the client stand on: a project, its store, and servers that misbehave."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest
import redis

from prpgate.config import Config, parse
from prpgate.errors import StoreDown
from prpgate.store import processes

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from prpgate.store.embedded import Embedded

ID = "0d5b2f7c-8a4e-4c57-9d0f-3f4f2f6a1b11"
OTHER = "ffffffff-8a4e-4c57-9d0f-3f4f2f6a1b11"
PROJECT = "example.org/team/app"
SECRET = "hunter2"
META = f"prp:{{{PROJECT}}}:meta"
REFUSAL_S = 3.0


def config(store_id: str = ID, scope: str = "machine", project: str = PROJECT) -> Config:
    return parse(f'project = "{project}"\nstore.id = "{store_id}"\nstore.scope = "{scope}"\n', "prp.toml")


def tcp(s: socket.socket, user: str = f":{SECRET}@") -> str:
    return f"redis://{user}127.0.0.1:{s.getsockname()[1]}/0"


def down(do: Callable[[], object]) -> StoreDown:
    """The StoreDown that it raises, within the time that a refusal may take and without a password anywhere."""
    begun = time.monotonic()
    with pytest.raises(StoreDown) as e:
        do()
    assert time.monotonic() - begun < REFUSAL_S
    said = f"{e.value.message} {e.value.hint} {e.value.next_action} {e.value!r}"
    assert SECRET not in said
    assert e.value.exit_code == 4
    return e.value


class Talker:
    """Accepts connections and plays a part; keeps what it was sent."""

    def __init__(self, s: socket.socket, part: Callable[[socket.socket, bytes], None]) -> None:
        self.listener, self.part, self.heard = s, part, b""
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        while True:
            try:
                peer = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.talk, args=(peer,), daemon=True).start()

    def talk(self, peer: socket.socket) -> None:
        with peer:
            try:
                while data := peer.recv(65536):
                    self.heard += data
                    self.part(peer, data)
            except OSError:
                return


def talk(one: Embedded) -> redis.Redis:
    return redis.Redis(unix_socket_path=one.socket, decode_responses=True, socket_timeout=10)


def ensure(one: Embedded) -> bool:
    """Start it with patience: the machine that tests may be busy."""
    url, new = one.ensure(20)
    assert unquote(url.removeprefix("unix://")) == one.socket
    return new


def is_gone(pid: int) -> bool:
    return not (processes.command(pid).strip("\0 "))
