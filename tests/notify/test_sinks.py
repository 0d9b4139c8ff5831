"""Where tellings go: a signed POST that misbehaving receivers cannot hold up, and a program that gets no shell."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from prpgate import notify, webhook
from prpgate.errors import UsageError
from prpgate.gitrepo import Repo
from prpgate.messages import notify as say
from prpgate.notify import Sink
from tests.notify import CUT, DRIP, HANG, SECRET, Receiver, config, until
from tests.world import run

DOCS = Path(__file__).parents[2] / "docs" / "notify.md"


def verifier() -> Any:
    (code,) = re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    return names["verify"]


def post(receiver: Receiver, **more: Any) -> webhook.Sent:
    return webhook.post(receiver.url, SECRET, "lane-closed", "main:1-0:lane-closed", b'{"a": 1}', **more)


# --- webhook ---------------------------------------------------------------------------------------------------------


def test_the_signature_is_what_the_page_verifies() -> None:
    with Receiver() as receiver:
        assert post(receiver) == webhook.Sent(204, None)
    (got,) = receiver.got
    verify, header = verifier(), got.headers["Prp-Signature"]
    assert verify(header, got.body, SECRET)
    assert not verify(header, got.body + b" ", SECRET)
    assert not verify(header, got.body, SECRET + "x")
    assert not verify(header, got.body, SECRET, now=time.time() + 301)
    at = header.partition(",")[0].removeprefix("t=")
    assert not verify(header.replace(at, str(int(at) + 1)), got.body, SECRET), "the time is signed"
    for broken in ("", "t=1", "v1=2", "t=x,v1=y", ",,,="):
        assert not verify(broken, got.body, SECRET)


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_only_2xx_is_told(status: int) -> None:
    with Receiver(status) as receiver:
        assert post(receiver) == webhook.Sent(status, f"it answered {status}")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(status: int) -> None:
    with Receiver() as other, Receiver(status, location=other.url) as receiver:
        assert "no redirect is followed" in str(post(receiver).why_not)
        assert (len(receiver.got), other.got) == (1, [])


@pytest.mark.parametrize("how", [HANG, DRIP])
def test_who_does_not_answer_in_time_is_left(how: str) -> None:
    with Receiver(how) as receiver:
        begun = time.monotonic()
        assert post(receiver, deadline_s=1).why_not == "no answer within 1 s"
        assert time.monotonic() - begun < 3


def test_tls_that_is_never_agreed_on_has_the_same_deadline() -> None:
    """The head of a long record, and then a byte now and then."""
    over = threading.Event()

    def drip() -> None:
        s, _ = listening.accept()
        with s, contextlib.suppress(OSError):
            s.sendall(b"\x16\x03\x03\x40\x00")
            while not over.wait(0.2):
                s.sendall(b"\x02")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=drip)
        thread.start()
        try:
            begun = time.monotonic()
            url = f"https://127.0.0.1:{listening.getsockname()[1]}/"
            assert webhook.post(url, SECRET, "red", "x", b"{}", deadline_s=1).why_not == "no answer within 1 s"
            assert time.monotonic() - begun < 3
        finally:
            over.set()
            thread.join()


def test_who_hangs_up_or_is_not_there_is_not_told() -> None:
    with Receiver(CUT) as receiver:
        assert "not reached" in str(post(receiver).why_not)
    assert "not reached" in str(post(receiver).why_not), "it is closed now"


def test_what_cannot_be_said_in_http_is_no_fault() -> None:
    """Lanes are called what somebody wrote into the store; a secret is what somebody typed."""
    with Receiver() as receiver:
        sent = webhook.post(receiver.url, SECRET + "\udcff", "lane-closed", "a\r\nEvil: 1:lane-closed", b"{}")
    assert sent == webhook.Sent(204, None)
    (got,) = receiver.got
    assert got.headers["Prp-Cause"] == "a\\x0d\\x0aEvil: 1:lane-closed" and "Evil" not in got.headers
    nowhere = webhook.post("https://" + "a" * 64 + ".example/", SECRET, "red", "x", b"{}")
    assert nowhere.status == 0 and "not reached" in str(nowhere.why_not)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://hooks.example.org/x?y=1", "hooks.example.org"),
        ("https://HOOKS.example.org:8443/x", "hooks.example.org:8443"),
        ("http://localhost:8080/", "localhost:8080"),
        ("http://127.0.0.1/", "127.0.0.1"),
        ("http://[::1]:80/", "[::1]:80"),
    ],
)
def test_addresses_that_are_sent_to(url: str, host: str) -> None:
    assert webhook.address(url) == host
    assert config(f'webhook = "{url}"').notify_webhook == url


@pytest.mark.parametrize(
    "url",
    [
        *("http://hooks.example.org/", "ftp://localhost/", "file:///etc/passwd", "https://", "https:///x", "//x/y"),
        *("http://localhost.example.org/", "http://127.0.0.1.example.org/", "http://localhost@hooks.example.org/"),
        *("https://user:pw@hooks.example.org/", "https://hooks.example.org/#x", "https://hooks.example.org/a b"),
        *("https://hooks.example.org\\\\@localhost/", "https://hooks.example.org:99999/", "HTTP://hooks.example.org/"),
        *("https://hooks.example.org/ä", "https://hooks.example.org/\\r\\nX: y", "https://ex\\u0430mple.org/"),
    ],
)
def test_addresses_that_are_not(url: str) -> None:
    try:
        found = config(f'webhook = "{url}"')
    except UsageError as e:
        assert "notify.webhook" in e.message
        return
    assert webhook.address(found.notify_webhook) is None


def test_a_secret_is_for_its_host_alone() -> None:
    pairs = f"a.example.org={SECRET} b.example.org:8443={SECRET}b short.example.org=abc"
    assert webhook.secret_in(pairs, "a.example.org") == SECRET
    assert webhook.secret_in(pairs, "b.example.org:8443") == SECRET + "b"
    for host in ("b.example.org", "x.a.example.org", "example.org", "short.example.org", ""):
        assert webhook.secret_in(pairs, host) is None


def test_nothing_is_sent_to_a_host_without_a_secret(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as receiver, Receiver() as evil:
        mine, theirs = (config(f'webhook = "{r.url}"') for r in (receiver, evil))
        monkeypatch.setenv("PRP_NOTIFY_SECRET", receiver.pair)
        assert isinstance(notify.sink(Repo(str(repo)), mine), Sink)
        assert "no secret for" in str(notify.sink(Repo(str(repo)), theirs))
        assert SECRET not in repr(notify.sink(Repo(str(repo)), mine))


def test_a_secret_in_env_counts_only_where_git_does_not_track_it(repo: Path) -> None:
    with Receiver() as receiver:
        (repo / ".env").write_text(f'PRP_NOTIFY_SECRET="{receiver.pair}"\n')
        found = config(f'webhook = "{receiver.url}"')
        assert isinstance(notify.sink(Repo(str(repo)), found), Sink)
        run(["git", "add", ".env"], repo)
        assert "no secret for" in str(notify.sink(Repo(str(repo)), found))


# --- prp.toml --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ('events = ["lane-shut"]', "notify.events"),
        ('webhook = "https://a.example.org/"\ncommand = ["x"]', "notify.command"),
        ('command = ["tools/page"]', "notify.command"),
        ('command = ["./page"]', "notify.command"),
        ('command = "rm -rf /"', "notify.command"),
        ('webhook = ["https://a.example.org/"]', "notify.webhook"),
    ],
)
def test_settings_that_cannot_be(text: str, option: str) -> None:
    with pytest.raises(UsageError, match=re.escape(option)):
        config(text)


def test_without_any_of_it_nobody_is_told_anything() -> None:
    assert not config("").notifies
    assert config('command = ["page"]').notify_events == ("lane-closed", "your-turn", "claim-suspect")


# --- command ---------------------------------------------------------------------------------------------------------


def script(folder: Path, text: str) -> str:
    path = folder / "program"
    path.write_text(f"#!{sys.executable}\nimport json, os, sys, time\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_command_gets_json_and_no_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRP_NOTIFY_SECRET", "a=b")
    monkeypatch.setenv("PRP_REDIS_URL", "redis://:secret@localhost/0")
    monkeypatch.setenv("PRP_DASHBOARD_TOKEN", "c" * 24)
    out = tmp_path / "out"
    program = script(
        tmp_path,
        f"json.dump([sys.argv[1:], json.load(sys.stdin), os.getcwd(), dict(os.environ)], open({str(out)!r}, 'w'))",
    )
    words = (program, "$(touch /tmp/evil)", "`id`", ";", "a b")
    assert notify.run(words, b'{"detail": "$(reboot)"}') is None
    argv, said, cwd, env = json.loads(out.read_text())
    assert (argv, said, cwd) == (list(words[1:]), {"detail": "$(reboot)"}, "/")
    assert not {"PRP_NOTIFY_SECRET", "PRP_REDIS_URL", "PRP_DASHBOARD_TOKEN"} & env.keys()


def test_a_command_that_fails_is_not_told(tmp_path: Path) -> None:
    program = script(tmp_path, "print('no pager \\x1b[31m'); sys.exit(3)")
    assert notify.run((program,), b"{}") == "it ended with 3: no pager \\x1b[31m"
    assert "could not be started" in str(notify.run((str(tmp_path / "gone"),), b"{}"))


def test_a_command_that_reads_nothing_is_fine(tmp_path: Path) -> None:
    assert notify.run((script(tmp_path, ""),), b"x" * 1_000_000) is None


def test_what_a_command_leaves_running_is_ended(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    text = (
        f"import subprocess\nchild = subprocess.Popen(['sleep', '300'])\nopen({str(mark)!r}, 'w').write(str(child.pid))"
    )
    assert notify.run((script(tmp_path, text),), b"{}") is None
    until(lambda: not os.path.exists(f"/proc/{mark.read_text()}"), "the sleeper was ended", 5)


def test_a_command_that_hangs_is_ended(tmp_path: Path) -> None:
    begun = time.monotonic()
    assert notify.run((script(tmp_path, "time.sleep(300)"),), b"{}") == "no answer within 10 s"
    assert time.monotonic() - begun < 15


def test_a_command_runs_only_when_this_clone_allowed_exactly_it(repo: Path, tmp_path: Path) -> None:
    program, clone = script(tmp_path, ""), Repo(str(repo))
    found = config(f"command = {json.dumps([program, 'a'])}")
    assert "has not allowed the command" in str(notify.sink(clone, found))
    assert notify.there(clone)
    assert notify.allow(clone, found) is True
    assert not (Path(clone.own_dir) / notify.STAMP).exists(), "the next command starts a deliverer"
    assert notify.allow(clone, found) is False
    to = notify.sink(clone, found)
    assert isinstance(to, Sink) and to.command == (program, "a")
    for other in ([program, "b"], [program, "a", "a"], [program], ["sh", "-c", program]):
        assert "has not allowed" in str(notify.sink(clone, config(f"command = {json.dumps(other)}")))
    assert notify.sink(clone, config(f"command = {json.dumps([program, 'a'])}", "prp.toml")) == say.NOT_LANDED


def test_a_program_beside_us_is_none(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repo / "page").write_text("#!/bin/sh\n")
    (repo / "page").chmod(0o755)
    monkeypatch.chdir(repo)
    monkeypatch.setenv("PATH", f".{os.pathsep}{os.environ['PATH']}")
    found = config('command = ["page"]')
    notify.allow(Repo(str(repo)), found)
    assert "there is no program page" in str(notify.sink(Repo(str(repo)), found))
