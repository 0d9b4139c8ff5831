"""Check what complete PRPs of the lane claim, from git and from what the store still knows: is it true today?

Each finding is false, unknown (the history that it needs is not here), or a note. Old ledgers claim much: one
placeholder url thirty times, one commit for twelve PRPs; such values are named as groups.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from . import ledger, record, seal
from .commit_message import named
from .evidence import proof
from .messages import verify as say
from .model import COMPLETE, ZERO
from .reverts import taken_back

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from .config import Config
    from .gitrepo import Repo
    from .record import Entry
    from .store.client import Store

FALSE, UNKNOWN, NOTE = "false", "unknown", "note"
MANY = 3  # two PRPs may well be one commit's work, or one run's
SLACK = timedelta(days=1)  # between the clocks of people, machines and CI
COMMIT_ID = re.compile(r"[0-9a-f]{7,64}")
VERDICT = re.compile(r"(green|red|unknown) (ci|local) ([0-9a-f]{12}) ([0-9a-f]{12})")
URL = re.compile(r"https?://[^\s/]+/(\S+)")
RUN_ID = re.compile(r"[0-9]+|(?=[a-f]*[0-9])[0-9a-f-]{7,64}")  # a name such as app_v1 is none
STANDS_IN = re.compile(r"\b(placeholder|todo|tbd|example-run|fixme|xxx+|pending|n/?a|none|unknown)\b", re.IGNORECASE)


class Doubt(NamedTuple):
    """One thing that is wrong with what a complete PRP claims, or cannot be told."""

    id: str
    code: str  # a short stable word
    level: str  # false, unknown or note
    what: str  # the value in question
    why: str
    mend: str | None  # the command


class Group(NamedTuple):
    """One value that many PRPs give as their evidence."""

    code: str  # shared-commit or shared-url
    value: str
    ids: list[str]
    placeholder: bool  # it names no run at all


class Verified(NamedTuple):
    """What was found."""

    tip: str
    checked: list[str]  # complete PRPs that were looked at
    open: list[str]  # asked for, but they claim nothing: they are not complete
    doubts: list[Doubt]
    groups: list[Group]

    @property
    def waiting(self) -> list[str]:
        """Those that have landed and do not count as complete before a green verdict."""
        return [i for i in self.checked if any(d.id == i and d.code == "waits" for d in self.doubts)]

    def ids(self, level: str) -> list[str]:
        return [i for i in self.checked if any(d.id == i and d.level == level for d in self.doubts)]


class _Commit(NamedTuple):
    tree: str
    at: int  # author time, seconds since 1970
    message: str


class _Lane:
    """Every commit under the tip, read by one git process."""

    def __init__(self, repo: Repo, tip: str) -> None:
        self.commits: dict[str, _Commit] = {}  # newest first
        out = repo.text("log", "-z", "--topo-order", "--format=%H%n%T%n%at%n%B", tip, "--") if tip != ZERO else ""
        for chunk in out.split("\0"):
            if chunk.strip():
                sha, tree, at, message = chunk.split("\n", 3)
                self.commits[sha] = _Commit(tree, int(at), message)
        self.sorted = sorted(self.commits)

    def like(self, prefix: str) -> list[str]:
        """Commits whose id begins so."""
        at = bisect_left(self.sorted, prefix)
        found = []
        while at < len(self.sorted) and self.sorted[at].startswith(prefix):
            found.append(self.sorted[at])
            at += 1
        return found


class _Facts:
    """What all checks stand on, read once."""

    def __init__(self, repo: Repo, store: Store | None, config: Config, tip: str) -> None:
        self.repo, self.store, self.config, self.tip = repo, store, config, tip
        self.shallow = record.is_shallow(repo)
        self.lane = _Lane(repo, tip)
        self.gone = taken_back([(sha, c.message) for sha, c in self.lane.commits.items()])
        self.claimed: dict[str, set[str]] = {}  # a commit that was taken back, or is evidence -> ids that it claims
        self.brought: dict[str, str] = {}  # seal -> the newest commit that brought it
        if tip != ZERO:
            for seen in record.seals(repo, config, None, tip):
                self.brought.setdefault(seen.seal, seen.commit)
        self.now = datetime.now(UTC)
        self.unproven: Collection[str] | None = None
        self.verdicts: dict[str, Any] = {}
        if store is not None:
            client: Any = store.redis
            with store.faults():
                filled = client.exists(store.keys.cursor)
                self.unproven = set(client.hkeys(store.keys.unproven)) if filled else None
                self.verdicts = client.hgetall(store.keys.verdicts)

    def claims(self, commit: str) -> set[str]:
        """Ids that a commit's message claims to work on."""
        if commit not in self.claimed:
            ids = named(self.lane.commits[commit].message, self.config.id_pattern)
            self.claimed[commit] = {n.id for n in ids if n.claimed}
        return self.claimed[commit]


def verify(repo: Repo, store: Store | None, config: Config, tip: str, only: Collection[str] | None = None) -> Verified:
    """Check every complete PRP that the lane records at `tip`, or those with one of the ids in `only`.

    Without a store, what only the store can know is not checked. Raises CouldNotTell, StoreDown.
    """
    facts = _Facts(repo, store, config, tip)
    recorded = record.at(repo, config, tip) if tip != ZERO else record.Record({}, [], missing=True)
    wanted = {i: e for i, e in recorded.entries.items() if only is None or not set(only).isdisjoint(_ids(e))}
    complete = {i: e for i, e in recorded.entries.items() if e.status == COMPLETE}
    checked = sorted(complete.keys() & wanted.keys())
    groups = [g for g in _groups(facts, complete) if not set(g.ids).isdisjoint(checked)]
    doubts: list[Doubt] = []
    by_hand = dict(recorded.conflicts)
    tip_says = ledger.load(repo, config, tip).prps if by_hand else {}
    for prp_id in sorted(wanted):
        claims = prp_id in complete or (prp_id in tip_says and tip_says[prp_id].status == COMPLETE)
        if prp_id in by_hand and claims:
            mend = f"prp sync --apply --ours {prp_id}"
            doubts.append(Doubt(prp_id, "hand-edited", FALSE, "the line", by_hand[prp_id], mend))
            if prp_id not in checked:
                checked.append(prp_id)
    for prp_id in checked:
        if prp_id in complete:
            doubts += _judge(facts, complete[prp_id], groups)
    open_ids = sorted(i for i in wanted if i not in checked) if only is not None else []
    return Verified(tip, sorted(checked), open_ids, doubts, groups)


def _ids(entry: Entry) -> list[str]:
    return [entry.id, *(str(v) for n in ("stable_id", "legacy_id") if (v := entry.fields.get(n)))]


def _false(prp_id: str, code: str, what: str, why: str) -> Doubt:
    return Doubt(prp_id, code, FALSE, what, why, say.reopen(prp_id, code))


def _judge(facts: _Facts, entry: Entry, groups: list[Group]) -> Iterator[Doubt]:
    commit = None
    claim = entry.fields.get("github_commit")
    url = entry.fields.get("ci_run_url")
    if claim:
        commit, doubt = _commit(facts, entry, str(claim))
        if doubt:
            yield doubt
    if url:
        yield from _url(entry, str(url))
    for group in groups:
        if entry.id in group.ids:
            yield _false(entry.id, group.code, group.value, say.stands_for(len(group.ids)))
    if entry.fields.get("verdict"):
        yield from _verdict(facts, entry, str(entry.fields["verdict"]), commit)
    elif not claim and not url:
        yield from _bare(facts, entry)
    yield from _times(facts, entry, commit)
    yield from _reverted(facts, entry, commit)


# --- the commit ------------------------------------------------------------------------------------------------------


def _commit(facts: _Facts, entry: Entry, claim: str) -> tuple[str | None, Doubt | None]:
    """The commit of the lane that the line names, or what is wrong with it."""
    if not COMMIT_ID.fullmatch(claim):
        return None, _false(entry.id, "commit-id", claim, say.NO_COMMIT_ID)
    found = facts.lane.like(claim)
    if len(found) == 1:
        return found[0], None
    if found:
        return None, _false(entry.id, "commit-ambiguous", claim, say.ambiguous(len(found)))
    if facts.shallow:
        return None, Doubt(entry.id, "commit-not-here", UNKNOWN, claim, say.CUT_OFF, "git fetch --unshallow")
    elsewhere = facts.repo.sha(f"{claim}^{{commit}}")
    if elsewhere:
        return None, _false(entry.id, "commit-not-in-lane", claim, say.not_in_lane(facts.config.ledger_lane))
    return None, _false(entry.id, "commit-missing", claim, say.NO_SUCH_COMMIT)


# --- the run ---------------------------------------------------------------------------------------------------------


def names_a_run(url: str) -> bool:
    """Whether a url can be that of one CI run: a number or a hash stands in its path, and no word for "later"."""
    found = URL.fullmatch(url)
    if not found or STANDS_IN.search(url):
        return False
    words = [w for w in re.split(r"[/?&=#]", found[1]) if w]
    return any(RUN_ID.fullmatch(w) for w in words) or bool(words and re.search(r"[0-9]", words[-1]))


def _url(entry: Entry, url: str) -> Iterator[Doubt]:
    if not URL.fullmatch(url):
        yield _false(entry.id, "url", url, say.NO_URL)
    elif not names_a_run(url):
        yield _false(entry.id, "placeholder-url", url, say.NAMES_NO_RUN)


def _groups(facts: _Facts, complete: dict[str, Entry]) -> list[Group]:
    """Values that many give. A line under its seal that names a verdict was fetched, and a message may claim many."""
    commits: dict[str, list[str]] = {}
    urls: dict[str, list[str]] = {}
    for entry in complete.values():
        if entry.evidence:
            continue
        claim, url = entry.fields.get("github_commit"), entry.fields.get("ci_run_url")
        if claim:
            like = facts.lane.like(str(claim)) if COMMIT_ID.fullmatch(str(claim)) else []
            if len(like) != 1 or facts.claims(like[0]).isdisjoint(_ids(entry)):
                commits.setdefault(like[0] if len(like) == 1 else str(claim), []).append(entry.id)
        if url:
            urls.setdefault(str(url), []).append(entry.id)
    found = [Group("shared-commit", value, ids, False) for value, ids in commits.items() if len(ids) >= MANY]
    found += [Group("shared-url", v, ids, not names_a_run(v)) for v, ids in urls.items() if len(ids) >= MANY]
    return sorted(found, key=lambda g: (-len(g.ids), g.value))


# --- the verdict -----------------------------------------------------------------------------------------------------


def _verdict(facts: _Facts, entry: Entry, text: str, commit: str | None) -> Iterator[Doubt]:
    found = VERDICT.fullmatch(text)
    if not found:
        yield _false(entry.id, "verdict", text, say.NO_VERDICT)
        return
    result, klass, steps, tree = found.groups()
    if result != "green":
        yield _false(entry.id, "verdict-not-green", text, say.NOT_GREEN)
        return
    if commit:
        has_it = [sha for sha, c in facts.lane.commits.items() if c.tree.startswith(tree)]
        has_it.sort(key=lambda sha: sha != commit)
        if not any(facts.repo.is_ancestor(commit, sha) for sha in has_it):
            if facts.shallow:
                yield Doubt(entry.id, "tree-not-here", UNKNOWN, tree, say.CUT_OFF, "git fetch --unshallow")
            else:
                yield _false(entry.id, "verdict-of-another-tree", text, say.another_tree(tree, commit))
            return
    kept = [json_text for field, json_text in facts.verdicts.items() if _is_of(field, tree, steps, klass)]
    if not kept:
        if facts.store is not None:
            yield Doubt(entry.id, "verdict-not-kept", NOTE, text, say.NOT_KEPT, None)
    elif not any('"result":"green"' in json_text for json_text in kept):
        yield _false(entry.id, "verdict-contradicted", text, say.CONTRADICTED)


def _is_of(field: str, tree: str, steps: str, klass: str) -> bool:
    whole, its_steps, its_class = field.split(":")
    return whole.startswith(tree) and (its_steps, its_class) == (steps, klass)


def _bare(facts: _Facts, entry: Entry) -> Iterator[Doubt]:
    """A complete line that names nothing."""
    if not entry.waits:
        yield _false(entry.id, "no-evidence", "the line", say.NO_EVIDENCE)
    elif facts.unproven is None:
        yield Doubt(entry.id, "proof-not-kept", UNKNOWN, entry.seal, say.PROOF_IN_STORE, "prp rebuild")
    elif entry.id in facts.unproven:
        yield Doubt(entry.id, "waits", NOTE, entry.seal, say.WAITS, proof(facts.repo, facts.config))


# --- times -----------------------------------------------------------------------------------------------------------


def _time(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _times(facts: _Facts, entry: Entry, commit: str | None) -> Iterator[Doubt]:
    text = entry.fields.get("completed_at")
    done = _time(text) if text else None
    if not text:
        yield Doubt(entry.id, "no-time", NOTE, "completed_at", say.NO_TIME, None)
        return
    if done is None:
        yield _false(entry.id, "time", str(text), say.NO_DATE)
        return
    if done > facts.now + SLACK:
        yield _false(entry.id, "time-ahead", str(text), say.AHEAD)
    for name in seal.TIMES[:-1]:
        before = _time(entry.fields.get(name)) if entry.fields.get(name) else None
        if before and done < before:
            yield _false(entry.id, "time-backwards", str(text), say.backwards(name, str(entry.fields[name])))
    if commit:
        written = datetime.fromtimestamp(facts.lane.commits[commit].at, UTC)
        if done < written - SLACK:
            when = written.strftime("%Y-%m-%dT%H:%M:%SZ")
            yield _false(entry.id, "time-before-commit", str(text), say.before_commit(commit, when))


# --- reverts ---------------------------------------------------------------------------------------------------------


def _reverted(facts: _Facts, entry: Entry, commit: str | None) -> Iterator[Doubt]:
    """Its evidence, what brought its line, or later work on it was taken back, and the line still says complete."""
    line = facts.brought.get(entry.seal)
    for what, code in ((commit, "evidence-reverted"), (line, "work-reverted")):
        if what and what in facts.gone:
            yield _false(entry.id, code, what, say.reverted(facts.gone[what]))
            return
    since = line or commit
    if since is None:
        return
    for what, by in facts.gone.items():
        if what not in facts.lane.commits or facts.claims(what).isdisjoint(_ids(entry)):
            continue
        if facts.repo.is_ancestor(since, by):  # a revert before the line is what the line knew of
            yield _false(entry.id, "work-reverted", what, say.reverted(by))
            return
