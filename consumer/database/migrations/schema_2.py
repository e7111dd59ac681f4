"""The ledger remembers for a week who was learned."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import Column, Float, String


def upgrade(op: Operations) -> None:
    """Add the table `learned`."""
    op.create_table(
        "learned",
        Column("user_id", String, primary_key=True),
        Column("received_at", Float, nullable=False, index=True),
    )
