"""Can gates ci and ci-first work here: does CI reach the store, or do those who wait reach the host; does CI run on
what it has to prove, and can a run that never came be started."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import HostDown, HostRefused, UserError
from .messages import ci_setup as say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .config import Config
    from .gitrepo import Repo

WORKFLOWS = ".github/workflows"
GATES = ("ci", "ci-first")
STATUS = "status"
OWN_GATE, OWN_JOB = "/.github/workflows/gate.yml@", "smoke"  # the workflow that `prp init --ci` calls, its job
ASK_S = 4.0


class Finding(NamedTuple):
    level: str  # "ok", "warning" or "error"
    text: str
    command: str | None = None


def unreachable(config: Config, root: str, url: str | None = None) -> str | None:
    """The store's address, where a runner elsewhere cannot reach it and the gate needs that; None where all is well."""
    from .store import discover

    if config.gate not in GATES or config.ci_observe == STATUS:
        return None
    try:
        place = discover.find(config, root, url)
    except UserError:
        return None  # what is wrong with the store is said elsewhere
    parts = discover.URL.fullmatch(place.url)
    host = parts["host"] if parts else ""
    local = place.url.startswith("unix:") or host in ("localhost", "[::1]") or host.startswith("127.")
    return discover.redact(place.url) if local else None


def require(config: Config, root: str, url: str | None = None) -> None:
    """Refuse a gate that cannot work, unless prp.toml says in so many words that it is meant."""
    found = unreachable(config, root, url)
    if found and config.where.get("ci.observe") == "default":
        raise say.cannot_work(
            config.gate, found, any(config.where.get(f"ci.{o}") != "default" for o in ("check", "app", "workflow"))
        )


def recommendation(config: Config) -> str | None:
    """What `prp init` says where CI is observed, and lands come before their proof all the same."""
    if config.gate == "ci-first" or (config.gate != "ci" and config.ci_observe != STATUS):
        return None
    return say.OBSERVED_FIRST if config.ci_observe == STATUS else say.FIRST


def inspect(repo: Repo, config: Config, url: str | None = None) -> Iterator[Finding]:
    """What `prp doctor` says of it. Asks the host when the lanes need it."""
    if config.via == "pr" and not (config.gate in GATES and config.ci_observe == STATUS):
        found = _host(repo, config)
        yield found._replace(text=say.merges(config.land_check)) if found.level == "ok" else found
    if config.gate not in GATES:
        return
    if address := unreachable(config, repo.root, url):
        meant = config.where.get("ci.observe") != "default"
        text = say.unreachable(config.gate, address)
        yield Finding("warning" if meant else "error", text, None if meant else say.HOW)
    if config.ci_observe == STATUS:
        yield _host(repo, config)
    yield from _workflow(repo, config)


def _host(repo: Repo, config: Config) -> Finding:
    from .host import choose

    try:
        host = choose.of(repo, config, timeout_s=ASK_S)
        host.settings()
    except HostDown as e:
        return Finding("warning", e.message)
    except HostRefused as e:
        return Finding("error", e.message, e.next_action)
    return Finding("ok", say.answers(host.address, host.repository, config.ci_check, config.ci_app))


def _workflow(repo: Repo, config: Config) -> Iterator[Finding]:
    """A run that never came is started by hand: the workflow has to be there, and to allow it. It has to run on what is
    to be proven, and what it is called at the host is what counts."""
    tip = repo.known_tip(config.remote, config.ledger_lane)
    if not config.ci_workflow or tip is None:
        return
    path = f"{WORKFLOWS}/{config.ci_workflow}"
    text = repo.blob(f"{tip}:{path}")
    if text is None:
        yield Finding("warning", say.no_workflow(path, config.ledger_lane))
        return
    if b"workflow_dispatch" not in text:
        yield Finding("warning", say.no_dispatch(path))
    found = _read(text)
    if found is None:
        return
    if config.gate == "ci-first" and not runs_on(found, config.candidate(1)):
        yield Finding("warning", say.not_on_candidates(path, config.candidates))
    if config.gate == "ci" and not runs_on(found, config.ledger_lane):
        yield Finding("warning", say.not_on_landings(path, config.ledger_lane))
    if filters := path_filters(found):
        yield Finding("warning", say.filtered(path, filters))
    names = check_names(found)
    if config.ci_observe == STATUS and names and not any(_may_be(name, config.ci_check) for name in names):
        yield Finding("warning", say.no_such_check(path, config.ci_check, names))


def _read(text: bytes) -> dict[Any, Any] | None:
    """A workflow's own text; None when it is none that can be read."""
    import yaml

    try:
        found = yaml.safe_load(text.decode("utf-8", "replace"))
    except (yaml.YAMLError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def runs_on(workflow: dict[Any, Any], branch: str) -> bool:
    """Does a push of this branch start it? `on` is what YAML 1.1 reads as true."""
    on = workflow.get("on", workflow.get(True))
    if isinstance(on, str | list):
        return "push" in ([on] if isinstance(on, str) else on)
    if not isinstance(on, dict) or "push" not in on:
        return False
    push = on["push"] if isinstance(on["push"], dict) else {}
    if "branches" in push:
        return _matches(push["branches"], branch)
    if "branches-ignore" in push:
        return not _matches(push["branches-ignore"], branch)
    return not ({"tags", "tags-ignore"} & set(push))


def path_filters(workflow: dict[Any, Any]) -> list[str]:
    """The filters by which it runs on some pushes only, whatever their branch. What is pushed and matches none of its
    paths gets no run, and waits for one."""
    on = workflow.get("on", workflow.get(True))
    push = on.get("push") if isinstance(on, dict) else None
    return [name for name in ("paths", "paths-ignore") if isinstance(push, dict) and name in push]


def _matches(patterns: object, branch: str) -> bool:
    """As GitHub does: in order, the last that matches decides; `*` stops at a slash, `**` does not."""
    listed = [str(p) for p in patterns] if isinstance(patterns, list) else [str(patterns)]
    hit = False
    for pattern in listed:
        parts = re.split(r"(\*\*|\*)", pattern.removeprefix("!"))
        regex = "".join({"**": ".*", "*": "[^/]*"}.get(part) or re.escape(part) for part in parts)
        if re.fullmatch(regex, branch):
            hit = not pattern.startswith("!")
    return hit


def check_names(workflow: dict[Any, Any]) -> list[str]:
    """What the check runs of its jobs are called at the host; one that ends with " / " goes on with a name from the
    workflow that the job calls. Empty when that cannot be told from here."""
    jobs = workflow.get("jobs")
    names = []
    for key, job in jobs.items() if isinstance(jobs, dict) else ():
        name = str(job.get("name", key)) if isinstance(job, dict) else str(key)
        if "${{" in name or (isinstance(job, dict) and "strategy" in job):
            return []
        called = str(job.get("uses", "")) if isinstance(job, dict) else ""
        own = OWN_JOB if OWN_GATE in called else ""
        names.append(f"{name} / {own}" if called else name)
    return names


def _may_be(name: str, check: str) -> bool:
    return check.startswith(name) and check != name if name.endswith(" / ") else check == name
