"""The merge lane's tables, read aloud in plain Python: the same rows as docs/lane.md has, on a logical clock.

Slow, simple, one object in memory. test_against_reading.py runs it beside the scripts and wants no difference, neither
in an answer nor in anything stored. Written from the tables; where they leave something open, a remark says what is
chosen. Nothing here may be copied from the scripts, nor the other way round.
"""

from __future__ import annotations

import math
from typing import Any

FACTS = ("foreign", "late", "landed")  # what the remote was seen to have, the surest last
LEASED = ("claimed", "intent", "accepting")
PUSHING = ("intent", "accepting")
FAR = 10**12  # how far before its number a hotfix stands


class Ticket:
    def __init__(self, number: int, who: dict[str, Any], now: int) -> None:
        self.number, self.id, self.since = number, who["ticket"], now
        self.who: dict[str, Any] = {}
        self.alive_until = self.reserved_until = 0
        self.window_used = False


class Hold:
    """A hold, or an offer (which has neither phase nor cap)."""

    def __init__(self, id: str, who: dict[str, Any], now: int, deadline: int) -> None:
        self.id, self.who, self.since, self.deadline = id, who, now, deadline
        self.ticket: str | None = who.get("ticket")
        self.phase: str | None = None
        self.begun: int | None = None
        self.cap: int | None = None
        self.head: str | None = None
        self.base: str | None = None  # None with a head: CI looks at a commit that nobody announced
        self.info: dict[str, Any] | None = None
        self.owner: dict[str, Any] | None = None
        self.key: str | None = None
        self.look: tuple[dict[str, Any], int] | None = None  # who looks, until when
        self.run_url: str | None = None
        self.tried: str | None = None
        self.dispatched: str | None = None
        self.candidate: str | None = None  # gate ci-first: the commit that CI is to prove
        self.ci_until = 0
        self.proof: tuple[str, str] | None = None  # what CI said of it, and why


class Lane:
    def __init__(self, name: str, times: dict[str, int]) -> None:
        self.name, self.times, self.now = name, times, 0
        self.state, self.fence, self.number = "free", 0, 0
        self.hold: Hold | None = None
        self.queue: list[Ticket] = []
        self.window: int | None = None
        self.kept: dict[str, dict[str, Any]] = {}
        self.seen: str | None = None
        self.closed: dict[str, Any] | None = None
        self.opened_at: int | None = None  # by a person
        self.reds: list[str] = []  # heads of the landings that were red in a row
        self.records: dict[str, dict[str, Any]] = {}
        self.verdicts: dict[str, dict[str, Any]] = {}
        self.wakes: dict[str, str] = {}
        self.durations: list[int] = []
        self.log: list[tuple[str, int, str, str, str]] = []

    # --- small readings ----------------------------------------------------------------------------------------------
    def note(self, event: str, agent: str | None = "", sha: str | None = "", detail: str = "", fence: int = -1) -> None:
        self.log.append((event, self.fence if fence < 0 else fence, agent or "", sha or "", detail))

    def is_there(self, t: Ticket) -> bool:
        return t.alive_until > self.now

    def is_eligible(self, t: Ticket) -> bool:
        return self.closed is None or bool(t.who.get("fixer"))

    def ticket(self, id: str) -> Ticket | None:
        return next((t for t in self.queue if t.id == id), None)

    def drop(self, id: str) -> None:
        self.queue = [t for t in self.queue if t.id != id]
        self.wakes.pop(id, None)

    def owner_agent(self) -> str | None:
        return (self.hold.owner or {}).get("agent") if self.hold else None

    def phase(self) -> str | None:
        return self.hold.phase if self.hold else None

    def left(self, until: int | None) -> int | None:
        return None if until is None else until - self.now

    def grow(self) -> None:
        self.fence = max(self.fence + 1, self.now * 1000)

    def p(self, share: float) -> int | None:
        return sorted(self.durations)[math.ceil(len(self.durations) * share) - 1] if self.durations else None

    # --- reap --------------------------------------------------------------------------------------------------------
    def reap(self) -> None:
        h = self.hold
        overdue = h is not None and h.deadline <= self.now
        spent = h is not None and h.cap is not None and h.cap <= self.now
        match (self.state, self.phase()):
            case ("offered", _) if h and overdue:
                # free; the waiter keeps its ticket but is absent and its window counts as used
                self.note("expired", h.who.get("agent"), detail="offer")
                if t := self.ticket(h.id):
                    t.alive_until = 0
                    t.reserved_until = max(t.reserved_until, self.now + self.times["reserve_ms"])
                    t.window_used = True
                self.vacate()
            case ("held", "claimed") if h and overdue:
                self.note("expired", h.who.get("agent"))
                self.vacate()
            case ("held", "intent" | "accepting") if h and overdue:
                # reconciling: nobody is granted; holder, fence and intent stay
                self.note("expired", h.who.get("agent"), h.head, "reconciling")
                self.state = "reconciling"
            case ("held", "landed" | "smoking" as phase) if h and overdue and spent:
                # free; verdict unknown unless one stands; landing marked unproven
                self.unproven("run-late" if phase == "smoking" else "no-run")
                self.vacate()
            case ("held", "smoking") if h and overdue:
                # this attempt is unknown; wait for another run
                self.note("verdict", self.owner_agent(), h.head, "unknown run-lost")
                self.await_run()
            case ("reconciling", _) if h and h.look and h.look[1] <= self.now:
                h.look = None
        # any: a ticket with neither alive-until nor reserved-until is removed (the last one is logged first)
        for t in reversed(self.queue):
            if not self.is_there(t) and t.reserved_until <= self.now:
                self.note("dead", t.who.get("agent"), detail="reservation" if t.reserved_until else "waiter")
                self.drop(t.id)
        # free: window's end
        if self.window is not None and not self.now < self.window <= self.now + self.times["window_ms"]:
            self.window = None  # over, or of a time before the clock was set back
        self.settle("offer")

    def vacate(self) -> None:
        if self.hold and self.hold.begun is not None:
            most = self.times["cap_ms"] + self.times["ci_cap_ms"]  # the clock may have been set meanwhile
            self.durations = [max(0, min(self.now - self.hold.begun, most)), *self.durations][:50]
        self.state, self.hold = "free", None

    def end(self) -> None:
        """A hold ends by what somebody did: the next in line is handed the lane."""
        self.vacate()
        self.settle("handover")

    def unproven(self, why: str) -> None:
        h = self.hold
        assert h and h.head
        stands = self.verdicts.get(h.key or "", {}).get("result")
        if h.key and stands is None:
            self.verdicts[h.key] = {"result": "unknown", "at": self.now, "by": why, "head": h.head}
        if stands not in ("green", "red") and h.head in self.records:  # a verdict that stands proves the landing
            self.records[h.head]["unproven"] = True
        self.note("verdict", self.owner_agent(), h.head, "unknown " + why)

    def await_run(self) -> None:
        h = self.hold
        assert h
        self.state, h.phase, h.look = "held", "landed", None
        h.who = h.owner or {}
        h.id, h.ticket = h.who.get("hold") or h.head or "", h.who.get("ticket")
        h.since, h.deadline = self.now, self.now + self.times["ci_wait_ms"]

    # --- settle ------------------------------------------------------------------------------------------------------
    def settle(self, event: str) -> None:
        if self.state != "free" or self.window is not None:
            return
        eligible = [t for t in self.queue if self.is_eligible(t)]
        live = [t for t in eligible if self.is_there(t)]
        if self.windows_due(eligible, live):
            # every absent ticket now in the queue has its window used
            self.window = self.now + self.times["window_ms"]
            whose = next(t for t in eligible if not self.is_there(t) and not t.window_used)
            for t in self.queue:
                t.window_used = t.window_used or not self.is_there(t)
            self.note("window", whose.who.get("agent"))
        elif live:
            # offered to the lowest that is there; the second is told when to look
            self.grow()
            self.state = "offered"
            self.hold = Hold(live[0].id, live[0].who, self.now, self.now + self.times["offer_ms"])
            self.note(event, live[0].who.get("agent"))
            self.wakes[live[0].id] = "offer"
            if len(live) > 1:
                self.wakes[live[1].id] = str(self.times["offer_ms"])

    def windows_due(self, eligible: list[Ticket], live: list[Ticket]) -> bool:
        if live and live[0].who.get("hotfix"):
            return False  # a hotfix waits for nobody who is not there
        before = eligible[: eligible.index(live[0])] if live else eligible
        return self.times["window_ms"] > 0 and any(not t.window_used for t in before)

    # --- acquire -----------------------------------------------------------------------------------------------------
    def acquire(self, a: dict[str, Any]) -> dict[str, Any]:
        self.reap()
        answer = self._acquire(a)
        if answer["outcome"] != "granted" or not a.get("intent"):
            return answer
        # With an intent: acquire, then intent; closed gives the lock back and stands in line once more.
        h = self.hold
        assert h
        if self._intent(a):
            return self.granted()
        if h.phase == "claimed":
            self.note("release", a["who"]["agent"], detail="closed")
            self.end()
        t = self.stand(a)
        self.note("queue", a["who"]["agent"], a["who"].get("sha"))
        return self.not_now(a, t)

    def _acquire(self, a: dict[str, Any]) -> dict[str, Any]:
        who, h = a["who"], self.hold
        if self.state == "held" and h and h.id == who["hold"] and h.phase in ("claimed", "intent"):
            return self.granted()  # the first reply was lost: same fence
        if a.get("place"):  # a push that cannot land as it is: a reservation, and nothing else
            new = self.ticket(who["ticket"]) is None
            t = self.stand(a)
            more = self.reserve(t)
            if new:
                self.note("queue", who["agent"], who.get("sha"))
            self.settle("offer")
            return {"outcome": "refused", "position": self.queue.index(t) + 1, **more}
        if a.get("seen") is not None and a["seen"] != (self.seen or ""):
            return {"outcome": "moved"}
        if self.state == "offered" and h and h.id == who["ticket"]:
            self.drop(who["ticket"])
            self.take(who)  # claim: same fence
            self.note("claim", who["agent"], who.get("sha"))
            return self.granted()
        new = self.ticket(who["ticket"]) is None
        t = self.stand(a)
        eligible = [x for x in self.queue if self.is_eligible(x)]
        before = (
            [x for x in eligible[: eligible.index(t)] if self.is_there(x) or not who.get("hotfix")]
            if t in eligible
            else [t]
        )
        if self.state == "free" and self.window is not None and not before:
            self.window = None  # no eligible ticket before the caller's
        live = [x for x in eligible if self.is_there(x)]
        if self.state == "free" and self.window is None and live[:1] == [t] and not self.windows_due(eligible, live):
            self.drop(who["ticket"])
            self.grow()
            self.take(who)
            self.note("acquire", who["agent"], who.get("sha"))
            return self.granted()
        self.settle("offer")
        if new:
            self.note("queue", who["agent"], who.get("sha"))
        return self.not_now(a, t)

    def take(self, who: dict[str, Any]) -> None:
        self.state = "held"
        self.hold = h = Hold(who["hold"], who, self.now, self.now + self.times["lease_ms"])
        h.phase, h.begun, h.cap = "claimed", self.now, self.now + self.times["cap_ms"]

    def stand(self, a: dict[str, Any]) -> Ticket:
        """Ticket added or refreshed: it is there; its number never changes."""
        who = a["who"]
        t = self.ticket(who["ticket"])
        if t is None:
            self.number += 1
            t = Ticket(self.number, who, self.now)
            self.queue.append(t)
        if bool(t.who.get("hotfix")) != bool(who.get("hotfix")):
            # before everybody but earlier hotfixes; asked without, back to where its number is
            t.number += -FAR if who.get("hotfix") else FAR
            self.queue.sort(key=lambda x: x.number)
            if who.get("hotfix"):
                self.note("hotfix", who["agent"], who.get("sha"), who["hotfix"])
                # whom it passed sees at once why
                self.wakes |= {x.id: "hotfix" for x in self.queue if x.number > t.number and self.is_there(x)}
        t.who = {**who, "since": t.since, **({"fixer": True} if a.get("fixer") else {})}
        t.alive_until = self.now + self.times["alive_ms"]
        self.wakes.pop(t.id, None)
        return t

    def not_now(self, a: dict[str, Any], t: Ticket) -> dict[str, Any]:
        position = self.queue.index(t) + 1
        shut = self.closed is not None and not a.get("fixer")
        window = self.state == "free" and self.window is not None
        if a["plain"] and (shut or not window):
            self.reserve(t)
        name = "closed" if shut else "queued" if not a["plain"] else "window" if window else "refused"
        more: dict[str, Any] = {"position": position}
        if name == "refused":
            more["reserved_ms"] = t.reserved_until - self.now
        if name == "window":
            more["ms_left"] = self.left(self.window)
        return {"outcome": name, **more}

    def reserve(self, t: Ticket) -> dict[str, Any]:
        """Reservation only, for max(120 s, the holder's deadline + the usual hold x position + 60 s)."""
        t.alive_until = 0
        left = max(0, (self.left(self.hold.deadline) if self.hold else None) or 0)
        length = max(self.times["reserve_ms"], left + (self.p(0.5) or 0) * (self.queue.index(t) + 1) + 60_000)
        t.reserved_until = max(t.reserved_until, self.now + length)
        return {"reserved_ms": t.reserved_until - self.now}

    def granted(self) -> dict[str, Any]:
        h = self.hold
        assert h
        return {
            "outcome": "granted",
            "fence": str(self.fence),
            "deadline_ms": self.left(h.deadline),
            "cap_ms": self.left(h.cap),
        }

    # --- the holder --------------------------------------------------------------------------------------------------
    def current(self, a: dict[str, Any]) -> bool:
        return self.fence > 0 and a.get("fence") == str(self.fence)

    def renew(self, a: dict[str, Any]) -> dict[str, Any]:
        self.reap()
        h = self.hold
        if self.state == "held" and h and h.phase in LEASED and self.current(a):
            self.extend("lease_ms")
            return self.granted()
        self.note("renew-late", fence=int(a["fence"]))
        return {"outcome": "lost"}

    def extend(self, lease: str) -> None:
        """The earlier of now + lease and the cap; what pre-receive gave is not taken away again."""
        h = self.hold
        assert h and h.cap is not None
        h.deadline = max(h.deadline, min(self.now + self.times[lease], h.cap))

    def intent(self, a: dict[str, Any]) -> dict[str, Any]:
        self.reap()
        h = self.hold
        if not (self.state == "held" and h and h.phase in ("claimed", "intent") and self.current(a)):
            return {"outcome": "lost"}
        if self.closed and not a.get("fixer"):
            return {"outcome": "closed"}
        self.write_intent(a)
        return self.granted()

    def _intent(self, a: dict[str, Any]) -> bool:
        h = self.hold
        assert h
        if self.closed and not a.get("fixer") and h.head != a["intent"]["head"]:
            return False  # (an intent that was written before the closing stands)
        self.write_intent(a)
        return True

    def write_intent(self, a: dict[str, Any]) -> None:
        h, intent, info = self.hold, a["intent"], a.get("info")
        assert h
        if h.head and h.head != intent["head"] and self.put_record(h.head, "unseen"):
            self.kept[h.head] = dict(self.records[h.head])  # the first try may still arrive
        self.kept.pop(intent["head"], None)  # announced anew
        h.phase, h.head, h.base, h.owner, h.info = "intent", intent["head"], intent["base"], h.who, info
        h.key = f"{info['tree']}:{info['steps']}:ci" if info and "tree" in info and "steps" in info else None
        if self.seen is None and intent["base"].strip("0"):
            self.seen = intent["base"]
        more = {
            **{k: h.who.get(k) for k in ("agent", "hold", "ticket", "prp", "hotfix")},
            "base": intent["base"],
            "fence": str(self.fence),
            "fixer": True if a.get("fixer") else None,
            **(info or {}),
        }
        new = {k: v for k, v in more.items() if v is not None}
        if self.put_record(intent["head"], "intent", new):
            self.note("intent", h.who.get("agent"), intent["head"])
            if self.closed and h.who.get("hotfix"):
                why = f"while closed by {self.closed['by']}: {h.who['hotfix']}"
                self.note("hotfix", h.who.get("agent"), intent["head"], why)

    def release(self, a: dict[str, Any]) -> dict[str, Any]:
        self.reap()
        h = self.hold
        if not (self.state == "held" and h and h.phase == "claimed" and self.current(a)):
            return {"outcome": "lost"}
        self.note("release", h.who.get("agent"), h.candidate or h.who.get("sha"), a.get("why") or "")
        self.end()
        return {"outcome": "released"}

    def leave(self, a: dict[str, Any]) -> dict[str, Any]:
        self.reap()
        h, t = self.hold, self.ticket(a["id"])
        held = self.state == "held" and h is not None and h.phase == "claimed" and h.id == a["id"]
        offered = self.state == "offered" and h is not None and h.id == a["id"]
        keep = t is not None and a["keep_ms"] > 0
        if t or held:
            agent = t.who.get("agent") if t else h.who.get("agent") if h else ""
            self.note("leave", agent, detail="kept" if keep else "")
        if t and keep:
            t.alive_until = 0
            t.reserved_until = max(t.reserved_until, self.now + a["keep_ms"])
        elif t:
            self.drop(t.id)
        if held or offered:
            self.end()
        return {"outcome": "done"}

    # --- what became of a push ---------------------------------------------------------------------------------------
    def unreported(self) -> bool:
        """held / intent, accepting; or reconciling without a look"""
        h = self.hold
        return bool(h and h.phase in PUSHING and not h.look and self.state in ("held", "reconciling"))

    def report(self, a: dict[str, Any]) -> dict[str, Any]:
        self.reap()
        if not (self.unreported() and self.current(a)):
            return {"outcome": "lost"}
        return self.outcome(a, a["saw"])

    def look(self, a: dict[str, Any]) -> dict[str, Any]:
        self.reap()
        h = self.hold
        if self.state != "reconciling" or not h or (h.look and h.look[0]["hold"] != a["who"]["hold"]):
            return {"outcome": "none"}
        if not h.look:
            self.grow()
            h.look = (a["who"], self.now + self.times["look_ms"])
            self.note("reconcile", a["who"]["agent"], h.head)
        return {"outcome": "look", "fence": str(self.fence), "left_ms": self.left(h.look[1])}

    def submit(self, a: dict[str, Any]) -> dict[str, Any]:
        self.reap()
        if not (self.state == "reconciling" and self.hold and self.hold.look and self.current(a)):
            return {"outcome": "lost"}
        return self.outcome(a, a["saw"])

    def post_receive(self, a: dict[str, Any]) -> dict[str, Any]:
        self.reap()
        if not (self.unreported() and self.hold and self.hold.head == a["head"]):
            return {"outcome": "lost"}
        return self.outcome(a, "in")

    def outcome(self, a: dict[str, Any], saw: str) -> dict[str, Any]:
        h = self.hold
        self.go_over(a["look"])
        assert h and h.head
        if saw == "base":
            self.keep(h.head)
        elif saw == "other" and self.put_record(h.head, "not-landed"):
            self.note("not-landed", self.owner_agent(), h.head)
        whole = self.attribute_look(a["look"])
        by_host = "pull" in self.records.get(h.head, {})  # no candidate of it was smoked before
        if saw == "in":
            self.arrived(h.head)
        if saw == "in" and (a["gate"] == "ci" or (a["gate"] == "ci-first" and by_host)):
            self.await_run()
            h.cap = self.now + self.times["ci_cap_ms"]
        else:
            if saw == "in" and a["gate"] == "ci-first":
                self.was_proven(h)
            self.end()
        return {"outcome": "reported", "record": self.records[h.head]["record"], "head": h.head, "attributed": whole}

    def was_proven(self, h: Hold) -> None:
        """A landing that was green on its candidate branch counts as a green run on the lane does."""
        stands = self.verdicts.get(h.key or "", {})
        if stands.get("result") != "green" or not h.head:
            return
        url = {"run_url": stands["run_url"]} if "run_url" in stands else {}
        self.records[h.head] |= {"verdict": "green", **url}
        self.reds = []
        if self.closed and self.closed["kind"] == "red" and self.records[h.head].get("fixer"):
            self.closed = None
            self.note("open", stands.get("by"), detail="green")

    def keep(self, head: str) -> None:
        """Not seen yet, may still arrive: the intent is kept (never one that did arrive)."""
        if self.put_record(head, "unseen"):
            self.note("unseen", self.owner_agent(), head)
        if self.records[head]["record"] == "unseen":
            self.kept[head] = dict(self.records[head])

    def put_record(self, head: str, what: str, more: dict[str, Any] | None = None) -> bool:
        """`landed` is never taken back, nor is `late` or `foreign` by anything less."""
        old = self.records.get(head, {})
        rank = (*("", "intent", "unseen", "not-landed"), *FACTS)
        before: str = old.get("record", "")
        if before in FACTS and rank.index(what) < rank.index(before):
            return False
        if before == what and more is None:
            return False
        at = self.now if before != what or what == "intent" else old["at"]
        self.records[head] = {**({} if what == "intent" else old), **(more or {}), "record": what, "at": at}
        return before != what

    # --- attribute ---------------------------------------------------------------------------------------------------
    def arrived(self, head: str) -> None:
        h = self.hold
        kept = self.kept.pop(head, None)
        if h and h.head == head and h.base is not None:
            if self.put_record(head, "landed"):
                self.note("landed", self.owner_agent(), head)
        elif kept and self.put_record(head, "late"):  # under its own owner's name
            self.note("late", kept.get("agent"), head, fence=int(kept["fence"]))

    def owned_from(self, head: str) -> str | None:
        """The base of a head we know: the intent's, a kept one, one that is recorded as in."""
        if self.hold and self.hold.head == head and self.hold.base is not None:
            return self.hold.base
        if head in self.kept:
            return str(self.kept[head]["base"])
        known = self.records.get(head, {})
        return str(known.get("base", "")) if known.get("record") in ("landed", "late") else None

    def go_over(self, look: dict[str, Any] | None) -> None:
        """A pull request's head landed as a commit that the host made: from now on that commit is the landing."""
        h = self.hold
        for head, sha, base, tree in (look or {}).get("made", []):
            mine = h is not None and h.head == head and h.base is not None
            known = self.records.get(head, {})
            if not (mine or head in self.kept) or "pull" not in known or "pulled" in known or sha == head:
                continue
            there, new = self.records.get(sha, {}), self.records.pop(head)
            new |= {k: there[k] for k in ("verdict", "run_url", "unproven") if k in there}
            rank = ("", *FACTS)
            if there.get("record") in FACTS and rank.index(there["record"]) > rank.index(
                new["record"] if new["record"] in FACTS else ""
            ):
                new["record"] = there["record"]
            new |= {"pulled": head, "base": base, "tree": tree}
            self.records[sha] = new
            self.note("merged", new.get("agent"), sha, head, fence=int(new["fence"]))
            if self.kept.pop(head, None) is not None:
                self.kept[sha] = {**new, "record": "unseen"}
            if mine and h:
                h.head, h.base = sha, base
                h.info = {**{k: v for k, v in (h.info or {}).items() if k != "pull"}, "tree": tree}
                if "steps" in h.info:
                    h.key = f"{tree}:{h.info['steps']}:ci"

    def attribute_look(self, look: dict[str, Any] | None) -> bool:
        if look is None:
            return False
        self.go_over(look)
        whole: bool = look["since"] == (self.seen or "")  # else somebody else has looked meanwhile: heads only
        foreign: list[str] = []
        if whole and self.seen is not None:
            commits = look["foreign"]
            heads = [c for c in commits if self.owned_from(c) is not None]
            for n, commit in enumerate(commits):
                above = next((m for m in range(n, len(commits)) if commits[m] in heads), None)
                # commits a known head brought along are its own: those above its base
                if above is None or (commit not in heads and self.owned_from(commits[above]) in commits[n:above]):
                    foreign.append(commit)
            for head in reversed(heads):
                self.arrived(head)
        for head in look["heads"]:
            self.arrived(head)
        if not whole:
            return False
        new = [c for c in reversed(foreign) if self.put_record(c, "foreign")]
        if new:
            self.note("foreign-push", sha=foreign[-1], detail=str(len(new)))
        for head in look["moved"]:  # its base is no longer the tip and it is not in: it can never land
            if self.hold and self.hold.head == head:
                continue  # announced anew: its outcome is for its holder to tell
            one = self.kept.get(head, {})
            if "pull" in one and "pulled" not in one and self.now - one["at"] < self.times["cap_ms"]:
                continue  # a host merges onto whatever tip there is
            self.never(head)
        self.seen = look.get("tip", self.seen)
        return True

    def never(self, head: str) -> None:
        kept = self.kept.pop(head, None)
        if kept and self.put_record(head, "not-landed"):
            self.note("not-landed", kept.get("agent"), head, fence=int(kept["fence"]))

    def attribute(self, a: dict[str, Any]) -> dict[str, Any]:
        self.reap()
        whole, refused = self.attribute_look(a["look"]), a.get("refused")
        if refused and self.kept.get(refused["head"], {}).get("fence") == refused["fence"]:
            self.never(refused["head"])  # under another fence it was announced anew
        return {"outcome": "done", "attributed": whole}

    # --- CI ----------------------------------------------------------------------------------------------------------
    def adopt(self, a: dict[str, Any]) -> dict[str, Any]:
        self.reap()
        self.attribute_look(a.get("look"))
        h, head, who = self.hold, a["head"], a["who"]
        info = h.info if h and h.info and h.base is not None and self.unreported() else {}
        if h and "pull" in info and a.get("key", "").split(":")[0] == info["tree"]:
            # a commit with the tree that merging makes: the pull request is merged
            self.go_over({"made": [[h.head, head, h.base, info["tree"]]]})
        if self.state == "held" and h and h.phase == "smoking" and h.head == head and h.id == who["hold"]:
            return self.granted()  # the first reply was lost
        free = self.state == "free" and self.window is None and not any(self.is_there(t) for t in self.queue)
        if h and h.head == head and (self.unreported() or self.phase() == "landed"):
            # head is the intent's: a run on that commit proves the landing
            self.arrived(head)
            cap = h.cap if h.phase == "landed" else self.now + self.times["ci_cap_ms"]
            self.grow()
            self.state, h.phase, h.look, h.cap = "held", "smoking", None, cap
        elif free and self.verdicts.get(a.get("key", ""), {}).get("result") not in ("green", "red"):
            # a foreign or late commit is smoked under the lock
            self.grow()
            if head in self.kept:
                self.arrived(head)
            elif self.put_record(head, "foreign"):
                self.note("foreign-push", sha=head, detail="1")
            self.state, self.hold = "held", Hold(who["hold"], who, self.now, 0)
            h = self.hold
            h.phase, h.begun, h.cap, h.head = "smoking", self.now, self.now + self.times["ci_cap_ms"], head
            known = self.records[head]
            h.owner = {"sha": head, **{k: known[k] for k in ("agent", "prp", "hold") if k in known}}
        else:
            return {"outcome": "apart"}
        h.id, h.ticket, h.who, h.since, h.run_url = who["hold"], who["ticket"], who, self.now, a.get("run_url")
        h.deadline, h.key, h.tried = self.now + self.times["ci_lease_ms"], a.get("key", h.key), None
        self.note("adopt", self.owner_agent(), head, a.get("run_url") or "")
        return self.granted()

    def ci_renew(self, a: dict[str, Any]) -> dict[str, Any]:
        self.reap()
        if not (self.state == "held" and self.phase() == "smoking" and self.current(a)):
            return {"outcome": "lost"}
        self.extend("ci_lease_ms")
        h = self.hold
        assert h
        if a.get("tried") and a["tried"] != h.tried:  # each attempt is logged once
            h.tried = a["tried"]
            self.note("verdict", self.owner_agent(), h.head, f"red ({h.tried})")
        return self.granted()

    def verdict(self, a: dict[str, Any]) -> dict[str, Any]:
        self.reap()
        h, head, key, result = self.hold, a["head"], a["key"], a["result"]
        stands = self.verdicts.get(key)
        written = stands is not None and stands["result"] in ("green", "red")
        agent = self.records.get(head, {}).get("agent")
        smoking = self.state == "held" and h is not None and h.phase == "smoking"
        under_lock = smoking and h is not None and h.head == head and self.current(a)
        own = h is not None and h.head == head
        known = self.records.get(head, {})
        # a commit of the branch with a tree that was judged as another's: that verdict counts here too, once
        anew = bool(written and stands and a["in_branch"] and stands["result"] == result and stands["head"] != head)
        anew = anew and known.get("verdict") not in ("green", "red")
        anew = anew and bool(known or (a["fixer"] and result == "green"))
        if not under_lock and ("fence" in a or (written and not anew) or result == "unknown" or own):
            fence = int(a["fence"]) if "fence" in a else -1
            self.note("verdict", agent, head, "late " + result, fence)
            return {"outcome": "judged", "written": False, "stands": stands["result"] if stands else None}
        self.note("verdict", agent, head, result)
        if under_lock and h and h.cap is not None and result == "unknown" and h.cap > self.now:
            self.await_run()
            more = {"written": False, "stands": stands["result"] if stands else None, "again": True}
            return {"outcome": "judged", **more}
        counts = True
        if written and stands is not None:  # judged as another commit of the same tree: that verdict counts here too
            counts, result = stands["head"] != head, stands["result"]
        else:
            fields = {"result": result, "at": self.now, "by": a["by"], "run_url": a.get("run_url"), "head": head}
            fields["proven"] = a.get("proven")
            self.verdicts[key] = {k: v for k, v in fields.items() if v is not None}
        if head in self.records:
            self.records[head] |= {"verdict": result, "unproven": result == "unknown"}
            self.records[head] |= {"run_url": a["run_url"]} if "run_url" in a else {}
        opened = False
        # after a person opened it, only what landed later may close it
        old = self.opened_at is not None and self.records.get(head, {}).get("at", 0) < self.opened_at
        if counts and result == "red" and not old and (under_lock or a["in_branch"]) and not a["later_green"]:
            self.reds.append(head)
            if self.closed is None and len(self.reds) >= a.get("close_after", 1):
                many = f"{len(self.reds)} landings in a row are red, the last: " if len(self.reds) > 1 else ""
                self.shut("red", a["by"], many + a["reason"], self.reds[0])
        elif counts and result == "green" and (under_lock or a["in_branch"]):
            self.reds = []
            if self.closed and self.closed["kind"] == "red":
                opened = bool(a["fixer"] or self.records.get(head, {}).get("fixer"))
            if opened:
                self.closed = None
                self.note("open", a["by"], detail="green")
        if under_lock:
            self.end()
        elif opened:
            self.settle("offer")
        return {"outcome": "judged", "written": not written, "stands": result}

    def redispatch(self, a: dict[str, Any]) -> dict[str, Any]:
        self.reap()
        if "fence" in a:
            return self.start_for_candidate(a)
        h = self.hold
        due = self.state == "held" and h is not None and h.phase == "landed" and h.deadline <= self.now
        if a.get("undo"):
            if self.state == "held" and h and h.phase == "landed" and h.dispatched == a["who"]["hold"]:
                h.dispatched = None
                self.note("redispatch", a["who"]["agent"], h.head, f"not started: {a['undo']}")
            return {"outcome": "none"}
        if not due or not h or h.dispatched or h.cap is None or h.cap <= self.now:
            return {"outcome": "none"}
        h.dispatched = a["who"]["hold"]
        h.deadline = self.now + self.times["ci_wait_ms"]
        self.note("redispatch", a["who"]["agent"], h.head)
        return {"outcome": "redispatch", "head": h.head}

    # --- gate ci-first -----------------------------------------------------------------------------------------------
    def candidate(self, a: dict[str, Any]) -> dict[str, Any]:
        self.reap()
        h = self.hold
        if not (self.state == "held" and h and h.phase == "claimed" and self.current(a)):
            return {"outcome": "lost"}
        if self.closed and not a.get("fixer"):
            return {"outcome": "closed"}
        if h.candidate != a["head"]:
            if h.candidate is None:  # the cap is CI's from here on, and one lease more for the push; once in a hold
                h.cap = self.now + self.times["ci_cap_ms"] + self.times["lease_ms"]
            h.candidate, h.key, h.since = a["head"], a["key"], self.now
            h.run_url = h.tried = h.dispatched = h.proof = None
            self.next_word(h, "ci_wait_ms")
            self.note("candidate", h.who.get("agent"), h.candidate)
        self.extend("lease_ms")
        return self.granted()

    def start_for_candidate(self, a: dict[str, Any]) -> dict[str, Any]:
        """Nobody has picked it up in time: its lander starts a run, once, if there is time left for one."""
        h = self.waited_for(a)
        if h is None or h.proof or h.run_url or h.dispatched or h.cap is None:
            return {"outcome": "none"}
        if self.now < h.ci_until or self.now >= h.cap - self.times["lease_ms"]:
            return {"outcome": "none"}
        h.dispatched = h.id
        self.next_word(h, "ci_wait_ms")
        self.note("redispatch", h.who.get("agent"), h.candidate)
        return {"outcome": "redispatch", "head": h.candidate}

    def next_word(self, h: Hold, within: str) -> None:
        """When CI has to be heard of again: what is over the cap less a lease is the push's."""
        assert h.cap is not None
        h.ci_until = min(self.now + self.times[within], h.cap - self.times["lease_ms"])

    def waited_for(self, a: dict[str, Any]) -> Hold | None:
        """The hold whose candidate this is, under the current fence."""
        h = self.hold
        mine = self.state == "held" and h is not None and h.phase == "claimed" and self.current(a)
        return h if mine and h and h.candidate == a["head"] else None

    def pick_up(self, a: dict[str, Any]) -> dict[str, Any]:
        self.reap()
        h = self.waited_for(a)
        if h is None or h.proof:
            return {"outcome": "lost"}
        another = h.run_url != a["run_url"]
        if h.run_url is None or (another and h.ci_until <= self.now):  # a second run is shown once the first is silent
            h.run_url, h.since = a["run_url"], self.now
            self.note("pick-up", h.who.get("agent"), h.candidate, a["run_url"])
            self.wakes[h.ticket or ""] = "pick-up"
        self.next_word(h, "ci_lease_ms")
        if a.get("tried") and a["tried"] != h.tried:
            h.tried = a["tried"]
            self.note("verdict", h.who.get("agent"), h.candidate, f"red ({h.tried})")
        cap = self.left(h.cap)
        return {"outcome": "granted", "fence": str(self.fence), "deadline_ms": self.left(h.ci_until), "cap_ms": cap}

    def proof(self, a: dict[str, Any]) -> dict[str, Any]:
        self.reap()
        h = self.waited_for(a)
        stands = self.verdicts.get(a["key"], {}).get("result")
        if h is None or h.proof:
            if h is None or h.run_url != a.get("run_url"):  # else its first reply was lost
                agent = h.who.get("agent") if h else ""
                self.note("verdict", agent, a["head"], "late " + a["result"], int(a["fence"]))
            return {"outcome": "judged", "written": False, "stands": stands}
        result, written, why = a["result"], False, a["reason"]
        if a["key"] != h.key:
            result, why = "unknown", "CI ran other steps than are known here (another version of prpgate?)"
        elif stands in ("green", "red"):
            result = stands
        elif result != "unknown":
            written = True
            fields = {"result": result, "at": self.now, "by": a["by"], "run_url": a.get("run_url"), "head": a["head"]}
            fields["proven"] = a.get("proven")
            self.verdicts[a["key"]] = {k: v for k, v in fields.items() if v is not None}
        h.proof, h.run_url = (result, why), a.get("run_url") or h.run_url
        self.note("verdict", h.who.get("agent"), h.candidate, "candidate " + result)
        self.wakes[h.ticket or ""] = "verdict"
        return {"outcome": "judged", "written": written, "stands": stands if result == "unknown" else result}

    # --- the server --------------------------------------------------------------------------------------------------
    def pre_receive(self, a: dict[str, Any]) -> dict[str, Any]:
        self.reap()
        h, head = self.hold, a["intent"]["head"]
        if h and self.unreported() and h.head == head:
            self.state, h.phase = "held", "accepting"
            h.deadline = max(h.deadline, self.now + self.times["lease_ms"])
        elif self.state == "free" and self.window is None and (self.closed is None or a.get("fixer")):
            self.grow()
            self.take(a["who"])
            self.note("acquire", a["who"]["agent"], head, "server")
            self.write_intent(a)
            assert self.hold
            self.hold.phase = "accepting"
        else:
            return {"outcome": "refused"}
        return self.granted()

    # --- people ------------------------------------------------------------------------------------------------------
    def break_(self, a: dict[str, Any]) -> dict[str, Any]:
        self.reap()
        h = self.hold
        if not h or not self.current(a):
            return {"outcome": "lost"}
        if h.phase in PUSHING and h.head:
            self.keep(h.head)
        elif h.phase in ("landed", "smoking"):
            self.unproven("break")
        self.note("break", a["by"], h.head, a["reason"])
        self.end()
        return {"outcome": "done"}

    def shut(self, kind: str, by: str, reason: str, head: str | None) -> None:
        self.closed = {"kind": kind, "by": by, "reason": reason, "at": self.now, "head": head}
        self.wakes |= {t.id: "closed" for t in self.queue if self.is_there(t)}
        self.note("close", by, head, reason)

    def close(self, a: dict[str, Any]) -> dict[str, Any]:
        self.reap()
        if self.closed and not a["person"]:
            return {"outcome": "lost"}  # a machine does not touch what is closed
        head = a.get("head") or (self.closed or {}).get("head")
        self.shut("person" if a["person"] else "red", a["by"], a["reason"], head)
        return {"outcome": "done"}

    def open(self, a: dict[str, Any]) -> dict[str, Any]:
        self.reap()
        if not self.closed:
            return {"outcome": "lost"}
        self.closed, self.opened_at, self.reds = None, self.now, []
        self.note("open", a["by"], detail=a["reason"])
        self.settle("offer")  # opening a closed lane settles too
        return {"outcome": "done"}

    def state_(self, _: dict[str, Any]) -> dict[str, Any]:
        self.reap()
        return {"outcome": "state"}
