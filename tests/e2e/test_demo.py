"""`prp demo` in an empty home, with no server running and no XDG variable set."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def test_demo_tells_the_whole_story_and_cleans_up(tmp_path: Path, home: Path) -> None:
    (home / ".gitconfig").unlink()
    env = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "PRP_", "REDIS", "GIT_"))}
    env["TMPDIR"] = str(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "prpgate", "demo"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for line in (
        "is no status (new, validated, in_progress, complete, deprecated)",
        "Nothing is lost; you are next in line, your place is kept until",
        "git pull --rebase --autostash && git push",
        "P1-020 is complete",
        "prp init",
    ):
        assert line in done.stdout, (line, done.stdout)
    assert done.stdout.count("\n    landed\n") == 2
    assert not list(tmp_path.glob("prp-demo-*"))
    assert not [p for p in _commands() if str(tmp_path) in p], "a process stayed behind"


def _commands() -> list[str]:
    found = []
    for pid in os.listdir("/proc"):
        if pid.isdigit():
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    words = f.read().replace(b"\0", b" ").decode("utf-8", "replace")
                found.append(words + " " + os.readlink(f"/proc/{pid}/cwd"))
            except OSError:
                continue
    return [c for c in found if "pytest" not in c]
