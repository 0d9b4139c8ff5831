"""hook NAME (for hook frameworks) and renew: what other programs call."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from .. import ops
from ..errors import OK, UserError
from ..model import ZERO

if TYPE_CHECKING:
    import argparse

    from ..output import Output


def hook(args: argparse.Namespace, out: Output) -> int:
    """Run one of our hooks as a framework calls it.

    The frameworks call pre-push once, for the first ref only and with empty stdin; what they tell about that ref is
    in the environment, and becomes the line that git itself would have written.
    """
    from ..data import hooks_folder

    stdin = None
    given = list(args.args)
    if args.name == "pre-push":
        remote = os.environ.get("PRE_COMMIT_REMOTE_NAME", "")
        local, ref = os.environ.get("PRE_COMMIT_LOCAL_BRANCH", ""), os.environ.get("PRE_COMMIT_REMOTE_BRANCH", "")
        old, new = os.environ.get("PRE_COMMIT_FROM_REF") or ZERO, os.environ.get("PRE_COMMIT_TO_REF", "")
        if not (remote and ref and new):
            raise UserError(
                "prp hook pre-push is for the pre-commit framework, which names the pushed ref in PRE_COMMIT_*.",
                code="usage",
                next_action="prp install",
            )
        given = [remote, os.environ.get("PRE_COMMIT_REMOTE_URL", "")]
        stdin = f"{local} {new} {ref} {old}\n".encode()
    script = os.path.join(hooks_folder(), args.name)
    return subprocess.run([sys.executable, "-I", script, *given], input=stdin, check=False).returncode


def renew(args: argparse.Namespace, out: Output) -> int:
    session = ops.Session(url=args.redis_url)
    renewed = ops.renew_here(session)
    if not args.quiet:
        out.say(f"Renewed: {', '.join(renewed)}." if renewed else "Nothing is claimed from this worktree.")
    return OK
