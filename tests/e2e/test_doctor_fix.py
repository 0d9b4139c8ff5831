"""`prp doctor --fix`: shows what it would change, and changes it when told to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from prpgate import claimfile
from tests.e2e.conftest import LEDGER

if TYPE_CHECKING:
    from tests.e2e.conftest import Project


def test_it_shows_first_and_mends_when_told(project: Project) -> None:
    ana, ben = project.ana, project.join("ben")
    hooks = Path(ben.path, ".git", "hooks")
    (hooks / "pre-commit").unlink()
    (hooks / "pre-push").write_text((hooks / "pre-push").read_text() + "# an older one\n")
    claimfile.keep(str(Path(ben.path, ".git")), "P2-040", 12345, "ben")
    ana.commit_files("feat(P2-040): more", {"more.txt": "x"})
    ana.git("push", "-q")
    project.settle()
    before = (ben.read(LEDGER), sorted(p.name for p in hooks.iterdir()))

    planned = ben.prp("doctor", "--fix", ok=False)
    for words in ("hooks: ", "pre-commit", "stats: stats.", "claims: forget the claim on P2-040", "doctor --fix --yes"):
        assert words in planned.out, planned
    assert (ben.read(LEDGER), sorted(p.name for p in hooks.iterdir())) == before
    assert claimfile.fence(str(Path(ben.path, ".git")), "P2-040", "ben") == "12345"

    done = json.loads(ben.prp("doctor", "--fix", "--yes", "--json").out)
    assert done["ok"] is True and done["fixed"]
    assert (hooks / "pre-commit").exists() and "# an older one" not in (hooks / "pre-push").read_text()
    assert claimfile.fence(str(Path(ben.path, ".git")), "P2-040", "ben") == ""
    assert "stats.total_prps" not in ben.prp("doctor", "--fix", "--yes").out
    assert "Nothing to mend" in ben.prp("doctor", "--fix").out
    changed = ben.git("diff", "--stat").out
    assert LEDGER.rpartition("/")[2] in changed
    assert "nothing to tidy" in ben.prp("ledger", "tidy").out


def test_the_merge_driver_is_mended_too(project: Project) -> None:
    ben = project.join("ben")
    ben.git("config", "--remove-section", "merge.prp")
    assert "merges: " in ben.prp("doctor", "--fix").out
    ben.prp("doctor", "--fix", "--yes")
    assert ben.git("config", "merge.prp.driver").out
    assert "Nothing to mend" in ben.prp("doctor", "--fix").out


def test_it_says_what_is_wrong_with_the_lane_and_that_a_clone_is_behind(project: Project) -> None:
    ana, ben = project.ana, project.join("ben")
    ana.prp("start", "P2-040")
    ana.git("commit", "-qam", "P2-040: begin")
    ana.git("push", "-q")
    project.settle()
    behind = ben.prp("doctor")
    assert "this clone knows origin/main at" in behind.out and "git pull" in behind.out
    ben.git("fetch", "-q")
    assert "main here is 1 commit behind origin/main" in ben.prp("doctor").out
    ben.git("pull", "-q", "--rebase")
    assert "all is well" in ben.prp("doctor").out

    text = ben.read(LEDGER)
    ben.write(LEDGER, text.replace("owner: ana", "owner: eve"))
    said = ben.prp("doctor", ok=False)
    assert said.code == 1 and "prp check --all" in said.out
    ben.git("commit", "-qam", "by hand", "--no-verify")
    ben.git("push", "-q", "--no-verify")
    behind = ben.prp("doctor", ok=False)
    assert "the store has seen" in behind.out and "prp redis-sync" in behind.out
    for clone in (ben, ana):
        clone.git("pull", "-q", "--rebase")
        clone.prp("redis-sync", ok=False)
        said = clone.prp("doctor", ok=False)
        assert said.code == 1
        assert "the ledger of main: P2-040: " in said.out and "prp sync" in said.out


def test_a_live_claim_is_left_alone_and_a_store_that_is_behind_is_synced(project: Project) -> None:
    ana, ben = project.ana, project.join("ben")
    ben.prp("ledger", "tidy")
    ben.prp("start", "P2-040")
    ana.commit_files("feat(P2-040): more", {"more.txt": "x"})
    base = ana.git("rev-parse", "origin/main").out.strip()
    ana.git("push", "-q", "--no-verify")
    ben.git("fetch", "-q")
    assert json.loads(ben.prp("sync", "--json").out)["cursor_before"] == base
    done = ben.prp("doctor", "--fix", "--yes")
    assert "sync: the store has seen" in done.out and "claims:" not in done.out
    assert json.loads(ben.prp("sync", "--json").out)["cursor"] == project.tip()
    assert claimfile.mine(str(Path(ben.path, ".git")), "ben")


def test_a_wiped_store_is_for_a_person(project: Project) -> None:
    from prpgate.ops import Session

    session = Session(str(project.ana.path))
    session.store().redis.flushall()
    session.close()
    said = project.ana.prp("doctor", "--fix", "--yes", ok=False)
    assert said.code == 1
    assert "prp rebuild" in said.out


def test_tidy_is_a_command_of_its_own(project: Project) -> None:
    answer = json.loads(project.ana.prp("ledger", "tidy", "--json").out)
    assert answer["changed"] and answer["changed_file"] == LEDGER
    assert "PRP140" not in project.ana.prp("check", "--all", ok=False).text
    project.ana.commit_files("Tidy the ledger's figures", {})
