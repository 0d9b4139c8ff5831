"""Every sentence a person reads, one file per family: the fact, the reason, the command that fixes it."""
