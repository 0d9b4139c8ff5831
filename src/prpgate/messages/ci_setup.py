"""What people read when gate ci or ci-first cannot work as it is set up, and when the better one of them could."""

from __future__ import annotations

from ..errors import UserError
from ..output import inert

HOW = "printf '\\n[ci]\\nobserve = \"status\"\\n' >> prp.toml"


def unreachable(gate: str, store: str) -> str:
    then = "every landing waits until its deadline and goes on unproven"
    if gate == "ci-first":
        then = "no candidate can be proven, and nothing lands"
    return (
        f'gate = "{gate}" with a store that only this machine reaches ({store}): no runner elsewhere can tell it a '
        f"verdict, and {then}"
    )


def cannot_work(gate: str, store: str, has_table: bool) -> UserError:
    return UserError(
        f"{unreachable(gate, store)}. Nothing was changed.",
        code="ci-unreachable",
        hint='With observe = "status" under [ci] in prp.toml, those who wait read the host\'s check run, and CI needs '
        'no secret. If the runner is on this machine, say observe = "store".',
        next_action="prp init --help" if has_table else f"{HOW} && prp init",
    )


def answers(address: str, repository: str, check: str, app: str) -> str:
    return f"the host answers ({repository} at {address}); check run {check} of {app} is the verdict"


def merges(check: str) -> str:
    return "the host answers: prp land merges pull requests there" + (f", {check} is their status" if check else "")


def no_workflow(path: str, lane: str) -> str:
    return f"{path} is not on {lane}: a run that never came cannot be started ([ci] workflow in prp.toml names it)"


def no_dispatch(path: str) -> str:
    return f"{path} has no workflow_dispatch: a run that never came cannot be started"


def not_on_candidates(path: str, candidates: str) -> str:
    return f"{path} does not run on pushes of {candidates}*: each candidate waits until a run of it is started by hand"


def not_on_landings(path: str, lane: str) -> str:
    return f"{path} does not run on pushes of {inert(lane)}: each landing waits until a run of it is started by hand"


def filtered(path: str, filters: list[str]) -> str:
    return (
        f"{path} has a filter of {' and '.join(filters)} on push: what it leaves out gets no run, and waits for one "
        "until its deadline; `changed` of a step in prp.toml spares work without that"
    )


def no_such_check(path: str, check: str, names: list[str]) -> str:
    there = ", ".join(f"{inert(n)}{'…' if n.endswith(' / ') else ''}" for n in names[:5])
    return (
        f"no job of {path} makes a check run named {inert(check)} ([ci] check in prp.toml), so none counts; there is: "
        f"{there}"
    )


WHY = (
    "CI smokes each commit on a branch of its own before the lane moves to it, so the lane is never red. (Simulated at "
    "70 % load with 5 % bad changes: smoked after landing it is red 9 % of the time, smoked first 0 %.) docs/ci.md has "
    "the steps."
)
FIRST = f'gate = "ci-first" is recommended: {WHY}'
OBSERVED_FIRST = f"CI is observed by its check run here, so {FIRST}"
TEAM_FIRST = f"Once CI is set up and reaches this store, {FIRST}"
STATUS_FIRST = (
    'CI cannot reach a store of scope machine, and need not: with gate = "ci-first" and observe = "status" under [ci], '
    f"whoever lands reads the host's check run. Once CI is set up that is recommended: {WHY}"
)
