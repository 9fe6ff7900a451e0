"""Schema 0003: a lease for each process that works on a sweep, not one a sweep."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Makes the table of leases anew; those that stood in it hold their sweeps alone, as before."""
    connection = op.get_bind()
    names = ("sweep", "token", "host", "pid", "process", "since", "beat_at", "beats", "stop")
    moment = sa.DateTime(timezone=True)
    found = connection.execute(sa.select(sa.table("leases", *map(sa.column, names)))).mappings().all()
    op.drop_table("leases")
    leases = op.create_table(
        "leases",
        sa.Column("token", sa.String(64), primary_key=True),
        sa.Column("sweep", sa.String(100), sa.ForeignKey("sweeps.name"), nullable=False),
        sa.Column("joined", sa.Boolean, nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("process", sa.String(255), nullable=False),
        sa.Column("since", moment, nullable=False),
        sa.Column("beat_at", moment, nullable=False),
        sa.Column("beats", sa.Integer, nullable=False),
        sa.Column("stop", sa.String(16)),
    )
    op.create_index("leases_sweep", "leases", ["sweep"])
    if found:
        values = sa.table("leases", *map(sa.column, leases.columns.keys()))
        connection.execute(sa.insert(values), [{**row, "joined": False} for row in found])
