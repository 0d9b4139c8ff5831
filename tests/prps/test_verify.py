"""Old claims, checked: each fault of an old ledger is found and named, and what is true passes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from prpgate import verify
from prpgate.verify import FALSE, NOTE, UNKNOWN, names_a_run
from tests.prps import LEDGER, TOML, Desk, office
from tests.world import Clone, World, run

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from prpgate.verify import Verified
    from tests.world import Server

RUN = "https://ci.example.org/app/runs/{}"
BOARD = "https://ci.example.org/app_v1/actions"


def old_entry(prp_id: str, n: int, **fields: str | None) -> str:
    said: dict[str, str | None] = {
        "status": "complete",
        "validated_at": "2025-07-10T10:00:00Z",
        "started_at": "2025-07-10T11:00:00Z",
        "completed_at": "2036-01-01T00:00:00Z",
        "github_commit": None,
        "ci_run_url": RUN.format(1000 + n),
        **fields,
    }
    lines = [f"    {k}: {'null' if v is None else repr(v)}" for k, v in said.items()]
    return f"  {prp_id}:\n    title: Work {n}\n" + "\n".join(lines) + f"\n    stable_id: PRP-{1000 + n}\n"


def ledger(entries: Iterable[str]) -> str:
    return "prp_tracking:\n" + "".join(entries)


class Archive:
    """A lane with real commits and a ledger about them."""

    def __init__(self, world: World) -> None:
        self.ann = world.clone("ann", first=True)
        self.ann.commit_files("Use prpgate", {"prp.toml": TOML})
        self.world = world

    def work(self, message: str = "work", when: str = "2026-01-02T00:00:00Z") -> str:
        self.ann.write("work.txt", message + self.ann.head)
        self.ann.git("add", "-A")
        self.ann.git("commit", "-q", "-m", message, env={"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when})
        return self.ann.head

    def record(self, *entries: str) -> None:
        self.ann.commit_files("ledger", {LEDGER: ledger(entries)})
        self.ann.git("push", "-q", "origin", "HEAD:main")

    def verify(self, *only: str) -> Verified:
        from prpgate import config as configuration
        from prpgate.gitrepo import Repo

        repo = Repo(str(self.ann.path))
        config = configuration.parse(TOML, "prp.toml")
        return verify.verify(repo, None, config, self.world.tip(), list(only) or None)


@pytest.fixture
def archive(world: World) -> Archive:
    return Archive(world)


DONE_AT = "2026-01-03T00:00:00Z"


def codes(found: Verified, prp_id: str, level: str = FALSE) -> list[str]:
    return [d.code for d in found.doubts if d.id == prp_id and d.level == level]


def test_what_is_true_holds(archive: Archive) -> None:
    sha = archive.work()
    archive.record(old_entry("P1-001", 1, github_commit=sha[:10], completed_at=DONE_AT))
    found = archive.verify()
    assert (found.checked, found.doubts, found.groups) == (["P1-001"], [], [])


def test_an_untidy_ledger_of_fifteen(archive: Archive) -> None:
    """One placeholder for nine, one commit for four, a commit that is nowhere, and two that are right."""
    shared, good, other = archive.work("one"), archive.work("two"), archive.work("three")
    nine = [old_entry(f"P0-{n:03d}", n, ci_run_url=BOARD, completed_at=DONE_AT) for n in range(9)]
    four = [old_entry(f"P2-{n:03d}", 20 + n, github_commit=shared[:7], completed_at=DONE_AT) for n in range(4)]
    gone = old_entry("P3-001", 30, github_commit="abcdef1", completed_at=DONE_AT)
    right = [old_entry(f"P4-{n}", 40 + n, github_commit=s, completed_at=DONE_AT) for n, s in enumerate((good, other))]
    archive.record(*nine, *four, gone, *right, old_entry("P5-001", 50, status="new"))
    found = archive.verify()
    assert [(g.code, g.value, len(g.ids), g.placeholder) for g in found.groups] == [
        ("shared-url", BOARD, 9, True),
        ("shared-commit", shared, 4, False),
    ]
    assert found.groups[0].ids == [f"P0-{n:03d}" for n in range(9)]
    assert set(found.ids(FALSE)) == {*found.groups[0].ids, *found.groups[1].ids, "P3-001"}
    assert codes(found, "P0-000") == ["placeholder-url", "shared-url"]
    assert codes(found, "P2-000") == ["shared-commit"]
    assert codes(found, "P3-001") == ["commit-missing"]
    assert "P5-001" not in found.checked
    assert all(d.mend and d.mend.startswith(f"prp reopen {d.id} --reason ") for d in found.doubts)


def test_one_prp_alone_still_names_its_group(archive: Archive) -> None:
    shared = archive.work()
    archive.record(*[old_entry(f"P2-{n:03d}", n, github_commit=shared, completed_at=DONE_AT) for n in range(3)])
    found = archive.verify("PRP-1001")
    assert found.checked == ["P2-001"]
    assert found.groups[0].ids == ["P2-000", "P2-001", "P2-002"]
    assert codes(found, "P2-001") == ["shared-commit"]


def test_a_commit_may_stand_for_those_that_its_message_claims(archive: Archive) -> None:
    shared = archive.work("all of it\n\nPrp: P2-000, P2-001, P2-002, P2-003\n")
    archive.record(*[old_entry(f"P2-{n:03d}", n, github_commit=shared, completed_at=DONE_AT) for n in range(4)])
    assert archive.verify().doubts == []


@pytest.mark.parametrize(
    ("claim", "code"),
    [("main", "commit-id"), ("HEAD", "commit-id"), ("abc", "commit-id"), ("0" * 40, "commit-missing")],
)
def test_what_is_no_commit_of_the_lane(archive: Archive, claim: str, code: str) -> None:
    archive.record(old_entry("P1-001", 1, github_commit=claim, completed_at=DONE_AT))
    assert codes(archive.verify(), "P1-001") == [code]


def test_a_commit_on_another_branch_is_not_in_the_lane(archive: Archive) -> None:
    archive.ann.git("checkout", "-q", "-b", "side")
    side = archive.work("never landed")
    archive.ann.git("checkout", "-q", "main")
    archive.record(old_entry("P1-001", 1, github_commit=side, completed_at=DONE_AT))
    assert codes(archive.verify(), "P1-001") == ["commit-not-in-lane"]


@pytest.mark.parametrize(
    ("url", "is_one"),
    [
        (RUN.format(7), True),
        ("https://ci.example.org/a/b/commit/3fa9c1b2aa/checks", True),
        (BOARD, False),
        (BOARD + "/", False),
        ("https://ci.example.org/runs/placeholder-1", False),
        ("https://ci.example.org/runs/TODO/2", False),
        ("https://ci2.example.org/actions", False),
        ("later", False),
    ],
)
def test_a_url_names_a_run_or_not(url: str, is_one: bool) -> None:
    assert names_a_run(url) is is_one


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"completed_at": "some day"}, "time"),
        ({"completed_at": "2999-01-01T00:00:00Z"}, "time-ahead"),
        ({"completed_at": "2025-07-10T10:30:00Z", "github_commit": None}, "time-backwards"),
        ({"completed_at": "2025-12-30T00:00:00Z"}, "time-before-commit"),
        ({"ci_run_url": "see the wiki"}, "url"),
    ],
)
def test_times_and_urls_that_cannot_be(archive: Archive, fields: dict[str, str | None], code: str) -> None:
    sha = archive.work()
    archive.record(old_entry("P1-001", 1, **{"github_commit": sha, "completed_at": DONE_AT, **fields}))
    assert codes(archive.verify(), "P1-001") == [code]


def test_without_evidence_or_time(archive: Archive) -> None:
    archive.record(old_entry("P1-001", 1, ci_run_url=None, completed_at=None))
    found = archive.verify()
    assert codes(found, "P1-001") == ["no-evidence"]
    assert codes(found, "P1-001", NOTE) == ["no-time"]


def test_a_shallow_clone_could_not_tell(archive: Archive, tmp_path: Path) -> None:
    sha = archive.work()
    archive.record(old_entry("P1-001", 1, github_commit=sha, completed_at=DONE_AT))
    run(["git", "clone", "-q", "--depth=1", f"file://{archive.world.remote}", tmp_path / "low"], tmp_path)
    archive.ann = Clone(tmp_path / "low", "low")
    found = archive.verify()
    assert codes(found, "P1-001", UNKNOWN) == ["commit-not-here"]
    assert found.ids(FALSE) == []
    said = archive.ann.prp("verify", ok=False)
    assert said.code == 5
    assert "git fetch --unshallow" in said.out


def test_evidence_that_was_reverted(archive: Archive) -> None:
    sha = archive.work()
    archive.record(old_entry("P1-001", 1, github_commit=sha, completed_at=DONE_AT))
    archive.ann.git("revert", "--no-edit", sha)
    back = archive.ann.head
    archive.ann.git("push", "-q", "origin", "HEAD:main")
    found = archive.verify()
    assert codes(found, "P1-001") == ["evidence-reverted"]
    assert back[:10] in found.doubts[0].why
    archive.ann.git("revert", "--no-edit", back)
    archive.ann.git("push", "-q", "origin", "HEAD:main")
    assert archive.verify().doubts == []


def test_work_that_was_reverted_after_the_line(archive: Archive) -> None:
    first, evidence = archive.work("feat(P1-001): one"), archive.work("feat(P1-001): two")
    archive.record(old_entry("P1-001", 1, github_commit=evidence, completed_at=DONE_AT))
    archive.ann.commit_files(f"Take one back\n\nThis reverts commit {first}.", {"work.txt": "none"})
    archive.ann.git("push", "-q", "origin", "HEAD:main")
    assert codes(archive.verify(), "P1-001") == ["work-reverted"]


def test_work_that_was_redone_before_the_line_is_fine(archive: Archive) -> None:
    first = archive.work("feat(P1-001): one")
    archive.ann.commit_files(f"Take one back\n\nThis reverts commit {first}.", {"work.txt": "none"})
    archive.record(old_entry("P1-001", 1, github_commit=archive.work("feat(P1-001): anew"), completed_at=DONE_AT))
    assert archive.verify().doubts == []


# --- lines that prpgate made -----------------------------------------------------------------------------------------


def completed(world: World, server: Server) -> Desk:
    """P1-003, complete with fetched evidence, and its line landed."""
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    ann.land("P1-003: all of it")
    ann.sync()
    ann.smoke()
    ann.complete("P1-003")
    ann.land("the line", code=False)
    ann.sync()
    return ann


def checked(desk: Desk, *only: str, store: bool = True) -> Verified:
    tip = desk.repo.sha("refs/remotes/origin/main") or ""
    return verify.verify(desk.repo, desk.store if store else None, desk.config, tip, only or None)


def test_fetched_evidence_holds(world: World, server: Server) -> None:
    ann = completed(world, server)
    assert checked(ann, "P1-003").doubts == []
    assert checked(ann, "P1-003", store=False).doubts == []


def test_a_verdict_that_the_store_forgot_is_a_note(world: World, server: Server) -> None:
    ann = completed(world, server)
    ann.store.redis.delete(ann.store.keys.verdicts)
    found = checked(ann, "P1-003")
    assert [(d.code, d.level) for d in found.doubts] == [("verdict-not-kept", NOTE)]


def test_a_verdict_that_the_store_contradicts_is_false(world: World, server: Server) -> None:
    ann = completed(world, server)
    client, key = ann.store.redis, ann.store.keys.verdicts
    for field, text in list(client.hgetall(key).items()):
        client.hset(key, field, str(text).replace("green", "red"))
    assert codes(checked(ann, "P1-003"), "P1-003") == ["verdict-contradicted"]


def sealed(desk: Desk, verdict: str) -> None:
    """The line again, with another verdict under a right seal: somebody who can compute one."""
    from prpgate import seal

    fields = {**desk.prp("P1-003").fields, "verdict": verdict}
    rev = str(fields["rev"])
    number = int(rev.partition("-")[0])
    text = desk.ledger().replace(str(desk.prp("P1-003").fields["verdict"]), verdict)
    desk.clone.write(LEDGER, text.replace(rev, seal.compute("P1-003", number, fields)))
    desk.land("forged", code=False)
    desk.sync()


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        ("green", "verdict"),
        ("red ci 000000000000 000000000000", "verdict-not-green"),
        ("green ci 000000000000 000000000000", "verdict-of-another-tree"),
    ],
)
def test_verdicts_that_prove_nothing(world: World, server: Server, verdict: str, code: str) -> None:
    ann = completed(world, server)
    sealed(ann, verdict)
    assert codes(checked(ann, "P1-003"), "P1-003") == [code]


def test_a_line_without_evidence_rests_on_what_the_store_knows(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    ann.complete("P1-003")
    ann.land("P1-003: all of it")
    ann.sync()
    assert codes(checked(ann, "P1-003"), "P1-003", NOTE) == ["waits"]
    ann.smoke()
    assert checked(ann, "P1-003").doubts == []
    assert codes(checked(ann, "P1-003", store=False), "P1-003", UNKNOWN) == ["proof-not-kept"]


def test_a_hand_edited_line_is_false(world: World, server: Server) -> None:
    ann = completed(world, server)
    ann.edit("P1-003", "completed_at: ", "completed_at: 2026-01-01T00:00:00Z # ")
    ann.land("by hand", code=False)
    found = checked(ann, "P1-003")
    assert codes(found, "P1-003") == ["hand-edited"]
    assert found.doubts[0].mend == "prp sync --apply --ours P1-003"


def test_reverted_work_under_a_line_that_stays(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    ann.complete("P1-003")
    work = ann.land("P1-003: all of it")
    ann.sync()
    ann.smoke()
    ann.commit(f"Take the code back only\n\nThis reverts commit {work}.", **{"src/ann.txt": "gone"})
    ann.push()
    ann.sync()
    assert codes(checked(ann, "P1-003"), "P1-003") == ["work-reverted"]


def test_the_command_and_its_exit_codes(archive: Archive) -> None:
    sha = archive.work()
    archive.record(
        old_entry("P1-001", 1, github_commit=sha, completed_at=DONE_AT),
        *[old_entry(f"P2-{n:03d}", 20 + n, ci_run_url=BOARD, completed_at=DONE_AT) for n in range(7)],
        old_entry("P5-001", 50, status="new"),
    )
    ann = archive.ann
    assert ann.prp("verify", "P1-001").code == 0
    assert "claims nothing" in ann.prp("verify", "P5-001").out
    assert ann.prp("verify", "P9-999", ok=False).code == 1
    bad = ann.prp("verify", "--all", ok=False)
    assert bad.code == 1
    assert f"placeholder {BOARD} stands for 7 PRPs: P2-000, P2-001" in bad.out
    assert "8 complete PRPs: 1 holds, 7 false, 0 could not be told" in bad.out
    told: dict[str, Any] = json.loads(ann.prp("verify", "--json", ok=False).out)
    assert (told["ok"], told["groups"][0]["ids"][0], len(told["false"])) == (False, "P2-000", 7)
    assert told["next_action"].startswith("prp reopen P2-000 --reason")
    assert ann.prp("verify", "P1-001", "--all", ok=False).code == 2


def test_hostile_values_are_inert(archive: Archive) -> None:
    archive.record(old_entry("P1-001", 1, ci_run_url="https://x/\\x1b[31m1", completed_at=DONE_AT))
    assert "\x1b" not in archive.ann.prp("verify", ok=False).text
