"""What people read about PRPs, their claims, and what the lane records of them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from ..errors import CouldNotTell, UsageError, UserError
from ..model import ZERO
from ..output import inert
from .lane import clock, counted, span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..live import PrpState, State
    from ..model import Finding, Prp

SHALLOW = "the history that this needs is not here: this is a shallow clone."
SYNC_BUSY = "other syncs were first, again and again; nothing is lost, they did the same."
MOST = 60


def short(text: object) -> str:
    """A title or a reason as it is shown inside a sentence."""
    safe = inert(text)
    return f'"{safe}"' if len(safe) <= MOST else f'"{safe[:MOST]}..."'


def some(ids: Sequence[str]) -> str:
    return ", ".join(inert(i) for i in ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")


# --- ids -------------------------------------------------------------------------------------------------------------


def unknown(any_id: str, state: State) -> UserError:
    if state.cursor is None or not state.prps:
        return UserError(
            f"there is no PRP {inert(any_id)}: the store knows of none.",
            code="unknown-prp",
            hint="It is filled from the lane that is the record, once the ledger has landed there.",
            next_action="prp redis-sync",
        )
    from difflib import get_close_matches

    near = get_close_matches(any_id.upper(), {i: None for p in state.prps.values() for i in p.ids}, 2, 0.75)
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    return UserError(
        f"there is no PRP {inert(any_id)}.{meant}",
        code="unknown-prp",
        next_action=f"prp status {near[0]}" if near else "prp list",
    )


def not_recorded(p: Prp, lane: str) -> UserError:
    return UserError(
        f"{p.id} is only in this working tree's ledger: the others cannot see it.",
        code="not-recorded",
        hint=f"A PRP that was written by hand counts once {inert(lane)} has it: commit it and push.",
        next_action=f"git add {shlex.quote(':/' + p.file)} && git commit -m {shlex.quote('Add ' + p.id)} && git push",
    )


def taken(prp_id: str) -> UserError:
    return UserError(f"{prp_id} is taken. Nothing was changed.", code="exists", next_action=f"prp status {prp_id}")


def no_title() -> UsageError:
    return UsageError("a PRP needs a title.", code="usage", next_action='prp new "what it is about"')


def bad_id(prp_id: str, pattern: str) -> UsageError:
    return UsageError(
        f"{inert(prp_id)} is no PRP id here: ids are like {inert(pattern)} (id_pattern in prp.toml).",
        code="id-shape",
        hint="Without --id it gets the next free one:",
        next_action='prp new "title"',
    )


def no_free_id(pattern: str) -> UsageError:
    return UsageError(
        f"no next id can be made up for the pattern {inert(pattern)}.",
        code="id-shape",
        next_action='prp new "title" --id ID',
    )


def no_reason(prp_id: str) -> UsageError:
    return UsageError(
        "taking a complete PRP up again needs a reason: others will ask.",
        code="usage",
        next_action=f'prp reopen {inert(prp_id)} --reason "why"',
    )


# --- who has it ------------------------------------------------------------------------------------------------------


def holder(p: PrpState, claim: dict[str, Any] | None, now_ms: int) -> str:
    """`ben since 14:02 (12m), until 16:02`, or `ben since 11:02 (2h 10m), suspect: …` when the lease is over."""
    if not claim:
        return inert(p.owner or "nobody")
    since_s = (now_ms - claim["since"]) / 1000
    left_s = (claim["deadline"] - now_ms) / 1000
    if left_s <= 0:
        over_s = (claim.get("over", claim["deadline"]) - now_ms) / 1000
        return (
            f"{inert(claim['agent'])} since {clock(-since_s)} ({span(since_s)}), suspect: the lease is over, and it is "
            f"still theirs until {clock(over_s)}"
        )
    return f"{inert(claim['agent'])} since {clock(-since_s)} ({span(since_s)}), until {clock(left_s)}"


def _claimed(verb: str, p: PrpState, claim: dict[str, Any], now_ms: int, mine: bool) -> UserError:
    where = f" on branch {inert(claim['branch'])}" if claim.get("branch") else ""
    if mine:
        place = f"{inert(claim['git_dir'])} on {inert(claim['host'])}"
        return UserError(
            f"{p.id} is yours, but in another worktree ({place}), since {clock((claim['since'] - now_ms) / 1000)}.",
            code="claimed",
            hint="Go on there, or work under another name here (PRP_AGENT).",
            next_action=f"prp status {p.id}",
        )
    if claim.get("giver") and not claim.get("git_dir"):
        giver, to = inert(claim["giver"]), inert(claim["agent"])
        return UserError(
            f"{p.id} was handed over to {to} by {giver}: {holder(p, claim, now_ms)}. Nothing was changed.",
            code="claimed",
            hint=f"Until {to} has started it, {giver} can take it back: prp start {p.id}",
            next_action="prp next" if verb == "start" else f"prp status {p.id}",
        )
    return UserError(
        f"{p.id} is claimed by {holder(p, claim, now_ms)}{where}. Nothing was changed.",
        code="claimed",
        hint=f"{short(p.title)} is theirs until the claim ends or is given back.",
        next_action="prp next" if verb == "start" else f"prp status {p.id}",
    )


def refused(
    verb: str, answer: dict[str, Any], p: PrpState, state: State, mine: bool, proof: str = "prp smoke"
) -> UserError:
    """A script's refusal: the code says why, the state says where the PRP stands. `proof`: what gets it a verdict."""
    code, letter, claim = answer["code"], answer.get("state", "-"), answer.get("claim")
    now_ms = int(answer["now"])
    if code == "claimed":
        return _claimed(verb, p, claim or {}, now_ms, mine)
    if code == "assigned":
        to, by = inert(answer["assigned"]["agent"]), inert(answer["assigned"]["by"])
        return UserError(
            f"{p.id} is assigned to {to} (by {by}). Nothing was changed.",
            code="assigned",
            hint=f"Only {to} may start it until that is taken back: prp assign {p.id} --clear",
            next_action="prp next",
        )
    if code == "stale-fence":
        if claim and not (p.claim and answer.get("here", True)):
            elsewhere = _claimed(verb, p, claim, now_ms, mine)
            elsewhere.code = code
            return elsewhere
        return UserError(
            f"{p.id} is claimed under your name, but not from here: this worktree's claim is an older one, "
            "or another worktree has it. Nothing was changed.",
            code="stale-fence",
            hint="In the worktree that has it, start makes it current again.",
            next_action=f"prp start {p.id}",
        )
    if code == "not-claimed":
        return UserError(
            f"{p.id} is in progress, but nobody has a live claim on it: yours ended. Nothing was changed.",
            code="not-claimed",
            next_action=f"prp start {p.id}",
        )
    if code == "not-green":
        return UserError(
            f"{p.id}: the verdict that was found is green no more. Nothing was changed.",
            code="not-green",
            next_action="prp smoke",
        )
    return _by_state(verb, letter, p, state, holder(p, claim, now_ms), proof)


def _by_state(verb: str, letter: str, p: PrpState, state: State, who: str, proof: str) -> UserError:
    """Why a PRP in this state does not take this verb, and what does."""
    quiet = "Nothing was changed."
    if letter == "N":
        return UserError(
            f"{p.id} is new: it is validated before anybody starts it. {quiet}",
            code="not-validated",
            next_action=f"prp validate {p.id}",
        )
    if letter == "V":
        if verb == "validate":
            return UserError(f"{p.id} is validated. {quiet}", code="validated", next_action=f"prp start {p.id}")
        return UserError(
            f"{p.id} is not started, so there is nothing to {verb.replace('handover', 'hand over')}. {quiet}",
            code="not-started",
            next_action=f"prp start {p.id}",
        )
    if letter == "I":
        back = verb.startswith("complete")
        return UserError(
            f"{p.id} is in progress ({who}){'; there is no completion to undo' if back else ''}. {quiet}",
            code="in-progress",
            next_action=f"prp status {p.id}",
        )
    if letter == "C":
        return UserError(
            f"{p.id} is completing: its line waits to land ({who}). {quiet}",
            code="completing",
            next_action=f"prp complete {p.id} --undo"
            if verb in ("complete", "start", "release", "handover", "deprecate")
            else f"prp status {p.id}",
        )
    if letter == "L":
        return UserError(
            f"{p.id} has landed as complete and waits for a green verdict ({who}). {quiet}",
            code="landed",
            hint="A green gate on a tip of the lane that has it makes it complete, on another tree it does not:",
            next_action=proof,
            otherwise=("to take it on again instead", f'prp reopen {p.id} --reason "why"'),
        )
    if letter == "D":
        when = f" since {inert(p.fields['completed_at'])}" if p.fields.get("completed_at") else ""
        return UserError(
            f"{p.id} is complete{when}. {quiet}",
            code="complete",
            next_action=f'prp reopen {p.id} --reason "why"',
        )
    if letter == "X":
        return _deprecated(p, state)
    if letter == "-":
        return unknown(p.id, state)
    return UserError(
        f"{p.id} has the status {short(p.status)}, which is none. {quiet}", code="status", next_action="prp check --all"
    )


def _deprecated(p: PrpState, state: State) -> UserError:
    after = p.fields.get("superseded_by")
    successor = state.resolve(str(after)) if after else None
    instead = f": {successor.id} {short(successor.title)} took its place" if successor else ""
    return UserError(
        f"{p.id} is deprecated{instead}. Nothing was changed.",
        code="deprecated",
        hint=f"Superseded by {inert(after)}." if after and not successor else None,
        next_action=f"prp status {successor.id}" if successor else "prp next",
    )


def busy(what: str) -> CouldNotTell:
    return CouldNotTell(f"{inert(what)} changed while it was being changed, again and again.", code="busy")


# --- the working tree ------------------------------------------------------------------------------------------------


def stale(p: PrpState, entry: Prp | None, branch: str | None) -> UserError:
    here = f"here it is {entry.status} ({entry.rev or 'no rev'})" if entry else "it is not in this ledger"
    place = f"{p.id} is {p.status} ({p.rev or 'no rev'}), {here}. Nothing was changed."
    last = p.chain[-1] if p.chain else None
    if last is None:
        way = (
            ("if that changes nothing", f"git checkout @{{upstream}} -- {shlex.quote(':/' + entry.file)}")
            if entry
            else None
        )
        return UserError(place, code="stale-line", next_action="git pull --rebase --autostash", otherwise=way)
    on = inert(last.branch) or "no branch"
    elsewhere = last.branch and last.branch != branch
    return UserError(
        place,
        code="stale-line",
        hint=f"That line was written by {inert(last.agent)} on {on} and has not landed yet.",
        when=None if elsewhere else "once it has landed",
        next_action=f"git merge {shlex.quote(last.branch)}" if elsewhere else "git pull --rebase --autostash",
    )


def no_ledger_here(path: str, branch: str | None) -> UserError:
    return UserError(
        f"there is no ledger at {inert(path)} in this working tree ({inert(branch or 'detached HEAD')}).",
        code="stale-line",
        hint="A branch from before the ledger cannot carry milestones. Where the lane has none either, it comes with "
        "the first PRP that lands.",
        next_action="git pull --rebase --autostash",
    )


def invalid_here(entry: Prp) -> UserError:
    return UserError(
        f"{entry.file}:{entry.line}  {entry.id} is not what its rev {short(entry.rev)} says: "
        "status, owner, times or evidence were changed by hand. Nothing was changed.",
        code="invalid-line",
        next_action=f"git checkout -- {shlex.quote(':/' + entry.file)}",
    )


def unreadable(first: Finding) -> UserError:
    return UserError(
        f"{first.file}:{first.line}:{first.column}  {first.message}. It is mended first.",
        code="ledger-unreadable",
        hint=first.fix,
        next_action="prp check",
    )


def moved_here(prp_id: str) -> UserError:
    return UserError(
        f"the entry of {prp_id} in this working tree changed meanwhile. Nothing was changed.",
        code="changed-underneath",
        next_action="prp check",
    )


# --- remarks ---------------------------------------------------------------------------------------------------------


def taken_over(p: PrpState, branch: str) -> str:
    was = inert(p.owner) if p.owner else "nobody"
    return f"it was in progress before, by {was}" + (f", on branch {inert(branch)}" if branch else "")


# --- what the lane records -------------------------------------------------------------------------------------------


def unreadable_tip(place: str, what: str, before: bool) -> str:
    stands = "the last readable ledger stands" if before else "nothing is recorded"
    return f"the lane's ledger cannot be read ({place}: {what}); {stands}"


def unreadable_entry(prp_id: str, stands: str) -> str:
    return f"the lane's entry cannot be read; the last valid one ({stands}) stands"


def hand_edited(p: Prp, stands: str | None) -> str:
    what = f"{p.file}:{p.line}  status, owner, times or evidence were changed by hand ({inert(p.status)})"
    return f"{what}; the last valid entry ({stands}) stands" if stands else f"{what}; there is no earlier valid entry"


def unsealed_changed(was: str, now: str) -> str:
    how = f"from {inert(was)} to {inert(now)}" if was != now else f"while {inert(now)}"
    return f"changed by hand {how}; the lane stands. Milestones are made by prp"


def no_remote(remote: str, lane: str, unborn: bool) -> str:
    what = "has no commit yet" if unborn else "stands in for it"
    return f"There is no remote {inert(remote)}: the local branch {inert(lane)} {what}."


def lane_not_pushed(remote: str, lane: str, unborn: bool) -> str:
    what = "has no commit yet either" if unborn else "stands in for it until the first push"
    return f"{inert(remote)} has no branch {inert(lane)} yet: the local one {what}."


def lane_not_fetched(remote: str, lane: str) -> str:
    return f"{inert(remote)} has a branch {inert(lane)} that this clone has not fetched."


def tip_not_here(tip: str) -> str:
    return f"the lane's tip {tip[:10]} is not in this clone."


def cursor_not_here(cursor: str) -> str:
    return f"the store has seen the lane at {cursor[:10]}, which is not in this clone: it may be behind."


def not_the_tip(tip: str, remote: str, lane: str) -> str:
    return (
        f"{tip[:10]} is what this clone knows as {inert(remote)}/{inert(lane)}, but the branch was rewritten "
        "and is elsewhere now."
    )


def behind(tip: str, cursor: str) -> str:
    newer = f"This clone knows the lane at {tip[:10]}; the store has seen {cursor[:10]}, which is newer."
    return f"{newer} Where the lane itself was taken back to that, the store follows with prp rebuild."


def rewritten(before: str, tip: str, count: int) -> str:
    many = counted(count, "recorded entry", "recorded entries")
    return f"The lane was rewritten from {before[:10]} to {tip[:10]}; {many} changed."


def no_ledger(path: str, tip: str) -> str:
    where = "" if tip == ZERO else f" in {tip[:10]}"
    return f'There is no ledger at {inert(path)}{where} yet: prp new "title" begins one.'


# --- findings --------------------------------------------------------------------------------------------------------


def nobodys(prp: Prp, p: PrpState | None) -> tuple[str, str]:
    if p is None:
        return f"rev {prp.rev}: the store knows of no such PRP, nor was it ever in the lane", f"prp status {prp.id}"
    now = f"it is {p.status} ({p.rev or 'no rev'})"
    if p.claim and p.claim.live and p.claim.agent != prp.owner:
        now += f", claimed by {inert(p.claim.agent)} since {p.claim.since}"
    elif p.claim is None and p.status == "in_progress":
        now += ", and the claim under which this was written ended"
    return (
        f"rev {prp.rev} ({inert(prp.status)}) is nobody's pending milestone and was never in the lane; {now}",
        f"Take the entry as the lane has it, commit, and start it again:\n"
        f"  git checkout @{{upstream}} -- {shlex.quote(':/' + prp.file)} && git commit -m 'As the lane has it' "
        f"&& prp start {prp.id}",
    )


def line_left_behind(p: PrpState) -> tuple[str, str]:
    branch = p.chain[-1].branch
    on = f", written on {inert(branch)}," if branch else ""
    return (
        f"its completion (rev {p.seal}){on} is not in this push, so it will not count as landed",
        f"commit the ledger with it, or prp complete {p.id} --undo",
    )


def not_yours(prp: Prp, p: PrpState) -> tuple[str, str]:
    owner = inert(p.claim.agent) if p.claim else inert(p.owner)
    return (
        f"rev {prp.rev} ({inert(prp.status)}, {inert(prp.owner or 'nobody')}) is not the current line: "
        f"{owner} has {p.id} (rev {p.rev})",
        f"git checkout HEAD -- {shlex.quote(':/' + prp.file)} && prp status {p.id}",
    )


def not_in_store(prp: Prp) -> tuple[str, str]:
    return (
        f"the store does not know rev {prp.rev} ({inert(prp.status)})",
        "It may come from another branch, or was made with another store:\n  git fetch && prp redis-sync",
    )
