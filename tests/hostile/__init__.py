"""What a hostile or clumsy teammate can put into a ledger, a name or a setting: an error, never a traceback."""
