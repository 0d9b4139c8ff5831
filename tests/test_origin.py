"""What is named to install this copy again is where it came from."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import prpgate


def told(folder: Path, direct_url: dict[str, Any] | None) -> list[list[str]]:
    """The words of both commands, in a copy that pip noted so."""
    info = folder / "prpgate-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: prpgate\nVersion: 0\n")
    if direct_url is not None:
        (info / "direct_url.json").write_text(json.dumps(direct_url))
    (folder / "prpgate").symlink_to(Path(prpgate.__file__).parent)
    code = "from prpgate.origin import command; print(command('embedded')); print(command(how='--upgrade'))"
    env = {**os.environ, "PYTHONPATH": str(folder)}
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    return [shlex.split(line)[4:] for line in out.splitlines()]


@pytest.mark.parametrize(
    ("noted", "first", "upgrade"),
    [
        (None, ["prpgate[embedded]"], ["--upgrade", "prpgate"]),
        ({"url": "file:///a%20b"}, ["/a b[embedded]"], ["--upgrade", "/a b"]),
        (
            {"url": "file:///src", "dir_info": {"editable": True}},
            ["-e", "/src[embedded]"],
            ["--upgrade", "-e", "/src"],
        ),
        (
            {"url": "https://example.org/prpgate", "vcs_info": {"vcs": "git", "commit_id": "1" * 40}},
            ["prpgate[embedded] @ git+https://example.org/prpgate"],
            ["--upgrade", "prpgate @ git+https://example.org/prpgate"],
        ),
    ],
)
def test_the_command_names_where_it_came_from(
    tmp_path: Path, noted: dict[str, Any] | None, first: list[str], upgrade: list[str]
) -> None:
    assert told(tmp_path, noted) == [first, upgrade]
