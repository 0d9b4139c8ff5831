"""The MCP server, driven by the SDK's own client over real pipes: real store, real clones, real pushes."""
