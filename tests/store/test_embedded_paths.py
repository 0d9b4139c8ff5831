"""Where this machine's own store lives: any home, any environment, and nobody else's folder."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
import redis

from prpgate.errors import StoreDown
from prpgate.store import folders
from prpgate.store.embedded import Embedded

from .stage import PROJECT, ensure

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "name", ["two words", "größe", 'it\'s "quoted" \\ $HOME', "new\nline", b"\xff".decode(errors="surrogateescape")]
)
def test_any_name_of_a_home_works(home: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", os.path.join(home, name))
    one = Embedded(PROJECT)
    try:
        assert ensure(one)
        with redis.Redis.from_url(one.url) as r:
            assert r.ping()
        assert one.status().running
    finally:
        assert one.stop()


def test_a_long_path_gets_a_short_socket_that_every_environment_finds(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(home / ("d" * 120)))
    one = Embedded(PROJECT)
    ensure(one)
    try:
        assert one.socket.startswith(f"{home}/run/prpgate/")
        monkeypatch.delenv("XDG_RUNTIME_DIR")  # a cron job, say
        assert Embedded(PROJECT).socket == one.socket
        assert Embedded(PROJECT).answers()
    finally:
        assert one.stop()
    # Started again from there, it listens where that environment can, and the session finds it there.
    ensure(one)
    try:
        assert one.socket.startswith(f"/tmp/prpgate-{os.getuid()}/")
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / "run"))
        assert Embedded(PROJECT).answers()
    finally:
        assert one.stop()
    assert not os.path.exists(one.socket)


@pytest.mark.parametrize("length", range(60, 130, 7))
def test_a_socket_path_always_fits(home: Path, length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", f"{home}/" + "ä" * (length // 2))
    monkeypatch.setenv("XDG_RUNTIME_DIR", f"{home}/" + "r" * length)
    assert len(os.fsencode(Embedded(PROJECT).socket)) <= 103


def test_a_folder_for_sockets_that_others_may_enter_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(home / ("d" * 120)))
    (home / "run/prpgate").mkdir()
    (home / "run/prpgate").chmod(0o777)
    one = Embedded(PROJECT)
    with pytest.raises(StoreDown, match="mode 777"):
        one.ensure(5)
    (home / "run/prpgate").rmdir()
    (home / "elsewhere").mkdir(mode=0o700)
    (home / "run/prpgate").symlink_to(home / "elsewhere")
    with pytest.raises(StoreDown, match="no folder"):
        one.ensure(5)
    assert not one.running


def test_a_socket_in_a_folder_that_is_not_private_is_not_talked_to(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder in /tmp may have been made by somebody else since the last reboot, with a server in it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(home / ("d" * 120)))
    one = Embedded(PROJECT)
    ensure(one)
    try:
        (home / "run/prpgate").chmod(0o755)
        assert not one.answers()
        (home / "run/prpgate").chmod(0o700)
        assert one.answers()
    finally:
        assert one.stop()


def test_the_data_folder_must_be_private(own: Embedded) -> None:
    os.makedirs(own.data)
    os.chmod(own.data, 0o755)
    with pytest.raises(StoreDown, match="mode 755"):
        own.ensure(5)


def test_a_folder_of_somebody_else_is_refused(own: Embedded) -> None:
    """As after `sudo`, which keeps HOME: root's files in it would lock its owner out."""
    if os.geteuid() == 0:
        os.makedirs(own.data, 0o700)
        os.chown(own.data, 12345, -1)
        with pytest.raises(StoreDown, match="belongs to user 12345"):
            own.ensure(5)
        os.chown(own.data, 0, -1)
    assert "belongs to user 0" in str(folders.why_not_private("/usr")) or os.geteuid() == 0


def test_a_copied_data_folder_is_a_store_of_its_own(own: Embedded, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ensure(own)
    shutil.copytree(own.data, home / "copy/prpgate" / os.path.basename(own.data), ignore=lambda *_: ["sock"])
    (home / "copy/prpgate" / os.path.basename(own.data)).chmod(0o700)
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "copy"))
    copy = Embedded(PROJECT)
    assert copy.socket != own.socket
    assert copy.pid is None
    assert not copy.running


def test_without_a_home_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    for home in (None, "", "not/absolute"):
        monkeypatch.delenv("HOME", raising=False)
        if home is not None:
            monkeypatch.setenv("HOME", home)
        with pytest.raises(StoreDown, match="HOME is not set"):
            Embedded(PROJECT)


def test_without_xdg_variables_it_lives_below_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    for value in (None, "", "not/absolute"):
        monkeypatch.delenv("XDG_STATE_HOME", raising=False)
        if value is not None:
            monkeypatch.setenv("XDG_STATE_HOME", value)
        assert Embedded(PROJECT).data.startswith(f"{home}/.local/state/prpgate/")
    one = Embedded(PROJECT)
    ensure(one)
    assert one.stop()
