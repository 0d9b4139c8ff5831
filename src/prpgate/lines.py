"""What a push or a commit does to milestone lines, compared with the store: findings before it is too late.

PRP160  a line that is nobody's pending milestone and was never in the lane
PRP161  a completion waits for its line to land, and this push names the PRP but does not bring it
PRP162  the line is not the current one, and somebody else has the PRP
PRP163  the store does not know the line
(PRP128, a complete line without evidence in a push of nothing but the ledger, is in `rules`.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import ledger, live, record, rules
from .messages import prps as say
from .model import ERROR, WARNING, ZERO, Finding, Prp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .config import Config
    from .gitrepo import Repo
    from .ledger import Ledger
    from .live import PrpState, State
    from .store.client import Store

BACK = "PRP123", WARNING  # offline: an older line, or another of the same number


def prps_of_range(repo: Repo, config: Config, base: str, head: str) -> tuple[list[str], bool]:
    """(PRPs that commits of base..head claim to work on, newest commit first; whether more than the ledger changes).

    Claims are ids in subjects (`feat(P2-040): …`) and `Prp:` trailers; each is given as the ledger's own id. An id
    that the ledger at `head` does not have is left out.
    """
    named: dict[str, None] = {}
    for _, message in repo.messages(base, head):
        named.update(dict.fromkeys(rules.message_ids(message, config.id_pattern)[0]))
    known = ledger.load(repo, config, head) if named else ledger.empty()
    found = [p.id for name in named if (p := known.resolve(name)) is not None]
    code = any(not record.in_ledger(config, path) for path in repo.changed_paths(base, head))
    return list(dict.fromkeys(found)), code


def foreign_lines(repo: Repo, store: Store, config: Config, base: str, head: str) -> list[Finding]:
    """What a push of base..head to the lane that is the record would do that the store knows better.

    Where nothing is recorded yet (an empty store, the lane's first push) there is nothing to compare with. Raises
    StoreDown, CouldNotTell.
    """
    state = live.read(store, config)
    if state.cursor is None or base == ZERO:
        return []
    ids, code = prps_of_range(repo, config, base, head)
    after = ledger.load(repo, config, head) if ids else ledger.empty()
    before = after
    if any(record.in_ledger(config, path) for path in repo.changed_paths(base, head)):
        before, after = ledger.load(repo, config, base), ledger.load(repo, config, head)
    found: list[Finding] = []
    unknown: list[Prp] = []
    for prp in _changed(before, after):
        p = state.prps.get(prp.id)
        if p is None or record.identity(prp) not in _known(p):
            unknown.append(prp)
    were = {(s.id, s.seal) for s in record.seals(repo, config, None, base)} if unknown else set()
    for prp in unknown:
        if (prp.id, prp.rev) not in were:
            found.append(_finding("PRP160", ERROR, prp, after, *say.nobodys(prp, state.prps.get(prp.id))))
    if not code:
        new = {p.id for p in _changed(before, after)} - {p.id for p in unknown}
        found += [f for f in rules.bare_complete(before, after) if f.id in new]
    for prp_id in ids:
        p, there = state.prps.get(prp_id), after.prps.get(prp_id)
        if p is not None and there is not None and p.phase == live.COMPLETING and there.rev != p.seal:
            found.append(_finding("PRP161", WARNING, there, after, *say.line_left_behind(p)))
    return found


def agreement(
    store: Store, config: Config, before: Ledger, after: Ledger, found: Sequence[Finding] = ()
) -> list[Finding]:
    """Whether the milestone lines that a commit would change are the store's. Raises StoreDown.

    `found` is what is known of the commit offline, and comes first. A line that is the store's current one did not go
    back by a slip (PRP123): a completion that was taken back ends at the line before.
    """
    changed = _changed(before, after)
    if not changed:
        return [*found]
    state = live.read(store, config)
    found = [f for f in found if (f.code, f.severity) != BACK or not _current(state, after.prps.get(f.id or ""))]
    for prp in changed:
        p = state.prps.get(prp.id)
        if p is not None and record.identity(prp) == p.seal:
            continue
        known = p is not None and record.identity(prp) in _known(p)
        if p is not None and p.claim and p.claim.live and p.claim.agent != prp.owner:
            severity = WARNING if known else ERROR
            found.append(_finding("PRP162", severity, prp, after, *say.not_yours(prp, p)))
        elif not known:
            found.append(_finding("PRP163", WARNING, prp, after, *say.not_in_store(prp)))
    return found


def _current(state: State, prp: Prp | None) -> bool:
    p = state.prps.get(prp.id) if prp is not None else None
    return prp is not None and p is not None and record.identity(prp) == p.seal


def _changed(before: Ledger, after: Ledger) -> list[Prp]:
    """Entries whose sealed line is another than before. One whose seal does not fit is for `rules` to say."""
    found = []
    for prp in after.prps.values():
        was = before.prps.get(prp.id)
        if prp.rev is not None and (was is None or was.rev != prp.rev) and record.identity(prp) is not None:
            found.append(prp)
    return found


def _known(p: PrpState) -> set[str]:
    """Seals that the store has for a PRP: what is recorded, and the pending milestones that stand on it."""
    return {p.seal, *(line.seal for line in p.chain), *(line.on for line in p.chain)}


def _finding(code: str, severity: str, prp: Prp, after: Ledger, message: str, fix: str) -> Finding:
    line, column = after.at(prp.id, "rev")
    return Finding(code, severity, prp.file, line, column, prp.id, message, fix)
