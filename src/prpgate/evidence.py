"""Evidence that a PRP is done, fetched and never typed: a landing of its work whose tree has a green verdict."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from . import smoke

if TYPE_CHECKING:
    from collections.abc import Collection

    from .config import Config
    from .gitrepo import Repo
    from .live import Claim
    from .model import Verdict
    from .store.client import Store


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
    """Verdict classes that count. With gate none there is no CI to ask, so a local one does."""
    return ("ci", "local") if config.gate == "none" else ("ci",)


def find(store: Store, repo: Repo, config: Config, tip: str, ids: Collection[str], claim: Claim) -> list[Evidence]:
    """Landings of this claim's work, newest first, each with the best verdict there is of its tree.

    Counted are pushes in the claim's time that named one of `ids`, changed more than the ledger, and are still in
    the lane under `tip`.
    """
    steps = smoke.steps_hash(config.smoke, config.smoke_budget_s)
    client: Any = store.redis
    with store.faults():
        records: dict[str, str] = client.hgetall(store.keys.lane(config.ledger_lane).rec)
    ours = []
    for head, text in records.items():
        one = json.loads(text)
        named = any(i in ids for i in one.get("prps") or ())
        landed = one.get("record") in ("landed", "late", "foreign")
        if named and landed and one.get("code") and one.get("tree") and one.get("at", 0) >= claim.since_ms:
            ours.append((one["at"], head, one))
    ours = [x for x in sorted(ours, key=lambda x: x[:2], reverse=True) if repo.is_ancestor(x[1], tip)]
    fields = [(x, k, f"{x[2]['tree']}:{steps}:{k}") for x in ours for k in classes(config)]
    if not fields:
        return []
    with store.faults():
        verdicts = client.hmget(store.keys.verdicts, [f for _, _, f in fields])
    found: dict[str, Evidence] = {}
    for ((_, head, one), klass, field), text in zip(fields, verdicts, strict=True):
        verdict = json.loads(text or "{}")
        result = verdict.get("result", "")
        url = verdict.get("run_url") or one.get("run_url") or None
        if head not in found or (result == "green" and found[head].result != "green"):
            found[head] = Evidence(head, one["tree"], field, klass, steps, result, url)
    return list(found.values())


def note_verdict(store: Store, verdict: Verdict, *, agent: str, sha: str, run_url: str | None = None) -> Recorded:
    """Record what a smoke gate said of a tree, and complete the landed PRPs that it proves. Raises StoreDown.

    Class "ci": green and red are written once, unknown may be replaced by them. Class "local": the newest attempt
    stands, because an environment may be mended. Every attempt is an event. With a gate other than none only class
    "ci" proves anything.
    """
    from .live import script_keys

    args = [verdict.tree, verdict.steps, verdict.klass, verdict.result, agent, sha, run_url or ""]
    answer = store.run("prp_verdict", script_keys(store.keys), args)
    return Recorded(answer["code"] == "written", answer["result"], list(answer["proven"]))
