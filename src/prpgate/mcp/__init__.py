"""The MCP server: what a coding agent calls instead of typing commands. Each tool is one call into the verbs below."""
