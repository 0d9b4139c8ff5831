"""What the job summary says of a landing's way: pushed, queued, picked up, judged."""

from __future__ import annotations

PICKED_UP = "picked up by this run"
CHECKED = "PRPs of the pushed range judged"
PUSHED = "pushed (by the host's clock)"


def queued(agent: str) -> str:
    return f"queued by {agent}" if agent else "queued"


def granted(agent: str) -> str:
    return f"{agent} got the lane" if agent else "got the lane"


_EVENTS = {
    "intent": "push announced",
    "landed": "seen in the branch",
    "late": "seen in the branch, late",
    "foreign-push": "seen in the branch, pushed round the hooks",
    "redispatch": "another run was asked for",
}


def event(name: str, detail: str) -> str:
    """One event of the lane's log about this commit; "" for one that is no part of the story."""
    if name == "verdict":
        return f"an attempt said {detail}"
    return _EVENTS.get(name, "")


def step(name: str, outcome: str) -> str:
    return f"{name}: {outcome}"


def verdict(result: str) -> str:
    return f"verdict {result} given"


def not_shown(count: int) -> str:
    """Annotations beyond what the host shows."""
    return f"{count} more annotation{'s' if count != 1 else ''} would not be shown; this log and the summary have all."


CUT = "The rest is left out: the host takes no summary of more than 1 MiB. The job's log has all of it."


# --- whose run this is ------------------------------------------------------------------------------------------------
def another_commit(asked: str, head: str) -> str:
    return f"this run is about {asked[:12] or 'no commit'}, and {head[:12]} is checked out: no lane hears of it"


def waits_no_more(lane: str, fence: str) -> str:
    return f"{lane} does not wait for this run any more (fence {fence}): it checks and runs the steps only"


def seen_on_another(own: str, sha: str) -> str:
    return (
        f'with [ci] observe = "status" this run is read as the verdict of {own[:12]}, which the host runs it for, and '
        f"it was asked to look at {sha[:12]}: start it without a sha, on a branch whose tip that is"
    )


def merge_group(lane: str) -> str:
    return f"a merge group for {lane}: the host's queue lands it, so its green is recorded and no lock is taken"


def merge_group_recorded(lane: str, result: str) -> str:
    if result == "green":
        return f"{lane}: green is on record for this tree; the host's queue may land it"
    return f"{lane}: a merge group that is {result} never lands, so nothing is recorded"
