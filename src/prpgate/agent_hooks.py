"""Our hooks in a coding agent's settings: put in and taken out, everything else left as it is.

An entry is ours by the mark at the end of its command. Paths in it are this machine's, so the settings that are not
committed are where it belongs.
"""

from __future__ import annotations

import json
import os
import re
import sys
from shlex import quote
from typing import TYPE_CHECKING, Any, NamedTuple

from . import data, replacing
from .messages import agent_hooks as say

if TYPE_CHECKING:
    from .gitrepo import Repo

SCRIPT = "claude-code"
LOCAL, TEAM = ".claude/settings.local.json", ".claude/settings.json"
MARK = "# prpgate"
TIMEOUT_S = 5
EDITS = "Edit|Write|MultiEdit|NotebookEdit"
_INDENT = re.compile(r'^([ \t]+)"', re.MULTILINE)


class Settings(NamedTuple):
    """One settings file."""

    path: str
    text: str | None  # None: there is no file
    value: dict[str, Any]


def command(event: str) -> str:
    """What the agent runs. An interpreter or script that is gone must not block anybody (exit code 2 would)."""
    script = os.path.join(data.hooks_folder(), SCRIPT)
    return f"{quote(sys.executable)} -I -S {quote(script)} {event} || exit 0 {MARK}"


def wanted() -> dict[str, list[dict[str, Any]]]:
    """The entries that are ours, by Claude Code's name of the event."""

    def run(event: str) -> list[dict[str, Any]]:
        return [{"type": "command", "command": command(event), "timeout": TIMEOUT_S}]

    return {
        "SessionStart": [{"hooks": run("session-start")}],
        "PreToolUse": [{"matcher": EDITS, "hooks": run("before-edit")}],
    }


def leads_out(repo: Repo, name: str) -> bool:
    """Whether a file of the working tree is one outside of it, by a link that git tracks: any branch can bring that."""
    top = os.path.realpath(repo.top)
    if os.path.commonpath([top, os.path.realpath(os.path.join(top, name))]) == top:
        return False
    links = [f":(top,literal){one}" for one in (name, os.path.dirname(name)) if one]
    tracked = repo.maybe("ls-files", "--stage", "--", *links) or ""
    return any(line.startswith("120000 ") for line in tracked.splitlines())


def read(repo: Repo, name: str) -> Settings:
    """Raises UserError for what is no JSON object, or could not be written again without losing something."""
    if leads_out(repo, name):
        raise say.leads_out(name)
    path = os.path.join(repo.top, name)
    try:
        there = replacing.current(path)
        text = there.decode("utf-8") if there is not None else None
    except (OSError, UnicodeDecodeError) as e:
        raise say.no_json(name, str(e)) from None
    if text is None:
        return Settings(path, None, {})
    try:
        value = json.loads(text, object_pairs_hook=_once) if text.strip() else {}
    except (ValueError, RecursionError) as e:
        raise say.no_json(name, str(e)) from None
    hooks = value.get("hooks", {}) if isinstance(value, dict) else None
    if not isinstance(hooks, dict) or not all(_is_groups(hooks.get(event, [])) for event in wanted()):
        raise say.no_json(name, '"hooks" is not what Claude Code reads')
    return Settings(path, text, value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("the same key stands twice in one object")
    return found


def _is_groups(value: object) -> bool:
    def is_hooks(found: object) -> bool:
        return isinstance(found, list) and all(isinstance(h, dict) for h in found)

    return isinstance(value, list) and all(isinstance(g, dict) and is_hooks(g.get("hooks", [])) for g in value)


def install(repo: Repo, name: str) -> bool:
    """Put our entries in, behind what is there; whether anything changed. Raises UserError and writes nothing."""
    for _ in range(replacing.TRIES):
        before = read(repo, name)
        if state(before) == "current":
            return False
        value = without(before.value)
        hooks = value.setdefault("hooks", {})
        for event, groups in wanted().items():
            hooks[event] = [*hooks.get(event, []), *groups]
        if _write(before, value):
            return True
    raise say.no_rest(name)


def remove(repo: Repo, name: str) -> bool:
    """Take our entries out; whether there were any. A file that holds nothing else then goes."""
    for _ in range(replacing.TRIES):
        before = read(repo, name)
        if state(before) == "none":
            return False
        if _write(before, without(before.value)):
            return True
    raise say.no_rest(name)


def state(settings: Settings) -> str:
    """ "current", "stale" (ours, but other than `wanted`: another installation) or "none"."""
    mine = _ours(settings.value)
    if not mine:
        return "none"
    return "current" if mine == _ours({"hooks": wanted()}) else "stale"


def _ours(value: dict[str, Any]) -> list[tuple[str, object, dict[str, Any]]]:
    return [
        (event, group.get("matcher"), hook)
        for event, groups in sorted(value.get("hooks", {}).items())
        if isinstance(groups, list)
        for group in groups
        if isinstance(group, dict)
        for hook in group.get("hooks") or []
        if _is_ours(hook)
    ]


def _is_ours(hook: object) -> bool:
    said = hook.get("command") if isinstance(hook, dict) else None
    return isinstance(said, str) and said.endswith(MARK) and SCRIPT in said


def without(value: dict[str, Any]) -> dict[str, Any]:
    """The settings without our entries, and without what would be empty only for that."""
    hooks: dict[str, Any] = {}
    for event, groups in value.get("hooks", {}).items():
        left = [one for group in groups if (one := _rest(group)) is not None] if isinstance(groups, list) else groups
        if left or left == groups:
            hooks[event] = left
    rest = {k: hooks if k == "hooks" else v for k, v in value.items()}
    if not hooks and value.get("hooks"):
        del rest["hooks"]
    return rest


def _rest(group: Any) -> Any:
    """A group of hooks without ours; None when nothing else is in it."""
    if not isinstance(group, dict) or not any(_is_ours(h) for h in group.get("hooks") or []):
        return group
    left = [h for h in group["hooks"] if not _is_ours(h)]
    return {**group, "hooks": left} if left else None


def _write(before: Settings, value: dict[str, Any]) -> bool:
    """In the file's own manner: its indentation, its line ends, its end; with nothing to write the file goes. False: it
    is not what was read any more (the agent writes it too), and was left."""
    was = before.text.encode() if before.text is not None else None
    if not value:
        return replacing.replace(before.path, was, None)
    text = before.text or ""
    found = _INDENT.search(text)
    indent: str | int | None = found[1] if found else 2 if "\n" in text.strip() or not text.strip() else None
    new = json.dumps(value, indent=indent, ensure_ascii=False)
    try:
        new.encode("utf-8")
    except UnicodeEncodeError:
        new = json.dumps(value, indent=indent)
    if before.text is None or text.endswith("\n") or not text.strip():
        new += "\n"
    if "\r\n" in text:
        new = new.replace("\n", "\r\n")
    return replacing.replace(before.path, was, new.encode())
