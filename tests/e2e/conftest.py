"""A repository that uses prpgate: a remote, a first clone with an untidy ledger, the embedded store of this home."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import ledgers
from tests.world import Clone, World

if TYPE_CHECKING:
    from pathlib import Path

TOTAL = 57


def untidy_ledger() -> str:
    """57 PRPs as untidy as a real team's; P2-020 is complete there and P2-040 is ready to start."""
    head, _, stats = ledgers.UNTIDY.partition("stats:\n")
    have = set(ledgers.UNTIDY_IDS)
    for wanted, status in (("P2-020", "complete"), ("P2-040", "validated")):
        if wanted not in have:
            head += _entry(wanted, status, len(have))
            have.add(wanted)
    for n in range(TOTAL - len(have)):
        head += _entry(f"P5-{n:03d}", "validated" if n % 3 == 0 else "complete", 500 + n)
    return head + "stats:\n" + stats


def _entry(prp_id: str, status: str, n: int) -> str:
    done = "'2025-07-18T22:37:00Z'" if status == "complete" else "null"
    return (
        f"  {prp_id}:\n    title: Work on {prp_id}\n    status: {status}\n    validated_at: '2025-07-16T08:00:00Z'\n"
        f"    started_at: {done}\n    completed_at: {done}\n    github_commit: null\n    ci_run_url: null\n"
        f"    notes: Ready for execution\n    stable_id: PRP-{2000 + n}\n    legacy_id: {prp_id}\n"
    )


LEDGER = ".claude/prp_tracking/prp_status.yaml"


class Project(World):
    """A world whose first clone has run `prp init` and pushed. `settings`: texts of prp.toml to replace."""

    def __init__(self, folder: Path, *, settings: dict[str, str] | None = None) -> None:
        super().__init__(folder)
        self.ana = self.clone("ana", first=True)
        self.ana.commit_files("ledger", {LEDGER: untidy_ledger()})
        self.ana.git("push", "-q")
        self.ana.prp("init", "--yes")
        toml = self.ana.read("prp.toml") + '\n[[smoke]]\nname = "quick"\nrun = "test -f README"\n'
        for old, new in (settings or {}).items():
            assert old in toml
            toml = toml.replace(old, new)
        self.ana.commit_files("Use prpgate", {"prp.toml": toml})
        self.ana.git("push", "-q")
        self.settle()

    def settle(self, lane: str = "main") -> None:
        """Wait until no hold is under way: the watcher reports a moment after the push has ended."""
        import json
        import time

        until = time.monotonic() + 30
        while time.monotonic() < until:
            lanes = json.loads(self.ana.prp("lock", "status", lane, "--json").out)["lanes"]
            if lanes[0]["state"] == "free":
                return
            time.sleep(0.05)
        raise AssertionError(f"{lane} did not become free: {lanes}")

    def join(self, name: str) -> Clone:
        clone = self.clone(name)
        clone.prp("join")
        return clone


@pytest.fixture
def project(tmp_path: Path, home: Path) -> Project:
    return Project(tmp_path)
