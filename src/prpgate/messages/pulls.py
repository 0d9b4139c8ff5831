"""What people read about landing pull requests through the host's API."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from ..errors import CouldNotTell, HostDown, UsageError, UserError
from ..output import inert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..host import Pull
    from ..job import Outcome

LONGEST = 80


def named(pull: Pull) -> str:
    """`#12 "Speed up the parser"`"""
    title = pull.title if len(pull.title) <= LONGEST else pull.title[: LONGEST - 1] + "…"
    return f'#{pull.number} "{inert(title)}"'


def again(number: int) -> str:
    return f"prp land --pr {number}"


# --- how it ended ----------------------------------------------------------------------------------------------------


def outcome(o: Outcome) -> str | None:
    """None: the same words as for a push."""
    number, lane, sha = o.job.pull, o.job.lane, (o.sha or "")[:10]
    if number is None:
        return None
    if o.state == "up-to-date":
        return f"Nothing to land: {lane} has all of #{number}."
    if o.state == "unseen":
        return (
            f"{lane}: the host did not say what became of merging #{number}. It is not seen there; it may still arrive."
        )
    if o.state not in ("landed", "ci"):
        return None
    count = f"{o.commits} commit{'' if o.commits == 1 else 's'}"
    as_what = "as it was" if o.sha == o.job.head else f"as {sha}"
    tail = " CI has it now, and the lane until it says." if o.state == "ci" else ""
    return f"Landed: #{number}, {count} on {lane}, {as_what}.{tail}"


# --- which one -------------------------------------------------------------------------------------------------------


def not_together(option: str) -> UsageError:
    return UsageError(
        f"--pr lands a pull request as the host has it; {option} does not go with it.",
        code="usage",
        next_action="prp land --help",
    )


def no_branch() -> UsageError:
    return UsageError("no branch is checked out: say which pull request.", code="usage", next_action="prp land --pr N")


def not_one(branch: str, lane: str, numbers: Sequence[int]) -> UserError:
    if numbers:
        return UserError(
            f"{inert(branch)} has {len(numbers)} open pull requests: {', '.join(f'#{n}' for n in numbers)}.",
            code="which-pull",
            hint="Say which one lands.",
            next_action=again(numbers[0]),
        )
    return UserError(
        f'{inert(branch)} has no open pull request to a lane, and what lands here lands as one (via = "pr").',
        code="no-pull",
        next_action=f"git push -u origin HEAD && gh pr create --base {quote(lane)}",
    )


def not_pushed(pull: Pull, branch: str, here: str, remote: str) -> UserError:
    return UserError(
        f"{named(pull)} is at {pull.head_sha[:10]}, your {inert(branch)} at {here[:10]}: what would land is not what "
        "you have here. Nothing was merged.",
        code="not-pushed",
        hint="If the host's is the right one: " + again(pull.number),
        next_action=f"git push {quote(remote)} {quote(branch)} && prp land",
    )


# --- refusals --------------------------------------------------------------------------------------------------------


def merged_already(pull: Pull) -> UserError:
    as_what = f" as {pull.merge_sha[:10]}" if pull.merge_sha else ""
    return UserError(
        f"{named(pull)} is merged already{as_what}. It is not merged twice.",
        code="merged",
        next_action=f"git fetch && prp lane log {quote(pull.base_ref)}",
    )


def not_open(pull: Pull) -> UserError:
    return UserError(
        f"{named(pull)} is closed, not merged. Nothing was merged.",
        code="pull-closed",
        hint="Open it again first:",
        next_action=f"gh pr reopen {pull.number} && {again(pull.number)}",
    )


def no_lane(pull: Pull, lanes: Sequence[str]) -> UserError:
    return UserError(
        f"{named(pull)} goes to {inert(pull.base_ref)}, which is no lane (lane.branches: {', '.join(lanes)}).",
        code="no-lane",
        next_action=f"gh pr edit {pull.number} --base {quote(lanes[0])}",
    )


def draft(pull: Pull) -> UserError:
    return UserError(
        f"{named(pull)} is a draft. Nothing was merged.",
        code="draft",
        next_action=f"gh pr ready {pull.number} && {again(pull.number)}",
    )


def moved(pull: Pull, expected: str) -> UserError:
    return UserError(
        f"the head of {named(pull)} moved: {expected[:10]} was looked at, it is {pull.head_sha[:10]} now. The lane is "
        "given back; nothing was merged.",
        code="head-moved",
        hint=f"Somebody pushed to it meanwhile: {expected} -> {pull.head_sha}. Look at it, then land it as it is now:",
        next_action=again(pull.number),
    )


def behind(pull: Pull) -> UserError:
    return UserError(
        f"{named(pull)} is not on top of {inert(pull.base_ref)}, and the repository wants that. Nothing was merged.",
        code="behind",
        hint="Bring it up to date; its checks run anew then.",
        next_action=f"gh pr update-branch {pull.number} && {again(pull.number)}",
    )


def conflict(pull: Pull, remote: str, files: Sequence[str]) -> UserError:
    shown = "".join(f"\n  {inert(f)}" for f in files)
    return UserError(
        f"{named(pull)} does not go on top of {inert(pull.base_ref)}: the host cannot put the two together. The lane "
        f"is given back; nothing was merged.{shown}",
        code="conflict",
        hint="Resolve it in the pull request's own branch, push that, then land again:",
        next_action=f"gh pr checkout {pull.number} && git pull --rebase {quote(remote)} {quote(pull.base_ref)}",
    )


def not_mergeable(pull: Pull, why: str) -> UserError:
    return UserError(
        f"the host does not merge {named(pull)}: {inert(why)} The lane is given back; nothing was merged.",
        code="not-mergeable",
        hint="A required check or a review is missing, or this way of merging is not allowed.",
        next_action=f"gh pr checks {pull.number}; {again(pull.number)}",
    )


def method_not_allowed(wanted: str, allowed: Sequence[str]) -> UserError:
    what = f'land.method = "{wanted}" in prp.toml' if wanted else "Merging pull requests"
    return UserError(
        f"{what} is not allowed by the repository; allowed: {', '.join(allowed) or 'none'}. Nothing was merged.",
        code="method",
        hint="Change [land] method in prp.toml, or leave it out; that change itself is merged by the host's button."
        if allowed
        else "Whoever administers the repository allows a way in its settings.",
    )


def queue(pull: Pull) -> UserError:
    return UserError(
        f"{inert(pull.base_ref)} has the host's merge queue, and that lands: two queues would only wait for each "
        f"other. {named(pull)} was not merged.",
        code="merge-queue",
        hint="prpgate records and smokes what the queue lands. To put it into the queue:",
        next_action=f"gh pr merge {pull.number} --auto",
    )


def fork_runs_nothing(pull: Pull) -> UserError:
    return UserError(
        f'{named(pull)} comes from {inert(pull.head_repo) or "a fork that is gone"}, and gate = "local" would run its '
        "code on this machine. Nothing was run, nothing was merged.",
        code="fork",
        hint='With gate = "ci" a runner does it. Or look at it, and bring its commits into a branch of your own:',
        next_action=f"gh pr diff {pull.number}",
    )


def not_said(number: int, why: str) -> str:
    return f"the host did not say what became of merging #{number}: {inert(why)}"


def stopped(number: int) -> HostDown:
    return HostDown(f"you stopped it while the host was merging #{number}.", code="stopped", next_action=again(number))


def elsewhere(number: int, sha: str, lane: str) -> CouldNotTell:
    return CouldNotTell(
        f"the host says that #{number} was merged as {sha[:10]}, and that commit is not in {lane} at the remote.",
        code="unseen",
        hint="Nobody is let in by a guess: whoever reaches the remote next looks first.",
        next_action=f"git fetch && prp lane log {quote(lane)}",
    )


def head_not_there(number: int, wanted: str, found: str | None) -> CouldNotTell:
    now = f"it is at {found[:10]} there" if found else "the remote has no such ref"
    return CouldNotTell(
        f"the head of #{number}, {wanted[:10]}, cannot be fetched: {now}.",
        code="fetch",
        next_action=again(number),
    )


def cannot_merge_here(why: str) -> CouldNotTell:
    return CouldNotTell(
        f"what merging would make cannot be told here: {inert(why)}.",
        code="merge-tree",
        hint="It takes git 2.38 or newer.",
        next_action="git version",
    )
