"""What the tools answer, as types. Each field costs every client tokens: what no caller needs is not here.

The words are those of `--json` (docs/design.md, "What programs may rely on"); `next` is `next_action` as a call. What
is not there is left out: some hosts take no schema in which a value may be null.
"""

from __future__ import annotations

from typing import (
    Any,
    NotRequired,  # pydantic reads typing's own only from Python 3.12 on
)

from typing_extensions import TypedDict


class Brief(TypedDict):
    """One PRP."""

    id: str
    title: str
    status: str
    owner: NotRequired[str]
    until: NotRequired[str]


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
    next: NotRequired[str]


class Changed(TypedDict):
    """What a verb did to a PRP."""

    prp: Brief
    already: bool
    lease_s: NotRequired[int]
    changed_file: NotRequired[str]
    document: NotRequired[str]
    notes: list[str]
    next: NotRequired[str]


class LandResult(TypedDict):
    """How a landing ended."""

    state: str
    lane: str
    landed: bool
    sha: NotRequired[str]
    position: NotRequired[int]
    waits_for: NotRequired[str]
    run_url: NotRequired[str]
    next: NotRequired[str]


class Lanes(TypedDict):
    """Lanes, as `prp lock status --json`, and in a line each."""

    lanes: list[dict[str, Any]]
    text: str


class Event(TypedDict):
    """One thing that happened."""

    time: str
    what: str
    about: NotRequired[str]
    agent: NotRequired[str]
    detail: str


class Log(TypedDict):
    """Why, and what happened."""

    prp: NotRequired[dict[str, Any]]
    ready: NotRequired[bool]
    reasons: list[str]
    refused: NotRequired[str]
    events: list[Event]
    next: NotRequired[str]


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
