"""Names that this working tree knows without asking anybody: PRPs, lanes, agents, roles. For completion in shells.

Everything is read from prp.toml and the ledger as they stand in the working tree, quickly and without judging them:
what cannot be read is not there. Nothing here raises, starts a process (but `branches`), or talks to the store.
"""

from __future__ import annotations

import os
import re
from functools import cached_property
from typing import Any, NamedTuple, Self

from .ledger_scan import is_id

AGENTS = "prp-agents"  # in the repository's common git dir: agents as somebody here saw them last
MOST_BYTES = 64 << 20  # of a ledger that is looked at
HEAD_BYTES = 65_536  # of one PRP's file
MOST_TITLES = 300  # files of a folder that are opened for their titles
GLOB = re.compile(r"[*?\[]")
_KEY = re.compile(rb"""^( *)(?:"([^"\n]+)"|'([^'\n]+)'|([A-Za-z0-9_][^\s:#'"{\[]*))[ ]*:[ \t]*$""")
_TOLD = re.compile(rb"""^ *["']?(title|status|owner)["']?[ ]*:[ ]+(.*?)[ \t\r]*$""")
_FIELD = re.compile(rb"""(?m)^["']?(id|title|status|owner)["']?[ ]*:[ ]+(.*?)[ \t\r]*$""")


class Known(NamedTuple):
    """A PRP as its ledger entry says."""

    id: str
    title: str = ""
    status: str = ""
    owner: str = ""


class Names:
    """What is known around a folder. Everything is empty outside a repository that uses prpgate."""

    def __init__(self, folder: str) -> None:
        self.top = _top(folder)

    @classmethod
    def here(cls) -> Self:
        """Around the current folder; one that was deleted has nothing around it."""
        try:
            return cls(os.getcwd())
        except OSError:
            return cls(os.sep)

    @cached_property
    def _settings(self) -> dict[str, Any]:
        import tomllib

        try:
            with open(os.path.join(self.top or "", "prp.toml"), "rb") as f:
                return tomllib.load(f) if self.top else {}
        except (OSError, ValueError, RecursionError):
            return {}

    def _table(self, name: str) -> dict[str, Any]:
        found = self._settings.get(name)
        return found if isinstance(found, dict) else {}

    # --- PRPs ---------------------------------------------------------------------------------------------------------
    def prps(self, prefix: str = "") -> list[Known]:
        """Those whose id begins so (whatever its case), in the ledger's order."""
        path = self._table("ledger").get("path", "prps/")
        if self.top is None or not isinstance(path, str) or "\0" in path:
            return []
        full = os.path.join(self.top, path)
        found = _folder(full, prefix) if path.endswith("/") else entries(_read(full, MOST_BYTES))
        return [k for k in found if is_id(k.id) and k.id.casefold().startswith(prefix.casefold())]

    # --- who and where ------------------------------------------------------------------------------------------------
    def lanes(self) -> list[str]:
        lane, ledger = self._table("lane"), self._table("ledger")
        named = _texts(lane.get("branches", ["main"])) if self.top else []
        plain = [b for b in named if not GLOB.search(b)]
        if len(plain) < len(named):
            from fnmatch import fnmatchcase

            plain += [b for b in self.branches() if any(fnmatchcase(b, glob) for glob in named)]
        return list(dict.fromkeys([*_texts([ledger.get("lane", "")]), *plain]))

    def branches(self) -> list[str]:
        """Local branches, the one just worked on first."""
        if self.top is None:
            return []
        import subprocess

        command = ["git", "for-each-ref", "--sort=-committerdate", "--format=%(refname:short)", "refs/heads"]
        try:
            done = subprocess.run(
                command, cwd=self.top, stdin=subprocess.DEVNULL, capture_output=True, timeout=2, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return []
        return done.stdout.decode("utf-8", "replace").splitlines()

    def agents(self) -> list[str]:
        """Agents that were seen here, that have a domain or a PRP, and oneself."""
        found = [os.environ.get("PRP_AGENT", ""), *self._seen(), *self.domains()]
        found += [name for names in self._table("roles").values() for name in _texts(names) if not GLOB.search(name)]
        found += [k.owner for k in self.prps() if k.owner]
        return [name for name in dict.fromkeys(found) if name and not name.startswith("-")]

    def roles(self) -> list[str]:
        return list(self._table("roles"))

    def domains(self) -> list[str]:
        return list(self._table("domains"))

    def phases(self) -> list[str]:
        return _texts(self._table("phases").get("names"))

    def _seen(self) -> list[str]:
        common = self.top and common_dir(self.top)
        return _read(os.path.join(common, AGENTS), 1 << 20).decode("utf-8", "replace").splitlines() if common else []


def note_agents(common: str, names: list[str]) -> None:
    """Keep the names of agents for `Names.agents`; where that cannot be written it is left."""
    path = os.path.join(common, AGENTS)
    text = "".join(f"{name}\n" for name in names if name.isprintable()).encode("utf-8", "replace")
    if text == _read(path, len(text) + 1):
        return
    part = f"{path}.{os.getpid()}"
    try:
        with open(part, "wb") as f:
            f.write(text)
        os.replace(part, path)
    except OSError:
        return


def common_dir(top: str) -> str | None:
    """The git dir that all worktrees of a repository share, without asking git; None where there is none."""
    found = os.path.join(top, ".git")
    if os.path.isdir(found):
        return found
    told = _read(found, 4096).decode("utf-8", "surrogateescape")
    if not told.startswith("gitdir: "):
        return None
    own = os.path.join(top, told.removeprefix("gitdir: ").rstrip("\n"))
    shared = _read(os.path.join(own, "commondir"), 4096).decode("utf-8", "surrogateescape").rstrip("\n")
    return os.path.join(own, shared) if shared else own


def entries(data: bytes) -> list[Known]:
    """PRPs of a tracking file, as far as its lines tell."""
    found: list[Known] = []
    inside, depth = False, -1
    for line in data.split(b"\n"):
        if not inside:
            inside = line.startswith(b"prp_tracking:")
            continue
        if line[:1] not in (b" ", b"\t", b"", b"#", b"\r"):
            break
        if (m := _KEY.match(line.rstrip(b"\r"))) and (depth < 0 or len(m[1]) <= depth) and m[1]:
            depth = len(m[1])
            found.append(Known(_text(m[2] or m[3] or m[4])))
        elif found and (m := _TOLD.match(line)):
            name = m[1].decode()
            if not getattr(found[-1], name):  # the first is the entry's own
                found[-1] = found[-1]._replace(**{name: _value(m[2])})
    return found


def _folder(path: str, prefix: str) -> list[Known]:
    """PRPs with a file each. Each is called as its file; of many only the first have titles."""
    try:
        files = sorted(f for f in os.listdir(path) if f.endswith((".yaml", ".yml")))
    except (OSError, ValueError):
        return []
    found: list[Known] = []
    for file in files:
        prp_id = file.rpartition(".")[0]
        if not prp_id.casefold().startswith(prefix.casefold()):
            continue
        told: dict[str, str] = {}
        if len(found) < MOST_TITLES:
            for m in _FIELD.finditer(_read(os.path.join(path, file), HEAD_BYTES)):
                told.setdefault(m[1].decode(), _value(m[2]))
        told.pop("id", None)
        found.append(Known(prp_id, **told))
    return found


def _read(path: str, most: int) -> bytes:
    """A plain file, at most so much of it; nothing of one that cannot be read, or that reading may hang on."""
    try:
        if not os.path.isfile(path):
            return b""
        with open(path, "rb") as f:
            return f.read(most)
    except (OSError, ValueError):
        return b""


def _value(raw: bytes) -> str:
    """A scalar of one line, more or less: quotes off, no comment."""
    text = _text(raw)
    if text[:1] in ("'", '"'):
        end = text.rfind(text[0])
        inner = text[1:end] if end > 0 else text[1:]
        return inner.replace("''", "'") if text[0] == "'" else inner
    text = text.split(" #", 1)[0].rstrip()
    return "" if text in ("null", "~") or text[:1] in ("|", ">") else text


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _texts(value: Any) -> list[str]:
    return [v for v in value if isinstance(v, str) and v and not v.startswith("-")] if isinstance(value, list) else []


def _top(folder: str) -> str | None:
    """The folder at or above this one that has a prp.toml, in the same repository."""
    while True:
        if os.path.isfile(os.path.join(folder, "prp.toml")):
            return folder
        above = os.path.dirname(folder)
        if above == folder or os.path.exists(os.path.join(folder, ".git")):
            return None
        folder = above
