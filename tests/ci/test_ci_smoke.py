"""ci/smoke.py as a runner calls it: what it says, what it leaves alone, and what the lane makes of it."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis

from prpgate import prps
from prpgate.gitrepo import Repo
from prpgate.model import ZERO
from tests.ci.github import LEDGER, NEW, SCRIPT, Github
from tests.ci.test_smoke import alive, unique_seconds
from tests.e2e.test_land import until
from tests.world import World, run

if TYPE_CHECKING:
    from prpgate.lock import MergeLock
    from tests.world import Server

DOCS = Path(__file__).resolve().parents[2] / "docs" / "ci.md"
SLOW = "run = \"trap '' TERM; setsid sleep {s} & echo begun; sleep {s}\""


@pytest.fixture
def github(world: World) -> Github:
    return Github(world)


# --- without a store --------------------------------------------------------------------------------------------------
def test_a_green_push_without_a_store_checks_and_runs(github: Github) -> None:
    head = github.push("more", {"b": "b\n"})
    ended = github.on_push(head)
    assert ended.code == 0, ended.log
    tree = run(["git", "rev-parse", f"{head}^{{tree}}"], github.world.remote).out.strip()
    assert ended.outputs.pop("reason").startswith("1 step passed in ")
    assert float(ended.outputs.pop("duration")) < 30
    assert ended.outputs == {"verdict": "green", "tree": tree, "fence": "", "again": "false"}
    assert "no store is set" in ended.log
    assert "smoke gate: green" in ended.summary
    assert f"checking the PRPs of {github.base[:12]}..{head[:12]}" in ended.log


def test_a_red_step_is_annotated_with_its_last_lines(world: World) -> None:
    github = Github(world, 'name = "unit"\nrun = "echo before; echo assert 1 == 2; exit 3"')
    ended = github.on_push(github.push("more", {"b": "b\n"}))
    assert (ended.code, ended.outputs["verdict"]) == (1, "red")
    assert "::error title=smoke%3A unit::unit ended with 3%0Abefore%0Aassert 1 == 2" in ended.commands
    assert "assert 1 == 2" in ended.summary


def test_a_finding_in_the_pushed_range_is_red_at_its_line(github: Github) -> None:
    ended = github.on_push(github.push("break it", {LEDGER: NEW.replace("new", "done")}))
    assert (ended.code, ended.outputs["verdict"]) == (1, "red")
    assert any(re.match(rf"::error file={LEDGER},line=3,col=9,title=PRP\d+::P1-001: ", c) for c in ended.commands)
    assert "1 finding in the PRPs of the pushed range" in ended.log
    assert "<td>P1-001</td>" in ended.summary


def test_a_finding_from_before_the_push_is_not_this_pushs(github: Github) -> None:
    broken = github.push("break it", {LEDGER: NEW.replace("new", "done")})
    assert github.on_push(github.push("other work", {"b": "b\n"}), before=broken).code == 0


@pytest.mark.parametrize("before", [ZERO, "1" * 40])
def test_a_new_or_rewritten_branch_is_judged_against_its_parent(github: Github, before: str) -> None:
    ended = github.on_push(github.push("more", {"b": "b\n"}), before=before)
    assert ended.code == 0
    assert f"checking the PRPs of {github.base[:12]}.." in ended.log


def test_a_shallow_checkout_cannot_tell_and_says_what_to_change(github: Github) -> None:
    head = github.push("more", {"b": "b\n"})
    checkout = github.checkout(head, "--depth=1")
    payload = {"before": github.base, "deleted": False}
    ended = github.end(github.start(checkout, "push", payload, head))
    assert (ended.code, ended.outputs["verdict"]) == (5, "unknown")
    assert "fetch-depth: 0" in ended.log


def test_a_pull_request_is_judged_from_its_base_and_never_takes_a_lock(github: Github) -> None:
    github.push("meanwhile on main", {"c": "c\n"})
    run(["git", "checkout", "-q", "-b", "topic", github.base], github.ana.path)
    head = github.ana.commit_files("topic", {"b": "b\n"})
    github.ana.git("push", "-q", "origin", "topic")
    ended = github.on_pull_request(head)
    assert ended.code == 0, ended.log
    assert f"checking the PRPs of {github.world.tip()[:12]}.." in ended.log
    assert "is no landing on a lane" in ended.log


def test_no_declared_step_proves_nothing(world: World) -> None:
    github = Github(world, steps="")
    ended = github.on_push(github.push("more", {"b": "b\n"}))
    assert (ended.code, ended.outputs["verdict"]) == (5, "unknown")
    assert "no step is declared" in ended.log


def test_a_checkout_that_an_earlier_step_changed_is_not_the_commit(github: Github) -> None:
    head = github.push("more", {"b": "b\n"})
    checkout = github.checkout(head)
    (checkout / "b").write_text("changed\n")
    (checkout / "made-by-the-build").write_text("is fine\n")
    ended = github.end(github.start(checkout, "push", {"before": github.base}, head))
    assert (ended.code, ended.outputs["verdict"]) == (5, "unknown")
    assert "what is checked out is not the commit, an earlier step of the job changed b" in ended.log


def test_a_deleted_branch_has_nothing_to_smoke(github: Github) -> None:
    payload = {"before": github.base, "after": ZERO, "deleted": True}
    ended = github.end(github.start(github.checkout(github.base), "push", payload, github.base))
    assert (ended.code, ended.outputs) == (0, {})


def test_a_commit_without_prp_toml_says_so(world: World) -> None:
    github = Github(world)
    bare = github.ana.git("rev-list", "--max-parents=0", "HEAD").out.strip()
    ended = github.end(github.start(github.checkout(bare), "push", {"before": ZERO}, bare))
    assert (ended.code, ended.outputs["verdict"]) == (2, "unknown")
    assert "no prp.toml" in ended.log


@pytest.mark.parametrize("payload", ["", "[1", "[]", '"text"', '{"before": {"a": 1}, "deleted": "no"}'])
def test_a_payload_that_is_none_ends_in_words(github: Github, payload: str, tmp_path: Path) -> None:
    path = tmp_path / "payload.json"
    path.write_text(payload)
    ended = github.end(github.start(github.checkout(github.base), "push", {}, github.base, GITHUB_EVENT_PATH=str(path)))
    assert ended.code in (0, 2)
    assert "Traceback" not in ended.log


def test_outside_a_runner_it_names_the_command_for_people(github: Github) -> None:
    ended = github.end(github.start(github.checkout(github.base), "push", {}, ""))
    assert ended.code == 2
    assert "prp smoke" in ended.log


def test_a_cancelled_run_is_unknown_and_leaves_nothing_behind(world: World) -> None:
    seconds = unique_seconds(world.folder)
    github = Github(world, SLOW.format(s=seconds))
    head = github.push("more", {"b": "b\n"})
    process = github.start(github.checkout(head), "push", {"before": github.base}, head)
    wait_for("begun", process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)  # as GitHub does when the first did not end it
    began = time.monotonic()
    ended = github.end(process)
    assert time.monotonic() - began < 7, "GitHub kills after 10 seconds"
    assert (ended.code, ended.outputs["verdict"]) == (130, "unknown")
    assert alive(seconds) == []


def wait_for(line: str, process: object) -> None:
    for text in process.stdout:  # type: ignore[attr-defined]
        if text.strip() == line:
            return
    raise AssertionError(f"{line!r} never came")


# --- hostile text -----------------------------------------------------------------------------------------------------
def test_what_steps_print_is_no_command_and_shown_inert(world: World) -> None:
    hostile = r"::error::pwned\n ::set-env name=A::b\n##[add-mask]x\n\033[2J<img src=x>\r::warning::z\n"
    github = Github(world, f"name = 'x'\nrun = '''printf '{hostile}'; exit 1'''")
    ended = github.on_push(github.push("more", {"b": "b\n"}))
    assert ended.code == 1
    assert not [c for c in ended.commands if c.startswith(("::error::pwned", "::set-env", "::warning::z"))]
    assert "##[" not in "".join(ended.commands)
    assert "\x1b" not in ended.log + ended.summary
    assert "<img" not in ended.summary
    assert "&lt;img" in ended.summary


def test_hostile_names_stay_text_everywhere(world: World) -> None:
    evil = "x\n::error::pwned\n##[error]x\r\nverdict=green\n</td><script>\x1b[2J | [a](b) ::stop-commands::t"
    github = Github(world, f"name = {json.dumps(evil)}\nrun = 'exit 1'")  # a JSON text is a TOML text
    head = github.push(f"feat: {evil}", {"b": "b\n"})
    payload = {"before": github.base, "sender": {"login": evil}, "head_commit": {"message": evil}}
    process = github.start(
        github.checkout(head), "push", payload, head, ref=f"refs/heads/{evil}", GITHUB_ACTOR=evil, GITHUB_RUN_ID=evil
    )
    ended = github.end(process)
    assert ended.code == 1
    assert not [c for c in ended.commands if c.startswith("::error::pwned")]
    assert "##[" not in ended.log
    assert ended.outputs.keys() == {"verdict", "tree", "fence", "reason", "duration", "again"}
    assert ended.outputs["verdict"] == "red"
    assert "<script" not in ended.summary
    assert "\x1b" not in ended.log + ended.summary
    for block in ended.summary.split("\n\n"):
        assert block == "" or block.startswith(("<h3>", "<p>", "<table>", "<pre>")), "Markdown is read outside of HTML"


def test_steps_see_neither_the_secret_nor_the_runners_files(world: World) -> None:
    github = Github(world, 'run = \'test -z "$PRP_REDIS_URL$GITHUB_OUTPUT$GITHUB_ENV" && test -n "$GITHUB_SHA"\'')
    github.env |= {"PRP_REDIS_URL": "redis://user:secret@127.0.0.1:1/0", "GITHUB_ENV": "/tmp/env"}
    ended = github.on_push(github.push("more", {"b": "b\n"}))
    assert ended.code == 0, ended.log
    assert "secret" not in ended.log + ended.summary


# --- with a store -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["PRP_REDIS_URL", "REDIS_URL"])
def test_steps_see_the_stores_address_under_no_name(world: World, server: Server, name: str) -> None:
    """A `REDIS_URL` of the project's own, for its tests, stays."""
    step = 'run = \'test -z "$PRP_REDIS_URL$REDIS_URL$OTHER" && test "$CACHE_URL" = redis://127.0.0.1:1/0\''
    github = Github(world, step, gate="ci")
    lock = github.use(server)
    del github.env["PRP_REDIS_URL"]
    env = {name: server.url, "OTHER": server.url, "CACHE_URL": "redis://127.0.0.1:1/0"}
    ended = github.on_push(github.land(lock, "P1-001: work", {"b": "b\n"}), **env)
    assert (ended.code, lock.state().state) == (0, "free"), ended.log


def test_a_store_that_is_away_is_not_told_to_the_steps_either(world: World, server: Server) -> None:
    github = Github(world, "run = 'test -z \"$REDIS_URL\"'", gate="ci")
    lock = github.use(server)
    del github.env["PRP_REDIS_URL"]
    head = github.push("more", {"b": "b\n"})
    server.redis().hset(lock.store.keys.meta, "store_id", "somebody else's")
    ended = github.on_push(head, REDIS_URL=server.url)
    assert (ended.code, "not the store of" in ended.log) == (1, True), "a server of the project's own stays to be seen"
    server.stop()
    ended = github.on_push(head, REDIS_URL=server.url)
    assert (ended.code, "could not be asked" in ended.log) == (0, True), ended.log


def events(lock: MergeLock) -> list[str]:
    return [e.event for e in reversed(lock.log(100))]


def test_a_landing_is_adopted_and_its_green_frees_the_lane(world: World, server: Server) -> None:
    github = Github(world, gate="ci")
    lock = github.use(server)
    head = github.land(lock, "P1-001: work", {"b": "b\n"})
    assert (lock.state().state, lock.state().phase) == ("held", "landed")
    fence = lock.state().fence
    ended = github.on_push(head)
    assert ended.code == 0, ended.log
    assert lock.state().state == "free"
    stands = lock.standing(*github.key(head))
    assert stands is not None
    assert (stands.result, stands.run_url) == ("green", "https://host.example/team/app/actions/runs/77/attempts/1")
    assert int(ended.outputs["fence"]) > fence
    assert events(lock)[-2:] == ["adopt", "verdict"]
    assert "main: green; the lane goes on" in ended.summary
    assert prps.read(lock.store, github.config).cursor == head, "the live state has not heard of the landing"


def test_red_closes_the_lane_under_its_culprit(world: World, server: Server) -> None:
    github = Github(world, 'name = "unit"\nrun = "exit 1"', gate="ci")
    lock = github.use(server)
    head = github.land(lock, "P1-001: work", {"b": "b\n"})
    assert github.on_push(head).code == 1
    state = lock.state()
    assert state.state == "free"
    assert state.closed is not None
    assert (state.closed.kind, state.closed.culprit_sha, state.closed.culprit_agent) == ("red", head, "ana")
    assert state.closed.reason == "red twice: unit ended with 1"
    assert [e.detail for e in reversed(lock.log(100)) if e.event == "verdict"] == ["red (1st)", "red"]


ONCE = 'name = "unit"\nrun = "test -e ../tried || { touch ../tried; exit 1; }"'


def test_a_red_that_does_not_come_again_is_green_and_says_so(world: World, server: Server) -> None:
    github = Github(world, ONCE, gate="ci")
    lock = github.use(server)
    ended = github.on_push(github.land(lock, "P1-001: work", {"b": "b\n"}))
    assert (ended.code, ended.outputs["verdict"]) == (0, "green"), ended.log
    assert "the first attempt was red (unit ended with 1)" in ended.summary
    assert (lock.state().state, lock.state().closed) == ("free", None)
    assert [e.detail for e in reversed(lock.log(100)) if e.event == "verdict"] == ["red (1st)", "green"]


def test_without_retries_the_first_red_closes(world: World, server: Server) -> None:
    github = Github(world, ONCE, gate="ci", more="lane.red_retries = 0")
    lock = github.use(server)
    assert github.on_push(github.land(lock, "P1-001: work", {"b": "b\n"})).code == 1
    closed = lock.state().closed
    assert closed is not None
    assert closed.reason == "unit ended with 1"


def test_no_retry_without_time_for_it_under_the_cap(world: World, server: Server) -> None:
    github = Github(world, ONCE, gate="ci", more="lane.ci_cap = 30")  # the gate's budget is 60 s
    lock = github.use(server)
    assert github.on_push(github.land(lock, "P1-001: work", {"b": "b\n"})).code == 1
    assert lock.state().closed is not None


def test_no_retry_on_a_tree_that_the_first_attempt_changed(world: World, server: Server) -> None:
    step = """name = "unit"\nrun = "test -e ../tried || { touch ../tried; echo x >> README; exit 1; }\""""
    github = Github(world, step, gate="ci")
    lock = github.use(server)
    assert github.on_push(github.land(lock, "P1-001: work", {"b": "b\n"})).code == 1
    assert lock.state().closed is not None


def test_so_many_red_landings_in_a_row_close_the_lane_under_the_first(world: World, server: Server) -> None:
    github = Github(world, 'name = "unit"\nrun = "test ! -e bad"', gate="ci", more="lane.close_after = 2")
    lock = github.use(server)
    first = github.land(lock, "P1-001: work", {"bad": "b\n"})
    assert github.on_push(first).code == 1
    assert lock.state().closed is None
    second = github.land(lock, "P1-001: more", {"c": "c\n"})
    assert github.on_push(second, before=first).code == 1
    closed = lock.state().closed
    assert closed is not None
    assert closed.culprit_sha == first
    assert closed.reason == "2 landings in a row are red, the last: red twice: unit ended with 1"


def test_a_cancelled_run_leaves_the_landing_to_another_run(world: World, server: Server) -> None:
    seconds = unique_seconds(world.folder)
    github = Github(world, SLOW.format(s=seconds), gate="ci")
    lock = github.use(server)
    head = github.land(lock, "P1-001: work", {"b": "b\n"})
    process = github.start(github.checkout(head), "push", {"before": github.base}, head)
    wait_for("begun", process)
    assert lock.state().phase == "smoking"
    while process.poll() is None:  # a host that cancels does not ask only once
        process.send_signal(signal.SIGTERM)
        time.sleep(0.02)
    ended = github.end(process)
    assert (ended.code, ended.outputs["verdict"]) == (130, "unknown")
    state = lock.state()
    assert (state.state, state.phase, state.closed) == ("held", "landed", None)
    assert lock.standing(*github.key(head)) is None
    assert alive(seconds) == []


def test_a_push_round_the_hooks_is_smoked_under_the_lock(world: World, server: Server) -> None:
    github = Github(world, 'run = "echo begun; sleep 1"', gate="ci")
    lock = github.use(server)
    head = github.push("round the hooks", {"b": "b\n"})
    process = github.start(github.checkout(head), "push", {"before": github.base}, head)
    wait_for("begun", process)
    assert (lock.state().state, lock.state().phase) == ("held", "smoking")
    assert github.end(process).code == 0
    assert lock.state().state == "free"
    record = lock.record(head)
    assert record is not None
    assert (record.record, record.verdict) == ("foreign", "green")


def test_the_lock_is_renewed_while_the_steps_run(world: World, server: Server) -> None:
    github = Github(world, 'run = "sleep 4"', gate="ci", more="lane.ci_lease = 2")
    lock = github.use(server)
    head = github.land(lock, "P1-001: work", {"b": "b\n"})
    assert github.on_push(head).code == 0
    assert lock.state().state == "free"
    assert lock.standing(*github.key(head)) is not None
    assert [e.detail for e in lock.log(20) if e.event == "verdict"] == ["green"]


@pytest.mark.parametrize("how", ["broken", "broken and another lands", "its lease ran out"])
def test_the_red_of_a_run_that_lost_the_lane_closes_it_all_the_same(world: World, server: Server, how: str) -> None:
    """Nobody else has judged the tree: it is no secret that it is red."""
    go = world.folder / "go"
    step = f"echo begun; while [ ! -e {go} ]; do sleep 0.05; done; exit 1"
    github = Github(world, f"run = '{step}'", gate="ci", more="lane.red_retries = 0\nlane.ci_lease = 2")
    lock = github.use(server)
    head = github.land(lock, "P1-001: work", {"b": "b\n"})
    process = github.start(github.checkout(head), "push", {"before": github.base}, head)
    wait_for("begun", process)
    if how == "its lease ran out":
        process.send_signal(signal.SIGSTOP)
        until(lambda: lock.state().phase == "landed", "its lease is over")
        process.send_signal(signal.SIGCONT)
    else:
        lock.break_(lock.state().fence, "carol", "it hangs")
        stands = lock.standing(*github.key(head))
        assert stands is not None and stands.result == "unknown"
    if how == "broken and another lands":
        github.land(lock, "P1-001: on top of it", {"c": "c\n"})
    go.touch()
    assert github.end(process).code == 1
    closed, record, stands = lock.state().closed, lock.record(head), lock.standing(*github.key(head))
    assert closed is not None and closed.culprit_sha == head
    assert stands is not None and stands.result == "red"
    assert record is not None and (record.verdict, record.unproven) == ("red", False)
    assert lock.state().phase == ("landed" if how == "broken and another lands" else None)


def test_a_run_beside_the_lane_gives_its_verdict_all_the_same(world: World, server: Server) -> None:
    github = Github(world, gate="ci")
    lock = github.use(server)
    first = github.push("first, nobody smoked it", {"b": "b\n"})
    second = github.land(lock, "P1-001: second", {"c": "c\n"})
    ended = github.on_push(first)
    assert (ended.code, ended.outputs["fence"]) == (0, "")
    assert lock.state().phase == "landed", "the other landing's hold is not this run's to end"
    stands = lock.standing(*github.key(first))
    assert stands is not None
    assert stands.result == "green"
    assert github.on_push(second, before=first).code == 0
    assert lock.state().state == "free"


def test_an_old_red_does_not_close_a_lane_that_is_green_again(world: World, server: Server) -> None:
    github = Github(world, 'run = "test ! -e broken"', gate="ci")
    lock = github.use(server)
    broken = github.push("break it", {"broken": "x\n"})
    run(["git", "rm", "-q", "broken"], github.ana.path)
    mended = github.land(lock, "P1-001: mend it", {"c": "c\n"})
    assert github.on_push(mended, before=broken).code == 0
    ended = github.on_push(broken)
    assert ended.code == 1
    assert lock.state().closed is None


def test_a_late_red_closes_while_its_commit_is_in_the_branch(world: World, server: Server) -> None:
    github = Github(world, 'run = "exit 1"', gate="ci")
    lock = github.use(server)
    first = github.push("first", {"b": "b\n"})
    github.land(lock, "P1-001: second, still in CI", {"c": "c\n"})
    assert github.on_push(first).code == 1
    assert lock.state().closed is not None


def test_gate_none_records_evidence_and_leaves_the_lock_alone(world: World, server: Server) -> None:
    github = Github(world)
    lock = github.use(server)
    head = github.land(lock, "P1-001: work", {"b": "b\n"}, gate="none")
    ended = github.on_push(head)
    assert (ended.code, ended.outputs["fence"]) == (0, "")
    assert "adopt" not in events(lock)
    stands = lock.standing(*github.key(head))
    assert stands is not None
    assert stands.result == "green"


def test_a_pull_request_with_the_address_never_touches_the_store(world: World, server: Server) -> None:
    github = Github(world, 'run = "exit 1"', gate="ci")
    lock = github.use(server)
    run(["git", "checkout", "-q", "-b", "topic"], github.ana.path)
    head = github.ana.commit_files("topic", {"b": "b\n"})
    github.ana.git("push", "-q", "origin", "topic")
    assert github.on_pull_request(head).code == 1
    assert (events(lock), lock.state().closed) == ([], None)


@pytest.mark.parametrize("event", ["pull_request", "pull_request_target", "release", "schedule"])
def test_only_a_landing_speaks_for_the_lane(world: World, server: Server, event: str) -> None:
    """Events about something else whose ref is the lane's own all the same."""
    github = Github(world, gate="ci")
    lock = github.use(server)
    assert github.end(github.start(github.checkout(github.base), event, {}, github.base)).code == 0
    assert events(lock) == []


def test_a_job_that_checked_something_else_out_does_not_speak_for_the_landing(world: World, server: Server) -> None:
    github = Github(world, gate="ci")
    lock = github.use(server)
    head = github.push("more", {"b": "b\n"})
    assert github.end(github.start(github.checkout(github.base), "push", {"before": github.base}, head)).code == 0
    assert events(lock) == []


DISPATCHES = [
    ("head", "fence", True),
    ("head", "", True),  # by hand, without a fence: the rules of every run hold
    ("base", "fence", False),
    ("head", "another", False),
    ("head", "no number", False),
    ("no commit", "fence", False),
]


@pytest.mark.parametrize(("sha", "fence", "speaks"), DISPATCHES)
def test_a_dispatch_speaks_for_its_own_commit_and_fence_only(
    world: World, server: Server, sha: str, fence: str, speaks: bool
) -> None:
    github = Github(world, gate="ci")
    lock = github.use(server)
    head = github.land(lock, "P1-001: work", {"b": "b\n"})
    now = lock.state().fence
    inputs = {
        "sha": {"head": head, "base": github.base}.get(sha, "v1.0"),
        "fence": {"fence": str(now), "another": str(now - 1)}.get(fence, fence),
    }
    ended = github.end(github.start(github.checkout(head), "workflow_dispatch", {"inputs": inputs}, head))
    assert ended.code == 0, ended.log
    assert (lock.state().state == "free") is speaks
    assert (events(lock)[-1] == "verdict") is speaks, ended.log
    assert bool(ended.outputs["fence"]) is speaks


def test_a_dispatch_proves_nothing_of_the_commit_that_its_check_run_stands_on(world: World) -> None:
    """Who reads check runs would take it for the tip's."""
    github = Github(world, gate="ci", more='ci.observe = "status"\n')
    head = github.push("more", {"b": "b\n"})
    for sha, code in ((head, 0), (github.base, 5)):
        ended = github.end(github.start(github.checkout(sha), "workflow_dispatch", {"inputs": {"sha": sha}}, head))
        assert ended.code == code, ended.log
    assert "is read as the verdict of" in ended.log


@pytest.mark.parametrize("asked", [True, False])
def test_a_dispatch_by_hand_of_what_is_not_on_the_lane_is_no_landing(world: World, server: Server, asked: bool) -> None:
    """Also where the checkout keeps no credentials, so that the remote cannot be asked."""
    github = Github(world, 'run = "exit 1"', gate="ci")
    lock = github.use(server)
    prps.sync(Repo(str(github.ana.path)), lock.store, github.config)
    run(["git", "checkout", "-q", "-b", "topic"], github.ana.path)
    topic = github.ana.commit_files("topic", {"prps/P1-002.yaml": NEW.replace("P1-001", "P1-002")})
    github.ana.git("push", "-q", "origin", "topic")
    checkout = github.checkout(topic)
    if not asked:
        run(["git", "remote", "set-url", "origin", str(world.folder / "gone.git")], checkout)
    payload = {"inputs": {"sha": topic, "fence": ""}}
    ended = github.end(github.start(checkout, "workflow_dispatch", payload, github.base))
    assert (ended.code, ended.outputs["fence"]) == (1, ""), ended.log
    assert (lock.state().closed, lock.record(topic)) == (None, None)
    assert sorted(prps.read(lock.store, github.config).prps) == ["P1-001"], "what has not landed is not recorded"


def test_a_dispatch_for_a_landing_that_another_run_has_says_nothing(world: World, server: Server) -> None:
    github = Github(world, 'run = "echo begun; sleep 3"', gate="ci")
    lock = github.use(server)
    head = github.land(lock, "P1-001: work", {"b": "b\n"})
    inputs = {"sha": head, "fence": str(lock.state().fence)}
    first = github.start(github.checkout(head), "push", {"before": github.base}, head)
    wait_for("begun", first)
    ended = github.end(github.start(github.checkout(head), "workflow_dispatch", {"inputs": inputs}, head))
    assert "does not wait for this run any more" in ended.log
    assert first.wait(30) == 0
    first.communicate()
    assert [e.detail for e in lock.log(100) if e.event == "verdict"] == ["green"]


GROUP = {"merge_group": {"base_ref": "refs/heads/main"}}


@pytest.mark.parametrize("gate", ["ci", "ci-first"])
@pytest.mark.parametrize(("step", "result"), [("true", "green"), ("false", None)])
def test_a_merge_group_leaves_evidence_when_green_and_never_a_lock(
    world: World, server: Server, step: str, result: str | None, gate: str
) -> None:
    github = Github(world, f'run = "{step}"', gate=gate)
    lock = github.use(server)
    head = github.push("in the queue", {"b": "b\n"})
    ended = github.end(github.start(github.checkout(head), "merge_group", GROUP, head, "refs/heads/q/main/pr-1"))
    stands = lock.standing(*github.key(head))
    assert (stands and stands.result) == result
    assert ended.outputs["fence"] == ""
    assert "adopt" not in events(lock)
    assert (lock.state().state, lock.state().closed) == ("free", None)


def test_what_a_merge_group_inherits_is_as_old_as_the_run_that_proved_it(world: World, server: Server) -> None:
    github = Github(world, gate="ci")
    lock = github.use(server)
    first = github.land(lock, "more", {"b": "b\n"})
    assert github.on_push(first).code == 0
    below = lock.standing(*github.key(first))
    head = github.push("in the queue", {"prps/P1-002.yaml": NEW.replace("P1-001", "P1-002")})
    payload = {"merge_group": {"base_ref": "refs/heads/main", "base_sha": first}}
    ended = github.end(github.start(github.checkout(head), "merge_group", payload, head, "refs/heads/q/main/pr-1"))
    assert "inherited from" in ended.log
    stands = lock.standing(*github.key(head))
    assert stands is not None
    assert below is not None
    assert stands.proven_ms == below.at_ms


def test_a_merge_group_for_what_is_no_lane_tells_nobody(world: World, server: Server) -> None:
    github = Github(world, gate="ci")
    lock = github.use(server)
    head = github.push("in the queue", {"b": "b\n"})
    for base in ({"base_ref": "refs/heads/other"}, {}, None):
        github.end(github.start(github.checkout(head), "merge_group", {"merge_group": base}, head))
    assert (events(lock), lock.standing(*github.key(head))) == ([], None)


# --- annotations and summary ------------------------------------------------------------------------------------------
def many_findings(count: int) -> dict[str, str]:
    return {f"prps/P2-{n:03d}.yaml": f"id: P2-{n:03d}\ntitle: x\nstatus: what\n" for n in range(count)}


def test_no_more_annotations_than_the_host_shows_and_the_verdict_among_them(world: World) -> None:
    ended = (github := Github(world)).on_push(github.push("many", many_findings(30)))
    shown = [c for c in ended.commands if c.startswith("::error")]
    assert len(shown) == 10
    assert shown[-1].startswith("::error title=smoke gate%3A red::30 findings")
    assert "21 more annotations would not be shown" in ended.log
    assert "P2-029: " in ended.log and "<td>P2-029</td>" in ended.summary, "the log and the summary have all"


def test_the_summary_has_a_timeline_from_the_queue_to_the_verdict(world: World, server: Server) -> None:
    github = Github(world, 'name = "unit"\nrun = "sleep 1"', gate="ci")
    lock = github.use(server)
    head = github.land(lock, "P1-001: work", {"b": "b\n"})
    time.sleep(1.2)
    ended = github.on_push(head)
    rows = re.findall(r"<tr><td>([+-][0-9.]+) s</td><td>(.*?)</td><td>(.*?)</td>", ended.summary)
    said = [what for _, what, _ in rows]
    assert said == [
        *("ana got the lane", "push announced", "seen in the branch", "picked up by this run"),
        *("PRPs of the pushed range judged", "unit: passed", "verdict green given"),
    ]
    at = {what: float(at) for at, what, _ in rows}
    assert at["seen in the branch"] < -1
    assert at["picked up by this run"] == 0
    assert at["verdict green given"] >= at["unit: passed"] + 1
    assert {what: took for _, what, took in rows}["unit: passed"].startswith("1.")
    bars = re.findall(r"<code>([·█]*)</code>", ended.summary)
    assert {len(bar) for bar in bars} == {30}


def test_a_push_without_a_store_has_the_hosts_time(github: Github) -> None:
    head = github.push("more", {"b": "b\n"})
    payload = {"before": github.base, "repository": {"pushed_at": int(time.time()) - 30}}
    ended = github.end(github.start(github.checkout(head), "push", payload, head))
    assert re.search(r"<td>-3[0-9]\.[0-9] s</td><td>pushed \(by the host&#x27;s clock\)</td>", ended.summary)


def test_a_summary_is_never_longer_than_the_host_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import runner

    path = tmp_path / "summary"
    block = "<p>" + "é" * 50_000 + "</p>\n\n"
    runner.add_summary(str(path), block * 8)
    assert path.read_text("utf-8") == block * 8, "what fits is whole"
    runner.add_summary(str(path), block * 8)
    assert 1024 * 1024 - len(block.encode()) - 300 < path.stat().st_size <= 1024 * 1024
    assert path.read_text("utf-8").endswith("has all of it.</p>\n\n")
    for _ in range(3):
        runner.add_summary(str(path), block)
    assert path.stat().st_size <= 1024 * 1024


def ci_user(server: Server) -> str:
    """Make the documentation's user on the server; its address."""
    line = next(x for x in DOCS.read_text("utf-8").splitlines() if x.startswith("ACL SETUSER prp-ci "))
    with server.redis() as admin:
        admin.execute_command(*line.split())
    return f"unix://prp-ci:a-long-password@{server.socket}"


@pytest.mark.parametrize("event", ["push", "red", "foreign", "merge_group", "dispatch"])
def test_the_user_of_the_documentation_can_do_everything_that_ci_needs(
    world: World, server: Server, event: str
) -> None:
    github = Github(world, f'run = "{"false" if event == "red" else "true"}"', gate="ci")
    lock = github.use(server)
    github.env["PRP_REDIS_URL"] = ci_user(server)
    if event in ("foreign", "merge_group"):
        head = github.push("round the hooks", {"b": "b\n"})
    else:
        head = github.land(lock, "P1-001: work", {"b": "b\n"})
    inputs = {"sha": head, "fence": str(lock.state().fence)}
    name, payload = {"merge_group": ("merge_group", GROUP), "dispatch": ("workflow_dispatch", {"inputs": inputs})}.get(
        event, ("push", {"before": github.base})
    )
    ended = github.end(github.start(github.checkout(head), name, dict(payload), head))
    result = "red" if event == "red" else "green"
    assert ended.outputs["verdict"] == result, ended.log
    assert bool(ended.outputs["fence"]) is (event != "merge_group")
    stands = lock.standing(*github.key(head))
    assert stands is not None
    assert stands.result == result
    assert (lock.state().closed is not None) is (event == "red")


def test_the_user_of_the_documentation_can_touch_nothing_else(world: World, server: Server) -> None:
    address = ci_user(server)
    other = "prp:{example.org/team/other}:lane:main:s"
    server.redis().hset(other, "state", "held")
    forbidden = [
        *(["HGETALL", other], ["HSET", other, "state", "free"], ["DEL", other], ["EXISTS", other], ["SET", "x", "1"]),
        *(["EVAL", "return redis.call('HSET', KEYS[1], 'state', 'free')", "1", other],),
        *(["EVAL", f"return redis.call('HGET', '{other}', 'state')", "0"],),
        *(["FLUSHALL"], ["CONFIG", "GET", "*"], ["KEYS", "*"], ["ACL", "LIST"], ["SHUTDOWN"]),
        *(["MONITOR"], ["CLIENT", "LIST"], ["RENAME", other, "prp:{example.org/team/app}:x"], ["SCRIPT", "FLUSH"]),
        *(["SCRIPT", "KILL"], ["FUNCTION", "FLUSH"]),
    ]
    with redis.Redis.from_url(address, protocol=2) as ci:
        for command in forbidden:
            with pytest.raises(redis.exceptions.ResponseError, match=r"(?i)permission|NOPERM|can't access"):
                ci.execute_command(*command)
    assert server.redis().hget(other, "state") == "held"


def test_a_store_that_is_not_there_does_not_make_it_red(world: World, server: Server) -> None:
    github = Github(world, gate="ci")
    github.use(server)
    head = github.push("more", {"b": "b\n"})
    server.stop()
    ended = github.on_push(head)
    assert (ended.code, ended.outputs["verdict"]) == (0, "green")
    assert "the lane's state is unknown to this run" in ended.log


def test_a_store_that_goes_away_during_the_run_does_not_make_it_red(world: World, server: Server) -> None:
    github = Github(world, 'run = "echo begun; sleep 2"', gate="ci", more="lane.ci_lease = 2")
    lock = github.use(server)
    head = github.land(lock, "P1-001: work", {"b": "b\n"})
    process = github.start(github.checkout(head), "push", {"before": github.base}, head)
    wait_for("begun", process)
    server.stop(signal.SIGKILL)
    ended = github.end(process)
    assert (ended.code, ended.outputs["verdict"]) == (0, "green")
    assert "green could not be told" in ended.log


def test_another_projects_store_is_left_alone(world: World, server: Server) -> None:
    github = Github(world, gate="ci")
    lock = github.use(server)
    server.redis().hset(lock.store.keys.meta, "store_id", "somebody else's")
    ended = github.on_push(github.push("more", {"b": "b\n"}))
    assert ended.code == 0
    assert "not the store of" in ended.log
    assert events(lock) == []
