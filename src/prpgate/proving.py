"""Gate ci-first: CI proves a commit on a branch of its own, and only then the lane moves to it.

Under the lane's lock the commit goes to `prp-lane/<fence>` on the lane's remote, CI smokes it there, and green lets the
landing go on. Anything else leaves the lane where it was, and open: nothing has landed. Whoever waits here sleeps on
his own wake list; the renewals of his lease, which have to be made anyway, bring the news that a lost wake-up kept.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, NamedTuple

from . import policy, pushing
from .candidate_lock import KLASS, CandidateLock, Offer, Sight
from .errors import CouldNotTell, StoreDown
from .interrupts import held_back
from .job import AWAITING, OFFERING, SMOKING, Overtaken, Stage
from .messages import candidates as say
from .messages import land as land_say
from .messages import lane as lane_say
from .model import ZERO, Intent
from .outcomes import Closed, Lost, boottime_s
from .vouching import Voucher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .candidate_run import CandidateRun
    from .config import Config
    from .gitrepo import Repo
    from .grip import Grip
    from .job import Ears
    from .outcomes import Lease
    from .store.client import Store

GATE = "ci-first"
STATUS = "status"  # of ci.observe: CI has no secret, and whoever waits asks the host
GREEN, RED, UNKNOWN = "green", "red", "unknown"  # as in smoke, which a landing under another gate need not import
SLEEP_S = 8.0  # as long as one blocking read may take
ASK_EVERY_S = 60.0  # with a sleep of 8 s and a renewal every 10 s: 0.24 commands a second
NAP_S = 1.0  # at most, where nobody wakes us: a hold that was ended is seen that soon after its renewal failed
AGAIN_S = 1.0  # how often to ask whether a store that went away is back
LATE_S = 0.05  # how long after a deadline to look: before it there is nothing to see


class Proof(NamedTuple):
    """Why a commit may go to the lane."""

    run_url: str | None = None
    here: bool = False  # a candidate of this landing was smoked; otherwise a verdict stood already


@contextlib.contextmanager
def proven(
    repo: Repo, config: Config, store: Store, grip: Grip, ticket: str, intent: Intent, ears: Ears, *, fixer: bool
) -> Iterator[Proof]:
    """For as long as the block lasts `intent.head` is green in CI, and its candidate, if it needed one, is there.

    Raises UserError: red, or not proven; the lane is then as it was and open, and still held. LaneClosed. Raises
    KeyboardInterrupt after the candidate was deleted.
    """
    if config.gate != GATE or policy.is_new(repo, config, grip.lease.lane, intent.base):
        yield Proof()
        return
    from . import candidate_branch
    from .candidate_run import CandidateRun

    lock = CandidateLock(store, grip.lease.lane, config.times)
    one = _candidate(repo, config, grip.lease, intent.head)
    stands = lock.standing(one.tree, one.steps, KLASS)
    if stands and stands.result == GREEN:
        yield Proof(stands.run_url)
        return
    if stands and stands.result == RED:
        raise say.red_before(one.lane, one.head, stands.run_url)
    run = CandidateRun(repo, config, store, lock, lambda text: ears.line("ci", text))
    if config.ci_observe == STATUS:
        run.before(one.head)
    answer = lock.candidate(grip.lease, one.head, one.key, fixer)
    if isinstance(answer, Closed):
        lock.release(grip.lease, "closed")
        raise lane_say.closed(answer.state)
    if isinstance(answer, Lost):
        raise land_say.lost(one.lane, answer.state)
    grip.lease = answer.lease
    run.begins(answer.lease)
    try:
        ears.stage(Stage(OFFERING, detail=one.branch))
        _push(repo, config, grip, one)
        ears.stage(Stage(AWAITING))
        candidate_branch.sweep(repo, config, store)  # there is time for it now
        ask = verdict_of(repo, config, lock, intent, run)
        wakes = None if config.ci_observe == STATUS else ticket
        yield Proof(_judged(lock, grip, one, ask, ears, wakes), here=True)
    finally:
        with held_back():
            candidate_branch.delete(repo, config, one.branch, one.head)


def _candidate(repo: Repo, config: Config, lease: Lease, head: str) -> Offer:
    from . import gate

    settings = policy.at(repo, head) or config
    if not settings.smoke:
        raise say.no_steps(lease.lane)
    tree = repo.tree(head)
    assert tree is not None
    steps = gate.own_steps(repo, config, head)
    return Offer(lease.lane, config.candidate(lease.fence), lease.fence, head, tree, steps)


def _push(repo: Repo, config: Config, grip: Grip, one: Offer) -> None:
    with Voucher() as nobody:
        pushed = pushing.push(
            *(repo, config.remote, grip.lease, Intent(one.head, ZERO), nobody), lost=grip.lost, candidate=one.branch
        )
    if pushed.said == pushing.STOPPED:
        raise KeyboardInterrupt
    if pushed.said == pushing.NOT_SENT:
        raise land_say.hook_refused(one.lane, pushed.text)
    if pushed.said != pushing.TOOK:
        raise say.not_taken(one.lane, one.branch, pushed.text)


# --- waiting for the verdict -----------------------------------------------------------------------------------------


def verdict_of(
    repo: Repo, config: Config, lock: CandidateLock, intent: Intent, run: CandidateRun
) -> Callable[[Offer, bool], Sight]:
    """Who knows what became of a candidate: the store, to which CI's run tells it, or the host (`ci.observe`).

    What this gives is asked at the beginning, when the lander was woken or his renewal brought news (the second
    argument), and once `Sight.left_s` is over.
    It raises UserError when the hold is over, StoreDown, and Overtaken when the lane was seen to have moved.
    """
    seen: list[str | None] = []

    def stored(one: Offer) -> Sight:
        state = lock.state()
        found = state.candidate
        if state.fence != one.fence or found is None or found.head != one.head:
            raise land_say.lost(one.lane, state)
        if seen and seen[0] != state.seen and _moved(repo, config, one.lane, intent):  # somebody looked at the remote
            raise Overtaken
        seen[:] = [state.seen]
        return Sight(found.result, found.reason, found.run_url, found.left_ms / 1000)

    def ask(one: Offer, news: bool) -> Sight:
        if config.ci_observe == STATUS:
            return run.look(one, news, stored)
        known = stored(one)
        if known.result is None and known.left_s <= 0:
            return run.late(one, known.run_url)
        return known._replace(left_s=min(ASK_EVERY_S, known.left_s + LATE_S))

    return ask


def _moved(repo: Repo, config: Config, lane: str, intent: Intent) -> bool:
    """Is the lane's tip another than what the candidate stands on? Then it cannot land as it is."""
    try:
        return (repo.remote_tip(config.remote, lane).sha or ZERO) != intent.base
    except CouldNotTell:
        return False


def _judged(
    lock: CandidateLock,
    grip: Grip,
    one: Offer,
    ask: Callable[[Offer, bool], Sight],
    ears: Ears,
    wakes: str | None,
) -> str | None:
    """Wait until the candidate is green; the run's address. Raises UserError when it is not, or its time is over.

    `wakes`: the ticket whose wake list the store's news come to; None where there are none to wait for.
    """
    shown: str | None = None
    woken, asked_at, heard = True, 0.0, _heard(grip)
    known = Sight(None)
    while True:
        if grip.lost():
            raise land_say.lost(one.lane, lock.state())
        now = boottime_s()
        try:
            news = woken or heard != _heard(grip)
            if news or now >= asked_at + known.left_s:
                heard = _heard(grip)
                known, asked_at = ask(one, news), boottime_s()
            woken = False
        except StoreDown:  # it may be back before the lease is over, and CI goes on meanwhile
            time.sleep(AGAIN_S)
            woken = True
            continue
        if known.result == GREEN:
            return known.run_url
        if known.result is not None:
            lock.release(grip.lease, say.why_given_back(known.result, known.reason))
            how = say.red if known.result == RED else say.not_proven
            raise how(one.lane, one.head, known.reason, known.run_url)
        if known.run_url and known.run_url != shown:
            shown = known.run_url
            ears.stage(Stage(SMOKING, detail=shown))
        sleep_s = min(SLEEP_S, asked_at + known.left_s - boottime_s())
        try:
            if wakes is None:
                time.sleep(max(LATE_S, min(NAP_S, sleep_s)))
            else:
                woken = lock.store.pop(lock.keys.w + wakes, max(LATE_S, sleep_s)) is not None
        except StoreDown:
            time.sleep(AGAIN_S)


def _heard(grip: Grip) -> tuple[object, ...]:
    """What the last renewal of the lease said that matters here: a wake-up may have been lost."""
    state = grip.state
    found = state.candidate if state else None
    return (found.result, found.run_url, state.seen) if found and state else ()
