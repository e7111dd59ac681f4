"""Labels change too: they are pending, claimed and settled beside users."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, String


def upgrade(op: Operations) -> None:
    """Add the tables `label_changes`, `learned_labels` and `probes`, and how many labels a cycle knew."""
    op.create_table(
        "label_changes",
        Column("pair", String, primary_key=True),
        Column("cycle_id", String, primary_key=True),
        Column("operation", String, nullable=False),
        Column("events", BigInteger, nullable=False),
        Column("first_position", String, nullable=False),
        Column("last_position", String, nullable=False),
        Column("first_event_at", Float, nullable=False),
        Column("last_event_at", Float, nullable=False),
        Column("fresh_since", Float, nullable=False),
        Column("received_at", Float, nullable=False),
        Column("tried", Boolean, nullable=False),
    )
    op.create_index("label_changes_of_a_cycle", "label_changes", ["cycle_id"])
    op.create_table(
        "learned_labels",
        Column("pair", String, primary_key=True),
        Column("received_at", Float, nullable=False, index=True),
    )
    op.create_table(
        "probes",
        Column("number", Integer, primary_key=True, autoincrement=True),
        Column("at", Float, nullable=False),
        Column("version", Integer),
        Column("changes", Integer, nullable=False),
        Column("regret", Float),
        Column("error", Float),
        Column("told", String, nullable=False),
    )
    op.add_column("cycles", Column("known_labels", Integer))
