"""The store is away: the server refuses, soon, and names the way out, which works once."""

from __future__ import annotations

import json
import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.server.conftest import Guarded, said
from tests.world import Server, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def away(tmp_path: Path, home: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Guarded]:
    """A guarded project on a shared store that the test may end."""
    monkeypatch.setenv("PRP_REDIS_URL", server.url)
    project = Guarded(tmp_path, settings={'scope = "machine"': 'scope = "team"'})
    yield project
    if server.process is None:
        server.start()
    server.send(signal.SIGCONT)
    project.quiet()


def refused_in(project: Guarded) -> tuple[float, list[str]]:
    begun = time.monotonic()
    done = project.ana.git("push", "--no-verify", ok=False)
    assert done.code != 0
    return time.monotonic() - begun, said(done)


@pytest.mark.parametrize("how", ["ended", "silent"])
def test_refused_within_three_seconds_with_the_way_out(away: Guarded, server: Server, how: str) -> None:
    tip = away.tip()
    head = away.ana.commit_files("work", {"w.txt": "w"})
    if how == "ended":
        server.stop()
    else:
        server.send(signal.SIGSTOP)
    took_s, lines = refused_in(away)
    assert took_s < 3
    assert lines[0] == (
        "prp: push to main refused: the server cannot reach the store that serialises it. Nothing was pushed."
    )
    assert lines[-1].endswith(f'prp server allow {head} --reason "why"')
    assert away.tip() == tip
    away.ana.git("push", "-q", "--no-verify", "origin", "HEAD:topic")


def test_allow_works_once_is_recorded_and_delivered(away: Guarded, server: Server) -> None:
    head = away.ana.commit_files("urgent", {"w.txt": "w"})
    server.stop()
    prp = [sys.executable, "-m", "prpgate", "server", "allow"]
    run([*prp, head, "--reason", "the store burns"], away.remote, env={"PRP_AGENT": "olga"})
    done = away.ana.git("push", "--no-verify")
    assert any("without its lock (the store burns)" in line for line in said(done))
    assert any("could not be reported" in line for line in said(done))
    assert away.tip() == head
    written = (away.remote / "prpgate/break-glass.jsonl").read_text().splitlines()
    assert [(json.loads(x)["agent"], json.loads(x)["sha"], json.loads(x)["reason"]) for x in written] == [
        ("olga", head, "the store burns")
    ]
    assert list((away.remote / "prpgate/allowed").iterdir()) == []
    away.ana.git("push", "-q", "--no-verify", "origin", "HEAD:topic")
    away.ana.commit_files("next", {"w.txt": "v"})
    assert refused_in(away)[1][0].startswith("prp: push to main refused")
    server.start()
    away.ana.git("push", "-q", "--no-verify")
    away.quiet()
    events = away.log()
    assert [sha for e, sha, _ in events if e == "break-glass"] == [head]
    assert ("landed", away.ana.head) in [(e, sha) for e, sha, _ in events]
    assert not (away.remote / "prpgate/break-glass.jsonl").exists()


def test_a_permission_is_not_spent_on_what_may_land_anyway(away: Guarded) -> None:
    head = away.ana.commit_files("ordinary", {"w.txt": "w"})
    prp = [sys.executable, "-m", "prpgate", "server", "allow"]
    run([*prp, head, "--reason", "to be sure", "--path", str(away.remote)], away.folder)
    away.ana.git("push", "-q", "--no-verify")
    away.quiet()
    assert [p.name for p in (away.remote / "prpgate/allowed").iterdir()] == [head]
    assert "break-glass" not in [e for e, _, _ in away.log()]


def test_a_permission_does_not_let_a_lane_be_deleted_or_rewritten(away: Guarded) -> None:
    tip = away.tip()
    away.ana.git("reset", "-q", "--hard", "HEAD~1")
    other = away.ana.commit_files("another history", {"o.txt": "o"})
    prp = [sys.executable, "-m", "prpgate", "server", "allow"]
    run([*prp, other, "--reason", "why not", "--path", str(away.remote)], away.folder)
    assert away.ana.git("push", "--no-verify", "--force", ok=False).code != 0
    assert away.tip() == tip


def test_a_permission_where_no_hook_would_ask_for_it(away: Guarded, tmp_path: Path) -> None:
    run(["git", "init", "-q", "--bare", tmp_path / "other.git"], tmp_path)
    prp = [sys.executable, "-m", "prpgate", "server", "allow", "1" * 40, "--reason", "why", "--json"]
    answer = json.loads(run(prp, tmp_path / "other.git", ok=False).out)
    assert answer["error"]["code"] == "not-installed"
    assert answer["next_action"].startswith("prp server install ")


@pytest.mark.parametrize(("sha", "reason"), [("abc123", "why"), ("../../x", "why"), ("1" * 40, "  ")])
def test_a_permission_needs_a_full_id_and_a_reason(away: Guarded, sha: str, reason: str) -> None:
    prp = [sys.executable, "-m", "prpgate", "server", "allow", sha, "--reason", reason, "--json"]
    done = run(prp, away.remote, ok=False)
    assert done.code == 2
    assert not (away.remote / "prpgate/allowed").exists()


def test_a_broken_policy_on_the_lane_can_be_mended(away: Guarded) -> None:
    """Landed before the server was guarded, say: nobody could tell what is a lane."""
    good = away.ana.read("prp.toml")
    for name in ("pre-receive", "post-receive"):
        (away.remote / "hooks" / name).rename(away.remote / "hooks" / f"{name}.off")
    ben = away.plain("ben")
    ben.commit_files("slip", {"prp.toml": good + "\n[[[\n"})
    ben.git("push", "-q")
    for name in ("pre-receive", "post-receive"):
        (away.remote / "hooks" / f"{name}.off").rename(away.remote / "hooks" / name)
    cure = ben.commit_files("cure", {"prp.toml": good})
    lines = said(ben.git("push", ok=False))
    assert "is not TOML" in lines[0]
    assert lines[-1].endswith(f'prp server allow {cure} --reason "why"')
    prp = [sys.executable, "-m", "prpgate", "server", "allow", cure, "--reason", "prp.toml is broken"]
    run(prp, away.remote)
    ben.git("push", "-q")
    assert away.tip() == cure


def test_after_a_wipe_the_server_lets_nobody_in_for_one_lease(away: Guarded, server: Server) -> None:
    with server.redis() as client:
        client.flushall()
    away.ana.commit_files("after the wipe", {"w.txt": "w"})
    tip = away.tip()
    assert "empty" in " ".join(refused_in(away)[1])
    away.ana.prp("store", "adopt")
    with server.redis() as client:
        client.pexpire("prp:{" + away.config.project + "}:quiet", 4000)
        assert "adopted anew" in refused_in(away)[1][0]
        assert away.tip() == tip
        while client.exists("prp:{" + away.config.project + "}:quiet"):
            time.sleep(0.05)
    away.ana.git("push", "-q", "--no-verify")
