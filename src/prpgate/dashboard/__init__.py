"""The web dashboard: who has what, whether it is alive, and what happened. Read-only, live by events."""
