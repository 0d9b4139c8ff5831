"""Does what was seen agree with docs/lane.md, "What holds"? Values in, violations out; each check names its number."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chaos.story import Era, Event, Story

GRANTS = ("acquire", "offer", "handover", "reconcile", "adopt")  # each of these takes a new fence
TO_SOMEBODY = ("acquire", "offer", "handover")
IN_BRANCH = ("landed", "late", "foreign")
FINAL = ("green", "red")


class Violation(NamedTuple):
    """One thing that must not be."""

    rule: str
    text: str

    def __str__(self) -> str:
        return f"[{self.rule}] {self.text}"


def judge(story: Story) -> list[Violation]:
    """Everything that is wrong with a story."""
    found: list[Violation] = []
    for era in story.eras:
        found += [Violation("1 one holder", t) for t in two_holders(era, story.rewound)]
        found += [Violation("8 closed lane", t) for t in closed_but_granted(era, story.fixers)]
    found += [Violation("3 fences grow", t) for t in fences(story.eras)]
    found += [Violation("2 nothing lost", t) for t in lost(story)]
    found += [Violation("2 none twice", t) for t in twice(story)]
    found += [Violation("6 records are the remote's", t) for t in untrue(story)]
    found += [Violation("8 written once", t) for t in rewritten(story)]
    found += [Violation("4 served, nothing left", t) for t in left(story)]
    if story.calm:
        found += [Violation("1 no overlap at the remote", t) for t in overlaps(story)]
    return found


class Hold:
    """What the log says of the lane at one moment. `sure` is False once it may have ended without a line."""

    def __init__(self, event: Event, phase: str) -> None:
        self.grant, self.phase = event, phase
        self.fence, self.agent, self.head = event.fence, event.agent, event.sha if phase == "smoking" else ""
        self.sure = True


def two_holders(era: Era, rewound: bool) -> Iterator[str]:
    """A grant while an earlier one has not ended; a claim of what was offered to another; a step without its hold.

    A hold whose commit was seen in the branch by somebody else's look ends without a line of its own, and so does one
    whose commit was in the branch before (after a rewrite); such a hold counts as ended.
    """
    hold: Hold | None = None
    known = era.wiped
    for e in era.events:
        active = hold is not None and hold.sure
        if e.event in (*TO_SOMEBODY, "window") and known and active and hold:
            yield f"'{e}' while '{hold.grant}' has not ended (it is {hold.phase})"
        if e.event in TO_SOMEBODY:
            hold = Hold(e, "claimed" if e.event == "acquire" else "offered")
            hold.sure = not rewound or e.event != "acquire"
            known = True
        elif e.event == "claim":
            if known and (hold is None or (hold.fence, hold.agent, hold.phase) != (e.fence, e.agent, "offered")):
                yield f"'{e}', but offered was {hold and hold.grant}"
            hold = Hold(e, "claimed")
            hold.sure = not rewound
        elif e.event == "intent":
            if known and hold is not None and hold.fence != e.fence:
                yield f"'{e}' under another fence than the hold's, {hold.grant}"
            if known and hold is None:
                yield f"'{e}' while nobody held the lane"
            hold = hold or Hold(e, "intent")
            hold.phase, hold.head, hold.sure = "intent", e.sha, True
        elif e.event == "reconcile":
            if known and hold is not None and hold.phase != "reconciling":
                yield f"'{e}' while the lane was not reconciling but {hold.phase}"
            if hold is not None:
                hold.fence = e.fence
        elif e.event == "adopt":
            if known and active and hold and hold.head != e.sha:
                yield f"'{e}' took the lane from '{hold.grant}', whose commit is {hold.head[:10]}"
            hold = Hold(e, "smoking")
            known = True
        elif hold is not None:
            hold = after(hold, e)


def after(hold: Hold, e: Event) -> Hold | None:
    """The hold after a line that is no grant."""
    mine = e.sha == hold.head and e.sha != ""
    match e.event:
        case "expired" if e.detail == "reconciling":
            hold.phase = "reconciling"
        case "expired" | "break" | "release":
            return None
        case "unseen" | "not-landed" if mine:
            return None
        case "landed" if mine:
            hold.sure = False  # told by somebody's look, or the end of the hold
        case "leave" if e.agent == hold.agent:
            hold.sure = False
        case "verdict" if hold.phase == "smoking" or mine:
            hold.sure = False
    return hold


def closed_but_granted(era: Era, fixers: frozenset[str]) -> Iterator[str]:
    """While the lane is closed nobody but a fixer is granted it, nor announces a push."""
    closed: Event | None = None
    owners: dict[str, str] = {}
    for e in era.events:
        if e.event in ("landed", "late", "intent"):
            owners[e.sha] = e.agent
        if e.event == "close":
            closed = e
        elif e.event == "open":
            closed = None
        elif closed is not None and e.event in (*TO_SOMEBODY, "intent"):
            culprit = owners.get(closed.sha)
            if e.agent not in fixers and (culprit is None or e.agent != culprit):
                yield f"'{e}' while the lane was closed by '{closed}'"


def fences(eras: tuple[Era, ...]) -> Iterator[str]:
    """Every grant's fence is greater than all before it, also across a restart or a wipe."""
    highest: Event | None = None
    for era in eras:
        if era.behind:
            highest = None
        for e in era.events:
            if e.event in GRANTS:
                if highest is not None and e.fence <= highest.fence:
                    yield f"'{e}' is not above '{highest}'"
                highest = e


def ever(story: Story) -> set[str]:
    """Every commit that the branch has or had."""
    return set(story.history) | {c for t in story.took for c in t.brought}


def lost(story: Story) -> Iterator[str]:
    """What the remote took is in the branch, unless somebody forced it away; what a client was told is true."""
    gone = {c for t in story.took for c in t.dropped}
    for t in story.took:
        if t.dropped and t.new not in story.forced:
            yield f"{t.dropped[0][:10]} was lost to {t.new[:10]}, which nobody forced"
        for commit in t.brought:
            if commit not in story.history and commit not in gone:
                yield f"the remote took {commit[:10]}, nobody forced it away, and the branch does not have it"
    had = ever(story)
    for claim in story.claims:
        if claim.sha not in had:
            yield f"{claim.agent} was told '{claim.said}' of {claim.sha[:10]}, which the branch never had"


def twice(story: Story) -> Iterator[str]:
    """No piece of work is in the branch twice (each has a subject of its own)."""
    for subject, count in Counter(story.subjects).items():
        if count > 1 and subject.startswith("work "):
            yield f"'{subject}' is in the branch {count} times"


def untrue(story: Story) -> Iterator[str]:
    """What the log and the records say of a commit is what the remote says.

    A push that did not land may be announced and pushed once more; and its commit may come along under a later one.
    """
    had, pushed = ever(story), {t.new for t in story.took}
    again = Counter(e.sha for era in story.eras for e in era.events if e.event == "intent")
    for era in story.eras:
        said: dict[str, str] = {}
        for e in era.events:
            again[e.sha] -= e.event == "intent"
            if e.event in ("landed", "late") and e.sha not in had:
                yield f"'{e}', but the branch never had it"
            if e.event == "not-landed" and e.sha in pushed and not again[e.sha] and not story.rewound:
                yield f"'{e}', but the branch has it"
            if e.event in ("landed", "late", "unseen", "not-landed", "intent"):
                if said.get(e.sha) == "landed" and e.event != "landed":
                    yield f"'{e}' after it had been recorded as landed"
                said[e.sha] = e.event
    for head, record in story.records:
        if record in IN_BRANCH and head not in had:
            yield f"{head[:10]} is recorded as {record}, but the branch never had it"
        if record == "not-landed" and head in pushed and not story.rewound:
            yield f"{head[:10]} is recorded as not landed, but the branch has it"
        if record == "intent" and not story.lost_data:
            yield f"{head[:10]} is still recorded as under way, and the lane is {story.leftovers.state}"
    if story.lost_data or story.rewound:
        return
    known = dict(story.records)
    for t in story.took:
        if known.get(t.new) not in IN_BRANCH:
            yield f"the remote took {t.new[:10]}, and its record is {known.get(t.new, 'missing')}"


def rewritten(story: Story) -> Iterator[str]:
    """Green and red are written once."""
    stands: dict[tuple[int, str], str] = {}
    for v in story.verdicts:
        before = stands.get((v.era, v.key))
        if before in FINAL and v.result != before:
            yield f"the verdict of {v.key[:20]} was {before} and became {v.result}"
        stands[v.era, v.key] = v.result


def left(story: Story) -> Iterator[str]:
    """After everybody has gone a newcomer is served in time, and nothing of the dead is left."""
    end = story.leftovers
    if end.state != "free":
        yield f"the lane is {end.state}"
    if end.queue:
        yield f"tickets are left: {', '.join(end.queue)}"
    if end.keys:
        yield f"keys are left: {', '.join(end.keys)}"
    for head, base in end.kept:
        if base != end.tip:
            yield f"{head[:10]} is kept as one that may still land, but its base {base[:10]} is not the tip"
    if end.processes:
        yield f"processes are left: {'; '.join(end.processes)}"
    if end.served_s > end.served_bound_s:
        yield f"a newcomer was served after {end.served_s:.1f} s, the bound is {end.served_bound_s:.1f} s"


def overlaps(story: Story) -> Iterator[str]:
    """Without faults one push at a time is at the remote, by the remote's own hooks."""
    last = None
    for visit in sorted(story.visits, key=lambda v: v.begun):
        if last is not None and visit.begun < last.ended:
            yield f"push {visit.process} came {1000 * (last.ended - visit.begun):.0f} ms before {last.process} was over"
        if last is None or visit.ended > last.ended:
            last = visit
