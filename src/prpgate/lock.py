"""The merge lock of one lane: acquire, renew, hand over, ask and tell what became of a push, break, inspect.

The tables in docs/lane.md say what each verb does; each verb is one script in prpgate/lua, atomic
in the store. Every verb may raise StoreDown, after which nobody knows whether it ran: all are safe to repeat with the
same arguments.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .lane_state import LaneState as LaneState
from .lane_state import LogEvent as LogEvent
from .lane_state import Record as Record
from .lane_state import Standing as Standing
from .lane_state import record_of, state_of
from .outcomes import Apart as Apart
from .outcomes import Closed as Closed
from .outcomes import Done as Done
from .outcomes import Granted as Granted
from .outcomes import Judged as Judged
from .outcomes import Lease as Lease
from .outcomes import Look as Look
from .outcomes import LookLease as LookLease
from .outcomes import Lost as Lost
from .outcomes import Moved as Moved
from .outcomes import Queued as Queued
from .outcomes import Redispatch as Redispatch
from .outcomes import Refused as Refused
from .outcomes import Reported as Reported
from .outcomes import Who as Who
from .outcomes import Window as Window
from .outcomes import boottime_s as boottime_s

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .config import Times
    from .model import Intent
    from .store.client import Store

KEEP_MS = 600_000  # how long the place of a waiter who gave up waiting is kept
LOOK_BACK = 500  # events read to say how a hold ended
OUTCOMES = ("landed", "late", "unseen", "not-landed")
ENDS = (*OUTCOMES, "release", "leave", "expired", "break")


class MergeLock:
    """The merge lock of one lane in one store."""

    def __init__(self, store: Store, lane: str, times: Times) -> None:
        self.store, self.lane, self.times = store, lane, times
        self.keys = store.keys.lane(lane)
        self._all_keys = (*self.keys, store.keys.lanes)
        self._always = _json({"lane": lane, "times": times._asdict()})[:-1]  # what every script is told

    # --- holding -----------------------------------------------------------------------------------------------------
    def acquire(
        self,
        who: Who,
        *,
        plain: bool,
        fixer: bool = False,
        intent: Intent | None = None,
        info: Mapping[str, Any] | None = None,
        seen: str | None = None,
    ) -> Granted | Queued | Window | Refused | Closed | Moved:
        """Take the lane, claim what was offered, or stand in line; for a waiter also the sign that it is there.

        `plain` is a push that cannot wait. With `intent`, grant and intent are one step. Asked again by the same hold
        it answers the same lease. `fixer`: this may land while the lane is closed. `seen`: what `LaneState.seen` was
        ("" for None) when the intent's base was compared with it; Moved when it is not that any more.
        """
        begun = boottime_s()
        raw = self._run(
            "acquire",
            who=_told(who),
            plain=plain,
            fixer=fixer,
            intent=intent and _told(intent),
            info=_info(info),
            seen=seen,
        )
        state, name = self._state(raw), raw["outcome"]
        if name == "moved":
            return Moved(state)
        if name == "granted":
            return Granted(self._lease(raw, who.hold, begun), state)
        if name == "closed":
            return Closed(state)
        if name == "window":
            return Window(raw["ms_left"], state)
        if name == "refused":
            return Refused(raw["position"], raw["reserved_ms"], state)
        return Queued(raw["position"], state)

    def place(self, who: Who) -> Refused:
        """Keep a place in line for a push that cannot land as it is. The lane is not touched."""
        raw = self._run("acquire", who=_told(who), plain=True, place=True)
        return Refused(raw.get("position", 1), raw.get("reserved_ms", 0), self._state(raw))

    def renew(self, lease: Lease) -> Granted | Lost:
        """A new lease under the same fence, never past the hold's cap."""
        return self.resume(lease.fence, lease.hold)

    def resume(self, fence: int, hold: str) -> Granted | Lost:
        """The lease of a hold that another process of the same landing took; renewed with it."""
        return self._granted("renew", hold, fence=str(fence))

    def intent(
        self, lease: Lease, intent: Intent, info: Mapping[str, Any] | None = None, fixer: bool = False
    ) -> Granted | Closed | Lost:
        """Say what is about to be pushed. Closed: the lock is still held; give it back."""
        begun = boottime_s()
        raw = self._run(
            "intent", fence=str(lease.fence), intent=intent and _told(intent), info=_info(info), fixer=fixer
        )
        if raw["outcome"] == "closed":
            return Closed(self._state(raw))
        return self._lease_or_lost(raw, lease.hold, begun, lease.fence)

    def release(self, lease: Lease, why: str = "") -> Done | Lost:
        """Give back a lane on which nothing was pushed. The next in line is offered it in the same step. `why` is for
        the log."""
        raw = self._run("release", fence=str(lease.fence), why=why or None)
        lost = self._lost(raw, lease.fence)
        if lost and lost.ended and lost.ended.event == "release":
            return Done(lost.state)
        return lost or Done(self._state(raw))

    def leave(self, ticket: str, keep: bool = False, keep_ms: int = KEEP_MS) -> Done:
        """Stop waiting. What was just offered or granted to this ticket, and never heard of, is given back."""
        return Done(self._state(self._run("leave", id=ticket, keep_ms=keep_ms if keep else 0)))

    def wake(self, ticket: str) -> None:
        """Wake a waiter of this process's own, who then looks for himself."""
        with self.store.faults():
            pipe: Any = self.store.redis.pipeline()
            pipe.lpush(self.keys.w + ticket, "look").pexpire(self.keys.w + ticket, self.times.alive_ms).execute()

    # --- what became of a push ---------------------------------------------------------------------------------------
    def report(self, lease: Lease, saw: str, look: Look, *, gate: str = "none") -> Reported | Lost:
        """The holder asked the remote. `saw`: "in", the head is the tip or under it; "base", the tip is still the
        base; "other", the tip left the base without the head, or the remote refused."""
        return self._reported("report", lease.fence, fence=str(lease.fence), saw=saw, look=_told(look), gate=gate)

    def look(self, who: Who) -> LookLease | None:
        """The right to look, when a hold ran out with a push under way. None: nothing to look for, or another looks."""
        begun = boottime_s()
        raw = self._run("look", who=_told(who))
        if raw["outcome"] != "look":
            return None
        return LookLease(self.lane, int(raw["fence"]), who.hold, begun + raw["left_ms"] / 1000)

    def submit(self, lease: LookLease, saw: str, look: Look, *, gate: str = "none") -> Reported | Lost:
        """What the look found; `saw` as in `report`."""
        return self._reported("submit", lease.fence, fence=str(lease.fence), saw=saw, look=_told(look), gate=gate)

    def attribute(self, look: Look, refused: tuple[str, int] | None = None) -> Done:
        """Any other look at the remote: say whose each new commit is. `refused`: head and fence of a push that is over
        and not in, whose hold was ended meanwhile."""
        gone = {"head": refused[0], "fence": str(refused[1])} if refused else None
        return Done(self._state(self._run("attribute", look=_told(look), refused=gone)))

    # --- CI ----------------------------------------------------------------------------------------------------------
    def adopt(
        self,
        head: str,
        who: Who,
        run_url: str | None = None,
        look: Look | None = None,
        *,
        tree: str | None = None,
        steps: str | None = None,
        klass: str = "ci",
    ) -> Granted | Apart:
        """A run starts on a commit. Granted: it has the lane, and ends it with `verdict`.

        With `tree` and `steps` a foreign commit whose tree is judged already does not take the lane again, and a run
        that never ends leaves `unknown` for that tree.
        """
        begun = boottime_s()
        raw = self._run(
            "adopt",
            head=head,
            who=_told(who),
            run_url=run_url,
            look=look and _told(look),
            key=f"{tree}:{steps}:{klass}" if tree and steps else None,
        )
        state = self._state(raw)
        return Granted(self._lease(raw, who.hold, begun), state) if raw["outcome"] == "granted" else Apart(state)

    def ci_renew(self, lease: Lease, tried: str | None = None) -> Granted | Lost:
        """The run is still at it. Its cap counts from the landing, over all attempts. `tried` ("1st"): that attempt
        was red and the run tries again; it is logged, and is no verdict."""
        return self._granted("ci_renew", lease.hold, fence=str(lease.fence), tried=tried)

    def verdict(
        self,
        head: str,
        tree: str,
        steps: str,
        klass: str,
        result: str,
        fence: int | None = None,
        *,
        in_branch: bool = False,
        later_green: bool = False,
        fixer: bool = False,
        by: str = "ci",
        reason: str = "",
        run_url: str | None = None,
        close_after: int = 1,
        proven: int | None = None,
    ) -> Judged:
        """A run ended with "green", "red" or "unknown". `fence`: of a run that has the lane, None for one without.

        `close_after` reds in a row close the lane, while the commit is in the branch (a run that has the lane need not
        say so) and no later tip is green. `fixer`: the branch takes back what closed the lane. `by` and `reason` go
        to the closed sign. `proven`: of a green that was inherited, when the run ended that proved it.
        """
        raw = self._run(
            "verdict",
            head=head,
            key=f"{tree}:{steps}:{klass}",
            result=result,
            fence=None if fence is None else str(fence),
            in_branch=in_branch,
            later_green=later_green,
            fixer=fixer,
            by=by,
            reason=reason,
            run_url=run_url,
            close_after=close_after,
            proven=proven,
        )
        return Judged(raw["written"], raw.get("stands"), raw.get("again", False), self._state(raw))

    def redispatch(self, who: Who, undo: str | None = None) -> Redispatch | None:
        """None: no run is due, or somebody was told to start one: that happens once for each landing.

        `undo`: why the run that this `who` was told to start surely was not; another may be due after `ci_wait_ms`.
        """
        raw = self._run("redispatch", who=_told(who), undo=undo)
        return Redispatch(raw["head"], self._state(raw)) if raw["outcome"] == "redispatch" else None

    # --- the server's own hooks --------------------------------------------------------------------------------------
    def pre_receive(
        self,
        intent: Intent,
        who: Who,
        fixer: bool = False,
        info: Mapping[str, Any] | None = None,
        *,
        take: bool = True,
    ) -> Granted | Refused:
        """The server is about to take a push: one announced or, with `take`, one that may have the lane now."""
        begun = boottime_s()
        raw = self._run("pre_receive", intent=_told(intent), who=_told(who), fixer=fixer, info=_info(info), take=take)
        state = self._state(raw)
        if raw["outcome"] == "granted":
            return Granted(self._lease(raw, who.hold, begun), state)
        return Refused(len(state.queue) + 1, 0, state)

    def post_receive(self, head: str, look: Look, *, gate: str = "none") -> Reported | Lost:
        """The server took a push."""
        return self._reported("post_receive", None, head=head, look=_told(look), gate=gate)

    # --- people ------------------------------------------------------------------------------------------------------
    def break_(self, fence: int, by: str, reason: str) -> Done | Lost:
        """End whatever holds the lane under exactly this fence."""
        raw = self._run("break", fence=str(fence), by=by, reason=reason)
        return self._lost(raw, fence) or Done(self._state(raw))

    def close(self, by: str, reason: str, person: bool = True, head: str | None = None) -> Done | Lost:
        """Take only fixes from now on. A machine (`person=False`) does not touch a lane that is closed already."""
        raw = self._run("close", by=by, reason=reason, person=person, head=head)
        return self._lost(raw) or Done(self._state(raw))

    def open(self, by: str, reason: str) -> Done | Lost:
        """Take everything again. Only people call this: a machine opens through a fixer's green verdict."""
        raw = self._run("open", by=by, reason=reason)
        return self._lost(raw) or Done(self._state(raw))

    # --- looking on --------------------------------------------------------------------------------------------------
    def state(self) -> LaneState:
        """What stands now; what is overdue moves on first."""
        return self._state(self._run("state"))

    def log(self, count: int, since: str | None = None) -> list[LogEvent]:
        """The newest events first, at most `count`; with `since`, only those after that id."""
        with self.store.faults():
            found: Any = self.store.redis.xrevrange(self.keys.log, "+", f"({since}" if since else "-", count)
        return [
            LogEvent(
                event_id,
                *(f.get("lane") or self.lane, f.get("event") or "", int(f.get("fence") or 0)),
                *(f.get("agent") or "", f.get("sha") or "", f.get("detail") or ""),
            )
            for event_id, f in found
        ]

    def record(self, head: str) -> Record | None:
        """What is on record for a head."""
        raw = self._stored(self.keys.rec, head)
        return raw and record_of(head, raw)

    def standing(self, tree: str, steps: str, klass: str) -> Standing | None:
        """The verdict that stands for a tree."""
        v = self._stored(self.keys.v, f"{tree}:{steps}:{klass}")
        if not v:
            return None
        at = int(v["at"])
        return Standing(v["result"], at, v.get("by") or "", v.get("run_url"), v.get("head"), int(v.get("proven") or at))

    # --- between us and the scripts ----------------------------------------------------------------------------------
    def _run(self, verb: str, **args: Any) -> Any:
        given = _json({k: v for k, v in args.items() if v is not None})
        told = f"{self._always}, {given[1:]}" if len(given) > 2 else self._always + "}"
        return self.store.run(f"lane_{verb}", self._all_keys, [told])

    def _stored(self, key: str, field: str) -> Any:
        with self.store.faults():
            raw: Any = self.store.redis.hget(key, field)
        return json.loads(raw) if raw else None

    def _state(self, raw: Any) -> LaneState:
        return state_of(self.lane, raw["state"])

    def _lease(self, raw: Any, hold: str, begun: float) -> Lease:
        left, cap = raw["deadline_ms"], raw["cap_ms"]
        return Lease(self.lane, int(raw["fence"]), hold, left, cap, begun + left / 1000)

    def _granted(self, verb: str, hold: str, **args: Any) -> Granted | Lost:
        begun = boottime_s()
        return self._lease_or_lost(self._run(verb, **args), hold, begun, int(args["fence"]))

    def _lease_or_lost(self, raw: Any, hold: str, begun: float, fence: int) -> Granted | Lost:
        return self._lost(raw, fence) or Granted(self._lease(raw, hold, begun), self._state(raw))

    def _lost(self, raw: Any, fence: int | None = None) -> Lost | None:
        if raw["outcome"] != "lost":
            return None
        mine = (e for e in self.log(LOOK_BACK) if e.fence == fence and e.event in ENDS) if fence else iter(())
        return Lost(self._state(raw), next(mine, None))

    def _reported(self, verb: str, ours: int | None, **args: Any) -> Reported | Lost:
        """Told twice, because the first reply was lost, it is told the same."""
        raw = self._run(verb, **args)
        lost = self._lost(raw, ours)
        if lost and lost.ended and lost.ended.event in OUTCOMES:
            return Reported(lost.ended.event, lost.state)
        return lost or Reported(raw["record"], self._state(raw), raw["attributed"])


def _json(value: object) -> str:
    # What is no text (an agent's name that is not UTF-8) would make the store's JSON reader refuse everything.
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()


def _told(value: Who | Look | Intent) -> dict[str, Any]:
    # What is None is left out: Lua would read a null as something that is there.
    return {k: v for k, v in value._asdict().items() if v is not None}


def _info(info: Mapping[str, Any] | None) -> dict[str, Any] | None:
    # Empty lists would come back as {}; what is not there needs no saying.
    return {k: v for k, v in info.items() if v is not None and v != [] and v != () and v != {}} if info else None
