"""Schema 0004: a slot names its data set, so that a sweep may have one task with several."""

from pathlib import PurePath
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Makes the table of slots anew; those that stood in it have the one data set that their sweep gives their task."""
    connection = op.get_bind()
    names = ("sweep", "position", "task", "cell", "draw")
    moment = sa.DateTime(timezone=True)
    old = sa.table("slots", *map(sa.column, names), sa.column("drawn_at", moment), sa.column("evidence", sa.JSON))
    found = connection.execute(sa.select(old)).mappings().all()
    sweeps = sa.table("sweeps", sa.column("name", sa.String), sa.column("settings", sa.JSON))
    settings = dict(connection.execute(sa.select(sweeps.c.name, sweeps.c.settings)).all())
    op.drop_table("slots")
    slots = op.create_table(
        "slots",
        sa.Column("sweep", sa.String(100), sa.ForeignKey("sweeps.name"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("task", sa.String(100), nullable=False),
        sa.Column("data", sa.String(300), nullable=False),
        sa.Column("cell", sa.String(100), nullable=False),
        sa.Column("draw", sa.Integer, nullable=False),
        sa.Column("drawn_at", moment),
        sa.Column("evidence", sa.JSON(none_as_null=True)),
    )
    op.create_index("slots_once", "slots", ["sweep", "task", "data", "cell", "draw"], unique=True)
    if found:
        connection.execute(sa.insert(slots), [{**row, "data": _data(settings[row["sweep"]], row["task"])} for row in found])


def _data(settings: dict[str, Any], task: str) -> str:
    """The data set of a task, as trials name it; empty where the settings name none."""
    listed = settings.get("task") or []
    data = next((one["data"] for one in listed if isinstance(one, dict) and one["name"] == task), "")
    return f"path:{PurePath(data['path']).name}" if isinstance(data, dict) else data
