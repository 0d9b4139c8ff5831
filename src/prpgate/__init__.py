"""prpgate: git hooks and a CI plugin that keep many people and coding agents out of each other's way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import Project as Project
    from .api import connect as connect

__version__ = "0.1.0"
__all__ = ["Project", "__version__", "connect"]


def __getattr__(name: str) -> Any:
    """Programs get the API; hooks, which import this package too, do not pay for it."""
    if name in ("connect", "Project"):
        from . import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
