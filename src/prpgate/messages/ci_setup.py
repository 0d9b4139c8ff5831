"""What people read when gate ci cannot work as it is set up."""

from __future__ import annotations

from ..errors import UserError

HOW = "printf '\\n[ci]\\nobserve = \"status\"\\n' >> prp.toml"


def unreachable(store: str) -> str:
    return (
        f'gate = "ci" with a store that only this machine reaches ({store}): no runner elsewhere can tell it a '
        "verdict, and every landing waits until its deadline and goes on unproven"
    )


def cannot_work(store: str, has_table: bool) -> UserError:
    return UserError(
        f"{unreachable(store)}. Nothing was changed.",
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


def called(path: str, check: str) -> str:
    return (
        f"job {check} of {path} calls another workflow, so the host names its check run with the job there, "
        f'"{check} / smoke" for prpgate\'s own: no check run {check} comes, and each landing goes on unproven '
        "([ci] check in prp.toml names it)"
    )


def no_dispatch(path: str) -> str:
    return f"{path} has no workflow_dispatch: a run that never came cannot be started"
