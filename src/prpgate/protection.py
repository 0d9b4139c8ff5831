"""What a repository demands of its branch, read for `prp init`; and the calls that make our checks required."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from .errors import HostDown, HostRefused
from .host import address, choose
from .messages import protection as say
from .pulls import has_queue

if TYPE_CHECKING:
    from .config import Config
    from .gitrepo import Repo
    from .host import Branch, Host, Rule

QUICK_S = 3.0  # for one answer: `prp init` waits for nobody longer
RULESET = "prpgate"
CHECKS = "required_status_checks"
ACTIONS = {"github-actions": 15368}  # the app's id on github.com; elsewhere a check counts by its name alone


class Mode(NamedTuple):
    """How landings get to the branch, and why."""

    via: str
    why: tuple[str, ...]


class Call(NamedTuple):
    """One call of the host's API that changes something."""

    method: str
    path: str
    body: dict[str, Any]


def mode(repo: Repo, config: Config) -> Mode | None:
    """What the branch's rules ask for; None when nobody answers quickly. Never raises for that."""
    known = address.remote_place(repo.push_url(config.remote))
    if known is None and not os.environ.get("PRP_HOST_API", "").strip():
        return None
    try:
        host = choose.of(repo, config, timeout_s=QUICK_S)
        rules, branch = host.branch_rules(config.ledger_lane), host.branch(config.ledger_lane)
    except (HostDown, HostRefused):
        return None
    return _mode(config.ledger_lane, rules, branch)


def _mode(lane: str, rules: list[Rule], branch: Branch | None) -> Mode:
    required = _required(rules, branch)
    if has_queue(rules):
        return Mode("pr", (say.queue(lane),))
    if any(r.kind == "pull_request" for r in rules):
        return Mode("pr", (say.pulls_only(lane), *say.checks(lane, required)))
    if required:
        return Mode("pr", (say.checked_only(lane, required), *say.checks(lane, required)))
    if branch and branch.protected:
        return Mode("push", (say.protected(lane),))
    return Mode("push", ())


def _required(rules: list[Rule], branch: Branch | None) -> list[str]:
    named = [c.get("context") for r in rules if r.kind == CHECKS for c in r.parameters.get(CHECKS) or ()]
    return list(dict.fromkeys([*(str(n) for n in named if n), *(branch.required_checks if branch else ())]))


def in_text(text: str, found: Mode | None) -> str:
    """A new prp.toml with the mode in it."""
    if found is None or found.via == "push":
        return text
    line = next(one for one in text.splitlines() if one.startswith("gate = "))
    return text.replace(line, f"{line}\n{say.VIA_LINE}", 1)


def calls(host: Host, config: Config) -> list[Call]:
    """What makes `land.check` and the smoke check required on the lane that is the record; none when they are.

    Raises UserError where that would lock everybody out, HostDown, HostRefused.
    """
    if config.via != "pr":
        raise say.pushes_would_be_refused(config.ledger_lane)
    lane, repo = config.ledger_lane, f"/repos/{host.repository}"
    rules, branch = host.branch_rules(lane), host.branch(lane)
    if branch is None:
        raise say.no_branch(lane)
    # A queue waits for every required check on commits of its own, and nobody gives them ours.
    wanted = [config.land_check] if config.land_check and not has_queue(rules) else []
    wanted += [config.ci_check] if config.gate != "none" and config.gate != "local" else []
    missing = [name for name in wanted if name not in _required(rules, branch)]
    if not missing:
        return []
    if branch.required_checks:
        path = f"{repo}/branches/{quote(lane, safe='')}/protection/{CHECKS}/contexts"
        return [Call("POST", path, {"contexts": missing})]
    # Its organisation's are not for this call to change.
    found = host.ask("GET", f"{repo}/rulesets?per_page=100&includes_parents=false") or ()
    mine = next((r for r in found if r.get("name") == RULESET), None)
    body = {
        "name": RULESET,
        "target": "branch",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": [f"refs/heads/{lane}"], "exclude": []}},
        "rules": [{"type": CHECKS, "parameters": _parameters(host, config, wanted)}],
    }
    return [Call("PUT", f"{repo}/rulesets/{mine['id']}", body) if mine else Call("POST", f"{repo}/rulesets", body)]


def _parameters(host: Host, config: Config, wanted: list[str]) -> dict[str, Any]:
    app = ACTIONS.get(config.ci_app) if host.address == f"https://api.{address.GITHUB}" else None
    checks = [
        {"context": name, **({"integration_id": app} if app and name != config.land_check else {})} for name in wanted
    ]
    return {"strict_required_status_checks_policy": False, "do_not_enforce_on_create": True, CHECKS: checks}


def do(host: Host, wanted: list[Call]) -> None:
    """Raises HostDown, HostRefused."""
    for one in wanted:
        host.ask(one.method, one.path, one.body)
