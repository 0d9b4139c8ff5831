"""`prp next --claim`: what keeps it from picking, and many processes that race for it and finish what they get."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from prpgate import events, prps
from prpgate.errors import UserError
from prpgate.lock import MergeLock
from tests.prps import OLD, TOML, Desk, office
from tests.world import Clone

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import Server, World

PROCESSES = int(os.environ.get("PRP_TEST_RACERS", "6"))
COUNT = int(os.environ.get("PRP_TEST_RACE_PRPS", "18"))


def refused(desk: Desk) -> UserError:
    with pytest.raises(UserError) as e:
        desk.claim_next()
    return e.value


def test_it_picks_in_order_and_each_gets_another(world: World, server: Server) -> None:
    ann, eve = office(world, server, "ann", "eve")
    done = [desk.claim_next() for desk in (ann, eve, ann)]
    assert [(d.prp.id, d.prp.status, d.prp.owner) for d in done] == [
        ("P1-006", "in_progress", "ann"),
        ("P1-003", "in_progress", "eve"),
        ("P1-002", "in_progress", "ann"),
    ]
    claim = done[0].prp.claim
    assert claim is not None and not claim.reserved and claim.deadline_s > 7000
    nothing = refused(eve)
    assert (nothing.code, nothing.next_action) == ("none-ready", "prp why P1-006")
    assert "P1-006: claimed by ann until " in (nothing.hint or "")


def test_what_was_handed_over_to_one_comes_first_and_fills_no_limit(world: World, server: Server) -> None:
    more = '[wip]\nper_agent = 2\n[domains]\npm-p0 = "P0-*"\n'
    ann, eve = office(world, server, "ann", "eve", config=TOML + more)
    eve.note("P1-002", "here I am")
    for prp_id in ("P1-003", "P1-002"):
        ann.start(prp_id)
        ann.handover(prp_id, "eve", "the tests are missing")
    assert eve.code("claim_next", "pm-p0") == "limit", "what was asked for is another domain"
    first, then = eve.claim_next(), eve.claim_next()
    assert [d.prp.id for d in (first, then)] == ["P1-003", "P1-002"], "in the order in which they were handed over"
    assert first.notes[0] == "handed over by ann, at work on branch main" and not first.already
    assert first.prp.claim is not None and first.prp.claim.git_dir == eve.repo.git_dir
    assert eve.code("renew", "P1-003") == "", "its fence is kept here"
    assert eve.code("claim_next") == "limit" and ann.claim_next().prp.id == "P1-006"


def test_limits_say_who_fills_them(world: World, server: Server) -> None:
    ann, eve = office(world, server, "ann", "eve", config=TOML + "[wip]\nper_agent = 1\ntotal = 2\n")
    ann.claim_next()
    mine = refused(ann)
    assert (mine.code, mine.next_action) == ("limit", "prp complete P1-006")
    assert "you have P1-006 already (wip.per_agent allows 1)" in mine.message
    eve.claim_next()
    joe = Desk(Clone(eve.clone.path, "joe"), server, config=TOML + "[wip]\nper_agent = 1\ntotal = 2\n")
    assert "2 PRPs are under way: P1-003, P1-006 (wip.total allows 2)" in refused(joe).message
    assert "wip.total" in joe.why("P1-002").reasons[-1].text
    assert any("wip.total" in note for note in joe.start("P1-002").notes)  # on purpose it may be started


def test_a_status_and_what_waits_to_land_are_limits(world: World, server: Server) -> None:
    more = "[wip]\nwaiting_to_land = 1\n[wip.per_status]\nin_progress = 2\n"
    ann, eve = office(world, server, "ann", "eve", config=TOML + more)
    ann.claim_next()
    ann.claim_next()
    assert "2 PRPs are in progress (wip.per_status allows 2)" in refused(eve).message
    ann.complete("P1-006")
    waiting = refused(eve)
    assert "1 PRP is not proven yet" in waiting.message and waiting.next_action == "prp land"
    ann.complete_undo("P1-006")
    ann.release("P1-006")
    assert eve.claim_next().prp.id == "P1-006"  # nobody's, in progress: no line of ann's has landed


def test_an_area_takes_as_many_as_it_is_told(world: World, server: Server) -> None:
    text = OLD
    for prp_id in ("P1-003", "P1-006"):
        text = text.replace(
            f"title: The work of {prp_id}\n", f"title: Auth\n    paths:\n      shared: [src/auth/{prp_id}.py]\n"
        )
    toml = TOML + '[wip.per_area]\n"src/auth/**" = 1\n'
    ann, eve = office(world, server, "ann", "eve", ledger=text, config=toml)
    assert ann.claim_next().prp.id == "P1-006"
    why = eve.why("P1-003").reasons
    assert why[0].text == "the area src/auth/** is full: P1-006 (wip.per_area allows 1)"
    assert eve.claim_next().prp.id == "P1-002"
    ann.complete("P1-006")  # its work has not landed
    assert eve.why("P1-003").reasons[0].text.startswith("the area src/auth/** is full: P1-006")
    ann.complete_undo("P1-006")
    ann.release("P1-006")
    assert eve.why("P1-003").reasons == []


def test_what_is_new_is_validated_where_its_line_is_and_explained_elsewhere(world: World, server: Server) -> None:
    ann, eve = office(world, server, "ann", "eve")
    ann.clone.git("checkout", "-q", "-b", "feat/more")
    new = ann.new("something else").prp.id

    def named(desk: Desk) -> str | None:
        found = desk.choice()
        return prps.unvalidated(desk.ctx, found._replace(waiting=[w for w in found.waiting if w[0].id == new]))

    assert named(ann) == f"prp validate {new}"
    assert named(eve) == f"prp why {new}"
    first, then = eve.why(new).reasons[:2]
    assert "That line was written by ann on feat/more and has not landed yet." in first.text
    assert "it is not in this ledger" in first.text and first.next_action == "git merge feat/more"
    assert then.next_action == f"prp validate {new}"
    assert [r.next_action for r in ann.why(new).reasons] == [f"prp validate {new}"]
    assert eve.code("validate", new) == "stale-line", "what was named would have been refused"
    assert prps.unvalidated(eve.ctx, eve.choice()) == "prp validate P1-004"


def test_paths_that_are_somebodys_alone(world: World, server: Server) -> None:
    text = OLD.replace("title: The work of P1-006\n", "title: x\n    paths: {exclusive: [src/auth]}\n")
    text = text.replace("title: The work of P1-003\n", "title: y\n    paths: {shared: ['src/**/*.py']}\n")
    ann, eve = office(world, server, "ann", "eve", ledger=text)
    claim = ann.claim_next().prp.claim
    assert claim is not None and claim.exclusive == ("src/auth",)
    why = eve.why("P1-003").reasons[0]
    assert why.text.startswith("its path src/**/*.py overlaps with src/auth, which is P1-006's: ann until ")
    assert eve.claim_next().prp.id == "P1-002"
    (held,) = prps.exclusive(prps.read(eve.store, eve.config), "eve")  # what a commit is told of it
    shown = eve.prp("P1-006").claim
    assert shown is not None and abs(held.until - time.time() - shown.deadline_s) < 3, "as prp status shows it"
    assert abs(held.over - time.time() - shown.over_s) < 3 and held.over > held.until


def test_a_prp_that_is_taken_up_again_has_its_paths_again(world: World, server: Server) -> None:
    text = OLD.replace("title: The work of P1-001\n", "title: x\n    paths: {exclusive: [src/auth]}\n")
    (ann,) = office(world, server, "ann", ledger=text)
    claim = ann.reopen("P1-001", "it broke").prp.claim
    assert claim is not None and claim.exclusive == ("src/auth",)


def test_a_closed_lane_keeps_everybody_from_starting(world: World, server: Server) -> None:
    ann, eve = office(world, server, "ann", "eve")
    lock = MergeLock(ann.store, "main", ann.config.times)
    lock.close("pat", "the build is \x1b[31mred", person=True)
    closed = refused(ann)
    assert closed.code == "limit" and "closed by pat" in closed.message and "\x1b" not in closed.message
    free = Desk(eve.clone, server, config=TOML + '[wip]\nwhen_closed = "claim"\n')
    assert free.claim_next().prp.id == "P1-006"


def test_an_agent_with_a_domain_picks_within_it(world: World, server: Server) -> None:
    toml = TOML + '[domains]\npm-3 = "P1-*3"\nrest = ["P1-002", "P1-006"]\n'
    (ann,) = office(world, server, "ann", config=toml)
    pm = Desk(Clone(ann.clone.path, "pm-3"), server, config=toml)
    assert pm.claim_next().prp.id == "P1-003"
    assert refused(pm).code == "none-ready"
    assert [p.id for p in ann.choice("rest").ready] == ["P1-006", "P1-002"]
    assert ann.code("claim_next", "nowhere") == "no-domain"


def test_what_is_stale_here_is_passed_over_and_told(world: World, server: Server) -> None:
    ann, eve = office(world, server, "ann", "eve")
    ann.edit("P1-004", "status: new", "status: new")
    ann.validate("P1-004")
    ann.land("validated", code=False)
    ann.sync()
    ann.block("P1-003", "x")
    ann.block("P1-002", "x")
    ann.block("P1-006", "x")
    ann.store.redis.hset(
        ann.store.keys.briefs,
        "P1-004",
        '{"letter":"V","priority":"P1","seal":"' + str(ann.prp("P1-004").seal) + '","place":"1P1\\u0000P1-004"}',
    )  # its dependency aside
    stale = refused(eve)
    assert (stale.code, stale.next_action) == ("stale-line", "git pull --rebase --autostash")
    assert "P1-004" in stale.message
    assert ann.store.redis.hgetall(ann.store.keys.claims) == {}
    eve.unblock("P1-003")
    done = eve.claim_next()
    assert done.prp.id == "P1-003"


def test_a_reservation_that_nobody_completes_ends(world: World, server: Server) -> None:
    from prpgate import picking

    ann, eve = office(world, server, "ann", "eve")
    first = picking.ask(ann.ctx, "claim")
    assert first["id"] == "P1-006" and ann.code("start", "P1-006") == ""  # its own start completes it
    second = picking.ask(ann.ctx, "claim")
    assert second["id"] == "P1-003" == picking.ask(ann.ctx, "claim")["id"]  # asked again: the same
    assert eve.code("start", "P1-003") == "claimed"
    ann.lapse("P1-003")
    assert eve.claim_next().prp.id == "P1-003"
    assert "lapsed" not in eve.events("P1-003")
    assert picking.ask(ann.ctx, "claim")["id"] == "P1-002"  # in progress, and reserved: nobody's work yet
    assert [ann.code(verb, "P1-002") for verb in ("complete", "renew")] == ["stale-fence"] * 2


# --- the race --------------------------------------------------------------------------------------------------------


def ledger_folder(count: int) -> dict[str, str]:
    """PRPs of which every third waits for two earlier ones, in three areas."""
    rng = random.Random(count)
    files: dict[str, str] = {}
    for n in range(count):
        prp_id = f"P{rng.randrange(3)}-{n:03d}"
        after = rng.sample(sorted(files), 2) if n > 5 and n % 3 == 0 else []
        waits = f"depends_on: [{', '.join(a.split('/')[1].removesuffix('.yaml') for a in after)}]\n" if after else ""
        files[f"prps/{prp_id}.yaml"] = (
            f"id: {prp_id}\ntitle: Work {n}\nstatus: validated\n{waits}"
            f"paths: {{shared: [src/area{n % 3}]}}\nnotes: none\n"
        )
    return files


def race_config(more: str = "") -> str:
    limits = "[wip]\nper_agent = 1\ntotal = 12\n[wip.per_area]\n" + "".join(f'"src/area{n}/**" = 5\n' for n in range(3))
    return f'project = "example/race"\n[ledger]\npath = "prps/"\n{more}{limits}'


class Race:
    """Agents in worktrees of four clones, a process each."""

    def __init__(self, world: World, server: Server, folder: Path, processes: int, count: int, more: str = "") -> None:
        self.server, self.folder, self.toml = server, folder, folder / "race.toml"
        config = race_config(more)
        self.toml.write_text(config, "utf-8")
        self.desks = office(world, server, "c0", config=config)
        first = self.desks[0]
        first.clone.commit_files("ledger", ledger_folder(count))
        first.clone.git("push", "-q")
        first.sync()
        clones = [first.clone, *(world.clone(f"c{n}") for n in range(1, 4))]
        self.places: dict[str, Path] = {}
        for n in range(processes):
            path = folder / f"w{n}"
            clones[n % 4].git("worktree", "add", "-q", "-b", f"w{n}", str(path), "origin/main")
            self.places[f"agent-{n}"] = path
        self.running: dict[str, subprocess.Popen[str]] = {}

    def begin(self, name: str) -> None:
        args = [self.server.socket, str(self.places[name]), name, str(self.toml), str(self.folder / "landing")]
        self.running[name] = subprocess.Popen(
            [sys.executable, "-m", "tests.prps.agent_at_work", *args], stderr=subprocess.PIPE, text=True
        )

    def kill(self, name: str) -> None:
        process = self.running.pop(name)
        process.send_signal(signal.SIGKILL)
        process.communicate()

    def wait(self, most_s: float) -> None:
        until = time.monotonic() + most_s
        for name, process in self.running.items():
            try:
                _, said = process.communicate(timeout=max(1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.end()
                raise AssertionError(f"{name} did not come to an end") from None
            assert process.returncode == 0, f"{name}: {said}"

    def end(self) -> None:
        for name in list(self.running):
            self.kill(name)

    def check(self, count: int, *, lapses: bool = False) -> None:
        """The events, in the order in which the store did them: each started once, no limit broken, none jumped."""
        state = prps.read(self.desks[0].store, self.desks[0].config)
        assert len(state.prps) == count and {p.status for p in state.prps.values()} == {"complete"}
        known, working, done = prps.graph.needs(state), dict[str, str](), set[str]()
        started, most, before = dict[str, int](), 0, dict[str, str]()
        completing = set[str]()  # whose agent may take another: `per_agent` counts what is in progress
        told = events.tail(self.desks[0].store, 10_000)
        for e in told:
            prp_id, agent = e.prp or "", e.agent or ""
            if e.event in ("started", "taken-over"):
                assert prp_id not in working and prp_id not in done
                assert set(known[prp_id]) <= done, f"{prp_id} was started before {known[prp_id]}"
                held = [i for i, who in working.items() if who == agent and i not in completing]
                assert not held, f"{agent} has two: {prp_id} and {[(x.event, x.prp) for x in told if x.prp in held]}"
                working[prp_id] = agent
                started[prp_id] = started.get(prp_id, 0) + 1
                area = [i for i in working if int(i[-3:]) % 3 == int(prp_id[-3:]) % 3]
                assert len(area) <= 5 and len(working) <= 12
                most = max(most, len(working))
            elif e.event == "undone" and before[prp_id] in ("started", "taken-over"):  # the line could not be written:
                assert lapses and working.pop(prp_id)  # git, whose caller was killed, was still at work there
            elif e.event == "lapsed":
                assert lapses and working.pop(prp_id) == agent
            elif e.event == "complete":
                assert prp_id not in done, f"{prp_id} is complete twice"
                working.pop(prp_id)
                done.add(prp_id)
            if e.event == "completing":
                completing.add(prp_id)
            elif e.event in ("complete-undone", "completing-lapsed", "undone", "lapsed", "started", "taken-over"):
                completing.discard(prp_id)
            before[prp_id] = e.event
        assert len(done) == count and most > 1
        assert lapses or set(started.values()) == {1}


def test_many_processes_race_for_what_is_next(world: World, server: Server, tmp_path: Path) -> None:
    race = Race(world, server, tmp_path, PROCESSES, COUNT)
    try:
        for name in race.places:
            race.begin(name)
        race.wait(120 + 10 * COUNT)
    finally:
        race.end()
    race.check(COUNT)


def test_agents_are_killed_at_random_and_all_is_done_once(world: World, server: Server, tmp_path: Path) -> None:
    """The places of those killed for good are lost, with what they began; others take it over from the lane."""
    count, rng = COUNT * 3 // 4, random.Random(3)
    race = Race(world, server, tmp_path, PROCESSES, count, "[claim]\nagent = 6\nsuspect = 1\n")
    try:
        for name in race.places:
            race.begin(name)
        for n in range(PROCESSES):
            time.sleep(rng.uniform(0.3, 1.2))
            name = rng.choice(sorted(race.running))
            race.kill(name)
            if n % 2 or len(race.running) < 3:
                race.begin(name)
        race.wait(120 + 10 * COUNT)
    finally:
        race.end()
    race.check(count, lapses=True)


# --- what it costs ---------------------------------------------------------------------------------------------------


def commands(server: Server, desk: Desk, mode: str, **more: Any) -> int:
    """How many commands of the server one call of the script takes, whatever the machine is busy with."""
    from prpgate import picking

    def calls() -> int:
        stats: dict[str, Any] = dict(server.redis().info("commandstats"))
        return sum(int(one["calls"]) for name, one in stats.items() if name not in ("cmdstat_info", "cmdstat_client"))

    picking.ask(desk.ctx, mode, **more)  # the script is known now
    before = calls()
    picking.ask(desk.ctx, mode, **more)
    return calls() - before


def filled(desk: Desk, complete: int, ready: int = 30) -> None:
    """A store as a sync of so many PRPs leaves it."""
    from prpgate import picking, record, seal
    from prpgate.record import Entry

    def entry(n: int, status: str) -> Entry:
        fields = {"title": f"Work {n}", "status": status, "depends_on": [f"P0-{n - 1}"] if n > 1 else [], "notes": "x"}
        return Entry(f"P0-{n}", seal.compute(f"P0-{n}", 0, fields), status, fields)

    done = [entry(n, "complete") for n in range(1, complete + 1)]
    more = [entry(complete + 1, "validated")]
    more += [e._replace(id=f"P1-{n}") for n in range(ready) for e in [entry(1, "validated")]]
    client: Any = desk.store.redis
    client.flushall()
    client.set(desk.store.keys.cursor, "1" * 40)
    client.hset(desk.store.keys.recorded, mapping={e.id: record.dump(e) for e in [*done, *more]})
    assert picking.index(desk.ctx)


def test_what_is_complete_costs_next_nothing(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    costs: list[tuple[int, int, int]] = []
    for complete in (20, 2000):
        filled(ann, complete)
        first = ann.choice().ready[0].id
        assert first == f"P0-{complete + 1}"
        listed, why = commands(server, ann, "list"), commands(server, ann, "why", id=first)
        costs.append((listed, why, commands(server, ann, "claim")))
    assert costs[0] == costs[1]
