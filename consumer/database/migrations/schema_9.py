"""A service that people watch: how it was, minute by minute, and what they were told."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Integer, String, false


def upgrade(op: Operations) -> None:
    """Make the tables."""
    op.create_table(
        "samples",
        Column("minute", BigInteger, primary_key=True, autoincrement=False),
        Column("figures", JSON, nullable=False),
    )
    op.create_table(
        "alerts",
        Column("name", String, primary_key=True),
        Column("since", Float, nullable=False),
        Column("told_at", Float, nullable=False),
        Column("summary", String, nullable=False),
    )
    op.create_table(
        "notifications",
        Column("number", Integer, primary_key=True, autoincrement=True),
        Column("message_id", String, nullable=False, unique=True),
        Column("message", JSON, nullable=False),
        Column("at", Float, nullable=False),
        Column("sent_to_webhook", Boolean, nullable=False, server_default=false()),
        Column("sent_to_chat", Boolean, nullable=False, server_default=false()),
        Column("last_error", String),
    )
    op.create_index("notifications_for_the_webhook", "notifications", ["sent_to_webhook", "number"])
    op.create_index("notifications_for_the_chat", "notifications", ["sent_to_chat", "number"])
