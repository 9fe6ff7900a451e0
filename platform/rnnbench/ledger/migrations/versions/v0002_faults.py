"""Schema 0002: attempts, leases, slots of adaptive searches, decisions of schedulers; limits leave the trial's budget."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds the tables and columns; what stood in the old ones stays."""
    moment = sa.DateTime(timezone=True)
    sweep = sa.ForeignKey("sweeps.name")
    trial = sa.ForeignKey("trials.key")
    op.add_column("trials", sa.Column("failures", sa.Integer, nullable=False, server_default="0"))
    op.add_column("trials", sa.Column("rung", sa.Integer, nullable=False, server_default="0"))
    op.add_column("trials", sa.Column("holder", sa.String(64)))
    op.create_index("trials_status", "trials", ["status"])
    op.create_table(
        "attempts",
        sa.Column("trial_key", sa.String(64), trial, primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True),
        sa.Column("sweep", sa.String(100), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("category", sa.String(32)),
        sa.Column("error", sa.Text),
        sa.Column("wall_s", sa.Double),
        sa.Column("started_at", moment, nullable=False),
        sa.Column("ended_at", moment),
    )
    op.create_table(
        "slots",
        sa.Column("sweep", sa.String(100), sweep, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("task", sa.String(100), nullable=False),
        sa.Column("cell", sa.String(100), nullable=False),
        sa.Column("draw", sa.Integer, nullable=False),
        sa.Column("drawn_at", moment),
        sa.Column("evidence", sa.JSON),
    )
    op.create_index("slots_once", "slots", ["sweep", "task", "cell", "draw"], unique=True)
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "decisions",
        sa.Column("id", number, primary_key=True, autoincrement=True),
        sa.Column("sweep", sa.String(100), sa.ForeignKey("sweeps.name"), nullable=False),
        sa.Column("trial_key", sa.String(64), sa.ForeignKey("trials.key"), nullable=False),
        sa.Column("rung", sa.Integer, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("evidence", sa.JSON, nullable=False),
        sa.Column("decided_at", moment, nullable=False),
    )
    op.create_index("decisions_once", "decisions", ["sweep", "trial_key", "rung"], unique=True)
    op.create_table(
        "leases",
        sa.Column("sweep", sa.String(100), sa.ForeignKey("sweeps.name"), primary_key=True),
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("process", sa.String(255), nullable=False),
        sa.Column("since", moment, nullable=False),
        sa.Column("beat_at", moment, nullable=False),
        sa.Column("beats", sa.Integer, nullable=False),
        sa.Column("stop", sa.String(16)),
    )
    _move_limits_out_of_the_budget()


def _move_limits_out_of_the_budget() -> None:
    """A trial's time limit is the sweep's now: its spec holds only what determines its result."""
    connection = op.get_bind()
    trials = sa.table("trials", sa.column("key", sa.String), sa.column("spec", sa.JSON))
    for key, spec in connection.execute(sa.select(trials.c.key, trials.c.spec)).all():
        spec["budget"].pop("max_seconds", None)
        connection.execute(sa.update(trials).where(trials.c.key == key).values(spec=spec))
