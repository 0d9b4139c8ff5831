"""pre-commit and pre-merge-commit: what is staged is judged, by real commits and merges."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest

from prpgate import install, prps
from prpgate.data import hooks_folder
from prpgate.gitrepo import Repo
from prpgate.model import ERROR, Finding
from prpgate.refusal import findings_text
from prpgate.store import client
from tests.hooks import ENTRIES, FIRST, LEDGER, POLICY, STORE_ID, edit, landed, milestone, policy, setup, try_commit
from tests.world import Clone, Server, World, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OWNED = milestone(ENTRIES, "P2-040", 1, status="in_progress", owner="ann", started_at="2026-01-01T10:00:00Z")


@pytest.fixture
def clone(world: World) -> Clone:
    return setup(world.clone("ann"))


def test_a_broken_status_is_refused_as_the_readme_shows(clone: Clone) -> None:
    edit(clone, "status: in_progress", "status: done")
    head, staged = clone.head, clone.git("diff", "--cached").out
    done = try_commit(clone)
    assert done.code == 1
    assert done.err.splitlines() == [
        f'PRP104 {LEDGER}:12:13  P2-030: "done" is no status (new, validated, in_progress, complete, deprecated)',
        'Not committed; your staging is unchanged. Restore "in_progress", git add, then:',
        "  prp complete P2-030",
    ]
    assert clone.head == head
    assert clone.git("diff", "--cached").out == staged
    assert clone.read(".git/prp-why") == done.err


def test_the_same_edit_unstaged_does_not_matter(clone: Clone) -> None:
    edit(clone, "status: in_progress", "status: done", stage=False)
    clone.write("code.py", "2")
    clone.git("commit", "-q", "-m", "code", "code.py")
    assert try_commit(clone, "all", "-a").code == 1


def test_a_good_index_under_a_broken_working_tree_is_committed(clone: Clone) -> None:
    edit(clone, "Mail, second", "Mail, third")
    edit(clone, "status: in_progress", "status: done", stage=False)
    assert try_commit(clone).code == 0


def test_a_milestone_of_the_commands_is_committed(clone: Clone) -> None:
    clone.commit_files("start it", {LEDGER: OWNED})


def test_a_hand_edit_of_a_sealed_line_is_refused(clone: Clone) -> None:
    clone.commit_files("start it", {LEDGER: OWNED})
    edit(clone, "owner: ann", "owner: ben")
    done = try_commit(clone)
    assert done.code == 1
    assert "PRP120" in done.err


def test_errors_come_last_with_the_outcome_once(clone: Clone) -> None:
    edit(clone, "status: in_progress", "status: done")
    edit(clone, "status: validated", "status: ready")
    done = try_commit(clone)
    assert done.err.count("Not committed") == 1
    assert done.err.count("PRP104") == 2


def test_very_many_findings_are_cut(world: World) -> None:
    many = "prp_tracking:\n" + "".join(f"  P1-{n:03d}:\n    title: t\n    status: new\n" for n in range(40))
    clone = setup(world.clone("ann"), **{LEDGER: many})
    clone.write(LEDGER, many.replace("status: new", "status: nonsense"))
    done = try_commit(clone, "x", "-a")
    assert done.err.count("PRP104") == 10
    assert done.err.rstrip().endswith("and 30 more:\n  prp check --staged")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"prp_tracking:\n  P2-020:\n   title: [\n", "PRP1"),
        (b"prp_tracking:\n  P2-020:\n    title: \xff\n", "PRP1"),
        (b"prp_tracking:\n  P2-020:\n    title: a\0b\n", "PRP1"),
        (b"a: &x [1]\nb: [*x, *x]\n", "PRP1"),
        (b"prp_tracking: !!python/object/apply:os.system ['touch PWNED']\n", "PRP1"),
        (b"prp_tracking: {<<: {P2-020: {title: a}}}\n", "PRP1"),
        (b"prp_tracking:\n  P2-020:\n    title: a\n    title: b\n", "PRP103"),
        (b"prp_tracking:\n  P2-020: {title: a}\n  P2-020: {title: b}\n", "PRP110"),
        (b"<<<<<<< HEAD\n" + ENTRIES.encode(), "PRP1"),
        (b"a: " + b"[" * 100_000, "PRP1"),
        (b"prp_tracking:\n" + b"  P1-1:\n    title: x\n" * 400_000, "PRP1"),
    ],
)
def test_a_ledger_that_cannot_be_read_is_refused_quickly(clone: Clone, content: bytes, code: str) -> None:
    (clone.path / LEDGER).write_bytes(content)
    clone.git("add", LEDGER)
    begun = time.monotonic()
    done = try_commit(clone)
    assert time.monotonic() - begun < 5
    assert done.code == 1
    assert done.err.startswith(code)
    assert f"{LEDGER}:" in done.err.splitlines()[0]
    assert not (clone.path / "PWNED").exists()


def test_hostile_text_is_shown_inert(clone: Clone) -> None:
    clone.write(LEDGER, ENTRIES.replace("status: validated", 'status: "\\e[31mred\\a\\u202e"'))
    done = try_commit(clone, "x", "-a")
    assert done.code == 1
    assert "\x1b" not in done.err
    assert "\x07" not in done.err
    assert "\u202e" not in done.err
    assert "\\x1b" in done.err or "\\u001b" in done.err


def test_no_part_of_a_finding_can_steer_a_terminal() -> None:
    bad = "\x1b]0;x\x07\r\u202e"
    finding = Finding("PRP104", ERROR, f"a{bad}.yaml", 1, 1, f"P1{bad}", f"b{bad}\nc", f"d{bad}\n  e")
    text = findings_text([finding, finding._replace(severity="warning")], "Not committed.")
    assert all(c.isprintable() or c == "\n" for c in text)
    assert text.splitlines()[-1] == "  e", "only a fix may have lines of its own"
    assert len(text.splitlines()) == 4


def test_a_broken_policy_is_refused_before_it_binds_everybody(clone: Clone) -> None:
    clone.write("prp.toml", POLICY + "gate = \n")
    done = try_commit(clone, "x", "-a")
    assert done.code == 1
    assert done.err.startswith("prp: prp.toml (staged) is not TOML")


def test_crlf_and_a_first_ledger_are_fine(world: World) -> None:
    clone = setup(world.clone("ann"))
    clone.commit_files("crlf", {LEDGER: ENTRIES.replace("\n", "\r\n")})
    clone.git("rm", "-q", "-r", "tracking")
    done = try_commit(clone, "without a ledger")
    assert done.code == 1
    assert "the ledger with its 3 PRPs is gone" in done.err


def test_an_unborn_branch_is_judged_against_nothing(repo: Path) -> None:
    clone = Clone(repo, "ann")
    clone.write("prp.toml", POLICY)
    install.install(Repo(str(repo)), policy())
    clone.write(LEDGER, ENTRIES)
    clone.git("add", "-A")
    clone.git("commit", "-q", "-m", "an old ledger comes in as it is")
    clone.git("checkout", "-q", "--orphan", "other")
    clone.write(LEDGER, ENTRIES.replace("status: complete", "status: finished"))
    assert try_commit(clone, "x", "-a").code == 1


# --- merges ----------------------------------------------------------------------------------------------------------
THEIRS = milestone(OWNED, "P2-040", 2, status="complete", completed_at="2026-01-02T10:00:00Z")


def diverge(clone: Clone) -> None:
    """other has the newer milestone, main a newer title of the same PRP."""
    clone.commit_files("start", {LEDGER: OWNED})
    clone.git("checkout", "-q", "-b", "other")
    clone.commit_files("complete", {LEDGER: THEIRS, "done.py": "1"})
    clone.git("checkout", "-q", "main")
    clone.commit_files("elsewhere", {"code.py": "2"})


def test_a_clean_merge_of_a_milestone_passes(clone: Clone) -> None:
    diverge(clone)
    clone.git("merge", "-q", "--no-edit", "other")
    assert clone.read(LEDGER) == THEIRS


@pytest.mark.parametrize("how", ["-s ours, by git alone", "checkout, by hand"])
def test_a_merge_that_loses_a_milestone_is_refused(clone: Clone, how: str) -> None:
    diverge(clone)
    if how.startswith("-s"):
        done = clone.git("merge", "--no-edit", "-s", "ours", "other", ok=False)
    else:
        clone.git("merge", "-q", "--no-commit", "other")
        clone.git("checkout", "HEAD", "--", LEDGER)
        done = try_commit(clone, "merged")
    assert done.code != 0
    assert "PRP127" in done.err
    assert "Not merged; the merge waits for you" in done.err
    clone.git("checkout", "other", "--", LEDGER)
    clone.git("commit", "-q", "-m", "merged as told")


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_a_conflict_solved_by_an_option_lets_no_mixture_through(clone: Clone, side: str) -> None:
    """`-X` takes one side where lines clash and both where they do not: for "ours" an entry that neither side has."""
    diverge(clone)
    mine = milestone(OWNED, "P2-040", 2, status="deprecated")
    head = clone.commit_files("deprecate", {LEDGER: mine})
    done = clone.git("merge", "--no-edit", "-X", side, "other", ok=False)
    if side == "ours":
        assert done.code != 0
        assert "PRP126" in done.err
        assert clone.head == head
    else:
        assert (done.code, clone.read(LEDGER)) == (0, THEIRS)


def test_a_branch_that_is_switched_carries_a_milestone_and_invents_none(clone: Clone) -> None:
    clone.write(LEDGER, OWNED)
    clone.git("switch", "-q", "-c", "topic")
    assert clone.read(LEDGER) == OWNED, "what is not committed goes along"
    clone.git("commit", "-q", "-a", "-m", "P2-040: begin")
    clone.git("switch", "-q", "main")
    assert clone.read(LEDGER) == ENTRIES
    clone.write(LEDGER, OWNED)
    assert clone.git("switch", "-q", "topic", ok=False).code == 1, "git keeps what it would overwrite"
    clone.git("commit", "-q", "-a", "-m", "the same line once more")
    clone.git("merge", "-q", "--no-edit", "topic")
    assert clone.read(LEDGER) == OWNED


def test_a_mixture_of_two_sides_is_refused(clone: Clone) -> None:
    diverge(clone)
    clone.git("merge", "-q", "--no-commit", "other")
    clone.write(LEDGER, THEIRS.replace("owner: ann", "owner: eve"))
    done = try_commit(clone, "merged", "-a")
    assert done.code == 1
    assert "PRP126" in done.err


# --- the store -------------------------------------------------------------------------------------------------------
@pytest.fixture
def stored(world: World, server: Server) -> Iterator[Clone]:
    """A clone whose store has the lane's state, with P2-040 claimed by ben."""
    clone = landed(world.clone("ann"))
    config = policy()
    with client.connect(config, str(clone.path), url=server.url, adopt_check=False) as store:
        client.adopt(store, STORE_ID)
        prps.sync(Repo(str(clone.path)), store, config)
    clone.env["REDIS_URL"] = server.url
    yield clone


def test_a_line_that_the_store_does_not_know_is_remarked(stored: Clone) -> None:
    stored.write(LEDGER, OWNED)
    done = try_commit(stored, "x", "-a")
    assert done.code == 0
    assert "PRP163" in done.err
    assert "Not committed" not in done.err


def test_the_store_away_changes_nothing(stored: Clone, server: Server) -> None:
    server.stop()
    stored.write(LEDGER, OWNED)
    begun = time.monotonic()
    done = try_commit(stored, "x", "-a")
    assert done.code == 0
    assert done.err == ""
    assert time.monotonic() - begun < 2


def test_a_store_that_hangs_holds_a_commit_up_for_a_moment_only(stored: Clone, server: Server) -> None:
    server.send(signal.SIGSTOP)
    stored.write(LEDGER, OWNED)
    begun = time.monotonic()
    done = try_commit(stored, "x", "-a")
    assert done.code == 0
    assert time.monotonic() - begun < 2


def test_a_commit_starts_no_server(clone: Clone, home: Path) -> None:
    clone.commit_files("start it", {LEDGER: OWNED})
    assert not list((home / "state").rglob("appendonly*"))


# --- policy and place ------------------------------------------------------------------------------------------------
def test_the_lanes_policy_binds_not_the_working_trees(world: World) -> None:
    clone = landed(world.clone("ann"))
    clone.git("checkout", "-q", "-b", "mine")
    clone.write("prp.toml", POLICY.replace(LEDGER, "elsewhere.yaml"))
    edit(clone, "status: in_progress", "status: done")
    done = try_commit(clone, "x", "-a")
    assert done.code == 1
    assert "PRP104" in done.err


def test_run_by_git_from_a_checkout_without_any_stub(world: World) -> None:
    """core.hooksPath=hooks in this very repository: no filter, no recorded interpreter, nothing told."""
    clone = world.clone("ann")
    clone.commit_files("first", FIRST)
    clone.git("config", "core.hooksPath", hooks_folder())
    clone.env["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
    edit(clone, "status: in_progress", "status: done")
    done = try_commit(clone)
    assert done.code == 1
    assert "PRP104" in done.err
    clone.git("checkout", "-q", "HEAD", "--", ".")
    done = try_commit(clone, "feat(P9-999): x", "--allow-empty")
    assert "PRP150" in done.err


def test_without_yaml_a_checkout_says_what_to_install(world: World) -> None:
    clone = world.clone("ann")
    clone.commit_files("first", FIRST)
    edit(clone, "second", "third")
    plain = run([sys.executable, "-S", f"{hooks_folder()}/pre-commit"], clone.path, ok=False)
    assert plain.code == 0, plain  # a ledger of plain lines needs no parser
    edit(clone, "third", "{fourth: 4}")
    done = run([sys.executable, "-S", f"{hooks_folder()}/pre-commit"], clone.path, ok=False)
    assert done.code == 1
    assert "need yaml" in done.err
    assert done.err.rstrip().endswith("python3 -m pip install -e .[dev]")
