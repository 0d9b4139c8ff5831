"""Fill a store that was wiped from the lane, and prove that the two agree.

What the lane records comes back whole. What only the store had does not: claims, pending milestones, verdicts, the
queue. Branches still carry the lines of milestones that had not landed, so lost claims are listed from there, for
their owners to take again; none is invented. The store's id is written last, when store and ledger were read back and
agree: until then every other client refuses the store, so a rebuild that was cut off is just done again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from . import ledger, live, record, sync
from .errors import CouldNotTell
from .messages import rebuild as say
from .model import COMPLETE, IN_PROGRESS, STATUSES, ZERO

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from .config import Config
    from .gitrepo import Repo
    from .store.client import Store
    from .sync import SyncReport

WIPED, UNFILLED, DAMAGED, INTACT = "wiped", "unfilled", "damaged", "intact"
OPEN = (IN_PROGRESS, COMPLETE)  # what a line that was somebody's claim says


class Lost(NamedTuple):
    """A line whose claim the store no longer knows: somebody was at work."""

    id: str
    branch: str  # as `git checkout` takes it
    owner: str | None  # in the line
    status: str
    rev: str
    commit: str | None  # the branch's last commit; None: only in this working tree
    age_s: int | None  # of that commit
    command: str  # what its owner types on that branch
    landed: bool = False  # the lane has the line; whether it was still claimed, only the store knew


class Proof(NamedTuple):
    """Store and ledger, both read anew and compared."""

    tip: str
    ledger: int  # PRPs that the lane records
    store: int  # PRPs that the store has as recorded
    agree: int
    differ: list[tuple[str, str]]  # (id, what differs); "" for what is about all
    counts: dict[str, int]  # status -> PRPs, as recorded
    sealed: int  # PRPs whose highest rev number was compared
    waiting: list[str]  # complete lines without evidence that wait for a green verdict

    @property
    def holds(self) -> bool:
        return not self.differ


class Plan(NamedTuple):
    """What there is, and what a rebuild would do."""

    state: str  # wiped, unfilled, damaged or intact
    tip: str
    provisional: bool  # the lane is not at the remote yet: the local branch stands in for it
    move: SyncReport | None  # what the store would take from git; None: it already has it
    kept: list[tuple[str, str, str]]  # (id, seal, status): pending milestones that the store has and keeps
    claims: int  # that the store has and keeps
    lost: list[Lost]
    proof: Proof | None  # of a store that is not empty


def look(repo: Repo, store: Store, config: Config) -> Plan:
    """Fetch the lane and compare. Changes nothing in the store.

    Raises CouldNotTell when the remote cannot be asked or history is cut off here, StoreDown.
    """
    target = _fetched(repo, config)
    raw = live.fetch(store, config.ledger_lane)
    pending = {i: live.lines(text) for i, text in raw.pending.items()}
    kept = [(i, line.seal, line.status) for i, chain in sorted(pending.items()) for line in chain]
    lost = lost_claims(repo, config, target.tip, {i: int(n) for i, n in raw.maxrev.items()})
    proof = None
    state = WIPED if not store.store_id else UNFILLED
    if raw.cursor is None:
        lost = sorted([*lost, *_in_the_lane(repo, config, target.tip, {*raw.claims, *(one.id for one in lost)})])
    if store.store_id and raw.cursor is not None:
        proof = prove(repo, store, config)
        back = sync.gone_back(repo, config, raw.cursor, target)
        state = INTACT if proof.holds and not back else DAMAGED
    move = None if state == INTACT else sync.preview(repo, store, config, tip=_tip(target), anew=True).report
    return Plan(state, target.tip, target.provisional, move, kept, len(raw.claims), lost, proof)


def rebuild(repo: Repo, store: Store, config: Config, plan: Plan, agent: str) -> Proof:
    """Do it: take what the lane records, compare, and only then make this the project's store, under a new epoch.

    No lane is granted for one lease after it. A proof that does not hold changes nothing more: the store stays
    refused. Raises CouldNotTell, StoreDown; UserError when another project's id stands there meanwhile.
    """
    sync.sync(repo, store, config, tip=None if plan.provisional else plan.tip, anew=True)
    proof = prove(repo, store, config)
    if not proof.holds:
        return proof
    keys = store.keys
    done = say.done(plan.state, proof.ledger, proof.tip)
    answer = store.run(
        "store_rebuilt", [keys.meta, keys.quiet, keys.events], [config.store_id, config.times.lease_ms, agent, done]
    )
    if not answer["ok"]:
        raise say.another_store(store.url, answer["before"])
    store.store_id = config.store_id
    return proof


def _tip(target: sync.Target) -> str | None:
    return None if target.provisional else target.tip


def _fetched(repo: Repo, config: Config) -> sync.Target:
    """The lane's tip as the remote has it this moment, with its commits here."""
    if record.is_shallow(repo):
        raise CouldNotTell(say.SHALLOW, code="shallow", next_action="git fetch --unshallow")
    remote, lane = config.remote, config.ledger_lane
    if repo.remote_url(remote) is None:
        return sync.lane_tip(repo, config)
    tip = repo.remote_tip(remote, lane).sha
    if tip is None:
        if repo.known_tip(remote, lane):
            raise CouldNotTell(say.lane_gone(remote, lane), code="lane-gone", next_action=f"git ls-remote {remote}")
        return sync.lane_tip(repo, config)
    repo.fetch_tip(remote, lane)
    return sync.Target(tip)


# --- what was lost ---------------------------------------------------------------------------------------------------


def lost_claims(repo: Repo, config: Config, tip: str, maxrev: Mapping[str, int]) -> list[Lost]:
    """Lines of open milestones on branches (local, remote-tracking, and this working tree) that the lane has not.

    `maxrev` are the highest numbers that the store knows of: a line up to there is known, or was followed by another.
    Several branches with one line: the first, local ones before others.
    """
    if tip == ZERO:
        return []
    landed = {seen.seal for seen in record.seals(repo, config, None, tip)}
    recorded = record.at(repo, config, tip).entries
    found: dict[tuple[str, str], Lost] = {}

    def take(lines: ledger.Ledger, branch: str, commit: str | None, age_s: int | None) -> None:
        for prp in lines.prps.values():
            at_tip = recorded.get(prp.id)
            if prp.rev is None or prp.status not in OPEN or record.identity(prp) != prp.rev:
                continue
            if prp.rev in landed or prp.number <= max(maxrev.get(prp.id, 0), at_tip.number if at_tip else 0):
                continue
            command = say.take_again(prp.id, recorded=at_tip is not None)
            one = Lost(prp.id, branch, prp.owner, prp.status, prp.rev, commit, age_s, command)
            found.setdefault((prp.id, prp.rev), one)

    now = time.time()
    for branch, commit, at in _branches(repo, tip):
        if record.seals(repo, config, tip, commit):
            take(ledger.load(repo, config, commit), branch, commit, max(0, int(now - at)))
    if not repo.bare:
        take(ledger.load(repo, config, None), repo.branch or "HEAD", None, None)
    return [found[key] for key in sorted(found)]


def _in_the_lane(repo: Repo, config: Config, tip: str, but: Collection[str]) -> list[Lost]:
    """PRPs that the lane records as somebody's work in progress: an empty store has no claim of theirs."""
    if tip == ZERO:
        return []
    found = []
    for entry in record.at(repo, config, tip).entries.values():
        owner = entry.fields.get("owner")
        if entry.status == IN_PROGRESS and entry.number and owner and entry.id not in but:
            command = say.take_again(entry.id, recorded=True)
            lane = config.ledger_lane
            found.append(Lost(entry.id, lane, str(owner), IN_PROGRESS, entry.seal, tip, None, command, landed=True))
    return found


def _branches(repo: Repo, tip: str) -> Iterable[tuple[str, str, int]]:
    """(name, commit, commit time) of every branch that has more than the lane, local ones first."""
    for space in ("refs/heads/", "refs/remotes/"):
        out = repo.text(
            "for-each-ref",
            f"--no-merged={tip}",
            "--format=%(refname) %(objectname) %(committerdate:unix) %(symref)",
            space,
        )
        for line in out.splitlines():
            name, commit, at, symref = line.split(" ", 3)
            if not symref:
                yield name.removeprefix(space), commit, int(at)


# --- the proof -------------------------------------------------------------------------------------------------------


def prove(repo: Repo, store: Store, config: Config) -> Proof:
    """Read what the store has as recorded, and what git has at the store's cursor, and compare entry by entry.

    Raises CouldNotTell when the cursor's commit is not here (somebody with a newer clone synced meanwhile).
    """
    client: Any = store.redis
    keys = store.keys
    with store.faults():
        pipe = client.pipeline(transaction=True)
        pipe.get(keys.cursor)
        for name in (keys.recorded, keys.maxrev, keys.unproven):
            pipe.hgetall(name)
        cursor, recorded, maxrev, unproven = pipe.execute()
    if cursor is None:
        return Proof("", 0, len(recorded), 0, [("", say.NO_CURSOR)], {}, 0, [])
    if cursor != ZERO and not repo.has(cursor):
        raise CouldNotTell(say.cursor_not_here(cursor), code="cursor-unknown", next_action="git fetch")
    found = record.at(repo, config, cursor).entries if cursor != ZERO else {}
    differ: list[tuple[str, str]] = []
    for prp_id in sorted({*found, *recorded}):
        entry, text = found.get(prp_id), recorded.get(prp_id)
        if entry is None or text is None:
            differ.append((prp_id, say.only_in("the store" if entry is None else "the ledger")))
        elif record.dump(entry) != text:
            differ.append((prp_id, say.other_line(entry.seal, record.parse(prp_id, text).seal)))
    agree = len({*found, *recorded}) - len(differ)
    highest = _highest(repo, config, cursor, found) if cursor != ZERO else {}
    for prp_id, number in sorted(highest.items()):
        if int(maxrev.get(prp_id, "0")) < number:
            differ.append((prp_id, say.low_number(number, int(maxrev.get(prp_id, "0")))))
    for prp_id in sorted(unproven):
        if prp_id not in found or not found[prp_id].waits:
            differ.append((prp_id, say.NOT_WAITING))
    counts = {s: n for s in STATUSES if (n := sum(e.status == s for e in found.values()))}
    return Proof(cursor, len(found), len(recorded), agree, differ, counts, len(highest), sorted(unproven))


def _highest(repo: Repo, config: Config, tip: str, entries: dict[str, record.Entry]) -> dict[str, int]:
    """The highest number of a valid seal that any commit under the tip has, of each PRP that has one."""
    highest = {e.id: e.number for e in entries.values() if e.number}
    for seen in record.seals(repo, config, None, tip):
        number = record.number(seen.seal)
        if (
            seen.id
            and number > highest.get(seen.id, 0)
            and record.brings(repo, config, seen.commit, seen.id, seen.seal)
        ):
            highest[seen.id] = number
    return highest
