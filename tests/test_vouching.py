"""A landing vouches for exactly its own push, and only while it is sure of the lane."""

from __future__ import annotations

import os
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from prpgate.model import ZERO, RefUpdate
from prpgate.vouching import VOUCHER, Voucher, question, reported, vouched

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEAD, BASE, REF = "a" * 40, "b" * 40, "refs/heads/main"
MINE = RefUpdate("HEAD", HEAD, REF, BASE)


@pytest.fixture
def voucher(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Voucher]:
    """Of a landing that is about to push `MINE`."""
    with Voucher() as one:
        one.listen(str(home / "s"), question(HEAD, BASE, REF))
        monkeypatch.setenv(VOUCHER, str(home / "s"))
        yield one


def asked(voucher: Voucher, updates: list[RefUpdate], *, holds: bool = True) -> bool:
    answering = threading.Thread(target=voucher.answer, args=(holds,))
    answering.start()
    try:
        link = vouched(updates)
        if link:
            link.close()
        return link is not None
    finally:
        answering.join()


def test_its_own_push(voucher: Voucher) -> None:
    assert asked(voucher, [MINE])
    assert asked(voucher, [MINE]), "to a remote with two addresses it is asked twice"


def test_not_when_the_lane_may_be_anothers_by_now(voucher: Voucher) -> None:
    assert not asked(voucher, [MINE], holds=False)


@pytest.mark.parametrize(
    "other",
    [
        MINE._replace(local_sha="c" * 40),
        MINE._replace(remote_sha="c" * 40),
        MINE._replace(remote_sha=ZERO),
        MINE._replace(remote_ref="refs/heads/release"),
    ],
)
def test_no_other_push(voucher: Voucher, other: RefUpdate) -> None:
    assert not asked(voucher, [other])


def test_not_what_is_pushed_along_with_it(voucher: Voucher) -> None:
    assert not asked(voucher, [MINE, MINE._replace(remote_ref="refs/heads/release")])


def test_a_name_that_nobody_listens_at_vouches_for_nothing(voucher: Voucher) -> None:
    voucher.stop_listening()
    assert not vouched([MINE])
    os.unlink(os.environ[VOUCHER])
    assert not vouched([MINE])


def test_whoever_says_something_else_has_not_said_yes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home / "odd"))
        listener.listen(1)
        monkeypatch.setenv(VOUCHER, str(home / "odd"))

        def lie() -> None:
            asker, _ = listener.accept()
            with asker:
                asker.sendall(b"yes, of course\n")

        heard = threading.Thread(target=lie)
        heard.start()
        assert not vouched([MINE])
        heard.join()


def test_one_who_asks_and_goes_holds_nobody_up(voucher: Voucher) -> None:
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(os.environ[VOUCHER])
    voucher.answer(True)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(os.environ[VOUCHER])
        voucher.answer(True)
    assert asked(voucher, [MINE])


def test_where_nothing_can_listen_the_store_is_asked(home: Path) -> None:
    with Voucher() as one:
        one.listen(str(home / ("s" * 200)), question(HEAD, BASE, REF))
        assert one.listener is None


@pytest.mark.parametrize("told", [True, False])
def test_who_stands_by_is_told_or_finds_the_link_broken(voucher: Voucher, told: bool) -> None:
    answering = threading.Thread(target=voucher.answer, args=(True,))
    answering.start()
    link = vouched([MINE])
    answering.join()
    assert link is not None
    with link:
        if told:
            voucher.reported()
        voucher.__exit__()
        assert reported(link) is told
