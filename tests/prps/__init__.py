"""Tests of live PRP state: real clones, a real remote, a real server, people and agents at their desks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from prpgate import config as configuration
from prpgate import prps, record, smoke
from prpgate.errors import UserError
from prpgate.gitrepo import Repo
from prpgate.model import Agent, Verdict
from prpgate.store.client import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from prpgate.live import PrpState
    from prpgate.milestone import Done
    from tests.world import Clone, Server, World

LEDGER = "plans/prps.yaml"
TOML = f'project = "example/app"\n[ledger]\npath = "{LEDGER}"\n'


def entry(prp_id: str, status: str, stable: int, *more: str) -> str:
    """One old entry: no rev, no owner, nulls where nothing was, a line at the end that milestones never touch."""
    lines = [
        f"  {prp_id}:",
        f"    title: The work of {prp_id}",
        f"    status: {status}",
        "    validated_at: '2025-07-16T08:00:00Z'",
        "    started_at: null",
        "    completed_at: null",
        "    github_commit: null",
        "    ci_run_url: null",
        *(f"    {line}" for line in more),
        f"    stable_id: PRP-{stable}",
    ]
    return "\n".join(lines) + "\n"


OLD = (
    "metadata:\n  version: '2.0'\nprp_tracking:\n"
    + entry("P1-001", "complete", 1001)
    + entry("P1-002", "in_progress", 1002)
    + entry("P1-003", "validated", 1003)
    + entry("P1-004", "new", 1004, "# nobody looked at it yet", "depends_on: [P1-003]")
    + entry("P1-005", "validated", 1005, "deprecated: true", "superseded_by: PRP-1003")
    + entry("P1-006", "validated", 1006, "depends_on: [PRP-1001]", "corrected_priority: P0")
    + "stats:\n  total_prps: 6\n"
)


class Desk:
    """A person or agent in a clone, with the store at hand."""

    def __init__(self, clone: Clone, server: Server, *, config: str = TOML, is_person: bool = False) -> None:
        self.clone, self.name = clone, clone.agent
        self.config = configuration.parse(config, "prp.toml")
        self.store = Store.over(server.redis(), self.config.project)
        self.repo = Repo(str(clone.path))
        agent = Agent(clone.agent, "PRP_AGENT")
        self.ctx = prps.Context(self.store, self.repo, self.config, agent, "box", self.repo.git_dir, is_person)

    # --- verbs
    def __getattr__(self, verb: str) -> Callable[..., Done]:
        function: Callable[..., Done] = getattr(prps, verb)
        return lambda *args, **more: function(self.ctx, *args, **more)

    def why(self, prp_id: str) -> prps.Why:
        return prps.why(self.ctx, prp_id)

    def choice(self, domain: str | None = None) -> prps.Choice:
        return prps.choice(self.ctx, domain)

    def code(self, verb: str, *args: Any, **more: Any) -> str:
        """The code of a refusal, or "" when the verb was taken, "already" when it had been before."""
        try:
            done: Done = getattr(self, verb)(*args, **more)
        except UserError as e:
            return e.code
        return "already" if done.already else ""

    def sync(self, **more: Any) -> prps.SyncReport:
        return prps.sync(self.repo, self.store, self.config, **more)

    def prp(self, prp_id: str) -> PrpState:
        return prps.read(self.store, self.config).prps[prp_id]

    # --- git
    def ledger(self) -> str:
        return self.clone.read(self.config.ledger_path)

    def edit(self, prp_id: str, old: str, new: str) -> None:
        """Change one line of one entry by hand."""
        text = self.ledger()
        head, found, tail = text.partition(f"  {prp_id}:\n")
        assert found and old in tail
        self.clone.write(self.config.ledger_path, head + found + tail.replace(old, new, 1))

    def commit(self, message: str, **files: str) -> str:
        return self.clone.commit_files(message, files)

    def push(self) -> str:
        self.clone.git("push", "-q", "origin", "HEAD:main")
        return self.clone.head

    def land(self, message: str = "work", *, code: bool = True, record: str = "landed") -> str:
        """Commit all there is, push it to main, and note it as the lane does. The head."""
        if code:
            self.clone.write(f"src/{self.name}.txt", f"{message} {self.clone.head}")
        base = self.repo.sha("refs/remotes/origin/main") or ""
        head = self.commit(message)
        ids, changes = prps.prps_of_range(self.repo, self.config, base, head)
        self.push()
        self.note_landing(head, base, ids, changes, record)
        return head

    def note_landing(self, head: str, base: str, ids: list[str], code: bool, record: str = "landed") -> None:
        seconds, micro = self.store.redis.time()
        about = {"record": record, "agent": self.name, "base": base, "fence": 7, "tree": self.repo.tree(head)}
        about |= {"at": seconds * 1000 + micro // 1000, "prps": ids, "code": code}
        self.store.redis.hset(self.store.keys.lane("main").rec, head, json.dumps(about))

    def pull(self) -> None:
        self.clone.git("pull", "-q", "--rebase", "--autostash")

    def revert(self, sha: str) -> str:
        self.clone.git("revert", "--no-edit", sha)
        return self.clone.head

    def smoke(self, rev: str = "HEAD", result: str = "green", klass: str = "local") -> Any:
        """Record a verdict on a commit's tree."""
        sha, tree = self.repo.sha(rev) or "", self.repo.tree(rev) or ""
        steps = smoke.hash_of(self.config)
        return prps.note_verdict(self.store, Verdict(tree, steps, klass, result), agent=self.name, sha=sha)

    def lapse(self, prp_id: str) -> None:
        """Let a claim's time run out."""
        self._overdue(self.store.keys.claims, prp_id)

    def suspect(self, prp_id: str) -> None:
        """Let a claim's lease run out, but not the time in which it is still its owner's."""
        raw = self.store.redis.hget(self.store.keys.claims, prp_id)
        assert isinstance(raw, str)
        self.store.redis.hset(self.store.keys.claims, prp_id, json.dumps({**json.loads(raw), "deadline": 1}))

    def lapse_marker(self, prp_id: str) -> None:
        self._overdue(self.store.keys.completing, prp_id)

    def _overdue(self, key: str, prp_id: str) -> None:
        raw = self.store.redis.hget(key, prp_id)
        assert isinstance(raw, str)
        self.store.redis.hset(key, prp_id, json.dumps({**json.loads(raw), "deadline": 1, "over": 1}))

    def events(self, prp_id: str) -> list[str]:
        from prpgate import events

        return [e.event for e in events.history(self.store, prp_id) if e.lane is None]

    def snapshot(self) -> dict[str, Any]:
        """What the store holds of PRPs, times and events aside."""
        keys, client = self.store.keys, self.store.redis
        names = [keys.recorded, keys.pending, keys.claims, keys.completing, keys.maxrev, keys.unproven]
        names += [keys.marks, keys.notes, keys.briefs]
        lone = {"cursor": client.get(keys.cursor), "open": client.zrange(keys.open, 0, -1)}
        return {**lone, **{name: client.hgetall(name) for name in names}}

    def record(self, rev: str = "HEAD") -> record.Record:
        return record.at(self.repo, self.config, self.repo.sha(rev) or "")


def office(world: World, server: Server, *names: str, ledger: str = OLD, config: str = TOML) -> list[Desk]:
    """Clones of a remote whose main has the ledger; the store is filled from it."""
    first = world.clone(names[0], first=True)
    path = configuration.parse(config, "prp.toml").ledger_path
    files = {"prp.toml": config} | ({} if path.endswith("/") else {path: ledger})
    first.commit_files("the ledger", files)
    first.git("push", "-q")
    desks = [Desk(c, server, config=config) for c in [first, *(world.clone(n) for n in names[1:])]]
    desks[0].sync()
    return desks
