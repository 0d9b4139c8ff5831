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
UPDATES = ("rebase", "merge")
OBSERVE = ("store", "status")
VIA = ("push", "pr")
METHODS = ("merge", "squash", "rebase")
SLUG = re.compile(r"[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}")
SCOPE_POLICIES = ("warn", "refuse", "off")
WIP_STATUSES = ("in_progress", "completing", "landed")
GATE_STEP_S, MOST_S = 600, 6 * 3600  # a step of a milestone's gate: when it names no time-out, and at most
DEFAULT_ID_PATTERN = "(P[0-9]|PRP)-[0-9]+"
NAME = re.compile(r"[^\s\x00-\x20\x7f~^:\\-][^\x00-\x20\x7f~^:\\]*")  # no option, no control character, no space
LONGEST_GLOB, MOST_GLOBS = 200, 100  # of agents, ids and paths: the store compares them, and serves nobody meanwhile
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


class Wip(NamedTuple):
    """How much may be under way at once. None: as much as they like."""

    per_agent: int | None = None
    total: int | None = None
    per_status: dict[str, int] = {}  # noqa: RUF012 - read only
    per_area: tuple[tuple[str, int], ...] = ()  # (glob of paths, PRPs at once)
    waiting_to_land: int | None = None
    when_closed: str = "wait"  # whether PRPs are picked while the lane that is the record is closed: "wait", "claim"


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
    lane_update: str  # how `prp land` brings a branch up to the tip
    hotfix: tuple[str, ...]  # agents, by name or glob, who may use `prp land --hotfix`; nobody when empty
    red_retries: int  # how often a red run of the gate is tried again in CI, before it is told
    close_after: int  # red landings in a row that close a lane
    times: Times
    claim_agent_s: int
    claim_person_s: int
    claim_suspect_s: int | None  # how long a claim whose lease is over is still its owner's; None: half a lease
    wip: Wip
    scopes_policy: str  # what a commit inside somebody's exclusive paths gets: "warn", "refuse", "off"
    phases: tuple[str, ...]  # the team's own steps within in_progress, in order
    phase_roles: dict[str, str]  # phase -> the role that moves a PRP on from there
    domains: dict[str, tuple[str, ...]]  # agent -> globs of the ids that are its own
    roles: dict[str, tuple[str, ...]]  # role -> globs of agents' names
    smoke: tuple[SmokeStep, ...]
    smoke_budget_s: int
    gates_validated: tuple[SmokeStep, ...]  # run before a PRP is validated
    gates_complete: tuple[SmokeStep, ...]  # run before a PRP is recorded as complete
    server_unclaimed: str  # what a server does with a push to a free lane that nobody announced
    ci_observe: str  # how a lane hears of a run: "store", CI tells it; "status", clients read the host's check run
    ci_check: str  # name of the check run that counts
    ci_app: str  # slug of the app whose check runs count
    ci_workflow: str  # the workflow's file, to start a run by hand; "": nobody starts one
    ci_poll_s: int  # between two looks at the host
    ci_api: str  # address of the host's API; "": from the remote's address
    ci_repository: str  # "owner/name" there; "": from the remote's address
    via: str  # how `prp land` brings a branch to the lane: "push", or "pr", by merging its pull request
    land_method: str  # how a pull request is merged; "": the first way that the repository allows
    land_check: str  # name of the status that keeps the merge button in line; "": none is set
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
        return self.number(option, default, least, "a whole number of seconds")

    def number(self, option: str, default: int, least: int, what: str = "a whole number") -> int:
        value: int = self.take(option, default, int, what)
        if value < least:
            raise self.wrong(option, value, f"{what} from {least} up")
        return value

    def texts(self, option: str, default: tuple[str, ...], least: int = 1) -> tuple[str, ...]:
        value = self.take(option, list(default), list, "a list of texts")
        if len(value) < least or not all(isinstance(v, str) and v for v in value):
            raise self.wrong(option, value, "a list of texts" + (" with at least one in it" if least else ""))
        return tuple(value)

    def limit(self, option: str) -> int | None:
        value: int | None = self.take(option, None, int, "a whole number")
        if value is not None and value < 1:
            raise self.wrong(option, value, "a whole number from 1 up")
        return value

    def limits(self, option: str, allowed: tuple[str, ...] = ()) -> dict[str, int]:
        found: dict[str, int] = self.take(option, {}, dict, "a table of whole numbers")
        for name, value in found.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise self.wrong(f"{option}.{name}", value, "a whole number from 1 up")
            if allowed and name not in allowed:
                raise self.wrong(option, name, "one of " + ", ".join(allowed))
            if len(name) > LONGEST_GLOB or len(found) > MOST_GLOBS:
                most = f"a table of at most {MOST_GLOBS} names of at most {LONGEST_GLOB} letters"
                raise self.wrong(option, f"{name[:40]} ...", most)
        return found

    def lists(self, option: str) -> dict[str, tuple[str, ...]]:
        """A table whose values are a text, or a list of texts."""
        found: dict[str, tuple[str, ...]] = {}
        for name, value in self.take(option, {}, dict, "a table").items():
            items = [value] if isinstance(value, str) else value
            if not isinstance(items, list) or not items or not all(isinstance(v, str) and v for v in items):
                raise self.wrong(f"{option}.{name}", value, "a text or a list of texts")
            if len(items) > MOST_GLOBS or any(len(i) > LONGEST_GLOB for i in items):
                most = f"at most {MOST_GLOBS} texts of at most {LONGEST_GLOB} letters"
                raise self.wrong(f"{option}.{name}", f"{str(value)[:40]} ...", most)
            found[name] = tuple(items)
            self.taken.add(f"{option}.{name}")
        return found

    def leftovers(self) -> tuple[str, ...]:
        found = []
        for key, value in self.data.items():
            if isinstance(value, dict):
                found += [f"{key}.{k}" for k in value if f"{key}.{k}" not in self.taken]
            elif key not in self.taken:
                found.append(key)
        return tuple(found)


def _gate(reader: _Reader, option: str) -> tuple[SmokeStep, ...]:
    """[[gates.validated]] and the like: a list of steps, or one step as a table with `run`."""
    gates = reader.data.get("gates")
    one = gates.get(option.partition(".")[2]) if isinstance(gates, dict) else None
    if isinstance(gates, dict) and isinstance(one, dict):
        reader.data = {**reader.data, "gates": {**gates, option.partition(".")[2]: [one]}}
    return _steps(reader, GATE_STEP_S, option, MOST_S)


def _steps(reader: _Reader, budget_s: int, option: str = "smoke", most_s: int | None = None) -> tuple[SmokeStep, ...]:
    """The steps of one option. `budget_s` is a step's time-out when it names none, and the most unless `most_s` is."""
    steps: list[SmokeStep] = []
    for n, raw in enumerate(reader.take(option, [], list, f"a list of [[{option}]] tables")):
        where = f"[[{option}]] number {n + 1}"
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
        steps.append(SmokeStep(name, raw["run"], min(timeout, most_s or budget_s), tuple(needs)))
    return tuple(steps)


def _suspect(r: _Reader) -> int | None:
    given = r.take("claim.suspect", None, int, "a whole number of seconds")
    return None if given is None else r.seconds("claim.suspect", 0, 0)


def _wip(r: _Reader) -> Wip:
    return Wip(
        r.limit("wip.per_agent"),
        r.limit("wip.total"),
        r.limits("wip.per_status", WIP_STATUSES),
        tuple(r.limits("wip.per_area").items()),
        r.limit("wip.waiting_to_land"),
        r.text("wip.when_closed", "wait", ("wait", "claim")),
    )


def _phases(r: _Reader) -> tuple[str, ...]:
    names = r.take("phases.names", [], list, "a list of texts")
    if not all(isinstance(n, str) and n.strip() and len(n) <= 40 for n in names) or len(set(names)) < len(names):
        raise r.wrong("phases.names", names, "a list of different, short texts")
    return tuple(names)


def _phase_roles(r: _Reader) -> dict[str, str]:
    found = r.take("phases.roles", {}, dict, "a table of phase = role")
    for name, role in found.items():
        if name not in _phases(r) or not isinstance(role, str) or not role:
            raise r.wrong(f"phases.roles.{name}", role, "a role, for one of phases.names")
    return dict(found)


def _one_line(r: _Reader, option: str, default: str) -> str:
    value = r.text(option, default)
    if not value.strip() or not value.isprintable() or len(value) > LONGEST_GLOB:
        raise r.wrong(option, value, "a name in one line")
    return value


def _repository(r: _Reader) -> str:
    value = r.text("ci.repository", "")
    if value and not SLUG.fullmatch(value):
        raise r.wrong("ci.repository", value, 'a repository, as "owner/name"')
    return value


def _land_check(r: _Reader) -> str:
    value = r.text("land.check", "prp/lane")
    if not value.isprintable() or len(value) > LONGEST_GLOB:
        raise r.wrong("land.check", value, "a name in one line")
    return value


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
        lane_update=r.text("lane.update", "rebase", UPDATES),
        hotfix=r.texts("lane.hotfix", (), least=0),
        red_retries=r.number("lane.red_retries", 1, 0),
        close_after=r.number("lane.close_after", 1, 1),
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
        claim_suspect_s=_suspect(r),
        wip=_wip(r),
        scopes_policy=r.text("scopes.policy", "warn", SCOPE_POLICIES),
        phases=_phases(r),
        phase_roles=_phase_roles(r),
        domains=r.lists("domains"),
        roles=r.lists("roles"),
        smoke=_steps(r, budget_s),
        smoke_budget_s=budget_s,
        gates_validated=_gate(r, "gates.validated"),
        gates_complete=_gate(r, "gates.complete"),
        server_unclaimed=r.text("server.unclaimed", "take", UNCLAIMED),
        ci_observe=r.text("ci.observe", "store", OBSERVE),
        ci_check=_one_line(r, "ci.check", "smoke"),
        ci_app=_one_line(r, "ci.app", "github-actions"),
        ci_workflow=r.text("ci.workflow", "smoke.yml"),
        ci_poll_s=r.seconds("ci.poll", 10),
        ci_api=r.text("ci.api", ""),
        ci_repository=_repository(r),
        via=r.text("via", "push", VIA),
        land_method=r.text("land.method", "", ("", *METHODS)),
        land_check=_land_check(r),
        where=r.where,
        unknown=r.leftovers(),
    )
