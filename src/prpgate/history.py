"""How a PRP came to where it is: the commits that touched its entry, its landings, events and verdicts, as one list.

Git alone gives the commits; everything else is the store's, which keeps about its last 10,000 events and forgets all
of them when it is wiped. What is not known is said.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from . import events, ledger, live, record, seal
from .messages import history as say
from .model import ZERO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .config import Config
    from .events import Event
    from .gitrepo import Repo
    from .model import Prp
    from .store.client import Store

COMMIT, LANDING, EVENT, VERDICT = "commit", "landing", "event", "verdict"
PAGE = 40  # commits whose ledgers are read by one git process


class Moment(NamedTuple):
    """One thing that happened."""

    at_ms: int  # of the commit, or of the server's clock
    kind: str  # commit, landing, event or verdict
    what: str  # the event's name, or what the commit did to the entry
    agent: str | None
    sha: str | None
    detail: str
    status: str | None  # a commit: what the entry says then
    in_lane: bool | None  # a commit: whether the lane has it


class History(NamedTuple):
    """The last `count` moments, oldest first."""

    id: str
    moments: list[Moment]
    more: bool  # there are older ones
    missing: list[str]  # what is not known, as sentences


def history(
    repo: Repo, store: Store | None, config: Config, tip: str, prp_id: str, *, count: int = 50, why: str = ""
) -> History:
    """What is known of one PRP (its own id). Without a store (`why`), from git alone. Raises StoreDown."""
    missing = [say.no_store(why)] if store is None else []
    told: list[Moment] = []
    if store is not None:
        told = [_told(e) for e in events.history(store, prp_id, count=10_000)]
        missing += _unknown(store)
    commits, more = _commits(repo, config, tip, prp_id, count)
    if store is not None:
        told += _verdicts(repo, store, [m.sha for m in (*commits, *told) if m.sha])
    known = [m for m in told if m.kind == EVENT]
    if store is not None and commits and (not known or known[0].at_ms > commits[0].at_ms + 60_000):
        missing.append(say.events_begin(known[0].at_ms if known else None))
    if record.is_shallow(repo):
        missing.append(say.SHALLOW)
    found = sorted([*commits, *told], key=lambda m: m.at_ms)
    return History(prp_id, found[-count:], more or len(found) > count, missing)


def _unknown(store: Store) -> list[str]:
    with store.faults():
        return [] if store.redis.exists(store.keys.cursor) else [say.EMPTY_STORE]


def _told(e: Event) -> Moment:
    kind = LANDING if e.lane else EVENT
    detail = f"{e.lane}: {e.detail}" if e.lane and e.detail else e.lane or e.detail
    return Moment(e.at_ms, kind, e.event, e.agent, e.sha, detail, None, None)


def _verdicts(repo: Repo, store: Store, shas: Iterable[str]) -> Iterator[Moment]:
    """What smoke gates said of the trees of these commits."""
    here = [sha for sha in dict.fromkeys(shas) if repo.has(sha)]
    if not here:
        return
    trees: dict[str, str] = {}
    for line in repo.text("log", "--no-walk=unsorted", "--format=%T %H", *here, "--").splitlines():
        tree, _, sha = line.partition(" ")
        trees.setdefault(tree, sha)
    client: Any = store.redis
    with store.faults():
        kept = client.hgetall(store.keys.verdicts)
    for field, text in kept.items():
        tree, steps, klass = field.split(":")
        if tree in trees:
            one = json.loads(text)
            detail = say.verdict(klass, tree, steps, one.get("run_url"))
            who = one.get("by") or one.get("agent")
            yield Moment(int(one.get("at") or 0), VERDICT, str(one.get("result")), who, trees[tree], detail, None, None)


# --- git -------------------------------------------------------------------------------------------------------------


class _Commit(NamedTuple):
    sha: str
    parents: list[str]
    at_ms: int
    author: str
    subject: str


def _commits(repo: Repo, config: Config, tip: str, prp_id: str, count: int) -> tuple[list[Moment], bool]:
    """Commits of the lane and of what is checked out that changed the entry, oldest first; whether older are unread."""
    heads = [sha for sha in dict.fromkeys((tip, repo.head or ZERO)) if sha != ZERO and repo.has(sha)]
    path = _file(repo, config, heads, prp_id)
    if not heads:
        return [], False
    ahead = set(repo.commits(tip, heads[-1])) if tip != ZERO and len(heads) > 1 else set()
    in_lane = tip != ZERO
    listed = list(_log(repo, heads, path))
    found: list[Moment] = []
    for start in range(0, len(listed), PAGE):
        page = listed[start : start + PAGE]
        shas = list(dict.fromkeys(sha for c in page for sha in (c.sha, *c.parents)))
        data = dict(zip(shas, repo.blobs([f"{sha}:{path}" for sha in shas]), strict=True))
        blocks = {sha: _block(text, prp_id) for sha, text in data.items()}
        for c in page:
            before = [blocks[p] for p in c.parents] or [None]
            if blocks[c.sha] in before:
                continue
            old, new = (_entry(b, path, prp_id) for b in (before[0], blocks[c.sha]))
            if old is not None and new is not None and old.fields == new.fields:
                continue
            status = new.status if new else None
            what = say.change(old, new, valid=new is None or seal.check(new) is not False)
            found.append(
                Moment(c.at_ms, COMMIT, what, c.author, c.sha, c.subject, status, in_lane and c.sha not in ahead)
            )
        if len(found) >= count:
            return list(reversed(found)), start + PAGE < len(listed) or len(found) > count
    return list(reversed(found)), False


def _file(repo: Repo, config: Config, heads: list[str], prp_id: str) -> str:
    """Where the entry is, or was: a folder's files are named by their PRP's id."""
    if not config.one_file_per_prp:
        return config.ledger_path
    for head in heads:
        found = ledger.load(repo, config, head).prps.get(prp_id)
        if found is not None:
            return found.file
    return f"{config.ledger_path}{prp_id}.yaml"


def _log(repo: Repo, heads: list[str], path: str) -> Iterator[_Commit]:
    out = repo.text(
        *("log", "-z", "--full-history", "--topo-order", "--no-renames", "--format=%H%n%P%n%ct%n%an%n%s"),
        *(*heads, "--", path),
    )
    for chunk in out.split("\0"):
        if chunk.strip():
            sha, parents, at, author, subject = chunk.strip("\n").split("\n", 4)
            yield _Commit(sha, parents.split(), int(at) * 1000, author, subject)


def _block(data: bytes | None, prp_id: str) -> bytes | None:
    """The lines of one entry: enough to see whether it changed without reading the whole ledger.

    The whole text when its form is another than one line a key, and for one file per PRP.
    """
    name = prp_id.encode("utf-8", "surrogateescape")
    if data is None or name not in data:
        return None
    if not re.search(rb"(?m)^prp_tracking[ ]*:", data):
        return data
    start = re.search(rb"(?m)^( +)[\"']?" + re.escape(name) + rb"[\"']?[ ]*:[ ]*\r?$", data)
    if start is None:
        return data
    end = re.compile(rb"(?m)^[ ]{0," + str(len(start[1])).encode() + rb"}[^\s#]").search(data, start.end())
    return b"prp_tracking:\n" + data[start.start() : end.start() if end else len(data)]


def _entry(block: bytes | None, path: str, prp_id: str) -> Prp | None:
    return ledger.parse(block, path).prps.get(prp_id) if block is not None else None


def find_id(repo: Repo, store: Store | None, config: Config, tip: str, any_id: str) -> str | None:
    """The own id of a PRP by any of its ids: as the lane has it, this working tree, or the store. None: nobody's."""
    for rev in (tip, None):
        if rev is None and repo.bare:
            continue
        found = ledger.load(repo, config, rev).resolve(any_id)
        if found is not None:
            return found.id
    p = live.read(store, config).resolve(any_id) if store is not None else None
    return p.id if p else None
