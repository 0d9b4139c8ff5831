"""Gate ci-first at a guarded server: candidates pass without the lock, a lane takes only what CI has proven."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from prpgate.candidate_lock import CandidateLock
from prpgate.gate import own_steps
from prpgate.gitrepo import Repo
from tests.e2e.test_land import answer, begin, end, until
from tests.server.conftest import Guarded, said

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.world import Clone

RUN_URL = "https://ci.example/1"


@pytest.fixture
def first(tmp_path: Path, home: Path) -> Iterator[Guarded]:
    one = Guarded(tmp_path)
    toml = one.ana.read("prp.toml")
    one.ana.commit_files("gate", {"prp.toml": toml.replace('gate = "none"', 'gate = "ci-first"')})
    one.ana.git("push", "-q")
    one.settle()
    one.quiet()
    yield one
    one.quiet()


def proven(project: Guarded, clone: Clone) -> str:
    """CI says green of what is checked out there; the commit."""
    repo = Repo(str(clone.path))
    tree = repo.tree("HEAD")
    assert tree is not None
    lock = project.lock()
    with lock.store:
        lock.verdict(clone.head, tree, own_steps(repo, project.config, clone.head), "ci", "green", run_url=RUN_URL)
    return clone.head


def test_prp_land_puts_its_candidate_there_and_lands_what_ci_proved(first: Guarded) -> None:
    head = first.ana.commit_files("work", {"w.txt": "w"})
    landing = begin(first.ana, "--json")
    lock = first.lock()
    trial = CandidateLock(lock.store, "main", lock.times)
    until(lambda: trial.state().candidate is not None, "it is announced")
    fence = trial.state().fence
    until(lambda: first.tip_or_none(f"prp-lane/{fence}") == head, "the server took the candidate")
    repo = Repo(str(first.ana.path))
    key = f"{repo.tree(head)}:{own_steps(repo, first.config, head)}:ci"
    trial.proof(fence, head, key, "green", by="ci", reason="1 step passed", run_url=RUN_URL)
    done = answer(end(landing))
    assert (done["landed"], done["sha"], first.tip()) == (True, head, head)
    assert first.tip_or_none(f"prp-lane/{fence}") is None
    record = trial.record(head)
    lock.store.close()
    assert record is not None
    assert (record.record, record.verdict) == ("landed", "green")


@pytest.mark.parametrize("hooks", ["with", "without"])
def test_a_push_that_ci_has_not_proven_is_refused_with_the_way_on(first: Guarded, hooks: str) -> None:
    round_the_hook = ["--no-verify"] if hooks == "without" else []
    head = first.ana.commit_files("work", {"w.txt": "w"})
    done = first.ana.git("push", "-q", *round_the_hook, ok=False)
    assert done.code != 0
    text = "\n".join(said(done)) if round_the_hook else done.err
    assert "its gate is ci-first, and CI has not proven what you push" in text
    assert "prp land" in text
    assert first.state().state == "free"
    assert proven(first, first.ana) == head
    first.ana.git("push", "-q", *round_the_hook)
    first.quiet()
    assert first.tip() == head
    lock = first.lock()
    with lock.store:
        record = lock.record(head)
    assert record is not None
    assert (record.record, record.verdict) == ("landed", "green")


def test_candidates_pass_without_the_lock_and_whatever_is_a_lane(first: Guarded) -> None:
    ben = first.plain("ben")
    ben.commit_files("anything", {"x.txt": "x"})
    ben.git("push", "-q", "origin", "HEAD:refs/heads/prp-lane/99")
    ben.git("push", "-q", "origin", ":prp-lane/99")
    assert [e for e, sha, _ in first.log() if sha == ben.head] == []
