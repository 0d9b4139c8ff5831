"""Pushes to a repository that we guard as its server: real ones, over git's own transport."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from prpgate import prps, receive, server
from prpgate.lock import Granted, Who
from prpgate.model import Intent, RefUpdate
from prpgate.served import Served
from tests.e2e.conftest import LEDGER
from tests.hooks import milestone
from tests.server.conftest import Guarded, said
from tests.world import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import Clone, Result


def busy(project: Guarded, agent: str = "ben", head: str = "f" * 40, *, intent: bool = True) -> Granted:
    """Let somebody hold main, with another commit announced."""
    lock = project.lock()
    who = Who(f"t-{agent}", f"h-{agent}", agent, "elsewhere", 1, "push", None, head)
    announced = Intent(head, project.tip()) if intent else None
    answer = lock.acquire(who, plain=True, intent=announced, info={"agent": agent})
    lock.store.close()
    assert isinstance(answer, Granted), answer
    return answer


def refused(clone: Clone, *args: str) -> list[str]:
    done = clone.git("push", *args, ok=False)
    assert done.code != 0, done
    lines = said(done)
    assert lines, done
    return lines


# --- let in ----------------------------------------------------------------------------------------------------------


def test_the_holders_push_passes_both_hooks_and_leaves_the_lane_free(guarded: Guarded) -> None:
    guarded.ana.commit_files("announced", {"1.txt": "1"})
    before = guarded.log()
    guarded.ana.git("push", "-q")
    assert guarded.state().state == "free", "post-receive reports before the push ends"
    guarded.quiet()
    assert guarded.tip() == guarded.ana.head
    assert guarded.state().state == "free"
    new = guarded.log()[len(before) :]
    assert [e for e, _, _ in new] == ["acquire", "intent", "landed"], new
    assert "server" not in {d for _, _, d in new}, "the server took a lock of its own"


def test_pushes_one_after_the_other_do_not_wait_for_each_other(guarded: Guarded) -> None:
    for n in range(3):
        guarded.ana.commit_files(f"work {n}", {"w.txt": str(n)})
        guarded.ana.git("push", "-q")
    guarded.quiet()
    assert guarded.subjects()[:3] == ["work 2", "work 1", "work 0"]
    assert guarded.state().state == "free"


def test_no_verify_to_a_free_lane_is_taken_in_turn_and_recorded(guarded: Guarded) -> None:
    head = guarded.ana.commit_files("round the hook", {"1.txt": "1"})
    before = guarded.log()
    guarded.ana.git("push", "-q", "--no-verify")
    assert guarded.state().state == "free"
    guarded.quiet()
    new = guarded.log()[len(before) :]
    assert [e for e, _, _ in new] == ["acquire", "intent", "landed"], new
    assert new[0][2] == "server"
    lock = guarded.lock()
    record = lock.record(head)
    lock.store.close()
    assert record is not None
    assert (record.record, record.agent) == ("landed", "ana@example.org")


def test_the_live_state_follows_a_landing_without_client_hooks(guarded: Guarded) -> None:
    ben = guarded.plain("ben")
    ben.commit_files("work", {"w.txt": "w"})
    ben.git("push", "-q")
    lock = guarded.lock()  # at once: the pusher's own look comes a moment later, or never
    assert prps.read(lock.store, guarded.config).cursor == ben.head
    lock.store.close()


def test_a_lock_that_would_expire_during_the_transfer_is_extended_as_it_is_accepted(tmp_path: Path) -> None:
    project = Guarded(tmp_path, settings={"[lane]\n": "[lane]\nlease = 7\n"})
    head = project.ana.commit_files("slow", {"s.txt": "s"})
    lease = busy(project, "ana", head).lease
    time.sleep(4)
    project.remote_hook("update", "#!/bin/sh\nsleep 3.5\n")  # after pre-receive, before the ref moves
    project.ana.git("push", "-q", "--no-verify")
    project.quiet()
    assert lease.left_s < 0
    assert project.tip() == head
    words = [e for e, sha, _ in project.log() if sha == head]
    assert words == ["acquire", "intent", "landed"], "it expired, and was looked for"


def test_other_refs_pass_and_touch_no_lock(guarded: Guarded) -> None:
    busy(guarded)
    before = guarded.log()
    ben = guarded.plain("ben")
    ben.commit_files("topic", {"t.txt": "t"})
    ben.git("tag", "v1")
    ben.git("push", "-q", "origin", "HEAD:refs/heads/topic", "v1")
    ben.git("push", "-q", "origin", ":topic")
    assert guarded.log() == before


# --- refused ---------------------------------------------------------------------------------------------------------


def test_no_verify_to_a_busy_lane_is_refused_with_holder_time_and_command(guarded: Guarded) -> None:
    busy(guarded)
    tip = guarded.tip()
    guarded.ana.commit_files("round the hook", {"1.txt": "1"})
    lines = refused(guarded.ana, "--no-verify")
    assert lines[0].startswith("prp: main is held by ben (fffffff), pushing for ")
    assert "free about" in lines[0]
    assert lines[0].endswith("Nothing was pushed.")
    assert lines[-1].lstrip().startswith("after ")
    assert lines[-1].endswith("git pull --rebase && git push")
    assert guarded.tip() == tip
    holder = guarded.state().holder
    assert holder is not None
    assert holder.agent == "ben"


def test_another_commit_than_the_announced_one_is_refused(guarded: Guarded) -> None:
    announced = guarded.ana.commit_files("announced", {"1.txt": "1"})
    busy(guarded, "ana", announced)
    guarded.ana.commit_files("one more", {"2.txt": "2"})
    assert "main is held by ana" in refused(guarded.ana, "--no-verify")[0]


def test_a_stale_sha_is_refused_before_it_has_the_lane(guarded: Guarded) -> None:
    """git fixes the old value before the client's hook runs; another lands in between."""
    ben, cem = guarded.plain("ben"), guarded.plain("cem")
    ben.commit_files("stale", {"b.txt": "b"})
    cem.commit_files("first", {"c.txt": "c"})
    hook = ben.path / ".git/hooks/pre-push"
    hook.write_text(f"#!/bin/sh\nunset GIT_DIR\ngit -C {shlex.quote(str(cem.path))} push -q\n")
    hook.chmod(0o755)
    before = len([e for e, _, _ in guarded.log() if e == "acquire"])
    lines = refused(ben, "-q")
    assert lines[0].startswith("prp: main moved on to " + cem.head[:10])
    assert lines[-1].strip() == "git pull --rebase --autostash origin main && git push"
    assert guarded.tip() == cem.head
    assert len([e for e, _, _ in guarded.log() if e == "acquire"]) == before + 1, "it has had the lane"


def test_a_closed_lane_takes_only_its_fix(guarded: Guarded) -> None:
    culprit = guarded.ana.commit_files("culprit", {"c.txt": "c"})
    guarded.ana.git("push", "-q")
    guarded.quiet()
    lock = guarded.lock()
    lock.close("ci", "the tests are red.", person=False, head=culprit)
    lock.store.close()
    ben = guarded.plain("ben")
    ben.commit_files("anything", {"b.txt": "b"})
    lines = refused(ben)
    assert lines[0].startswith("prp: main is closed by ci since ")
    assert "the tests are red." in lines[0]
    ben.git("reset", "-q", "--hard", "HEAD~1")
    ben.git("revert", "--no-edit", culprit)
    ben.git("push", "-q")
    assert guarded.tip() == ben.head


def test_two_lanes_in_one_push_are_refused(tmp_path: Path) -> None:
    project = Guarded(tmp_path, settings={'branches = ["main"]': 'branches = ["main", "rel/*"]'})
    project.ana.commit_files("both", {"b.txt": "b"})
    lines = refused(project.ana, "--no-verify", "origin", "HEAD:main", "HEAD:rel/1")
    assert lines[0] == "prp: one push to main and rel/1: each lands in its own turn. Nothing was pushed."
    assert {line.strip() for line in lines[1:]} >= {"git push origin main:main", "git push origin rel/1:rel/1"}
    project.ana.git("push", "-q", "--no-verify", "origin", "HEAD:rel/1")
    project.quiet()
    assert project.state("rel/1").state == "free"


def test_a_lane_is_neither_deleted_nor_rewritten(guarded: Guarded) -> None:
    run(["git", "config", "receive.denyDeleteCurrent", "ignore"], guarded.remote)
    tip = guarded.tip()
    assert "is not deleted by a push" in refused(guarded.ana, "--no-verify", "origin", ":main")[0]
    guarded.ana.git("reset", "-q", "--hard", "HEAD~1")
    guarded.ana.commit_files("another history", {"o.txt": "o"})
    lines = refused(guarded.ana, "--no-verify", "--force")
    assert "would take commits away from main" in lines[0]
    assert guarded.tip() == tip
    assert guarded.state().state == "free"


def test_what_it_brings_is_judged_again(guarded: Guarded) -> None:
    ben = guarded.plain("ben")
    ben.commit_files("by hand", {LEDGER: ben.read(LEDGER).replace("status: validated", "status: done", 1)})
    lines = refused(ben)
    assert lines[0].startswith("prp: push to main refused: ")
    assert any("PRP1" in line for line in lines)
    assert guarded.state().state == "free"
    assert "intent" not in [e for e, sha, _ in guarded.log() if sha == ben.head]


def test_a_line_that_no_command_made_is_refused(guarded: Guarded) -> None:
    ben = guarded.plain("ben")
    text = milestone(ben.read(LEDGER), "P2-040", 1, status="in_progress")
    ben.commit_files("chore: by hand, well sealed", {LEDGER: text})
    lines = refused(ben)
    assert any(line.startswith("PRP160") for line in lines), lines


@pytest.mark.parametrize("how", ["with", "without"])
def test_a_line_that_a_command_made_lands_with_and_without_the_client_hook(guarded: Guarded, how: str) -> None:
    guarded.ana.prp("start", "P2-040")
    guarded.ana.commit_files("feat(P2-040): begun", {"w.txt": "w"})
    guarded.ana.git("push", "-q", *(["--no-verify"] if how == "without" else []))
    guarded.quiet()
    record = [e for e, sha, _ in guarded.log() if sha == guarded.ana.head]
    assert record[-1] == "landed"
    shown = json.loads(guarded.ana.prp("status", "P2-040", "--json").out)["prp"]
    assert shown["recorded"] == "in_progress"


def test_with_gate_ci_a_landing_that_the_server_took_waits_for_ci(tmp_path: Path, home: Path) -> None:
    project = Guarded(tmp_path)
    toml = project.ana.read("prp.toml")
    assert 'gate = "none"' in toml
    project.ana.commit_files("gate", {"prp.toml": toml.replace('gate = "none"', 'gate = "ci"')})
    project.ana.git("push", "-q", "--no-verify")
    project.quiet()
    assert project.state().state == "free", "the gate was none when it landed"
    project.ana.commit_files("work", {"w.txt": "w"})
    project.ana.git("push", "-q", "--no-verify")
    project.quiet()
    state = project.state()
    assert (state.state, state.phase) == ("held", "landed")
    assert state.holder is not None
    assert state.holder.agent == "ana@example.org"
    project.ana.commit_files("too soon", {"w.txt": "v"})
    assert "waiting for CI for " in refused(project.ana, "--no-verify")[0]


def test_a_policy_that_cannot_be_read_does_not_land(guarded: Guarded) -> None:
    ben = guarded.plain("ben")
    ben.commit_files("slip", {"prp.toml": ben.read("prp.toml") + "\n[[[\n"})
    assert any("is not TOML" in line for line in refused(ben))


def test_the_lanes_policy_counts_not_the_pushed_one(guarded: Guarded) -> None:
    busy(guarded)
    ben = guarded.plain("ben")
    ben.commit_files("loosen", {"prp.toml": ben.read("prp.toml").replace('branches = ["main"]', 'branches = ["x"]')})
    assert "main is held by ben" in refused(ben)[0]


def test_an_old_value_that_a_client_claims_does_not_choose_the_policy(guarded: Guarded) -> None:
    """A stale push names an old tip; other refs of it would land under what the lane's policy once was."""
    old = guarded.tip()
    text = guarded.ana.read("prp.toml").replace('branches = ["main"]', 'branches = ["main", "rel/*"]')
    new = guarded.ana.commit_files("one more lane", {"prp.toml": text})
    guarded.ana.git("push", "-q", "--no-verify")
    updates = [RefUpdate("refs/heads/main", new, "refs/heads/main", old)]
    repo = Served(str(guarded.remote))
    before, after = receive.policy_of(repo, updates), receive.policy_of(repo, updates, landed=True)
    assert before is not None
    assert after is not None
    assert (before.lanes, after.lanes) == (("main", "rel/*"), ("main",))


def test_the_first_push_brings_its_own_policy(guarded: Guarded, tmp_path: Path) -> None:
    bare = tmp_path / "empty.git"
    run(["git", "init", "-q", "--bare", "-b", "main", bare], tmp_path)
    report = server.install_hooks(server.served(str(bare)))
    assert "no prp.toml yet" in report.remarks[0]
    ben = guarded.plain("ben")
    ben.git("remote", "set-url", "origin", str(bare))
    bad = ben.head
    ben.commit_files("by hand", {LEDGER: "prp_tracking: [\n"})
    assert "push to main refused" in refused(ben, "origin", "main")[0]
    ben.git("reset", "-q", "--hard", bad)
    ben.git("push", "-q", "origin", "main")
    assert run(["git", "rev-parse", "main"], bare).out.strip() == bad


def test_an_alias_of_a_lane_is_the_lane(guarded: Guarded) -> None:
    run(["git", "symbolic-ref", "refs/heads/master", "refs/heads/main"], guarded.remote)
    ben = guarded.plain("ben")
    ben.commit_files("by its old name", {"b.txt": "b"})
    ben.git("push", "-q", "origin", "HEAD:master")
    guarded.quiet()
    assert guarded.tip() == ben.head
    assert ("landed", ben.head, "") in guarded.log()
    busy(guarded)
    ben.commit_files("once more", {"b.txt": "c"})
    assert "main is held by ben" in refused(ben, "origin", "HEAD:master")[0]


def test_unclaimed_pushes_can_be_refused_altogether(tmp_path: Path) -> None:
    project = Guarded(tmp_path, settings={"[ledger]\n": '[server]\nunclaimed = "refuse"\n\n[ledger]\n'})
    project.ana.commit_files("work", {"w.txt": "w"})
    lines = refused(project.ana, "--no-verify")
    assert lines[0].startswith("prp: main takes only pushes that were announced")
    assert lines[-1].strip() == "prp join && git push"
    project.ana.git("push", "-q")
    project.quiet()
    assert project.tip() == project.ana.head


def test_when_git_refuses_it_after_all_the_lane_is_given_back(guarded: Guarded) -> None:
    guarded.remote_hook("update", "#!/bin/sh\necho no >&2\nexit 1\n")
    ben = guarded.plain("ben")
    ben.commit_files("refused by another hook", {"b.txt": "b"})
    assert ben.git("push", "-q", ok=False).code != 0
    guarded.quiet()
    assert guarded.state().state == "free"
    assert ("unseen", ben.head, "") in guarded.log()


def test_a_hold_that_went_silent_is_looked_for_here(tmp_path: Path) -> None:
    project = Guarded(tmp_path, settings={"[lane]\n": "[lane]\nlease = 3\n"})
    busy(project)
    time.sleep(3.2)
    ben = project.plain("ben")
    ben.commit_files("next", {"n.txt": "n"})
    ben.git("push", "-q")
    project.quiet()
    assert project.tip() == ben.head


@pytest.mark.parametrize(
    "name",
    [
        "a$(touch${IFS}x)b",
        "`touch${IFS}x`",
        "a;touch${IFS}x",
        "q'uote\"s",
        "ünï\u202ecode\u2028line",
        "&&touch",
        "-n",
        "<b>",
    ],
)
def test_hostile_names_are_inert(guarded: Guarded, name: str) -> None:
    ben = guarded.plain("ben")
    ben.commit_files("work", {"w.txt": "w"})
    before = sorted(p.name for p in guarded.remote.iterdir())
    ben.git("push", "-q", "origin", f"HEAD:refs/heads/{name}")
    assert sorted(p.name for p in guarded.remote.iterdir()) == before
    assert run(["git", "rev-parse", f"refs/heads/{name}"], guarded.remote).out.strip() == ben.head


def test_a_hostile_lane_is_said_inertly(tmp_path: Path) -> None:
    project = Guarded(tmp_path, settings={'branches = ["main"]': 'branches = ["main", "rel/*"]'})
    project.ana.commit_files("work", {"w.txt": "w"})
    name = "rel/$(touch${IFS}x)\u202e\u2028y"
    project.ana.git("push", "-q", "--no-verify", "origin", f"HEAD:refs/heads/{name}")
    project.quiet()
    done: Result = project.ana.git("push", "--no-verify", "origin", f":refs/heads/{name}", ok=False)
    assert done.code != 0
    assert "is not deleted by a push" in done.err
    text = "\n".join(said(done))
    assert "\u202e" not in text
    assert not (project.remote / "x").exists()


def test_five_push_at_once_round_the_client_hooks(guarded: Guarded) -> None:
    clones = [guarded.plain(f"agent{n}") for n in range(5)]
    for c in clones:
        c.commit_files(f"work of {c.agent}", {f"{c.agent}.txt": c.agent})
    script = "n=0; until git push -q; do n=$((n+1)); [ $n -lt 40 ] || exit 1; git pull -q --rebase; done"
    running = [
        subprocess.Popen(["sh", "-c", script], cwd=c.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for c in clones
    ]
    assert [p.wait(90) for p in running] == [0] * 5
    guarded.quiet()
    subjects = guarded.subjects()
    assert all(subjects.count(f"work of {c.agent}") == 1 for c in clones)
    landed = [sha for e, sha, _ in guarded.log() if e == "landed"]
    assert len(set(landed)) == len(landed) >= 5
