"""The verbs that every front shares: what the command line, hooks and programs ask for, as plain values.

The shapes that the `*_json` functions give are promised in docs/design.md, "What programs may rely on".
"""

from __future__ import annotations

import os
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

from . import glance, identity, policy
from .errors import StoreDown, UsageError, UserError
from .gitrepo import Repo, lane_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .config import Config
    from .events import Event
    from .lock import LaneState, LogEvent, MergeLock
    from .model import Agent, Finding
    from .prps import Context, PrpState, State, SyncReport
    from .registry import Entry, Me
    from .store.client import Store


RENEW_EVERY_S = 60


class Session:
    """One command's view of the world: this clone, its policy, the store when it is first needed.

    `command`: whether this is a short command of somebody's, which may leave a deliverer of [notify] behind.
    """

    def __init__(
        self, path: str = ".", *, url: str | None = None, agent: str | None = None, command: bool = True
    ) -> None:
        self.repo = Repo.found(path)
        self.url = url
        self._named = agent
        self._command = command
        self._store: Store | None = None

    @cached_property
    def config(self) -> Config:
        return policy.require(self.repo)

    @cached_property
    def agent(self) -> Agent:
        return identity.named(self._named) if self._named else identity.agent(self.repo)

    def store(self, *, timeout_s: float = 5.0) -> Store:
        """The project's store. Raises StoreDown."""
        if self._store is None:
            from . import break_glass
            from .store.client import connect

            self._store = connect(self.config, self.repo.root, url=self.url, timeout_s=timeout_s)
            break_glass.deliver(self.repo, self._store)
            from . import registry

            registry.beat_now_and_then(self.repo, self._store, self.agent if self._named else None)
            if os.path.exists(os.path.join(self.repo.own_dir, glance.FILE)):  # an agent's hooks read it
                glance.keep(self.repo.own_dir, self.config, self._store)
            if self.config.notifies and self._command:
                from . import notify

                notify.start(self.repo, self.config, self.url)
        return self._store

    @cached_property
    def caller(self) -> Me:
        """Who calls, as the registry of agents and the mail know it."""
        from . import registry

        return registry.me(self.repo, self.agent, self.config)

    def context(self) -> Context:
        """What the PRP verbs work on."""
        from .prps import Context

        return Context(
            store=self.store(),
            repo=self.repo,
            config=self.config,
            agent=self.agent,
            host=identity.host(),
            git_dir=self.repo.git_dir,
            is_person=identity.is_person(self.agent),
        )

    def lock(self, lane: str) -> MergeLock:
        from .lock import MergeLock

        return MergeLock(self.store(), lane, self.config.times)

    def lanes(self, only: str | None = None) -> list[str]:
        """Lanes to show: the one asked for, else every one named in prp.toml or ever used."""
        plain = [b for b in self.config.lanes if not set(b) & set("*?[")]
        with self.store().faults():
            used: Any = self.store().redis.smembers(self.store().keys.lanes)
        known = list(dict.fromkeys([*plain, *sorted(used)]))
        if not only:
            return known
        if only not in known and lane_of(self.config, self.config.remote, f"refs/heads/{only}") is None:
            raise UsageError(
                f"{only!r} is no lane; {', '.join(known)} {'is' if len(known) == 1 else 'are'}.",
                code="no-lane",
                hint="Lanes are the branches named by lane.branches in prp.toml.",
                next_action="prp lock status",
            )
        return [only]

    def close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None


def renew_here(session: Session) -> list[str]:
    """Renew the claims taken in this worktree; their ids. One that is lost meanwhile is left to its own command."""
    from . import prps

    renewed = []
    for kept in prps.claims_here(session.repo.git_dir, session.agent.name):
        try:
            renewed.append(prps.renew(session.context(), kept.id).prp.id)
        except StoreDown:
            raise
        except UserError:
            continue
    return renewed


def _renew_now_and_then(session: Session) -> None:
    """Any command of an agent is a sign of life, but not each one needs to be written down."""
    stamp = os.path.join(session.repo.git_dir, "prp-renewed")
    try:
        if time.time() - os.stat(stamp).st_mtime < RENEW_EVERY_S:
            return
    except FileNotFoundError:
        pass
    if renew_here(session):
        with open(stamp, "w", encoding="ascii"):
            pass


def greet(session: Session) -> None:
    """What every command does first: renew the claims taken here, now and then; fill an empty store."""
    from . import prps

    if os.path.exists(os.path.join(session.repo.git_dir, "prp-claim")):
        _renew_now_and_then(session)
    with session.store().faults():
        filled = session.store().redis.exists(session.store().keys.cursor)
        claimed: Any = session.store().redis.hkeys(session.store().keys.claims)
    if not filled:
        prps.sync(session.repo, session.store(), session.config)
    note_scopes(session, prps.read_some(session.store(), claimed))


def note_scopes(session: Session, state: State) -> None:
    """Keep what the others have for themselves where commits look (`scopes`)."""
    from . import prps, scopes

    scopes.note(session.repo.git_dir, prps.exclusive(state, session.agent.name))


def read_state(session: Session) -> State:
    """The live state; an empty store is filled from the lane's tip first, which is a function of git alone."""
    from . import prps

    if os.path.exists(os.path.join(session.repo.git_dir, "prp-claim")):
        _renew_now_and_then(session)
    state = prps.read(session.store(), session.config)
    if state.cursor is None:
        prps.sync(session.repo, session.store(), session.config)
        state = prps.read(session.store(), session.config)
    note_scopes(session, state)
    return state


def prp_called(session: Session, any_id: str) -> str:
    """A PRP's own id, of any id that it answers to. Raises UserError, with the nearest ids, where there is none."""
    from .messages.prps import unknown

    state = read_state(session)
    found = state.resolve(any_id)
    if found is None:
        raise unknown(any_id, state)
    return found.id


PAGE = 200


def in_pages(session: Session, statuses: Sequence[str], globs: Sequence[str] = ()) -> Iterator[list[PrpState]]:
    """The PRPs that have one of these statuses (any: none given) and whose id fits a glob, by id, some at a time.

    Open ones are found by the store's index: what is complete costs nothing, and the first of many come at once.
    """
    from fnmatch import fnmatchcase

    from . import prps

    def fits(prp_id: str) -> bool:
        return not globs or any(fnmatchcase(prp_id, glob) for glob in globs)

    greet(session)
    ids = prps.open_ids(session.store(), statuses)
    if ids is None:
        state = prps.read(session.store(), session.config)
        yield [p for p in state.prps.values() if fits(p.id) and (not statuses or p.status in statuses)]
        return
    ids = [i for i in ids if fits(i)]
    for n in range(0, len(ids), PAGE):
        page = prps.read_some(session.store(), ids[n : n + PAGE]).prps.values()
        yield [p for p in page if p.status in statuses]


# --- shapes ----------------------------------------------------------------------------------------------------------


def iso(ms: float) -> str:
    """ISO 8601, UTC, of a time in milliseconds since 1970."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms / 1000)) + "Z"


def iso_in(seconds: float) -> str:
    """The moment that is so far away, as `iso`."""
    return iso((time.time() + seconds) * 1000)


def prp_json(p: PrpState, *, whole: bool = False) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "id": p.id,
        "title": p.title,
        "status": p.status,
        "recorded": p.recorded,
        "owner": p.owner,
        "rev": p.rev,
        "depends_on": list(p.depends_on),
        "priority": p.priority,
        "claim": None,
        "phase": p.phase or p.stage,
        "blocked": p.marks.get("blocked", {}).get("reason"),
        "assigned": p.marks.get("assigned", {}).get("agent"),
    }
    if p.claim:
        shape["claim"] = {
            "agent": p.claim.agent,
            "fence": p.claim.fence,
            "since": p.claim.since,
            "lease_s": p.claim.deadline_s,
            "branch": p.claim.branch,
            "host": p.claim.host,
            "live": p.claim.live,
            "suspect": p.claim.suspect,
        }
    return {**p.fields, **shape} if whole else shape


def lane_json(state: LaneState) -> dict[str, Any]:
    now = time.time() * 1000
    holder = None
    if state.holder:
        h = state.holder
        holder = {
            "agent": h.agent,
            "host": h.host,
            "prp": h.prp,
            "sha": h.sha,
            "phase": h.phase,
            "hotfix": h.hotfix,
            "candidate": state.candidate and state.candidate.head,
            "run_url": state.run_url,
            "since": iso(now - h.since_ms),
            "deadline": iso(now + h.deadline_ms),
        }
    closed = state.closed and {
        "by": state.closed.by,
        "reason": state.closed.reason,
        "since": iso(now - state.closed.since_ms),
        "culprit": state.closed.culprit_sha
        and {"sha": state.closed.culprit_sha, "agent": state.closed.culprit_agent, "prp": state.closed.culprit_prp},
    }
    return {
        "name": state.name,
        "state": state.state,
        "holder": holder,
        "fence": state.fence,
        "queue": [
            {
                "position": t.position,
                "agent": t.agent,
                "since": iso(now - t.since_ms),
                "kind": t.kind if t.hotfix is None else "hotfix",
                "reason": t.hotfix,
            }
            for t in state.queue
        ],
        "closed": closed or None,
    }


def event_json(e: LogEvent) -> dict[str, Any]:
    return {
        "id": e.id,
        "time": iso(int(e.id.partition("-")[0])),
        "lane": e.lane,
        "event": e.event,
        "fence": e.fence,
        "agent": e.agent,
        "sha": e.sha,
        "detail": e.detail,
    }


def sync_json(report: SyncReport) -> dict[str, Any]:
    return {
        "synced": report.synced,
        "unchanged": report.unchanged,
        "conflicts": [{"id": i, "message": text} for i, text in report.conflicts],
        "landed": [{"id": i, "rev": seal, "status": status} for i, seal, status in report.landed],
        "changed": list(report.changed),
        "cursor": report.cursor_after,
        "note": report.note,
    }


def finding_json(f: Finding) -> dict[str, Any]:
    return f._asdict()


# --- checks ----------------------------------------------------------------------------------------------------------


def check_staged(repo: Repo, config: Config) -> list[Finding]:
    """What a commit right now would change in the ledger, against HEAD and against what is being merged in."""
    from . import staged

    staged.check_policy(repo)
    return list(staged.judge(repo, config).findings)


def check_all(repo: Repo, config: Config) -> list[Finding]:
    """Everything that can be said of the working tree's ledger, old entries too."""
    from . import doc_links, ledger, rules

    found = ledger.load(repo, config, None)
    if found.missing:
        raise UserError(
            f"there is no ledger at {config.ledger_path} (set by {config.where['ledger.path']}).",
            code="no-ledger",
            next_action='prp new "first title"',
        )
    return [*rules.check_all(found, config.id_pattern), *doc_links.check(repo, config, found)]


def check_paths(paths: list[str]) -> list[Finding]:
    """Judge ledger files wherever they are."""
    from . import ledger, rules

    parts = []
    for path in paths:
        try:
            with open(path, "rb") as f:
                parts.append(ledger.parse(f.read(), path))
        except (FileNotFoundError, IsADirectoryError, PermissionError) as e:
            raise UserError(f"{path}: {e.strerror}.", code="no-file") from None
    return rules.check_all(ledger.join(parts) if len(parts) > 1 else parts[0])


def feed_json(e: Event) -> dict[str, Any]:
    """One event of a lane, a PRP or a mailbox, as `prp watch` and the dashboard tell it."""
    shape = {"id": e.id, "time": iso(e.at_ms), "lane": e.lane, "event": e.event, "prp": e.prp}
    return {**shape, "agent": e.agent, "fence": e.fence, "sha": e.sha, "detail": e.detail, "to": e.to}


def agent_json(a: Entry) -> dict[str, Any]:
    """One agent as `prp agents` and the dashboard tell it."""
    return {
        "name": a.name,
        "kind": a.kind,
        "roles": list(a.roles),
        "domain": list(a.domain),
        "host": a.host,
        "worktree": a.worktree,
        "seen": iso(a.seen_ms),
        "silent": a.silent,
        "suspect": a.suspect,
        "holds": [
            {"what": h.what, "name": h.name, "detail": h.detail, "left_s": None if h.left_s is None else int(h.left_s)}
            for h in a.held
        ],
        "unread": a.unread,
    }
