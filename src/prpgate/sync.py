"""Bring the live state up to what the lane records: PRPS's lane events, seen by any clone, in any order.

The store's cursor is the last lane tip that was seen. It moves forward along ancestry only; a clone that is behind, a
side branch or an old checkout changes nothing. A tip that neither has the cursor under it nor lies under it (an
allowed rewrite) counts only when the remote itself says that it is the tip.
"""

from __future__ import annotations

import contextlib
import gc
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from . import live, record, reverts, smoke
from .errors import CouldNotTell
from .messages import prps as say
from .messages.lane import counted
from .model import COMPLETE, ZERO

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from .config import Config
    from .gitrepo import Repo
    from .live import Raw
    from .record import Entry, Landing, Record, Seen
    from .store.client import Store

TRIES = 8  # other syncs that may be first before this one gives up


class SyncReport(NamedTuple):
    """What a sync found and did."""

    synced: int  # PRPs that are recorded now
    changed: list[str]  # ids whose recorded entry changed
    unchanged: int
    landed: list[tuple[str, str, str]]  # (id, seal, status): pending milestones that the lane has now
    conflicts: list[tuple[str, str]]  # (id, what is wrong at the tip, and what stands instead)
    cursor_before: str | None
    cursor_after: str | None
    note: str | None


class Target(NamedTuple):
    """The tip to go to. `provisional`: it is a local branch's, because the lane does not exist at the remote yet."""

    tip: str
    provisional: bool = False
    note: str | None = None


class Range(NamedTuple):
    """What has to be looked at: base..tip, all of tip's history without a base."""

    base: str | None
    fresh: bool = False  # the store had nothing, or nothing that counts
    rewrite: bool = False


class Move(NamedTuple):
    """What a move of the cursor would do, and how to tell the store so."""

    report: SyncReport
    args: list[str]  # of the script; none when there is nothing to do
    changes: list[tuple[str, str, str]]  # (id, recorded before, recorded then) in words


def sync(repo: Repo, store: Store, config: Config, *, tip: str | None = None, anew: bool = False) -> SyncReport:
    """Bring the store up to the lane's tip: the newest that this clone knows, or `tip` when the caller looked.

    With `anew` everything is read from git again, as for an empty store, wherever the cursor is; pending milestones,
    claims and verdicts that the store has stay. Raises CouldNotTell (and changes nothing) when commits that it needs
    are not here, StoreDown when there is no store.
    """
    target = Target(tip) if tip else lane_tip(repo, config)
    for _ in range(TRIES):
        move = _look(repo, store, config, target, anew)
        if not move.args or store.run("prp_sync", live.script_keys(store.keys), move.args)["ok"]:
            return move.report
    raise CouldNotTell(say.SYNC_BUSY, code="busy", next_action="prp redis-sync")


def preview(repo: Repo, store: Store, config: Config, *, tip: str | None = None, anew: bool = False) -> Move:
    """What `sync` would do right now. Changes nothing. Raises as `sync` does."""
    return _look(repo, store, config, Target(tip) if tip else lane_tip(repo, config), anew)


@contextlib.contextmanager
def _kept() -> Iterator[None]:
    """Everything that is read here is kept: looking for garbage in it would take as long as half the reading."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _look(repo: Repo, store: Store, config: Config, target: Target, anew: bool) -> Move:
    with _kept():
        return _looked(repo, store, config, target, anew)


def _looked(repo: Repo, store: Store, config: Config, target: Target, anew: bool) -> Move:
    raw = live.fetch(store, config.ledger_lane)  # after the tip: what that tip has was pending before it landed
    span = _range(repo, config, raw, target)
    # Never back to a tip that the store has gone past, unless the remote itself has gone back to it.
    if anew and (span is not None or raw.cursor == target.tip or gone_back(repo, config, raw.cursor, target)):
        span = Range(None, fresh=True)
    return Move(_nothing(raw, target), [], []) if span is None else _move(repo, config, raw, target, span)


def lane_tip(repo: Repo, config: Config) -> Target:
    """The lane's tip as this clone knows it.

    While the lane does not exist at the remote (nothing pushed yet), or there is no remote, the local branch of its
    name stands in for it. The cursor is marked provisional then: those commits may still be amended, so the first real
    tip replaces whatever was filled from them.
    """
    known = repo.known_tip(config.remote, config.ledger_lane)
    if known:
        return Target(known)
    here = repo.sha(f"refs/heads/{config.ledger_lane}^{{commit}}") or ZERO
    if repo.remote_url(config.remote) is None:
        lane = config.ledger_lane
        return Target(here) if repo.bare else Target(here, True, say.no_remote(config.remote, lane, here == ZERO))
    if repo.remote_tip(config.remote, config.ledger_lane).sha is not None:
        raise CouldNotTell(
            say.lane_not_fetched(config.remote, config.ledger_lane),
            code="not-fetched",
            next_action=f"git fetch {config.remote}",
        )
    return Target(here, True, say.lane_not_pushed(config.remote, config.ledger_lane, here == ZERO))


def _range(repo: Repo, config: Config, raw: Raw, target: Target) -> Range | None:
    """What lies between the cursor and the tip; None: nothing to do. Raises CouldNotTell."""
    cursor, tip = raw.cursor, target.tip
    was_provisional = raw.meta.get("provisional") == "1"
    if cursor == tip:
        return Range(tip) if was_provisional and not target.provisional else None
    if tip != ZERO and not repo.has(tip):
        raise CouldNotTell(say.tip_not_here(tip), code="not-fetched", next_action="git fetch")
    if cursor is None or cursor == ZERO:
        return Range(None, fresh=cursor is None) if tip != ZERO or cursor is None else None
    if tip == ZERO:
        return None
    if not repo.has(cursor):
        if was_provisional:
            return Range(None, fresh=True)
        fetch = "git fetch --unshallow" if record.is_shallow(repo) else "git fetch"
        raise CouldNotTell(say.cursor_not_here(cursor), code="cursor-unknown", next_action=fetch)
    if repo.is_ancestor(cursor, tip):
        return Range(cursor)
    if target.provisional and not was_provisional:
        return None  # a local branch never speaks for a lane that the store has seen
    if repo.is_ancestor(tip, cursor) and not was_provisional:
        return None
    if record.is_shallow(repo):
        raise CouldNotTell(say.SHALLOW, code="shallow", next_action="git fetch --unshallow")
    if not was_provisional:
        _must_be_the_tip(repo, config, tip)
    return Range(repo.maybe("merge-base", cursor, tip), rewrite=True)


def gone_back(repo: Repo, config: Config, cursor: str | None, target: Target) -> bool:
    """Whether the lane was taken back behind the cursor. Asks the remote when it looks so: most often a clone is only
    behind, and no verb asks for that."""
    tip = target.tip
    if target.provisional or cursor in (None, ZERO, tip) or tip == ZERO or not repo.has(str(cursor)):
        return False
    return repo.is_ancestor(tip, str(cursor)) is True and _is_the_tip(repo, config, tip)


def _is_the_tip(repo: Repo, config: Config, tip: str) -> bool:
    if repo.remote_url(config.remote) is None:
        return repo.sha(f"refs/heads/{config.ledger_lane}") == tip
    return repo.remote_tip(config.remote, config.ledger_lane).sha == tip


def _must_be_the_tip(repo: Repo, config: Config, tip: str) -> None:
    """Before going round the cursor: a clone that missed an allowed rewrite must not take it back."""
    if not _is_the_tip(repo, config, tip):
        raise CouldNotTell(
            say.not_the_tip(tip, config.remote, config.ledger_lane), code="behind-rewrite", next_action="git fetch"
        )


def _nothing(raw: Raw, target: Target) -> SyncReport:
    known = [(i, text) for i, text in json.loads(raw.meta.get("conflicts") or "[]")]
    count = len(raw.recorded)
    note = target.note
    if raw.cursor != target.tip and not target.provisional:
        note = say.behind(target.tip, raw.cursor or "")
    return SyncReport(count, [], count, [], known, raw.cursor, raw.cursor, note)


def _move(repo: Repo, config: Config, raw: Raw, target: Target, span: Range) -> Move:
    """Take the cursor to the tip, in one script call that does nothing when another sync was first."""
    tip = target.tip
    if tip == ZERO:
        now, brought, landings = record.Record({}, [], missing=True), [], []
    else:
        sealed = set() if span.fresh else {i for i, n in raw.maxrev.items() if int(n) > 0}
        never_sealed = None if span.fresh or span.rewrite else lambda i: i not in sealed
        now = record.at(repo, config, tip, never_sealed)
        brought = record.seals(repo, config, span.base, tip) if span.base != tip else []
        heads = _known_heads(raw)
        landings = record.landings(repo, config, span.base, tip, heads, brought)
    texts = {i: record.dump(e) for i, e in now.entries.items()}
    changed = sorted(i for i in {*texts, *raw.recorded} if texts.get(i) != raw.recorded.get(i))
    landed = _landed(repo, config, raw, now, brought)
    before = {i: record.parse(i, t) for i, t in raw.recorded.items() if i in set(changed)}
    reset, waits = _waits(repo, config, raw, now, before, landings, brought)
    conflicts = [*now.conflicts, *_by_hand(before, now)]
    plan: dict[str, Any] = {
        "gate": config.gate,
        "steps": smoke.hash_of(config),
        "provisional": "1" if target.provisional else "0",
        "conflicts": json.dumps(conflicts),
        "landings": [{"head": x.head, "tree": x.tree} for x in landings],
        "flags": _flags(landings, span, brought),
        "maxrev": _maxrev(repo, config, raw, now, brought),
        "landed": landed,
        "reset": reset,
        "waits": waits,
        "events": _events(repo, config, raw, span, now, before, changed, landings),
    }
    briefs = {i: record.about(now.entries[i]) for i in changed if i in now.entries}
    pairs = [x for i in changed for x in (i, texts.get(i, ""), briefs.get(i, ""))]
    args = [raw.cursor or "", tip, json.dumps(plan, separators=(",", ":")), *pairs]
    notes = [n for n in (target.note, say.no_ledger(config.ledger_path, tip) if now.missing else None) if n]
    if span.rewrite:
        notes.append(say.rewritten(raw.cursor or "", tip, len(changed)))
    count = len(texts)
    report = SyncReport(
        *(count, changed, count - len([i for i in changed if i in texts]), landed, conflicts),
        *(raw.cursor, tip, " ".join(notes) or None),
    )
    return Move(report, args, [(i, _words(before.get(i)), _words(now.entries.get(i))) for i in changed])


def _known_heads(raw: Raw) -> dict[str, str]:
    """Landings that the lane recorded: head -> base. Foreign commits are listed there one by one, pushed or not."""
    heads = {}
    for head, text in raw.landings.items():
        one = json.loads(text)
        if one.get("record") in ("landed", "late"):
            heads[head] = str(one.get("base") or "")
    return heads


def _landed(repo: Repo, config: Config, raw: Raw, now: Record, brought: list[Seen]) -> list[tuple[str, str, str]]:
    """Pending milestones that some commit of the range brought, in whatever parent's line, reverted since or not."""
    by_seal: dict[str, list[str]] = {}
    for seen in brought:
        by_seal.setdefault(seen.seal, []).append(seen.commit)
    found = []
    for prp_id in sorted(raw.pending):
        for line in live.lines(raw.pending[prp_id]):
            at_tip = now.entries.get(prp_id)
            if (at_tip is not None and at_tip.seal == line.seal) or any(
                record.brings(repo, config, commit, prp_id, line.seal) for commit in by_seal.get(line.seal, ())
            ):
                found.append((prp_id, line.seal, line.status))
    return found


def _flags(landings: list[Landing], span: Range, brought: list[Seen]) -> dict[str, str]:
    """Whether the landing that first brought a seal changed more than the ledger. An empty store believes it did."""
    if span.fresh:
        return {s.seal: "1" for s in brought if s.status in (COMPLETE, None)}
    flags: dict[str, str] = {}
    for one in landings:
        for seal in one.seals:
            flags.setdefault(seal, "1" if one.code else "0")
    return flags


def _maxrev(repo: Repo, config: Config, raw: Raw, now: Record, brought: list[Seen]) -> dict[str, int]:
    """Numbers that are higher than the highest seen, each of an entry whose seal is valid."""
    highest = {i: int(n) for i, n in raw.maxrev.items()}
    higher: dict[str, int] = {}
    for entry in now.entries.values():
        if entry.number > highest.get(entry.id, 0):
            higher[entry.id] = highest[entry.id] = entry.number
    for seen in brought:
        number = int(seen.seal.partition("-")[0])
        if seen.id is None or number <= highest.get(seen.id, 0):
            continue
        if record.brings(repo, config, seen.commit, seen.id, seen.seal):
            higher[seen.id] = highest[seen.id] = number
    return higher


def _waits(
    repo: Repo,
    config: Config,
    raw: Raw,
    now: Record,
    before: Mapping[str, Entry],
    landings: list[Landing],
    brought: Collection[Seen],
) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """Complete lines without evidence that are new to the lane or came back, and the landing they stand since.

    A line that went away and came back between two syncs has to be proven again, as it had to if each landing had
    been seen: only its seal's coming in the range gives it away.
    """
    again = {s.seal for s in brought}
    heads = (
        [record.at(repo, config, x.head) for x in landings[:-1]] if any(e.waits for e in now.entries.values()) else []
    )
    reset, waits = [], {}
    for entry in now.entries.values():
        old = raw.recorded.get(entry.id) if entry.id not in before else None
        same = old is not None or (entry.id in before and before[entry.id].seal == entry.seal)
        if not entry.waits:
            if not same and entry.id in raw.unproven:
                reset.append(entry.id)
            continue
        since = len(landings)
        for n in range(len(heads), 0, -1):
            there = heads[n - 1].entries.get(entry.id)
            if there is None or there.seal != entry.seal:
                break
            since = n
        if same and (entry.seal not in again or since == 1):
            continue
        reset.append(entry.id)
        waits[entry.id] = {"seal": entry.seal, "from": since}
    reset += [i for i in raw.unproven if i not in now.entries]
    return reset, waits


def _by_hand(before: Mapping[str, Entry], now: Record) -> list[tuple[str, str]]:
    """Old entries without a seal whose milestone fields changed in the lane: nothing can tell a slip from a wish."""
    found = []
    for prp_id, old in before.items():
        new = now.entries.get(prp_id)
        if new is not None and old.number == new.number == 0 and old.seal != new.seal:
            found.append((prp_id, say.unsealed_changed(old.status, new.status)))
    return found


def _words(entry: Entry | None) -> str:
    return "nothing" if entry is None else entry.status + (f" {entry.seal}" if entry.number else "")


def _events(
    repo: Repo,
    config: Config,
    raw: Raw,
    span: Range,
    now: Record,
    before: Mapping[str, Entry],
    changed: list[str],
    landings: list[Landing],
) -> list[tuple[str, str, str, str]]:
    """(event, id, agent, detail) of what others should hear. An empty store that is filled makes one event."""
    if span.fresh:
        return [("filled", "", "", counted(len(now.entries), "PRP"))]
    found = []
    brought = {seal for one in landings for seal in one.seals}
    for prp_id in changed:
        old, new = before.get(prp_id), now.entries.get(prp_id)
        if old is not None and new is not None and old.seal == new.seal:
            continue
        back = old is not None and (new is None or new.number < old.number)
        kind = "rewritten" if span.rewrite else "reverted" if back else "recorded"
        found.append((kind, prp_id, "", f"{_words(old)} -> {_words(new)}"))
    for prp_id, text in now.conflicts:
        found.append(("conflict", prp_id, "", text))
    if span.base is not None and not now.missing:
        tip = landings[-1].head if landings else span.base
        for prp_id, owner, text in reverts.evidence_reverted(repo, config, span.base, tip, raw.recorded, now.entries):
            found.append(("evidence-reverted", prp_id, owner, text))
    for one in landings:
        about = json.loads(raw.landings.get(one.head, "{}"))
        for prp_id in about.get("prps") or []:
            chain = live.lines(raw.pending.get(prp_id))
            if chain and chain[-1].status == COMPLETE and not chain[-1].evidence and chain[-1].seal not in brought:
                found.append(("landed-without-line", prp_id, chain[-1].agent, f"{one.head} {chain[-1].seal}"))
    return found
