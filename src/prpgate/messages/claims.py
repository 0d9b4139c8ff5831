"""What people read about what is to be had and what is not: obstacles, limits, hand-overs, blocks, scopes."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import UsageError, UserError
from ..output import inert
from .lane import clock, counted, span
from .prps import some
from .scopes import in_the_way as in_the_way
from .scopes import scope_way_out as scope_way_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..live import Note, PrpState
    from ..scopes import Held

STATES = {
    "N": "new",
    "V": "validated",
    "I": "in progress",
    "C": "completing",
    "L": "landed, not proven",
    "?": "of no status",
}
STATUSES = {"I": "in progress", "C": "completing", "L": "landed and not proven"}
MOST = 200  # characters of a reason or note that are shown inside a sentence
AS_WHOLE = "agent", "total", "status-limit", "waiting", "closed"  # obstacles that are the project's, not one PRP's


class Said(NamedTuple):
    """A fact, and the command that helps."""

    text: str
    next_action: str | None


def quoted(text: object) -> str:
    safe = inert(text)
    return f'"{safe}"' if len(safe) <= MOST else f'"{safe[:MOST]}..."'


def _ids(value: Any) -> str:
    return some(value) if isinstance(value, list) and value else "nobody"


def _who(o: dict[str, Any], now_ms: int) -> str:
    """`ben until 16:02 (1h 2m left)`; `ben, suspect: …`."""
    agent, left_s, over_s = inert(o["agent"]), (o["deadline"] - now_ms) / 1000, (o["over"] - now_ms) / 1000
    if o.get("reserved"):
        return f"{agent}, who is about to start it ({span(left_s)} left)"
    if left_s <= 0:
        return f"{agent}, suspect (the lease ended {span(-left_s)} ago), anybody's from {clock(over_s)}"
    return f"{agent} until {clock(left_s)} ({span(left_s)} left)"


def obstacle(o: dict[str, Any], now_ms: int) -> Said:
    """One thing that stands in the way, as the script tells it."""
    return _general(o, now_ms) if o["code"] in AS_WHOLE else _of_one(o, now_ms)


def _of_one(o: dict[str, Any], now_ms: int) -> Said:
    code = o["code"]
    if code == "claimed":
        on = f" on branch {inert(o['branch'])}" if o.get("branch") else ""
        return Said(f"claimed by {_who(o, now_ms)}{on}", "prp next")
    if code == "status":
        return Said(_status(o["letter"]), "prp validate {id}" if o["letter"] == "N" else "prp status {id}")
    if code == "blocked":
        waits = f", until {inert(o['waits_for'])} is done" if o.get("waits_for") else ""
        since = span((now_ms - o["at"]) / 1000)
        return Said(f"blocked by {inert(o['by'])} since {since}{waits}: {quoted(o['reason'])}", "prp unblock {id}")
    if code == "assigned":
        return Said(f"assigned to {inert(o['agent'])} (by {inert(o['by'])})", "prp assign {id} --clear")
    if code == "depends":
        names = [_waited_for(one, now_ms) for one in o["names"][:5]]
        more = f" and {len(o['names']) - 5} more" if len(o["names"]) > 5 else ""
        first = o["names"][0]
        known = f"prp why {inert(first['id'])}" if first.get("id") else "prp graph {id}"
        return Said(f"depends on {', '.join(names)}{more}, not complete", known)
    if code == "scope":
        return Said(
            f"its path {inert(o['ours'])} overlaps with {inert(o['theirs'])}, which is {inert(o['id'])}'s: "
            f"{_who(o, now_ms)}",
            f"prp status {inert(o['id'])}",
        )
    return Said(
        f"the area {inert(o['glob'])} is full: {_ids(o.get('ids'))} (wip.per_area allows {o['limit']:.0f})", "prp list"
    )


def _status(letter: str) -> str:
    return "new: it is validated first" if letter == "N" else f"it is {STATES.get(letter, 'done')}"


def _waited_for(one: dict[str, Any], now_ms: int) -> str:
    name = inert(one["name"])
    if not one.get("id"):
        return f"{name} (no PRP has this id)"
    return name


def waited_for(one: dict[str, Any], now_ms: int) -> str:
    """A dependency with its own state, for `prp why`."""
    if not one.get("id"):
        return f"{inert(one['name'])} is no PRP of this project"
    own = "" if one["id"] == one["name"] else f" ({inert(one['id'])})"
    who = f", {_who(one['claim'], now_ms)}" if one.get("claim") else ""
    return f"{inert(one['name'])}{own} is {STATES.get(str(one.get('letter')), 'done')}{who}"


def _general(o: dict[str, Any], now_ms: int) -> Said:
    code = o["code"]
    if code == "closed":
        return Said(
            f"the lane is closed by {inert(o['by'])}: {quoted(o['reason'])}",
            "prp lock status",
        )
    under_way, limit = counted(int(o["count"]), "PRP is", "PRPs are"), f"{o['limit']:.0f}"
    if code == "agent":
        ids = o["ids"] if isinstance(o["ids"], list) else []
        first = f"prp complete {inert(ids[0])}" if ids else "prp status"
        return Said(f"you have {_ids(ids)} already (wip.per_agent allows {limit})", first)
    if code == "total":
        return Said(f"{under_way} under way: {_ids(o.get('ids'))} (wip.total allows {limit})", "prp list")
    if code == "status-limit":
        which = STATUSES[o["letter"]]
        return Said(f"{under_way} {which} (wip.per_status allows {limit})", "prp list --status in_progress")
    return Said(
        f"{counted(int(o['queue']), 'waits', 'wait')} in the lane's queue and "
        f"{counted(int(o['landing']), 'PRP is', 'PRPs are')} not proven yet "
        f"(wip.waiting_to_land allows {limit}): landing comes before starting",
        "prp land",
    )


# --- next ------------------------------------------------------------------------------------------------------------


def full(general: Sequence[dict[str, Any]], now_ms: int) -> UserError:
    """Nothing may be started by anybody, or by this agent."""
    said = [obstacle(o, now_ms) for o in general]
    return UserError(
        f"nothing is picked: {'; '.join(s.text for s in said)}.", code="limit", next_action=said[0].next_action
    )


def none_ready(passed: Sequence[tuple[str, dict[str, Any]]], more: int, now_ms: int, stale: Sequence[str]) -> UserError:
    if stale:
        return UserError(
            f"what is ready has another line in this working tree than in the store: {some(stale)}. "
            "Nothing was changed.",
            code="stale-line",
            next_action="git pull --rebase --autostash",
        )
    if not passed:
        return UserError("nothing is left to start.", code="none-ready", next_action='prp new "title"')
    told = [f"  {inert(i)}: {obstacle(o, now_ms).text}" for i, o in passed[:5]]
    rest = len(passed) + more - len(told)
    return UserError(
        "nothing is ready to start. Nothing was changed.",
        code="none-ready",
        hint="\n".join([*told, *([f"  and {rest} more"] if rest else [])]),
        next_action=f"prp why {inert(passed[0][0])}",
    )


def passed_stale(ids: Sequence[str]) -> str:
    return f"Passed over, their lines here are not current (git pull --rebase --autostash): {some(ids)}"


def no_domain(name: str, known: Sequence[str]) -> UsageError:
    return UsageError(
        f"{quoted(name)} is no domain; [domains] in prp.toml has {some(sorted(known)) or 'none'}.",
        code="no-domain",
        next_action="prp next",
    )


def last_commit(branch: str, commit: str) -> str:
    return f"last commit on {inert(branch)}: {inert(commit)}"


def handed_over(giver: str, branch: str | None) -> str:
    return f"handed over by {inert(giver)}" + (f", at work on branch {inert(branch)}" if branch else "")


def line_on_its_branch(branch: str, remote: str | None) -> str:
    """`remote`: where the branch is, when it is not here."""
    merge = f"git merge {shlex.quote(branch)}"
    if remote:
        merge = f"git fetch {shlex.quote(remote)} && git merge {shlex.quote(f'{remote}/{branch}')}"
    return f"its line has not landed: it comes with {inert(branch)} ({inert(merge)})"


def note_left(n: Note) -> str:
    return f"note of {inert(n.agent)}, {n.at}: {inert(n.text)}"


# --- what was said of it ---------------------------------------------------------------------------------------------


def needs_text(what: str, command: str) -> UsageError:
    return UsageError(f"{what}.", code="usage", next_action=command)


def too_long(what: str, most: int) -> UsageError:
    return UsageError(f"{what} is longer than {most} characters.", code="too-long", hint="Nothing was changed.")


def bad_agent(name: str) -> UsageError:
    return UsageError(f"{quoted(name)} is no agent's name.", code="usage", next_action="prp whoami")


def never_seen(name: str, others: Sequence[str]) -> str:
    return f"{_unseen(name, others)}. Who is there: prp agents"


def _unseen(name: str, others: Sequence[str]) -> str:
    from .mail import near

    close = near(name, others)
    meant = f"; near: {', '.join(map(inert, close))}" if close else ""
    return f"Nobody called {inert(name)} was seen yet{meant}"


def handed_to_nobody(prp_id: str, name: str, others: Sequence[str]) -> UserError:
    return UserError(
        f"{_unseen(name, others)}. Nothing was changed.",
        code="unknown-agent",
        hint=f"Who is there: prp agents. If {inert(name)} is yet to come:",
        next_action=f"prp handover {prp_id} {shlex.quote(inert(name))} --force",
    )


def hand_to_whom(prp_id: str) -> UsageError:
    return UsageError(
        "hand over to whom? One agent's name.",
        code="usage",
        hint=f"prp handover {shlex.quote(inert(prp_id))} NAME; these are known:",
        next_action="prp agents",
    )


def to_yourself(prp_id: str) -> UsageError:
    return UsageError(f"{prp_id} is yours already.", code="usage", next_action=f"prp status {prp_id}")


def waits_for_itself(prp_id: str) -> UsageError:
    return UsageError(
        f"{prp_id} cannot wait for itself: that would never end.", code="usage", next_action=f"prp why {prp_id}"
    )


def after_itself(prp_id: str) -> UsageError:
    return UsageError(f"{prp_id} cannot take its own place.", code="usage", next_action="prp list")


def successor_gone(prp_id: str, heir: PrpState) -> UserError:
    return UserError(
        f"{heir.id} is deprecated itself, so it cannot take the place of {prp_id}. Nothing was changed.",
        code="deprecated",
        next_action=f"prp status {heir.id}",
    )


def not_open(p: PrpState) -> UserError:
    return UserError(
        f"{p.id} is {p.status}, so there is nothing to say of its work. Nothing was changed.",
        code=p.status,
        next_action=f"prp status {p.id}",
    )


def not_your_role(what: str, role: str, agents: Sequence[str]) -> UserError:
    return UserError(
        f"{what} is for the role {inert(role)} ({some(agents) or 'nobody has it in [roles]'}). Nothing was changed.",
        code="role",
        hint="Roles are globs of agents' names, in [roles] of the lane's prp.toml.",
        next_action="prp whoami",
    )


def no_phase(prp_id: str, name: str, known: Sequence[str]) -> UsageError:
    if not known:
        return UsageError(
            "this project has no phases: [phases] names of the lane's prp.toml says which there are.",
            code="no-phase",
            hint="A word for whoever works on it next needs none:",
            next_action=f"prp note {shlex.quote(inert(prp_id))} {shlex.quote(inert(name))}",
        )
    from difflib import get_close_matches

    near = get_close_matches(name, known, 1) or known
    return UsageError(
        f"{quoted(name)} is no phase; {', '.join(known)} are.",
        code="no-phase",
        next_action=f"prp phase {shlex.quote(inert(prp_id))} {shlex.quote(near[0])}",
    )


def branch_refused(branch: str, why: str, prp_id: str) -> UserError:
    return UserError(
        f"git did not switch to {inert(branch)}: {inert(why)}. {prp_id} was not claimed.",
        code="branch",
        hint="The branch comes first, then the claim: nothing was changed.",
        next_action="git status",
    )


def on_branch(branch: str, *, made: bool, before: str | None) -> str:
    if branch == before:
        return f"You are on its branch {inert(branch)}."
    was = f"from {inert(before)}" if before else "from a detached HEAD"
    return f"Switched to its branch {inert(branch)}{f', made {was}' if made else f', {was}'}."


def went_back(branch: str) -> str:
    return f"The branch {inert(branch)} is not used: you are where you were."


# --- why -------------------------------------------------------------------------------------------------------------


def mine(p: PrpState) -> Said:
    assert p.claim is not None
    left = (
        f"your lease is over; it is yours for another {span(p.claim.over_s)} (prp claim {p.id} renews it)"
        if p.claim.suspect
        else f"it is yours, {span(p.claim.deadline_s)} left"
    )
    return Said(left, f"prp claim {p.id}" if p.claim.suspect else f"prp complete {p.id}")


def finished(p: PrpState) -> Said:
    if p.status == "deprecated":
        after = f", superseded by {inert(p.fields['superseded_by'])}" if p.fields.get("superseded_by") else ""
        return Said(f"it is deprecated{after}", "prp next")
    when = f" since {inert(p.fields['completed_at'])}" if p.fields.get("completed_at") else ""
    return Said(f"it is complete{when}", f'prp reopen {p.id} --reason "why"')


def unlanded(p: PrpState, proof: str) -> Said:
    who = f" by {inert(p.claim.agent)}" if p.claim else ""
    if p.phase == "completing":
        return Said(f"it is completing{who}: its line waits to land", f"prp complete {p.id} --undo")
    return Said(f"it has landed as complete{who} and waits for a green verdict", proof)


def cycle(ring: Sequence[str]) -> Said:
    return Said(f"it waits for itself: {' -> '.join(inert(i) for i in ring)}", f"prp graph {inert(ring[0])}")


def leftover(agent: str, status: str) -> str:
    """A claim of a PRP that is in no state to be worked on: the lane went back behind its start."""
    return f"left over from {inert(agent)}, without effect while it is {status.replace('_', ' ')}"


# --- scopes ----------------------------------------------------------------------------------------------------------


def scopes_text(found: Sequence[tuple[Held, Sequence[str]]], now_s: float, refused: bool) -> str:
    lines = [in_the_way(held, paths, now_s) for held, paths in found[:5]]
    lines += [f"and {len(found) - 5} more"] if len(found) > 5 else []
    return "\n".join([*lines, SCOPE_REFUSED if refused else SCOPE_WARNED, scope_way_out(found[0][0])])


SCOPE_REFUSED = "Not committed. Your staging is unchanged. git commit --no-verify goes round this once."
SCOPE_WARNED = 'Committed all the same ([scopes] policy = "warn").'
