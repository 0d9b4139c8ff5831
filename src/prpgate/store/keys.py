"""Names of everything in the store. All keys of a project share the hash tag {project}, so one slot holds them."""

from __future__ import annotations

from typing import NamedTuple


class LaneKeys(NamedTuple):
    """Keys of one lane, in the order in which every lane script takes them as KEYS."""

    s: str  # hash: state, phase, holder, fence, deadline, cap, intent, look, window, seen, closed …
    q: str  # sorted set: ticket id -> number
    a: str  # sorted set: ticket id -> alive-until (server ms)
    r: str  # sorted set: ticket id -> reserved-until (server ms)
    u: str  # set: ticket ids whose grace window is used
    i: str  # hash: id -> JSON of who it is
    kept: str  # hash: head -> JSON of an intent whose push may still land
    rec: str  # hash: head -> JSON of a landing's record
    log: str  # stream, capped: what happened
    v: str  # hash, of the project: "tree:steps:class" -> JSON of a verdict
    w: str  # prefix of the wake lists, one per waiter


class Keys:
    """Key names of one project."""

    def __init__(self, project: str) -> None:
        self.prefix = f"prp:{{{project}}}:"
        self.meta = self.prefix + "meta"  # hash: store_id, epoch, created
        self.quiet = self.prefix + "quiet"  # string with an expiry: no lane is granted while it is there
        self.cursor = self.prefix + "cursor"  # string: the last lane tip seen
        self.recorded = self.prefix + "recorded"  # hash: PRP id -> JSON of the recorded entry
        self.pending = self.prefix + "pending"  # hash: PRP id -> JSON list, the chain of pending milestones
        self.claims = self.prefix + "claims"  # hash: PRP id -> JSON of the claim
        self.completing = self.prefix + "completing"  # hash: PRP id -> JSON of the marker
        self.maxrev = self.prefix + "maxrev"  # hash: PRP id -> the highest rev number ever seen
        self.fence = self.prefix + "fence"  # string: counter of claims' fences
        self.unproven = (
            self.prefix + "unproven"
        )  # hash: PRP id -> JSON of a complete line that waits for a green landing
        self.landings = self.prefix + "landings"  # sorted set, capped: "head tree" -> number, in the order of landing
        self.landed = self.prefix + "landed"  # hash: seal -> "1" if its first landing changed more than the ledger
        self.events = self.prefix + "events"  # stream, capped: PRP events
        self.agents = self.prefix + "agents"  # hash: agent -> JSON of who and when last seen
        self.verdicts = self.prefix + "verdicts"  # hash: "tree:steps:class" -> JSON
        self.open = self.prefix + "open"  # sorted set: the PRPs that are neither complete nor deprecated, best first
        self.briefs = self.prefix + "briefs"  # hash: PRP id -> JSON of what `prp next` needs to know of an open one
        self.about = self.prefix + "about"  # hash: PRP id -> JSON of what the index needs of the recorded entry
        self.names = self.prefix + "names"  # hash: further id -> JSON list of the PRPs that have it
        self.marks = self.prefix + "marks"  # hash: PRP id -> JSON: blocked, assigned, phase, last
        self.notes = self.prefix + "notes"  # hash: PRP id -> JSON list of notes, the last 20
        self.gate_runs = self.prefix + "gate:runs"  # stream, capped: JSON of each run of the smoke gate
        self.lanes = self.prefix + "lanes"  # set: names of the lanes that were ever used

    # Mail: named like this in lua/_mail.lua too, which says what the others hold.
    @property
    def mail_shared(self) -> str:
        """Stream: messages to @all and to roles, each once."""
        return self.prefix + "mail:shared"

    def mailbox(self, agent: str) -> str:
        """Stream: messages to one agent that it has not acknowledged."""
        return f"{self.prefix}mail:to:{agent}"

    def observer(self, lane: str) -> str:
        """String with an expiry: who asks the host about this lane."""
        return f"{self.prefix}lane:{lane}:observer"

    def signs(self, lane: str) -> str:
        """Hash: head of an open pull request -> what its status says of this lane."""
        return f"{self.prefix}lane:{lane}:signs"

    def told(self, lane: str) -> str:
        """Hash: commit that somebody merged outside -> when its pull request was told what became of it."""
        return f"{self.prefix}lane:{lane}:told"

    def notify(self, part: str) -> str:
        """What people are to be told outside; lua/_notify.lua says what each part holds."""
        return f"{self.prefix}notify:{part}"

    def lane(self, name: str) -> LaneKeys:
        base = f"{self.prefix}lane:{name}:"
        s, q, a, r, u, i, kept, rec, log = (base + p for p in ("s", "q", "a", "r", "u", "i", "kept", "rec", "log"))
        return LaneKeys(s, q, a, r, u, i, kept, rec, log, self.verdicts, base + "w:")


def script_keys(k: Keys) -> list[str]:
    """KEYS of every PRP script, in the order of _prp.lua."""
    return [
        *(k.cursor, k.recorded, k.pending, k.claims, k.completing, k.maxrev, k.fence, k.events),
        *(k.agents, k.verdicts, k.unproven, k.landings, k.landed, k.meta),
        *(k.open, k.briefs, k.about, k.names, k.marks, k.notes),
    ]
