"""Every example of docs/api.md runs as it is written there, in order, in a clone of a real project."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.world import run

if TYPE_CHECKING:
    from tests.e2e.conftest import Project

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"


def test_the_examples_run(project: Project) -> None:
    examples = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    assert len(examples) >= 4
    said = []
    for code in examples:
        said.append(run([sys.executable, "-c", code], project.ana.path, env=project.ana.env).out)
        project.ana.git("commit", "-qam", "feat(P2-040): work", ok=False)
    assert "P2-040 is mine for" in said[0]
    assert "prp reopen P2-020" in said[1]
    assert said[2].startswith("landed ")
    assert "fence" in said[3]
