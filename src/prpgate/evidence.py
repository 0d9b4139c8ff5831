"""Evidence that a PRP is done, fetched and never typed: a landing of its work whose tree has a green verdict."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from . import smoke
from .messages import evidence as say
from .model import ZERO
from .reverts import REVERTS, taken_back

if TYPE_CHECKING:
    from collections.abc import Collection

    from .config import Config
    from .gitrepo import Repo
    from .live import Claim, PrpState
    from .model import Verdict
    from .store.client import Store


IN_LANE = ("landed", "late", "foreign")


class Evidence(NamedTuple):
    """A landing of a PRP's work, and what is known of its tree."""

    head: str
    tree: str
    field: str  # of the verdict, in the store
    klass: str
    steps: str
    result: str  # "green", "red", "unknown", or "" for no verdict
    run_url: str | None

    def fields(self) -> dict[str, Any]:
        """What the complete line says."""
        proof = f"{self.result} {self.klass} {self.steps} {self.tree[:12]}"
        return {"github_commit": self.head, "ci_run_url": self.run_url, "verdict": proof}


class Recorded(NamedTuple):
    """What became of a verdict."""

    written: bool  # False: another one stands
    result: str  # what stands now
    proven: list[str]  # PRPs that are complete by it


def classes(config: Config) -> tuple[str, ...]:
    """Verdict classes that count. Without CI as the gate there is none to ask, so a local one does."""
    return ("ci",) if config.gate in ("ci", "ci-first") else ("ci", "local")


def find(store: Store, repo: Repo, config: Config, tip: str, ids: Collection[str], claim: Claim) -> list[Evidence]:
    """Landings of this claim's work, newest first, each with the best verdict there is of a tip that has it.

    Counted are pushes in the claim's time that named one of `ids`, changed more than the ledger, and are still in
    the lane under `tip`. A landing is green by its own tree, or by the tree of a later tip that it is under: others
    land in between, and what is smoked then holds their work too.
    """
    client: Any = store.redis
    with store.faults():
        records: dict[str, str] = client.hgetall(store.keys.lane(config.ledger_lane).rec)
    known = {head: json.loads(text) for head, text in records.items()}
    tips = {head: one for head, one in known.items() if one.get("record") in IN_LANE and one.get("tree")}
    ours = [
        head
        for head, one in tips.items()
        if one.get("code") and one.get("at", 0) >= claim.since_ms and any(i in ids for i in one.get("prps") or ())
    ]
    ours = [h for h in sorted(ours, key=lambda h: (tips[h]["at"], h), reverse=True) if repo.is_ancestor(h, tip)]
    ours = [h for h in ours if not _taken_back(repo, str(tips[h].get("base") or ""), h, tip)]
    ours = [h for h in ours if not _takes_back(repo, str(tips[h].get("base") or ""), h)]
    if not ours:
        return []
    if tip not in tips:  # pushed by nobody we know of, and as good a tip as any
        tips[tip] = {"tree": repo.tree(tip), "at": max(one["at"] for one in tips.values()) + 1}
    verdicts = _verdicts(store, config, {one["tree"] for one in tips.values()})
    found = []
    for head in ours:
        later = sorted((one["at"], h) for h, one in tips.items() if h != head and one["at"] >= tips[head]["at"])
        green = [h for _, h in later if _result(verdicts, tips[h]) == "green" and repo.is_ancestor(head, h)]
        shown = head if _result(verdicts, tips[head]) == "green" or not green else green[0]
        tree = tips[shown]["tree"]
        klass, verdict = verdicts.get(tree, ("", {}))
        url = verdict.get("run_url") or tips[shown].get("run_url") or None
        field = f"{tree}:{_steps(config)}:{klass or 'ci'}"
        found.append(Evidence(head, tree, field, klass, _steps(config), verdict.get("result", ""), url))
    return found


def _taken_back(repo: Repo, base: str, head: str, tip: str) -> bool:
    """Whether a commit of base..head was reverted under `tip`, and that revert not reverted in turn."""
    gone = taken_back(repo.messages(head, tip))
    return bool(gone) and any(sha in gone for sha, _ in repo.messages(base or ZERO, head))


def _takes_back(repo: Repo, base: str, head: str) -> bool:
    """Whether a landing is nothing but reverts: it names the PRP whose work it takes out, and is none of it."""
    return all(REVERTS.search(message) for _, message in repo.messages(base or ZERO, head))


def proof(repo: Repo, config: Config) -> str:
    """The command that gets a landed complete line its green verdict: one counts that is on a tree of the lane.

    After a landing on top of others' work the branch has a tree of its own, so the lane is taken in first; with work
    that has not landed it has one even then, so the tip is checked out for it.
    """
    if config.gate in ("ci", "ci-first"):
        return say.IN_CI
    tip = repo.known_tip(config.remote, config.ledger_lane)
    if tip is None or repo.head is None or repo.tree(repo.head) == repo.tree(tip):
        return say.HERE
    if repo.is_ancestor(tip, repo.head):
        return say.on_the_tip(config.remote, config.ledger_lane)
    return say.take_in_first(config.remote, config.ledger_lane)


def unlanded_paths(repo: Repo, tip: str, head: str) -> list[str]:
    """Paths that commits of tip..head change, without commits whose like is under the tip already."""
    told = ("log", "--format=", "--name-only", "-z", "--no-renames", "--no-merges")
    out = repo.run(*told, "--cherry-pick", "--right-only", f"{tip}...{head}", "--").stdout
    return sorted({p.decode("utf-8", "surrogateescape").lstrip("\n") for p in out.split(b"\0") if p.strip()})


def red(store: Store, tree: str) -> dict[str, Any] | None:
    """The newest red verdict on a tree, whatever its steps and class; None: there is none. Raises StoreDown."""
    client: Any = store.redis
    with store.faults():
        texts = [text for _, text in client.hscan_iter(store.keys.verdicts, match=f"{tree}:*", count=1000)]
    found = [one for one in map(json.loads, texts) if one.get("result") == "red"]
    return max(found, key=lambda one: float(one.get("at") or 0), default=None)


def waiting(store: Store) -> list[str]:
    """Ids of the complete lines that have landed and wait for a green verdict."""
    client: Any = store.redis
    with store.faults():
        return sorted(client.hkeys(store.keys.unproven))


def green(store: Store, repo: Repo, config: Config, tip: str, p: PrpState, claim: Claim) -> Evidence | None:
    """The newest green landing of the claim's work, None when none of it has landed. Refuses what is not green."""
    found = find(store, repo, config, tip, p.ids, claim)
    proof = next((e for e in found if e.result == "green"), None)
    if proof is None and found and p.phase != "completing":
        raise say.not_green(p.id, found[0], config)
    return proof


def _steps(config: Config) -> str:
    return smoke.hash_of(config)


def _result(verdicts: dict[str, tuple[str, dict[str, Any]]], one: dict[str, Any]) -> str:
    return str(verdicts.get(one["tree"], ("", {}))[1].get("result", ""))


def _verdicts(store: Store, config: Config, trees: Collection[str]) -> dict[str, tuple[str, dict[str, Any]]]:
    """tree -> (class, verdict), the best of the classes that count: green before anything else."""
    asked = [(tree, klass) for tree in sorted(trees) for klass in classes(config)]
    client: Any = store.redis
    with store.faults():
        texts = client.hmget(store.keys.verdicts, [f"{tree}:{_steps(config)}:{klass}" for tree, klass in asked])
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for (tree, klass), text in zip(asked, texts, strict=True):
        if text and (tree not in found or json.loads(text).get("result") == "green"):
            if tree in found and found[tree][1].get("result") == "green":
                continue
            found[tree] = klass, json.loads(text)
    return found


def note_verdict(
    store: Store, verdict: Verdict, *, agent: str, sha: str, run_url: str | None = None, proven_ms: int | None = None
) -> Recorded:
    """Record what a smoke gate said of a tree, and complete the landed PRPs that it proves. Raises StoreDown.

    Class "ci": green and red are written once, unknown may be replaced by them. Class "local": the newest attempt
    stands, because an environment may be mended. Every attempt is an event. With gate ci only class "ci" proves
    anything. `proven_ms`: nothing was run for it now, it is cached or inherited from a run that ended then; so it
    replaces no green or red.
    """
    from .live import script_keys

    args = [verdict.tree, verdict.steps, verdict.klass, verdict.result, agent, sha, run_url or "", proven_ms or ""]
    answer = store.run("prp_verdict", script_keys(store.keys), args)
    return Recorded(answer["code"] == "written", answer["result"], list(answer["proven"]))
