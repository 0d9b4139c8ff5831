"""The reply of a script is lost, and it is asked again with the same arguments: the same answer, and nothing twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from prpgate.candidate_lock import CandidateLock
from prpgate.lock import Granted, Look
from prpgate.model import Intent
from tests.lock.clocked import Clocked, Scene, pusher, runner, waiter
from tests.world import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

H1 = Intent("h1", "b0")
INFO = {"tree": "t1", "steps": "s", "prps": ["P1-001"], "code": True}
IN = Look("h1", "b0", ["h1"], [], [])


class Repeating(Clocked):
    """Runs what `verb` runs twice, as one does who did not hear the first answer; keeps both."""

    verb = ""
    heard: list[Any]

    def run(self, script: str, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        answer = super().run(script, keys, args)
        if script == f"lane_{self.verb}":
            events = self.redis.xlen(keys[8])
            self.heard = [answer, again := super().run(script, keys, args)]
            self.heard.append(self.redis.xlen(keys[8]) - events)
            return again
        return answer


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    one = Server("--appendonly", "no")
    yield one
    one.close()


@pytest.fixture
def s(shared: Server) -> Scene:
    shared.redis().flushall()
    one = Scene(shared)
    one.store = Repeating.over(shared.redis(), "example/lock")
    one.lock = CandidateLock(one.store, "main", one.times)
    return one


def announced(s: Scene) -> Any:
    lease = s.holds("ann")
    s.lock.intent(lease, H1, INFO)
    return lease


def landed(s: Scene) -> Any:
    lease = announced(s)
    s.lock.report(lease, "in", IN, gate="ci")
    return lease


def adopted(s: Scene) -> Any:
    landed(s)
    got = s.lock.adopt("h1", runner(), "https://ci/1", IN, tree="t1", steps="s")
    assert isinstance(got, Granted)
    return got.lease


def silent(s: Scene) -> None:
    announced(s)
    s.later(31)


def expired(s: Scene) -> Any:
    silent(s)
    return s.lock.look(waiter("ben"))


def offered(s: Scene) -> Any:
    """ann's commit is on a candidate branch (gate ci-first)."""
    lease = s.holds("ann")
    trial(s).candidate(lease, "h1", "t1:s:ci")
    return lease


def trial(s: Scene) -> CandidateLock:
    assert isinstance(s.lock, CandidateLock)
    return s.lock


def overdue(s: Scene) -> None:
    landed(s)
    s.later(91)


# verb: what was before, and the call. The answers of both must be alike in `same`.
CASES: dict[str, tuple[Callable[[Scene], Any], Callable[[Scene, Any], object]]] = {
    "acquire": (lambda s: None, lambda s, _: s.land("ann")),
    "acquire, in line": (lambda s: s.holds("ben"), lambda s, _: s.land("ann")),
    "acquire, with intent": (lambda s: None, lambda s, _: s.push("ann", intent=H1, info=INFO, seen="")),
    "acquire, refused": (lambda s: s.holds("ben"), lambda s, _: s.push("ann", intent=H1, info=INFO, seen="")),
    "acquire, a place": (lambda s: s.holds("ben"), lambda s, _: s.lock.place(pusher("ann"))),
    "renew": (lambda s: s.holds("ann"), lambda s, lease: s.lock.renew(lease)),
    "intent": (lambda s: s.holds("ann"), lambda s, lease: s.lock.intent(lease, H1, INFO)),
    "look": (silent, lambda s, _: s.lock.look(waiter("ben"))),
    "adopt": (landed, lambda s, _: s.lock.adopt("h1", runner(), "https://ci/1", IN, tree="t1", steps="s")),
    "ci_renew": (adopted, lambda s, lease: s.lock.ci_renew(lease)),
    "pre_receive": (announced, lambda s, _: s.lock.pre_receive(H1, waiter("server"))),
    "pre_receive, unannounced": (lambda s: None, lambda s, _: s.lock.pre_receive(H1, waiter("server"), info=INFO)),
    "leave": (lambda s: (s.holds("ben"), s.land("ann")), lambda s, _: s.lock.leave("ann")),
    "candidate": (lambda s: s.holds("ann"), lambda s, lease: trial(s).candidate(lease, "h1", "t1:s:ci")),
    "pick_up": (offered, lambda s, lease: trial(s).pick_up(lease.fence, "h1", "https://ci/1")),
    "state": (announced, lambda s, _: s.lock.state()),
}
# These end something: the second time they find it ended, and the caller is told how, as if it had heard the first.
ENDING: dict[str, tuple[Callable[[Scene], Any], Callable[[Scene, Any], object]]] = {
    "release": (lambda s: s.holds("ann"), lambda s, lease: s.lock.release(lease)),
    "report, in": (announced, lambda s, lease: s.lock.report(lease, "in", IN)),
    "report, base": (announced, lambda s, lease: s.lock.report(lease, "base", Look("b0", "b0", [], [], []))),
    "report, other": (announced, lambda s, lease: s.lock.report(lease, "other", Look("x", "b0", [], ["x"], ["h1"]))),
    "submit": (expired, lambda s, look: s.lock.submit(look, "in", IN)),
    "verdict, green": (adopted, lambda s, lease: s.lock.verdict("h1", "t1", "s", "ci", "green", lease.fence)),
    "verdict, red": (adopted, lambda s, lease: s.lock.verdict("h1", "t1", "s", "ci", "red", lease.fence)),
    "proof": (
        offered,
        lambda s, lease: trial(s).proof(
            *(lease.fence, "h1", "t1:s:ci", "green"), by="ci", reason="3 steps passed", run_url="https://ci/1"
        ),
    ),
    "break": (lambda s: s.holds("ann"), lambda s, lease: s.lock.break_(lease.fence, "carol", "slow")),
    "post_receive": (announced, lambda s, _: s.lock.post_receive("h1", IN)),
    "close": (lambda s: None, lambda s, _: s.lock.close("carol", "stop")),
    "open": (lambda s: s.lock.close("carol", "stop"), lambda s, _: s.lock.open("carol", "go on")),
    "attribute": (landed, lambda s, _: s.lock.attribute(Look("h2", "h1", ["h1"], ["h2"], []))),
    "redispatch": (overdue, lambda s, _: s.lock.redispatch(waiter("ben"))),
}


@pytest.mark.parametrize("case", CASES)
def test_asked_again_the_answer_is_the_same_and_nothing_is_written_twice(s: Scene, case: str) -> None:
    before, call = CASES[case]
    made = before(s)
    assert isinstance(s.store, Repeating)
    s.store.verb = case.partition(",")[0]
    call(s, made)
    first, second, more = s.store.heard
    assert second == first
    assert more == 0


@pytest.mark.parametrize("case", ENDING)
def test_what_has_ended_ends_once(s: Scene, case: str) -> None:
    before, call = ENDING[case]
    made = before(s)
    assert isinstance(s.store, Repeating)
    s.store.verb = case.partition(",")[0]
    told = call(s, made)
    first, second, more = s.store.heard
    assert {field: second["state"][field] for field in first["state"]} == first["state"]  # "lost" tells of the line too
    again = s.events()[len(s.events()) - more :]
    assert not {"landed", "late", "not-landed", "unseen", "release", "break", "foreign-push", "redispatch"} & {*again}
    if case.startswith(("report", "submit", "release")):
        assert type(told).__name__ in ("Reported", "Done"), told
