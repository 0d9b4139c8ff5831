"""What a repository offers as steps of a smoke gate, read from its own files: never run, only shown.

A name promises little: a team's `make smoke` ran tests against production. So every proposal carries the text that it
would run, with whatever that text leads to in the same file, and is `safe` only when its name and its text both are.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from typing import Any, NamedTuple

from .messages import recipes as say

SAFE = ("test", "tests", "unit", "check", "lint", "typecheck", "types", "vet")
ASKED = ("smoke", *SAFE)  # names that are looked for; in this order
# Words of a recipe that reach beyond the checkout. Rather one too many: whoever wants the step is asked, or adds it.
REACHES_OUT = re.compile(
    r"prod|deploy|publish|release|staging|\b(?:curl|wget|ssh|scp|rsync|kubectl|helm|terraform|ansible|aws|gcloud|az|heroku|"
    r"fly|docker|podman|sudo|psql|mysql)\b|git\s+push|rm\s+-\w*r|https?://|migrat|\$\(shell|\bsecret",
    re.IGNORECASE,
)
MOST_BYTES = 1_000_000
LONGEST = 4_000  # characters of a line that may be a rule
MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
RULE = re.compile(r"^([\w.\-/ ]+?)\s*:(?![=:])([^=#]*)(?:#.*)?$")
SET = re.compile(r"^(\w+) {0,40}(?:[:?+!]|::)?=(.*)$", re.MULTILINE)
MAKE_CALL = re.compile(r"(?:\$[({]MAKE[)}]|\bmake)\s+([\w.\-]+)")
VARIABLE = re.compile(r"(?<!\$)\$[({](\w+)[)}]")
NPM_RUN = re.compile(r"\b(?:npm|pnpm|yarn)\s+(?:run(?:-script)?\s+)?([\w:.\-]+)")


class Recipe(NamedTuple):
    """One proposed step: what it is called, what would be run, and the text behind that."""

    name: str
    run: str
    source: str  # the file it was found in
    text: tuple[str, ...]
    safe: bool
    why: str = ""  # why not safe


class Found(NamedTuple):
    """The proposals, and the shell lines that prepare a fresh checkout for them."""

    recipes: tuple[Recipe, ...]
    setup: tuple[str, ...]


def find(top: str) -> Found:
    """Look at the files at the top of a working tree. Nothing is run and nothing is written."""
    recipes: list[Recipe] = []
    setup: list[str] = []
    for look in (_python, _node, _go, _cargo, _make):
        found = look(top)
        setup += found.setup
        recipes += [r for r in found.recipes if not any(r.name == other.name for other in recipes)]
    return Found(tuple(recipes), tuple(setup))


def _read(top: str, name: str) -> str | None:
    try:
        with open(os.path.join(top, name), "rb") as f:
            return f.read(MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return None


def _judged(top: str, name: str, run: str, source: str, text: list[str], short: str, unknown: str = "") -> Recipe:
    """A recipe of somebody's own, with what speaks against taking it unasked."""
    text = [part for line in (*text, *_scripts_called(top, text)) for part in line.split("\n")]
    out = REACHES_OUT.search("\n".join(text))
    if short not in SAFE:
        why = say.promises_nothing(short)
    elif out:
        why = say.reaches_out(out.group())
    else:
        why = unknown
    return Recipe(name, run, source, tuple(text), not why, why)


def _scripts_called(top: str, text: list[str]) -> list[str]:
    """The lines of shell scripts of this repository that a recipe names."""
    found = []
    for word in dict.fromkeys(re.findall(r"[\w./\-]+", "\n".join(text))):
        path = os.path.normpath(word)
        if path.startswith(("/", "..")) or not os.path.isfile(os.path.join(top, path)):
            continue
        lines = (_read(top, path) or "").split("\n")
        if path.endswith((".sh", ".bash")) or re.match(r"#!.*\b(?:ba|da|z|k)?sh\b", lines[0]):
            kept = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
            found += [f"{path}: {line}" for line in kept]
    return found


# --- Python -----------------------------------------------------------------------------------------------------------
def _python(top: str) -> Found:
    raw = _read(top, "pyproject.toml")
    project = _toml(raw)
    tests = _python_tests(top)
    settings = _at(project, "tool", "pytest") is not None or _read(top, "pytest.ini") is not None
    if not tests and not settings:
        return Found((), ())
    where = " tests/smoke" if os.path.isdir(os.path.join(top, "tests", "smoke")) else ""
    run = f"python -m pytest -q -x{where}"
    text = [say.test_files(len(tests), where.strip())]
    source = "pyproject.toml" if raw is not None else "tests/"
    return Found((Recipe("pytest", run, source, tuple(text), True),), tuple(_python_setup(top, project)))


def _python_tests(top: str) -> list[str]:
    found = []
    for folder in ("tests", "test"):
        for place, folders, files in os.walk(os.path.join(top, folder)):
            folders[:] = [f for f in folders if not f.startswith(".")]
            found += [os.path.join(place, f) for f in files if re.fullmatch(r"test_.*\.py|.*_test\.py", f)]
    return found


def _python_setup(top: str, project: dict[str, Any]) -> list[str]:
    files = [f for f in ("requirements.txt", "requirements-dev.txt") if _read(top, f) is not None]
    lines = [f"python -m pip install -r {name}" for name in files]
    if "project" in project or "build-system" in project:
        extras = _at(project, "project", "optional-dependencies")
        extra = next((e for e in ("dev", "test", "tests") if isinstance(extras, dict) and e in extras), "")
        lines.append(f"python -m pip install -e '.[{extra}]'" if extra else "python -m pip install -e .")
    return [*lines, "python -m pip install pytest"]  # does nothing where it came with the others


def _toml(text: str | None) -> dict[str, Any]:
    try:
        return tomllib.loads(text or "")
    except tomllib.TOMLDecodeError:
        return {}


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


# --- Node -------------------------------------------------------------------------------------------------------------
def _node(top: str) -> Found:
    raw = _read(top, "package.json")
    try:
        package = json.loads(raw or "{}")
    except ValueError:
        return Found((), ())
    listed = _at(package, "scripts")
    scripts = {k: v for k, v in listed.items() if isinstance(v, str)} if isinstance(listed, dict) else {}
    tool, install = next(
        (found for lock, *found in _NODE_TOOLS if os.path.exists(os.path.join(top, lock))),
        ["npm", "npm install --no-package-lock"],
    )
    recipes = [
        _judged(top, f"{tool}-{name}", f"{tool} run {name}", "package.json", _script(scripts, name), name)
        for name in ASKED
        if name in scripts and "no test specified" not in scripts[name]
    ]
    return Found(tuple(recipes), (install,) if recipes else ())


_NODE_TOOLS = (
    ("package-lock.json", "npm", "npm ci"),
    ("pnpm-lock.yaml", "pnpm", "corepack enable && pnpm install --frozen-lockfile"),
    ("yarn.lock", "yarn", "corepack enable && yarn install --immutable"),
)


def _script(scripts: dict[str, str], name: str) -> list[str]:
    """A script, what npm runs before and after it by its name, and the scripts that these call; each once."""
    seen: list[str] = []
    open_ = [name]
    while open_:
        called = open_.pop(0)
        for one in (f"pre{called}", called, f"post{called}"):
            if one in scripts and one not in seen:
                seen.append(one)
                open_ += NPM_RUN.findall(scripts[one])
    return [f"{one}: {scripts[one]}" for one in seen]


# --- Go and Rust ------------------------------------------------------------------------------------------------------
def _go(top: str) -> Found:
    if _read(top, "go.mod") is None:
        return Found((), ())
    named = (("go-vet", "go vet ./..."), ("go-test", "go test ./..."))
    return Found(tuple(Recipe(n, r, "go.mod", (say.GO,), True) for n, r in named), ())


def _cargo(top: str) -> Found:
    if _read(top, "Cargo.toml") is None:
        return Found((), ())
    locked = " --locked" if _read(top, "Cargo.lock") is not None else ""
    return Found((Recipe("cargo-test", f"cargo test{locked}", "Cargo.toml", (say.CARGO,), True),), ())


# --- make -------------------------------------------------------------------------------------------------------------
def _make(top: str) -> Found:
    source = next((n for n in MAKEFILES if _read(top, n) is not None), None)
    if source is None:
        return Found((), ())
    text = _read(top, source) or ""
    rules = _rules(text)
    unknown = say.INCLUDES if re.search(r"^-?s?include\b", text, re.MULTILINE) else ""
    recipes = [
        _judged(
            top, f"make-{name}", f"make {name}", source, *_with_variables(text, _target(rules, name), name, unknown)
        )
        for name in ASKED
        if name in rules
    ]
    return Found(tuple(recipes), ())


def _with_variables(text: str, lines: list[str], name: str, unknown: str) -> tuple[list[str], str, str]:
    """The lines of a target with the variables that they use; one that is set elsewhere is something not known."""
    values = {key: value.strip() for key, value in SET.findall(text)}
    said, open_ = list(lines), [name for line in lines for name in VARIABLE.findall(line)]
    seen: set[str] = set()
    while open_:
        if (one := open_.pop(0)) in seen or one in ("MAKE", "CURDIR", "MAKEFLAGS"):
            continue
        seen.add(one)
        if one in values:
            said.append(f"{one} = {values[one]}")
            open_ += VARIABLE.findall(values[one])
        else:
            unknown = unknown or say.set_elsewhere(one)
    return said, name, unknown


def _rules(text: str) -> dict[str, tuple[list[str], list[str]]]:
    """target -> (what it needs, its lines). A backslash at the end of a line joins it with the next."""
    rules: dict[str, tuple[list[str], list[str]]] = {}
    current: list[str] = []
    for line in text.replace("\\\n", " ").split("\n"):
        if line.startswith("\t"):
            for name in current:
                rules[name][1].append(line.strip())
        elif len(line) < LONGEST and (match := RULE.match(line)):
            needs, _, inline = match.group(2).partition(";")
            current = [name for name in match.group(1).split() if name != ".PHONY"]
            for name in current:
                have = rules.setdefault(name, ([], []))
                have[0].extend(n for n in needs.split() if n != "|")
                have[1].extend([inline.strip()] if inline.strip() else [])
        elif line.strip() and not line.lstrip().startswith("#"):
            current = []
    return rules


def _target(rules: dict[str, tuple[list[str], list[str]]], name: str) -> list[str]:
    """A target's lines after those of the targets that it needs or calls by $(MAKE); each once."""
    seen: list[str] = []
    open_ = [name]
    while open_:
        one = open_.pop()
        if one in rules and one not in seen:
            seen.append(one)
            needs, lines = rules[one]
            open_ += [*needs, *(word for line in lines for word in MAKE_CALL.findall(line))]
    return [f"{one}: {line}" for one in reversed(seen) for line in rules[one][1]]
