"""What people read about the hooks in their clone: installing, taking away, how things stand."""

from __future__ import annotations

from shlex import quote

from ..errors import UserError

INSTALL = "prp install"
DOCTOR = "prp doctor"

FILTER_HEAD = "# Written by `prp install` and kept up to date by the hooks. Do not edit: prp.toml decides.\n"

# --- refusals --------------------------------------------------------------------------------------------------------
BARE_HINT = "Nobody commits here. Install prpgate in the clones; a push is guarded where it starts."
NOT_WRITABLE_HINT = "Make it writable for you, or ask its owner to run prp install. Commits and pushes work as before."


def in_bare(path: str) -> UserError:
    return UserError(bare(path), code="bare", hint=BARE_HINT, next_action=f"git clone {quote(path)}")


def bare(path: str) -> str:
    return f"{path} is a bare repository: the hooks of prpgate belong into the clones of it."


def switched_off(path: str) -> str:
    return f"git's hooks are switched off here (core.hooksPath = {path}), so nothing could be installed."


def not_writable(path: str, why: str) -> str:
    return f"{path} cannot be written: {why}."


NOTHING_HERE = "Nothing of prpgate is installed here."
STAYS = "prp.toml stays, and the block in AGENTS.md (prp prime --remove). This machine's store runs on: prp store stop."

# --- install and uninstall -------------------------------------------------------------------------------------------
OWN_CHECKOUT = "git runs the hooks of this checkout itself (core.hooksPath): no stubs are needed."
HUSKY = "husky writes its hooks anew on every npm install: run prp install after it, or add it to the prepare script."

_DID = {
    "installed": "Installed {hook}.",
    "chained": "Installed {hook}.",
    "renewed": "Renewed {hook}.",
    "unchanged": "{hook}: unchanged.",
    "left": "{hook}: left to you.",
    "removed": "Removed {hook}.",
    "restored": "Removed {hook}; what stood there before is back.",
}


def step(hook: str, did: str, detail: str) -> str:
    line = _DID[did].format(hook=hook)
    return f"{line} {detail}" if detail else line


def in_folder(folder: str, *, changed: bool) -> str:
    return f"Hooks in {folder}:" if changed else f"Hooks in {folder}: unchanged."


def runs_first(chained: str) -> str:
    return f"The hook that stood there runs first, now as {chained}."


def called_by(tool: str, path: str) -> str:
    return f"{tool} took its place and calls it as {path}."


def two_foreign(path: str, chained: str) -> str:
    return f"Both {path} and {chained} are somebody's own and they differ: keep one of them, then install again."


def tracked(folder: str) -> str:
    return f"{folder} belongs to the team (it is in the working tree), so prpgate writes nothing there."


def line_for(hook: str) -> str:
    """What calls our stub from somebody's own hook, and does nothing for a teammate without prpgate."""
    return f'h=$(git rev-parse --git-common-dir)/prpgate/hooks/{hook}; [ ! -x "$h" ] || "$h" "$@" || exit'


def add_line(path: str, hook: str, *, exists: bool) -> str:
    if exists:
        return f"Add this line near the top of {path}:\n  {line_for(hook)}"
    return f"Make {path} (mode 755) of these two lines:\n  #!/bin/sh\n  {line_for(hook)}"


def harmless_line(path: str, hook: str) -> str:
    return f"{path} still names prpgate; the line does nothing any more and can go."


def shared(folder: str) -> str:
    return f"{folder} serves other repositories too (core.hooksPath); for them the stubs only run what stood there."


def kept_for(folder: str, others: list[str]) -> str:
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    return f"The stubs in {folder} stay: {others[0]}{more} still uses them. Here they only call what stood there."


# --- how things stand ------------------------------------------------------------------------------------------------
def all_there(folder: str) -> str:
    return f"hooks: all there, in {folder}"


def never_installed() -> str:
    return (
        "hooks: prpgate's own are not installed in this clone, so commits and pushes from here are not checked by them"
    )


def missing(names: list[str], folder: str) -> str:
    return f"hooks: {', '.join(names)} missing in {folder}"


def stale(names: list[str]) -> str:
    return f"hooks: {', '.join(names)} written by another version of prpgate"


def displaced(hook: str, tool: str | None) -> str:
    return f"hooks: {tool or 'somebody'} replaced {hook} and does not call ours"


def not_called(path: str) -> str:
    return f"hooks: {path} is the team's own and does not call prpgate"


def chains(tool: str | None, names: list[str]) -> str:
    return f"hooks: {tool or 'earlier hooks'} still called for {', '.join(names)}, before ours"


def taken_over(tool: str, names: list[str]) -> str:
    return f"hooks: {tool} stands in front and calls ours for {', '.join(names)}"


def interpreter_gone(path: str) -> str:
    return f"hooks: the Python that they start is gone ({path})"


def data_gone(path: str) -> str:
    return f"hooks: the scripts that they start are gone ({path})"


def not_importable(python: str) -> str:
    return f"hooks: {python} does not find prpgate when it is started alone (-I)"


def framework_only() -> str:
    return (
        "pushes: only the framework's prp-merge-lock guards them; it is called for the first ref of a push and never "
        "for a deletion"
    )


def filter_old() -> str:
    return "hooks: what they know of the lane is older than its prp.toml; the next push to it mends that"
