"""Which server is the store, and that no password ever shows."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from prpgate.config import Config, parse
from prpgate.errors import StoreDown, UsageError
from prpgate.store import discover
from tests.world import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ID = "0d5b2f7c-8a4e-4c57-9d0f-3f4f2f6a1b11"
SECRET = "hunter2"


def config(scope: str = "machine", url: str = "") -> Config:
    return parse(
        f'project = "example.org/team/app"\nstore.id = "{ID}"\nstore.scope = "{scope}"\nstore.url = "{url}"\n',
        "prp.toml",
    )


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.fixture
def port() -> int:
    """A port where nobody listens: the real 6379 belongs to the machine."""
    return free_port()


@pytest.fixture
def tcp() -> Iterator[tuple[Server, int]]:
    number = free_port()
    one = Server("--port", str(number), "--bind", "127.0.0.1")
    yield one, number
    one.close()


# --- the order -------------------------------------------------------------------------------------------------------


def test_the_rules_win_in_their_order(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("REDIS_URL=redis://dotenv/0\n")
    monkeypatch.setenv("PRP_REDIS_URL", "redis://prp/0")
    monkeypatch.setenv("REDIS_URL", "redis://plain/0")
    set_up = config(url="redis://configured/0")

    def winner(url: str | None = None) -> tuple[str, str, str]:
        place = discover.find(set_up, str(tmp_path), url, port=port)
        return place.rule, place.url, place.source

    assert winner("redis://argument/0") == ("--redis-url", "redis://argument/0", "set by --redis-url")
    assert winner() == ("PRP_REDIS_URL", "redis://prp/0", "set by PRP_REDIS_URL")
    monkeypatch.delenv("PRP_REDIS_URL")
    assert winner() == ("REDIS_URL", "redis://plain/0", "set by REDIS_URL")
    monkeypatch.delenv("REDIS_URL")
    assert winner() == ("store.url", "redis://configured/0", "set by prp.toml")
    set_up = config()
    assert winner() == (".env", "redis://dotenv/0", "set by REDIS_URL in .env")
    (tmp_path / ".env").unlink()
    assert winner()[::2] == ("embedded", "this machine's own")


def test_an_empty_value_counts_as_unset(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRP_REDIS_URL", "")
    monkeypatch.setenv("REDIS_URL", "  \n")
    (tmp_path / ".env").write_text("PRP_REDIS_URL=\nREDIS_URL=''\n")
    assert discover.find(config(), str(tmp_path), "", port=port).rule == "embedded"


def test_a_newline_at_the_end_of_a_secret_is_no_part_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:hunter2@cache.example:6380/0\n")
    assert discover.find(config(), str(tmp_path)).url == "redis://:hunter2@cache.example:6380/0"


def test_a_shared_project_never_gets_a_server_of_this_machine(tmp_path: Path, port: int, home: Path) -> None:
    with pytest.raises(StoreDown) as e:
        discover.find(config("team"), str(tmp_path), port=port)
    assert "set REDIS_URL" in e.value.message
    assert e.value.exit_code == 4
    assert [str(t) for t in discover.tried(config("team"), str(tmp_path), port=port)][-1] == (
        "embedded: not for store.scope = team"
    )


def test_finding_starts_nothing_writes_nothing_and_imports_no_redis(tmp_path: Path, port: int, home: Path) -> None:
    code = (
        "import sys; from prpgate.config import parse; from prpgate.store import discover;"
        f"discover.find(parse('project=\"a\"', 'prp.toml'), {str(tmp_path)!r}, port={port});"
        "sys.exit('redis' in sys.modules or 'subprocess' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    assert not (home / "state").exists()


def test_tried_tells_what_each_rule_said_up_to_the_winner(tmp_path: Path, port: int) -> None:
    (tmp_path / ".env").write_text(f"PRP_REDIS_URL=redis://me:{SECRET}@dotenv:6380/2\n")
    seen = discover.tried(config(), str(tmp_path), port=port)
    assert [t.rule for t in seen] == ["--redis-url", "PRP_REDIS_URL", "REDIS_URL", "store.url", ".env"]
    assert str(seen[0]) == "--redis-url: not set"
    assert str(seen[-1]) == ".env: redis://me@dotenv:6380/2"
    assert SECRET not in repr(seen)


def test_tried_shows_a_bad_address_instead_of_raising(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", f"http://:{SECRET}@x")
    seen = discover.tried(config(), str(tmp_path))
    assert "set by REDIS_URL" in seen[-1].said
    assert SECRET not in repr(seen)


# --- .env ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("REDIS_URL=redis://a/0", "redis://a/0"),
        ("\ufeffREDIS_URL=redis://a/0\r\n", "redis://a/0"),
        ("export REDIS_URL=redis://a/0", "redis://a/0"),
        ('  export   REDIS_URL = "redis://a/0"  # ours', "redis://a/0"),
        ("REDIS_URL='redis://a/0'", "redis://a/0"),
        ("REDIS_URL=redis://a/0 # ours", "redis://a/0"),
        ("REDIS_URL=redis://a/0\nREDIS_URL=redis://b/0", "redis://b/0"),
        ("REDIS_URL=redis://a/0\nPRP_REDIS_URL=redis://b/0", "redis://b/0"),
        ("REDIS_URL=redis://a/0\nPRP_REDIS_URL=", "redis://a/0"),
        ("\n#REDIS_URL=redis://a/0\nMY_REDIS_URL=redis://b/0\nREDIS_URLS=redis://c/0\n", None),
        ("REDIS_URL=# nothing yet", None),
        ("REDIS_URL", None),
        ("\0\x1b\nREDIS_URL=redis://a/0", "redis://a/0"),
    ],
)
def test_dotenv(tmp_path: Path, port: int, text: str, want: str | None) -> None:
    (tmp_path / ".env").write_bytes(text.encode())
    place = discover.find(config(), str(tmp_path), port=port)
    assert (place.url if place.rule == ".env" else None) == want


@pytest.mark.parametrize("text", ["REDIS_URL=redis://a/0 oops", "REDIS_URL=${CACHE}", "REDIS_URL=$(cat secret)"])
def test_a_line_that_cannot_be_read_is_an_error_and_never_passes_for_unset(tmp_path: Path, text: str) -> None:
    (tmp_path / ".env").write_text(text)
    with pytest.raises(UsageError, match=r"set by REDIS_URL in \.env"):
        discover.find(config(), str(tmp_path))


def test_a_dotenv_that_is_a_folder_or_bytes_sets_nothing(tmp_path: Path, port: int) -> None:
    (tmp_path / ".env").mkdir()
    assert discover.find(config(), str(tmp_path), port=port).rule == "embedded"
    (tmp_path / ".env").rmdir()
    (tmp_path / ".env").write_bytes(b"\xff\xfe=\x80\n")
    assert discover.find(config(), str(tmp_path), port=port).rule == "embedded"


# --- addresses and passwords -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://", "redis://"),
        ("rediss://ben:hunter2@cache.example:6380/1", "rediss://ben@cache.example:6380/1"),
        ("redis://:hunter2@[::1]:6379", "redis://[::1]:6379"),
        ("redis://:hunter2%2F%40@h", "redis://h"),
        ("redis://:hunter2@hunter2@h", "redis://h"),
        ("redis://:a:hunter2@h", "redis://h"),
        ("redis://hunter2@h", "redis://h"),
        ("redis://h?password=hunter2", "redis://h"),
        ("redis://h/0?ssl_password=hunter2&db=1", "redis://h/0"),
        ("unix:///run/a%20b/s?password=hunter2", "unix:///run/a%20b/s"),
        ("unix://ben:hunter2@/run/s", "unix://ben@/run/s"),
    ],
)
def test_good_addresses_are_taken_and_shown_without_their_secrets(url: str, shown: str) -> None:
    discover.check(url, "here")
    assert discover.redact(url) == shown
    assert SECRET not in repr(discover.Place(url, "rule", "source"))
    assert SECRET not in f"{discover.Place(url, 'rule', 'source')}"


@pytest.mark.parametrize(
    "url",
    [
        "hunter2",
        ":hunter2@host",
        "http://:hunter2@host",
        "redis+sentinel://:hunter2@host",
        "redis://:hunter2/x@host",
        "redis://:x?hunter2@host",
        "redis://:x#hunter2@host",
        "redis://h:port-hunter2",
        "redis://h:99999",
        "redis://h/hunter2",
        "redis://ho st",
        "redis://h\x1b[31mhunter2",
        "redis://:hunter2\n@h",
        "unix://hunter2",
        "unix://",
        "unix://h/run/s",
        "REDIS://h",
    ],
)
def test_bad_addresses_are_refused_by_name_without_their_secrets(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    with pytest.raises(UsageError) as e:
        discover.find(config(), str(tmp_path))
    said = f"{e.value.message} {e.value.hint} {e.value!r} {discover.redact(url)}"
    assert "REDIS_URL" in said
    assert SECRET not in said
    assert "\x1b" not in said
    assert e.value.exit_code == 2


@pytest.mark.parametrize("url", ["redis://:hunter2@h/0", "redis://ben:hunter2@h", "redis://h?password=hunter2"])
def test_a_password_in_the_committed_file_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as e:
        discover.find(config(url=url), str(tmp_path))
    assert "prp.toml" in e.value.message
    assert "PRP_REDIS_URL" in str(e.value.hint)
    assert SECRET not in f"{e.value.message}{e.value.hint}"


def test_an_address_without_a_password_in_the_committed_file_is_fine(tmp_path: Path) -> None:
    assert discover.find(config(url="rediss://ben@h:6380/0"), str(tmp_path)).rule == "store.url"


# --- the server on this machine's usual port -------------------------------------------------------------------------


def test_a_server_on_localhost_wins_only_if_it_holds_the_id(tmp_path: Path, tcp: tuple[Server, int]) -> None:
    server, port = tcp
    with server.redis() as r:
        assert discover.find(config(), str(tmp_path), port=port).rule == "embedded"
        r.hset("prp:{example.org/team/app}:meta", "store_id", "another")
        assert discover.find(config(), str(tmp_path), port=port).rule == "embedded"
        r.hset("prp:{example.org/team/app}:meta", "store_id", ID)
        place = discover.find(config(), str(tmp_path), port=port)
        assert (place.rule, place.url) == ("localhost:6379", f"redis://localhost:{port}/0")
        assert discover.find(config("team"), str(tmp_path), port=port).rule == "localhost:6379"
        r.config_set("requirepass", SECRET)
        assert discover.find(config(), str(tmp_path), port=port).rule == "embedded"


def test_a_project_without_an_id_trusts_no_server(tmp_path: Path, tcp: tuple[Server, int]) -> None:
    without = parse('project = "example.org/team/app"\n', "prp.toml")
    assert discover.find(without, str(tmp_path), port=tcp[1]).rule == "embedded"


def test_a_refused_port_costs_nothing(port: int) -> None:
    took_s = []
    for _ in range(20):
        begun = time.perf_counter()
        assert discover.probe(config(), port).place is None
        took_s.append(time.perf_counter() - begun)
    assert min(took_s) < 0.02, "the others may have waited for the machine"


@pytest.mark.parametrize(("drip", "every_s"), [(b"", 0.05), (b"$", 0.05), (b"$" * 65536, 0)])
def test_a_server_that_says_nothing_or_never_ends_costs_no_more_than_the_probe(drip: bytes, every_s: float) -> None:
    """The others send something now and then, or all the time: a time-out for each read would never run out."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        talker = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "import socket, sys, time\n"
                f"s = socket.socket(fileno={listener.fileno()}).accept()[0]\n"
                "try:\n"
                f"    while True: s.sendall({drip!r}); time.sleep({every_s})\n"
                "except OSError: pass\n",
            ],
            pass_fds=(listener.fileno(),),
            env={**os.environ},
        )
        try:
            begun = time.perf_counter()
            assert discover.probe(config(), port).place is None
            assert 0.15 < time.perf_counter() - begun < 10, "it would never end"
        finally:
            talker.kill()
            talker.wait()
