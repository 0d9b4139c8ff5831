"""The live screen as lines: what it says at which size, and that nothing ever spills."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prpgate import overview, top_page
from prpgate.events import Event
from prpgate.lane_state import Closing, Holder, LaneState, Place
from prpgate.live import Claim, PrpState
from prpgate.output import width
from prpgate.overview import Landed, LaneView, Overview
from prpgate.registry import Entry, Held
from prpgate.top_page import View

NOW_MS = 1_800_000_000_000
SIZES = ((80, 24), (120, 40), (40, 15))


def holder(**more: Any) -> Holder:
    told: dict[str, Any] = {"agent": "ben", "prp": "P2-040", "sha": "9ab41c2" * 5, "phase": "smoking"}
    told |= {"since_ms": 110_000, "deadline_ms": 49_000} | more
    return Holder(id="h", ticket=None, host="vm", pid=1, op="land", cap_ms=None, **told)


def place(position: int, agent: str, kind: str = "waiting", reserved_ms: float = 0, prp: str | None = None) -> Place:
    return Place(position, f"t{position}", agent, "vm", "push", prp, kind, 12_000, reserved_ms)


def lane(name: str = "main", **more: Any) -> LaneState:
    told: dict[str, Any] = {name: None for name in LaneState._fields if name != "name"}
    told |= {"state": "held", "fence": 42, "holder": holder(), "queue": (), "look_ms": 0, "kept": (), "window_ms": 0}
    told |= {"dispatched": False, "pulls": ()}
    return LaneState(name=name, **{**told, **more})


def prp(prp_id: str, title: str, agent: str | None = None, **more: Any) -> PrpState:
    suspect = more.pop("suspect", False)
    claim = agent and Claim(
        *(agent, 1, "", NOW_MS - 3_600_000, 0 if suspect else 3_600, "b", "vm", "/g", True, "", suspect, 600, False, ())
    )
    fields = {"started_at": "2027-01-15T07:40:00Z"}
    told: dict[str, Any] = {"status": "in_progress", "phase": None, "depends_on": (), "marks": {}} | more
    return PrpState(
        id=prp_id, title=title, recorded="validated", rev=None, owner=agent, priority="P2", claim=claim or None,
        fields=fields, orphaned=[], seal="", maxrev=1, chain=[], ids=(prp_id,), **told,
    )  # fmt: skip


def event(n: int, name: str, **more: Any) -> Event:
    told: dict[str, Any] = {"lane": None, "prp": None, "agent": "ana", "fence": None, "sha": None, "detail": ""} | more
    return Event(f"{NOW_MS - 60_000 + n}-0", NOW_MS - 60_000 + n, event=name, **told)


def agent(name: str, *held: Held, silent: bool = False) -> Entry:
    seen_ms = NOW_MS - (700_000 if silent else 5_000)
    return Entry(name, "program", (), (), "vm", None, seen_ms, silent, held, 0)


def seen(**more: Any) -> Overview:
    working = (
        prp("P2-050", "Faster reports", "eve", suspect=True),
        prp("P2-040", "Report editor", "ben", phase="landed"),
        prp("P2-060", "日本語の題名 and more", "ana", depends_on=("P2-050",)),
    )
    queue = (place(1, "ana", prp="P2-060"), place(2, "eve", "reserved", 100_000))
    strip = tuple(
        Landed(f"{n:040x}", NOW_MS - 300_000 + n, "ben", verdict)
        for n, verdict in enumerate(("green", "red", "unknown", "green", "pending"))
    )
    told: dict[str, Any] = {
        "project": "example/app",
        "read_at": 100.0,
        "now_ms": NOW_MS,
        "lanes": (LaneView(lane(queue=queue), strip),),
        "statuses": {"P1-001": "complete", "P2-070": "validated", **{p.id: p.status for p in working}},
        "names": {},
        "working": working,
        "ready": (prp("P2-070", "Search page", status="validated"),),
        "held_back": (),
        "agents": (
            agent("eve", Held("claim", "P2-050", "", 0), silent=True),
            agent("ben", Held("lane", "main", "smoking", 49)),
            agent("ana"),
        ),
        "events": (
            event(0, "queue", lane="main"),
            event(1, "suspect", prp="P2-050", agent="eve", detail="the lease is over"),
        ),
    }
    return Overview(**{**told, **more})


def text(rows: list[top_page.Row]) -> str:
    """The screen without its styles, trailing spaces and times of day."""
    lines = ["".join(t for t, _ in row).rstrip() for row in rows]
    return re.sub(r"\b\d\d:\d\d(:\d\d)?\b", "HH:MM", "\n".join(lines))


def shown(one: Overview, size: tuple[int, int], view: View | None = None, later_s: float = 0) -> str:
    rows = top_page.page(one, view or View(), size, now=100.0 + later_s)
    assert len(rows) == size[1]
    assert all(sum(width(t) for t, _ in row) <= size[0] for row in rows)
    return text(rows)


def test_eighty_by_twenty_four() -> None:
    assert re.sub(r"  +HH:MM$", "  HH:MM", shown(seen(), (80, 24)).partition("\n")[0]) == "prp top  example/app  HH:MM"
    assert (
        shown(seen(), (80, 24)).partition("\n")[2]
        == """\
main  open  fence 42, 2 in line
  held by ben (P2-040, 9ab41c2), in CI for 1m50s, until HH:MM, 49s left
  1. ana (P2-060)  waiting for 12s
  2. eve  place kept, 1m40s more (not there)
  landed +x?+~  0000000 ben pending, 5m00s ago
PRPs  1 validated  3 in progress  1 complete
  ID      WHO  HELD  LEASE    PHASE   SINCE  BLOCKED BY  TITLE
  P2-050  eve  1h00  SUSPECT          20m                Faster reports
  P2-040  ben  1h00  1h00     landed  20m                Report editor
  P2-060  ana  1h00  1h00             20m    P2-050      日本語の題名 and more
READY 1
  P2-070  P2  Search page
AGENTS 3, 1 suspect
  eve  suspect: silent since HH:MM  P2-050 (0s left)
  ben  5s ago  main (in CI)
  ana  5s ago
EVENTS
  HH:MM  main  queue  ana  waits in line
  HH:MM  P2-050  suspect  eve  the lease is over



q quit   j k scroll"""
    )


def test_a_small_screen_keeps_what_matters() -> None:
    assert (
        shown(seen(), (40, 15)).partition("\n")[2]
        == """\
main  open  ben in CI 1m50s, 49s left
  1. ana (P2-060)  waiting for 12s
  2. eve  place kept, 1m40s more
  landed +x?+~  5m00s ago
PRPs  1 validated  3 in progress  1 com…
  P2-050  eve  SUSPECT  Faster reports
  P2-040  ben  1h00     Report editor
  P2-060  ana  1h00     日本語の題名 an…
READY 1  P2-070
AGENTS 3, 1 suspect  !eve, ben, ana
EVENTS
  HH:MM  main  queue  ana  waits in…
  HH:MM  P2-050  suspect  eve  the l…
q quit   j k scroll"""
    )


def test_a_closed_lane_says_who_and_why_at_every_size() -> None:
    shut = lane(closed=Closing("ci", "red", "smoke is red on 9ab41c2", 60_000, "9ab41c2" * 5, "ben", None))
    for size in SIZES:
        said = shown(seen(lanes=(LaneView(shut, ()),)), size)
        assert "CLOSED" in said and "closed by ci 1m00s ago: smoke is red"[: size[0] - 3] in said, size


def test_it_goes_on_without_asking() -> None:
    later = shown(seen(), (80, 24), later_s=20)
    assert "in CI for 2m10s, until HH:MM, 29s left" in later
    assert "1. ana (P2-060)  waiting for 32s" in later
    assert "2. eve  place kept, 1m20s more" in later
    assert "overdue since" in shown(seen(), (80, 24), later_s=50)


def test_a_store_that_is_away_is_said_on_every_screen() -> None:
    for size in (*SIZES, (20, 4)):
        assert "STORE AWAY for" in shown(seen(), size, View(away="no answer", away_s=3)).splitlines()[1]


def test_the_next_lane_is_shown_in_full() -> None:
    two = (LaneView(lane(queue=(place(1, "ana"),)), ()), LaneView(lane("release", holder=None, state="free"), ()))
    first, second = (shown(seen(lanes=two), (80, 24), View(lane=n)) for n in (0, 1))
    assert "1. ana  waiting" in first and "release  open  free" in first and "l next lane" in first
    assert "1. ana" not in second and "main  open  held by ben" in second
    assert shown(seen(lanes=two), (80, 24), View(lane=2)) == first


def test_the_board_scrolls_between_its_ends() -> None:
    many = tuple(prp(f"P1-{n:03d}", f"Work {n}", "ana") for n in range(60))
    one = seen(working=many)
    top, middle, end = (shown(one, (80, 24), View(scroll=n)) for n in (0, 20, 59))
    assert "P1-000" in top and "more" in top and "above" not in top
    assert "P1-022" in middle and "above" in middle and "P1-000" not in middle
    assert "P1-059" in end and "P1-058" in end


def test_empty_states_say_what_to_type() -> None:
    empty = seen(
        lanes=(LaneView(lane(holder=None, state="free"), ()),), statuses={}, working=(), ready=(), agents=(), events=()
    )
    for size in SIZES:
        said = shown(empty, size)
        assert "prp new" in said and "in progress" not in said, size
        assert "prp next" in shown(empty._replace(statuses={"P1-001": "new"}), size), size
        assert "nothing has landed yet" in said and "nothing has happened yet" in said, size
    assert "prp top" in text(top_page.lines(empty)) or "prp new" in text(top_page.lines(empty))


HOSTILE = (
    "\x1b[2J\x1b]0;x\x07",
    "a\nb\rc\td",
    "\u202egnp.exe\u200f\u2066",
    "日本" * 400,
    "e\u0301\u0302" * 50,
    "\U0001f1e9" * 9,
)


@pytest.mark.parametrize("nasty", HOSTILE)
@pytest.mark.parametrize("size", SIZES)
def test_hostile_text_is_inert_and_in_its_cells(nasty: str, size: tuple[int, int]) -> None:
    shut = Closing(nasty, "person", nasty, 1, nasty, nasty, None)
    one = seen(
        project=nasty,
        lanes=(
            LaneView(
                lane(
                    nasty, holder=holder(agent=nasty, prp=nasty), queue=(place(1, nasty),), closed=shut, run_url=nasty
                ),
                (Landed(nasty, NOW_MS, nasty, "green"),),
            ),
            LaneView(lane(nasty), ()),
        ),
        working=(
            prp("P1-001", nasty, nasty, marks={"blocked": {"reason": nasty}, "phase": {"name": nasty, "at": 1}}),
            prp(nasty, nasty, "x"),
        ),
        ready=(prp(nasty, nasty),),
        held_back=(nasty,),
        agents=(agent(nasty, Held("lane", nasty, nasty, 1), silent=True),),
        events=(event(0, nasty, prp=nasty, agent=nasty, detail=nasty),),
    )
    for rows in (top_page.page(one, View(away=nasty), size, now=100.0), top_page.lines(one, 80), top_page.lines(one)):
        said = "".join(t for row in rows for t, _ in row)
        assert not [c for c in said if unicodedata.category(c)[0] in "CZ" and c != " "]
    shown(one, size, View(away=nasty))


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 200),
    st.integers(1, 70),
    st.integers(0, 40),
    st.integers(-1, 50),
    st.booleans(),
    st.lists(st.text(max_size=30), min_size=1, max_size=30),
)
def test_any_size_is_filled_exactly(
    columns: int, lines: int, waiting: int, scroll: int, away: bool, words: list[str]
) -> None:
    queue = tuple(place(n + 1, words[n % len(words)]) for n in range(waiting))
    working = tuple(prp(f"P1-{n}", w, w, depends_on=(w,)) for n, w in enumerate(words))
    one = seen(lanes=(LaneView(lane(queue=queue), ()), LaneView(lane("b"), ())), working=working)
    shown(one, (columns, lines), View(scroll=scroll, lane=scroll + 1, away="gone" if away else ""))


# --- the strip of landings --------------------------------------------------------------------------------------------
def test_the_strip_tells_the_last_word_on_each_landing() -> None:
    log = [
        *(event(n, "landed", lane="main", sha=sha) for n, sha in enumerate("abcde")),
        event(10, "verdict", sha="a", detail="green"),
        event(11, "verdict", sha="b", detail="red (1st)"),
        event(12, "verdict", sha="b", detail="red"),
        event(13, "verdict", sha="c", detail="unknown run-lost"),
        event(14, "verdict", sha="c", detail="late green"),
        event(15, "verdict", sha="d", detail="red (1st)"),
        event(16, "verdict", sha="z", detail="red"),
        event(17, "foreign-push", sha="f", detail="1", agent=None),
    ]
    found = overview.strip(log, judged=True, waiting="e")
    assert "".join(f"{x.sha}:{x.verdict} " for x in found) == ("a:green b:red c:green d:unknown e:pending f:unknown ")
    assert {x.verdict for x in overview.strip(log[:5], judged=False)} == {"pushed"}
