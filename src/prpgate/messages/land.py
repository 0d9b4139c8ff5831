"""What people read about `prp land`."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from ..errors import CouldNotTell, UsageError, UserError
from ..output import inert
from .fixes import goes_first, short, taken_back
from .lane import PHASES, clock, ends_in_s, free_in_s, holder_words, nth, place, span, usual_left_s
from .smoke import HOW_TO_DECLARE

if TYPE_CHECKING:
    from ..candidate import Conflict
    from ..job import Job, Outcome, Stage
    from ..lock import LaneState, Queued
    from ..smoke import SmokeReport

LAND = "prp land"
LEAVE = "Ctrl-C leaves, your branch is untouched"
STOPPED = "prp: stopped. Nothing was pushed, your branch is untouched, and nobody waits for you."
QUOTED_MOST = 20  # lines of what git, a hook or a step wrote


# --- progress --------------------------------------------------------------------------------------------------------


def turn(state: LaneState, position: int) -> tuple[float, float] | None:
    """In how many seconds it is the turn of a place: as holds here usually take, and as the long ones do. A hold that
    takes longer than these may take until its deadline. None where nobody knows: on a closed lane above all."""
    if state.closed or not state.hold_p50_ms or not state.hold_p90_ms:
        return None
    first = late = 0.0
    if state.holder:
        gone, ends = state.holder.since_ms, ends_in_s(state)
        late = usual_left_s(state.hold_p90_ms, gone, ends)
        first = min(usual_left_s(state.hold_p50_ms, gone, late), free_in_s(state))
        late = max(first, late)
    ahead = position - 1
    return first + ahead * state.hold_p50_ms / 1000, late + ahead * state.hold_p90_ms / 1000


def _holder(state: LaneState, later_s: float) -> str:
    h = state.holder
    if h is None:
        return "kept for a place before yours"
    if state.state == "reconciling":
        return f"asking the remote about {h.agent}'s push"
    if state.state == "offered":
        return f"{h.agent} is next"
    who = f"{h.agent} (hotfix: {short(h.hotfix)})" if h.hotfix else h.agent
    return f"{who} {PHASES.get(h.phase or '', h.phase or 'there')} {span(h.since_ms / 1000 + later_s)}"


def in_line(answer: Queued, later_s: float = 0.0) -> str:
    """`main: 2nd of 4 · ben in CI 1m50s · your turn about 14:24, latest 14:27 · Ctrl-C leaves, …`"""
    state = answer.state
    parts = [f"{nth(answer.position)} of {max(len(state.queue), answer.position)}", _holder(state, later_s)]
    if answer.position > 1 and len(state.queue) and state.queue[0].hotfix:  # hotfixes stand before all others
        parts.append(goes_first(state.queue[0]))
    when = turn(state, answer.position)
    if when:
        parts.append(f"your turn about {clock(when[0] - later_s)}, latest {clock(when[1] - later_s)}")
    return f"{state.name}: " + " · ".join([*parts, LEAVE])


STAGES = {
    "fetching": "fetching the tip",
    "rebasing": "rebasing onto it, in a working tree of its own",
    "merging": "merging into it, in a working tree of its own",
    "reverting": "taking it back, in a working tree of its own",
    "gate": "smoke gate on exactly this commit",
    "candidate": "pushing a candidate",
    "waiting-for-ci": "waiting for CI",
    "smoking": "smoking in CI",
    "pushing": "pushing",
    "looking": "asking the remote",
}


def stage(lane: str, now: Stage, later_s: float = 0.0) -> str:
    if now.queued:
        return in_line(now.queued, later_s)
    what = STAGES.get(now.name, now.name)
    detail = f" ({now.detail})" if now.detail else ""
    return f"{lane}: your turn · {what}{detail}" + (f" {span(later_s)}" if later_s >= 1 else "")


# --- how it ended ----------------------------------------------------------------------------------------------------


def outcome(o: Outcome) -> str:
    lane, sha = o.job.lane, (o.sha or "")[:10]
    count = f"{o.commits} commit{'' if o.commits == 1 else 's'}"
    if o.state == "landed":
        text = f"Landed: {count} on {lane}, {sha}."
        text += f" It was green before: {inert(o.run_url)}" if o.run_url else ""
    elif o.state == "ci":
        text = f"Landed: {count} on {lane}, {sha}. CI has it now, and the lane until it says."
    elif o.state == "up-to-date":
        text = f"Nothing to land: {lane} has all of it."
    elif o.state == "queued":
        at = o.queued.position if o.queued else 1
        text = f"{lane}: still {place(at)}. Your place is kept for 10 minutes; nothing was pushed."
    else:
        text = f"{lane}: the push of {sha} did not end well. It is not seen there; it may still arrive."
        text += f"\n{_quoted(o.text)}" if o.text else ""
    if o.beside:
        text += f"\nIt is in {lane}, but somebody merged it in sideways: its first-parent line is another."
    if o.taken_back:
        text += "\n" + taken_back(lane, *o.taken_back)
    if o.catch_up:
        if o.taken_back:
            text += "\nYour branch is as it was. To follow:"
        elif o.merged:
            text += "\nIt landed as a merge of your branch, which is under it now. To follow:"
        else:
            text += "\nIt landed on top of others' work, so your branch has other commits of the same content."
            text += " To follow:"
        text += f"\n  {o.catch_up}"
    return text


def again(job: Job) -> str:
    """The same landing, once more."""
    what: list[str] = [LAND, *(["--hotfix"] if job.hotfix else [])]
    if job.pull is not None:
        what.append(f"--pr {job.pull}")
    elif job.revert is not None:
        what.append(f"--revert {job.revert}".rstrip())
    elif job.branch and not job.checked_out:
        what.append(f"--from {quote(job.branch)}")
    if job.prp:
        what.append(f"--for {quote(job.prp)}")
    if job.reason and (job.hotfix or job.revert is not None):
        what.append(f"--reason {quote(job.reason)}")
    return " ".join(what)


def next_action(o: Outcome) -> str | None:
    """The command that goes on from here."""
    if o.state == "queued":
        return again(o.job)
    if o.state == "unseen":
        return f"git fetch && prp lane log {quote(o.job.lane)}"
    if o.state == "ci":
        return o.catch_up or f"prp lock status {quote(o.job.lane)}"
    return o.catch_up


def catch_up(how: str, remote: str, lane: str, branch: str | None, *, by_upstream: bool, dirty: bool) -> str:
    """`git pull --rebase` (or whatever `how` is), with what it needs to work here. `branch`: one not checked out."""
    stash = " --autostash" if dirty else ""
    where = "" if by_upstream else f" {quote(remote)} {quote(lane)}"
    switch = f"git switch {quote(branch)} && " if branch else ""
    return f"{switch}git pull {how}{stash}{where}"


def merge_message(branch: str | None, head: str, lane: str, prp: str | None) -> str:
    """As git would word it; the trailer says whose work it is, for those who read the first-parent line only."""
    what = f"Merge branch '{branch}'" if branch else f"Merge commit '{head}'"
    into = "" if lane in ("main", "master") else f" into {lane}"
    return what + into + (f"\n\nPrp: {prp}" if prp else "") + "\n"


# --- refusals --------------------------------------------------------------------------------------------------------


def _quoted(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return "\n".join(f"  | {line}" for line in lines[-QUOTED_MOST:])


def no_branch(name: str | None) -> UsageError:
    what = f"there is no branch {name!r} here" if name else "there is nothing to land: no commit yet"
    return UsageError(f"{what}.", code="no-branch", next_action="git branch")


def revert_alone() -> UsageError:
    return UsageError(
        "--revert takes back what is in the lane; it lands no branch, so --from and --for do not go with it.",
        code="usage",
        next_action="prp land --help",
    )


def reason_of_what() -> UsageError:
    return UsageError("--reason goes with --hotfix or --revert.", code="usage", next_action="prp land --help")


def already_running() -> UserError:
    return UserError(
        "another prp land is under way in this worktree.",
        code="running",
        hint="Each worktree has one place in the line.",
        next_action="prp lock status",
    )


def overtaken(lane: str) -> UserError:
    return UserError(
        f"{lane} was pushed to past its lock again and again, so this never landed. Nothing is lost.",
        code="overtaken",
        hint="Those pushes are in the log as foreign-push, or under their owners' names.",
        next_action=f"prp lane log {quote(lane)}",
    )


def no_common_history(base: str) -> CouldNotTell:
    return CouldNotTell(
        f"what you want to land has no commit in common with the tip {base[:10]} here (a shallow clone?). The lane is "
        "given back; nothing was pushed.",
        code="no-common-history",
        next_action="git fetch --unshallow",
    )


def conflict(lane: str, found: Conflict, command: str) -> UserError:
    files = "\n".join(f"  {f}" for f in found.files)
    theirs = "".join(f"\n  {c}" for c in found.theirs)
    return UserError(
        f"your commits do not go on top of {lane}: {len(found.files)} file(s) conflict. The lane is given back; "
        f"nothing was pushed, your branch is untouched.\n{files}" + (f"\nWhat landed there:{theirs}" if theirs else ""),
        code="conflict",
        hint="Resolve them in your own branch, then land again:",
        next_action=f"{command} && prp land",
    )


def not_green(lane: str, report: SmokeReport) -> UserError:
    tail = [line for step in report.steps if step.outcome in ("failed", "timeout") for line in step.tail]
    code = "red" if report.result == "red" else "unproven"
    why = HOW_TO_DECLARE if not report.steps else f"{report.reason}\n{_quoted(chr(10).join(tail))}".rstrip()
    return UserError(
        f"the smoke gate is {report.result} on what would land on {lane}. The lane is given back; nothing was pushed.",
        code=code,
        hint=why,
        next_action="prp smoke",
    )


def not_proven(lane: str) -> UserError:
    return UserError(
        f"push to {lane} refused: its gate is local, and what you push is not proven green. Nothing was pushed.",
        code="not-proven",
        hint="prp land runs the gate on exactly that commit, in your turn.",
        next_action=LAND,
        otherwise=("or prove it first", "prp smoke && git push"),
    )


def lost(lane: str, state: LaneState) -> UserError:
    return UserError(
        f"the lock of {lane} was lost before the push: it is {state.state} now, with {holder_words(state)}. "
        "Nothing was pushed.",
        code="lost",
        hint="A hold ends when its time is over (lane.cap in prp.toml), or when somebody breaks it.",
        next_action=LAND,
    )


def hook_refused(lane: str, text: str) -> UserError:
    return UserError(
        f"a pre-push hook here refused what was to land on {lane}. The lane is given back; nothing was pushed.",
        code="hook",
        hint=_quoted(text),
        next_action=LAND,
    )


def remote_refused(lane: str, text: str) -> UserError:
    return UserError(
        f"the remote refused the push to {lane}. The lane is given back; nothing landed.",
        code="remote-refused",
        hint=_quoted(text),
        next_action=LAND,
    )


def no_remote(remote: str) -> UserError:
    return UserError(
        f"there is no remote {remote} here, so there is nothing to land on. Nothing was pushed.",
        code="no-remote",
        hint="lane.remote in prp.toml says which one it is.",
        next_action=f"git remote add {quote(remote)} URL",
    )


def cannot_fetch(remote: str, error: CouldNotTell) -> CouldNotTell:
    return CouldNotTell(
        f"the tip could not be fetched from {remote}: {error.message.rstrip('.')}. The lane is given back; "
        "nothing was pushed.",
        code="fetch",
        next_action=f"git fetch {quote(remote)}",
    )


def cannot_look(lane: str, head: str, error: CouldNotTell) -> CouldNotTell:
    return CouldNotTell(
        f"{head[:10]} was pushed to {lane}, and the remote does not say what became of it: {error.message}",
        code="unseen",
        hint="Nobody is let in by a guess: whoever reaches the remote next looks first.",
        next_action=f"prp lane log {quote(lane)}",
    )
