"""Runs that are spared: by a verdict that stands, or by one that is inherited; and what is never believed."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from prpgate import lane, prps, smoke
from prpgate.gitrepo import Repo
from prpgate.model import Verdict
from tests.ci.github import LEDGER, NEW, Github
from tests.world import World, run

if TYPE_CHECKING:
    from prpgate.lock import MergeLock
    from tests.world import Server

RAN = "count.out"
STEPS = 'name = "unit"\nrun = "echo x >> count.out"'
VALID = NEW.replace("status: new", "status: new\nnotes: a word more")


class Desk:
    """ana's clone with a store, and how often the gate's step ran in it."""

    def __init__(self, world: World, server: Server, *, steps: str = STEPS, more: str = "", gate: str = "none") -> None:
        self.github = Github(world, steps, more=more, gate=gate)
        self.lock: MergeLock = self.github.use(server)
        self.ana = self.github.ana
        self.ana.env["PRP_REDIS_URL"] = server.url
        self.ana.commit_files("ignore", {".gitignore": "*.out\n"})
        self.ana.git("push", "-q", "origin", "HEAD:main")

    @property
    def runs(self) -> int:
        path = self.ana.path / RAN
        return len(path.read_text().splitlines()) if path.exists() else 0

    def smoke(self, *args: str, code: int = 0) -> dict[str, Any]:
        done = self.ana.prp("smoke", "--json", *args, ok=False)
        assert done.code == code, done
        found: dict[str, Any] = json.loads(done.out)
        return found

    def tell(self, klass: str, result: str, head: str = "HEAD") -> None:
        tree = self.ana.git("rev-parse", f"{head}^{{tree}}").out.strip()
        verdict = Verdict(tree, smoke.hash_of(self.github.config), klass, result)
        prps.note_verdict(self.lock.store, verdict, agent="ben", sha=self.ana.head, run_url="https://ci.example/7")

    def standing(self, klass: str, head: str = "HEAD") -> Any:
        tree = self.ana.git("rev-parse", f"{head}^{{tree}}").out.strip()
        return self.lock.standing(tree, smoke.hash_of(self.github.config), klass)


@pytest.fixture
def desk(world: World, server: Server) -> Desk:
    return Desk(world, server)


# --- cached -----------------------------------------------------------------------------------------------------------
def test_a_green_tree_is_not_run_again_and_it_is_said_whence(desk: Desk) -> None:
    assert desk.smoke()["known"] is None
    again = desk.smoke()
    assert (desk.runs, again["result"], again["recorded"], again["steps"]) == (1, "green", True, [])
    assert (again["known"]["how"], again["known"]["class"], again["known"]["by"]) == ("cached", "local", "ana")
    assert again["known"]["proven"].endswith("Z")
    text = desk.ana.prp("smoke").text
    assert "nothing was run, this tree was proven by ana" in text
    assert "prp smoke --no-cache" in text
    assert desk.smoke("--no-cache")["known"] is None
    assert desk.runs == 2


def test_it_is_the_tree_that_counts_not_the_commit(desk: Desk) -> None:
    desk.smoke()
    desk.ana.git("commit", "-q", "--allow-empty", "-m", "nothing new")
    assert desk.smoke()["known"]["how"] == "cached"
    desk.ana.commit_files("something new", {"a": "a\n"})
    assert desk.smoke()["known"] is None


def test_other_steps_are_another_question(desk: Desk) -> None:
    desk.smoke()
    desk.ana.commit_files("other steps", {"prp.toml": desk.github.toml.replace("budget = 60", "budget = 61")})
    assert desk.smoke()["known"] is None


def test_a_working_tree_that_is_no_commit_is_run(desk: Desk) -> None:
    desk.smoke()
    desk.ana.write("scratch", "x\n")
    assert desk.smoke(code=5)["known"] is None
    assert desk.runs == 2


def test_a_red_one_is_run_again_also_where_ci_says_green(desk: Desk) -> None:
    desk.tell("local", "red")
    desk.tell("ci", "green")
    assert desk.smoke()["known"] is None
    assert desk.runs == 1


def test_here_a_verdict_of_ci_will_do(desk: Desk) -> None:
    desk.tell("ci", "green")
    known = desk.smoke()["known"]
    assert (known["class"], known["run_url"], desk.runs) == ("ci", "https://ci.example/7", 0)
    assert desk.standing("local") is None, "nothing was run here"


def test_an_old_one_is_run_again_and_looking_at_it_makes_it_no_younger(world: World, server: Server) -> None:
    desk = Desk(world, server, more="smoke_gate.max_age = 100")
    desk.smoke()
    before = desk.standing("local")
    desk.smoke()
    assert (desk.runs, desk.standing("local")) == (1, before)
    tree = desk.ana.git("rev-parse", "HEAD^{tree}").out.strip()
    field = f"{tree}:{smoke.hash_of(desk.github.config)}:local"
    old = {"result": "green", "at": before.at_ms - 101_000, "by": "ana"}
    client: Any = desk.lock.store.redis
    client.hset(desk.lock.store.keys.verdicts, field, json.dumps(old))
    assert desk.smoke()["known"] is None
    assert desk.runs == 2


def test_max_age_nought_means_never(world: World, server: Server) -> None:
    desk = Desk(world, server, more="smoke_gate.max_age = 0")
    desk.smoke()
    desk.smoke()
    assert desk.runs == 2


def test_without_a_store_it_runs_and_says_so(desk: Desk, server: Server) -> None:
    desk.smoke()
    server.stop()
    done = desk.ana.prp("smoke", ok=False)
    assert (done.code, desk.runs) == (5, 2)
    assert "it is not known whether this was proven already" in done.err


# --- inherited --------------------------------------------------------------------------------------------------------
def test_a_commit_of_ledger_entries_alone_inherits(desk: Desk) -> None:
    desk.smoke()
    proven = desk.standing("local")
    green = desk.ana.head
    desk.ana.commit_files("P1-001 word", {LEDGER: VALID})
    desk.ana.commit_files("P1-002", {"prps/P1-002.yaml": NEW.replace("P1-001", "P1-002")})
    found = desk.smoke()
    assert (desk.runs, found["known"]["how"], found["known"]["sha"]) == (1, "inherited", green)
    assert desk.standing("local").result == "green"
    assert desk.standing("local").proven_ms == proven.at_ms, "it is as old as the run that proved it"
    assert "inherited from" in found["reason"]
    assert desk.smoke()["known"]["how"] == "cached"


@pytest.mark.parametrize(
    ("what", "files"),
    [
        ("code beside it", {LEDGER: VALID, "a.py": "x = 1\n"}),
        ("no entry", {"prps/conftest.py": "x = 1\n"}),
        ("deeper", {"prps/sub/P1-009.yaml": NEW}),
        ("hidden", {"prps/.P1-009.yaml": NEW}),
        ("not in order", {LEDGER: NEW.replace("status: new", "status: done")}),
        ("no YAML", {LEDGER: "{\n"}),
    ],
)
def test_what_is_more_than_entries_in_order_is_run(desk: Desk, what: str, files: dict[str, str]) -> None:
    desk.smoke()
    desk.ana.commit_files("ledger, it says", files)
    assert desk.smoke()["known"] is None, what
    assert desk.runs == 2


def test_an_entry_that_is_a_link_or_a_program_is_run(desk: Desk) -> None:
    desk.smoke()
    (desk.ana.path / LEDGER).chmod(0o755)
    desk.ana.git("commit", "-q", "-am", "a program")
    assert desk.smoke()["known"] is None
    (desk.ana.path / "prps" / "P1-009.yaml").symlink_to("../prp.toml")
    desk.ana.git("add", "-A")
    desk.ana.git("commit", "-q", "-m", "a link")
    assert desk.smoke()["known"] is None


def test_nothing_is_inherited_past_code_or_from_red(desk: Desk) -> None:
    desk.smoke()
    desk.ana.commit_files("code", {"a.py": "x = 1\n"})
    desk.ana.commit_files("ledger", {LEDGER: VALID})
    assert desk.smoke()["known"] is None
    desk.ana.commit_files("ledger again", {LEDGER: VALID.replace("word", "line")})
    desk.tell("local", "red")
    desk.ana.commit_files("ledger once more", {LEDGER: VALID.replace("word", "text")})
    assert desk.smoke()["known"] is None, "the nearest verdict counts"
    assert desk.runs == 3


@pytest.mark.parametrize(
    ("steps", "more"),
    [
        ('run = "cat prps/P1-001.yaml && echo x >> count.out"', ""),
        ('run = "command -v prp; echo x >> count.out"', ""),
        ('run = "echo x >> count.out"\nchanged = ["prps/**", "*"]', ""),
        (STEPS, "smoke_gate.inherit = false"),
    ],
)
def test_where_a_step_reads_the_ledger_nothing_is_inherited(
    world: World, server: Server, steps: str, more: str
) -> None:
    desk = Desk(world, server, steps=steps, more=more)
    desk.smoke("--all")
    desk.ana.commit_files("ledger", {LEDGER: VALID})
    assert desk.smoke()["known"] is None
    assert desk.runs == 2


# --- steps with `changed` ---------------------------------------------------------------------------------------------
CHANGED = 'run = "echo x >> count.out"\nchanged = ["src/**"]\n[[smoke]]\nname = "always"\nrun = "true"'


def test_a_step_is_left_out_only_where_the_lanes_tip_is_green(world: World, server: Server) -> None:
    desk = Desk(world, server, steps=CHANGED)
    desk.ana.commit_files("docs", {"docs/a": "a\n"})
    first = desk.ana.prp("smoke")
    assert "has no green verdict under these steps" in first.err
    assert desk.runs == 1
    desk.tell("local", "green", "origin/main")
    desk.ana.commit_files("more docs", {"docs/a": "b\n"})
    found = desk.smoke()
    assert [s["outcome"] for s in found["steps"]] == ["not needed", "passed"]
    assert (desk.runs, found["recorded"]) == (1, True)
    assert found["base"] == desk.ana.git("rev-parse", "origin/main").out.strip()
    assert desk.smoke("--no-cache", "--all")["base"] is None
    assert desk.runs == 2
    desk.ana.commit_files("code", {"src/a": "a\n"})
    assert [s["outcome"] for s in desk.smoke()["steps"]] == ["passed", "passed"]


# --- landing with gate local ------------------------------------------------------------------------------------------
def test_a_landing_of_ledger_entries_inherits_under_gate_local(world: World, server: Server) -> None:
    desk = Desk(world, server, gate="local")
    desk.smoke()
    desk.ana.commit_files("ledger", {LEDGER: VALID})
    landed = json.loads(desk.ana.prp("land", "--json").out)
    assert (landed["state"], desk.runs) == ("landed", 1)
    assert desk.standing("local").result == "green"


def test_a_plain_push_of_ledger_entries_passes_for_green_and_one_of_code_does_not(world: World, server: Server) -> None:
    desk = Desk(world, server, gate="local", more="smoke_gate.max_age = 1")
    repo = Repo(str(desk.ana.path))

    def green() -> bool:
        return lane.is_green(repo, desk.github.config, desk.lock, desk.ana.head)

    assert not green()
    desk.smoke()
    desk.ana.commit_files("ledger", {LEDGER: VALID})
    time.sleep(1.1)
    assert green(), "however old: what may be pushed is not what is run again"
    desk.ana.commit_files("code", {"a.py": "x = 1\n"})
    assert not green()


# --- in CI ------------------------------------------------------------------------------------------------------------
TOUCH = 'name = "unit"\nrun = "echo RAN-IT"'


def test_ci_believes_ci_and_frees_the_lane(world: World, server: Server) -> None:
    github = Github(world, TOUCH, gate="ci")
    lock = github.use(server)
    head = github.land(lock, "more", {"b": "b\n"})
    assert "RAN-IT" in github.on_push(head).log
    github.ana.git("commit", "-q", "--allow-empty", "-m", "same tree")
    again = github.land(lock, "and back", {"b": "b\n", "c": "c\n"})
    assert "RAN-IT" in github.on_push(again).log
    github.ana.git("rm", "-q", "c")
    last = github.land(lock, "as it was", {"b": "b\n"})
    ended = github.on_push(last, PRP_JUNIT="junit.xml")
    assert (ended.code, ended.outputs["verdict"], "RAN-IT" in ended.log) == (0, "green", False), ended.log
    assert "RAN-IT" in github.on_push(last, PRP_NO_CACHE="1").log
    assert "nothing was run, this tree was proven by ci" in ended.log
    assert "https://host.example/team/app/actions/runs/77/attempts/1" in ended.log
    assert ended.outputs["tree"] == github.key(last)[0]
    state = lock.state()
    assert (state.state, state.closed) == ("free", None)
    record = lock.record(last)
    assert record is not None
    assert record.verdict == "green"


def test_ci_does_not_believe_what_was_run_elsewhere(world: World, server: Server) -> None:
    github = Github(world, TOUCH, gate="ci")
    lock = github.use(server)
    head = github.land(lock, "more", {"b": "b\n"})
    tree, steps, _ = github.key(head)
    prps.note_verdict(lock.store, Verdict(tree, steps, "local", "green"), agent="ana", sha=head)
    assert "RAN-IT" in github.on_push(head).log


def test_ci_inherits_over_ledger_entries_and_not_over_findings(world: World, server: Server) -> None:
    github = Github(world, TOUCH, gate="ci")
    lock = github.use(server)
    first = github.land(lock, "more", {"b": "b\n"})
    assert "RAN-IT" in github.on_push(first).log
    second = github.land(lock, "ledger", {LEDGER: VALID})
    ended = github.on_push(second, before=first)
    assert (ended.code, "RAN-IT" in ended.log) == (0, False), ended.log
    assert "inherited from" in ended.log
    stands = lock.standing(*github.key(second))
    below = lock.standing(*github.key(first))
    assert stands is not None
    assert below is not None
    assert (stands.result, stands.proven_ms) == ("green", below.at_ms)
    third = github.land(lock, "ledger, not in order", {LEDGER: NEW.replace("new", "done")})
    ended = github.on_push(third, before=second)
    assert (ended.code, "RAN-IT" in ended.log) == (1, True)


def test_ci_leaves_steps_out_only_over_a_green_tip_of_its_own(world: World, server: Server) -> None:
    github = Github(world, f'{TOUCH}\nchanged = ["src/**"]\n[[smoke]]\nname = "b"\nrun = "true"', gate="ci")
    lock = github.use(server)
    first = github.land(lock, "docs", {"docs/a": "a\n"})
    ended = github.on_push(first)
    assert "has no green verdict under these steps" in ended.log
    assert "RAN-IT" in ended.log
    second = github.land(lock, "docs", {"docs/a": "b\n"})
    ended = github.on_push(second, before=first)
    assert (ended.code, "RAN-IT" in ended.log) == (0, False), ended.log
    assert f"steps with `changed` are compared with {first[:12]}" in ended.log
    assert "not needed: unit" in ended.log


def test_ci_leaves_nothing_out_where_its_check_run_is_the_verdict(world: World) -> None:
    steps = f'{TOUCH}\nchanged = ["src/**"]\n[[smoke]]\nname = "b"\nrun = "true"\nchanged = ["b/**"]'
    github = Github(world, steps, gate="ci", more='ci.observe = "status"\n')
    red = github.push("broken", {"src/a": "1\n"})  # whatever its run said: nobody tells this one
    ended = github.on_push(github.push("words", {"README": "1\n"}), before=red)
    assert (ended.code, ended.outputs["reason"].partition(" in ")[0]) == (0, "2 steps passed"), ended.log
    assert "all steps run" in ended.log


def test_two_steps_at_once_do_not_mix_in_the_log(world: World) -> None:
    steps = (
        'name = "a"\nrun = "for i in 1 2 3; do echo a$i; sleep 0.2; done"\n'
        '[[smoke]]\nname = "b"\nrun = "for i in 1 2 3; do echo b$i; sleep 0.2; done; exit 1"'
    )
    github = Github(world, steps, more="smoke_gate.parallel = 2\nlane.red_retries = 0")
    head = github.push("more", {"b": "b\n"})
    checkout = github.checkout(head)
    ended = github.end(
        github.start(checkout, "push", {"before": github.base}, head, PRP_JUNIT="out/junit.xml"), timeout=60
    )
    lines = ended.log.splitlines()
    for name in "ab":
        at = lines.index(f"{name}1")
        assert lines[at : at + 3] == [f"{name}{n}" for n in (1, 2, 3)]
        assert lines[at - 2].startswith(f"::group::{name}: ")
    assert any(line.startswith("a begins: ") for line in lines)
    assert (checkout / "out" / "junit.xml").read_text().count("<testcase") == 3
    assert run(["git", "status", "--porcelain", "--untracked-files=no"], checkout).out == ""
