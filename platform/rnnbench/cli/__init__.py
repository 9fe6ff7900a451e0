"""The command line: one small file per command group; nothing is computed here."""
