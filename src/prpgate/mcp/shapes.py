"""What the tools answer, as types. Each field costs every client tokens: what no caller needs is not here.

The words are those of `--json` (docs/design.md, "What programs may rely on"); `next` is `next_action` as a call.
"""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict  # pydantic reads typing's own only from Python 3.12 on


class Brief(TypedDict):
    """One PRP."""

    id: str
    title: str
    status: str
    owner: str | None
    until: str | None


class Reason(TypedDict):
    """Why a PRP is not to be had."""

    id: str
    why: str


class Next(TypedDict):
    """What is to be had."""

    agent: str
    yours: list[Brief]
    ready: list[Brief]
    waiting: list[Reason]
    general: list[str]
    more: int
    unread: int
    next: str | None


class Changed(TypedDict):
    """What a verb did to a PRP."""

    prp: Brief
    already: bool
    lease_s: int | None
    changed_file: str | None
    document: str | None
    notes: list[str]
    next: str | None


class LandResult(TypedDict):
    """How a landing ended."""

    state: str
    lane: str
    landed: bool
    sha: str | None
    position: int | None
    run_url: str | None
    next: str | None


class Lanes(TypedDict):
    """Lanes, as `prp lock status --json`, and in a line each."""

    lanes: list[dict[str, Any]]
    text: str


class Event(TypedDict):
    """One thing that happened."""

    time: str
    what: str
    about: str | None
    agent: str | None
    detail: str


class Log(TypedDict):
    """Why, and what happened."""

    prp: dict[str, Any] | None
    ready: bool | None
    reasons: list[str]
    refused: str | None
    events: list[Event]
    next: str | None


class Sent(TypedDict):
    """What became of a message."""

    id: str
    already: bool
    due: int
    known: bool
    near: list[str]


class Inbox(TypedDict):
    """Messages, as `prp inbox --json`."""

    messages: list[dict[str, Any]]
    unread: int
    acked: list[str]


class Check(TypedDict):
    """Findings, as `prp check --json`."""

    errors: int
    more: int
    findings: list[dict[str, Any]]
