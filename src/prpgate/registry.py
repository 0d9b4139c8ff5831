"""Who is there: agents as the store knows them, when they were last heard of, and what each of them has in hand.

Any command and any hook that talks to the store is a sign of life. Names are texts that agents give themselves.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

from . import identity, live
from .errors import StoreDown
from .lock import MergeLock

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .config import Config
    from .gitrepo import Repo
    from .model import Agent
    from .store.client import Store

SILENT_S = 300  # after so long without a sign of life an agent is called silent
BEAT_EVERY_S = 60
STAMP = "prp-seen"  # in the worktree's git dir: who was last written down, and (its time) when
ROLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
PERSON, PROGRAM = "person", "program"


class Me(NamedTuple):
    """Who calls, as the registry keeps it."""

    agent: str
    host: str
    git_dir: str
    worktree: str
    kind: str  # PERSON or PROGRAM
    roles: tuple[str, ...] = ()  # that prp.toml gives; the one that it gave itself is in the store

    def told(self, **more: str) -> str:
        """As the scripts take it."""
        shape = {k: v for k, v in self._asdict().items() if k != "roles"} | more
        return dump(shape)


class Present(NamedTuple):
    """What the store answers to a sign of life."""

    unread: int
    role: str | None


class Held(NamedTuple):
    """What an agent has in hand: a claim, a lane, or a place in its line."""

    what: str  # "claim", "lane" or "line"
    name: str  # of the PRP or the lane
    detail: str  # of a lane its phase, of a line the position
    left_s: float | None  # until a claim or a hold ends


class Entry(NamedTuple):
    """One agent."""

    name: str
    kind: str | None  # None: it was only seen by a version that did not ask
    roles: tuple[str, ...]
    domain: tuple[str, ...]  # ids that are its, as prp.toml says
    host: str
    worktree: str | None
    seen_ms: int  # of the server's clock
    silent: bool  # no sign of life for SILENT_S
    held: tuple[Held, ...]
    unread: int

    @property
    def suspect(self) -> bool:
        """Silent, with something in hand that others may wait for."""
        return self.silent and bool(self.held)


def dump(value: Any) -> str:
    """JSON as the store's reader takes it: a name or path that is no UTF-8 would make it refuse everything."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()


def me(repo: Repo, who: Agent, config: Config | None = None) -> Me:
    """The caller, in this worktree."""
    kind = PERSON if identity.is_person(who) else PROGRAM
    roles = roles_of(config, who.name) if config is not None else ()
    return Me(who.name, identity.host(), repo.git_dir, os.path.abspath(repo.path), kind, roles)


def roles_of(config: Config, name: str) -> tuple[str, ...]:
    """The roles that [roles] in prp.toml gives to an agent."""
    return tuple(role for role, globs in config.roles.items() if any(fnmatchcase(name, g) for g in globs))


def patterns(config: Config) -> list[tuple[str, list[Any]]]:
    """(role, glob of names as the scripts take it) of [roles]."""
    return [(role, _letters(glob)) for role, globs in config.roles.items() for glob in globs]


def _letters(glob: str) -> list[Any]:
    """A glob cut up for `_agents.lua`, which matches what `fnmatchcase` does: False for `*`, True for `?`, a set."""
    found: list[Any] = []
    i = 0
    while i < len(glob):
        c, end = glob[i], glob.find("]", i + 2 + (glob[i + 1 : i + 2] == "!")) if glob[i] == "[" else -1
        if end > 0:
            inside = glob[i + 1 : end]
            found.append({"not": inside[0] == "!", "in": _ranges(inside.removeprefix("!"))})
            i = end + 1
            continue
        if c != "*" or found[-1:] != [False]:
            found.append({"*": False, "?": True}.get(c, c))
        i += 1
    return found


def _ranges(inside: str) -> list[tuple[str, str]]:
    found, i = list[tuple[str, str]](), 0
    while i < len(inside):
        last = i + 2 if inside[i + 1 : i + 2] == "-" and i + 2 < len(inside) else i
        found.append((inside[i], inside[last]))
        i = last + 1
    return found


def beat(store: Store, caller: Me, *, role: str | None = None) -> Present:
    """Say that the caller is there. `role` changes its role, "" takes it away. Raises StoreDown."""
    more = {} if role is None else {"role": role}
    answer = store.run("agent_seen", live.script_keys(store.keys), [caller.told(**more), dump(list(caller.roles))])
    return Present(int(answer["unread"]), answer.get("role"))


def beat_now_and_then(repo: Repo, store: Store, who: Agent | None = None) -> None:
    """A sign of life, at most once a minute from one worktree under one name. Says nothing when the store cannot."""
    stamp = os.path.join(repo.git_dir, STAMP)
    named = who.name if who else os.environ.get("PRP_AGENT", "").strip()
    with contextlib.suppress(OSError, UnicodeError), open(stamp, encoding="utf-8") as f:
        if f.read() == named and 0 <= time.time() - os.fstat(f.fileno()).st_mtime < BEAT_EVERY_S:
            return
    with contextlib.suppress(StoreDown):
        beat(store, me(repo, who or identity.agent(repo)))
        with contextlib.suppress(OSError), open(stamp, "w", encoding="utf-8", errors="replace") as f:
            f.write(named)


def agents(store: Store, config: Config, lanes: Iterable[str]) -> list[Entry]:
    """Everybody seen in the last 30 days, with what they hold, those in hand first. Raises StoreDown."""
    answer = store.run("agent_list", live.script_keys(store.keys), [dump(patterns(config))])
    now_ms = int(answer["now"])
    held: dict[str, list[Held]] = {}
    claims = list(answer["claims"] or ())
    for prp_id, text in zip(claims[::2], claims[1::2], strict=True):
        one = json.loads(text)
        left_s = (one["deadline"] - now_ms) / 1000
        held.setdefault(one["agent"], []).append(Held("claim", prp_id, one.get("branch") or "", left_s))
    for name in lanes:
        state = MergeLock(store, name, config.times).state()
        if state.holder:
            one = Held("lane", name, state.holder.phase or state.state, state.holder.deadline_ms / 1000)
            held.setdefault(state.holder.agent, []).append(one)
        for t in state.queue:
            held.setdefault(t.agent, []).append(Held("line", name, str(t.position), None))
    found = []
    for name, text, unread in answer["agents"] or ():
        one = json.loads(text)
        mine = [*([one["role"]] if one.get("role") else []), *roles_of(config, name)]
        found.append(
            Entry(
                name=name,
                kind=one.get("kind"),
                roles=tuple(dict.fromkeys(mine)),
                domain=config.domains.get(name, ()),
                host=str(one.get("host") or ""),
                worktree=one.get("worktree"),
                seen_ms=int(one["at"]),
                silent=now_ms - one["at"] > SILENT_S * 1000,
                held=tuple(held.get(name, ())),
                unread=int(unread),
            )
        )
    return sorted(found, key=lambda a: (a.silent, -a.seen_ms if a.silent else 0, a.name))
