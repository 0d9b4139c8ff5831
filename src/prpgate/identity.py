"""Who acts, and as which process: the names under which holds, tickets and claims are kept."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, NamedTuple

from .model import Agent
from .output import inert

if TYPE_CHECKING:
    from .gitrepo import Repo

LONGEST = 200  # of a name; mail takes no longer ones either
SLOT = "prp-mcp-"  # there too, one file for each name that an MCP server has made up; locked while it runs
FILE = "prp-agent"  # in the worktree's git dir: agents' shells are new processes each time


def agent(repo: Repo) -> Agent:
    """PRP_AGENT, else this worktree's file, else `git config prp.agent`, else the git user's e-mail."""
    named = os.environ.get("PRP_AGENT", "").strip()
    if named:
        return _agent(named, "PRP_AGENT")
    try:
        with open(os.path.join(repo.git_dir, FILE), encoding="utf-8", errors="replace") as f:
            kept = f.read().strip()
    except (FileNotFoundError, IsADirectoryError):
        kept = ""
    if kept:
        return _agent(kept, "this worktree")
    listed = repo.maybe("config", "--get-regexp", r"^(prp\.agent|user\.email)$") or ""
    set_to = dict(line.partition(" ")[::2] for line in listed.split("\n"))  # the last one counts, as for git
    for option in ("prp.agent", "user.email"):
        value = set_to.get(option, "").strip()
        if value:
            return _agent(value, f"git config {option}")
    return Agent(f"{os.environ.get('USER') or os.getuid()}@{host()}", "user and host")


def named(name: str) -> Agent:
    """A program that says itself who it is."""
    return _agent(name.strip(), "connect")


def _agent(name: str, source: str) -> Agent:
    """Raises UsageError for a name that nobody could be addressed by."""
    shown = inert(name)
    if len(shown) > LONGEST:
        from .messages.mail import name_too_long

        raise name_too_long(shown, source, LONGEST)
    return Agent(shown, source)


def is_person(who: Agent) -> bool:
    """Programs are named by PRP_AGENT, for their worktree, or by themselves; people by their git identity."""
    return who.source not in ("PRP_AGENT", "this worktree", "connect")


def host() -> str:
    return os.uname().nodename


class Process(NamedTuple):
    """A process that cannot be mistaken for a later one with the same number."""

    pid: int
    started: str  # the kernel's start time, "" where it cannot be had


def _stat(pid: int) -> tuple[str, int, str] | None:
    """(name, parent, start time) of a process, None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            text = f.read()
        name = text[text.index("(") + 1 : text.rindex(")")]
        rest = text[text.rindex(")") + 2 :].split()
        return name, int(rest[1]), rest[19]
    except FileNotFoundError:
        if os.path.isdir("/proc/self"):
            return None
    except (ProcessLookupError, ValueError):
        return None
    import subprocess  # macOS

    done = subprocess.run(
        ["ps", "-o", "ppid=,lstart=,comm=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    words = done.stdout.split()
    if len(words) < 7:
        return None
    return os.path.basename(words[6]), int(words[0]), "-".join(words[1:6])


def process(pid: int) -> Process:
    found = _stat(pid)
    return Process(pid, found[2] if found else "")


def alive(p: Process) -> bool:
    found = _stat(p.pid)
    return found is not None and (not p.started or found[2] == p.started)


def pushing_process() -> Process:
    """The git that runs this hook (a push, or a server's receive-pack): the nearest ancestor, else the parent."""
    pid = os.getppid()
    while pid > 1:
        found = _stat(pid)
        if found is None:
            break
        if found[0] in ("git", "git-push", "git-receive-pac"):  # the kernel keeps 15 letters
            return Process(pid, found[2])
        pid = found[1]
    return process(os.getppid())


def reservation_id(who: Agent, repo: Repo, lane: str) -> str:
    """The same for every push of this agent from this worktree to this lane."""
    text = "\0".join((who.name, host(), repo.git_dir, lane))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def hold_id(reservation: str, p: Process) -> str:
    """One process's own: a second push of the same agent is a second contender."""
    return f"{reservation}:{p.pid}:{p.started}"


def holding_process(hold: str) -> Process | None:
    """The process of a hold of this machine, by its id; None for an id of another make."""
    _, pid, started = (*hold.split(":", 2), "", "")[:3]
    return Process(int(pid), started) if pid.isdigit() else None


def owned(prefix: str, p: Process) -> str:
    """How a temporary name begins that tells whose it is, for `owner`."""
    return f"{prefix}{p.pid}-{p.started}-"


def owner(prefix: str, name: str) -> Process | None:
    """The process that a temporary name belongs to; None for a name that is none of ours."""
    pid, _, rest = name.removeprefix(prefix).partition("-")
    return Process(int(pid), rest.rpartition("-")[0]) if name.startswith(prefix) and pid.isdigit() else None
