"""What a server's own hooks decide: whether a push may land on a lane, and what came of it.

Every ref line is judged, and what cannot be told is refused. The branch itself stands beside us, so its tip is never a
guess. What a holder announced is let in; what nobody announced takes a free lane or is refused.
"""

from __future__ import annotations

import importlib
import os
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from . import allowance, break_glass, hook_filter, lane, policy
from .errors import CouldNotTell, StoreDown, UsageError, UserError
from .gitrepo import lane_of
from .messages import lane as lane_say
from .messages import server as say
from .model import ZERO, Agent, Intent, RefUpdate
from .refusal import findings_text

if TYPE_CHECKING:
    from .config import Config
    from .identity import Process
    from .lock import MergeLock
    from .served import Served
    from .store.client import Store

OID_LENGTHS = (40, 64)  # SHA-1 and SHA-256 repositories


class Accepted(NamedTuple):
    """A push that may land. `taken`: nobody had announced it, so the server holds the lane in the pusher's name."""

    landing: lane.Landing
    config: Config
    taken: bool


def ref_updates(text: str) -> list[RefUpdate]:
    """Parse git's lines, `<old> <new> <ref>`. Raises CouldNotTell: a guess could let a lane update through."""
    found = []
    for line in text.split("\n"):  # not splitlines(): names may hold what Unicode calls a line break
        if not line:
            continue
        words = line.split(" ")
        if len(words) != 3 or any(len(w) not in OID_LENGTHS for w in words[:2]) or not words[2].startswith("refs/"):
            raise CouldNotTell(f"git said something unexpected about the push: {line!r}", code="stdin")
        old, new = (w if w.strip("0") else ZERO for w in words[:2])
        found.append(RefUpdate(words[2], new, words[2], old))
    return found


def resolved(repo: Served, updates: list[RefUpdate]) -> list[RefUpdate]:
    """The same updates, each of the ref that it moves: a push to a symbolic ref (an old branch name kept as an alias)
    moves what it names."""
    listed = repo.text("for-each-ref", "--format=%(refname) %(symref)", "refs/heads/")
    names = dict(line.split(" ") for line in listed.split("\n") if not line.endswith(" ") and line)
    return [u._replace(remote_ref=names.get(u.remote_ref, u.remote_ref)) for u in updates]


# --- which policy counts ---------------------------------------------------------------------------------------------


def policy_of(repo: Served, updates: list[RefUpdate], *, landed: bool = False) -> Config | None:
    """prp.toml as of the lane's tip before this push; the pushed one where the lane has none yet. `landed`: the refs
    have moved already. None: this project does not use prpgate (yet). Raises UsageError when it cannot be read."""
    record = (hook_filter.read(repo) or {}).get("PRP_RECORD") or repo.maybe("symbolic-ref", "--quiet", "HEAD") or ""
    config = _at(repo, record, updates, landed=landed)
    if config is None or f"refs/heads/{config.ledger_lane}" == record:
        return config
    return _at(repo, f"refs/heads/{config.ledger_lane}", updates, landed=landed) or config


def _at(repo: Served, ref: str, updates: list[RefUpdate], *, landed: bool) -> Config | None:
    pushed = next((u for u in updates if u.remote_ref == ref), None)
    # Before the push git has not compared yet: the old value is what the client says, and the ref is what counts.
    tip = pushed.remote_sha if landed and pushed else repo.sha(ref) or ZERO
    config = policy.at(repo, tip) if tip != ZERO else None
    if config is None and pushed and pushed.local_sha != ZERO:
        return policy.at(repo, pushed.local_sha)
    return config


# --- before the refs move --------------------------------------------------------------------------------------------


def before(repo: Served, updates: list[RefUpdate], process: Process) -> Accepted | lane.Emergency | None:
    """Decide a push. None: no lane is touched. Accepted: the lane is held for it. Emergency: the server's owner allowed
    this commit, and that is recorded. Refused: raises a UserError that says it all."""
    updates = resolved(repo, updates)
    try:
        config = policy_of(repo, updates)
    except UsageError as e:
        if len(updates) == 1 and (given := allowance.use(repo, updates[0].local_sha)):
            return _emergency(repo, updates[0].remote_ref.removeprefix("refs/heads/"), updates[0], given)
        raise say.no_policy(e, updates[0].local_sha) from None
    if config is None:
        return None
    found = lane.lane_update(repo, config, config.remote, updates)
    if found is None:
        return None
    name, update = found
    tip = repo.sha(f"refs/heads/{name}") or ZERO
    if tip != update.remote_sha:  # git would refuse it too, but only after it has had the lane
        raise lane_say.fetch_first(config.remote, name, tip, None)
    try:
        return _judge(repo, config, name, Intent(update.local_sha, tip), process)
    except UserError:
        given = allowance.use(repo, update.local_sha)
        if given is None:
            raise
        return _emergency(repo, name, update, given)


def _load_client() -> None:
    """Importing redis-py takes as long as what git is asked meanwhile; done side by side they cost one of them."""
    threading.Thread(target=importlib.import_module, args=("prpgate.store.client",), daemon=True).start()


def _emergency(repo: Served, name: str, update: RefUpdate, given: allowance.Permission) -> lane.Emergency:
    break_glass.record(repo, name, Intent(update.local_sha, update.remote_sha), given.reason, given.by)
    return lane.Emergency(name, given.reason)


def _judge(repo: Served, config: Config, name: str, intent: Intent, process: Process) -> Accepted:
    _load_client()
    bad = [f for f in lane.judge_range(repo, config, intent.base, intent.head) if f.severity == "error"]
    if bad:
        raise lane_say.findings(name, len(bad), findings_text(bad, lane_say.NOT_PUSHED))
    if name == config.ledger_lane:
        policy.at(repo, intent.head)  # one that cannot be read would bind everybody, and nobody could land the cure
    from .store.client import connect

    try:
        with connect(config, repo.top, timeout_s=lane.CONNECT_S) as store:
            break_glass.deliver(repo, store)
            if (quiet_s := store.quiet_s()) > 0:
                raise lane_say.just_adopted(name, quiet_s)
            if bad := _foreign(repo, store, config, intent):
                raise lane_say.findings(name, len(bad), findings_text(bad, lane_say.NOT_PUSHED))
            return _take(repo, config, store, name, intent, process)
    except StoreDown as e:
        raise say.store_down(name, intent.head, e) from None


def _foreign(repo: Served, store: Store, config: Config, intent: Intent) -> list[Any]:
    """Lines that no command made. The store may not have heard of the tip yet (its server hook failed, say)."""
    from . import prps

    for synced in (False, True):
        bad = [f for f in prps.foreign_lines(repo, store, config, intent.base, intent.head) if f.severity == "error"]
        if not bad or synced:
            return bad
        prps.sync(repo, store, config)
    return []


def pusher(repo: Served, head: str) -> str:
    """Who pushes, as far as a server can know: the user of an HTTP server, else the committer. A claim, no proof."""
    return (
        os.environ.get("REMOTE_USER", "").strip() or repo.text("show", "--no-patch", "--format=%ce", head) or "server"
    )


def _take(repo: Served, config: Config, store: Store, name: str, intent: Intent, process: Process) -> Accepted:
    from . import gate, prps
    from .lock import Granted, MergeLock

    ids, code = prps.prps_of_range(repo, config, intent.base, intent.head)
    me = Agent(pusher(repo, intent.head), "the push")
    who = lane.contender(repo, me, name, process, "server", ids[0] if ids else None, intent.head)
    steps = gate.verdict_steps(repo, config, intent.head)
    info = {"agent": me.name, "tree": repo.tree(intent.head), "prps": ids, "code": code, "steps": steps}
    lock = MergeLock(store, name, config.times)
    if config.gate == "ci-first":
        lane.refuse_unproven(repo, config, lock, intent)
    take = config.server_unclaimed == "take"
    fixer, looked = False, False
    while True:
        answer = lock.pre_receive(intent, who, fixer, info, take=take)
        state = answer.state
        if isinstance(answer, Granted):
            taken = state.holder is not None and state.holder.id == who.hold
            return Accepted(lane.Landing(name, answer.lease, intent, []), config, taken)
        if state.needs_look and not looked:
            looked = True
            if lane.reconcile(repo, config, lock, who):
                continue
        if state.closed and not fixer and lane.fixes(repo, me.name, ids, intent, state):
            fixer = True
            continue
        raise say.refused(state, take=take, fixer=fixer)


# --- after the refs moved --------------------------------------------------------------------------------------------


def after(repo: Served, updates: list[RefUpdate]) -> None:
    """Report what landed, and bring the live state up to it. Raises UserError where that cannot be done now; nothing is
    lost then, as the next look finds the same."""
    updates = resolved(repo, updates)
    config = policy_of(repo, updates, landed=True)
    lanes = [(name, u) for u in updates if config and (name := lane_of(config, config.remote, u.remote_ref))]
    if config is None or not lanes:
        return
    _load_client()
    from . import prps
    from .lock import MergeLock
    from .store.client import connect

    with connect(config, repo.top, timeout_s=lane.CONNECT_S) as store:
        break_glass.deliver(repo, store)
        for name, update in lanes:
            _report(repo, config, MergeLock(store, name, config.times), Intent(update.local_sha, update.remote_sha))
            if name == config.ledger_lane:
                prps.sync(repo, store, policy_of(repo, updates) or config)


def _report(repo: Served, config: Config, lock: MergeLock, intent: Intent) -> None:
    from .lock import Lost

    _, look = lane.observe(repo, config, lock.state(), intent)
    answer = lock.post_receive(intent.head, look, gate=config.gate)
    if isinstance(answer, Lost):  # it went without the lock: whose it is, any look can say
        lock.attribute(lane.observe(repo, config, answer.state)[1])
