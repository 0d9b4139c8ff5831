"""GitHub's side of the contract: what a runner tells a step, and the four ways a step tells it something back.

Everything from outside (branch names, titles, what steps print) is made inert on the way out: it can neither end a
workflow command nor start one, and the summary shows it as text.
"""

from __future__ import annotations

import html
import json
import os
import re
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

from timeline import bars

from prpgate.errors import UsageError
from prpgate.messages import smoke as say
from prpgate.messages import timeline as when
from prpgate.output import inert

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from timeline import Moment

    from prpgate.model import Finding
    from prpgate.steps import StepResult

SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
FENCE = re.compile(r"[0-9]{1,20}", re.ASCII)
# What a step could use to speak in this action's name. PRP_REDIS_URL is the store's address with its password.
NOT_FOR_STEPS = (
    *(
        "PRP_REDIS_URL",
        "PRP_HOST_TOKEN",
        "PRP_NOTIFY_SECRET",
        "PRP_JUNIT",
        "PRP_NO_CACHE",
        "GITHUB_OUTPUT",
        "GITHUB_STEP_SUMMARY",
        "GITHUB_ENV",
        "GITHUB_PATH",
        "GITHUB_STATE",
    ),
    *("ACTIONS_RUNTIME_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL"),
)
ANNOTATIONS = 10  # GitHub shows no more of a kind for one step (and 50 for a job: three kinds of one step are 30)
KINDS = ("error", "warning", "notice")
SUMMARY_BYTES = 1024 * 1024  # GitHub takes no longer summary of a step: one byte more, and nothing is shown
TAIL_LINES, TAIL_CHARS = 40, 500


class Event(NamedTuple):
    """Why this run exists."""

    name: str  # "push", "pull_request", "merge_group", "workflow_dispatch" …
    ref: str  # full name of the branch or tag, or of the merge that a pull request stands for
    sha: str  # the commit the run is about
    own: str  # the commit that the host runs it for, and shows its check run on: a dispatch may name another
    base: str | None  # what stood there before, where the event says so
    actor: str
    run_url: str
    run: str  # this attempt of this run: no other has the same
    deleted: bool  # the branch is gone, so there is nothing to smoke
    lane_ref: str  # the branch it is about: for a merge group the one that the queue merges into
    fence: int | None  # of a dispatch: the fence of the landing that asked for this run; -1 when that is no number
    pushed: Any  # what the payload says of the repository, the time of the push among it


def read(env: Mapping[str, str]) -> Event:
    """The event of this run. Raises UsageError when this is no runner, or the payload is none."""
    sha = env.get("GITHUB_SHA", "")
    if not SHA.fullmatch(sha):
        raise UsageError(
            "this is no GitHub Actions runner: GITHUB_SHA names no commit.", code="no-runner", next_action="prp smoke"
        )
    path = env.get("GITHUB_EVENT_PATH", "")
    try:
        with open(path, encoding="utf-8") as f:
            payload = json.load(f)
    except (OSError, ValueError) as e:
        raise UsageError(f"the event at GITHUB_EVENT_PATH ({path}) cannot be read: {e}.", code="no-event") from None
    name = env.get("GITHUB_EVENT_NAME", "")
    base = {
        "push": _at(payload, "before"),
        "pull_request": _at(payload, "pull_request", "base", "sha"),
        "merge_group": _at(payload, "merge_group", "base_sha"),
    }.get(name)
    ref, lane_ref, fence = env.get("GITHUB_REF", ""), env.get("GITHUB_REF", ""), None
    if name == "merge_group":
        lane_ref = str(_at(payload, "merge_group", "base_ref") or "")
    if name == "workflow_dispatch":
        sha = str(_at(payload, "inputs", "sha") or sha)  # what is no sha is no commit that is checked out
        given = str(_at(payload, "inputs", "fence") or "")
        fence = (int(given) if FENCE.fullmatch(given) else -1) if given else None
    run = f"{env.get('GITHUB_RUN_ID', '0')}/attempts/{env.get('GITHUB_RUN_ATTEMPT', '1')}"
    where = f"{env.get('GITHUB_SERVER_URL', 'https://github.com')}/{env.get('GITHUB_REPOSITORY', '')}"
    return Event(
        name=name,
        ref=ref,
        sha=sha,
        own=env["GITHUB_SHA"],
        base=base if isinstance(base, str) and SHA.fullmatch(base) else None,
        actor=env.get("GITHUB_ACTOR", ""),
        run_url=f"{where}/actions/runs/{run}",
        run=run,
        deleted=_at(payload, "deleted") is True,
        lane_ref=lane_ref,
        fence=fence,
        pushed=_at(payload, "repository") if name == "push" else None,
    )


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def env_for_steps(env: Mapping[str, str], store: str = "") -> dict[str, str]:
    """What the declared steps see: not the address of the store that this run speaks to, by whatever name, nor the
    files by which this action speaks."""
    addresses = {env.get("PRP_REDIS_URL", ""), store} - {""}
    return {k: v for k, v in env.items() if k not in NOT_FOR_STEPS and v not in addresses}


# --- workflow commands ------------------------------------------------------------------------------------------------
def plain(value: object) -> str:
    """One line in which the runner finds no command: neither its old form, anywhere, nor its new one at the start."""
    line = inert(value).replace("##[", "# #[")
    return f"| {line}" if line.lstrip().startswith("::") else line


def command(name: str, message: str = "", **properties: object) -> str:
    """One workflow command, escaped as GitHub's toolkit does it, so that no value can end it or start another."""

    def data(value: object) -> str:
        lines = (inert(line).replace("##[", "# #[") for line in str(value).split("\n"))
        return "%0A".join(line.replace("%", "%25") for line in lines)

    def one(value: object) -> str:
        return data(value).replace(":", "%3A").replace(",", "%2C")

    given = ",".join(f"{k}={one(v)}" for k, v in properties.items() if v not in (None, ""))
    return f"::{name}{' ' if given else ''}{given}::{data(message)}"


def of_finding(f: Finding) -> str:
    """An annotation at the place that a finding is about; without a place where that is no file (a commit message)."""
    said = f"{f.id}: {f.message}" if f.id else f.message
    text = f"{said}\n{f.fix}" if f.fix else said
    if f.line < 1:
        return command(f.severity, f"{f.file}: {text}", title=f.code)
    return command(f.severity, text, file=f.file, line=f.line, col=max(f.column, 1), title=f.code)


class Log:
    """The step's log: what it says itself, and in between, fenced off, what the declared steps print."""

    def __init__(self) -> None:
        self.token = ""
        self.shown: dict[str, int] = {}
        self.left_out = 0  # annotations that GitHub would not show

    def line(self, text: str = "") -> None:
        print(inert(text) if self.token else plain(text), flush=True)

    def tell(self, command: str, *, last: bool = False) -> None:
        """A workflow command; of annotations no more than GitHub shows. The `last` one of its kind has a place kept."""
        kind = command.removeprefix("::").partition(" ")[0].partition(":")[0]
        if kind in KINDS:
            if self.shown.get(kind, 0) >= ANNOTATIONS - (not last):
                self.left_out += 1
                return
            self.shown[kind] = self.shown.get(kind, 0) + 1
        print(command, flush=True)

    def findings(self, found: Iterable[Finding]) -> None:
        for f in sorted(found, key=lambda f: f.severity != "error"):
            self.tell(of_finding(f))
            place = f"{f.file}:{f.line}:{f.column}" if f.line else f.file
            self.line(f"  {f.code} {place}  {f'{f.id}: ' if f.id else ''}{f.message}")

    def open(self, title: str) -> None:
        """From here to `close` lines are somebody else's: none of them is taken for a workflow command."""
        self.tell(command("group", title))
        self.token = secrets.token_hex(16)
        self.tell(command("stop-commands", self.token))

    def close(self) -> None:
        if self.token:
            self.tell(f"::{self.token}::")
            self.tell(command("endgroup"))
            self.token = ""


# --- files that the runner reads --------------------------------------------------------------------------------------
def set_outputs(path: str | None, values: Mapping[str, str]) -> None:
    """Give outputs. The delimiter is random: no value can end itself and go on as another output."""
    if not path:
        return
    with open(path, "a", encoding="utf-8") as f:
        for name, value in values.items():
            end = secrets.token_hex(16)
            f.write(f"{name}<<{end}\n{inert(value)}\n{end}\n")


def add_summary(path: str | None, text: str) -> None:
    """Add blocks to the job summary; those beyond what GitHub takes are left out, and that is said."""
    if path:
        with open(path, "ab") as f:
            f.write(fitting(text, SUMMARY_BYTES - f.tell()).encode("utf-8", "replace"))


def fitting(text: str, most: int) -> str:
    """As many whole blocks of a summary as fit into so many bytes."""
    if len(text.encode("utf-8", "replace")) <= most:
        return text
    end = f"<p>{when.CUT}</p>\n\n"
    used, kept = len(end.encode()), ""
    for block in text.split("\n\n"):
        used += len(block.encode("utf-8", "replace")) + 2
        if used > most:
            break
        kept += block + "\n\n"
    return kept + end if len(end.encode()) <= most else ""


def text(value: object) -> str:
    """Text for HTML: escaped, on one line, so that no Markdown is read in it."""
    return html.escape(inert(value))


def summary(
    result: str,
    reason: str,
    facts: Mapping[str, str],
    steps: Sequence[StepResult],
    found: list[Finding],
    moments: Sequence[Moment] = (),
) -> str:
    """The job summary as blocks of plain HTML. Inside a block GitHub reads no Markdown."""
    rows = "".join(f"<tr><td>{text(k)}</td><td>{text(v)}</td></tr>" for k, v in facts.items() if v)
    parts = [f"<h3>smoke gate: {text(result)}</h3>", f"<p>{text(reason)}</p>", f"<table>{rows}</table>"]
    ran = "".join(
        f"<tr><td>{text(s.name)}</td><td>{text(s.outcome)}</td>"
        f"<td>{'' if s.code is None else s.code}</td><td>{text(say.seconds(s.duration_s))}</td></tr>"
        for s in steps
    )
    if ran:
        parts.append(f"<table><tr><th>step</th><th>outcome</th><th>exit</th><th>time</th></tr>{ran}</table>")
    if moments:
        parts.append(timeline(moments))
    if found:
        listed = "".join(
            f"<tr><td>{text(f.code)}</td><td>{text(f'{f.file}:{f.line}' if f.line else f.file)}</td>"
            f"<td>{text(f.id or '')}</td><td>{text(f.message)}</td></tr>"
            for f in found[:100]
        )
        parts.append(f"<table><tr><th>code</th><th>place</th><th>PRP</th><th>finding</th></tr>{listed}</table>")
    for s in steps:
        if s.outcome not in ("passed", "skipped") and s.tail:
            last = "\n".join(text(line[:TAIL_CHARS]) for line in s.tail[-TAIL_LINES:])
            parts += [f"<p>The end of what {text(s.name)} printed:</p>", f"<pre>\n{last}\n</pre>"]
    return "\n\n".join(parts) + "\n\n"


def timeline(moments: Sequence[Moment]) -> str:
    """When what happened, as a table with bars."""
    rows = "".join(
        f"<tr><td>{m.at_s:+.1f} s</td><td>{text(m.what)}</td>"
        f"<td>{'' if m.took_s is None else text(say.seconds(m.took_s))}</td><td><code>{bar}</code></td></tr>"
        for m, bar in zip(moments, bars(moments), strict=True)
    )
    return f"<table><tr><th>at</th><th>what</th><th>took</th><th></th></tr>{rows}</table>"


def workspace(env: Mapping[str, str]) -> str:
    return env.get("GITHUB_WORKSPACE") or os.getcwd()
