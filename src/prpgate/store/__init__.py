"""The store: which server (discover), our own (embedded), how we talk (client, scripts), where things are (keys)."""
