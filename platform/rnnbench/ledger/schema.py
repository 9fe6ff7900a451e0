"""The version of the ledger's tables, and where it stands in a database."""

VERSION_TABLE = "rnnbench_version"
# The newest of migrations/versions: alembic itself is needed only where a database has another.
SCHEMA = "0004"
BUSY_TIMEOUT_S = 30
