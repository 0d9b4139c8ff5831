"""prp.toml and the environment -> a frozen Config that remembers where each value came from.

This module reads no git and no network. Which prp.toml counts (the lane's last fetched tip, else the working tree's)
is decided in gitrepo.policy.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any, NamedTuple

from .errors import UsageError

FILE = "prp.toml"
GATES = ("none", "local", "ci")
SCOPES = ("machine", "team")
UNCLAIMED = ("take", "refuse")
DEFAULT_ID_PATTERN = "(P[0-9]|PRP)-[0-9]+"
NAME = re.compile(r"[^\s\x00-\x20\x7f~^:\\-][^\x00-\x20\x7f~^:\\]*")  # no option, no control character, no space
PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")


class SmokeStep(NamedTuple):
    """One declared step of the smoke gate."""

    name: str
    run: str  # a shell command, run from the top of the tree
    timeout_s: int
    needs: tuple[str, ...]


class Times(NamedTuple):
    """How long things may take, in milliseconds of the store's clock. See docs/design.md, "Times"."""

    offer_ms: int = 2_000
    lease_ms: int = 30_000
    cap_ms: int = 600_000
    look_ms: int = 10_000
    ci_wait_ms: int = 90_000
    ci_lease_ms: int = 90_000
    ci_cap_ms: int = 600_000
    alive_ms: int = 13_000
    window_ms: int = 10_000
    reserve_ms: int = 120_000


class Config(NamedTuple):
    """Everything prp.toml says, with defaults filled in."""

    project: str
    gate: str
    id_pattern: str
    store_id: str
    store_scope: str
    store_url: str | None
    ledger_path: str  # a file, or a folder (ends in "/") with one file per PRP
    ledger_lane: str  # the branch that is the record
    ledger_docs: str  # where documents of PRPs are, a glob from the top ("PRPs/**/*.md"); "" when not said
    remote: str
    lanes: tuple[str, ...]  # branch names or globs
    times: Times
    claim_agent_s: int
    claim_person_s: int
    smoke: tuple[SmokeStep, ...]
    smoke_budget_s: int
    server_unclaimed: str  # what a server does with a push to a free lane that nobody announced
    where: dict[str, str]  # option -> file it was read from, "default" otherwise
    unknown: tuple[str, ...]  # options this version does not know: a newer prpgate, or a slip

    @property
    def one_file_per_prp(self) -> bool:
        return self.ledger_path.endswith("/")


class _Reader:
    """Takes options out of the parsed file one by one, checks their type, and notes where they came from."""

    def __init__(self, data: dict[str, Any], source: str) -> None:
        self.data, self.source = data, source
        self.where: dict[str, str] = {}
        self.taken: set[str] = set()

    def wrong(self, option: str, value: object, want: str) -> UsageError:
        return UsageError(
            f"{self.source}: {option} = {value!r} is not {want}.",
            code="config",
            hint="Nothing was changed.",
            next_action=f"git diff HEAD -- :/{FILE}",
        )

    def take(self, option: str, default: Any, kind: type, want: str) -> Any:
        node: Any = self.data
        for part in option.split("."):
            node = node.get(part) if isinstance(node, dict) else None
        self.taken.add(option)
        self.where[option] = "default" if node is None else self.source
        if node is None:
            return default
        if not isinstance(node, kind) or (kind is int and isinstance(node, bool)):
            raise self.wrong(option, node, want)
        return node

    def text(self, option: str, default: str, allowed: tuple[str, ...] = ()) -> str:
        value: str = self.take(option, default, str, "a text")
        if allowed and value not in allowed:
            raise self.wrong(option, value, "one of " + ", ".join(allowed))
        return value

    def seconds(self, option: str, default: int, least: int = 1) -> int:
        value: int = self.take(option, default, int, "a whole number of seconds")
        if value < least:
            raise self.wrong(option, value, f"a whole number of seconds from {least} up")
        return value

    def texts(self, option: str, default: tuple[str, ...]) -> tuple[str, ...]:
        value = self.take(option, list(default), list, "a list of texts")
        if not value or not all(isinstance(v, str) and v for v in value):
            raise self.wrong(option, value, "a list of texts with at least one in it")
        return tuple(value)

    def leftovers(self) -> tuple[str, ...]:
        found = []
        for key, value in self.data.items():
            if isinstance(value, dict):
                found += [f"{key}.{k}" for k in value if f"{key}.{k}" not in self.taken]
            elif key not in self.taken:
                found.append(key)
        return tuple(found)


def _steps(reader: _Reader, budget_s: int) -> tuple[SmokeStep, ...]:
    steps: list[SmokeStep] = []
    for n, raw in enumerate(reader.take("smoke", [], list, "a list of [[smoke]] tables")):
        where = f"[[smoke]] number {n + 1}"
        if not isinstance(raw, dict) or not isinstance(raw.get("run"), str) or not raw["run"].strip():
            raise reader.wrong(where, raw, 'a step with run = "a command"')
        name, timeout, needs = (
            raw.get("name", f"step-{n + 1}"),
            raw.get("timeout", budget_s),
            raw.get("needs", []),
        )
        if not isinstance(name, str) or not name or any(s.name == name for s in steps):
            raise reader.wrong(f"{where}: name", name, "a name that no other step has")
        if isinstance(timeout, bool) or not isinstance(timeout, int) or timeout < 1:
            raise reader.wrong(f"{where}: timeout", timeout, "a whole number of seconds from 1 up")
        if not isinstance(needs, list) or any(need not in {s.name for s in steps} for need in needs):
            raise reader.wrong(f"{where}: needs", needs, "a list of names of earlier steps")
        if extra := set(raw) - {"name", "run", "timeout", "needs"}:
            raise reader.wrong(where, sorted(extra), "made of name, run, timeout and needs only")
        steps.append(SmokeStep(name, raw["run"], min(timeout, budget_s), tuple(needs)))
    return tuple(steps)


def parse(text: str, source: str) -> Config:
    """Read a prp.toml. `source` names it in errors and in `where`. Raises UsageError with file and option."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise UsageError(
            f"{source} is not TOML: {e}.",
            code="config",
            hint="Nothing was changed.",
            next_action=f"git diff HEAD -- :/{FILE}",
        ) from None
    r = _Reader(data, source)
    project = r.text("project", "")
    if not PROJECT.fullmatch(project) or ".." in project:
        raise UsageError(
            f"{source}: project = {project!r} is no project id (letters, digits, . _ - and /, such as "
            '"example.org/team/app").',
            code="config",
            next_action="prp init",
        )
    pattern = r.text("id_pattern", DEFAULT_ID_PATTERN)
    try:
        re.compile(pattern)
    except re.error as e:
        raise r.wrong("id_pattern", pattern, f"a regular expression ({e})") from None
    branches = r.texts("lane.branches", ("main",))
    remote = r.text("lane.remote", "origin")
    for option, name in (("lane.remote", remote), *(("lane.branches", b) for b in branches)):
        if not NAME.fullmatch(name) or ".." in name:
            raise r.wrong(option, name, "a name that git could have")
    path = r.text("ledger.path", "prps/")
    if path.startswith("/") or ".." in path.split("/") or not path:
        raise r.wrong("ledger.path", path, "a path inside the repository")
    docs = r.text("ledger.docs", "")
    if docs.startswith(("/", ":")) or ".." in docs.split("/"):
        raise r.wrong("ledger.docs", docs, 'a glob inside the repository, such as "PRPs/**/*.md"')
    default = Times()
    budget_s = r.seconds("smoke_gate.budget", 180)
    first_plain = next((b for b in branches if not set(b) & set("*?[")), "main")
    return Config(
        project=project,
        gate=r.text("gate", "none", GATES),
        id_pattern=pattern,
        store_id=r.text("store.id", ""),
        store_scope=r.text("store.scope", "machine", SCOPES),
        store_url=r.text("store.url", "") or None,
        ledger_path=path,
        ledger_lane=r.text("ledger.lane", first_plain),
        ledger_docs=docs,
        remote=remote,
        lanes=branches,
        times=default._replace(
            lease_ms=r.seconds("lane.lease", default.lease_ms // 1000, 3) * 1000,
            cap_ms=r.seconds("lane.cap", default.cap_ms // 1000, 3) * 1000,
            window_ms=r.seconds("lane.reserve_grace", default.window_ms // 1000, 0) * 1000,
            ci_wait_ms=r.seconds("lane.ci_wait", default.ci_wait_ms // 1000) * 1000,
            ci_lease_ms=r.seconds("lane.ci_lease", default.ci_lease_ms // 1000) * 1000,
            ci_cap_ms=r.seconds("lane.ci_cap", default.ci_cap_ms // 1000) * 1000,
        ),
        claim_agent_s=r.seconds("claim.agent", 2 * 3600),
        claim_person_s=r.seconds("claim.person", 72 * 3600),
        smoke=_steps(r, budget_s),
        smoke_budget_s=budget_s,
        server_unclaimed=r.text("server.unclaimed", "take", UNCLAIMED),
        where=r.where,
        unknown=r.leftovers(),
    )
