"""PRPs, for programs: the verbs of the command line as calls that take and give plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .. import ops, prps
from ..messages.prps import unknown
from .face import Face, deaf

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..claims import Why
    from ..history import History
    from ..milestone import Done
    from ..model import Finding
    from ..prps import Note, PrpState, SyncReport
    from ..smoke import SmokeReport
    from ..verify import Verified


MOST_READY = 1000


class Ready(NamedTuple):
    """What can be started, best first, and what cannot, with the reason."""

    prps: list[PrpState]
    waiting: list[tuple[PrpState, str]]


class Smoked(NamedTuple):
    """What the smoke gate said, and whether its verdict is on record."""

    report: SmokeReport
    recorded: bool


class Prps(Face):
    """Every verb of a PRP."""

    def prps(self, *statuses: str) -> list[PrpState]:
        """Every PRP, or those with these effective statuses, in the order of their ids. One round trip."""
        state = ops.read_state(self._session)
        return [p for p in state.prps.values() if not statuses or p.status in statuses]

    def prp(self, any_id: str) -> PrpState:
        """One PRP by its id, stable id or legacy id. Raises UserError("unknown")."""
        state = ops.read_state(self._session)
        found = state.resolve(any_id)
        if found is None:
            raise unknown(any_id, state)
        return found

    def ready(self) -> Ready:
        """What `prp next` would pick, best first, and why not the others that nobody has: MOST_READY of each."""
        found = prps.choice(self._context(), most=MOST_READY)
        return Ready(found.ready, found.waiting)

    def new(self, title: str, *, id: str | None = None, doc: str | None = None) -> Done:
        """Add a PRP to the ledger, as `new`. Like every milestone: the line is in the working tree, yours to commit."""
        return prps.new(self._context(), title, doc=doc, id=id)

    def validate(self, id: str) -> Done:
        """new -> validated."""
        return prps.validate(self._context(), id)

    def start(self, id: str) -> Done:
        """Claim a PRP. Of several racers one wins; the others get a UserError that names the winner."""
        return prps.start(self._context(), id)

    def complete(self, id: str) -> Done:
        """Record a PRP as done, with evidence that is fetched."""
        return prps.complete(self._context(), id)

    def complete_undo(self, id: str) -> Done:
        """Take back a completion that has not landed."""
        return prps.complete_undo(self._context(), id)

    def reopen(self, id: str, reason: str) -> Done:
        """Take a complete PRP up again."""
        return prps.reopen(self._context(), id, reason)

    def renew(self, id: str) -> Done:
        """Move the deadline of one's own claim."""
        return prps.renew(self._context(), id)

    def sync(self) -> SyncReport:
        """Bring the live state up to what the lane records, as far as this clone has fetched it."""
        return prps.sync(self._session.repo, self._session.store(), self._session.config)

    def smoke(self, on_line: Callable[[str, str], None] | None = None) -> Smoked:
        """Run the smoke gate on what is checked out, and record the verdict where it says something of a commit."""
        from .. import policy, verdicts
        from .. import smoke as gate

        session = self._session
        config = policy.working_tree(session.repo) or session.config
        report = gate.run_tree(session.repo, config, on_line=on_line or deaf, on_step=deaf)
        if report.tree is None or report.interrupted:
            return Smoked(report, False)
        done = verdicts.record(session.store(), report, agent=self.agent, sha=session.repo.head or "")
        return Smoked(report, done is not None and (done.written or done.result == report.result))

    def check(self) -> list[Finding]:
        """Everything that can be said of the working tree's ledger."""
        return ops.check_all(self._session.repo, self._session.config)

    # --- claims ------------------------------------------------------------------------------------------------------
    def claim_next(self, domain: str | None = None) -> Done:
        """Pick what is next and claim it, in one step: each of several racers gets another. Raises UserError when there
        is none to be had."""
        return prps.claim_next(self._context(), domain)

    def release(self, id: str, note: str = "") -> Done:
        """Give one's claim back: anybody may take the PRP over at once, and reads the note."""
        return prps.release(self._context(), id, note)

    def handover(self, id: str, to: str, note: str = "", *, force: bool = False) -> Done:
        """Make one's claim another agent's; a name that was never seen is refused without `force`. Until the other has
        started it, `start` takes it back."""
        return prps.handover(self._context(), id, to, note, force=force)

    def deprecate(self, id: str, by: str) -> Done:
        """Take a PRP out, in favour of another."""
        return prps.deprecate(self._context(), id, by)

    def block(self, id: str, reason: str, by: str | None = None) -> Done:
        """Keep it from being picked until `unblock`."""
        return prps.block(self._context(), id, reason, by)

    def unblock(self, id: str) -> Done:
        return prps.unblock(self._context(), id)

    def assign(self, id: str, agent: str | None) -> Done:
        """Let only this agent claim it; None: anybody again."""
        return prps.assign(self._context(), id, agent)

    def phase(self, id: str, name: str) -> Done:
        """Move a PRP that is in progress to one of the team's own phases."""
        return prps.phase(self._context(), id, name)

    def note(self, id: str, text: str) -> Done:
        """Leave a note for whoever has it, or takes it over."""
        return prps.note(self._context(), id, text)

    def notes(self, id: str) -> list[Note]:
        """The last notes on a PRP, oldest first."""
        return prps.notes(self._session.store(), self.prp(id).id)

    def why(self, id: str) -> Why:
        """Why a PRP is not ready, or that it is."""
        return prps.why(self._context(), id)

    # --- looking back ------------------------------------------------------------------------------------------------
    def history(self, id: str, count: int = 50) -> History:
        """Commits, landings, events and verdicts of a PRP, oldest first."""
        from .. import history, sync

        s = self._session
        found = self.prp(id).id
        return history.history(s.repo, s.store(), s.config, sync.lane_tip(s.repo, s.config).tip, found, count=count)

    def verify(self, *ids: str) -> Verified:
        """Check what complete PRPs claim against git and the store; without ids, of all of them."""
        from .. import sync, verify

        s = self._session
        only = {self.prp(i).id for i in ids} or None
        return verify.verify(s.repo, s.store(), s.config, sync.lane_tip(s.repo, s.config).tip, only)
