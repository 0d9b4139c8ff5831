"""What `prp init --ci github` says: each proposed step with its text, what was taken, what was left alone and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..recipes import Recipe

MOST_LINES = 40
NOTHING_FOUND = (
    "No step was found to propose (looked for pytest, package.json, go.mod, Cargo.toml, a Makefile). "
    "A gate without a step proves nothing: declare one in prp.toml."
)
NO_TERMINAL = "No terminal to ask on: only what is safe by its name and its text is taken."
NO_GATE = (
    "Where prpgate's own workflow is, is not known here, so the steps are written out and take it from the repository "
    "variable PRP_GATE (git+https://github.com/OWNER/REPO@FULL_SHA). Shorter, in a new file:"
)
NO_GATE_ACTION = "prp init --ci github --gate OWNER/REPO@FULL_SHA"
SECRET = "If your store can be reached from there, give the runs its address: gh secret set PRP_REDIS_URL"
NO_SECRET = "Without the secret PRP_REDIS_URL the runs check and smoke, and no lane hears of them."


# --- what is behind a step that is not the repository's own text ------------------------------------------------------
GO = "every package of the module"
CARGO = "every test of the package or workspace"


def test_files(count: int, folder: str) -> str:
    return f"the files in {folder}" if folder else f"{count} test file{'s' if count != 1 else ''}"


# --- why a step is not taken unasked ----------------------------------------------------------------------------------
INCLUDES = "the file includes others, which were not read"


def promises_nothing(name: str) -> str:
    return f"{name!r} promises nothing"


def reaches_out(word: str) -> str:
    return f"its text has {word!r}"


def set_elsewhere(variable: str) -> str:
    return f"$({variable}) is set somewhere else"


# --- proposing --------------------------------------------------------------------------------------------------------
def proposed(r: Recipe) -> str:
    """One step and what it would run. The text is the repository's own: shown, never run."""
    shown = [f"    {line}" for line in r.text[:MOST_LINES]]
    if len(r.text) > MOST_LINES:
        shown.append(f"    … and {len(r.text) - MOST_LINES} more lines")
    return "\n".join([f"  {r.name}: {r.run}   ({r.source})", *shown])


def question(r: Recipe) -> str:
    return f"Take {r.name}?" if r.safe else f"Take {r.name}? Mind: {r.why}."


def not_taken(r: Recipe, why: str) -> str:
    return f"Not taken: {r.name} ({why})"


def covered(by: str) -> str:
    return f"it runs {by}, which is taken already"


def declined() -> str:
    return "you said no"


def by_hand(recipes: Sequence[Recipe]) -> str:
    """How to take what was not."""
    tables = "".join(f'  [[smoke]]\n  name = "{r.name}"\n  run = "{r.run}"\n' for r in recipes)
    return f"To take one after all, add it to prp.toml:\n{tables.rstrip()}"


def steps_stay(count: int) -> str:
    return f"prp.toml declares {count} step{'s' if count != 1 else ''} already; they stay as they are."


def steps_written(names: Sequence[str]) -> str:
    return f"Added to prp.toml: {', '.join(names)}."


def wrote(path: str) -> str:
    return f"Wrote {path}."


def same(path: str) -> str:
    return f"{path} is there already, and is what would be written."


def differs(path: str) -> str:
    return f"{path} is there already and stays as it is. What would be written differs:"


def check_named(name: str) -> str:
    return f"Added to prp.toml: [ci] check, for its check run is named {name}."


def other_check(said: str, name: str) -> str:
    return (
        f'[ci] check in prp.toml is "{said}", and this workflow\'s check run is named "{name}": it would never count.'
    )


def would_add(path: str) -> str:
    return f"{path} would have in addition:"


def would_write(path: str) -> str:
    return f"{path} would be:"
