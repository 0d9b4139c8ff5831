"""What is said of events, and text that is measured."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prpgate import cells
from prpgate.events import Event
from prpgate.messages import feed
from prpgate.output import width

SRC = Path(feed.__file__).parents[1]


def test_every_event_that_is_ever_written_is_known() -> None:
    scripts = {p.name: p.read_text("utf-8") for p in (SRC / "lua").glob("*.lua")}
    lane, prps = set[str](), set[str]()
    for text in scripts.values():
        lane |= set(re.findall(r"\blog\('([a-z-]+)'", text))
        prps |= set(re.findall(r"\bevent\('([a-z-]+)'", text))
    assert "or 'offer'" in scripts["_lane.lua"] and "event(kind .. '-ended'" in scripts["prp_mark.lua"]
    assert "'started' or 'taken-over'" in scripts["prp_start.lua"]
    assert lane - {*feed.LANE_EVENTS} == set()
    assert prps - {*feed.PRP_EVENTS} == set()
    page = (Path(__file__).parents[2] / "docs" / "prps.md").read_text("utf-8")
    told = page.partition("Events, in the stream `events`:")[2].partition("\n\n")[0]
    named = {n for n in re.findall("`([a-z-]+)`", told) if not n.startswith("-")}
    assert named - {*feed.PRP_EVENTS} == set()
    for name in ("offer", "claim", "acquire", "window", "break-glass"):
        assert name in feed.LANE_EVENTS
    assert {*feed.GOOD, *feed.BAD, *feed.ODD} <= {*feed.KNOWN}


def event(name: str, detail: str = "", **more: str | None) -> Event:
    given = {"lane": "main", "prp": None, "agent": "ana", "sha": None, "to": None, **more}
    return Event("1-1", 1, given["lane"], name, given["prp"], given["agent"], None, given["sha"], detail, given["to"])


# As the PRPs' stream tells it.
VERDICT = (
    '{"stands":"green","class":"ci","tree":"2bfe07e969","run_url":"https:\\/\\/host.example\\/7","sha":"abcdef0123456",'
    '"result":"red","steps":"ca7f"}'
)


@pytest.mark.parametrize(
    ("e", "said"),
    [
        (event("close", "CI is red"), "main close ana CI is red"),
        (event("expired", "offer"), "main expired ana did not take its turn in time"),
        (event("leave", "kept"), "main leave ana left the line, and keeps the place"),
        (event("landed", sha="9" * 40), "main landed ana 9999999999"),
        (event("foreign-push", "3", agent=None), "main foreign-push 3 commits that came without the lane's lock"),
        (event("verdict", "unknown run-lost"), "main verdict ana unknown: run-lost"),
        (event("verdict", VERDICT, lane=None), "- verdict ana abcdef0123, red, ci, green stands, https://host.example/7"),
        (event("blocked", '{"reason":"no keys","waits_for":"P1-002"}', lane=None, prp="P1-001"),
         "P1-001 blocked ana no keys, until P1-002 is done"),
        (event("assigned", '{"agent":"ben"}', lane=None, prp="P1-001"), "P1-001 assigned ana to ben"),
        (event("phase", '{"name":"build"}', lane=None, prp="P1-001"), "P1-001 phase ana build"),
        (event("blocked", "[not what it was]", lane=None, prp="P1-001"), "P1-001 blocked ana [not what it was]"),
        (event("message", "high m-1", lane=None, to="ben"), "- message ana to ben high m-1"),
    ],
)  # fmt: skip
def test_an_event_says_whose_what_and_why(e: Event, said: str) -> None:
    assert " ".join(feed.parts(e)) == said


def test_colour_follows_what_it_means() -> None:
    said = {
        "green": (event("landed"), event("verdict", "green"), event("verdict", "late green")),
        "red": (
            event("close", "x"),
            event("verdict", "red"),
            event("verdict", VERDICT),
            event("foreign-push", "1"),
            event("landed-red"),
        ),
        "yellow": (event("verdict", "unknown"), event("suspect"), event("expired")),
        None: (event("queue"), event("started"), event("intent")),
    }
    for colour, ones in said.items():
        assert [feed.colour(e) for e in ones] == [colour] * len(ones)


# --- cells ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "shown", "takes"),
    [
        ("plain", "plain", 5),
        ("日本語", "日本語", 6),
        ("e\u0301", "é", 1),
        ("a" + "\u0301\u0302\u0303\u0304\u0305", "á\u0302\u0303", 1),
        ("\u2764\ufe0f", "❤", 1),  # as an emoji some terminals draw it wide, and some do not
        ("\U0001f44d\U0001f3fd", "\U0001f44d", 2),
        ("\U0001f1e9\U0001f1ea", "DE", 2),
        ("\u1100\u1161", "\uac00", 2),
        ("x\u1161", "x?", 2),
        ("\u0301x", "x", 1),
        ("\x1b[2J\r\n", "\\x1b[2J\\x0d\\x0a", 15),
        ("a\u202eb\u200bc", "a\\u202eb\\u200bc", 15),
        ("\U0001f468\u200d\U0001f469", "\U0001f468\\u200d\U0001f469", 10),
    ],
)
def test_text_is_plain_and_measured(text: str, shown: str, takes: int) -> None:
    assert (cells.plain(text), width(cells.plain(text))) == (shown, takes)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60), st.integers(0, 40))
def test_what_is_cut_or_filled_fits(text: str, most: int) -> None:
    shown = cells.plain(text)
    assert cells.plain(shown) == shown
    assert not any(unicodedata.category(c)[0] in "CZ" and c != " " for c in shown)
    short = cells.cut(shown, most)
    assert width(short) <= most
    assert short == shown or width(shown) > most
    assert width(cells.fill(shown, most)) == most
