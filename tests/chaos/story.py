"""What was seen of one run, as plain values: the store's log, the remote's own log, git's history, what clients said.

The checker reads nothing else, so a test can hand it a story that never happened.
"""

from __future__ import annotations

from typing import NamedTuple

PUSHED, LANDED = "pushed", "landed"  # git push ended with 0; `prp land` said that it landed


class Event(NamedTuple):
    """One line of the lane's log in the store."""

    event: str
    fence: int = 0
    agent: str = ""
    sha: str = ""
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.event} {self.fence} {self.agent} {self.sha[:10]} {self.detail}".rstrip()


class Era(NamedTuple):
    """The log between two losses of data; in order. What stood before the first line of a later era is not known."""

    events: tuple[Event, ...]
    wiped: bool = False  # nothing stood before its first line: a new server, or FLUSHALL
    behind: bool = False  # data were lost, and the server's clock was behind what it had been: fences may start anew


class Took(NamedTuple):
    """The remote moved the branch: a line that git wrote itself (reference-transaction), in order."""

    old: str
    new: str
    dropped: tuple[str, ...] = ()  # commits of `old` that `new` does not have: a forced push
    brought: tuple[str, ...] = ()  # commits of `new` that `old` does not have, oldest first


class Visit(NamedTuple):
    """One push at the remote that was let in, from its pre-receive to the end of its post-receive."""

    process: str
    begun: float
    ended: float


class Claim(NamedTuple):
    """What a client was told about its own commit."""

    agent: str
    sha: str
    said: str


class Verdict(NamedTuple):
    """A verdict as it stood when somebody looked; `era` counts the losses of data before that."""

    key: str
    result: str
    era: int = 0


class Leftovers(NamedTuple):
    """The lane after everybody has gone, every lease is over and one newcomer has landed."""

    state: str = "free"
    queue: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()  # keys of tickets, windows and wake lists that are still there
    kept: tuple[tuple[str, str], ...] = ()  # (head, base)
    tip: str = ""
    processes: tuple[str, ...] = ()
    served_s: float = 0.0  # how long the newcomer took
    served_bound_s: float = 60.0


class Story(NamedTuple):
    """Everything that was seen."""

    eras: tuple[Era, ...] = ()
    took: tuple[Took, ...] = ()
    visits: tuple[Visit, ...] = ()
    subjects: tuple[str, ...] = ()  # of the branch in the end
    history: frozenset[str] = frozenset()  # commits of the branch in the end
    records: tuple[tuple[str, str], ...] = ()  # (head, record) in the end
    claims: tuple[Claim, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    leftovers: Leftovers = Leftovers()
    forced: frozenset[str] = frozenset()  # heads that somebody meant to force
    fixers: frozenset[str] = frozenset()  # agents who may land on a closed lane
    calm: bool = False  # nothing was killed, stopped, cut, moved or forced
    rewound: bool = False  # somebody forced the branch back: rule 2 of Attribute is unsafe (docs/lane.md)
    lost_data: bool = False  # the store forgot something: what it says of the past may be less than the truth
    jumped: bool = False  # the server's clock was set
