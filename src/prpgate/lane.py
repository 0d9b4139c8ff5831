"""Landing on a lane: what a push brings, whether it may, and what came of it.

Nothing here guesses. Past any deadline, and when a push has ended, the remote is asked and its answer is recorded.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from . import break_glass, identity, merged, policy, pushing
from .config import FILE
from .errors import CouldNotTell, StoreDown, UserError
from .gitrepo import Repo, lane_of
from .messages import candidates as candidates_say
from .messages import land as land_say
from .messages import lane as say
from .model import ERROR, ZERO, Finding, Intent, RefUpdate
from .refusal import findings_text

if TYPE_CHECKING:
    from .config import Config
    from .identity import Process
    from .lock import LaneState, Lease, Look, MergeLock, Who
    from .model import Agent

CONNECT_S = 1.0  # a push never waits longer for a store that does not answer
SHALLOW = "shallow"  # no commit's id: a look that stands on no `seen` says which known heads are in, and no more
FOREIGN_MOST = 200  # commits named one by one in a look; a longer list says nothing more to anybody


class Landing(NamedTuple):
    """A push that holds its lane's lock and may go ahead."""

    lane: str
    lease: Lease
    intent: Intent
    remarks: list[Finding]  # what the pusher should know, and is no reason to refuse
    land: Process | None = None  # the `prp land` that holds the lock, renews it and asks the remote, while it lives


class Emergency(NamedTuple):
    """A push that goes without the lock, because a person said why it must."""

    lane: str
    reason: str


# --- what a push brings ---------------------------------------------------------------------------------------------


def lane_update(repo: Repo, config: Config, remote: str, updates: list[RefUpdate]) -> tuple[str, RefUpdate] | None:
    """The one lane update among the pushed refs, None when there is none. Refuses what cannot land in turn."""
    lanes = [(name, u) for u in updates if (name := lane_of(config, remote, u.remote_ref))]
    if not lanes:
        return None
    if len(lanes) > 1:
        raise say.two_lanes(remote, [(u.local_ref, name) for name, u in lanes])
    name, update = lanes[0]
    if update.local_sha == ZERO:
        raise say.deletion(name)
    if update.remote_sha != ZERO and repo.has(update.remote_sha):  # one that is not here: before_push says so
        forward = repo.is_ancestor(update.remote_sha, update.local_sha)
        if forward is None or (not forward and repo.shallow):
            raise say.cannot_tell(name, "history is missing here (a shallow clone?)", "git fetch --unshallow")
        if not forward:
            raise say.not_forward(name, remote, pushing.is_plain(repo, remote, name))
    return name, update


def judge_range(repo: Repo, config: Config, base: str, head: str) -> list[Finding]:
    """Findings over what a push would bring: rebase, cherry-pick and revert run no commit hooks.

    The ledger at the head is judged against the one at the base (a slip that a later commit mends is no finding), and
    each merge against its parents.
    """
    from . import rules

    old = None if base == ZERO else base
    messages = repo.messages(base, head)
    span = f"{old}..{head}" if old else head
    touched = repo.text(
        "log", "--format=%H %P", "--full-history", "--reverse", span, "--", f":/{config.ledger_path.rstrip('/')}"
    )
    found: list[Finding] = []
    if touched:
        from . import ledger

        before = ledger.load(repo, config, old) if old else ledger.empty(missing=True)
        reverts = {sha for sha, message in messages if message.startswith("Revert ")}
        after = ledger.load(repo, config, head)
        found += rules.check_change(before, after, reverts=bool(reverts), id_pattern=config.id_pattern)
        found += rules.drafts(after)
        for line in touched.splitlines():
            sha, *parents = line.split()
            if len(parents) > 1:
                sides = [ledger.load(repo, config, p) for p in parents]
                fork = repo.maybe("merge-base", *parents) if len(parents) == 2 else None
                merged, root = ledger.load(repo, config, sha), ledger.load(repo, config, fork) if fork else None
                found += rules.check_change(
                    sides[0], merged, sides[1:], sha in reverts, base=root, id_pattern=config.id_pattern
                )
    found += _judge_policy(repo, base, head)
    known = known_ids(repo, config, head)
    for sha, message in messages if known else []:  # without a ledger nothing can be claimed wrongly
        mend = "git commit --amend" if sha == head else f"git rebase -i {sha[:10]}^"
        for f in rules.check_message(
            message, known.__contains__, config.id_pattern, ids=sorted(known), file=f"commit {sha[:10]}"
        ):
            found.append(f._replace(fix=f"Correct the message:\n  {mend}"))
    return list(dict.fromkeys(found))


def _judge_policy(repo: Repo, base: str, head: str) -> list[Finding]:
    """A prp.toml that cannot be read would stop everybody once it has landed."""
    if FILE not in repo.changed_paths(base, head):
        return []
    try:
        policy.at(repo, head)
    except UserError as e:
        return [Finding("PRP170", ERROR, FILE, 1, 1, None, e.message, f"Mend {FILE}, then git add.")]
    return []


def known_ids(repo: Repo, config: Config, rev: str) -> set[str]:
    """Every id that the ledger of a commit answers to."""
    from . import ledger_scan

    if config.one_file_per_prp:
        paths = repo.paths_in(rev, config.ledger_path)
        blobs = repo.blobs([f"{rev}:{p}" for p in paths])
    else:
        blobs = [repo.blob(f"{rev}:{config.ledger_path}")]
    return set().union(*(ledger_scan.known_ids_scan(b) for b in blobs if b))


# --- taking the lane ------------------------------------------------------------------------------------------------


def contender(repo: Repo, who: Agent, lane: str, process: Process, op: str, prp: str | None, sha: str | None) -> Who:
    """The lock's Who for one process of this agent in this worktree."""
    from .lock import Who

    ticket = identity.reservation_id(who, repo, lane)
    hold = identity.hold_id(ticket, process)
    return Who(ticket, hold, who.name, identity.host(), process.pid, op, prp, sha)


def before_push(
    repo: Repo, config: Config, remote: str, updates: list[RefUpdate], *, process: Process
) -> Landing | Emergency | None:
    """Decide a push. None: no lane is touched. Landing: the lock is held. Emergency: it is not, and that is recorded.

    Refused: raises a UserError that says it all.
    """
    found = lane_update(repo, config, remote, updates)
    if found is None:
        return None
    name, update = found
    intent = Intent(update.local_sha, update.remote_sha)
    reason = os.environ.get("PRP_BREAK_GLASS", "").strip()
    if reason:
        break_glass.record(repo, name, intent, reason)
        return Emergency(name, reason)
    unseen = intent.base != ZERO and not repo.has(intent.base)
    bad = [] if unseen else [f for f in judge_range(repo, config, intent.base, intent.head) if f.severity == "error"]
    if bad:
        raise say.findings(name, len(bad), findings_text(bad, say.NOT_PUSHED))
    from . import registry
    from .lock import MergeLock
    from .store.client import connect

    try:
        store = connect(config, repo.root, timeout_s=CONNECT_S)
    except StoreDown as e:
        if unseen:
            raise say.fetch_first(remote, name, intent.base, None, pushing.is_plain(repo, remote, name)) from None
        raise say.store_down(name, e) from None
    with store:
        break_glass.deliver(repo, store)
        registry.beat_now_and_then(repo, store)
        quiet_s = store.quiet_s()
        if quiet_s > 0:
            raise say.just_adopted(name, quiet_s, pushing.again(repo, remote, name))
        lock = MergeLock(store, name, config.times)
        if landing := _of_a_landing(lock, intent):
            return landing
        if unseen:
            me = identity.agent(repo)
            place = lock.place(contender(repo, me, name, process, "push", None, intent.head))
            raise say.fetch_first(remote, name, intent.base, place, pushing.is_plain(repo, remote, name))
        return _take(repo, config, lock, name, intent, process)


def _take(repo: Repo, config: Config, lock: MergeLock, name: str, intent: Intent, process: Process) -> Landing:
    from . import gate, prps

    remarks = prps.foreign_lines(repo, lock.store, config, intent.base, intent.head)
    if foreign := [f for f in remarks if f.severity == "error"]:
        raise say.findings(name, len(foreign), findings_text(foreign, say.NOT_PUSHED))
    refuse_unproven(repo, config, lock, intent)
    ids, code = prps.prps_of_range(repo, config, intent.base, intent.head)
    me = identity.agent(repo)
    who = contender(repo, me, name, process, "push", ids[0] if ids else None, intent.head)
    steps = gate.verdict_steps(repo, config, intent.head)
    info = {"agent": me.name, "tree": repo.tree(intent.head), "prps": ids, "code": code, "steps": steps}
    try:
        return _stand_in_line(repo, config, lock, intent, who, info, remarks)
    except KeyboardInterrupt:
        lock.leave(who.ticket, keep=True)
        raise


def _of_a_landing(lock: MergeLock, intent: Intent) -> Landing | None:
    """Is this push a step of `prp land`? The store says so, not the environment: the hold is there and means this."""
    from .lock import Granted

    fence, hold = os.environ.get(pushing.FENCE, ""), os.environ.get(pushing.HOLD, "")
    if not fence.isdigit():
        return None
    answer = lock.resume(int(fence), hold)
    holder = answer.state.holder
    if isinstance(answer, Granted) and holder and holder.id == hold and answer.state.intent == intent:
        return Landing(lock.lane, answer.lease, intent, [], identity.holding_process(hold))
    raise say.lost(lock.lane, answer.state)


def landing_of(update: RefUpdate) -> Landing:
    """The landing that this push of `prp land` belongs to, as its environment says. The store says whether it is so."""
    from .lock import Lease

    name = update.remote_ref.removeprefix("refs/heads/")
    fence, hold = os.environ.get(pushing.FENCE, ""), os.environ.get(pushing.HOLD, "")
    lease = Lease(name, int(fence) if fence.isdigit() else 0, hold, 0.0, 0.0, 0.0)
    return Landing(name, lease, Intent(update.local_sha, update.remote_sha), [])


def is_green(repo: Repo, config: Config, lock: MergeLock, head: str) -> bool:
    """Does a green verdict stand for a commit's tree, under the steps that it declares itself, or is one inherited?"""
    from . import verdicts

    settings = policy.at(repo, head) or config
    classes = verdicts.CI if config.gate == "ci-first" else verdicts.LOCAL
    return verdicts.green(repo, settings, lock, head, classes, judge_range)


def refuse_unproven(repo: Repo, config: Config, lock: MergeLock, intent: Intent) -> None:
    """Raise UserError for a plain push that has to be green before it lands, and is not."""
    first = config.gate == "ci-first" and not policy.is_new(repo, config, lock.lane, intent.base)
    if (first or config.gate == "local") and not is_green(repo, config, lock, intent.head):
        raise candidates_say.push_not_proven(lock.lane) if first else land_say.not_proven(lock.lane)


def _stand_in_line(
    repo: Repo,
    config: Config,
    lock: MergeLock,
    intent: Intent,
    who: Who,
    info: dict[str, Any],
    remarks: list[Finding],
) -> Landing:
    """Acquire, or refuse. A grace window is waited out: nothing lands meanwhile, so this push does not go stale."""
    from .lock import Closed, Granted, Moved, Refused, Window

    name = lock.lane
    fixer, looked = False, False
    state = lock.state()
    seen = state.seen or ""
    confirmed = state.holder is not None and state.holder.id == who.hold  # the same push, to its next URL
    until = time.monotonic() + config.times.window_ms / 1000 + 5
    while True:
        if not confirmed and _stale(repo, intent, seen):
            if not _is_tip(repo, config, lock, intent):
                plain = pushing.is_plain(repo, config.remote, name)
                raise say.fetch_first(config.remote, name, seen, lock.place(who), plain)
            seen, confirmed = lock.state().seen or "", True
            continue
        answer = lock.acquire(who, plain=True, fixer=fixer, intent=intent, info=info, seen=seen)
        if isinstance(answer, Granted):
            return Landing(name, answer.lease, intent, remarks)
        if isinstance(answer, Moved):
            seen, confirmed = answer.state.seen or "", False
            continue
        if isinstance(answer, Window) and time.monotonic() < until:
            time.sleep(min(answer.ms_left / 1000 + 0.02, 0.5))
            continue
        if isinstance(answer, Closed) and not fixer and fixes(repo, who.agent, info["prps"], intent, answer.state):
            fixer = True
            continue
        if answer.state.needs_look and not looked:
            looked = True
            if reconcile(repo, config, lock, who):
                continue
        if isinstance(answer, Closed):
            raise say.closed(answer.state)
        position = answer.position if isinstance(answer, Refused) else 1
        reserved_ms = answer.reserved_ms if isinstance(answer, Refused) else 0
        raise say.held(answer.state, position, reserved_ms, pushing.again(repo, config.remote, name))


def _is_tip(repo: Repo, config: Config, lock: MergeLock, intent: Intent) -> bool:
    """Is the push's base the tip after all (the branch was rewritten, or this clone is shallow)? The remote says so,
    and the lane is told."""
    try:
        if (repo.remote_tip(config.remote, lock.lane).sha or ZERO) != intent.base:
            return False
        lock.attribute(observe(repo, config, lock.state())[1])
    except CouldNotTell:
        return False
    return True


def _stale(repo: Repo, intent: Intent, seen: str) -> bool:
    """Is the base that git fixed for this push older than a tip that the lane has had? The remote would refuse it.

    A tip that is not here is newer than the base: whoever has the base has what is under it.
    """
    if seen in ("", intent.base):
        return False
    if intent.base == ZERO:
        return repo.has(seen) is False
    return not repo.has(seen) or bool(repo.is_ancestor(intent.base, seen))


def fixes(repo: Repo, agent: str, ids: list[str], intent: Intent, state: LaneState) -> bool:
    """May this land on a closed lane: a revert of the culprit, or the culprit's own agent on the culprit's PRP."""
    closed = state.closed
    if closed is None:
        return False
    if closed.culprit_agent == agent and (closed.culprit_prp is None or closed.culprit_prp in ids):
        return True
    return bool(closed.culprit_sha) and any(
        f"This reverts commit {closed.culprit_sha}" in message for _, message in repo.messages(intent.base, intent.head)
    )


# --- asking the remote ----------------------------------------------------------------------------------------------


def observe(repo: Repo, config: Config, state: LaneState, intent: Intent | None = None) -> tuple[str, Look]:
    """Ask the remote for the lane's tip and compare. ("in" | "base" | "other", what was seen).

    "in": the intended head is the tip or under it. "base": the tip is still the base. "other": it left the base
    without the head. Raises CouldNotTell when the remote cannot be reached or its commits cannot be fetched.
    """
    from .lock import Look

    intent = intent or state.intent
    tip = repo.remote_tip(config.remote, state.name).sha
    if tip and not repo.has(tip):
        repo.fetch_tip(config.remote, state.name)
    made = merged.found(repo, config, state.pulls, tip) or None
    state, intent = merged.under(state, intent, made or ())
    if intent and tip == intent.head and state.seen == intent.base and not state.kept and not repo.shallow:
        return "in", Look(tip, intent.base, [tip], [], [], made)  # it is all that came
    kept = {k.head: k.base for k in state.kept}
    if intent:
        kept[intent.head] = intent.base
    inside = [h for h in kept if tip and repo.has(h) and repo.is_ancestor(h, tip)]
    saw = "in" if intent is None or intent.head in inside else "base" if (tip or ZERO) == intent.base else "other"
    if saw == "other" and any(intent and p.head == intent.head for p in state.pulls):
        saw = "base"  # a host merges onto whatever tip there is: it may still arrive
    if repo.shallow:  # what is not here may be in the branch all the same: only what is surely in is told
        if saw == "other":
            text = f"{state.name} was rewritten or went on, and history is cut off here (a shallow clone)."
            raise CouldNotTell(text, code="shallow", next_action="git fetch --unshallow")
        return saw, Look(tip, SHALLOW, inside, [], [], made)
    moved = [h for h, base in kept.items() if h not in inside and (tip or ZERO) != base]
    since = state.seen or (intent.base if intent and intent.base != ZERO else "")
    foreign: list[str] = []
    if tip and since and repo.is_ancestor(since, tip):
        own = {c for h in inside for c in _range(repo, kept[h], h)}
        foreign = [c for c in repo.commits(since, tip, "--first-parent") if c not in own][-FOREIGN_MOST:]
    return saw, Look(tip, state.seen or "", inside, foreign, moved, made)


def _range(repo: Repo, base: str, head: str) -> list[str]:
    if base != ZERO and not repo.has(base):
        return [head]
    return repo.commits(base, head, "--max-count=2000")


def reconcile(repo: Repo, config: Config, lock: MergeLock, who: Who) -> bool:
    """An earlier push's outcome is unknown: take the look, ask the remote, submit. False when it could not be told."""
    from .lock import Lost

    look = lock.look(who)
    if look is None:
        return False
    try:
        saw, seen = observe(repo, config, lock.state())
    except CouldNotTell:
        return False
    if isinstance(lock.submit(look, saw, seen, gate=config.gate), Lost):
        lock.attribute(seen)
    return True
