"""What the lane records of each PRP: a pure function of the lane's tip, read from git and nothing else.

`at(tip)` gives, for each PRP, its entry at the tip if its seal is valid, else the nearest valid entry on the tip's
first-parent chain with title, dependencies and notes from the tip. Old entries without a seal are valid, and have the
internal seal "0-HHHHHHHH" over what they say; one that had a seal and lost it is valid only when it says again what
the lane recorded before there was a seal (a revert of the first milestone).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from . import ledger, scopes, seal
from .errors import CouldNotTell
from .messages import prps as say
from .model import COMPLETE, DEPRECATED, IN_PROGRESS, NEW, VALIDATED, Prp

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from .config import Config
    from .gitrepo import Repo
    from .ledger import Ledger

GROUP = (*seal.SEALED, "rev", "deprecated")  # what milestones write; everything else follows the tip


_JSON = json.JSONEncoder(separators=(",", ":"), default=str)  # json.dumps makes one for each value
LETTERS = {NEW: "N", VALIDATED: "V", IN_PROGRESS: "I", COMPLETE: "D", DEPRECATED: "X"}


class Entry(NamedTuple):
    """What is recorded of one PRP."""

    id: str
    seal: str  # the entry's own, or "0-HHHHHHHH" for one without
    status: str
    fields: dict[str, Any]

    @property
    def number(self) -> int:
        return number(self.seal)

    @property
    def sealed(self) -> bool:
        return not self.seal.startswith("0-")

    @property
    def evidence(self) -> bool:
        return self.sealed and has_evidence(self.number, self.fields)

    @property
    def waits(self) -> bool:
        """A complete line that carries no evidence: it is complete once a green landing has it."""
        return self.status == COMPLETE and self.sealed and not self.evidence


class Record(NamedTuple):
    """R(tip)."""

    entries: dict[str, Entry]
    conflicts: list[tuple[str, str]]  # (id, what is wrong at the tip and what stands instead)
    missing: bool = False  # the tip has no ledger


class Seen(NamedTuple):
    """A seal that a commit brought to the ledger. `id` and `status` as far as the diff shows them."""

    commit: str
    seal: str
    id: str | None
    status: str | None


class Landing(NamedTuple):
    """One push that reached the lane."""

    head: str
    tree: str
    code: bool  # it changes at least one path outside the ledger
    seals: frozenset[str]  # brought by any of its commits


def number(key: str) -> int:
    """The counter in a seal; 0 for an entry without one."""
    return int(key.partition("-")[0])


def has_evidence(count: int, fields: Mapping[str, Any]) -> bool:
    """Whether a complete line names a verdict and a commit: facts that `prp complete` fetched, under its seal."""
    return count > 0 and bool(fields.get("verdict")) and bool(fields.get("github_commit"))


def identity(prp: Prp) -> str | None:
    """The seal by which an entry is known, None when it is not what its seal says."""
    valid = seal.check(prp)
    if valid is None:
        return seal.compute(prp.id, 0, prp.fields)
    return prp.rev if valid else None


def dump(entry: Entry) -> str:
    """The store's form of an entry: the same text for the same entry."""
    shape = {"seal": entry.seal, "number": entry.number, "status": entry.status, "evidence": entry.evidence}
    return _JSON.encode({**shape, "fields": entry.fields})


def about(entry: Entry) -> str:
    """What the store's index needs of an entry. The first id is its own; letters as in docs/prps.md."""
    view = Prp(entry.id, "", entry.status, None, None, entry.fields, "", 0)
    letter = LETTERS.get(entry.status, "?")
    shape = {"letter": "W" if entry.waits else letter, "seal": entry.seal, "priority": view.priority}
    return _JSON.encode({**shape, "depends_on": view.depends_on, "ids": view.ids, **scopes.declared(entry.fields)})


def parse(prp_id: str, text: str) -> Entry:
    raw = json.loads(text)
    return Entry(prp_id, raw["seal"], raw["status"], raw["fields"])


def in_ledger(config: Config, path: str) -> bool:
    return path.startswith(config.ledger_path) if config.one_file_per_prp else path == config.ledger_path


# --- the recorded part -----------------------------------------------------------------------------------------------


def at(repo: Repo, config: Config, tip: str, never_sealed: Callable[[str], bool] | None = None) -> Record:
    """R(tip). Raises CouldNotTell when history that it needs is not here.

    `never_sealed` may say of an id that no commit under the tip has a seal for it; that saves a walk over history.
    """
    walk = _Chain(repo, config, tip)
    found = walk.ledger(tip)
    if found.missing:
        return Record({}, [], missing=True)
    conflicts: list[tuple[str, str]] = []
    entries: dict[str, Entry] = {}
    doubtful, unreadable = _doubtful(found, config)
    if unreadable:
        before = walk.nearest_readable()
        first = found.errors[0]
        conflicts.append(("", say.unreadable_tip(f"{first.file}:{first.line}", first.message, before is not None)))
        if before is not None:
            found = before
            doubtful, _ = _doubtful(found, config)
    for prp in found.prps.values():
        key = None if prp.id in doubtful else identity(prp)
        if key is not None and prp.rev is None and not (never_sealed and never_sealed(prp.id)):
            key = key if walk.was_unsealed(prp) else None
        if key is not None:
            entries[prp.id] = Entry(prp.id, key, prp.status, prp.fields)
            continue
        last = walk.last_valid(prp.id)
        conflicts.append((prp.id, say.hand_edited(prp, last[1] if last else None)))
        if last is None:  # it never was valid: what it says is all there is
            entries[prp.id] = Entry(prp.id, seal.compute(prp.id, 0, prp.fields), prp.status, prp.fields)
        else:
            entries[prp.id] = _restored(prp, *last)
    for prp_id in doubtful - found.prps.keys():
        last = walk.last_valid(prp_id)
        if last is not None:
            conflicts.append((prp_id, say.unreadable_entry(prp_id, last[1])))
            entries[prp_id] = Entry(prp_id, last[1], last[0].status, last[0].fields)
    return Record(entries, conflicts)


def _doubtful(found: Ledger, config: Config) -> tuple[set[str], bool]:
    """Ids whose entries could not be read for certain, and whether that is so of the whole ledger."""
    ids, whole = set(), False
    for f in found.errors:
        if f.id is not None:
            ids.add(f.id)
        elif config.one_file_per_prp:
            ids.add(f.file.rpartition("/")[2].rpartition(".")[0])
        else:
            whole = True
    return ids, whole


def _restored(tip: Prp, valid: Prp, key: str) -> Entry:
    """What the tip says of title, dependencies and notes, with the milestone fields of the last valid entry."""
    fields = {k: v for k, v in tip.fields.items() if k not in GROUP}
    fields.update({k: v for k, v in valid.fields.items() if k in GROUP})
    return Entry(tip.id, key, valid.status, fields)


class _Chain:
    """The first-parent chain under a tip, as far as the ledger changes on it. Everything is read when first needed."""

    def __init__(self, repo: Repo, config: Config, tip: str) -> None:
        self.repo, self.config, self.tip = repo, config, tip
        self.read: dict[str, Ledger] = {}
        self._commits: list[str] | None = None
        self._first_seal: dict[str, int] | None = None

    def ledger(self, commit: str) -> Ledger:
        if commit not in self.read:
            self.read[commit] = ledger.load(self.repo, self.config, commit)
        return self.read[commit]

    def commits(self) -> list[str]:
        """Newest first."""
        if self._commits is None:
            path = self.config.ledger_path.rstrip("/")
            self._commits = self.repo.text("rev-list", "--first-parent", self.tip, "--", path).split()
        return self._commits

    def nearest_readable(self) -> Ledger | None:
        for commit in self.commits():
            found = self.ledger(commit)
            if not found.missing and not _doubtful(found, self.config)[1]:
                return found
        self._must_be_whole()
        return None

    def first_seal(self, prp_id: str) -> int | None:
        """Where on the chain (an index into `commits`) this PRP first got a seal."""
        if self._first_seal is None:
            place = {commit: n for n, commit in enumerate(self.commits())}
            self._first_seal = {}
            for one in seals(self.repo, self.config, None, self.tip, first_parent=True):
                n = place[one.commit]
                for name in [one.id] if one.id else [p.id for p in self.ledger(one.commit).prps.values() if p.rev]:
                    self._first_seal[name] = max(n, self._first_seal.get(name, n))
        return self._first_seal.get(prp_id)

    def was_unsealed(self, prp: Prp) -> bool:
        """Whether an entry without a seal is one that the lane recorded before this PRP had seals."""
        first = self.first_seal(prp.id)
        if first is None:
            return True
        key = identity(prp)
        for commit in self.commits()[first + 1 :]:
            old = self.ledger(commit).prps.get(prp.id)
            if old is not None and old.rev is None and identity(old) == key:
                return True
        self._must_be_whole()
        return False

    def last_valid(self, prp_id: str) -> tuple[Prp, str] | None:
        """The nearest valid entry under the tip, and its seal."""
        for commit in self.commits():
            if commit == self.tip:
                continue
            found = self.ledger(commit)
            doubtful, whole = _doubtful(found, self.config)
            prp = found.prps.get(prp_id)
            if prp is None or whole or prp_id in doubtful:
                continue
            key = identity(prp)
            if key is not None and (prp.rev is not None or self.was_unsealed(prp)):
                return prp, key
        self._must_be_whole()
        return None

    def _must_be_whole(self) -> None:
        """The search came to the end of history; in a shallow clone that is not its beginning."""
        if is_shallow(self.repo):
            raise CouldNotTell(say.SHALLOW, code="shallow", next_action="git fetch --unshallow")


def is_shallow(repo: Repo) -> bool:
    return repo.maybe("rev-parse", "--is-shallow-repository") == "true"


# --- what a range brings ---------------------------------------------------------------------------------------------

_HUNK = re.compile(rb"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_REV = re.compile(r"( *)rev:[ \t]+(['\"]?)([1-9][0-9]{0,8}-[0-9a-f]{8})\2[ \t]*(?:#.*)?")
_KEY = re.compile(r"( *)(['\"]?)([A-Za-z0-9][A-Za-z0-9._-]*)\2:[ \t]*(?:#.*)?")
_STATUS = re.compile(r" *status:[ \t]+(['\"]?)(\w+)\1[ \t]*(?:#.*)?")
_LOG = (
    *("-c", "log.showRoot=true", "-c", "log.follow=false", "-c", "log.showSignature=false", "log", "-m", "-p", "-U3"),
    *("--text", "--no-ext-diff", "--no-textconv", "--no-renames", "--no-color", "--no-notes", "--topo-order"),
    *("--src-prefix=a/", "--dst-prefix=b/", "--format=%x00%H", "-G^ *rev:[ \t]"),
)


_RAW = (
    *("-c", "log.showRoot=true", "-c", "log.follow=false", "-c", "log.showSignature=false", "log", "-m", "--raw"),
    *("--no-abbrev", "--no-renames", "--no-color", "--no-notes", "--topo-order", "--format=%x00%H"),
)


def seals(repo: Repo, config: Config, base: str | None, tip: str, *, first_parent: bool = False) -> list[Seen]:
    """Every seal that a commit of base..tip (all parents; all of tip's history without a base) brings, newest first.

    One or two git processes, no parsing of ledgers. In one file for all, the entry layout puts `rev` within three
    lines of the id, so that the diff
    shows whose it is; text that only looks like a seal (in a note) is in the answer too: check before relying on it.
    """
    span = [f"{base}..{tip}"] if base else [tip]
    how = "--first-parent" if first_parent else "--full-history"
    if config.one_file_per_prp:
        return list(_new_seals(repo, repo.run(*_RAW, how, *span, "--", config.ledger_path.rstrip("/")).stdout))
    out = repo.run(*_LOG, how, *span, "--", config.ledger_path.rstrip("/")).stdout
    return list(_read_log(out))


def _new_seals(repo: Repo, out: bytes) -> Iterator[Seen]:
    """Of one file per PRP: read each version once, and see what it has that the one before had not. No diffs."""
    changes: list[tuple[str, str | None, str, str]] = []
    commit = ""
    for raw in out.decode("utf-8", "surrogateescape").split("\n"):
        if raw.startswith("\0"):
            commit = raw[1:]
        elif raw.startswith(":"):
            about, _, path = raw.partition("\t")
            name = path.rpartition("/")[2].rpartition(".")[0] if not path.startswith('"') else None
            changes.append((commit, name, *about.split(" ")[2:4]))  # type: ignore[arg-type]
    blobs = list({blob: None for _, _, *both in changes for blob in both if blob.strip("0")})
    has = {b: _seals_of(text) for b, text in zip(blobs, repo.blobs(blobs), strict=True) if text is not None}
    for where, name, old, new in changes:
        before = has.get(old, {})
        yield from (Seen(where, seal, name, status) for seal, status in has.get(new, {}).items() if seal not in before)


def _seals_of(text: bytes) -> dict[str, str | None]:
    """What looks like a seal in one PRP's file, and the status that stands before it."""
    found: dict[str, str | None] = {}
    if b"rev:" in text:
        status = None
        for line in text.decode("utf-8", "replace").splitlines():
            if "rev:" in line and (seen := _REV.fullmatch(line)):
                found[seen[3]] = status
            elif "status:" in line and (seen := _STATUS.fullmatch(line)):
                status = seen[2]
    return found


def _read_log(out: bytes) -> Iterator[Seen]:
    """Read `git log -p`. Lines are counted as the hunk headers say, so that no content can pass for a header."""
    commit, old, new = "", 0, 0
    keys: list[tuple[int, str]] = []
    status: str | None = None
    for raw in out.split(b"\n"):
        if old > 0 or new > 0:
            sign = raw[:1]
            if sign == b"\\":
                continue
            old -= sign in b" -"
            new -= sign in b" +"
            if sign == b"-":
                continue
            line = raw[1:].rstrip(b"\r").decode("utf-8", "replace")
            if found := _REV.fullmatch(line):
                if sign == b"+":
                    owner = next((key for depth, key in reversed(keys) if depth < len(found[1])), None)
                    yield Seen(commit, found[3], owner, status)
            elif found := _KEY.fullmatch(line):
                keys.append((len(found[1]), found[3]))
                status = None
            elif found := _STATUS.fullmatch(line):
                status = found[2]
        elif raw.startswith(b"\0"):
            commit = raw[1:].decode("ascii")
        elif found_hunk := _HUNK.match(raw):
            old, new = (int(n) if n is not None else 1 for n in found_hunk.groups())
            keys, status = [], None


def brings(repo: Repo, config: Config, commit: str, prp_id: str, key: str) -> bool:
    """Whether the ledger of this commit has exactly this sealed entry."""
    prp = ledger.load(repo, config, commit).prps.get(prp_id)
    return prp is not None and identity(prp) == key


def landings(
    repo: Repo, config: Config, base: str | None, tip: str, heads: Mapping[str, str], brought: Collection[Seen]
) -> list[Landing]:
    """base..tip as the pushes that it came in, oldest first; the last one's head is the tip.

    `heads` are the landings that are known, head -> base. What nobody recorded counts as one push between two that
    somebody did. `brought` is what `seals` found in the range.
    """
    known = {*heads, *heads.values()}
    inside = [c for c in repo.commits(base, tip) if c in known and c != tip] if known else []
    found: list[Landing] = []
    before = base
    for head in [*inside, tip]:
        own = set(repo.commits(before, head)) if inside else None
        code = before is None or any(not in_ledger(config, p) for p in repo.changed_paths(before, head))
        new = frozenset(s.seal for s in brought if own is None or s.commit in own)
        found.append(Landing(head, repo.tree(head) or "", code, new))
        before = head
    return found
