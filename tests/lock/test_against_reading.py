"""The scripts beside the plain reading of the tables: the same operations, no difference in any answer nor in anything
stored. PRP_STEPS sets how many (random seed then, unless PRP_SEED says which); a failure names its seed."""

from __future__ import annotations

import json
import os
import random
import time
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest

from prpgate.config import Times
from prpgate.store import scripts
from prpgate.store.keys import Keys
from tests.lock.reading import Lane
from tests.world import Server

if TYPE_CHECKING:
    import redis

STEPS = int(os.environ.get("PRP_STEPS", "20000"))  # read here: tests run without our variables
RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(time.time()))  # the same in all workers of a run
FIRST = int(os.environ.get("PRP_SEED") or (crc32(RUN.encode()) % 10**6 if "PRP_STEPS" in os.environ else 1))
SEEDS = range(FIRST, FIRST + 4)
VERBS = (
    *("acquire", "renew", "intent", "release", "leave", "report", "look", "submit", "adopt", "ci_renew", "verdict"),
    *("redispatch", "pre_receive", "post_receive", "break", "close", "open", "state", "attribute"),
    *("candidate", "pick_up", "proof"),
)
WEIGHTS = (40, 6, 14, 4, 6, 14, 8, 12, 12, 4, 14, 3, 6, 4, 2, 2, 4, 2, 4, 8, 6, 6)
LIKELY = {  # what usually comes next
    "free": (*("acquire",) * 6, "adopt", "pre_receive", "attribute", "verdict", "open"),
    "offered": ("acquire", "acquire", "leave"),
    "claimed": (*("intent",) * 4, "acquire", "release", "leave", "renew", *("candidate",) * 8),
    "candidate": (
        *("pick_up", "proof") * 4,
        *("redispatch",) * 3,
        *("intent",) * 3,
        "renew",
        "release",
        "acquire",
        "candidate",
    ),
    "intent": ("acquire", "intent", "report", "report", "post_receive", "pre_receive", "renew", "adopt", "attribute"),
    "landed": ("acquire", "adopt", "adopt", "redispatch", "verdict"),
    "smoking": ("acquire", "verdict", "verdict", "ci_renew"),
    "reconciling": ("acquire", "look", "look", "report", "pre_receive", "post_receive", "adopt"),
    "looking": ("acquire", "submit", "submit", "submit", "look", "report", "adopt"),
}
COMMITS = [f"c{n}" for n in range(60)]
TREES = {c: f"t{n % 40}" for n, c in enumerate(COMMITS)}  # some trees come twice
TICKETS = "abpqr"  # a and b land, the others push
START = 1_700_000_000_000
PREPARED = ("info", "owner", "who", "looker")  # JSON inside the hash s


class Bench:
    """A lane in the store whose scripts take their clock from us."""

    def __init__(self, client: redis.Redis, project: str, times: Times) -> None:
        self.client, self.times = client, times._asdict()
        keys = Keys(project)
        self.lane, self.lanes = keys.lane("main"), keys.lanes
        self.shas = {verb: str(client.script_load(self.text(verb))) for verb in VERBS}
        self.logged = "0"

    @staticmethod
    def text(verb: str) -> str:
        whole = scripts.text(f"lane_{verb}")
        assert whole.count("redis.call('TIME')") == 1
        return whole.replace("redis.call('TIME')", "{ ARGV[2], ARGV[3] }")

    def run(self, verb: str, args: dict[str, Any], now: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """One script at that moment; its answer, and all that is stored after it."""
        k = self.lane
        asked = json.dumps({"lane": "main", "times": self.times, **args})
        with self.client.pipeline(transaction=False) as pipe:
            pipe.evalsha(self.shas[verb], 12, *k, self.lanes, asked, str(now // 1000), str(now % 1000 * 1000))
            for key in (k.s, k.i, k.kept, k.rec, k.v):
                pipe.hgetall(key)
            for key in (k.q, k.a, k.r):
                pipe.zrange(key, 0, -1, withscores=True)
            pipe.smembers(k.u)
            pipe.xrange(k.log, f"({self.logged}", "+")
            for ticket in TICKETS:
                pipe.lrange(k.w + ticket, 0, -1)
            raw, s, i, kept, rec, v, q, alive, reserved, used, log, *wakes = pipe.execute()
        if log:
            self.logged = log[-1][0]
        stored = {
            "s": {f: json.loads(x) if f in PREPARED else x for f, x in s.items() if (f, x) != ("state", "free")},
            **{
                n: {f: json.loads(x) for f, x in h.items()}
                for n, h in (("i", i), ("kept", kept), ("rec", rec), ("v", v))
            },
            **{n: [(m, int(x)) for m, x in z] for n, z in (("q", q), ("a", alive), ("r", reserved))},
            "u": sorted(used),
            "w": {t: w for t, w in zip(TICKETS, wakes, strict=True) if w},
            "log": [(f["event"], int(f["fence"]), f["agent"], f["sha"], f["detail"]) for _, f in log],
        }
        return json.loads(raw), stored


def as_stored(lane: Lane) -> dict[str, Any]:
    """The reading's lane in the shape of the store."""
    h, c = lane.hold, lane.closed
    s: dict[str, Any] = {"fence": lane.fence or None, "number": lane.number or None, "seen": lane.seen}
    s["state"] = None if lane.state == "free" else lane.state
    s["window"], s["durations"] = lane.window, " ".join(str(d) for d in lane.durations) or None
    s |= {"opened_at": lane.opened_at, "reds": len(lane.reds) or None, "red_head": lane.reds[0] if lane.reds else None}
    if c:
        s |= {"closed": c["kind"], "closed_by": c["by"], "closed_reason": c["reason"]}
        s |= {"closed_at": c["at"], "closed_head": c["head"]}
    if h:
        s |= {"phase": h.phase, "holder": h.id, "ticket": h.ticket, "since": h.since, "begun": h.begun}
        s |= {"deadline": h.deadline, "cap": h.cap, "head": h.head, "base": h.base, "key": h.key, "run_url": h.run_url}
        s |= {"tried": h.tried, "dispatched": h.dispatched, "candidate": h.candidate}
        if h.candidate:
            s |= {"ci_until": h.ci_until}
        if h.proof:
            s |= {"proof": h.proof[0], "proof_reason": h.proof[1]}
        if h.look:
            s |= {"look": h.look[0]["hold"], "look_until": h.look[1]}
    s = {k: str(v) for k, v in s.items() if v is not None}
    if h:
        s |= {"who": h.who, **({"owner": h.owner} if h.owner else {}), **({"info": h.info} if h.info else {})}
        s |= {"looker": h.look[0]} if h.look else {}
    log, lane.log = lane.log, []
    queue = lane.queue
    return {
        "s": s,
        "i": {t.id: t.who for t in queue},
        "kept": lane.kept,
        "rec": lane.records,
        "v": lane.verdicts,
        "q": [(t.id, t.number) for t in queue],
        "a": sorted(((t.id, t.alive_until) for t in queue if t.alive_until), key=lambda x: (x[1], x[0])),
        "r": sorted(((t.id, t.reserved_until) for t in queue if t.reserved_until), key=lambda x: (x[1], x[0])),
        "u": sorted(t.id for t in queue if t.window_used),
        "w": {t: [word] for t, word in lane.wakes.items()},
        "log": log,
    }


BRIEF = ("granted", "released", "reported")  # answers that say nothing of the line, nor how long holds take


def as_answered(lane: Lane, outcome: str) -> dict[str, Any]:
    """The state that goes with an answer."""
    h, c = lane.hold, lane.closed
    view: dict[str, Any] = {
        "now": lane.now,
        "state": lane.state,
        "fence": str(lane.fence),
        "phase": lane.phase(),
        "seen": lane.seen,
    }
    view["window_ms"] = lane.left(lane.window)
    if h:
        mine = h.owner if h.owner and "agent" in h.owner else h.who
        holder = {"id": h.id, "ticket": h.ticket, "agent": mine.get("agent"), "prp": mine.get("prp")}
        holder |= {k: h.who.get(k) for k in ("host", "pid", "op", "hotfix")} | {"sha": h.head or h.who.get("sha")}
        holder |= {"since_ms": lane.now - h.since, "deadline_ms": lane.left(h.deadline), "cap_ms": lane.left(h.cap)}
        view |= {"holder": pruned(holder), "head": h.head, "base": h.base, "run_url": h.run_url}
        view["dispatched"] = True if h.dispatched else None
        if h.candidate and h.phase == "claimed":
            result, reason = h.proof or (None, None)
            word = {"head": h.candidate, "left_ms": lane.left(h.ci_until), "result": result, "reason": reason}
            view["candidate"] = pruned(word)
        if h.info and "pull" in h.info:
            view["pull"] = {"number": h.info["pull"], "tree": h.info["tree"]}
        if h.look:
            view["look"] = {"agent": h.look[0]["agent"], "left_ms": lane.left(h.look[1])}
    if c:
        culprit = lane.records.get(c["head"] or "", {})
        closed = {"kind": c["kind"], "by": c["by"], "reason": c["reason"], "since_ms": lane.now - c["at"]}
        view["closed"] = pruned(closed | {"sha": c["head"], "agent": culprit.get("agent"), "prp": culprit.get("prp")})
    if outcome not in BRIEF:
        view |= {"p50": lane.p(0.5), "p90": lane.p(0.9)}
        view["queue"] = [
            [t.id, "waiting" if lane.is_there(t) else "reserved", max(0, t.reserved_until - lane.now), t.who]
            for t in lane.queue
        ]
    view["kept"] = sorted(
        (head, one["base"], one["agent"], None if "pulled" in one else one.get("pull"))
        for head, one in lane.kept.items()
    )
    return pruned(view)


def pruned(d: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in d.items() if v is not None}


def plain_view(raw: dict[str, Any]) -> dict[str, Any]:
    """A script's state with Lua's empty tables read as lists, and without an order where there is none."""
    kept = sorted((k["head"], k["base"], k["agent"], k.get("pull")) for k in raw["kept"] or ())
    queue = {"queue": [[*t[:3], json.loads(t[3])] for t in raw["queue"] or ()]} if "queue" in raw else {}
    return {**raw, **queue, "kept": kept}


class Dice:
    """Chooses what happens next, with an eye for what is likely to matter: current fences, known heads, deadlines."""

    def __init__(self, seed: int, lane: Lane) -> None:
        self.rng, self.lane = random.Random(seed), lane
        self.fences = ["1"]

    def who(self, ticket: str, hold: str, op: str) -> dict[str, Any]:
        who = {"ticket": ticket, "hold": hold, "agent": "ag-" + ticket, "host": "h", "pid": 7, "op": op}
        if op == "land" and self.rng.random() < 0.25:
            who["hotfix"] = self.rng.choice(["it burns", "really"])
        return {**who, "prp": "P1-001"} if self.rng.random() < 0.5 else who

    def person(self) -> dict[str, Any]:
        h = self.lane.hold
        if h and h.ticket in list(TICKETS) and self.rng.random() < 0.3:  # whose turn it is, or who has it
            hold = h.id if len(h.id) == 2 else h.ticket + "1" if h.ticket in "pqr" else h.ticket
        else:
            hold = self.rng.choice(["a", "a", "b", "b", "p1", "p2", "q1", "r1"])
        return self.who(hold[0], hold, "land" if len(hold) == 1 else "push")

    def runner(self) -> dict[str, Any]:
        n = self.rng.choice("12")
        return self.who("run" + n, "run" + n, "ci")

    def fence(self) -> str:
        if self.rng.random() < 0.8:
            return str(self.lane.fence)
        return self.rng.choice(self.fences[-6:])

    def head(self, likely: float = 0.8) -> str:
        known = [*self.lane.kept, *([self.lane.hold.head] * 4 if self.lane.hold and self.lane.hold.head else [])]
        return self.rng.choice(known) if known and self.rng.random() < likely else self.new()

    def new(self) -> str:
        """Mostly a commit that nothing is known of."""
        fresh = [c for c in COMMITS if c not in self.lane.records]
        return self.rng.choice(fresh if fresh and self.rng.random() < 0.9 else COMMITS)

    def intent(self, retry: float = 0.2) -> dict[str, str]:
        head = self.head() if self.rng.random() < retry else self.new()
        if self.lane.hold and self.lane.hold.candidate and self.rng.random() < 0.6:
            head = self.lane.hold.candidate
        known = [*self.lane.records, self.lane.seen or ""]
        bases = [c for c in [*known, *self.rng.sample(COMMITS, 4)] if c and c != head]
        return {"head": head, "base": self.rng.choice(["0" * 40, *bases])}

    def verb(self) -> str:
        lane = self.lane
        if self.rng.random() < 0.6:
            phase = lane.phase() if lane.state == "held" else lane.state
            phase = "looking" if lane.hold and lane.hold.look else "intent" if phase == "accepting" else phase
            phase = "candidate" if phase == "claimed" and lane.hold and lane.hold.candidate else phase
            return self.rng.choice(LIKELY[phase or lane.state])
        return self.rng.choices(VERBS, WEIGHTS)[0]

    def some(self, of: list[str], most: int) -> list[str]:
        return self.rng.sample(of, self.rng.randint(0, min(most, len(of))))

    def look(self) -> dict[str, Any]:
        seen = self.lane.seen or ""
        known = list(dict.fromkeys([*self.lane.kept, self.head(1.0)]))
        look: dict[str, Any] = {
            "tip": self.rng.choice([*COMMITS, *COMMITS, ""]) or None,
            "since": seen if self.rng.random() < 0.85 else self.rng.choice(["", *COMMITS]),
            "heads": self.some(known, 1) if self.rng.random() < 0.4 else [],
            "foreign": self.some(
                list(dict.fromkeys([*known, *self.rng.sample([*self.lane.records, self.new()], 1)])), 4
            ),
            "moved": self.some(known, 2),
        }
        if self.rng.random() < 0.25:  # a host made a commit of a pull request's head
            sha = self.rng.choice([self.new(), look["tip"] or self.new(), self.rng.choice(COMMITS)])
            look["made"] = [[self.head(0.9), sha, self.rng.choice(COMMITS), TREES[sha]]]
        return pruned(look)

    def fixer(self) -> bool:
        return self.rng.random() < 0.3

    def info(self, head: str) -> dict[str, Any] | None:
        some = {"tree": TREES[head], "steps": "s", "prps": ["P1-001"], "code": True}
        return self.rng.choice([None, some, {**some, "pull": 7}, {**some, "pull": 7}, {"code": False}])

    def args(self, verb: str) -> dict[str, Any]:
        r = self.rng
        match verb:
            case "acquire":
                who = self.person()
                a: dict[str, Any] = {"who": who, "plain": who["op"] == "push", "fixer": self.fixer()}
                if who["op"] == "push" or r.random() < 0.2:
                    a["intent"] = self.intent(0.4)
                    a["info"] = self.info(a["intent"]["head"])
                if who["op"] == "push" and r.random() < 0.15:
                    a = {"who": who, "plain": True, "place": True}  # never with an intent
                elif r.random() < 0.3:
                    a["seen"] = (self.lane.seen or "") if r.random() < 0.6 else r.choice(["", *COMMITS])
            case "intent":
                a = {"fence": self.fence(), "intent": self.intent(0.3), "fixer": self.fixer()}
                a["info"] = self.info(a["intent"]["head"])
            case "renew" | "release" | "ci_renew":
                a = {"fence": self.fence()}
                if verb == "release" and r.random() < 0.5:
                    a["why"] = "red: unit"
                if verb == "ci_renew" and r.random() < 0.5:
                    a["tried"] = r.choice(["1st", "1st", "2nd"])
            case "leave":
                a = {"id": r.choice(["a", "b", "p", "q", "r", "p1"]), "keep_ms": r.choice([0, 5_000, 600_000])}
            case "report" | "submit":
                a = {"fence": self.fence(), "saw": r.choice(["in", "base", "other"])}
                a |= {"look": self.look(), "gate": r.choice(["none", "ci", "ci", "ci-first"])}
            case "look":
                a = {"who": self.person()}
            case "redispatch":
                a = {"who": self.person(), "undo": r.choice([None, None, "no answer"])}
                if mine := (self.lane.hold.candidate if self.lane.hold else None):
                    a = {"fence": self.fence(), "head": r.choice([mine, mine, mine, self.new()])}
            case "attribute":
                a = {"look": self.look()}
                if self.lane.kept and r.random() < 0.4:
                    head, one = r.choice(list(self.lane.kept.items()))
                    a["refused"] = {"head": head, "fence": r.choice([str(one["fence"]), self.fence()])}
            case "adopt":
                head = self.head()
                a = {"head": head, "who": self.runner(), "look": r.choice([None, self.look()])}
                a |= {"run_url": r.choice([None, "https://ci.example/1"])}
                a |= {"key": r.choice([None, f"{TREES[head]}:s:ci", f"{TREES[head]}:s:ci"])}
                info = (self.lane.hold.info if self.lane.hold else None) or {}
                if "pull" in info and r.random() < 0.6:
                    a |= {"head": self.new(), "key": f"{info['tree']}:s:ci"}
            case "verdict":
                head = self.head()
                a = {"head": head, "key": f"{TREES[head]}:s:ci", "result": r.choice(["green", "red", "unknown"])}
                a |= {"fence": self.fence() if r.random() < 0.7 else None, "in_branch": r.random() < 0.6}
                a |= {"later_green": r.random() < 0.3, "fixer": self.fixer(), "by": "ci", "reason": "why"}
                a |= {"run_url": r.choice([None, "https://ci.example/2"]), "close_after": r.choice([None, 1, 2])}
                a |= {"proven": r.choice([None, None, START - 1000])}
            case "candidate" | "pick_up" | "proof":
                mine = self.lane.hold.candidate if self.lane.hold else None
                head = mine if mine and r.random() < (0.8 if verb != "candidate" else 0.3) else self.new()
                a = {"fence": self.fence(), "head": head}
                if verb == "candidate":
                    a |= {"key": f"{TREES[head]}:s:ci", "fixer": self.fixer()}
                if verb == "pick_up":
                    a |= {"run_url": r.choice(["https://ci.example/1", "https://ci.example/2"])}
                    a |= {"tried": r.choice([None, None, "1st", "2nd"])}
                if verb == "proof":
                    a |= {"key": f"{TREES[head]}:{r.choice('sssst')}:ci", "by": "ci", "reason": "why"}
                    a |= {"result": r.choice(["green", "red", "unknown"])}
                    a |= {"run_url": r.choice([None, "https://ci.example/2"]), "proven": r.choice([None, START - 1000])}
            case "pre_receive":
                a = {"intent": self.intent(0.7), "who": self.who("srv", f"srv{r.choice('12')}", "server")}
                a |= {"fixer": self.fixer()}
                a["info"] = self.info(a["intent"]["head"])
            case "post_receive":
                a = {"head": self.head(), "look": self.look(), "gate": r.choice(["none", "ci", "ci-first"])}
            case "break":
                a = {"fence": self.fence(), "by": "carol", "reason": "stuck"}
            case "close":
                a = {"by": "carol", "reason": "x", "person": r.random() < 0.5, "head": r.choice([None, *COMMITS])}
            case "open":
                a = {"by": "carol", "reason": "y"}
            case _:
                a = {}
        return pruned(a)

    def later(self) -> int:
        """How much time passes: often none, often to just before, at or after something that is due."""
        lane, r = self.lane, self.rng
        if r.random() < 0.75:
            return r.randint(0, 3)
        h = lane.hold
        due = [lane.window, *(t.alive_until for t in lane.queue), *(t.reserved_until for t in lane.queue)]
        due += [h.deadline, h.deadline, h.cap, h.ci_until, h.look[1] if h.look else None] if h else []
        ahead = [d for d in due if d and d > lane.now]
        if not ahead or r.random() < 0.1:
            return r.randint(0, 20_000)
        soon = min(ahead) if r.random() < 0.7 else r.choice(ahead)
        return max(0, soon - lane.now + r.choice([-1, 0, 0, 1]))


# Short against each other, as in life, with a cap that renewals meet soon. And a lane without grace windows.
TIMES = Times(cap_ms=70_000, ci_wait_ms=40_000, ci_lease_ms=20_000, ci_cap_ms=90_000)
VARIANTS = (TIMES, TIMES, TIMES._replace(window_ms=0), Times())


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.timeout(max(120, STEPS // 50))
def test_scripts_do_what_the_tables_say(seed: int) -> None:
    server = Server("--appendonly", "no")
    try:
        compare(server, seed, STEPS // len(SEEDS))
    finally:
        server.close()


def compare(server: Server, seed: int, steps: int) -> None:
    client = server.redis()
    times = VARIANTS[seed % len(VARIANTS)]
    done, part = 0, 0
    while done < steps:  # a new lane now and then: what is rare in an old one is common in a young one
        length = min(steps - done, 400)
        walk(
            Bench(client, f"example/{part}", times),
            f"seed {seed}, lane {part}",
            random.Random(f"{seed}:{part}"),
            length,
        )
        done, part = done + length, part + 1
    client.close()


def walk(bench: Bench, where: str, rng: random.Random, steps: int) -> None:
    lane = Lane("main", bench.times)
    lane.now = START
    dice = Dice(rng.randrange(2**32), lane)
    story: list[str] = []
    verb, args = "state", dict[str, Any]()
    for _ in range(steps):
        lane.now += dice.later()
        if rng.random() > 0.05:  # else: the reply was lost, and it is asked again
            verb = dice.verb()
            args = dice.args(verb)
        story.append(f"+{lane.now - START} {verb} {args}")
        answer, stored = bench.run(verb, args, lane.now)
        do = getattr(lane, {"break": "break_", "state": "state_"}.get(verb, verb))
        expected, want = do(json.loads(json.dumps(args))), as_stored(lane)
        said = "\n".join([where, *story[-12:]])
        assert {k: v for k, v in answer.items() if k in expected} == pruned(expected), said
        assert plain_view(answer["state"]) == as_answered(lane, answer["outcome"]), said
        wrong = [k for k in want if stored[k] != want[k]]
        assert {k: stored[k] for k in wrong} == {k: want[k] for k in wrong}, said
        dice.fences.append(str(lane.fence))
