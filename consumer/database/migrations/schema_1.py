"""The tables of the first release."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
    column,
    table,
)


def upgrade(op: Operations) -> None:
    """Make them all."""
    op.create_table("schema_version", Column("version", Integer, primary_key=True))
    op.bulk_insert(table("schema_version", column("version", Integer)), [{"version": 1}])
    op.create_table(
        "offsets",
        Column("topic", String, primary_key=True),
        Column("partition", Integer, primary_key=True),
        Column("next_offset", BigInteger, nullable=False),
        Column("settled_offset", BigInteger, nullable=False),
        Column("events", BigInteger, nullable=False),
        Column("ignored", BigInteger, nullable=False),
        Column("updated_at", Float, nullable=False),
    )
    op.create_table(
        "changes",
        Column("user_id", String, primary_key=True),
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
    op.create_index("changes_of_a_cycle", "changes", ["cycle_id", "tried"])
    op.create_table(
        "cycles",
        Column("number", Integer, primary_key=True, autoincrement=True),
        Column("cycle_id", String, nullable=False, unique=True),
        Column("kind", String, nullable=False),
        Column("reason", String, nullable=False),
        Column("state", String, nullable=False),
        Column("base_version", Integer),
        Column("anchor_version", Integer),
        Column("lineage", JSON, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("claimed_at", Float, nullable=False),
        Column("ended_at", Float),
        Column("known_users", Integer),
        Column("result", JSON),
    )
    op.create_table(
        "versions",
        Column("version", Integer, primary_key=True, autoincrement=False),
        Column("cycle_id", String, nullable=False, unique=True),
        Column("registered_at", Float, nullable=False),
    )
    op.create_table(
        "promotions",
        Column("number", Integer, primary_key=True, autoincrement=True),
        Column("version", Integer, nullable=False),
        Column("at", Float, nullable=False),
        Column("reason", String, nullable=False),
    )
    op.create_table(
        "dead_letters",
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("topic", String, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("offset", BigInteger, nullable=False),
        Column("event_at", Float, nullable=False),
        Column("key", LargeBinary),
        Column("value", LargeBinary),
        Column("headers", JSON, nullable=False),
        Column("stage", String, nullable=False),
        Column("reason", String, nullable=False),
        Column("at", Float, nullable=False),
        UniqueConstraint("topic", "partition", "offset", "event_at"),
    )
    op.create_table(
        "asked",
        Column("number", Integer, primary_key=True, autoincrement=True),
        Column("kind", String, nullable=False),
        Column("by", String, nullable=False),
        Column("at", Float, nullable=False),
        Column("cycle_id", String),
    )
    op.create_table(
        "replays",
        Column("number", Integer, primary_key=True, autoincrement=True),
        Column("ranges", JSON, nullable=False),
        Column("events", BigInteger, nullable=False),
        Column("users", Integer, nullable=False),
        Column("at", Float, nullable=False),
        Column("cycle_id", String, nullable=False),
    )
