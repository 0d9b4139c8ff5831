"""How it starts and ends: ports, a second one, signals, the extra that is missing, documents, sizes."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.dashboard import Dashboard, Small, entries
from tests.notify import until
from tests.world import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import Server


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_at_once_with_pages_open(board: Dashboard, number: int) -> None:
    board.log_in()
    with board.listen() as one, board.listen() as other:
        begun = time.monotonic()
        code, err = board.end(number)
        took = time.monotonic() - begun
        assert one.ended()
        assert other.ended()
    assert (code, took < 3) == (130, True), took
    assert "Traceback" not in err
    assert err.rstrip().endswith("prp: stopped")


def test_a_browser_is_opened_with_the_link(small: Small, tmp_path: Path) -> None:
    told, browser = tmp_path / "told", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {told}.part && mv {told}.part {told}\n')
    browser.chmod(0o755)
    env = {"BROWSER": f"{browser} %s"}
    with Dashboard(small.clone, "--port", "0", "--open", env=env) as first:
        until(told.exists, "the browser was started")
        assert told.read_text() == first.link
        told.unlink()
        again = json.loads(small.clone.prp("dashboard", "--open", "--json", env=env).out)
        until(told.exists, "and for the dashboard that runs already")
        assert (told.read_text(), again["already"]) == (again["url"], True)


def test_it_ends_while_the_store_is_away(board: Dashboard, server: Server) -> None:
    with board.log_in().listen() as page:
        server.stop()
        page.until(lambda m: m.event == "store")
        code, err = board.end()
    assert (code, "Traceback" in err) == (130, False)


def test_a_port_that_is_taken(small: Small) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = small.clone.prp("dashboard", "--port", str(port), "--json", ok=False)
    answer = json.loads(refused.out)
    assert (refused.code, answer["error"]["code"]) == (1, "port-taken"), refused
    assert answer["next_action"].startswith("prp dashboard --port ")
    assert answer["next_action"] != f"prp dashboard --port {port}"


def test_wrong_options(small: Small) -> None:
    for wrong in (
        ["--port", "80"],
        ["--port", "70000"],
        ["--port", "x"],
        ["--host", "a" * 70],
        ["--host", ""],
    ):
        refused = small.clone.prp("dashboard", *wrong, "--token", "t" * 40, ok=False)
        assert refused.code in (1, 2), (wrong, refused)
        assert "Traceback" not in refused.text


def test_a_second_one_of_the_project_is_a_new_link_for_the_first(small: Small) -> None:
    with Dashboard(small.clone) as first:
        second = json.loads(small.clone.prp("dashboard", "--json").out)
        assert (second["already"], second["pid"], second["port"]) == (True, first.process.pid, first.port)
        assert second["url"] != first.link
        first.link = second["url"]
        assert first.log_in().state()["project"] == "example/app"
        plain = small.clone.prp("dashboard").out
        assert f"http://127.0.0.1:{first.port}/login?t=" in plain
        with Dashboard(small.clone, "--port", "0") as other:  # on purpose, on another port
            assert other.port != first.port
            assert other.ask("/api/state", Cookie=first.cookie)[0] == 401
        first.end()
    with Dashboard(small.clone) as third:
        assert third.said["already"] is False


def test_two_projects_have_a_port_each(small: Small, tmp_path: Path, server: Server) -> None:
    other = Small(tmp_path / "other", server)
    toml = other.clone.read("prp.toml").replace("example/app", "example/other")
    other.clone.commit_files("another project", {"prp.toml": toml})
    other.clone.prp("store", "adopt", "--yes")
    with Dashboard(small.clone) as one, Dashboard(other.clone) as two:
        assert one.port != two.port
        assert one.log_in().state()["project"] == "example/app"
        assert two.log_in().state()["project"] == "example/other"


def test_without_the_extra(small: Small) -> None:
    """A Python that cannot find starlette: what is installed without `prpgate[dashboard]`."""
    code = (
        "import sys\n"
        "class Without:\n"
        "    def __init__(self, finder): self.finder = finder\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        return None if name.startswith('starlette') else self.finder.find_spec(name, path, target)\n"
        "sys.meta_path[:] = map(Without, sys.meta_path)\n"
        "from prpgate.cli.main import run\nraise SystemExit(run(['dashboard']))\n"
    )
    refused = run([sys.executable, "-c", code], small.clone.path, env=small.clone.env, ok=False)
    assert refused.code == 1
    assert "-m pip install " in refused.err and "[dashboard]" in refused.err


def test_no_store_no_dashboard(small: Small, server: Server) -> None:
    server.stop()
    refused = small.clone.prp("dashboard", ok=False)
    assert (refused.code, "Traceback" in refused.text) == (4, False)


def test_a_document_is_a_tracked_file_of_the_repository(tmp_path: Path, server: Server) -> None:
    outside = tmp_path / "secret.txt"
    outside.write_text("outside\n")
    docs = {
        "P1-000": "docs/plan.md",
        "P1-001": "../secret.txt",
        "P1-002": str(outside),
        "P1-003": "docs/link.md",
        "P1-004": "linked/secret.txt",
        "P1-005": ".env",
        "P1-006": ".git/config",
        "P1-007": "docs",
        "P1-008": "docs/../.env",
        "P1-009": "docs/big.md",
        "P1-010": "docs/*.md",
        "P1-011": "https://example.org/plan.md",
        "P1-012": ":(top)prp.toml",
        "P1-013": "docs/missing.md",
        "P1-014": "docs/untracked.md",
    }
    ledger = "prp_tracking:\n" + "".join(
        f"  {i}:\n    title: t\n    status: validated\n    doc: {json.dumps(d)}\n" for i, d in docs.items()
    )
    small = Small(tmp_path / "app", server, ledger)
    clone = small.clone
    clone.write(".gitignore", ".env\ndocs/untracked.md\n")
    clone.write(".env", "REDIS_URL=secret\n")
    clone.write("docs/untracked.md", "secret\n")
    clone.write("docs/plan.md", "# Plan <script>\n\x1b[31m\n")
    clone.write("docs/big.md", "x" * 400_000)
    os.symlink(outside, clone.path / "docs" / "link.md")
    os.symlink(tmp_path, clone.path / "linked")
    clone.commit("documents")
    with Dashboard(clone, "--port", "0") as board:
        board.log_in()
        shown = {i: board.json(f"/api/prp/{i}")["document"] for i in docs}
        big = shown.pop("P1-009")
        assert (len(big["text"]), big["truncated"]) == (256 * 1024, True)
        assert shown.pop("P1-000") == {
            "path": "docs/plan.md",
            "text": "# Plan <script>\n\x1b[31m\n",
            "truncated": False,
        }
        assert [i for i, found in shown.items() if found is not None] == []
        (clone.path / "docs" / "plan.md").unlink()  # tracked as a file, and a link by now
        os.symlink(outside, clone.path / "docs" / "plan.md")
        assert board.json("/api/prp/P1-000")["document"] is None
        (clone.path / "docs" / "plan.md").unlink()
        os.mkfifo(clone.path / "docs" / "plan.md")
        assert board.json("/api/prp/P1-000")["document"] is None


def test_hostile_names_are_texts_like_others(tmp_path: Path, server: Server) -> None:
    title = "<script>alert(1)</script>\u202e\x1b[31m\u0000\u2028 " + "x" * 10_000
    ledger = entries(1) + f"  P1-777:\n    title: {json.dumps(title)}\n    status: validated\n"
    small = Small(tmp_path / "app", server, ledger.replace("\\u0000", ""))
    with Dashboard(small.clone, "--port", "0") as board, board.log_in().listen() as page:
        title = title.replace("\u0000", "")
        assert next(p for p in board.state()["prps"] if p["id"] == "P1-777")["title"] == title
        agent = "ben\u202e<b>"
        small.prp("start", "P1-777", agent=agent)
        told = page.until_event("started")
        assert told.data["prps"][0]["title"] == title
        assert told.data["events"][0]["agent"].startswith("ben")
        small.prp("note", "P1-777", "a\nevent: reset\n\nid: 1\r\rdata: x", agent=agent)
        assert page.until_event("note").data["events"][0]["detail"].startswith("a")
        status, headers, _ = board.ask("/api/prp/%3Cscript%3E")
        assert (status, headers["content-type"]) == (404, "application/json")


def test_ten_thousand_prps(tmp_path: Path, server: Server) -> None:
    small = Small(tmp_path / "app", server, entries(10_000, "complete"))
    with Dashboard(small.clone, "--port", "0") as board:
        board.log_in()
        begun = time.monotonic()
        _, headers, body = board.ask("/api/state", Accept_Encoding="gzip")
        took = time.monotonic() - begun
        plain = gzip.decompress(body)
        assert headers["content-encoding"] == "gzip"
        assert len(json.loads(plain)["prps"]) == 10_000
        assert len(body) < 500_000, (len(body), len(plain))
        assert took < 5
