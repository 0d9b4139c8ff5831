"""Cursors as text, and a lane's day out of its log: values in, values out."""

from __future__ import annotations

from prpgate.dashboard import cursor as cursors
from prpgate.dashboard.cursor import PRPS, Cursor, stream_of
from prpgate.dashboard.day import DAY_MS, Day, Known
from prpgate.events import Event

STORE, TIP = "0123456789ab", "fedcba987654"
NOON = 1_795_000_000_000


def test_a_cursor_comes_back_as_it_was() -> None:
    ids = {PRPS: "1795390947199-0", stream_of("main"): f"1-{2**63}", stream_of("r\n\u202e/x"): "0-0"}
    for at in (Cursor.at(STORE, TIP, ids), Cursor.at(STORE, "", {}), Cursor.at(STORE, TIP[:3], {PRPS: "0-1"})):
        assert cursors.parse(str(at)) == at
        assert str(at).isascii()
        assert str(at).isprintable()
    assert len(str(Cursor.at(STORE, TIP, {PRPS: ids[PRPS]}))) < 60
    many = Cursor.at(STORE, TIP, {stream_of(f"release/{n}"): "1795390947199-17" for n in range(1000)})
    assert cursors.parse(str(many)) == many, "else a page would read everything anew, again and again"


def test_what_is_no_cursor() -> None:
    good = str(Cursor.at(STORE, TIP, {PRPS: "5-0"}))
    for wrong in ("", "1", good + "\n", good + ".", good.upper(), "2" + good[1:], good + ".p-1", good + ".q-1-0"):
        assert cursors.parse(wrong) is None, wrong
    assert cursors.parse(good + ".p-1-0" * 2000) is None


def test_one_cursor_covers_another_stream_by_stream() -> None:
    a = Cursor.at(STORE, TIP, {PRPS: "10-0", "a" * 12: "10-0"})
    for ids, covered in (
        ({PRPS: "10-0", "a" * 12: "10-0"}, True),
        ({PRPS: "9-9"}, True),
        ({}, True),
        ({PRPS: "10-1"}, False),
        ({PRPS: "2-0", "a" * 12: "100-0"}, False),  # by number, not by letter
        ({PRPS: "1-0", "b" * 12: "1-0"}, False),
    ):
        assert a.covers(Cursor.at(STORE, "", ids)) is covered, ids
    assert not a.covers(Cursor.at("f" * 12, TIP, {}))


class Log:
    """A lane's log that is written down here."""

    def __init__(self) -> None:
        self.day, self.now = Day(), NOON

    def add(self, after_s: float, event: str, sha: str | None = None, detail: str = "", agent: str = "ben") -> None:
        self.now += int(after_s * 1000)
        self.day.take(Event(f"{self.now}-0", self.now, "main", event, None, agent, 7, sha, detail))


def test_a_day_of_landings() -> None:
    log = Log()
    log.add(0, "acquire", "a1")
    log.add(1, "intent", "a1")
    log.add(2, "landed", "a1")
    log.add(60, "verdict", "a1", "green")
    log.add(1, "acquire", "b1", agent="eve")
    log.add(1, "landed", "b1", agent="eve")
    log.add(30, "verdict", "b1", "red (1)")  # tried again
    log.add(30, "verdict", "b1", "red", agent="eve")
    log.add(5, "claim", "c1")
    log.add(1, "landed", "c1")
    log.add(9, "verdict", "c1", "unknown run-lost")
    log.add(5, "foreign-push", "d1", "1", agent="")
    log.add(5, "verdict", "a1", "late red")
    log.add(1, "acquire", "e1")
    log.add(1, "merged", "e2", "e1")
    log.day.known["c1"] = Known("ben", ("P1-001",), "green")  # another run of the same tree
    shown = [(x["sha"], x["verdict"], x["agent"], x["duration_s"]) for x in log.day.today(log.now, "e2")]
    assert shown == [
        ("a1", "red", "ben", 63.0),
        ("b1", "red", "eve", 61.0),
        ("c1", "green", "ben", 10.0),
        ("d1", "unknown", None, None),
        ("e2", "pending", "ben", 1.0),
    ]
    assert log.day.today(log.now, None)[2]["prps"] == ["P1-001"]
    without = [x["verdict"] for x in log.day.today(log.now, None, gated=False)]
    assert without == ["red", "red", "green", "none", "none"], "where nobody judges, nothing is unknown"


def test_how_much_of_a_day_a_lane_was_held() -> None:
    log = Log()
    log.add(0, "acquire")
    log.add(DAY_MS / 1000 / 4, "release")
    log.add(DAY_MS / 1000 / 4, "acquire")
    assert log.day.utilisation(log.now, held=True) == 0.25
    later = log.now + DAY_MS // 4
    assert log.day.utilisation(later, held=True) == 0.5
    assert log.day.utilisation(later, held=False) == 0.25
    log.add(DAY_MS / 1000 / 4, "queue", agent="eve")  # nothing of the hold's own
    assert log.day.utilisation(log.now, held=False) == 0.25
    assert log.day.utilisation(log.now + DAY_MS * 3, held=False) == 0.0
    log.day.forget(log.now + DAY_MS * 3)
    assert log.day.today(log.now + DAY_MS * 3, None) == []


def test_an_event_that_is_told_twice_counts_once() -> None:
    log = Log()
    log.add(0, "acquire")
    log.add(100, "landed", "a1")
    again = Event(f"{NOON}-0", NOON, "main", "acquire", None, "ben", 7, None, "")
    before = log.day.utilisation(log.now, held=False)
    log.day.take(again)
    assert log.day.utilisation(log.now, held=False) == before
