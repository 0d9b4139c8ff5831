"""Files that keep an earlier system's scripts and habits working: its import names and its command lead to prpgate.

`prp init --ancestor-shims` writes them. A file that stands in their place is replaced only when git has it as it is,
so that nothing is lost.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from .messages import api as say

if TYPE_CHECKING:
    from .gitrepo import Repo
    from .store.client import Store

MARK = "# Written by prp init --ancestor-shims."
MISSING = """sys.exit(
        "prpgate is not installed for this Python (" + sys.executable + "). Install it there from where your prp\\n"
        "came from: python -m pip install PATH_OF_A_CHECKOUT (or its git address); or use the Python of your prp."
    )"""
NAMES = "sync_redis, prp_redis, agent_redis, SyncRedisHelper, PRPStateRedis, AgentStateRedis, RedisMessageBus"
HEAD = f"{MARK} Old scripts import these names; new ones use prpgate.\nimport sys\n\n"


def _reexport(names: str) -> str:
    listed = "".join(f"        {name},\n" for name in names.split(", "))
    found = f"    from prpgate.compat import (  # noqa: F401\n{listed}    )\n"
    return f"{HEAD}try:\n{found}except ImportError:\n    {MISSING}\n"


SHIMS = {
    "redis_cli.py": _reexport(NAMES),
    ".claude/prp_tracking/redis_enhanced_state_manager.py": _reexport(
        "RedisEnhancedStateManager, get_redis_state_manager"
    ),
    ".claude/prp_tracking/cli_commands.py": f"""#!/usr/bin/env python3
{MARK} The same commands as `prp`; old habits go on working.
import sys

try:
    from prpgate.cli.main import run
except ImportError:
    {MISSING}

if __name__ == "__main__":
    words = sys.argv[1:]
    if words[:1] == ["complete"] and "--commit" in words:
        at = words.index("--commit")
        del words[at : at + 2]
        print("--commit is not taken on trust any more: the evidence is fetched.", file=sys.stderr)
    raise SystemExit(run(words))
""",
}
# What the earlier system's scripts write: fixed names, and names that are found page by page.
OLD_KEYS = ("prp:merge:lock", "prp:integration:queue", "leadfactory:events:status_changes")
OLD_NAMES = ("leadfactory:*", "prp:*:state", "agent:*:status")
LOOK_MOST, PAGE = 20_000, 1_000  # keys of a shared server to look through at most


class Written(NamedTuple):
    """What became of the files."""

    wrote: list[str]
    same: list[str]


def write(repo: Repo) -> Written:
    """Write the files below the top of the working tree. Raises UserError, and writes none, when one is in the way."""
    wanted = {}
    for name, text in SHIMS.items():
        path = os.path.join(repo.top, name)
        try:
            with open(path, "rb") as f:
                old = f.read().decode("utf-8", "replace")
        except FileNotFoundError:
            old = None
        if old == text:
            continue
        if old is not None and not _in_git(repo, name):  # one that we wrote may have been edited since
            raise say.in_the_way(name)
        wanted[name] = text
    for name, text in wanted.items():
        path = os.path.join(repo.top, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        spare = f"{path}.{os.getpid()}"
        with open(spare, "w", encoding="utf-8", newline="\n") as f:
            f.write(text)
        os.replace(spare, path)
    return Written(list(wanted), [n for n in SHIMS if n not in wanted])


def to_commit(repo: Repo, names: list[str]) -> list[str]:
    """Those of the files that git does not have as they are here."""
    return [name for name in names if not _in_git(repo, name)]


def _in_git(repo: Repo, name: str) -> bool:
    """Does HEAD have this file exactly as it is here?"""
    tracked = repo.maybe("ls-files", "--error-unmatch", "--", f":/{name}") is not None
    return tracked and not repo.text("status", "--porcelain", "--", f":/{name}")


def old_keys(store: Store) -> list[str]:
    """Names in the store's server that only old scripts write; at most a few, found without blocking the server."""
    client: Any = store.redis
    with store.faults():
        found = [key for key in OLD_KEYS if client.exists(key)]
        for pattern in OLD_NAMES:
            seen, cursor = 0, 0
            while seen < LOOK_MOST and len(found) < 10:
                cursor, keys = client.scan(cursor, match=pattern, count=PAGE)
                found += [k for k in keys if k not in found]
                seen += PAGE
                if not cursor:
                    break
    return found[:10]
