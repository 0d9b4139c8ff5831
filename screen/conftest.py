"""Fixtures of tests/, for those that need a screen."""

from __future__ import annotations

from tests.conftest import home, server, world

__all__ = ["home", "server", "world"]
