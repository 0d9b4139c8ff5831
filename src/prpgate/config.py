"""prp.toml and the environment -> a frozen Config that remembers where each value came from.

This module reads no git and no network. Which prp.toml counts (the lane's last fetched tip, else the working tree's)
is decided in gitrepo.policy.
"""

from __future__ import annotations

import re
import tomllib
from typing import NamedTuple

from . import id_pattern
from .errors import UsageError
from .options import FILE as FILE
from .options import LONGEST_GLOB, MOST_GLOBS, Reader

GATES = ("none", "local", "ci", "ci-first")
SCOPES = ("machine", "team")
UNCLAIMED = ("take", "refuse")
UPDATES = ("rebase", "merge")
OBSERVE = ("store", "status")
VIA = ("push", "pr")
METHODS = ("merge", "squash", "rebase")
SLUG = re.compile(r"(?!\.{1,2}/)[A-Za-z0-9_.-]{1,100}/(?!\.{1,2}$)[A-Za-z0-9_.-]{1,100}")
SCOPE_POLICIES = ("warn", "refuse", "off")
NOTIFY_EVENTS = ("lane-closed", "lane-open", "your-turn", "claim-suspect", "red")
NOTIFY_DEFAULT = ("lane-closed", "your-turn", "claim-suspect")
WIP_STATUSES = ("in_progress", "completing", "landed")
GATE_STEP_S, MOST_S = 600, 6 * 3600  # a step of a milestone's gate: when it names no time-out, and at most
DEFAULT_ID_PATTERN = "(P[0-9]|PRP)-[0-9]+"
NAME = re.compile(r"[^\s\x00-\x20\x7f~^:\\-][^\x00-\x20\x7f~^:\\]*")  # no option, no control character, no space
PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
WEBHOOK = re.compile(  # what is sent where: webhook.address reads it again
    r"(?:https://(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\])|http://(?:localhost|127\.0\.0\.1|\[::1\]))"
    r"(?::[0-9]{1,5})?(?:[/?][!-\"$-\[\]-~]*)?"
)
CANDIDATES = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]*/)+")  # a folder of branches


class SmokeStep(NamedTuple):
    """One declared step of the smoke gate."""

    name: str
    run: str  # a shell command, run from the top of the tree
    timeout_s: int
    needs: tuple[str, ...]
    changed: tuple[str, ...] = ()  # globs of paths: needed only where one of them changed; always when empty
    flaky: bool = False  # tried once more when it fails


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
    candidates: str  # what the names of candidate branches begin with; a fence follows
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
    smoke_parallel: int  # steps at the same time, at most; 0: as many as this machine has cores
    smoke_min_s: int  # a run that is faster proves nothing
    smoke_max_age_s: int  # how long a green verdict saves another run; 0: it never does
    smoke_inherit: bool  # whether a diff of ledger entries alone takes its parent's verdict
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
    notify_events: tuple[str, ...]  # of what people are told outside of prpgate
    notify_webhook: str  # where it is posted to; "": nowhere
    notify_command: tuple[str, ...]  # the program that is told, with its arguments; (): none
    where: dict[str, str]  # option -> file it was read from, "default" otherwise
    unknown: tuple[str, ...]  # options this version does not know: a newer prpgate, or a slip

    @property
    def notifies(self) -> bool:
        """Whether anybody is to be told anything outside of prpgate."""
        return bool(self.notify_webhook or self.notify_command)

    @property
    def one_file_per_prp(self) -> bool:
        return self.ledger_path.endswith("/")

    def candidate(self, fence: int) -> str:
        """Name of the branch on which a landing's commit is smoked before it is on the lane (gate ci-first)."""
        return f"{self.candidates}{fence}"

    def fence_of(self, ref: str) -> int | None:
        """The fence of the landing whose candidate branch this is, None when it is none."""
        fence = ref.removeprefix(f"refs/heads/{self.candidates}")
        return int(fence) if fence != ref and fence.isascii() and fence.isdigit() else None


def _gate(reader: Reader, option: str) -> tuple[SmokeStep, ...]:
    """[[gates.validated]] and the like: a list of steps, or one step as a table with `run`."""
    gates = reader.data.get("gates")
    one = gates.get(option.partition(".")[2]) if isinstance(gates, dict) else None
    if isinstance(gates, dict) and isinstance(one, dict):
        reader.data = {**reader.data, "gates": {**gates, option.partition(".")[2]: [one]}}
    return _steps(reader, GATE_STEP_S, option, MOST_S)


def _steps(reader: Reader, budget_s: int, option: str = "smoke", most_s: int | None = None) -> tuple[SmokeStep, ...]:
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
        keys = ("name", "run", "timeout", "needs", *(("changed", "flaky") if option == "smoke" else ()))
        if extra := set(raw) - set(keys):
            raise reader.wrong(where, sorted(extra), f"made of {', '.join(keys[:-1])} and {keys[-1]} only")
        flaky = raw.get("flaky", False)
        if not isinstance(flaky, bool):
            raise reader.wrong(f"{where}: flaky", flaky, "true or false")
        changed = _changed(reader, f"{where}: changed", raw.get("changed"))
        steps.append(SmokeStep(name, raw["run"], min(timeout, most_s or budget_s), tuple(needs), changed, flaky))
    return tuple(steps)


def _changed(reader: Reader, where: str, value: object) -> tuple[str, ...]:
    """Globs of paths, as `paths` of a PRP takes them."""
    if value is None:
        return ()
    items = [value] if isinstance(value, str) else value
    if (
        not isinstance(items, list)
        or not 0 < len(items) <= MOST_GLOBS
        or not all(isinstance(i, str) and i.strip("/") and i.isprintable() and len(i) <= LONGEST_GLOB for i in items)
    ):
        raise reader.wrong(where, value, 'a list of globs from the top of the tree, such as ["src/**"]')
    return tuple(i.removeprefix("./").strip("/") for i in items)


def _suspect(r: Reader) -> int | None:
    given = r.take("claim.suspect", None, int, "a whole number of seconds")
    return None if given is None else r.seconds("claim.suspect", 0, 0)


def _wip(r: Reader) -> Wip:
    return Wip(
        r.limit("wip.per_agent"),
        r.limit("wip.total"),
        r.limits("wip.per_status", WIP_STATUSES),
        tuple(r.limits("wip.per_area").items()),
        r.limit("wip.waiting_to_land"),
        r.text("wip.when_closed", "wait", ("wait", "claim")),
    )


def _phases(r: Reader) -> tuple[str, ...]:
    names = r.take("phases.names", [], list, "a list of texts")
    if not all(isinstance(n, str) and n.strip() and len(n) <= 40 for n in names) or len(set(names)) < len(names):
        raise r.wrong("phases.names", names, "a list of different, short texts")
    return tuple(names)


def _phase_roles(r: Reader) -> dict[str, str]:
    found = r.take("phases.roles", {}, dict, "a table of phase = role")
    for name, role in found.items():
        if name not in _phases(r) or not isinstance(role, str) or not role:
            raise r.wrong(f"phases.roles.{name}", role, "a role, for one of phases.names")
    return dict(found)


def _one_line(r: Reader, option: str, default: str) -> str:
    value = r.text(option, default)
    if not value.strip() or not value.isprintable() or len(value) > LONGEST_GLOB:
        raise r.wrong(option, value, "a name in one line")
    return value


def _repository(r: Reader) -> str:
    value = r.text("ci.repository", "")
    if value and not SLUG.fullmatch(value):
        raise r.wrong("ci.repository", value, 'a repository, as "owner/name"')
    return value


def _land_check(r: Reader) -> str:
    value = r.text("land.check", "prp/lane")
    if not value.isprintable() or len(value) > LONGEST_GLOB:
        raise r.wrong("land.check", value, "a name in one line")
    return value


def _notify(r: Reader) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    """[notify]: events, webhook, command. Whom it is allowed to reach from here is not said in prp.toml."""
    events = r.texts("notify.events", NOTIFY_DEFAULT, least=0)
    for name in events:
        if name not in NOTIFY_EVENTS:
            raise r.wrong("notify.events", name, "one of " + ", ".join(NOTIFY_EVENTS))
    webhook, command = r.text("notify.webhook", ""), r.texts("notify.command", (), least=0)
    if webhook and not (len(webhook) <= 2000 and WEBHOOK.fullmatch(webhook)):
        want = "an https address (http only to localhost or 127.0.0.1), without user and password"
        raise r.wrong("notify.webhook", webhook, want)
    if webhook and command:
        raise r.wrong("notify.command", list(command), "there beside notify.webhook: one of the two")
    if command and ("/" in command[0] and not command[0].startswith("/")):
        want = "a program on PATH or an absolute path: one of the repository would be another on every branch"
        raise r.wrong("notify.command", command[0], want)
    if any("\0" in word for word in command):
        raise r.wrong("notify.command", list(command), "a program and its arguments")
    return events, webhook, command


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
    r = Reader(data, source)
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
        endless = pattern != DEFAULT_ID_PATTERN and id_pattern.slow(pattern)
    except (re.error, ValueError, OverflowError) as e:
        raise r.wrong("id_pattern", pattern, f"a regular expression ({e})") from None
    if endless:
        raise r.wrong(
            "id_pattern",
            pattern,
            "one that is sure to be quick: repeats in repeats, as in (a+)+, can take for ever",
        )
    branches = r.texts("lane.branches", ("main",))
    remote = r.text("lane.remote", "origin")
    for option, name in (("lane.remote", remote), *(("lane.branches", b) for b in branches)):
        if not NAME.fullmatch(name) or ".." in name:
            raise r.wrong(option, name, "a name that git could have")
    path = r.text("ledger.path", "prps/")
    if path.startswith("/") or ".." in path.split("/") or path in ("", FILE):
        raise r.wrong("ledger.path", path, f"a path inside the repository, and not {FILE}")
    docs = r.text("ledger.docs", "")
    candidates = r.text("lane.candidates", "prp-lane/")
    if not CANDIDATES.fullmatch(candidates):
        raise r.wrong("lane.candidates", candidates, 'a folder of branches, such as "prp-lane/"')
    if docs.startswith(("/", ":")) or ".." in docs.split("/"):
        raise r.wrong("ledger.docs", docs, 'a glob inside the repository, such as "PRPs/**/*.md"')
    default = Times()
    budget_s = r.seconds("smoke_gate.budget", 180)
    notify_events, notify_webhook, notify_command = _notify(r)
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
        candidates=candidates,
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
        smoke_parallel=r.number("smoke_gate.parallel", 0, 0),
        smoke_min_s=r.seconds("smoke_gate.min_duration", 0, 0),
        smoke_max_age_s=r.seconds("smoke_gate.max_age", 7 * 86_400, 0),
        smoke_inherit=r.take("smoke_gate.inherit", True, bool, "true or false"),
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
        notify_events=notify_events,
        notify_webhook=notify_webhook,
        notify_command=notify_command,
        where=r.where,
        unknown=r.leftovers(),
    )
