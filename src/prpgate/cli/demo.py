"""demo: the whole of it in a throw-away repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import demo as story
from ..errors import OK

if TYPE_CHECKING:
    import argparse

    from ..output import Output

NEXT = """
That was real git, real hooks and a real store, and it is gone again. In your own repository:
  prp init        finds your ledger, writes prp.toml, installs the hooks; touches nothing else
  prp doctor      says what is missing"""


def demo(args: argparse.Namespace, out: Output) -> int:
    def tell(line: str) -> None:
        out.say(line, colour="bold" if line.lstrip()[:2] in ("1.", "2.", "3.", "4.") else None)

    took = story.play(tell, keep=args.keep)
    out.say(NEXT)
    out.note(f"({took:.1f} s)")
    return OK
