"""Several instances share a ledger, gaps and new topics are noticed, and dead letters are dealt with one by one."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Integer, String, false


def upgrade(op: Operations) -> None:
    """Leave `tried` out of the index; add the tables `ignored`, `gaps`, `leases` and `instances`, and columns."""
    op.add_column("offsets", Column("topic_id", String))
    op.add_column("offsets", Column("leader_epoch", Integer))
    op.add_column("dead_letters", Column("status", String, nullable=False, server_default="open"))
    op.add_column("dead_letters", Column("settled_at", Float))
    op.add_column("dead_letters", Column("settled_reason", String))
    op.add_column("dead_letters", Column("published", Boolean, nullable=False, server_default=false()))
    # `tried` is set by every change that is stored: in an index, it would have to be moved there each time.
    op.drop_index("changes_of_a_cycle", "changes")
    op.create_index("changes_of_a_cycle", "changes", ["cycle_id"])
    op.create_table(
        "ignored",
        Column("topic", String, primary_key=True),
        Column("partition", Integer, primary_key=True),
        Column("reason", String, primary_key=True),
        Column("events", BigInteger, nullable=False),
    )
    op.create_table(
        "gaps",
        Column("number", Integer, primary_key=True, autoincrement=True),
        Column("topic", String, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("from_offset", BigInteger, nullable=False),
        Column("to_offset", BigInteger, nullable=False),
        Column("at", Float, nullable=False),
        Column("reason", String, nullable=False),
    )
    op.create_table(
        "leases",
        Column("name", String, primary_key=True),
        Column("holder", String, nullable=False),
        Column("token", BigInteger, nullable=False),
        Column("renewals", BigInteger, nullable=False),
        Column("renewed_at", Float, nullable=False),
    )
    op.create_table(
        "instances",
        Column("instance_id", String, primary_key=True),
        Column("pid", Integer, nullable=False),
        Column("host", String, nullable=False),
        Column("state", JSON, nullable=False),
        Column("seen_at", Float, nullable=False),
    )
