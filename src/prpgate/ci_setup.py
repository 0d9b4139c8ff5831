"""Can gate ci work here: does CI reach the store, or do those who wait reach the host; and who starts a late run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from .errors import HostDown, HostRefused, UserError
from .messages import ci_setup as say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .config import Config
    from .gitrepo import Repo

WORKFLOWS = ".github/workflows"
ASK_S = 4.0


class Finding(NamedTuple):
    level: str  # "ok", "warning" or "error"
    text: str
    command: str | None = None


def unreachable(config: Config, root: str, url: str | None = None) -> str | None:
    """The store's address, where a runner elsewhere cannot reach it and the gate needs that; None where all is well."""
    from .store import discover

    if config.gate != "ci" or config.ci_observe == "status":
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
            found, any(config.where.get(f"ci.{o}") != "default" for o in ("check", "app", "workflow"))
        )


def inspect(repo: Repo, config: Config, url: str | None = None) -> Iterator[Finding]:
    """What `prp doctor` says of it. Asks the host when the lanes need it."""
    if config.via == "pr" and not (config.gate == "ci" and config.ci_observe == "status"):
        found = _host(repo, config)
        yield found._replace(text=say.merges(config.land_check)) if found.level == "ok" else found
    if config.gate != "ci":
        return
    if address := unreachable(config, repo.root, url):
        meant = config.where.get("ci.observe") != "default"
        yield Finding("warning" if meant else "error", say.unreachable(address), None if meant else say.HOW)
    if config.ci_observe == "status":
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
    """A run that never came is started by hand: the workflow has to be there, and to allow it. And the check run that
    those who wait look for has to be one that it makes."""
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
    if config.ci_observe == "status" and _calls(text, config.ci_check):
        yield Finding("warning", say.called(path, config.ci_check))


def _calls(workflow: bytes, job: str) -> bool:
    """Does a job call another workflow? Read from lines in the usual two-space shape; of any other nothing is said."""
    block = re.search(rb"^  %s:[^\n]*\n((?:(?:    .*)?\n)*)" % re.escape(job.encode()), workflow, re.MULTILINE)
    return block is not None and re.search(rb"^    uses:", block[1], re.MULTILINE) is not None
