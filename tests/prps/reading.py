"""docs/prps.md, read as plainly as can be, second half: what is effective, what each verb and each landing does.

No store and no git. It is driven beside the real ones by test_state_machine.py. Landings are taken one at a time here,
in the order in which they were pushed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tests.prps.reading_of_lane import Line, reverted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tests.prps.reading_of_lane import Commit, Entry, History

TAKEN, ALREADY, REFUSED = "taken", "already", "refused"
NOTHING, UNKNOWN, MOVED = "nothing", "could not tell", "moved"
LETTERS = {"new": "N", "validated": "V", "in_progress": "I", "deprecated": "X"}


class Claim(NamedTuple):
    agent: str
    place: str | None  # None: handed over, and nobody has picked it up
    fence: int  # 0: granted just now, its number is not known yet
    since: int
    suspect: bool = False
    giver: str | None = None  # who handed it over, while nobody has picked it up


class Landing(NamedTuple):
    """A push to the lane, as the lane's records have it."""

    head: str
    base: str
    prps: tuple[str, ...]
    at: int


class Me(NamedTuple):
    """Who asks, where, and what the working tree there says of the PRP."""

    agent: str
    place: str
    tip: str  # of the lane, as this place knows it
    known: Collection[str]  # commits that are here
    entry: Entry | None


class Reading:
    """The live layer. `pushed` is every head that the lane had, in order."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.clock = 0
        self.carried: dict[tuple[str, str], int] = {}  # (place, id) -> fence
        self.wipe()

    def wipe(self) -> None:
        self.cursor: str | None = None
        self.recorded: dict[str, Line] = {}
        self.chains: dict[str, list[Line]] = {}
        self.claims: dict[str, Claim] = {}
        self.markers: dict[str, str] = {}
        self.unproven: dict[str, tuple[str, int]] = {}
        self.maxrev: dict[str, int] = {}
        self.brought: dict[str, bool] = {}  # seal -> whether its first landing changed more than the ledger
        self.verdicts: dict[tuple[str, str], str] = {}
        self.seen: dict[str, int] = {}  # tree -> the newest landing that has it
        self.count = 0
        self.landings: list[Landing] = []
        self.pushed: list[str] = []
        self.blocked: dict[str, str] = {}
        self.assigned: dict[str, str] = {}
        self.released: dict[str, tuple[str, int]] = {}  # whose claim ended by release, and under which fence

    # --- what is effective
    def stands(self, i: str) -> bool:
        chain, rec = self.chains.get(i), self.recorded.get(i)
        return bool(chain) and chain[0].on == (rec.seal if rec else "")  # type: ignore[index]

    def top(self, i: str) -> Line | None:
        return self.chains[i][-1] if self.stands(i) else self.recorded.get(i)

    def letter(self, i: str) -> str:
        top = self.top(i)
        if top is None:
            return "-"
        if top.status != "complete":
            return LETTERS.get(top.status, "?")
        if top.evidence or top.number == 0:
            return "D"
        return "C" if self.stands(i) else "L" if i in self.unproven else "D"

    def owner(self, i: str) -> str | None:
        lines = [self.recorded[i]] if i in self.recorded else []
        lines += self.chains[i] if self.stands(i) else []
        return next((line.owner for line in reversed(lines) if line.owner is not None), None)

    def claim(self, i: str) -> Claim | None:
        """The claim that counts: nobody's work is under way in any other state."""
        return self.claims.get(i) if self.letter(i) in "ICL" else None

    def owns(self, i: str, me: Me) -> bool:
        claim = self.claim(i)
        if claim is None or claim.agent != me.agent:
            return False
        carried = self.carried.get((me.place, i))
        return carried == claim.fence if carried is not None else claim.place == me.place

    def current(self, i: str, me: Me, verb: str = "") -> bool:
        """Whether the working tree's line is one that a milestone may stand on."""
        here, top = me.entry.seal if me.entry else None, self.top(i)
        if here is None or top is None or me.entry is None:
            return False
        lost = me.entry.rev is not None and int(here.partition("-")[0]) > self.maxrev.get(i, 0)
        if verb in ("start", "validate") and lost and me.entry.fields.get("owner") in (None, me.agent):
            return True  # only a wiped store can have known it
        claim = self.claim(i)
        nobodys = claim is None or claim.place is None
        if verb == "start" and self.letter(i) == "I" and self.stands(i) and nobodys:
            return here in (top.seal, self.chains[i][0].on)
        return here == top.seal

    # --- milestones
    def _issue(self, i: str, me: Me, status: str, verb: str, owner: str | None = None, evidence: bool = False) -> None:
        """The next line. Its hash is the ledger's to say: the caller fills it in (`sealed`)."""
        top = self.top(i)
        chain = self.chains.get(i, []) if self.stands(i) else []
        on = top.seal if top else ""
        rec = self.recorded.get(i)
        if verb == "start" and chain and me.entry and me.entry.seal != on and rec and me.entry.seal == rec.seal:
            chain, on = [], rec.seal  # over a line that may be lost with its worktree
        self.maxrev[i] = max(self.maxrev.get(i, 0), self._lost(me, verb)) + 1
        line = Line(f"{self.maxrev[i]}-", status, owner, evidence, "", (), on, me.agent, verb)
        self.chains[i] = [*chain, line]

    def _lost(self, me: Me, verb: str) -> int:
        """The number of a line of the caller's own that a start or validate may be written over, known or not."""
        e = me.entry
        if e is None or e.rev is None or e.seal is None or verb not in ("start", "validate"):
            return 0
        return int(e.seal.partition("-")[0]) if e.fields.get("owner") in (None, me.agent) else 0

    def sealed(self, i: str, seal: str) -> None:
        self.chains[i][-1] = self.chains[i][-1]._replace(seal=seal)
        if self.markers.get(i) == "":
            self.markers[i] = seal

    def _grant(self, i: str, me: Me) -> None:
        self.claims[i] = Claim(me.agent, me.place, 0, self.clock)

    def granted(self, i: str, fence: int) -> None:
        self.claims[i] = self.claims[i]._replace(fence=fence)

    def keep(self, i: str, me: Me) -> None:
        """The place knows its claim's fence, or that it has none."""
        claim = self.claim(i)
        if claim and claim.agent == me.agent:
            self.carried[me.place, i] = claim.fence
        else:
            self.carried.pop((me.place, i), None)

    def new(self, i: str, me: Me) -> str:
        chain = self.chains.get(i, [])
        mine = i not in self.recorded and [(c.verb, c.agent) for c in chain] == [("new", me.agent)]
        if self.letter(i) != "-":
            return ALREADY if mine and me.entry is None else REFUSED
        if me.entry is not None:
            return REFUSED
        self._issue(i, me, "new", "new")
        return TAKEN

    def validate(self, i: str, me: Me) -> str:
        top = self.top(i)
        if self.letter(i) == "V" and self.stands(i) and top and top.agent == me.agent:
            return ALREADY
        if self.letter(i) != "N" or not self.current(i, me, "validate"):
            return REFUSED
        self._issue(i, me, "validated", "validate")
        return TAKEN

    def start(self, i: str, me: Me) -> str:
        claim = self.claim(i)
        back = self.letter(i) == "I" and claim is not None and claim.place is None and claim.giver == me.agent
        if self.letter(i) == "I" and claim and not back:
            if claim.agent == me.agent and claim.place is None:
                self.claims[i] = claim._replace(place=me.place, giver=None, suspect=False)
                return TAKEN
            if (claim.agent, claim.place) != (me.agent, me.place):
                return REFUSED
            self.claims[i] = claim._replace(suspect=False)
            return ALREADY
        if self.letter(i) not in "VI" or self.assigned.get(i, me.agent) != me.agent:
            return REFUSED
        if not self.current(i, me, "start"):
            return REFUSED
        self._issue(i, me, "in_progress", "start", owner=me.agent)
        self._grant(i, me)
        if back and claim:
            self.claims[i] = self.claims[i]._replace(since=claim.since)
        self.released.pop(i, None)
        return TAKEN

    def renew(self, i: str, me: Me) -> str:
        if not self.owns(i, me):
            if self.letter(i) != "-":
                self.carried.pop((me.place, i), None)
            return REFUSED
        self.claims[i] = self.claims[i]._replace(suspect=False)
        return TAKEN

    def release(self, i: str, me: Me) -> str:
        carried = self.carried.get((me.place, i))
        if self.letter(i) != "-" and i not in self.claims and i in self.released:
            agent, fence = self.released[i]
            if agent == me.agent and carried in (None, fence):
                return ALREADY
        if self.letter(i) == "C" or not self.owns(i, me):
            return REFUSED
        self.released[i] = me.agent, self.claims.pop(i).fence
        return TAKEN

    def handover(self, i: str, me: Me, to: str) -> str:
        claim, top = self.claim(i), self.top(i)
        if to == me.agent or self.letter(i) != "I":
            return REFUSED
        if claim and claim.agent == to and self.stands(i) and top and (top.verb, top.agent) == ("handover", me.agent):
            return ALREADY
        if not claim or not self.owns(i, me) or not self.current(i, me):
            return REFUSED
        self._issue(i, me, "in_progress", "handover", owner=to)
        self.claims[i] = Claim(to, None, 0, claim.since, giver=me.agent)
        return TAKEN

    def complete(self, i: str, me: Me) -> str:
        letter, claim = self.letter(i), self.claim(i)
        found = self.evidence(i, me, claim) if claim and claim.agent == me.agent and letter in "IC" else "none"
        if letter == "I" and found == "not green":
            return REFUSED
        if letter == "D" or (letter == "C" and self.owns(i, me) and found != "green"):
            return ALREADY
        if letter != "I" or not self.owns(i, me) or not self.current(i, me):
            return REFUSED
        self._issue(i, me, "complete", "complete", owner=me.agent, evidence=found == "green")
        if found == "green":
            del self.claims[i]
        else:
            self.markers[i] = ""
        return TAKEN

    def evidence(self, i: str, me: Me, claim: Claim) -> str:
        """What landed of this claim's work: a push in its time that names the PRP and changes more than the ledger."""
        h = self.history
        ours = [
            one
            for one in self.landings
            if i in one.prps and one.at > claim.since and one.head in h.under(me.tip)
            if h.commits[one.base].code != h.commits[one.head].code
            if h.taken_back(h.between(one.head, me.tip)).isdisjoint(c.sha for c in h.between(one.base, one.head))
            if not all(reverted(c) for c in h.between(one.base, one.head))
        ]
        tips = {one.head for one in self.landings if one.head in me.known} | {me.tip}
        green = [t for t in tips if self.is_green(h.commits[t].tree)]
        if any(one.head in h.under(t) for one in ours for t in green):
            return "green"
        return "not green" if ours else "none"

    def undo(self, i: str, me: Me) -> str:
        if self.letter(i) not in "IC" or not self.owns(i, me):
            return REFUSED
        if self.letter(i) == "I":
            return ALREADY
        self._end_completing(i)
        return TAKEN

    def reopen(self, i: str, me: Me) -> str:
        letter, claim, top = self.letter(i), self.claim(i), self.top(i)
        here = claim is not None and (claim.agent, claim.place) == (me.agent, me.place)
        if letter == "I" and self.stands(i) and top and top.verb == "reopen" and here:
            return ALREADY
        if letter not in "DL" or (claim and not here) or not self.current(i, me):
            return REFUSED
        self._issue(i, me, "in_progress", "reopen", owner=me.agent)
        self._grant(i, me)
        return TAKEN

    def deprecate(self, i: str, me: Me, by: str) -> str:
        if by == i or self.letter(by) in "X-":
            return REFUSED
        if self.letter(i) == "X":
            return ALREADY
        if self.letter(i) not in "NVI" or (self.claim(i) and not self.owns(i, me)) or not self.current(i, me):
            return REFUSED
        self.claims.pop(i, None)
        self._issue(i, me, "deprecated", "deprecate")
        return TAKEN

    def mark(self, i: str, kind: str, said: str | None) -> str:
        """block (said: by which PRP, "" for none), assign (to whom); None takes it back."""
        if self.letter(i) in "-DX" or (kind == "block" and said == i):
            return REFUSED
        marks = self.blocked if kind == "block" else self.assigned
        if marks.get(i) == said:
            return ALREADY
        if said is None:
            del marks[i]
        else:
            marks[i] = said
        return TAKEN

    def next(self, me: Me, entries: Mapping[str, Entry]) -> str | None:
        """What `next --claim` picks: what was handed over to one first, then validated ones, then those that nobody
        has; by priority, then id."""
        given = [(c.fence, i) for i in self.claims if (c := self.claim(i)) and (c.agent, c.place) == (me.agent, None)]
        if given := [one for one in given if self.letter(one[1]) == "I"]:
            return min(given)[1]
        found = []
        for i in {*self.recorded, *self.chains}:
            if self.letter(i) not in "VI" or self.claim(i) or self.assigned.get(i, me.agent) != me.agent:
                continue
            if i in self.blocked and self.letter(self.blocked[i] or i) not in "DX":
                continue
            rec = self.recorded.get(i)
            if any(self.letter(d) not in "DX" for d in (rec.waits_for if rec else ())):
                continue
            here, top = entries[i].seal if i in entries else None, self.top(i)
            seals = {top.seal if top else None} | ({rec.seal} if rec and self.letter(i) == "I" else set())
            if here is not None and here in seals:
                found.append(("VI".index(self.letter(i)), i.partition("-")[0], i))
        return min(found)[-1] if found else None

    # --- time
    def lapse(self, i: str) -> None:
        del self.claims[i]
        self.released.pop(i, None)
        self._end_completing(i)

    def suspect(self, i: str) -> None:
        self.claims[i] = self.claims[i]._replace(suspect=True)

    def lapse_marker(self, i: str) -> None:
        self._end_completing(i)

    def _end_completing(self, i: str) -> None:
        seal, chain = self.markers.pop(i, None), self.chains.get(i)
        if chain and chain[-1].seal == seal:
            self.chains[i] = chain[:-1]

    # --- the lane
    def sync(self, tip: str, known: Collection[str], remote: str) -> str:
        h = self.history
        if self.cursor is None:
            self._fill(tip)
            return MOVED
        if tip == self.cursor:
            return NOTHING
        if self.cursor not in known:
            return UNKNOWN
        if self.cursor in h.under(tip):
            self._move(self.cursor, tip)
            return MOVED
        if tip in h.under(self.cursor):
            return NOTHING
        if tip != remote:
            return UNKNOWN
        self._move(h.merge_base(self.cursor, tip), tip)
        return MOVED

    def _fill(self, tip: str) -> None:
        h = self.history
        for commit in h.between(None, tip):
            self._numbers(commit)
            for e in commit.entries.values():
                self.brought[e.rev or ""] = True
        self.recorded = {}
        self._take(None, tip)
        self.cursor = tip

    def _move(self, base: str, tip: str) -> None:
        under, before = self.history.under(tip) - self.history.under(base), base
        heads = sorted({p for p in self.pushed if p in under and p != tip}, key=lambda p: len(self.history.under(p)))
        for head in [*heads, tip]:
            self._take(before, head)
            before = head
        self.cursor = tip

    def _numbers(self, commit: Commit) -> None:
        for i, e in commit.entries.items():
            if e.rev is not None and e.seal is not None:
                self.maxrev[i] = max(self.maxrev.get(i, 0), int(e.seal.partition("-")[0]))

    def _take(self, base: str | None, head: str) -> None:
        """One landing."""
        h = self.history
        now, commits = h.recorded(head), h.between(base, head) if base else []
        code = base is None or h.commits[base].code != h.commits[head].code
        for commit in commits:
            self._numbers(commit)
            for e in commit.entries.values():
                self.brought.setdefault(e.rev or "", code)
        there = {(i, e.seal) for c in commits for i, e in c.entries.items()} | {(i, x.seal) for i, x in now.items()}
        for i, chain in self.chains.items():
            last = max((n for n, line in enumerate(chain) if (i, line.seal) in there), default=-1)
            self.chains[i] = chain[last + 1 :]
            if last >= 0 and self.markers.get(i) not in [line.seal for line in chain[-1:] if last + 1 < len(chain)]:
                self.markers.pop(i, None)
        self.count += 1
        for i, line in now.items():
            same = i in self.recorded and self.recorded[i].seal == line.seal
            if line.status != "complete" or line.evidence or line.number == 0:
                self.unproven.pop(i, None)
            elif not same:
                self.unproven[i] = line.seal, self.count
        self.unproven = {i: one for i, one in self.unproven.items() if i in now}
        self.recorded = dict(now)
        tree = h.commits[head].tree
        self.seen[tree] = self.count
        if self.is_green(tree):
            self._prove(self.count)

    def is_green(self, tree: str) -> bool:
        return "green" in (self.verdicts.get((tree, "ci")), self.verdicts.get((tree, "local")))

    def verdict(self, tree: str, klass: str, result: str) -> None:
        """Class ci: green and red are written once. Class local: the newest stands."""
        before = self.verdicts.get((tree, klass), "unknown")
        self.verdicts[tree, klass] = stands = before if klass == "ci" and before != "unknown" else result
        if stands == "green":
            self._prove(self.seen.get(tree, 0))

    def _prove(self, landing: int) -> None:
        """A green landing proves the complete lines in it whose first landing changed more than the ledger."""
        done = [i for i, (seal, since) in self.unproven.items() if since <= landing and self.brought.get(seal, True)]
        for i in done:
            del self.unproven[i]

    def tidy(self) -> None:
        """What is said of a PRP goes with its end."""
        for marks in (self.blocked, self.assigned, self.released):
            for i in [i for i in marks if self.letter(i) in "-DX"]:
                del marks[i]
