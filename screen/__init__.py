"""Tests that need a browser, a terminal in tmux or Node: `pytest screen`. docs/development.md says what to install."""
