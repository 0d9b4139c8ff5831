"""One look into the store for an agent's hook: a raw socket, one script, nothing changed. No git, no redis-py.

A hook has three Python starts to spend, and finding policy and store properly costs more. So every `prp` command that
reached the store notes in the clone where it was (`keep`), without any password; here that note is used, or the
address in the environment, which goes before it. What answers must hold the project's store id.
"""

from __future__ import annotations

import json
import os
import socket
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from .store.keys import Keys, script_keys

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .config import Config
    from .scopes import Held
    from .store.client import Store

FILE = "agent-look"  # below prpgate/ in the clone's common git dir
VARIABLES = ("PRP_REDIS_URL", "REDIS_URL")
TIMEOUT_S = 0.4
MOST_BYTES = 4 * 1024 * 1024


class Place(NamedTuple):
    """The repository that a path is in, found without git."""

    top: str
    git_dir: str
    own_dir: str  # ours, in the common git dir


def place(path: str) -> Place | None:
    """Where a path is, by walking up to `.git`; None outside of a working tree."""
    folder = os.path.abspath(path)
    while True:
        mark = os.path.join(folder, ".git")
        if os.path.isdir(mark):
            return Place(folder, mark, os.path.join(mark, "prpgate"))
        if os.path.isfile(mark):
            with open(mark, encoding="utf-8", errors="surrogateescape") as f:
                word, _, target = f.read().rstrip("\n").partition(": ")
            git_dir = os.path.normpath(os.path.join(folder, target))
            if word != "gitdir" or not os.path.isdir(git_dir):
                return None
            common = _line(os.path.join(git_dir, "commondir"))
            return Place(folder, git_dir, os.path.join(git_dir, common, "prpgate"))
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def _line(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as f:
            return f.readline().strip()
    except OSError:
        return ""


def agent(where: Place) -> tuple[str, str]:
    """(name, where it comes from), as `identity.agent` finds it; git is asked only when nothing nearer says."""
    named = os.environ.get("PRP_AGENT", "").strip()
    if named:
        return _inert(named), "PRP_AGENT"
    if kept := _line(os.path.join(where.git_dir, "prp-agent")):
        return _inert(kept), "this worktree"
    from . import identity
    from .gitrepo import Repo

    return identity.agent(Repo(where.top))


def _inert(name: str) -> str:
    if name.isascii() and name.isprintable():
        return name
    from .output import inert

    return inert(name)


# --- the note --------------------------------------------------------------------------------------------------------


def keep(own_dir: str, config: Config, store: Store) -> None:
    """Note where the store of this clone was found. That it cannot be written is no reason to fail."""
    note = {
        "project": config.project,
        "store_id": config.store_id,
        "rule": store.rule,
        "url": store.url,
        "policy": config.scopes_policy,
        "ledger": config.ledger_path,
        "lanes": [b for b in config.lanes if not set(b) & set("*?[")],
        "roles": {role: list(globs) for role, globs in config.roles.items()},
    }
    text = json.dumps(note)
    path = os.path.join(own_dir, FILE)
    try:
        with open(path, encoding="utf-8") as f:
            if f.read() == text:
                return
    except (OSError, UnicodeDecodeError):
        pass
    spare = f"{path}.{os.getpid()}"
    try:
        os.makedirs(own_dir, exist_ok=True)
        with open(spare, "w", encoding="utf-8") as f:
            f.write(text)
        os.replace(spare, path)
    except OSError:
        return


def start(own_dir: str) -> None:
    """From now on commands keep the note."""
    os.makedirs(own_dir, exist_ok=True)
    with open(os.path.join(own_dir, FILE), "a", encoding="utf-8"):
        pass


def note(where: Place) -> dict[str, Any] | None:
    """What `keep` wrote; None where it never did."""
    try:
        with open(os.path.join(where.own_dir, FILE), encoding="utf-8") as f:
            found = json.load(f)
    except (OSError, ValueError):
        return None
    wanted = {"project", "store_id", "rule", "url", "policy", "ledger", "lanes", "roles"}
    return found if isinstance(found, dict) and wanted <= found.keys() else None


# --- asking ----------------------------------------------------------------------------------------------------------


def script(name: str) -> str:
    """A script's text with what it includes, as `store.scripts` puts it together, without redis-py."""
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lua")
    with open(os.path.join(folder, f"{name}.lua"), encoding="utf-8") as f:
        body = f.read()
    first = body.partition("\n")[0]
    return f"{script('_' + first.partition(':')[2].strip())}\n{body}" if first.startswith("-- include:") else body


def paths_held(found: Mapping[str, Any], me: str, where: Place) -> dict[str, Any] | None:
    """What others have for themselves; None when the store did not answer."""
    keys = Keys(found["project"])
    return ask(found, where, "agent_paths", [keys.claims, keys.briefs, keys.meta], [me])


def held(answer: Mapping[str, Any], now_s: float) -> list[Held]:
    """What `paths_held` answered, in times of this machine's clock."""
    from .scopes import Held

    shift_s = now_s - answer["now"] / 1000
    return [
        Held(int(deadline / 1000 + shift_s), str(i), str(who), str(glob), int(over / 1000 + shift_s))
        for i, who, deadline, over, globs in answer["held"] or ()
        for glob in globs
    ]


def brief(found: Mapping[str, Any], me: str, where: Place) -> dict[str, Any] | None:
    """What a session begins with; None when the store did not answer."""
    from fnmatch import fnmatchcase

    k = Keys(found["project"])
    lanes = [key for lane in found["lanes"] for key in k.lane(lane)[:2]]
    mine = [role for role, globs in found["roles"].items() if any(fnmatchcase(me, glob) for glob in globs)]
    return ask(found, where, "agent_brief", [*script_keys(k), *lanes], [me, json.dumps(mine)])


def ask(
    found: Mapping[str, Any], where: Place, name: str, keys: Sequence[str], args: Sequence[str]
) -> dict[str, Any] | None:
    """Run a script that changes nothing, in one round trip within TIMEOUT_S; None when no store of ours answered."""
    try:
        address = _address(found, where)
        reply = address and _exchange(address, ["EVAL", script(name), str(len(keys)), *keys, *args])
        answer = json.loads(reply) if reply else None
    except (OSError, ValueError):
        return None
    return answer if isinstance(answer, dict) and answer.get("store") == found["store_id"] else None


def _address(found: Mapping[str, Any], where: Place) -> str:
    """The store's address, with its password where it has one. "" when it cannot be known here."""
    for name in VARIABLES:
        if url := os.environ.get(name, "").strip():
            return url
    if found["rule"] == ".env":  # the note has no password
        from .store.discover import dotenv

        values = dotenv(where.top)
        return next((values[n] for n in VARIABLES if values.get(n)), "")
    return str(found["url"])


def _exchange(url: str, words: Sequence[str]) -> str | None:
    """Log in, choose the database and run one command, all sent at once. Raises OSError and ValueError."""
    until = time.monotonic() + TIMEOUT_S
    if url.startswith("unix:///") and not set(url) & set("?#%@"):  # as the embedded one's is; urllib is not for nothing
        with _connect("unix", url[7:], "", 0, {}) as s:
            s.sendall(_command(words))
            return _replies(s, 1, until)
    from urllib.parse import parse_qs, unquote, urlsplit

    parts = urlsplit(url)
    options = {k: v[-1] for k, v in parse_qs(parts.query).items()}
    password = unquote(parts.password or "") or options.get("password", "")
    user = unquote(parts.username or "") or options.get("username", "")
    number = options.get("db", "") if parts.scheme == "unix" else parts.path.strip("/") or options.get("db", "")
    before = [["AUTH", *([user] if user else []), password]] if password else []
    before += [["SELECT", number]] if number not in ("", "0") else []
    with _connect(parts.scheme, unquote(parts.path), parts.hostname or "localhost", parts.port or 6379, options) as s:
        s.sendall(b"".join(_command(w) for w in [*before, words]))
        return _replies(s, len(before) + 1, until)


def _connect(scheme: str, path: str, host: str, port: int, options: Mapping[str, str]) -> socket.socket:
    if scheme == "unix":
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(TIMEOUT_S)
        s.connect(path)
        return s
    s = socket.create_connection((host, port), TIMEOUT_S)
    if scheme != "rediss":
        return s
    import ssl

    context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"), capath=options.get("ssl_ca_path"))
    if options.get("ssl_certfile"):
        context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"))
    if options.get("ssl_cert_reqs") == "none" or options.get("ssl_check_hostname", "").lower() == "false":
        context.check_hostname = False
    if options.get("ssl_cert_reqs") == "none":
        context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(s, server_hostname=host)


def _command(words: Sequence[str]) -> bytes:
    raw = [w.encode("utf-8", "replace") for w in words]
    return b"*%d\r\n" % len(raw) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in raw)


def _replies(s: socket.socket, count: int, until: float) -> str | None:
    """The last of so many replies, a text; None where it is none."""
    got = b""
    while True:
        rest, last = got, None
        for _ in range(count):
            head, end, rest = rest.partition(b"\r\n")
            if not end:
                break
            last = head
            if head.startswith(b"$") and head != b"$-1":
                size = int(head[1:])
                if len(rest) < size + 2:
                    break
                last, rest = b"$" + rest[:size], rest[size + 2 :]
        else:
            return last[1:].decode("utf-8", "replace") if last and last.startswith(b"$") else None
        left = until - time.monotonic()
        if left <= 0 or len(got) > MOST_BYTES:
            return None
        s.settimeout(left)
        more = s.recv(262_144)
        if not more:
            return None
        got += more
