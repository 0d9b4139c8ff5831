"""What keeps the house in order (docs/design.md, "The house"): directions of imports, size of files, who prints,
who catches everything, and no names that say nothing. Read from the syntax tree, so nothing has to be imported.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src" / "prpgate"

# From the ground up. A module may import what is in its own layer or below, never above, and never in a circle.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("__init__", "errors", "model", "data", "origin"),
    ("output", "cells", "terminal", "messages"),
    (
        "options",
        "config",
        "id_pattern",
        "gitrepo",
        "served",
        "policy",
        "identity",
        "interrupts",
        "hook_filter",
        "claimfile",
        "faults",
        "refusal",
    ),
    ("seal", "yaml_scalar", "ledger_scan", "known_names", "ledger_plain", "ledger_text", "ledger"),
    ("replacing", "ledger_edit"),
    ("store", "process_tree", "host"),
    (
        "scopes",
        "globs",
        "glance",
        "remarks",
        "dependencies",
        "commit_message",
        "rules",
        "ledger_tidy",
        "staged",
        "project",
        "steps",
    ),
    ("ledger_parts", "merge_driver", "doc_links"),
    (
        "lane_state",
        "outcomes",
        "waiting",
        "lock",
        "events",
        "detaching",
        "vouching",
        "pushing",
        "candidate",
        "grip",
        "merged",
    ),
    ("candidate_lock", "candidate_branch"),
    (
        "smoke",
        "junit",
        "gate",
        "gates",
        "record",
        "reverts",
        "live",
        "lines",
        "evidence",
        "sync",
        "milestone",
        "picking",
        "milestones",
        "drafts",
        "graph",
        "claims",
        "prps",
    ),
    ("registry", "mail"),
    ("tellings", "webhook", "notify"),
    ("rebuild", "settle", "verify", "history", "verdicts", "gate_runs"),
    (
        "break_glass",
        "allowance",
        "lane",
        "watcher",
        "receive",
        "observing",
        "candidate_run",
        "lane_log",
        "pulls",
        "sign",
        "outside",
    ),
    ("job", "lookout", "proving", "revert", "land", "land_pull"),
    (
        "ops",
        "install",
        "driver_setup",
        "server",
        "diagnosis",
        "mending",
        "prime",
        "agent_hooks",
        "ancestor",
        "ci_setup",
        "recipes",
        "workflow_file",
        "protection",
        "overview",
        "live_overview",
        "top_page",
        "land_process",
    ),
    ("api", "aio"),
    ("cli", "dashboard", "mcp", "compat", "demo", "__main__"),
)
PURE = ("rules", "remarks", "dependencies", "commit_message", "seal")  # values in, findings out
FRONTS = ("cli", "dashboard", "mcp", "compat")

MOST_LINES = 400
LONGER: dict[str, str] = {
    "src/prpgate/cli/verbs.py": "one table of every verb",
    "src/prpgate/messages/prps.py": "every sentence about one PRP, one after the other",
}

LAZY = {("__init__", "api")}  # only when a program asks for it
OLD_NAMES = "src/prpgate/compat/"  # its names are what old scripts import

PRINTS = ("src/prpgate/output.py",)
CATCHES_ALL = {
    "src/prpgate/cli/main.py": "the one boundary of the command line",
    "src/prpgate/store/client.py": "a thread carries whatever happened in it to the caller that waits for it",
}
SAYS_NOTHING = re.compile(r"manager|helper|utils?$|enhanced|unified|common$|^base|v2$", re.IGNORECASE)


def files(*folders: str) -> list[Path]:
    return sorted(p for folder in folders for p in (ROOT / folder).rglob("*.py"))


@cache
def syntax(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module(path: Path) -> str:
    """Dotted name below prpgate: "store.keys", "cli" for a package's own file, "__init__" for prpgate itself."""
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


@cache
def modules() -> dict[str, Path]:
    return {module(p): p for p in files("src/prpgate")}


def typing_only(tree: ast.Module) -> set[ast.AST]:
    """Everything below `if TYPE_CHECKING:`: it is not imported when the program runs."""
    guards = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test).endswith("TYPE_CHECKING")]
    return {inner for guard in guards for statement in guard.body for inner in ast.walk(statement)}


def imported(name: str) -> set[str]:
    """Modules of prpgate that a module imports when it runs, anywhere in it, also inside functions."""
    path = modules()[name]
    tree = syntax(path)
    package = path.relative_to(SRC).parts[:-1]
    found: set[str] = set()
    for node in set(ast.walk(tree)) - typing_only(tree):
        if isinstance(node, ast.Import):
            found |= {a.name.removeprefix("prpgate.") for a in node.names if a.name.startswith("prpgate.")}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            elif (node.module or "").split(".")[0] == "prpgate":
                base = (node.module or "").split(".")[1:]
            else:
                continue
            start = ".".join(part for part in base if part)
            for alias in node.names:
                inner = f"{start}.{alias.name}" if start else alias.name
                found.add(inner if inner in modules() else start or "__init__")
    return found - {name}


def layer(name: str) -> int:
    top = name.split(".")[0]
    found = [n for n, tops in enumerate(LAYERS) if top in tops]
    assert found, f"{name}: a new module has to be given its place in LAYERS"
    return found[0]


def test_imports_run_one_way() -> None:
    wrong = [
        f"{name} imports {other}"
        for name in modules()
        for other in imported(name)
        if other in modules() and layer(other) > layer(name) and (name, other) not in LAZY
    ]
    assert wrong == []


def test_imports_never_run_in_a_circle() -> None:
    lazy = {name: {other for one, other in LAZY if one == name} for name in modules()}
    graph = {name: imported(name) & modules().keys() - lazy[name] for name in modules()}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as e:
        pytest.fail(" -> ".join(e.args[1]))
    assert "lane" in order


def test_a_count_of_one_is_worded_as_one() -> None:
    """`1 PRPs`: a number before a plural is put there by `counted`, or is two at least."""
    plural = re.compile(r"\{[^{}]+\} (?:PRPs|errors|warnings|remarks|claims|milestones|commits of|entries)\b")
    wrong = [
        f"{short(p)}: {m[0]}"
        for p in files("src/prpgate")
        for m in plural.finditer(p.read_text("utf-8"))
        if m[0] not in ("{len(ids)} PRPs", "{count} commits of", "{steps} milestones")  # only told of several
    ]
    assert wrong == []


def test_rules_ask_nobody() -> None:
    allowed = {*PURE, "model", "ledger_scan", "id_pattern"}
    wrong = {f"{n}: {o}" for n in PURE for o in imported(n) if o not in allowed and not o.startswith("messages")}
    assert wrong == set()


def test_fronts_never_import_each_other() -> None:
    def front(name: str) -> str | None:
        return next((f for f in FRONTS if name.split(".")[0] == f), None)

    wrong = [
        f"{name} imports {other}"
        for name in modules()
        if front(name)
        for other in imported(name)
        if front(other) and front(other) != front(name)
    ]
    assert wrong == []


def test_the_package_never_imports_hooks_or_ci() -> None:
    wrong = []
    for path in files("src/prpgate"):
        for node in ast.walk(syntax(path)):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            wrong += [f"{short(path)}: {n}" for n in names if n.split(".")[0] in ("hooks", "ci", "tests", "benchmarks")]
    assert wrong == []


def test_files_are_short() -> None:
    lengths = {short(p): len(p.read_text("utf-8").splitlines()) for p in files("src/prpgate", "ci")}
    assert {name: n for name, n in lengths.items() if n > MOST_LINES and name not in LONGER} == {}
    assert {name for name in LONGER if lengths.get(name, 0) <= MOST_LINES} == set(), "no longer long: take it off"


def test_only_output_prints() -> None:
    wrong = []
    for path in files("src/prpgate"):
        if short(path) in PRINTS:
            continue
        for node in ast.walk(syntax(path)):
            if isinstance(node, ast.Call) and (
                (isinstance(node.func, ast.Name) and node.func.id == "print")
                or re.fullmatch(r"sys\.(__)?std(out|err)(__)?(\.buffer)?\.write(lines)?", ast.unparse(node.func))
            ):
                wrong.append(f"{short(path)}:{node.lineno}")
    assert wrong == []


def test_one_place_catches_everything() -> None:
    def broad(handler: ast.ExceptHandler) -> bool:
        kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        return any(kind is None or ast.unparse(kind) in ("Exception", "BaseException") for kind in kinds)

    found = [
        short(path)
        for path in files("src/prpgate", "ci", "hooks")
        for node in ast.walk(syntax(path))
        if (isinstance(node, ast.ExceptHandler) and broad(node))
        or (isinstance(node, ast.Call) and re.fullmatch(r".*suppress\((Base)?Exception\)", ast.unparse(node)))
    ]
    assert sorted(found) == sorted(CATCHES_ALL), "each of these once, and nowhere else"


def test_names_say_something() -> None:
    wrong = []
    for path in files("src/prpgate", "ci"):
        if short(path).startswith(OLD_NAMES):
            continue
        names = [*path.relative_to(ROOT).with_suffix("").parts]
        names += [n.name for n in ast.walk(syntax(path)) if isinstance(n, ast.ClassDef | ast.FunctionDef)]
        wrong += [f"{short(path)}: {n}" for n in names if SAYS_NOTHING.search(n)]
    assert wrong == []
