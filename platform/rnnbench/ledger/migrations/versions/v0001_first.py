"""Schema 0001: sweeps, trials, plan, epochs, outbox. Frozen: a change of the schema is a new file."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Creates the first tables."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "sweeps",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("environment", sa.JSON, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("ended_at", moment),
        sa.Column("session_s", sa.Double, nullable=False),
    )
    op.create_table(
        "trials",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("group_key", sa.String(64), nullable=False),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("best", sa.Double),
        sa.Column("best_epoch", sa.Integer),
        sa.Column("last", sa.Double),
        sa.Column("wall_s", sa.Double),
        sa.Column("outcome", sa.JSON, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("category", sa.String(32)),
        sa.Column("started_at", moment),
        sa.Column("ended_at", moment),
        sa.Column("test_opened_at", moment),
    )
    op.create_table(
        "planned",
        sa.Column("sweep", sa.String(100), sa.ForeignKey("sweeps.name"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("trial_key", sa.String(64), sa.ForeignKey("trials.key"), nullable=False),
        sa.Column("draw", sa.Integer, nullable=False),
        sa.Column("replicate", sa.Integer, nullable=False),
        sa.Column("reused", sa.Boolean, nullable=False),
    )
    op.create_index("planned_once", "planned", ["sweep", "trial_key"], unique=True)
    op.create_index("planned_trial", "planned", ["trial_key"])
    op.create_table(
        "epochs",
        sa.Column("trial_key", sa.String(64), sa.ForeignKey("trials.key"), primary_key=True),
        sa.Column("epoch", sa.Integer, primary_key=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("wall_s", sa.Double, nullable=False),
        sa.Column("metrics", sa.JSON, nullable=False),
    )
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "outbox",
        sa.Column("id", number, primary_key=True, autoincrement=True),
        sa.Column("sweep", sa.String(100), sa.ForeignKey("sweeps.name"), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("trial_key", sa.String(64), sa.ForeignKey("trials.key")),
        sa.Column("payload", sa.JSON, nullable=False),
        sa.Column("delivered_at", moment),
    )
    op.create_index("outbox_waiting", "outbox", ["delivered_at", "id"])
