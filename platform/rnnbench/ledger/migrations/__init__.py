"""Schema versions of the ledger, applied in order when a database is opened."""
