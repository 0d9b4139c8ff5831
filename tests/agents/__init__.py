"""What coding agents are told: the block in AGENTS.md, and their hooks."""
