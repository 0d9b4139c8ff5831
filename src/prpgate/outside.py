"""What `ci watch` and `ci reconcile` do for pull requests: their status follows the lane, and one that somebody merged
by the button is told once what became of it, so that nobody has to ask."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from . import lane, sign, watcher
from .errors import CouldNotTell, HostDown, HostRefused
from .lane_state import FREE, LANDED, SMOKING
from .lock import MergeLock
from .messages import sign as say
from .observing import ELSEWHERE, News
from .pulls import has_queue

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .config import Config
    from .gitrepo import Repo
    from .host import Host, Pull
    from .lane_state import LogEvent, Record
    from .store.client import Store

LOOK_BACK, MOST = 200, 20  # events of the log; commits that one of them may stand for
PULL = "pull"  # kind of news
KEPT_MS = 30 * 24 * 3600 * 1000
BEGINS = ("acquire", "claim", "adopt")
ENDS = ("release", "leave", "expired", "break")


class PullWatch:
    """Looks after the pull requests of one project. Not for several threads at once."""

    def __init__(self, repo: Repo, config: Config, store: Store) -> None:
        self.repo, self.config, self.store = repo, config, store
        self._host: Host | None = None
        self._said = ""  # why it could not be done: said once

    def look(self, name: str, found: Iterable[News] = ()) -> list[News]:
        """After an observer's look at a lane, and only where that was this one's to look. Raises StoreDown."""
        if self.config.via != "pr" or any(n.kind == ELSEWHERE for n in found):
            return []
        from .host import choose

        try:
            self._host = self._host or choose.of(self.repo, self.config, timeout_s=sign.ASK_S)
            error = sign.show(self.repo, self.config, self._host, self.store, name)
            told = [News(PULL, name, text) for text in tell(self.repo, self.config, self._host, self.store, name)]
        except (HostDown, HostRefused) as e:
            error, told = e, []
        before, self._said = self._said, say.not_shown(self.config.land_check, error) if error else ""
        return [*told, *([News(PULL, name, self._said, error=error)] if error and self._said != before else [])]

    def attribute(self, name: str) -> None:
        """Before an observer's look: say whose each new commit is, where no push is under way that will. What was
        merged outside is found while the one still holds the lane in whose turn it was. Raises StoreDown."""
        lock = MergeLock(self.store, name, self.config.times)
        state = lock.state()
        quiet = state.state == FREE or state.phase in (LANDED, SMOKING)
        if self.config.via != "pr" or not quiet or not state.seen:
            return
        try:
            look = lane.observe(self.repo, self.config, state)[1]
        except CouldNotTell:
            return
        if look.tip != state.seen:
            lock.attribute(look)
            watcher.publish(self.repo, self.config, self.store, name, look.tip)


def tell(repo: Repo, config: Config, host: Host, store: Store, name: str) -> list[str]:
    """Comment on what was merged outside and is judged; what was said, in words. Raises StoreDown, HostDown,
    HostRefused."""
    lock, client, key = MergeLock(store, name, config.times), store.redis, store.keys.told(name)
    events = lock.log(LOOK_BACK)
    said = []
    for event, sha in _foreign(repo, events):
        with store.faults():
            if client.hexists(key, sha):
                continue
        record = lock.record(sha)
        if record is None or record.record != "foreign" or not _judged(config, record):
            continue
        pull = _merged(host, name, sha)
        queued = pull and has_queue(host.branch_rules(name))  # then that is how things land here, and nothing to tell
        if pull and not queued and not any(c.text.startswith(say.MARK) for c in host.comments(pull.number)):
            host.comment(pull.number, say.outside(name, _holder(config, events, event), config.gate, record))
            said.append(say.told(name, pull.number, sha))
        _done(store, key, sha)
    return said


def _done(store: Store, key: str, sha: str) -> None:
    client: Any = store.redis
    with store.faults():
        client.hset(key, sha, str(int(time.time())))
        client.pexpire(key, KEPT_MS)


def _foreign(repo: Repo, events: list[LogEvent]) -> Iterator[tuple[LogEvent, str]]:
    """Each commit that nobody announced, and the event that found it: one event may stand for several."""
    for event in events:
        if event.event != "foreign-push" or not event.sha or not repo.has(event.sha):
            continue
        count = min(MOST, int(event.detail)) if event.detail.isdigit() else 1
        for sha in repo.text("rev-list", "--first-parent", f"--max-count={count}", event.sha, "--").split():
            yield event, sha


def _judged(config: Config, record: Record) -> bool:
    return config.gate != "ci" or record.verdict in ("green", "red") or record.unproven


def _merged(host: Host, name: str, sha: str) -> Pull | None:
    try:
        found = host.commit_pulls(sha)
    except HostRefused as e:
        if e.status not in (404, 422):
            raise
        return None  # its API does not have this commit
    return next((p for p in found if p.merged and p.base_ref == name and p.merge_sha == sha), None)


def _holder(config: Config, events: list[LogEvent], found: LogEvent) -> str | None:
    """Who held the lane when it was found. `events` are newest first."""
    before = events[events.index(found) + 1 :]
    mine = [e for e in before if e.fence == found.fence]
    ended = any(e.event in ENDS or (e.event == "landed" and config.gate != "ci") for e in mine)
    ended = ended or any(e.event == "verdict" and e.detail in ("green", "red") for e in mine)
    return None if ended else next((e.agent for e in mine if e.event in BEGINS and e.agent), None)
