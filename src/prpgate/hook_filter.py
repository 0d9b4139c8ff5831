"""The filter: what the hook stubs of a clone know without starting Python, one file of sh in its git dir.

It may err in one direction only: towards asking Python (docs/hooks.md).
"""

from __future__ import annotations

import hashlib
import os
import sys
from typing import TYPE_CHECKING

from . import data
from .config import FILE
from .messages.install import FILTER_HEAD

if TYPE_CHECKING:
    from .config import Config
    from .gitrepo import Repo

NAME = "filter"


def template() -> str:
    """The text that every stub is made of."""
    with open(os.path.join(data.folder("hooks"), "shim.sh"), encoding="utf-8") as f:
        return f.read()


def version() -> str:
    """Names the text of the stub: two stubs with the same version do the same."""
    return hashlib.sha256(template().encode()).hexdigest()[:8]


def _quote(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


def _lane_glob(remote: str, pattern: str) -> str:
    """A glob for `case` that matches at least what Python's fnmatch does. What shells may read differently (sets,
    `?` beside multi-byte letters, backslashes) becomes `*`: the stub then asks Python, which knows."""
    plain = (c if c.isascii() and (c.isalnum() or c in "._/-*") else "*" for c in pattern)
    name = (c if c.isascii() and (c.isalnum() or c in "._/-") else "*" for c in remote)
    cut = pattern.find("[")
    glob = "".join(plain)
    return f"{''.join(name)} refs/heads/{glob if cut < 0 else glob[:cut] + '*'}"


def ere(pattern: str) -> str:
    """The id pattern as an extended regular expression; "" (which matches everything) where that cannot be said."""
    said = pattern.replace("(?:", "(").replace("\\d", "[0-9]").replace("\\b", "")
    return "" if "\\" in said or "(?" in said or "??" in said or not said.isascii() or "\n" in said else said


def render(repo: Repo, config: Config, python: str, hooks: str) -> str:
    """What the stubs must know, as assignments for sh."""
    tracking = repo.tracking(config.remote, config.ledger_lane)
    values = {
        "PRP_VERSION": version(),
        "PRP_PYTHON": python,
        "PRP_HOOKS": hooks,
        "PRP_LANES": "\n".join(_lane_glob(config.remote, p) for p in config.lanes),
        "PRP_LEDGER": config.ledger_path,
        "PRP_IDS": ere(config.id_pattern),
        "PRP_PATTERN": config.id_pattern,
        "PRP_LANE": f"{config.remote} {config.ledger_lane}",
        "PRP_RECORD": tracking,
        "PRP_POLICY": repo.sha(f"{tracking}:{FILE}") or "",
    }
    return FILTER_HEAD + "".join(f"{name}={_quote(value)}\n" for name, value in values.items())


def read(repo: Repo) -> dict[str, str] | None:
    """The filter's values as they are now, None when there is none."""
    import shlex

    try:
        with open(os.path.join(repo.own_dir, NAME), encoding="utf-8", errors="surrogateescape") as f:
            words = shlex.split(f.read(), comments=True)
    except FileNotFoundError:
        return None
    return dict(w.partition("=")[::2] for w in words)


def refresh(repo: Repo, config: Config) -> bool:
    """Bring the filter up to date with the lane's policy. True when it changed; nothing in a clone without stubs, nor
    in a repository that we guard as its server (its filter has no lanes).

    The interpreter that `install` recorded stays while it is there: hooks must not flip between environments."""
    old = read(repo)
    if old is None or "PRP_LANES" not in old:
        return False
    python, hooks = old.get("PRP_PYTHON", ""), old.get("PRP_HOOKS", "")
    if not (os.access(python, os.X_OK) and os.path.isdir(hooks)):
        python, hooks = sys.executable, data.folder("hooks")
    return write(repo, config, python, hooks)


def write(repo: Repo, config: Config, python: str, hooks: str) -> bool:
    """Write the filter if it would change; whether it did. Atomic: a stub reads the old one or the new one."""
    return _replace(repo, render(repo, config, python, hooks))


def write_server(repo: Repo, record: str, python: str, hooks: str) -> bool:
    """The same for a server's repository: what to start, and the ref whose prp.toml counts. The rest Python asks."""
    values = {"PRP_VERSION": version(), "PRP_PYTHON": python, "PRP_HOOKS": hooks, "PRP_RECORD": record}
    return _replace(repo, FILTER_HEAD + "".join(f"{name}={_quote(value)}\n" for name, value in values.items()))


def _replace(repo: Repo, text: str) -> bool:
    path = os.path.join(repo.own_dir, NAME)
    content = text.encode("utf-8", "surrogateescape")
    try:
        with open(path, "rb") as f:
            if f.read() == content:
                return False
    except FileNotFoundError:
        os.makedirs(repo.own_dir, exist_ok=True)
    temporary = f"{path}.{os.getpid()}.new"
    with open(temporary, "wb") as f:
        f.write(content)
    os.replace(temporary, path)
    return True
