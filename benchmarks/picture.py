"""Draw a run of `prp demo` as docs/demo.svg: what it printed, as it printed it. Needs rich (in the dev extra).

python -m benchmarks.picture
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

TARGET = Path(__file__).parent.parent / "docs" / "demo.svg"
WIDTH = 140
# The second and third part of the story: what a refusal looks like and how two pushes race.
FROM, TO = "2. A commit", "4. What landed"


def style(line: str) -> str:
    if re.match(r"\d\. ", line):
        return "bold"
    if re.match(r"\w+ \$ ", line):
        return "bold cyan"
    if line.strip().startswith(("prp: ", "PRP1")):
        return "red"
    return ""


def main() -> int:
    done = subprocess.run([sys.executable, "-m", "prpgate", "demo"], capture_output=True, text=True, check=True)
    lines = re.sub(r"/\S*/prp-demo-\w+", "/tmp/demo", done.stdout).splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith(FROM))
    last = next(n for n, line in enumerate(lines) if line.startswith(TO))
    console = Console(record=True, width=WIDTH, file=open("/dev/null", "w"))  # noqa: SIM115
    for line in lines[first:last]:
        console.print(Text(line, style=style(line)))
    svg = console.export_svg(title="prp demo")
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)  # a page that shows it must ask nobody for fonts
    TARGET.write_text(svg, "utf-8")
    print(f"wrote {TARGET.name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
