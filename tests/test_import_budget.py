"""What an import may cost. Hooks pay for it with every commit: `import redis` is twelve Python starts, `git` eight.

docs/design.md names the bars; this test names the packages, which is what a slip looks like.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import prpgate
from tests.world import run

HEAVY = ("redis", "yaml", "git", "rich", "asyncio", "mcp", "pydantic", "starlette", "uvicorn")
PACKAGE = Path(prpgate.__file__).parent
MESSAGES = sorted(f"messages.{p.stem}" for p in (PACKAGE / "messages").glob("*.py") if p.stem != "__init__")
LIGHT = ("config", "errors", "model", "gitrepo", "rules", "output", "policy", "smoke", "cli.main", *MESSAGES)
FRONTS = ("dashboard.command",)  # a link for one that runs already needs no server


def pulled(modules: str, names: tuple[str, ...]) -> list[str]:
    """Which of these packages an import brings along, in a Python of its own."""
    code = f"import sys\nimport {modules}\nprint(*[n for n in {names!r} if n in sys.modules])"
    return run([sys.executable, "-c", code], PACKAGE.parent).out.split()


@pytest.mark.parametrize("module", LIGHT + FRONTS)
def test_what_hooks_and_the_command_line_import_is_light(module: str) -> None:
    assert pulled(f"prpgate.{module}", HEAVY) == []


def test_looking_for_the_store_needs_no_client() -> None:
    assert pulled("prpgate.store.discover", ("redis", "asyncio")) == []


def test_help_and_version_need_nothing_heavy() -> None:
    for option in ("--help", "--version"):
        code = (
            "import sys\nfrom prpgate.cli.main import run\n"
            f"assert run([{option!r}]) == 0\nprint('pulled', *[n for n in {HEAVY!r} if n in sys.modules])"
        )
        assert run([sys.executable, "-c", code], PACKAGE.parent).out.splitlines()[-1] == "pulled"


def test_the_measure_sees_what_is_there() -> None:
    assert "redis" in pulled("redis", HEAVY)
