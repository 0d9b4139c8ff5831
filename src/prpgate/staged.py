"""What a commit right now would do to the ledger: the index against HEAD and against what is being merged in."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from . import ledger, policy, rules
from .config import FILE, parse
from .errors import UsageError
from .gitrepo import Repo
from .messages import commit as say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .config import Config
    from .ledger import Ledger
    from .model import Finding

_GITHEAD = "GITHEAD_"


class Staged(Repo):
    """The repository as a hook sees it, from the top of its working tree (git starts its hooks there).

    `told` is what the stub found out already (its environment); what every commit needs besides is read by one git
    process at once. Each process less is a quarter of a Python start. Nothing told: everything is asked of git.
    """

    def __init__(self, told: Mapping[str, str]) -> None:
        super().__init__(".")
        self.top = os.getcwd()
        self._told = told if {"PRP_DIR", "PRP_LANE", "PRP_LEDGER"} <= told.keys() else {}
        self._ahead: dict[str, tuple[str | None, bytes | None]] = {}  # what was asked for -> its id, its content
        if self._told:
            self._read_ahead(self._told["PRP_LANE"].partition(" "), self._told["PRP_LEDGER"])

    @property
    def git_dir(self) -> str:
        return os.path.abspath(self._told["PRP_DIR"]) if self._told else super().git_dir

    def config(self, name: str) -> str | None:
        return self._told.get("PRP_LANE") if name == policy.RECORD and self._told else super().config(name)

    def _read_ahead(self, lane: tuple[str, str, str], ledger_path: str) -> None:
        """Read what will be asked for: the lane's tip and policy, policy and ledger in the index and in HEAD. What the
        stub is wrong about is asked for again."""
        record, own = self.tracking(lane[0], lane[2]), self.own_ref(lane[0], lane[2])
        asked = [record, own, f"{record}:{FILE}", f":{FILE}", f"HEAD:{FILE}"]
        if not ledger_path.endswith("/"):
            asked += [f":{ledger_path}", f"HEAD:{ledger_path}"]
        if any("\n" in name for name in asked):
            return
        names = "".join(f"{name}\n" for name in asked).encode("utf-8", "surrogateescape")
        out = self.run("cat-file", "--batch", stdin=names).stdout
        at = 0
        for name in asked:
            end = out.index(b"\n", at)
            words = out[at:end].decode("utf-8", "replace").rsplit(" ", 2)
            at = end + 1
            self._ahead[name] = None, None
            if len(words) == 3 and words[2].isdigit():  # "<id> <kind> <size>", not "<name> missing"
                size = int(words[2])
                self._ahead[name] = words[0], out[at : at + size] if words[1] == "blob" else None
                at += size + 1
        if tip := self._ahead[record][0]:
            self._ahead[f"{tip}:{FILE}"] = self._ahead[f"{record}:{FILE}"]

    def _tips(self, tracking: str, own: str) -> tuple[str | None, str | None]:
        return self.sha(tracking), self.sha(own)

    def sha(self, rev: str) -> str | None:
        return self._ahead[rev][0] if rev in self._ahead else super().sha(rev)

    def blobs(self, specs: list[str]) -> list[bytes | None]:
        if all(spec in self._ahead for spec in specs):
            return [self._ahead[spec][1] for spec in specs]
        return super().blobs(specs)


class Change(NamedTuple):
    """What is staged, with what it is judged against."""

    before: Ledger  # HEAD's; empty and `missing` before the first commit
    after: Ledger
    findings: tuple[Finding, ...]

    @property
    def milestones(self) -> bool:
        """Whether sealed lines change: only of those does the store know more than the ledger."""
        was = {prp.id: prp.rev for prp in self.before.prps.values()}
        return any(prp.rev is not None and prp.rev != was.get(prp.id) for prp in self.after.prps.values())


def merged_in(repo: Repo) -> list[str]:
    """The commits being merged into HEAD; none when no merge is under way.

    git writes MERGE_HEAD only after pre-merge-commit has passed. Until then variables of the environment name them;
    those of a merge that is over already (we run below its post-merge hook, say) are part of HEAD and do not count.
    """
    named = [name.removeprefix(_GITHEAD) for name in os.environ if name.startswith(_GITHEAD)]
    heads = [sha for sha in named if not repo.is_ancestor(sha, "HEAD")]
    try:
        with open(os.path.join(repo.git_dir, "MERGE_HEAD"), encoding="ascii") as f:
            heads += f.read().split()
    except FileNotFoundError:
        pass
    return list(dict.fromkeys(heads))


def takes_back(repo: Repo) -> bool:
    """Whether what is about to be committed is a revert, as far as git knows before it has the final message."""
    if os.path.exists(os.path.join(repo.git_dir, "REVERT_HEAD")):
        return True
    try:
        with open(os.path.join(repo.git_dir, "MERGE_MSG"), "rb") as f:
            return f.read(7) == b"Revert "
    except FileNotFoundError:
        return False


def judge(repo: Repo, config: Config) -> Change:
    """Judge what is staged. Offline. Raises CouldNotTell when git cannot give what is needed (a shallow clone)."""
    before, after = ledger.load(repo, config, "HEAD"), ledger.load(repo, config, "")
    parents: list[Ledger] = []
    base = None
    heads = merged_in(repo)
    if heads:
        parents = [before, *(ledger.load(repo, config, sha) for sha in heads)]
        fork = repo.maybe("merge-base", "HEAD", heads[0]) if len(heads) == 1 else None
        base = ledger.load(repo, config, fork) if fork else None
    found = rules.check_change(before, after, parents, takes_back(repo), base=base, id_pattern=config.id_pattern)
    if found and not heads:
        found = _not_restored(repo, config, after, found)
    return Change(before, after, tuple(found))


def _not_restored(repo: Repo, config: Config, after: Ledger, found: list[Finding]) -> list[Finding]:
    """Findings without those on entries that are as the lane has them: a slip in a commit of one's own is mended so."""
    tip = repo.known_tip(config.remote, config.ledger_lane)
    if tip is None:
        return found
    lane = ledger.load(repo, config, tip)
    same = {i for i, prp in after.prps.items() if i in lane.prps and lane.prps[i].fields == prp.fields}
    return [f for f in found if f.id not in same]


def check_policy(repo: Repo) -> str | None:
    """A remark on a staged prp.toml, None without one. Raises UsageError when it cannot be read: once landed it would
    bind everybody."""
    staged, head = repo.blobs([f":{FILE}", f"HEAD:{FILE}"])
    if staged is None and head is not None:
        return say.POLICY_REMOVED
    if staged is None or staged == head:
        return None
    try:
        text = staged.decode("utf-8")
    except UnicodeDecodeError as e:
        raise UsageError(f"{FILE} (staged) is not UTF-8: byte 0x{staged[e.start]:02x}.", code="config") from None
    config = parse(text, f"{FILE} (staged)")
    return say.unknown_options(config.unknown) if config.unknown else None
