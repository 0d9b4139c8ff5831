"""PRP states beside the plain reading of docs/prps.md: random verbs, landings, reverts, verdicts and lapses of three
places (two agents, one of them in two clones) on real git and a real store; no difference after any step.

PRP_STEPS sets about how many steps (random seeds then, unless PRP_SEED says which), PRP_SHRINK=1 looks for the shortest
way to a difference. What was done, in which state, and what came of it is counted and told at the end (pytest -s).
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from prpgate import claimfile, prps, smoke
from prpgate.errors import CouldNotTell
from prpgate.model import Verdict
from tests.prps import LEDGER, TOML, Desk
from tests.prps.reading import ALREADY, MOVED, NOTHING, REFUSED, TAKEN, UNKNOWN, Landing, Me, Reading
from tests.prps.reading_of_lane import Commit, Entry, History
from tests.world import Clone, Server, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

STEPS = int(os.environ.get("PRP_STEPS", "300"))
SEEDS = [int(os.environ["PRP_SEED"])] if "PRP_SEED" in os.environ else [1]
if "PRP_STEPS" in os.environ and "PRP_SEED" not in os.environ:
    SEEDS = [random.SystemRandom().randrange(2**32) for _ in SEEDS]
LENGTH = 40  # steps until everything begins anew
PLACES = (("ann", "ann"), ("ben", "ben"), ("ann", "attic"))  # agent, folder
START = """prp_tracking:
  P1-001:
    title: One
    status: new
    stable_id: PRP-1
  P1-002:
    title: Two
    status: validated
    owner: null
    stable_id: PRP-2
  P1-003:
    title: Three
    status: validated
    depends_on: [P1-002]
    stable_id: PRP-3
  P0-004:
    title: Four
    status: in_progress
    started_at: '2025-07-16T08:00:00Z'
    stable_id: PRP-4
stats: {}
"""
IDS = ("P1-001", "P1-002", "P1-003", "P0-004", "P2-001")
FRESHENS = ("new", "validate", "start", "handover", "complete", "undo", "reopen", "deprecate")
KEEPS = ("validate", "start", "handover", "complete", "reopen", "deprecate", "renew", "release")
LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def entries(text: str) -> dict[str, Entry]:
    found = {}
    for i, fields in yaml.load(text, LOADER)["prp_tracking"].items():
        texts = {k: v for k, v in fields.items() if isinstance(v, str) and v not in ("null", "~", "")}
        found[i] = Entry(i, texts, tuple(fields.get("depends_on", ())))
    return found


class Objects:
    """One `git cat-file --batch` of a clone: what it knows, at no cost."""

    def __init__(self, path: Path) -> None:
        command = ["git", "cat-file", "--batch"]
        self.process = subprocess.Popen(command, cwd=path, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, spec: str) -> tuple[str, str] | None:
        """(object id, content)"""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(spec.encode() + b"\n")
        self.process.stdin.flush()
        head = self.process.stdout.readline().decode().split()
        if head[-1] == "missing":
            return None
        content = self.process.stdout.read(int(head[2]) + 1)
        return head[0], content[:-1].decode("utf-8", "replace")

    def close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()
        self.process.wait(10)


class Place:
    """A clone, and the agent at work in it."""

    def __init__(self, name: str, path: Path, agent: str, server: Server, history: History) -> None:
        self.name, self.agent = name, agent
        self.desk = Desk(Clone(path, agent), server)
        self.objects, self.history = Objects(path), history
        self.known: set[str] = set()

    def git(self, *args: str) -> bool:
        return self.desk.clone.git(*args, ok=False).code == 0

    def seen(self, spec: str) -> str:
        """Look at a commit and all under it, as far as nobody did yet. Its sha."""
        found = self.objects.ask(spec)
        assert found is not None, spec
        todo, new = [found], []
        while todo:
            sha, text = todo.pop()
            if sha in self.history.commits or sha in new:
                continue
            new.append(sha)
            header, _, message = text.partition("\n\n")
            tree, *parents = re.findall(r"(?m)^(?:tree|parent) ([0-9a-f]{40})$", header)
            code, ledger = self.objects.ask(f"{sha}:src"), self.objects.ask(f"{sha}:{LEDGER}")
            about = code[0] if code else "", message, entries(ledger[1]) if ledger else {}
            self.history.commits[sha] = Commit(sha, tuple(parents), tree, *about)
            todo += [p for p in map(self.objects.ask, parents) if p is not None]
        self.known |= self.history.under(found[0])
        return found[0]

    @property
    def head(self) -> str:
        return self.seen("HEAD")

    @property
    def tip(self) -> str:
        return self.seen("refs/remotes/origin/main")

    def entries(self) -> dict[str, Entry]:
        return entries(self.desk.ledger())

    def me(self, i: str) -> Me:
        return Me(self.agent, self.name, self.tip, self.known, self.entries().get(i))


class Stage:
    """What all runs stand on: a server, and clones to begin with that are copied."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server, self.folder, self.steps = server, folder, 0
        self.told: Counter[str] = Counter()
        (folder / "world").mkdir()
        world = World(folder / "world")
        first = world.clone("ann", first=True)
        first.commit_files("the ledger", {"prp.toml": TOML, LEDGER: START, "src/first.txt": "x"})
        first.git("push", "-q")
        for _, name in PLACES[1:]:
            world.clone(name)
        for _, name in PLACES:
            Clone(folder / "world" / name, name).git("config", "gc.auto", "0")
        shutil.copytree(folder / "world", folder / "kept", symlinks=True)

    def begin(self, history: History) -> list[Place]:
        shutil.rmtree(self.folder / "world")
        shutil.copytree(self.folder / "kept", self.folder / "world", symlinks=True)
        self.server.redis().flushall()
        return [Place(name, self.folder / "world" / name, agent, self.server, history) for agent, name in PLACES]


WHO = st.sampled_from([0, 0, 1, 1, 2])
N = st.integers(0, 59)
ODD = st.booleans()


class Prps(RuleBasedStateMachine):
    """Every rule does one thing in both worlds, and compares."""

    stage: Stage

    def __init__(self) -> None:
        super().__init__()
        self.history = History()
        self.reading = Reading(self.history)
        self.places = self.stage.begin(self.history)
        self.remote = self.places[0].tip
        self.fence = self.made = 0

    def teardown(self) -> None:
        for place in self.places:
            place.objects.close()
            place.desk.store.redis.close()

    @initialize(one=st.integers(0, 6), other=st.integers(0, 6))
    def fill(self, one: int, other: int) -> None:
        self.sync(0)
        self.go_on_to_the_end(0, 1, one)
        self.go_on_to_the_end(1, 3, other)

    # --- both worlds
    def pick(self, n: int, likely: Callable[[str], bool]) -> str:
        """Mostly one that the verb is for."""
        good = [i for i in IDS if likely(i)]
        return good[n % len(good)] if good and n % 6 else IDS[n % len(IDS)]

    def in_state(self, n: int, letters: str) -> str:
        return self.pick(n, lambda i: self.reading.letter(i) in letters)

    def mine(self, who: int, n: int, letters: str) -> str:
        r, agent = self.reading, self.places[who].agent
        return self.pick(n, lambda i: r.letter(i) in letters and i in r.claims and r.claims[i].agent == agent)

    def act(self, who: int, verb: str, i: str, *args: Any, call: Callable[[], str] | None = None) -> str:
        """One verb; whether it is taken, was so before or is refused must be what the reading says."""
        place, r = self.places[who], self.reading
        if verb in FRESHENS:
            r.sync(place.tip, place.known, self.remote)
        me, text, top, letter = place.me(i), place.desk.ledger(), r.top(i), r.letter(i)
        r.clock += 1
        expected = getattr(r, verb)(i, me, *args)
        code = call() if call else place.desk.code({"undo": "complete_undo"}.get(verb, verb), i, *args)
        said = {"": TAKEN, "already": ALREADY}.get(code, REFUSED)
        self.stage.told[f"{verb} {letter} {said}"] += 1
        assert said == expected, f"{place.name} {verb} {i}: {said} ({code}), not {expected}"
        assert code != "busy"
        entry, after = place.entries().get(i), r.top(i)
        if said == REFUSED:
            assert place.desk.ledger() == text
        elif said == TAKEN and after is not None and after.seal.endswith("-"):
            assert entry is not None and entry.seal is not None and entry.seal.startswith(after.seal), entry
            assert entry.status == after.status and (after.owner is None or entry.fields["owner"] == after.owner)
            r.sealed(i, entry.seal)
        elif verb == "undo" and me.entry and me.entry.seal and me.entry.status == "complete":
            number = int(me.entry.seal.partition("-")[0])
            want = after.seal if after and number > after.number else me.entry.seal
            assert entry is not None and entry.seal == want
        else:
            same = me.entry.seal if me.entry else None
            assert entry is not None and entry.seal in (same, top.seal if top else None), verb
        if i in r.claims and r.claims[i].fence == 0:
            fence = int(self.store_claims()[i]["fence"])
            assert fence > self.fence
            self.fence = fence
            r.granted(i, fence)
        if said != REFUSED and verb in KEEPS:
            r.keep(i, me)
        self.compare()
        return said

    def store_claims(self) -> dict[str, Any]:
        found = prps.read(self.places[0].desk.store, self.places[0].desk.config).prps
        return {i: {"fence": p.claim.fence} for i, p in found.items() if p.claim}

    def compare(self) -> None:
        """What everybody sees, and what the reading says."""
        self.reading.tidy()
        self.stage.steps += 1
        assert self.as_stored() == self.as_read()

    def as_stored(self) -> dict[str, Any]:
        desk = self.places[0].desk
        state, names = prps.read(desk.store, desk.config), {p.desk.repo.git_dir: p.name for p in self.places}
        found: dict[str, Any] = {"cursor": state.cursor}
        for i, p in state.prps.items():
            c = p.claim
            found[i] = {
                "status": (p.status, p.phase, p.recorded),
                "rev": p.rev,
                "owner": p.owner,
                "title": p.title if p.recorded else None,
                "highest": p.maxrev,
                "chain": [(x.seal, x.on, x.agent) for x in p.chain],
                "orphaned": [(x.seal, x.on, x.agent) for x in p.orphaned],
                "claim": c and (c.agent, names.get(c.git_dir), c.fence, c.suspect),
                "marks": (
                    *(p.marks.get("blocked", {}).get("waits_for"), p.marks.get("assigned", {}).get("agent")),
                    "blocked" in p.marks,
                ),
            }
        found["carried"] = {
            (p.name, k.id): int(k.fence) for p in self.places for k in claimfile.mine(p.desk.repo.git_dir, p.agent)
        }
        return found

    def as_read(self) -> dict[str, Any]:
        r = self.reading
        found: dict[str, Any] = {"cursor": r.cursor, "carried": r.carried}
        for i in {*r.recorded, *(i for i, chain in r.chains.items() if chain)}:
            top, rec, c, letter = r.top(i), r.recorded.get(i), r.claims.get(i), r.letter(i)
            if top is None:
                continue
            chain = [(x.seal, x.on, x.agent) for x in r.chains.get(i, [])]
            phase = {"C": "completing", "L": "landed"}.get(letter)
            found[i] = {
                "status": ("in_progress" if phase else top.status, phase, rec.status if rec else None),
                "rev": top.seal if top.number else None,
                "owner": r.owner(i),
                "title": rec.title if rec else None,
                "highest": r.maxrev.get(i, 0),
                "chain": chain if r.stands(i) else [],
                "orphaned": [] if r.stands(i) else chain,
                "claim": c and (c.agent, c.place, c.fence, c.suspect),
                "marks": (r.blocked.get(i) or None, r.assigned.get(i), i in r.blocked),
            }
        return found

    # --- verbs
    @rule(who=WHO)
    def new(self, who: int) -> None:
        place = self.places[who]
        self.act(who, "new", "P2-001", call=lambda: place.desk.code("new", "Five", None, "P2-001"))

    @rule(who=WHO, n=N)
    def validate(self, who: int, n: int) -> None:
        self.act(who, "validate", self.in_state(n, "N"))

    @rule(who=WHO, n=N)
    def start(self, who: int, n: int) -> None:
        r = self.reading
        self.act(who, "start", self.pick(n, lambda i: r.letter(i) in "VI" and not r.claim(i)))

    @rule(who=WHO, n=N)
    def start_anything(self, who: int, n: int) -> None:
        self.act(who, "start", IDS[n % len(IDS)])

    @rule(who=WHO, n=N)
    def renew(self, who: int, n: int) -> None:
        self.act(who, "renew", self.mine(who, n, "ICL"))

    @rule(who=WHO, n=N)
    def release(self, who: int, n: int) -> None:
        self.act(who, "release", self.mine(who, n, "IL"))

    @rule(who=WHO, n=N, to=st.sampled_from(["ann", "ben", "cid"]))
    def handover(self, who: int, n: int, to: str) -> None:
        if to == self.places[who].agent:  # which is a slip of the pen, and told before all else
            return
        i, desk = self.mine(who, n, "I"), self.places[who].desk
        self.act(who, "handover", i, to, call=lambda: desk.code("handover", i, to, force=True))

    @rule(who=WHO, n=N)
    def take_back(self, who: int, n: int) -> None:
        """What this agent gave and nobody took up; where there is nothing, it starts and gives something first."""
        r, agent, desk = self.reading, self.places[who].agent, self.places[who].desk

        def given(i: str) -> bool:
            return i in r.claims and r.claims[i].giver == agent

        if not any(map(given, IDS)):
            i = self.in_state(n, "V")
            self.act(who, "start", i)
            self.act(who, "handover", i, "cid", call=lambda: desk.code("handover", i, "cid", force=True))
        said = self.act(who, "start", self.pick(n, given))
        self.stage.told[f"take back {said}"] += 1

    @rule(who=WHO, n=N)
    def complete(self, who: int, n: int) -> None:
        self.act(who, "complete", self.mine(who, n, "I"))

    @rule(who=WHO, n=N)
    def undo(self, who: int, n: int) -> None:
        self.act(who, "undo", self.mine(who, n, "C"))

    @rule(who=WHO, n=N)
    def reopen(self, who: int, n: int) -> None:
        i = self.in_state(n, "DL")
        self.act(who, "reopen", i, call=lambda: self.places[who].desk.code("reopen", i, "not good"))

    @rule(who=WHO, n=N, by=st.sampled_from(IDS), often=st.integers(0, 2))
    def deprecate(self, who: int, n: int, by: str, often: int) -> None:
        self.act(who, "deprecate", self.in_state(n, "NVI" if often else "X"), by)

    @rule(who=WHO, n=N, kind=st.sampled_from(["block", "assign"]), back=ODD)
    def mark(self, who: int, n: int, kind: str, back: bool) -> None:
        i, desk, r = IDS[n % len(IDS)], self.places[who].desk, self.reading
        said = None if back else IDS[n % 3] if kind == "block" else ("ann", "ben")[n % 2]
        if said is not None and r.letter(said) == "-" and kind == "block":
            said = None
        expected = r.mark(i, kind, said)
        if kind == "assign":
            code = desk.code("assign", i, said)
        else:
            code = desk.code("unblock", i) if said is None else desk.code("block", i, "no", said)
        assert {"": TAKEN, "already": ALREADY}.get(code, REFUSED) == expected, (code, expected)
        self.compare()

    @rule(who=WHO)
    def claim_next(self, who: int) -> None:
        place, r = self.places[who], self.reading
        r.sync(place.tip, place.known, self.remote)
        i = r.next(place.me(IDS[0]), place.entries())
        if i is None:
            assert place.desk.code("claim_next") in ("none-ready", "stale-line")
            self.compare()
            return

        def call() -> str:
            assert place.desk.claim_next().prp.id == i
            return ""

        self.act(who, "start", i, call=call)

    # --- time
    @rule(n=N)
    def lapse(self, n: int) -> None:
        self.later(n, self.reading.claims, "lapse")

    @rule(n=N)
    def suspect(self, n: int) -> None:
        self.later(n, self.reading.claims, "suspect")

    @rule(n=N)
    def lapse_marker(self, n: int) -> None:
        self.later(n, self.reading.markers, "lapse_marker")

    def later(self, n: int, over: dict[str, Any], what: str) -> None:
        if over:
            i = sorted(over)[n % len(over)]
            getattr(self.places[0].desk, what)(i)
            getattr(self.reading, what)(i)
        self.compare()

    # --- git
    def save(self, place: Place, i: str | None, code: bool) -> None:
        if code:
            self.made += 1
            place.desk.clone.write(f"src/{place.name}.txt", f"{self.made}")
        place.git("add", "-A")
        place.git("commit", "-q", "-m", f"{i}: work" if i else "work")

    def land(self, who: int) -> bool:
        """Push what is committed, if the lane has nothing else meanwhile; noted as the lane does."""
        place, r, base = self.places[who], self.reading, self.remote
        head = place.head
        if head == base or not place.git("push", "-q", "origin", "HEAD:main"):
            return False
        self.remote = head
        ids, code = prps.prps_of_range(place.desk.repo, place.desk.config, base, head)
        assert code == (self.history.commits[base].code != self.history.commits[head].code)
        r.clock += 1
        place.desk.note_landing(head, base, ids, code)
        r.landings.append(Landing(head, base, tuple(ids), r.clock))
        r.pushed.append(head)
        return True

    def take_in(self, who: int) -> None:
        """Onto the lane's tip; what does not fit is thrown away."""
        place = self.places[who]
        place.git("fetch", "-q")
        if not place.git("rebase", "-q", "origin/main"):
            place.git("rebase", "--abort")
            assert place.git("reset", "-q", "--hard", "origin/main")
        assert place.head and place.tip == self.remote

    @rule(who=WHO, n=N, code=ODD, named=ODD)
    def commit(self, who: int, n: int, code: bool, named: bool) -> None:
        self.save(self.places[who], IDS[n % len(IDS)] if named else None, code)
        self.places[who].seen("HEAD")
        self.compare()

    @rule(who=WHO, n=N, code=st.sampled_from([True, True, False]))
    def commit_and_land(self, who: int, n: int, code: bool) -> None:
        self.save(self.places[who], self.mine(who, n, "ICL"), code)
        self.land(who)
        self.compare()

    @rule(who=WHO)
    def pull(self, who: int) -> None:
        self.save(self.places[who], None, False)
        self.take_in(who)
        self.compare()

    @rule(who=WHO)
    def merge(self, who: int) -> None:
        place = self.places[who]
        self.save(place, None, False)
        place.git("fetch", "-q")
        if not place.git("merge", "-q", "--no-edit", "origin/main"):
            place.git("merge", "--abort")
        assert place.head and place.tip == self.remote
        self.compare()

    @rule(who=WHO)
    def fetch(self, who: int) -> None:
        assert self.places[who].git("fetch", "-q")
        assert self.places[who].tip == self.remote
        self.compare()

    @rule(who=WHO)
    def amend(self, who: int) -> None:
        place = self.places[who]
        if place.head not in self.history.under(self.remote):
            place.git("commit", "-q", "-a", "--amend", "--no-edit")
        self.compare()

    @rule(who=WHO, side=ODD)
    def switch(self, who: int, side: bool) -> None:
        place = self.places[who]
        if not place.git("checkout", "-q", "side" if side else "main") and side:
            place.git("checkout", "-q", "-b", "side")
        place.seen("HEAD")
        self.compare()

    @rule(who=WHO, n=st.integers(0, 5), land=ODD)
    def revert(self, who: int, n: int, land: bool) -> None:
        """Also of a revert."""
        self.on_top(who, "revert", lambda: self.history.chain(self.places[who].head), n, land)

    @rule(who=WHO, n=st.integers(0, 9), land=ODD)
    def cherry_pick(self, who: int, n: int, land: bool) -> None:
        """Of anything that is here."""
        place = self.places[who]
        known = self.history.commits.values()
        self.on_top(who, "cherry-pick", lambda: [c for c in known if c.sha in place.known][::-1], n, land)

    def on_top(self, who: int, what: str, of: Callable[[], list[Commit]], n: int, land: bool) -> None:
        place = self.places[who]
        self.save(place, None, False)
        if land:
            self.take_in(who)
        plain = [c.sha for c in of() if len(c.parents) == 1 and self.history.commits[c.parents[0]].entries]
        if plain and not place.git(what, *(["--no-edit"] if what == "revert" else []), plain[n % len(plain)]):
            place.git(what, "--abort")
        assert place.head
        if land:
            self.land(who)
        self.compare()

    @rule(who=WHO, n=N, kind=st.sampled_from(["title", "status", "status", "rev"]), land=ODD)
    def edit_by_hand(self, who: int, n: int, kind: str, land: bool) -> None:
        place, i = self.places[who], IDS[n % len(IDS)]
        self.made += 1
        value = {"title": f"Title {self.made}", "rev": f"{n % 4 + 1}-0000{self.made % 10000:04}"}
        value["status"] = ("new", "validated", "in_progress", "complete", "deprecated")[n % 5]
        text = place.desk.ledger()
        if entries(text).get(i) and (kind != "rev" or entries(text)[i].rev):
            head, found, tail = text.partition(f"  {i}:\n")
            tail = re.sub(rf"(?m)^    {kind}: .*$", f"    {kind}: {value[kind]}", tail, count=1)
            place.desk.clone.write(LEDGER, head + found + tail)
            self.save(place, i, land)
            assert place.head
        if land:
            self.land(who)
        self.compare()

    # --- the lane
    @rule(who=WHO)
    def sync(self, who: int) -> None:
        place = self.places[who]
        expected = self.reading.sync(place.tip, place.known, self.remote)
        try:
            report = place.desk.sync()
            said = NOTHING if report.cursor_before == report.cursor_after else MOVED
        except CouldNotTell:
            said = UNKNOWN
        self.stage.told[f"sync {said}"] += 1
        assert said == expected
        self.compare()

    @rule(
        who=WHO,
        n=N,
        result=st.sampled_from(["green", "green", "red", "unknown"]),
        klass=st.sampled_from(["ci", "local"]),
    )
    def verdict(self, who: int, n: int, result: str, klass: str) -> None:
        place, r = self.places[who], self.reading
        sha = r.pushed[n % len(r.pushed)] if r.pushed and n % 3 == 0 else self.remote
        tree = self.history.commits[sha].tree
        before = set(r.unproven)
        r.verdict(tree, klass, result)
        steps = smoke.hash_of(place.desk.config)
        done = prps.note_verdict(place.desk.store, Verdict(tree, steps, klass, result), agent=place.agent, sha=sha)
        assert set(done.proven) == before - set(r.unproven)
        self.compare()

    @precondition(lambda self: len(self.reading.pushed) > 3)
    @rule(who=WHO, n=st.integers(0, 4))
    def wipe(self, who: int, n: int) -> None:
        if n == 0:
            self.places[who].git("fetch", "-q")
            self.places[who].desk.store.redis.flushall()
            self.reading.wipe()
            self.sync(who)

    @precondition(lambda self: len(self.reading.pushed) > 2)
    @rule(who=WHO, n=st.integers(0, 3))
    def rewrite(self, who: int, n: int) -> None:
        """The lane goes another way, by force."""
        place = self.places[who]
        head = place.head
        if n == 0 and self.remote not in self.history.under(head) and head not in self.history.under(self.remote):
            assert place.git("push", "-q", "--force", "origin", "HEAD:main")
            self.remote = head
            self.reading.pushed.append(head)
        self.compare()

    # --- what takes several steps, so that the end is reached now and then
    @rule(who=WHO, n=N, code=st.sampled_from([True, True, False]), land=st.sampled_from([True, True, False]))
    def go_on(self, who: int, n: int, code: bool, land: bool) -> None:
        """One PRP goes on as it would in an office where everybody does what is due."""
        i, r = IDS[n % len(IDS)], self.reading
        claim, letter = r.claim(i), r.letter(i)
        at_work = [k for k, p in enumerate(self.places) if claim and (p.agent, p.name) == (claim.agent, claim.place)]
        who = at_work[0] if at_work else who
        if letter == "L":
            self.verdict(who, 1, "red" if n % 7 == 0 else "green", "local" if n % 2 else "ci")
            return
        if letter != "C" and (n // 5) % 4:
            self.pull(who)
        if letter == "I" and claim and r.evidence(i, self.places[who].me(i), claim) == "not green":
            self.verdict(who, 1, "green", "local")
        code = code and (letter in "C" or n % 3 == 0)
        if letter == "-":
            self.new(who)
        elif letter in "NVID":
            verb = {"N": "validate", "V": "start", "I": "complete" if claim else "start", "D": "reopen"}[letter]
            self.act(who, verb, i, call=(lambda: self.places[who].desk.code(verb, i, "no")) if letter == "D" else None)
        self.save(self.places[who], i, code)
        if land:
            self.land(who)
        self.compare()

    @rule(who=WHO, n=st.integers(0, 4), most=st.integers(1, 6))
    def go_on_to_the_end(self, who: int, n: int, most: int) -> None:
        while most and self.reading.letter(IDS[n]) not in "DX":
            self.go_on(who, n + 5, True, True)
            most -= 1

    @rule(who=WHO, other=WHO, n=N, verb=st.sampled_from(["start", "deprecate", "renew", "complete"]))
    def go_back(self, who: int, other: int, n: int, verb: str) -> None:
        """What landed last is taken out, a start if there is one to be made, and somebody goes on."""
        self.pull(who)
        i = self.in_state(n, "V")
        if self.reading.letter(i) == "V":
            self.act(who, "start", i)
            self.save(self.places[who], i, False)
            self.land(who)
        self.revert(who, 0, True)
        self.pull(other)
        self.act(other, verb, i, *(["P1-002"] if verb == "deprecate" else []))

    @rule(who=WHO, n=N)
    def go_on_quietly(self, who: int, n: int) -> None:
        """Nothing lands."""
        self.go_on(who, n, False, False)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    server = Server("--appendonly", "no")
    yield Stage(server, tmp_path)
    server.close()


@pytest.mark.timeout(max(240, STEPS // len(SEEDS)))
@pytest.mark.parametrize("number", SEEDS)
def test_no_difference(stage: Stage, number: int) -> None:
    how = settings(
        max_examples=max(1, STEPS // len(SEEDS) // LENGTH),
        stateful_step_count=LENGTH,
        deadline=None,
        database=None,
        phases=[Phase.generate, *([Phase.shrink] if "PRP_SHRINK" in os.environ else [])],
        suppress_health_check=list(HealthCheck),
    )
    machine = type("Prps", (Prps,), {"stage": stage})
    run_state_machine_as_test(seed(number)(machine), settings=how)
    sys.stderr.write(
        f"{stage.steps} comparisons\n" + "".join(f"{n:6} {what}\n" for what, n in sorted(stage.told.items()))
    )
