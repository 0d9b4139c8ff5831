"""Where hooks/ and ci/ are: inside the installed package, or beside src/ in a checkout."""

from __future__ import annotations

import os

from .errors import UserError

_PACKAGE = os.path.dirname(os.path.abspath(__file__))


def folder(name: str) -> str:
    """Absolute path of the folder `hooks` or `ci`. Raises UserError when this copy of prpgate came without it."""
    for place in (os.path.join(_PACKAGE, "_data", name), os.path.join(_PACKAGE, "..", "..", name)):
        if os.path.isdir(place):
            return os.path.normpath(place)
    from .origin import command

    raise UserError(
        f"this copy of prpgate ({_PACKAGE}) has no {name} folder.",
        code="broken-install",
        next_action=command(how="--force-reinstall"),
    )


def hooks_folder() -> str:
    return folder("hooks")
