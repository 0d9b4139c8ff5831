"""Servers that are away, silent, strangers or closed to us: told in time, and without a password."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest

from prpgate.store.client import Store, connect
from prpgate.store.embedded import Embedded

from .stage import PROJECT, SECRET, Talker, config, down, tcp

if TYPE_CHECKING:
    from tests.world import Server


def test_nobody_listens(root: str, listener: socket.socket) -> None:
    url = tcp(listener)
    listener.close()
    e = down(lambda: connect(config(), root, url=url))
    assert e.code == "store-unreachable"
    assert "set by --redis-url" in e.message
    assert e.next_action == "prp redis-status"


def test_a_listener_that_says_nothing(root: str, listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", tcp(listener))
    e = down(lambda: connect(config(), root))
    port = listener.getsockname()[1]
    assert e.message == f"the store at redis://127.0.0.1:{port}/0 did not answer in 1.0 s (set by REDIS_URL)."
    assert "PRP_REDIS_URL" in str(e.hint)


def test_a_listener_that_never_accepts(root: str) -> None:
    """A full backlog: connecting itself hangs, as behind a firewall that drops packets."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = []
        try:
            for _ in range(3):
                s = socket.socket()
                waiting.append(s)
                s.settimeout(0.1)
                s.connect_ex(full.getsockname())
            assert down(lambda: connect(config(), root, url=tcp(full))).code == "store-silent"
        finally:
            for s in waiting:
                s.close()


def test_a_server_that_drips_bytes_is_held_to_one_deadline(root: str, listener: socket.socket) -> None:
    """Each read succeeds, so a time-out for each read would never run out."""

    def drip(peer: socket.socket, _: bytes) -> None:
        peer.sendall(b"$1000\r\n")
        for _n in range(100):
            time.sleep(0.1)
            peer.sendall(b".")

    Talker(listener, drip)
    begun = time.monotonic()
    assert down(lambda: connect(config(), root, url=tcp(listener, ""))).code == "store-silent"
    assert time.monotonic() - begun < 8, "all of it takes ten seconds"


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"-ERR unknown command\r\n", b"*1\r\n$2\r\nhi\r\n", b""]
)
def test_a_server_that_is_no_redis(root: str, listener: socket.socket, said: bytes) -> None:
    def talk(peer: socket.socket, _: bytes) -> None:
        peer.sendall(said)
        peer.close()

    Talker(listener, talk)
    assert down(lambda: connect(config(), root, url=tcp(listener, ""))).code in ("store-unreachable", "store-empty")


def test_a_server_that_repeats_the_password_is_not_repeated(root: str, listener: socket.socket) -> None:
    Talker(listener, lambda peer, data: peer.sendall(b"-ERR no: " + data.replace(b"\r\n", b" ") + b"\r\n"))
    e = down(lambda: connect(config(), root, url=tcp(listener, f"ben:{SECRET}@")))
    assert "no: " in e.message


def test_a_name_that_nobody_knows(root: str) -> None:
    assert down(lambda: connect(config(), root, url=f"redis://:{SECRET}@no.such.host.invalid:1/0")).code in (
        "store-unreachable",
        "store-silent",
    )
    assert down(lambda: connect(config(), root, url="redis://" + "a" * 70 + ".invalid")).code == "store-unreachable"


def test_a_server_without_tls(root: str, listener: socket.socket) -> None:
    Talker(listener, lambda peer, _: peer.sendall(b"-ERR\r\n"))
    url = tcp(listener).replace("redis://", "rediss://")
    assert down(lambda: connect(config(), root, url=url)).code == "store-unreachable"
    assert down(lambda: connect(config(), root, url=url + "?ssl_cert_reqs=maybe")).code == "store-unreachable"
    assert down(lambda: connect(config(), root, url=url + "?ssl_ca_certs=/nowhere")).code == "store-unreachable"


def test_a_paused_server(root: str, store: Store, server: Server) -> None:
    server.send(signal.SIGSTOP)
    try:
        for options in ("", "?socket_timeout=60&socket_connect_timeout=60&retry_on_timeout=1&timeout=60"):
            e = down(lambda o=options: connect(config(), root, url=server.url + o))  # type: ignore[misc]
            assert e.code == "store-silent"
    finally:
        server.send(signal.SIGCONT)


def test_a_paused_server_of_our_own(root: str) -> None:
    connect(config(), root, timeout_s=10).close()
    pid = Embedded(PROJECT).pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    e = down(lambda: connect(config(), root))
    assert e.next_action == "prp store stop"
    assert f"process {pid}" in e.message
    assert down(lambda: connect(config(), root, start=False)).code == "store-not-running"


def test_a_wrong_password_and_none(root: str, server: Server) -> None:
    with server.redis() as r:
        r.config_set("requirepass", SECRET)
    assert down(lambda: connect(config(), root, url=server.url)).code == "store-refused"
    wrong = server.url.replace("unix://", f"unix://:{SECRET}x@")
    assert down(lambda: connect(config(), root, url=wrong)).code == "store-refused"
    right = server.url.replace("unix://", f"unix://:{SECRET}@")
    with connect(config(), root, url=right, adopt_check=False) as one:
        assert one.url == server.url
        assert SECRET not in f"{one!r} {one.url} {one.rule} {one.source}"
        with one.blocking(0.1) as waiting:
            assert waiting.blpop(["x"], 0.1) is None
