"""What people read when old claims are checked."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ..output import inert
from .lane import counted
from .prps import some

if TYPE_CHECKING:
    from ..verify import Doubt, Group, Verified

NO_COMMIT_ID = "it is no commit id (7 or more hex digits)"
NO_SUCH_COMMIT = "there is no such commit in this repository"
CUT_OFF = "the history that would tell is not here: this is a shallow clone"
NO_URL = "it is no url"
NAMES_NO_RUN = "it names no run: no number or hash in its path"
NO_VERDICT = "it is not the form of a verdict (result class steps tree)"
NOT_GREEN = "only a green verdict proves anything"
NOT_KEPT = "the store keeps no verdict of that tree any more, so it cannot be compared"
CONTRADICTED = "the store's verdict of that tree is not green"
NO_EVIDENCE = "it says complete and names no commit, run or verdict"
PROOF_IN_STORE = "the line carries no evidence, and no store is there that knew of its green landing"
WAITS = "it has landed and waits for a green verdict: it does not count as complete yet"
NO_TIME = "it does not say when"
NO_DATE = "it is no time (ISO 8601)"
AHEAD = "that is in the future"
NO_STORE = "The store was not asked: what only it knows (verdicts, proofs) is not checked."


def ambiguous(count: int) -> str:
    return f"{count} commits of the lane begin so"


def not_in_lane(lane: str) -> str:
    return f"that commit is not in the history of {inert(lane)}"


def stands_for(count: int) -> str:
    return f"it stands for {counted(count, 'PRP')}, and says nothing of this one"


def another_tree(tree: str, commit: str) -> str:
    return f"no commit of the lane that has {commit[:10]} has the tree {tree}"


def backwards(name: str, value: str) -> str:
    return f"that is before {name} ({inert(value)})"


def before_commit(commit: str, when: str) -> str:
    return f"that is a day or more before {commit[:10]} was written ({when})"


def reverted(by: str) -> str:
    return f"{by[:10]} reverts it, and the line still says complete"


def reopen(prp_id: str, code: str) -> str:
    return f'prp reopen {shlex.quote(prp_id)} --reason "verify: {code}"'


def group_line(group: Group) -> str:
    kind = "commit" if group.code == "shared-commit" else "placeholder" if group.placeholder else "run"
    return f"{kind} {inert(group.value)} stands for {counted(len(group.ids), 'PRP')}: {some(group.ids)}"


def doubt_lines(doubt: Doubt) -> list[str]:
    mark = {"false": "FALSE", "unknown": "?    ", "note": "note "}[doubt.level]
    lines = [f"{mark}  {inert(doubt.id)}  {doubt.code}: {inert(doubt.what)}: {inert(doubt.why)}"]
    return lines + ([f"         {inert(doubt.mend)}"] if doubt.mend else [])


def summary(found: Verified) -> str:
    false, unknown = found.ids("false"), [i for i in found.ids("unknown") if i not in found.ids("false")]
    waits = [i for i in found.waiting if i not in false and i not in unknown]
    true = len(found.checked) - len(false) - len(unknown) - len(waits)
    many = counted(len(found.checked), "complete PRP")
    yet = f"{counted(len(waits), 'waits', 'wait')} for a green verdict, " if waits else ""
    return f"{many}: {counted(true, 'holds', 'hold')}, {yet}{len(false)} false, {len(unknown)} could not be told"
