"""Contenders of the script level. Each is a generator: one `next` is one call to the store or one thing at the remote.

A call whose reply was lost is asked again with the same arguments, as every client of the lock may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from prpgate.errors import StoreDown
from prpgate.lock import (
    Closed,
    Granted,
    Lease,
    Lost,
    MergeLock,
    Moved,
    Queued,
    Who,
    Window,
)
from prpgate.model import Intent
from tests.chaos.branch import Flying

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Generator

    from prpgate.lock import LaneState, Look
    from tests.chaos.branch import Branch

T = TypeVar("T")

ATTEMPTS = 6


class Gone(Exception):
    """The store did not answer for too long: this process ends."""


class Player:
    """One process with a connection of its own. `lease` is what it believes to hold."""

    def __init__(self, name: str, lock: MergeLock, branch: Branch, rng: random.Random, gate: str) -> None:
        self.name, self.lock, self.branch, self.rng, self.gate = name, lock, branch, rng, gate
        self.lease: Lease | None = None
        self.fixer = name.startswith("fix")
        self.number = 0
        self.told = ""  # the last thing it did, for a trace

    def who(self, op: str, hold: str | None = None, sha: str | None = None) -> Who:
        return Who(self.name, hold or self.name, self.name, "box", 1, op, None, sha)

    def ask(self, text: str, do: Callable[[], T]) -> Generator[str, None, T]:
        """One call, until its reply arrives. Raises Gone."""
        for _ in range(ATTEMPTS):
            try:
                answer = do()
            except StoreDown as e:
                yield f"{text}: no reply ({e.code})"
                continue
            yield f"{text}: {type(answer).__name__}"
            return answer
        raise Gone

    # --- what they do ------------------------------------------------------------------------------------------------
    def land(self) -> Generator[str, None, None]:
        """`prp land`: wait in line, announce, push, ask the remote, report."""
        who = self.who("land")
        while True:
            got = yield from self.ask("land", lambda: self.lock.acquire(who, plain=False, fixer=self.fixer))
            if isinstance(got, Granted):
                break
            if isinstance(got, Closed) and self.rng.random() < 0.3:
                yield from self.ask("leave", lambda: self.lock.leave(who.ticket, keep=self.rng.random() < 0.5))
                return
            if isinstance(got, Queued | Closed) and got.state.needs_look:
                yield from self.reconcile(who)
        self.lease = got.lease
        roll = self.rng.random()
        if roll < 0.06:
            yield from self.ask("release", lambda: self.lock.release(self.held()))
            self.lease = None
            return
        if roll < 0.5:
            yield from self.renewed()
        yield from self.push(self.new_intent())

    def plain(self) -> Generator[str, None, None]:
        """`git push`: the base is fixed before the hook runs; it asks once, or waits out a window."""
        self.number += 1
        intent = self.new_intent()
        who = self.who("push", f"{self.name}:{self.number}", intent.head)
        if self.rng.random() < 0.3:
            yield "push: pauses"
        state = yield from self.ask("push: state", self.lock.state)
        seen = state.seen or ""
        for _ in range(8):
            if seen not in ("", intent.base):
                yield from self.attribute(state)
                yield from self.ask("push: place", lambda: self.lock.place(who))
                return
            info = {"agent": self.name, "tree": f"t{intent.head[:12]}", "steps": "s"}
            got = yield from self.ask(
                "push",
                lambda info=info, seen=seen: self.lock.acquire(  # type: ignore[misc]
                    who, plain=True, fixer=self.fixer, intent=intent, info=info, seen=seen
                ),
            )
            if isinstance(got, Granted):
                self.lease = got.lease
                yield from self.flight(intent)
                return
            if isinstance(got, Moved):
                seen = got.state.seen or ""
            elif got.state.needs_look:
                yield from self.reconcile(who)
            elif not isinstance(got, Window):
                return

    def past_the_hook(self) -> Generator[str, None, None]:
        """`git push --no-verify`."""
        self.branch.flying.append(Flying(self.name, self.new_intent(), announced=False))
        yield "push --no-verify"

    def forced(self) -> Generator[str, None, None]:
        """`git push --force --no-verify` of a branch that lacks what landed last."""
        old = self.branch.line(self.branch.tip)
        parent = old[min(self.rng.randint(0, 3), len(old) - 1)]
        intent = Intent(self.branch.commit(parent), self.branch.tip)
        self.branch.flying.append(Flying(self.name, intent, announced=False, forced=True))
        yield "push --force"

    def ci(self) -> Generator[str, None, None]:
        """A run on a commit of the branch: adopt, renew, give a verdict."""
        line = self.branch.line(self.branch.tip)[:3]
        head = self.branch.tip if self.rng.random() < 0.8 else self.rng.choice(line)
        self.number += 1
        who = self.who("ci", f"{self.name}:{self.number}", head)
        tree = f"t{head[:12]}"
        state = yield from self.ask("ci: state", self.lock.state)
        look = self.branch.observe(state)[1] if self.rng.random() < 0.7 else None
        got = yield from self.ask("adopt", lambda: self.lock.adopt(head, who, "url", look, tree=tree, steps="s"))
        lease = got.lease if isinstance(got, Granted) else None
        for _ in range(self.rng.randint(0, 3) if lease else 0):
            assert lease
            again = yield from self.ask("ci renew", lambda: self.lock.ci_renew(lease))
            if isinstance(again, Lost):
                break
        result = self.rng.choices(["green", "red", "unknown"], [6, 2, 2])[0]
        yield from self.ask(
            f"verdict {result}",
            lambda: self.lock.verdict(
                *(head, tree, "s", "ci", result, lease.fence if lease else None),
                in_branch=self.branch.has(head),
                fixer=False,
            ),
        )

    def person(self) -> Generator[str, None, None]:
        """Breaks what stands, closes, opens."""
        roll = self.rng.random()
        if roll < 0.4:
            state = yield from self.ask("status", self.lock.state)
            if state.state != "free":
                yield from self.ask("break", lambda: self.lock.break_(state.fence, self.name, "chaos"))
        elif roll < 0.6:
            yield from self.ask("close", lambda: self.lock.close(self.name, "chaos", person=self.rng.random() < 0.5))
        else:
            yield from self.ask("open", lambda: self.lock.open(self.name, "chaos"))

    def attribute(self, state: LaneState) -> Generator[str, None, None]:
        """Anybody who looks at the remote tells what it saw, perhaps a while later."""
        look = self.branch.observe(state)[1]
        if self.rng.random() < 0.4:
            yield "stopped between look and attribute"
        yield from self.ask("attribute", lambda: self.lock.attribute(look))

    # --- parts -------------------------------------------------------------------------------------------------------
    def held(self) -> Lease:
        assert self.lease is not None
        return self.lease

    def new_intent(self) -> Intent:
        base = self.branch.tip
        parent = self.branch.commit(base) if self.rng.random() < 0.2 else base  # two commits at once
        return Intent(self.branch.commit(parent), base)

    def renewed(self) -> Generator[str, None, None]:
        """A lease that is lost stays known: what comes of the push is told under its fence all the same."""
        again = yield from self.ask("renew", lambda: self.lock.renew(self.held()))
        if isinstance(again, Granted):
            self.lease = again.lease

    def push(self, intent: Intent) -> Generator[str, None, None]:
        info = {"agent": self.name, "tree": f"t{intent.head[:12]}", "steps": "s"}
        got = yield from self.ask("intent", lambda: self.lock.intent(self.held(), intent, info, self.fixer))
        if isinstance(got, Closed):
            yield from self.ask("release", lambda: self.lock.release(self.held()))
        if not isinstance(got, Granted):
            self.lease = None
            return
        self.lease = got.lease
        yield from self.flight(intent)

    def flight(self, intent: Intent) -> Generator[str, None, None]:
        """The push is under way; then the remote is asked and its answer is told, which may take a while too."""
        if self.held().left_s <= 0:  # as the hook does: a process that was stopped does not push
            yield "too late to push"
        else:
            self.branch.flying.append(Flying(self.name, intent, announced=True))
            yield f"sent {intent.head[:8]}"
            for _ in range(self.rng.choice((0, 0, 1, 2, 4, 40))):  # 40: it hangs and renews, until its cap ends it
                yield from self.renewed()
                if self.held().left_s <= 0:
                    break
        state = yield from self.ask("state", self.lock.state)
        saw, look = self.branch.observe(state, intent)
        if self.rng.random() < 0.3:
            yield "stopped between look and report"
        yield from self.reported(intent, saw, look)

    def reported(self, intent: Intent, saw: str, look: Look) -> Generator[str, None, None]:
        yield from self.ask(f"report {saw}", lambda: self.lock.report(self.held(), saw, look, gate=self.gate))
        self.lease = None

    def reconcile(self, who: Who) -> Generator[str, None, None]:
        right = yield from self.ask("look", lambda: self.lock.look(who))
        if right is None:
            return
        state = yield from self.ask("state", self.lock.state)
        if state.intent is None:
            return
        saw, look = self.branch.observe(state)
        if self.rng.random() < 0.2:
            yield "stopped between look and submit"
        yield from self.ask(f"submit {saw}", lambda: self.lock.submit(right, saw, look, gate=self.gate))
