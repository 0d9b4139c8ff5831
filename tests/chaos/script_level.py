"""The script level: simulated contenders against the real scripts, through the proxy, in real time, with tiny leases.

One step is one call of one contender, one thing at the remote, or one fault. A scene is one lane on one server; a new
one begins every few hundred steps.
"""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from typing import TYPE_CHECKING

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from prpgate.config import Times
from prpgate.errors import StoreDown
from prpgate.lock import MergeLock, Who
from prpgate.store.client import Store
from tests.chaos import looks
from tests.chaos.branch import Branch, Flying
from tests.chaos.checker import GRANTS, Violation, judge
from tests.chaos.players import Gone, Player
from tests.chaos.proxy import CUT, DELAY, DROP, Proxy
from tests.chaos.report import Report
from tests.chaos.server import ALWAYS, PERSISTENCE, Spoiled
from tests.chaos.story import Era, Event, Leftovers, Story, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

TIMES = Times(
    offer_ms=40,
    lease_ms=120,
    cap_ms=300,
    look_ms=50,
    ci_wait_ms=60,
    ci_lease_ms=80,
    ci_cap_ms=200,
    alive_ms=200,
    window_ms=40,
    reserve_ms=200,
)
SCENE = 400  # steps
HOUR_S, DAY_S = 3600, 86_400
SLACK_S = 5.0  # a busy machine's
NAMES = ("ana", "ben", "cem", "dee", "fix-eli", "pia", "quy", "ron", "ci-1", "ci-2", "eve", "mia")
WEIGHTS = (9, 9, 9, 9, 6, 7, 7, 5, 6, 6, 3, 2)
FAULTS = {
    "reply lost": 30,
    "request lost": 10,
    "reply late": 10,
    "killed": 25,
    "pause": 25,
    "scripts flushed": 6,
    "clients cut off": 6,
    "store killed": 4,
    "store wiped": 2,
    "clock set": 10,
    "old fence": 40,
}
FAULT_SHARE = 0.1


class Scene:
    """One lane, one server, one branch, and everybody who wants it."""

    def __init__(self, seed: str, *, server: Spoiled | None = None) -> None:
        self.seed, self.rng = seed, random.Random(seed)
        self.persistence = self.rng.choice((ALWAYS, *PERSISTENCE))
        self.gate = self.rng.choice(("none", "none", "ci"))
        self.guarded = self.rng.random() < 0.3
        self.rewrites = self.rng.random() < 0.25
        self.jumps = self.rng.random() < 0.4
        self.times = TIMES if self.rng.random() < 0.8 else TIMES._replace(window_ms=0)
        self.server = server or Spoiled(self.persistence)
        self.proxy = Proxy(f"{self.server.folder}/p", self.server.socket)
        self.direct = self.server.redis()
        self.branch = Branch(seed)
        self.players: dict[str, Player] = {}
        self.turns: dict[str, Generator[str, None, None]] = {}
        self.faults: Counter[str] = Counter()
        self.violations: list[Violation] = []
        self.trace: deque[str] = deque(maxlen=60)
        self.eras: list[Era] = []
        self.events: list[Event] = []
        self.verdicts: list[Verdict] = []
        self.wiped, self.behind, self.lost_data = True, False, False
        self.highest_offset_s = 0
        self.exempt_before = 0.0  # leases begun before this moment saw a clock jump or a loss of data
        self.begun: dict[str, float] = {}
        self.fences: list[int] = []
        self.lock = self.new_lock(self.server.socket)
        self.last = looks.look(self.direct, self.lock.keys, "")
        self.lock.attribute(self.branch.observe(self.lock.state())[1])
        self.seen()

    def new_lock(self, path: str) -> MergeLock:
        client = redis.Redis(
            unix_socket_path=path,
            protocol=2,
            decode_responses=True,
            socket_timeout=5,
            retry=Retry(NoBackoff(), 0),
        )
        return MergeLock(Store.over(client, "example/chaos"), "main", self.times)

    # --- steps -------------------------------------------------------------------------------------------------------
    def run(self, steps: int) -> None:
        for _ in range(steps):
            roll = self.rng.random()
            if roll < FAULT_SHARE:
                self.fault()
            elif self.branch.flying and roll < FAULT_SHARE + 0.15:
                self.arrival()
            else:
                self.turn()
            self.seen()
            if self.violations:
                return
        self.wind_down()

    def note(self, text: str) -> None:
        self.trace.append(text)

    def turn(self) -> None:
        """Somebody goes on with what they do, or begins something."""
        name = self.next_one()
        if name not in self.turns:
            self.players[name] = Player(name, self.new_lock(self.proxy.path), self.branch, self.rng, self.gate)
            self.turns[name] = self.begin(name)()
        try:
            self.note(f"{name}: {next(self.turns[name])}")
        except StopIteration:
            self.note(f"{name} is done")
            self.forget(name)
        except Gone:
            self.note(f"{name} gave up: the store does not answer")
            self.forget(name)

    def next_one(self) -> str:
        """Anybody; often somebody on whom the lane waits, so that more happens than waiting."""
        s, roll = self.last.s, self.rng.random()
        if roll < 0.35 and (holders := sorted(n for n, p in self.players.items() if p.lease)):
            return self.rng.choice(holders)
        if roll < 0.55 and s.get("state") == "offered" and s["holder"] in NAMES:
            return s["holder"]
        if roll < 0.6 and s.get("phase") in ("landed", "smoking"):
            return self.rng.choice(("ci-1", "ci-2"))
        return self.rng.choices(NAMES, WEIGHTS)[0]

    def begin(self, name: str) -> Callable[[], Generator[str, None, None]]:
        p = self.players[name]
        if name.startswith("ci-"):
            return p.ci if self.gate == "ci" else p.plain
        if name == "mia":
            return p.person
        if name == "eve":
            return p.forced if self.rewrites and self.rng.random() < 0.3 else p.past_the_hook
        return p.plain if name in ("pia", "quy", "ron") or self.rng.random() < 0.15 else p.land

    def forget(self, name: str) -> None:
        self.turns.pop(name).close()
        self.players.pop(name).lock.store.close()
        self.begun.pop(name, None)

    def arrival(self) -> None:
        """A push that is under way reaches the remote, or is lost on the way."""
        push = self.branch.flying.pop(self.rng.randrange(len(self.branch.flying)))
        if self.rng.random() < 0.1:
            self.note(f"the push of {push.agent} never arrives")
            return
        if self.guarded:
            self.note(f"the push of {push.agent} ({push.intent.head[:8]}) at the server: {self.received(push)}")
        else:
            self.note(f"the push of {push.agent} ({push.intent.head[:8]}) arrives: {self.branch.arrive(push)}")

    def received(self, push: Flying) -> str:
        """A server's own hooks around a push: no lock, no push; and a forced one is refused by the rules."""
        if push.forced or push.intent.base != self.branch.tip:
            return "refused"
        who = Who(f"srv-{push.agent}", f"srv-{push.intent.head[:8]}", push.agent, "server", 1, "server", None, None)
        lock = self.new_lock(self.proxy.path)
        info = {"agent": push.agent, "tree": f"t{push.intent.head[:12]}", "steps": "s"}
        try:
            answer = lock.pre_receive(push.intent, who, push.agent.startswith("fix"), info)
            if type(answer).__name__ != "Granted":
                return "refused"
            self.branch.arrive(push)
            if self.rng.random() < 0.2:
                return "taken, and post-receive never ran"
            lock.post_receive(push.intent.head, self.branch.observe(lock.state(), push.intent)[1], gate=self.gate)
        except StoreDown as e:
            return f"the store did not answer: {e.code}"
        finally:
            lock.store.close()
        return "taken"

    # --- faults ------------------------------------------------------------------------------------------------------
    def fault(self) -> None:
        kind = self.rng.choices(list(FAULTS), list(FAULTS.values()))[0]
        if kind == "clock set" and not self.jumps:
            kind = "pause"
        self.faults[kind] += 1
        self.note(f"-- {kind}")
        match kind:
            case "reply lost":
                self.proxy.arm(CUT, self.rng.choice((0, 0, 0, 1, 2)))
            case "request lost":
                self.proxy.arm(DROP, self.rng.choice((0, 0, 1)))
            case "reply late":
                self.proxy.arm(DELAY, 0, self.rng.uniform(0.01, 0.12))
            case "killed":
                if self.turns:
                    name = self.rng.choice(sorted(self.turns))
                    self.note(f"   {name}")
                    self.forget(name)
            case "pause":
                time.sleep(self.rng.uniform(0.01, 0.15))
            case "scripts flushed":
                self.direct.script_flush()
            case "clients cut off":
                self.direct.client_kill_filter(_type="normal", skipme=True)
            case "store killed":
                self.restart()
            case "store wiped":
                self.direct.flushall()
                self.forgotten(wiped=True)
            case "clock set":
                self.server.set_clock(self.rng.choice((HOUR_S, -HOUR_S, 0)))
                self.note(f"   to {self.server.offset_s:+d} s")
                self.highest_offset_s = max(self.highest_offset_s, self.server.offset_s)
                if not any(e.event in GRANTS for e in self.events):  # no fence since the loss: the first one counts
                    self.behind = self.server.offset_s < self.highest_offset_s
                self.exempt_before = time.monotonic()
            case "old fence":
                self.old_fence()

    def restart(self) -> None:
        self.seen()
        before = self.last
        self.direct.close()
        self.server.kill_and_restart()
        self.direct = self.server.redis()
        now = looks.look(self.direct, self.lock.keys, "")
        if now.remembers == before.remembers:
            return
        if self.persistence == ALWAYS:
            self.violations.append(Violation("stage", "a store that always writes through forgot something"))
        self.forgotten(wiped=not now.s)

    def forgotten(self, *, wiped: bool) -> None:
        """The store lost data: what it says from now on is another era."""
        self.eras.append(Era(tuple(self.events), self.wiped, self.behind))
        self.events, self.wiped, self.lost_data = [], wiped, True
        self.behind = self.server.offset_s < self.highest_offset_s
        self.exempt_before = time.monotonic()
        now = looks.look(self.direct, self.lock.keys, "")
        self.last = now._replace(events=())

    def old_fence(self) -> None:
        """Whoever carries an old fence changes nothing; also one that nobody ever had."""
        old = [f for f in self.fences if f != int(self.last.s.get("fence", 0))]
        fence = self.rng.choice(old[-8:]) if old else 1
        seconds, micros = self.direct.time()
        since_ms = seconds * 1000 + micros / 1000 - 1
        self.lock.state()  # what is overdue moves on first
        self.seen()
        before, args = self.last, {"fence": str(fence)}
        verb = self.rng.choice(("renew", "intent", "release", "report", "submit", "ci_renew", "break", "verdict"))
        head = before.s.get("head") or self.branch.tip
        if verb == "intent":
            more: dict[str, object] = {"intent": {"head": self.branch.commit(self.branch.tip), "base": self.branch.tip}}
        elif verb in ("report", "submit"):
            more = {"saw": self.rng.choice(("in", "base", "other")), "look": {"since": "x"}, "gate": self.gate}
        elif verb == "verdict":
            more = {"head": head, "key": before.s.get("key") or "t:s:ci", "result": self.rng.choice(("green", "red"))}
        else:
            more = {"by": "mallory", "reason": "old"}
        answer = self.lock._run(verb, **args, **more)
        after = looks.look(self.direct, self.lock.keys, self.last.last)
        self.note(f"   {verb} under {fence}: {answer['outcome']}")
        dues = [int(before.s.get(f, 0)) for f in ("deadline", "cap", "look_until", "window")]
        dues += [*before.alive.values(), *before.reserved.values()]
        if any(since_ms <= due <= after.now_ms + 1 for due in dues):
            return  # something became due meanwhile, and every script moves that on
        if after.remembers != before.remembers:
            self.violations.append(Violation("3 an old fence changes nothing", f"{verb} under {fence} did"))
        if answer["outcome"] not in ("lost", "judged"):
            self.violations.append(Violation("3 an old fence changes nothing", f"{verb} answered {answer['outcome']}"))

    # --- what is seen after each step --------------------------------------------------------------------------------
    def seen(self) -> None:
        now = looks.look(self.direct, self.lock.keys, self.last.last)
        self.violations += looks.step(self.last, now)
        for e in now.events:
            self.note(f"      log: {e}")
            if e.event in ("acquire", "offer", "handover", "reconcile", "adopt"):
                self.fences.append(e.fence)
            if e.event == "expired" and e.detail != "offer":
                self.early(e)
        self.events += now.events
        self.verdicts += [Verdict(k, r, len(self.eras)) for k, r in now.verdicts.items()]
        self.last = now
        for name, p in self.players.items():
            if p.lease is None:
                self.begun.pop(name, None)
            else:
                self.begun.setdefault(name, time.monotonic())

    def early(self, e: Event) -> None:
        """A hold that expired: whoever has it must know by its own clock, before the store does."""
        for name, p in self.players.items():
            lease = p.lease
            if lease and lease.fence == e.fence and self.begun.get(name, 0) > self.exempt_before and lease.left_s > 0:
                self.violations.append(
                    Violation("1 ended early", f"'{e}', and {name} was told {lease.left_s * 1000:.0f} ms more")
                )

    # --- the end -----------------------------------------------------------------------------------------------------
    def wind_down(self) -> None:
        """Everybody dies; one newcomer lands; a day passes. Then the story is told."""
        self.note("-- everybody dies")
        for name in list(self.turns):
            self.forget(name)
        self.proxy.calm()
        self.server.set_clock(self.highest_offset_s)
        while self.branch.flying:
            self.arrival()
            self.seen()
        if "closed" in self.last.s:
            self.lock.open("zoe", "the end")
        waiting = sum(1 for until in self.last.alive.values() if until > self.last.now_ms)
        t = self.times
        bound_ms = max(t.cap_ms, t.lease_ms) + t.ci_cap_ms + t.ci_wait_ms + t.look_ms + t.window_ms + t.alive_ms
        bound_ms += t.offer_ms * (waiting + 1)
        begun = time.monotonic()
        newcomer = Player("zoe", self.new_lock(self.server.socket), self.branch, random.Random(1), "none")
        lands = newcomer.land()
        served = 0.0
        while time.monotonic() - begun < bound_ms / 1000 + 10:
            said = next(lands, None)
            self.note(f"zoe: {said}")
            if said is None:
                break
            if not served and newcomer.lease:
                served = time.monotonic() - begun
            while self.branch.flying:
                self.branch.arrive(self.branch.flying.pop())
            self.seen()
            time.sleep(0.002)
        newcomer.lock.store.close()
        self.lock.attribute(self.branch.observe(self.lock.state())[1])
        self.seen()
        self.server.set_clock(self.highest_offset_s + DAY_S)
        state = self.lock.state()
        self.seen()
        keys = self.lock.keys
        left = [k for k in (keys.q, keys.a, keys.r, keys.u, keys.i) if self.direct.exists(k)]
        left += map(str, self.direct.scan_iter(f"{keys.w}*"))
        end = Leftovers(
            state=state.state,
            queue=tuple(p.agent for p in state.queue),
            keys=tuple(left),
            kept=tuple((k.head, k.base) for k in state.kept),
            tip=self.branch.tip,
            served_s=served or 1e9,
            served_bound_s=bound_ms / 1000 + SLACK_S,
        )
        self.violations += judge(self.story(end))

    def story(self, end: Leftovers) -> Story:
        return Story(
            eras=(*self.eras, Era(tuple(self.events), self.wiped, self.behind)),
            took=tuple(self.branch.took),
            history=frozenset(self.branch.line(self.branch.tip)),
            records=tuple(self.last.records.items()),
            verdicts=tuple(self.verdicts),
            leftovers=end,
            forced=frozenset(self.branch.forced),
            fixers=frozenset(n for n in (*NAMES, "srv-fix-eli") if n.startswith("fix")),
            rewound=any(t.dropped for t in self.branch.took),
            lost_data=self.lost_data,
        )

    def close(self) -> None:
        for name in list(self.turns):
            self.forget(name)
        self.lock.store.close()
        self.direct.close()
        self.proxy.close()
        self.server.close()

    def text(self) -> str:
        kind = f"{self.persistence}, gate {self.gate}, guarded {self.guarded}, rewrites {self.rewrites}"
        said = "\n".join(f"  {line}" for line in self.trace)
        return "\n".join([*(str(v) for v in self.violations), f"scene {self.seed} ({kind}), the last steps:", said])


def run(seed: int, steps: int) -> Report:
    """So many steps, in scenes."""
    faults: Counter[str] = Counter()
    done, part, landings = 0, 0, 0
    violations: list[str] = []
    while done < steps:
        length = min(SCENE, steps - done)
        scene = Scene(f"{seed}:{part}")
        try:
            scene.run(length)
        finally:
            scene.close()
        faults += scene.faults
        landings += len(scene.branch.took)
        if scene.violations:
            violations.append(scene.text())
        done, part = done + length, part + 1
    return Report(done, faults, landings, violations)
