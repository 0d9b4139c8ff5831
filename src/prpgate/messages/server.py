"""What people read of a server's own hooks: pushers through git (`remote: …`), owners when they install."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from ..errors import StoreDown, UsageError, UserError
from . import lane

if TYPE_CHECKING:
    from ..lock import LaneState

NO_REASON = "a reason is needed: it is written down with your name."
ON_THE_SERVER = "in an emergency, on the server, in this repository"


def allow_command(sha: str) -> str:
    return f'prp server allow {quote(sha)} --reason "why"'


def not_installed(path: str) -> str:
    return f"the hooks of prpgate are not installed in {path}: nothing there would ask for a permission."


def not_usable(path: str) -> str:
    return f"this commit was allowed to land, but {path} cannot be taken by who runs git here. Allow it as that user."


def no_full_id(sha: str) -> str:
    return f"{sha!r} is no full commit id: the refusal names it, or ask the pusher for `git rev-parse HEAD`."


# --- refusals --------------------------------------------------------------------------------------------------------


def store_down(name: str, sha: str, error: StoreDown) -> StoreDown:
    return StoreDown(
        f"push to {name} refused: the server cannot reach the store that serialises it. Nothing was pushed.",
        code=error.code,
        hint=f"{error.message} Other branches work.",
        next_action=allow_command(sha),
        when=ON_THE_SERVER,
    )


def no_policy(error: UsageError, sha: str) -> UsageError:
    return UsageError(
        f"push refused: {error.message} So the server cannot tell what is a lane. Nothing was pushed.",
        code=error.code,
        hint="A push of one branch that mends it can be let in:",
        next_action=allow_command(sha),
        when=ON_THE_SERVER,
    )


def refused(state: LaneState, *, take: bool, fixer: bool) -> UserError:
    """Why the server did not let a push have the lane."""
    if state.state == "reconciling":
        return UserError(
            f"{state.name} is not free: {lane.holder_words(state)}, and it is being looked for. Nothing was pushed.",
            code="reconciling",
            next_action="git pull --rebase && git push",
            when=f"after {lane.clock(max(1.0, state.look_ms / 1000))}",
        )
    if state.closed and not fixer:
        return lane.closed(state)
    if state.holder is None and state.window_ms <= 0 and not take:
        return UserError(
            f"{state.name} takes only pushes that were announced (server.unclaimed in prp.toml). Nothing was pushed.",
            code="unclaimed",
            hint="Push without --no-verify, from a clone that has prpgate's hooks. To give yours the hooks:",
            next_action="prp join && git push",
        )
    when = lane.clock(lane.free_in_s(state))
    what = f"is held by {lane.holder_words(state)}" if state.holder else "waits for a place kept before yours"
    return UserError(
        f"{state.name} {what}, free about {when}. Nothing was pushed.",
        code="held",
        hint="A push that goes through prpgate's hooks (no --no-verify) keeps a place in line.",
        next_action="git pull --rebase && git push",
        when=f"after {when}",
    )


# --- what is said beside ---------------------------------------------------------------------------------------------


def not_reported(why: str) -> str:
    return f"prp: pushed; it could not be reported to the store now, the next look finds it. {why}"


# --- install and allow -----------------------------------------------------------------------------------------------


def not_bare(path: str) -> UsageError:
    return UsageError(
        f"{path} is not a bare repository.",
        code="not-bare",
        hint="The server's hooks belong where a team pushes to. In a clone:",
        next_action="prp install",
    )


def hooks_elsewhere(path: str, repository: str) -> UserError:
    return UserError(
        f"git runs the hooks of {repository} from {path} (core.hooksPath), which is not its own folder. "
        "Nothing was changed.",
        code="hooks-elsewhere",
        hint="Hooks that refuse what they cannot judge must not stand in front of other repositories. To give this one "
        "its own (copy what it needs of the other folder's hooks):",
        next_action=f"git -C {quote(repository)} config core.hooksPath {quote(repository + '/hooks')}",
    )


def no_lane(path: str, branch: str) -> UsageError:
    return UsageError(
        f"{path} has no branch {branch!r}. Nothing was changed.",
        code="no-lane",
        next_action="prp server install --help",
    )


def several(path: str, branches: list[str]) -> UsageError:
    return UsageError(
        f"several branches of {path} have a prp.toml, and HEAD names none of them. Nothing was changed.",
        code="several-lanes",
        next_action="\n".join(f"prp server install {quote(path)} --lane {quote(b)}" for b in branches[:5]),
    )


def guarded(branch: str, project: str | None) -> str:
    if project is None:
        return f"{branch} has no prp.toml yet: everything passes until one has landed there."
    return f"Guards {project} by the prp.toml of {branch}."


def machine_scope(user: str) -> str:
    return (
        f"store.scope is machine: the hooks use the store of {user}, and coordinate only pushers who are {user} "
        'on this machine too. For anybody else: store.scope = "team", and one server that all reach.'
    )


def store_for(path: str) -> str:
    return f"The hooks find the store by store.url in prp.toml, by REDIS_URL in git's environment, or in {path}/.env."


def allowed(sha: str, by: str) -> str:
    return (
        f"{sha} may land once on a lane here, whatever prpgate says. It will be in the log, with {by} and the reason."
    )
