"""The checker can fail: a story that is well, and the same story with one thing wrong at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.chaos.checker import judge
from tests.chaos.looks import Stored, step
from tests.chaos.proxy import CUT, DELAY, DROP, Proxy
from tests.chaos.story import LANDED, Claim, Era, Event, Leftovers, Story, Took, Verdict, Visit

if TYPE_CHECKING:
    from tests.world import Server

A, B, C = "a" * 40, "b" * 40, "c" * 40
EVENTS = (
    Event("acquire", 10, "ana", A),
    Event("intent", 10, "ana", A),
    Event("queue", 10, "ben"),
    Event("landed", 10, "ana", A),
    Event("handover", 11, "ben"),
    Event("claim", 11, "ben", B),
    Event("intent", 11, "ben", B),
    Event("expired", 11, "ben", B, "reconciling"),
    Event("reconcile", 12, "cem", B),
    Event("landed", 12, "ben", B),
    Event("offer", 13, "cem"),
    Event("expired", 13, "cem", "", "offer"),
    Event("close", 13, "ana", B),
    Event("open", 13, "ana"),
    Event("acquire", 14, "dee", C),
    Event("release", 14, "dee", C),
)
WELL = Story(
    eras=(Era(EVENTS, wiped=True),),
    took=(Took("0" * 40, A, brought=(A,)), Took(A, B, brought=(B,))),
    visits=(Visit("1", 1.0, 2.0), Visit("2", 2.5, 3.0)),
    subjects=("work 1 of ana", "work 2 of ben"),
    history=frozenset({A, B}),
    records=((A, "landed"), (B, "landed")),
    claims=(Claim("ana", A, LANDED),),
    verdicts=(Verdict("t:s:ci", "unknown"), Verdict("t:s:ci", "green"), Verdict("t:s:ci", "green")),
    leftovers=Leftovers(tip=B, kept=((C, B),)),
    calm=True,
)


def spliced(at: int, *events: Event, drop: int = 0) -> Story:
    """The log with lines put in before `at`, and `drop` lines taken out there."""
    return WELL._replace(eras=(Era((*EVENTS[:at], *events, *EVENTS[at + drop :]), wiped=True),))


def rules(story: Story) -> set[str]:
    return {v.rule for v in judge(story)}


def test_a_story_that_is_well() -> None:
    assert judge(WELL) == []


WRONG = {
    "granted while another holds": ("1 one holder", spliced(1, Event("acquire", 11, "eve", C))),
    "granted while another's push is under way": ("1 one holder", spliced(3, Event("acquire", 11, "eve", C))),
    "granted while reconciling": ("1 one holder", spliced(8, Event("acquire", 12, "eve", C), drop=1)),
    "granted while offered": ("1 one holder", spliced(5, Event("acquire", 12, "eve", C))),
    "claimed what was offered to another": ("1 one holder", spliced(5, Event("claim", 11, "eve", C), drop=1)),
    "announced under another fence": ("1 one holder", spliced(6, Event("intent", 10, "ben", B), drop=1)),
    "announced by nobody": ("1 one holder", spliced(0, Event("intent", 10, "ana", A))),
    "looked for what nobody lost": ("1 one holder", spliced(7, Event("reconcile", 12, "cem", B), drop=2)),
    "CI takes the lane from another's landing": ("1 one holder", spliced(2, Event("adopt", 11, "ci", C))),
    "a window while somebody holds": ("1 one holder", spliced(1, Event("window", 10))),
    "pushes overlap": (
        "1 no overlap at the remote",
        WELL._replace(visits=(Visit("1", 1.0, 9.0), Visit("2", 2.5, 3.0), Visit("3", 8.0, 8.5))),
    ),
    "a commit is lost": ("2 nothing lost", WELL._replace(history=frozenset({B}))),
    "a commit is forced away by one who did not force": (
        "2 nothing lost",
        WELL._replace(took=(*WELL.took, Took(B, C, dropped=(B,), brought=(C,))), history=frozenset({A, C})),
    ),
    "told landed, was not": ("2 nothing lost", WELL._replace(claims=(Claim("ana", C, LANDED),))),
    "landed twice": ("2 none twice", WELL._replace(subjects=("work 1 of ana", "work 1 of ana"))),
    "a fence comes again": ("3 fences grow", spliced(14, Event("acquire", 13, "dee", C), drop=1)),
    "a fence goes back after a wipe": (
        "3 fences grow",
        WELL._replace(eras=(Era(EVENTS, wiped=True), Era((Event("acquire", 9, "dee", C),), wiped=True))),
    ),
    "the lane stays held": ("4 served, nothing left", WELL._replace(leftovers=Leftovers(state="held"))),
    "a ticket is left": ("4 served, nothing left", WELL._replace(leftovers=Leftovers(queue=("ana",)))),
    "a key is left": ("4 served, nothing left", WELL._replace(leftovers=Leftovers(keys=("w:ana",)))),
    "kept for ever": ("4 served, nothing left", WELL._replace(leftovers=Leftovers(tip=B, kept=((C, A),)))),
    "a process is left": ("4 served, nothing left", WELL._replace(leftovers=Leftovers(processes=("7 git",)))),
    "served too late": ("4 served, nothing left", WELL._replace(leftovers=Leftovers(served_s=61))),
    "landed, says the log": ("6 records are the remote's", spliced(16, Event("late", 14, "dee", C))),
    "not landed, says the log": ("6 records are the remote's", spliced(16, Event("not-landed", 14, "ana", A))),
    "landed is taken back": ("6 records are the remote's", spliced(16, Event("unseen", 14, "ana", A))),
    "recorded as landed": (
        "6 records are the remote's",
        WELL._replace(records=((A, "landed"), (B, "landed"), (C, "late"))),
    ),
    "recorded as not landed": ("6 records are the remote's", WELL._replace(records=((A, "landed"), (B, "not-landed")))),
    "recorded as under way": ("6 records are the remote's", WELL._replace(records=((A, "landed"), (B, "intent")))),
    "not recorded": ("6 records are the remote's", WELL._replace(records=((A, "landed"),))),
    "a verdict changes": (
        "8 written once",
        WELL._replace(verdicts=(Verdict("t:s:ci", "green"), Verdict("t:s:ci", "red"))),
    ),
    "granted while closed": (
        "8 closed lane",
        spliced(13, Event("acquire", 14, "eve", C), Event("release", 14, "eve", C)),
    ),
    "announced while closed": ("8 closed lane", spliced(6, Event("close", 11, "ana", A))),
}


@pytest.mark.parametrize("what", list(WRONG))
def test_what_is_wrong_is_seen(what: str) -> None:
    rule, story = WRONG[what]
    assert rule in rules(story)


def test_what_is_excused() -> None:
    """A rewound branch, forgotten data, a clock set back while data were lost, a culprit's own fix."""
    again = (Era(EVENTS, wiped=True), Era((Event("acquire", 9, "dee", C),), wiped=True, behind=True))
    assert judge(WELL._replace(eras=again)) == []
    forced = WELL._replace(
        took=(*WELL.took, Took(B, C, dropped=(B,), brought=(C,))),
        history=frozenset({A, C}),
        rewound=True,
        forced=frozenset({C}),
    )
    assert judge(forced._replace(leftovers=Leftovers(tip=C))) == []
    assert judge(WELL._replace(records=((A, "landed"),), lost_data=True)) == []
    retried = (Event("not-landed", 9, "ana", A), Event("queue", 9, "ana"))
    assert judge(spliced(0, *retried)) == []
    fix = (Event("acquire", 14, "ben", C), Event("release", 14, "ben", C))
    assert judge(spliced(13, *fix, Event("open", 14, "ana"), Event("acquire", 15, "dee", C), drop=2)) == []


EMPTY = Stored(1000.0, {"fence": "5"}, {}, {}, {}, frozenset(), {}, {}, {}, {}, (), "")
TWO = EMPTY._replace(
    s={"fence": "5", "state": "held", "phase": "landed", "holder": "x"},
    queue={"ana": 1, "ben": 2},
    alive={"ana": 9000, "ben": 9000},
    who={"ana": {}, "ben": {}},
    records={A: "landed"},
)
HELD = {"fence": "5", "state": "held", "phase": "claimed", "holder": "h", "deadline": "2000", "cap": "2000"}
LOOKS = {
    "8 written once": (EMPTY._replace(verdicts={"k": "green"}), EMPTY._replace(verdicts={"k": "red"})),
    "6 never taken back": (TWO, TWO._replace(records={A: "late"})),
    "3 fences grow": (EMPTY, EMPTY._replace(s={"fence": "4"})),
    "5 ticket order": (TWO, TWO._replace(events=(Event("offer", 6, "ben"),))),
    "7 one window": (TWO._replace(used=frozenset({"ana"})), TWO),
    "5 handed over": (TWO, TWO._replace(s={"fence": "5", "state": "free"})),
    "3 same answer again": (TWO, TWO._replace(s=HELD, who={"ana": {"hold": "h"}})),
    "4 never past the cap": (TWO, TWO._replace(s={**HELD, "deadline": "3000"})),
}


@pytest.mark.parametrize("rule", list(LOOKS))
def test_a_step_that_must_not_be_is_seen(rule: str) -> None:
    before, after = LOOKS[rule]
    assert {v.rule for v in step(before, after)} == {rule}
    assert list(step(before, before)) == []


def test_a_window_is_for_who_had_none_or_stands_in_line_anew() -> None:
    before = TWO._replace(s={"fence": "5", "state": "free"}, alive={}, used=frozenset({"ana", "ben"}))
    opened = before._replace(
        s={**before.s, "window": "3000"}, events=(Event("dead", 5, "ana"), Event("window", 5, "ana"))
    )
    assert {v.rule for v in step(before, opened)} == {"7 one window"}
    assert list(step(before, opened._replace(queue={"ana": 3, "ben": 2}))) == []


def test_the_proxy_loses_what_it_is_told_to(server: Server) -> None:
    """A reply that is lost was acted on; a request that is lost was not."""
    with Proxy(f"{server.folder}/p", server.socket) as proxy:
        client = redis.Redis(
            unix_socket_path=proxy.path,
            protocol=2,
            decode_responses=True,
            socket_timeout=2,
            retry=Retry(NoBackoff(), 0),
        )
        assert client.ping()
        direct = server.redis()
        for kind, stands in ((CUT, "1"), (DROP, "1"), (CUT, "2")):
            proxy.arm(kind)
            with pytest.raises(redis.ConnectionError):
                client.incr("n")
            assert direct.get("n") == stands, kind
        proxy.arm(DELAY, seconds=0.2)
        assert client.incr("n") == 3
        proxy.refuse(True)
        client.close()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        proxy.calm()
        assert client.ping()
        proxy.stall(True)
        with pytest.raises(redis.TimeoutError):
            client.ping()
        client.close()
        direct.close()
