"""Where the hosts of MCP servers keep their settings, and what is written there for this clone."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from typing import Any, NamedTuple

from .. import replacing
from ..messages import mcp as say
from . import jsontext

BOM = b"\xef\xbb\xbf"


class Host(NamedTuple):
    """One kind of client."""

    name: str
    group: str  # of its file: which object holds the servers
    file: str | None  # in the clone; None: one file for all projects
    more: dict[str, Any]  # that it wants in each entry


HOSTS = (
    Host("claude-desktop", "mcpServers", None, {}),
    Host("claude-code", "mcpServers", ".mcp.json", {}),
    Host("cursor", "mcpServers", ".cursor/mcp.json", {}),
    Host("vscode", "servers", ".vscode/mcp.json", {"type": "stdio"}),
)


class Plan(NamedTuple):
    """What a host's file is, and what it is to be."""

    host: Host
    path: str
    key: str
    entry: dict[str, Any]
    before: bytes | None  # None: there is no such file
    after: bytes | None  # None: nothing but our entry was in it, so it goes

    @property
    def changes(self) -> bool:
        return self.before != self.after


def path_of(host: Host, root: str) -> str:
    """Its file. Raises UserError where the host does not exist."""
    if host.file is not None:
        return os.path.join(root, host.file)
    if sys.platform == "darwin":
        folder = os.path.expanduser("~/Library/Application Support")
    else:
        folder = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return os.path.join(folder, "Claude", "claude_desktop_config.json")


def entry(host: Host, root: str) -> dict[str, Any]:
    """How the host starts the server. -P: a folder `mcp` or `redis` of a repository is no package of ours."""
    return {**host.more, "command": sys.executable, "args": ["-P", "-m", "prpgate", "mcp", "--path", root]}


def key(host: Host, root: str, project: str) -> str:
    """The entry's name: where one file serves all projects, the project is in it."""
    if host.file is not None:
        return "prpgate"
    short = re.sub(r"[^A-Za-z0-9_-]+", "-", project.rpartition("/")[2])[:30].strip("-") or "project"
    return f"prpgate-{short}-{hashlib.sha256(root.encode('utf-8', 'surrogateescape')).hexdigest()[:4]}"


def plan(host: Host, root: str, project: str, *, remove: bool = False) -> Plan:
    """What is to be written. Raises UserError, with the block to paste, for a file that is no plain JSON."""
    path, name, own = path_of(host, root), key(host, root, project), entry(host, root)
    try:
        before = replacing.current(path)
    except OSError as e:
        raise say.host_file(path, e.strerror or "cannot be read") from None
    if remove and (before is None or _is_only_ours(before, host.group, name, path)):
        return Plan(host, path, name, own, before, None)
    mark = BOM if before and before.startswith(BOM) else b""
    try:
        text = (before or b"")[len(mark) :].decode("utf-8")
        if remove:
            text = jsontext.cut(text, host.group, name)
        elif not _says(text, host.group, name, own):
            text = jsontext.put(text, host.group, name, own)
    except ValueError as e:  # a byte that is no UTF-8 as well
        raise say.not_plain(path, str(e), block(host, name, own), remove=remove) from None
    return Plan(host, path, name, own, before, mark + text.encode())


def _is_only_ours(before: bytes, group: str, name: str, path: str) -> bool:
    """Whether a file is as `put` makes it out of nothing, with whatever entry of ours: then we have made it."""
    try:
        text = before.decode("utf-8")
        there = jsontext.parse(text).get(group)
    except ValueError:
        return False
    if os.path.islink(path) or not isinstance(there, dict) or name not in there:
        return False
    return text == jsontext.put("", group, name, there[name])


def _says(text: str, group: str, name: str, own: dict[str, Any]) -> bool:
    """Whether it is there already, however it is written."""
    there = jsontext.parse(text).get(group) if text.strip() else None
    return isinstance(there, dict) and there.get(name) == own


def block(host: Host, name: str, own: dict[str, Any]) -> str:
    """What somebody would paste, as a whole file."""
    return jsontext.put("", host.group, name, own)


def carry_out(p: Plan, root: str, project: str, *, remove: bool = False) -> Plan:
    """Put a plan into its file; if somebody has written it since, judge it again first. The plan that was carried out.
    Raises UserError, and nothing was changed."""
    for _ in range(replacing.TRIES):
        if not p.changes or _write(p):
            return p
        p = plan(p.host, root, project, remove=remove)
    raise say.host_file(p.path, "somebody else writes it all the time")


def _write(p: Plan) -> bool:
    """False: the file is not what was judged, and was left."""
    try:
        return replacing.replace(p.path, p.before, p.after)
    except OSError as e:
        raise say.host_file(p.path, e.strerror or "cannot be written") from None
