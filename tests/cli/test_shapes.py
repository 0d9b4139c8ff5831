"""The JSON shapes that programs rely on (docs/design.md, "What programs may rely on")."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tests.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import Clone

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
PRP = {"id", "title", "status", "recorded", "owner", "rev", "depends_on", "priority", "claim"}
LANE = {"name", "state", "holder", "fence", "queue", "closed"}
EVENT = {"id", "time", "lane", "event", "fence", "agent", "sha", "detail"}
FINDING = {"code", "severity", "file", "line", "column", "id", "message", "fix"}


def ask(clone: Clone, *args: str, ok: bool = True) -> Any:
    done = clone.prp(*args, "--json", ok=ok)
    assert done.out.count("\n") == 1, done
    answer = json.loads(done.out)
    assert (answer["schema"], answer["ok"]) == (1, done.code == 0)
    return answer


def made(tmp_path: Path) -> Clone:
    world = World(tmp_path)
    ana = world.clone("ana", first=True)
    ana.prp("init", "--yes")
    ana.prp("new", "One")
    ana.prp("validate", "P1-001" if "P1-001" in ana.prp("list").out else _only(ana))
    ana.commit_files("Use prpgate", {})
    ana.git("push", "-q")
    return ana


def _only(ana: Clone) -> str:
    return str(ask(ana, "list")["prps"][0]["id"])


def test_reports(tmp_path: Path) -> None:
    ana = made(tmp_path)
    only = _only(ana)
    assert set(ask(ana, "list")["prps"][0]) >= PRP
    assert set(ask(ana, "status", only)["prp"]) >= PRP
    status = ask(ana, "redis-status")
    assert set(status) >= {"connected", "enabled", "url", "rule", "store_id", "latency_ms", "server"}
    assert status["connected"] is True
    assert status["enabled"] is True
    assert set(ask(ana, "redis-sync")) >= {"synced", "unchanged", "conflicts"}
    for verb in (("lock", "status"), ("redis-merge-status",)):
        lanes = ask(ana, *verb)["lanes"]
        assert [lane["name"] for lane in lanes] == ["main"]
        assert set(lanes[0]) >= LANE
    events = ask(ana, "lock", "log")["events"]
    assert events
    assert all(set(e) >= EVENT for e in events)
    assert all(TIME.fullmatch(e["time"]) for e in events)
    assert {"acquire", "intent", "landed"} <= {e["event"] for e in events}
    started = ask(ana, "start", only)
    assert (started["prp"]["id"], started["fence"] > 0, started["lease_s"] > 0) == (only, True, True)
    claim = ask(ana, "status", only)["prp"]["claim"]
    assert claim["agent"] == "ana"
    assert TIME.fullmatch(claim["since"])


def test_findings(tmp_path: Path) -> None:
    ana = made(tmp_path)
    only = _only(ana)
    path = f"prps/{only}.yaml"
    ana.write(path, ana.read(path).replace("status: validated", "status: done"))
    ana.git("add", "-A")
    answer = ask(ana, "check", "--staged", ok=False)
    assert answer["findings"]
    assert all(set(f) == FINDING for f in answer["findings"])
    assert answer["error"]["code"] == "findings"


def test_a_store_that_is_down_is_an_answer_too(tmp_path: Path) -> None:
    ana = made(tmp_path)
    done = ana.prp("redis-status", "--json", ok=False, env={"REDIS_URL": "redis://:s3cret@127.0.0.1:1/0"})
    assert done.code == 4
    answer = json.loads(done.out)
    assert (answer["ok"], answer["connected"], answer["enabled"]) == (False, False, True)
    assert "s3cret" not in done.text


def test_the_ancestors_words_stay(tmp_path: Path) -> None:
    ana = made(tmp_path)
    said = ana.prp("redis-status").out
    for line in (
        "Redis Status",
        "Connection: available",
        "Enabled: True",
        "Helper Available: True",
        "URL: ",
        "✅ Redis coordination fully operational",
    ):
        assert line in said
    assert re.search(r"Synced: 1 PRP ", ana.prp("redis-sync").out)
    assert "main: free" in ana.prp("redis-merge-status").out
