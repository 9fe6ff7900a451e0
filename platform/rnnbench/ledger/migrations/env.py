"""How alembic runs our migrations: on the connection, and in the transaction, that the engine hands over."""

from alembic import context

from rnnbench.ledger.schema import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE, transactional_ddl=False)
context.run_migrations()
