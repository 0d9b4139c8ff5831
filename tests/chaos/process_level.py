"""The process level: real `git push` and `prp land` against a real remote and store, and faults while they run.

One step is one actor that begins something, or one fault. The seed gives the schedule of choices; when exactly each
lands in the life of a process is the machine's.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import tempfile
import time
from collections import Counter, deque
from pathlib import Path
from typing import TYPE_CHECKING

from prpgate import lane
from prpgate.gitrepo import Repo
from tests.chaos import looks
from tests.chaos.actors import Actor
from tests.chaos.checker import GRANTS, Violation, judge
from tests.chaos.proxy import CUT, DELAY, DROP
from tests.chaos.report import Report
from tests.chaos.server import ALWAYS, NONE, PERSISTENCE
from tests.chaos.stage import Stage, home, wait_until
from tests.chaos.story import Era, Event, Leftovers, Story, Verdict
from tests.world import Clone
from tests.world import run as run_command

if TYPE_CHECKING:
    from collections.abc import Callable

SCENE = 40  # steps
HOUR_S, DAY_S = 3600, 86_400
AT_ONCE = 3  # actors; the machine has two processors
ACTORS = {
    "push": 22,
    "push once": 10,
    "land": 24,
    "land at once": 8,
    "past the hook": 6,
    "force": 4,
    "rewind": 3,
    "break hold": 4,
    "close": 2,
    "open": 4,
    "ci": 10,
}
CALM_ACTORS = ("push", "push once", "land", "land at once", "ci", "open")
FAULTS = {
    "actor killed": 18,
    "group killed": 12,
    "actor stopped": 12,
    "watcher killed": 8,
    "watcher stopped": 6,
    "reply lost": 16,
    "request lost": 6,
    "reply late": 6,
    "store stalls": 4,
    "store refuses": 4,
    "store killed": 5,
    "store wiped": 2,
    "scripts flushed": 4,
    "clients cut off": 4,
    "pre-receive hangs": 6,
    "post-receive hangs": 6,
    "remote away": 6,
    "clock set": 4,
}
FAULT_SHARE = 0.35
CLONES = ("ana", "ben", "cem", "dee", "eli")


class Scene:
    """One remote, one store, five clones, and so many steps."""

    def __init__(self, seed: str, folder: Path) -> None:
        self.seed, self.rng = seed, random.Random(seed)
        self.calm = self.rng.random() < 0.2
        self.persistence = self.rng.choice((ALWAYS, *PERSISTENCE))
        self.gate = self.rng.choice(("none", "none", "ci", "local"))
        self.guarded = self.rng.random() < 0.4
        self.rewrites = not self.guarded and not self.calm and self.rng.random() < 0.25
        self.stage = Stage(
            folder,
            persistence=self.persistence,
            gate=self.gate,
            guarded=self.guarded,
            lease_s=10 if self.calm else 3,
        )
        self.clones: dict[str, Clone] = {"ana": self.stage.ana}
        self.clones |= {name: self.stage.join(name) for name in CLONES[1:]}
        self.actors: list[Actor] = []
        self.faults: Counter[str] = Counter()
        self.violations: list[Violation] = []
        self.trace: deque[str] = deque(maxlen=400)
        self.begun = time.monotonic()
        self.due: list[tuple[float, Callable[[], None]]] = []  # faults that end by themselves
        self.eras: list[Era] = []
        self.events: list[Event] = []
        self.verdicts: list[Verdict] = []
        self.wiped, self.behind, self.lost_data = True, False, False
        self.highest_offset_s = 0
        self.number = 0
        self.took = 0
        self.client = self.stage.server.redis()
        lock = self.stage.lock()
        self.keys = lock.keys
        self.last = looks.look(self.client, self.keys, "")
        with lock.store:
            lock.attribute(lane.observe(Repo(str(self.stage.ana.path)), self.stage.config, lock.state())[1])
        self.seen()

    def note(self, text: str) -> None:
        self.trace.append(f"{time.monotonic() - self.begun:6.2f} {text}")

    # --- steps -------------------------------------------------------------------------------------------------------
    def run(self, steps: int) -> None:
        for _ in range(steps):
            wait_until(lambda: sum(a.thread.is_alive() for a in self.actors) < AT_ONCE, 60)
            self.ends()
            # All of a step is drawn at once, whatever is there to be chosen: the schedule is the seed's alone.
            fault, pause, roll, dice = (self.rng.random() for _ in range(4))
            actor = self.rng.choices(list(ACTORS), list(ACTORS.values()))[0]
            trouble = self.rng.choices(list(FAULTS), list(FAULTS.values()))[0]
            if fault < FAULT_SHARE and not self.calm:
                self.fault(trouble, roll, dice)
            else:
                self.act(actor, roll, dice)
            self.seen()
            time.sleep(pause * 0.5)
        self.wind_down()

    def act(self, kind: str, roll: float, dice: float) -> None:
        if (kind == "rewind" and not self.rewrites) or (kind == "ci" and self.gate != "ci"):
            kind = "push"
        if self.calm and kind not in CALM_ACTORS:
            kind = "land"
        if self.gate == "local" and kind in ("push", "push once"):
            kind = "land"  # a plain push would only be told to
        busy = {a.clone.agent for a in self.actors if a.thread.is_alive()}
        idle = [c for name, c in self.clones.items() if name not in busy]
        self.number += 1
        if self.last.s.get("phase") == "landed" and "ci" not in busy and dice < 0.8:
            kind = "ci"  # as a host would: a landing starts a run, but for those that get lost
        clone = idle[int(roll * len(idle))]
        if kind == "ci":
            clone = Clone(self.stage.folder / "told", "ci")
        self.note(f"{clone.agent}: {kind}")
        self.actors.append(Actor(self.stage, clone, kind, self.number, dice, self.note))

    def fault(self, kind: str, roll: float, dice: float) -> None:
        stage = self.stage
        alive = [a for a in self.actors if a.thread.is_alive() and a.process and a.process.poll() is None]
        chosen = alive[int(roll * len(alive))] if alive else None
        watchers = stage.watchers() if kind.startswith("watcher") else []
        watcher = watchers[int(roll * len(watchers))] if watchers else None
        self.faults[kind] += 1
        who = chosen.clone.agent if chosen and kind.startswith(("actor", "group")) else watcher or ""
        self.note(f"-- {kind} {who}")
        match kind:
            case "actor killed" | "group killed" if chosen:
                chosen.kill(signal.SIGKILL, whole=kind.startswith("group"))
            case "actor stopped" if chosen and chosen.process:
                stopped = chosen.process  # killed meanwhile, it would leave what it started stopped for ever
                chosen.kill(signal.SIGSTOP, whole=dice < 0.5)
                self.later(0.5 + 5 * dice, lambda: stage.signal(stopped, signal.SIGCONT, whole=True))
            case "watcher killed" if watcher:
                signal_one(watcher, signal.SIGKILL)
            case "watcher stopped" if watcher:
                signal_one(watcher, signal.SIGSTOP)
                self.later(0.5 + 5 * dice, lambda: signal_one(watcher, signal.SIGCONT))
            case "reply lost" | "request lost":
                stage.proxy.arm(CUT if kind == "reply lost" else DROP, int(dice * 8))
            case "reply late":
                stage.proxy.arm(DELAY, int(dice * 4), roll * 2)
            case "store stalls":
                stage.proxy.stall(True)
                self.later(0.3 + 2 * dice, lambda: stage.proxy.stall(False))
            case "store refuses":
                stage.proxy.refuse(True)
                self.later(0.3 + 2 * dice, lambda: stage.proxy.refuse(False))
            case "store killed":
                self.restart()
            case "store wiped":
                self.seen()
                self.client.flushall()
                self.forgotten(wiped=True)
                self.refused_then_adopted(dice)
            case "scripts flushed":
                self.client.script_flush()
            case "clients cut off":
                self.client.client_kill_filter(_type="normal", skipme=True)
            case "pre-receive hangs" | "post-receive hangs":
                hook = kind.split()[0]
                stage.hang(hook, True)
                self.later(0.3 + 4 * dice, lambda: stage.hang(hook, False))
            case "remote away":
                stage.away(True)
                self.later(0.2 + 3 * dice, lambda: stage.away(False))
            case "clock set":
                stage.server.set_clock((HOUR_S, -HOUR_S, 0)[int(dice * 3)])
                self.note(f"   to {stage.server.offset_s:+d} s")
                self.highest_offset_s = max(self.highest_offset_s, stage.server.offset_s)
                if not any(e.event in GRANTS for e in self.events):  # no fence since the loss: the first one counts
                    self.behind = stage.server.offset_s < self.highest_offset_s

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        self.due.append((time.monotonic() + seconds, do))

    def ends(self, *, all_of_them: bool = False) -> None:
        """Faults whose time is over end."""
        now = time.monotonic()
        for at, do in list(self.due):
            if at <= now or all_of_them:
                self.due.remove((at, do))
                do()

    def restart(self) -> None:
        self.seen()
        self.client.close()
        self.stage.server.kill_and_restart()
        self.client = self.stage.server.redis()
        last = self.last.last
        if self.persistence == NONE:
            self.forgotten(wiped=True)
            self.refused_then_adopted(1.0)
        elif last and not self.client.xrange(self.keys.log, last, last):
            if self.persistence == ALWAYS:
                self.violations.append(Violation("stage", f"a store that always writes through forgot event {last}"))
            self.forgotten(wiped=False)
        elif self.persistence != ALWAYS:  # no line of the log is lost, but perhaps what left none
            self.last = looks.look(self.client, self.keys, last)
            self.events += self.last.events

    def forgotten(self, *, wiped: bool) -> None:
        self.eras.append(Era(tuple(self.events), self.wiped, self.behind))
        self.events, self.wiped, self.lost_data = [], wiped, True
        self.behind = self.stage.server.offset_s < self.highest_offset_s
        self.last = looks.look(self.client, self.keys, "")
        self.events += self.last.events

    def refused_then_adopted(self, dice: float) -> None:
        """A store that does not know whose it is takes nothing, until it is adopted."""
        busy = {a.clone.agent for a in self.actors if a.thread.is_alive()}
        probe = next((c for name, c in self.clones.items() if name not in busy), None)
        if probe and dice > 0.5:
            done = probe.prp("lock", "status", env=self.stage.env, ok=False)
            self.note(f"{probe.agent}: lock status of a wiped store -> {done.code}")
            if done.code == 0:
                self.violations.append(Violation("store", "an emptied store was used before it was adopted"))
        self.stage.adopt()
        self.note("-- store adopted")

    def seen(self) -> None:
        now = looks.look(self.client, self.keys, self.last.last)
        for e in now.events:
            self.note(f"      log: {e}")
        # Many scripts may have run since the last look: what is judged line by line is for the checker.
        self.violations += looks.step(self.last, now._replace(events=()))
        self.events += now.events
        self.verdicts += [Verdict(k, r, len(self.eras)) for k, r in now.verdicts.items()]
        self.last = now

    # --- the end -----------------------------------------------------------------------------------------------------
    def wind_down(self) -> None:
        """Everybody is killed, or ends; faults are over; a newcomer lands; a day passes. Then the story is told."""
        if not self.calm and self.rng.random() < 0.7:
            self.note("-- everybody is killed")
            for a in self.actors:
                a.over = True
                a.kill(signal.SIGKILL, whole=True)
        self.ends(all_of_them=True)
        self.stage.heal()
        self.stage.server.set_clock(self.highest_offset_s)
        for a in self.actors:
            a.thread.join(90)
        self.seen()
        self.note("-- the newcomer")
        served_s, bound_s = self.newcomer()
        lock = self.stage.lock()
        wait_until(lambda: lock.state().state == "free", 25)
        wait_until(lambda: not self.stage.processes(), 25)
        lock.attribute(lane.observe(Repo(str(self.clones["zoe"].path)), self.stage.config, lock.state())[1])
        self.seen()
        processes = tuple(f"{p} {w[:80]}" for p, w in self.stage.processes().items())
        self.stage.server.set_clock(self.highest_offset_s + DAY_S)
        state = lock.state()
        self.seen()
        left = [k for k in (*self.keys[1:6],) if self.client.exists(k)]
        left += [str(k) for k in self.client.scan_iter(f"{self.keys.w}*")]
        lock.store.close()
        end = Leftovers(
            state=state.state,
            queue=tuple(p.agent for p in state.queue),
            keys=tuple(left),
            kept=tuple((k.head, k.base) for k in state.kept),
            tip=self.stage.tip(),
            processes=processes,
            served_s=served_s,
            served_bound_s=bound_s,
        )
        story = self.story(end)
        self.took = len(story.took)
        self.violations += judge(story)

    def newcomer(self) -> tuple[float, float]:
        """Somebody who was never there asks again and again until it has landed; how long, and how long it may take."""
        zoe = self.clones["zoe"] = self.stage.join("zoe")
        config, t = self.stage.config, self.stage.config.times
        zoe.commit_files(f"work {self.number + 1} of zoe", {"zoe.txt": "zoe"})
        waiting = sum(1 for until in self.last.alive.values() if until > self.last.now_ms)
        bound_ms = t.cap_ms + t.ci_cap_ms + t.ci_wait_ms + t.look_ms + t.window_ms + t.alive_ms + config.times.lease_ms
        bound_s = (bound_ms + t.offer_ms * (waiting + 1)) / 1000 + 15  # and what the processes themselves take
        begun = time.monotonic()
        while time.monotonic() - begun < bound_s + 30:
            if "closed" in looks.look(self.client, self.keys, "").s:
                person = {**self.stage.env, "PRP_AGENT": ""}  # a connection may still be cut by what came before
                zoe.prp("lane", "open", "main", "--reason", "the end", env=person, ok=False)
            done = zoe.prp("land", "--wait", "30", env=self.stage.env, ok=False, timeout=90)
            self.note(f"zoe: land -> {done.code}; {done.text.strip().splitlines()[-1:]}")
            self.seen()
            if done.code == 0:
                return time.monotonic() - begun, bound_s
            time.sleep(0.3)
        return 1e9, bound_s

    def story(self, end: Leftovers) -> Story:
        took = self.stage.moves()
        remote = self.stage.remote
        span = ("main", f"^{self.stage.first}")
        return Story(
            eras=(*self.eras, Era(tuple(self.events), self.wiped, self.behind)),
            took=tuple(took),
            visits=tuple(self.stage.visits()),
            subjects=tuple(run_command(["git", "log", "--format=%s", *span], remote).out.splitlines()),
            history=frozenset(run_command(["git", "rev-list", "main"], remote).out.split()),
            records=tuple(self.last.records.items()),
            claims=tuple(c for a in self.actors for c in a.claims),
            verdicts=tuple(self.verdicts),
            leftovers=end,
            forced=frozenset(sha for a in self.actors for sha in a.forced),
            calm=self.calm,
            rewound=any(t.dropped for t in took),
            lost_data=self.lost_data,
        )

    def close(self) -> None:
        for a in self.actors:
            a.over = True
            a.kill(signal.SIGKILL, whole=True)
        self.stage.heal()
        for a in self.actors:
            a.thread.join(30)
        self.client.close()
        self.stage.close()

    @property
    def kind(self) -> str:
        more = {"guarded": self.guarded, "rewrites": self.rewrites, "calm": self.calm}
        return ", ".join([self.persistence, f"gate {self.gate}", *(name for name, on in more.items() if on)])

    def text(self) -> str:
        said = "\n".join(f"  {line}" for line in self.trace)
        return "\n".join([*(str(v) for v in self.violations), f"scene {self.seed} ({self.kind}):", said])


def signal_one(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def run(seed: int, steps: int, *, scene: int = SCENE, tell: Callable[[str], None] = lambda _: None) -> Report:
    """So many steps, in scenes, each in a home of its own. `tell` hears of each scene when it is over."""
    faults: Counter[str] = Counter()
    done, part, landings = 0, 0, 0
    violations: list[str] = []
    while done < steps:
        length = min(scene, steps - done)
        with home(), tempfile.TemporaryDirectory(prefix="pc-", dir="/tmp") as folder:
            one = Scene(f"{seed}:p{part}", Path(folder))
            try:
                one.run(length)
            finally:
                one.close()
        faults += one.faults
        landings += one.took
        tell(f"  scene {one.seed} ({one.kind}): {one.took} landings, {len(one.violations)} violations")
        if one.violations:
            violations.append(one.text())
        done, part = done + length, part + 1
    return Report(done, faults, landings, violations)
