"""prpgate: git hooks and a CI plugin that keep many people and coding agents out of each other's way."""

__version__ = "0.1.0"
