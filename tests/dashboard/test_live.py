"""What real commands and real pushes do is on every open page a moment later."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from prpgate import events
from prpgate.config import Times
from prpgate.lock import MergeLock, Who
from prpgate.store import client
from prpgate.store.discover import Place
from tests.dashboard import PROJECT, Dashboard, Small, entries

if TYPE_CHECKING:
    from pathlib import Path

    from prpgate.store.client import Store
    from tests.e2e.conftest import Project
    from tests.world import Server

SOON_S = 0.2  # from the event in the stream to the page, by one clock


def store_of(server: Server) -> Store:
    return client.open_store(Place(server.url, "given", "test"), PROJECT)


def late_s(event: dict[str, str]) -> float:
    """How long ago an event was, by the clock of this machine, which is the server's too."""
    return time.time() - int(event["id"].partition("-")[0]) / 1000


def test_a_claim_is_told_with_everything_that_it_changes(small: Small, board: Dashboard) -> None:
    state = board.log_in().state()
    assert [p["status"] for p in state["prps"]] == ["validated"] * 4
    with board.listen(state["cursor"]) as page:
        small.prp("start", "P1-001", agent="ben")
        told = page.until_event("started", "P1-001")
        assert late_s(told.data["events"][0]) < SOON_S + 0.3  # the command's end and the page's thread come on top
        (prp,) = told.data["prps"]
        assert (prp["id"], prp["status"], prp["owner"], prp["claim"]["agent"]) == (
            "P1-001",
            "in_progress",
            "ben",
            "ben",
        )
        assert prp["lease"]["suspect"] is False
        assert prp["since"].startswith("20")
        ben = next(a for a in (told.data["agents"] or page.until(lambda m: m.data["agents"]).data["agents"]))
        assert (ben["name"], [h["name"] for h in ben["holds"]]) == ("ben", ["P1-001"])
        small.prp("block", "P1-002", "--reason", "waits for the claim", "--by", "P1-001")
        (prp,) = page.until_event("blocked", "P1-002").data["prps"]
        assert (prp["blocked"], prp["blocked_by"]) == ("waits for the claim", ["P1-001"])
    after = {p["id"]: p for p in board.state()["prps"]}
    assert after["P1-002"]["blocked_by"] == ["P1-001"]
    assert after["P1-001"]["lease"]["age_s"] < 60


def test_a_quiet_stream_says_that_it_is_there(small: Small, board: Dashboard) -> None:
    """As an event, which a page can see: a comment it cannot."""
    board.log_in()
    with board.listen(board.state()["cursor"]) as page:
        begun = time.monotonic()
        while not page.beats:
            assert time.monotonic() < begun + 15, "none came within 15 s"
            time.sleep(0.1)
        small.prp("note", "P1-001", "a word")
        before = board.state()["cursor"]
        assert page.until_event("note", "P1-001").id == before, "a beat moves nobody's place"


def test_what_waited_is_told_when_it_waits_no_more(tmp_path: Path, server: Server) -> None:
    ledger = entries(2) + "  P1-009:\n    title: Last\n    status: validated\n    depends_on: [P1-000, P1-001]\n"
    small = Small(tmp_path / "app", server, ledger)
    with Dashboard(small.clone, "--port", "0") as board:
        state = board.log_in().state()
        assert {p["id"]: p["blocked_by"] for p in state["prps"]}["P1-009"] == ["P1-000", "P1-001"]
        with board.listen(state["cursor"]) as page:
            small.prp("deprecate", "P1-000", "--by", "P1-001")
            told = page.until_event("deprecated")
            changed = {p["id"]: p for p in told.data["prps"]}
            assert changed["P1-000"]["status"] == "deprecated"
            assert changed["P1-009"]["blocked_by"] == ["P1-001"]


def test_a_lease_that_ends_is_told_though_nobody_does_anything(tmp_path: Path, server: Server) -> None:
    small = Small(tmp_path / "app", server)
    toml = small.clone.read("prp.toml") + "[claim]\nagent = 2\nsuspect = 2\n"
    small.clone.commit_files("short leases", {"prp.toml": toml})
    with Dashboard(small.clone, "--port", "0") as board, board.log_in().listen() as page:
        small.prp("start", "P1-001")
        page.until_event("started")
        page.until_event("suspect", "P1-001")
        told = [p for m in page.all for p in m.data["prps"]]  # what it changed may come before the event itself
        assert told[-1]["lease"]["suspect"] is True
        page.until_event("lapsed", "P1-001")
        told = [p for m in page.all for p in m.data["prps"]]
        assert (told[-1]["lease"], told[-1]["claim"]) == (None, None)


def test_a_hold_that_ends_is_told_though_nobody_does_anything(small: Small, board: Dashboard, server: Server) -> None:
    with board.log_in().listen() as page, store_of(server) as store:
        who = Who("t1", "h1", "ben", "here", 1, "push", None, None)
        waits = Who("t2", "h2", "eve", "here", 2, "land", None, None)
        lock = MergeLock(store, "main", Times(lease_ms=1500, alive_ms=60_000, offer_ms=1500))
        lock.acquire(who, plain=True)
        lane = page.until_event("acquire").data["lanes"][0]
        assert (lane["state"], lane["holder"]["agent"]) == ("held", "ben")
        lock.acquire(waits, plain=False)
        lane = page.until_event("queue").data["lanes"][0]
        assert [(p["agent"], p["reserved"], p["position"]) for p in lane["queue"]] == [("eve", False, 1)]
        page.until_event("expired")
        told = [lane for m in page.all for lane in m.data["lanes"]]  # it may be told just before the event
        assert (told[-1]["state"], told[-1]["holder"]["agent"]) == ("offered", "eve")


def test_mail_shows_as_a_number_and_stays_a_secret(small: Small) -> None:
    small.prp("agents", agent="ben")
    with Dashboard(small.clone, "--port", "0") as board, board.log_in().listen() as page:
        small.prp("send", "ben", "for your eyes only")
        page.until(lambda m: any(a["name"] == "ben" and a["unread"] == 1 for a in m.data["agents"]), 5)
        small.prp("start", "P1-001", agent="eve")  # one who was never seen before
        page.until_event("started")
        small.prp("send", "eve", "for your eyes only")
        page.until(lambda m: any(a["name"] == "eve" and a["unread"] == 1 for a in m.data["agents"]), 5)
        assert "for your eyes" not in json.dumps([m.data for m in page.all])


def test_a_push_of_a_real_clone(project: Project) -> None:
    ben = project.join("ben")
    with Dashboard(project.ana, "--port", "0") as board:
        state = board.log_in().state()
        assert [lane["name"] for lane in state["lanes"]] == ["main"]
        assert len(state["prps"]) == 57
        with board.listen(state["cursor"]) as page:
            ben.prp("start", "P2-040")
            page.until_event("started", "P2-040")
            sha = ben.commit_files("feat(P2-040): the editor", {"editor": "new\n"})
            ben.git("push", "-q")
            told = page.until_event("intent")
            holder = told.data["lanes"][0]["holder"]
            if holder is not None:  # the frame may be younger than the end of the push
                assert (holder["agent"], holder["sha"]) == ("ben", sha)
            told = page.until_event("landed")
            lane = told.data["lanes"][0]
            assert [(one["sha"], one["agent"]) for one in lane["today"]][-1] == (sha, "ben")
            page.until_event("recorded", "P2-040")
            shown = next(p for p in board.state()["prps"] if p["id"] == "P2-040")
            assert (shown["status"], shown["recorded"], shown["owner"]) == ("in_progress", "in_progress", "ben")
            project.ana.prp("lane", "close", "main", "--reason", "the build is <b>red</b>\u202e")
            lane = page.until_event("close").data["lanes"][0]
            assert lane["closed"]["reason"] == "the build is <b>red</b>\u202e"
        one = board.json("/api/prp/P2-040")
        assert {m["what"] for m in one["history"]} >= {"started", "recorded"}
        assert one["prp"]["notes"] == "Ready when somebody is"
        assert board.json("/api/prp/PRP-1047")["prp"]["id"] == "P2-040"  # by another of its ids
        ids = [e["id"] for e in board.json("/api/events?limit=1000")["events"]]
        assert set(page.event_ids()) <= set(ids)


def test_a_title_that_lands_is_told_though_no_event_names_it(project: Project) -> None:
    with Dashboard(project.ana, "--port", "0") as board, board.log_in().listen() as page:
        ledger = project.ana.read(".claude/prp_tracking/prp_status.yaml")
        assert "title: Report editor" in ledger
        new = ledger.replace("title: Report editor", "title: Editor of reports")
        project.ana.commit_files("A better title", {".claude/prp_tracking/prp_status.yaml": new})
        project.ana.git("push", "-q")
        told = page.until(lambda m: any(p["title"] == "Editor of reports" for p in m.data["prps"]))
        assert [p["id"] for p in told.data["prps"]] == ["P2-040"]


def test_replay_of_a_past_hour_page_by_page(small: Small, board: Dashboard, server: Server) -> None:
    board.log_in()
    with store_of(server) as store:
        for n in range(25):
            store.redis.xadd(store.keys.events, {"event": "note", "prp": "P1-000", "agent": "ben", "detail": str(n)})
        every = [e.id for e in events.tail(store, 1000)]
    found: list[str] = []
    after = ""
    while True:
        answer = board.json(f"/api/events?limit=10{after}")
        found += [e["id"] for e in answer["events"]]
        if answer["next"] is None:
            break
        assert len(answer["events"]) == 10
        after = "&after=" + answer["next"]
    assert found == every
    newest = answer["events"][-1]
    some = board.json(f"/api/events?from={newest['time']}&to={newest['time']}")
    assert newest["id"] in [e["id"] for e in some["events"]]
    assert board.json("/api/events?to=2001-01-01T00:00:00Z")["events"] == []
    assert board.json("/api/events?from=2100-01-01T00:00:00%2B02:00")["events"] == []
    for wrong in ("from=yesterday", "limit=0", "limit=x", "limit=9999", "after=1.0.0", "after=%F0%9F%92%A9", "to=0"):
        status, _, body = board.ask(f"/api/events?{wrong}")
        assert (status, json.loads(body)["schema"]) == (400, 1), wrong


def test_an_unknown_prp(board: Dashboard) -> None:
    status, _, body = board.log_in().ask("/api/prp/P9-999")
    assert (status, json.loads(body)["error"]["code"]) == (404, "unknown-prp")
