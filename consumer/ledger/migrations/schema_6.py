"""Ranges of replays are lists, the ledger counts what is pending, and people see more of what goes on."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import JSON, Column, Integer, String


def upgrade(op: Operations) -> None:
    """Change what each part of the ledger needs."""
    _replays(op)
    _counts(op)
    _letters(op)
    _instances(op)
    _policy(op)


def _replays(op: Operations) -> None:
    """What a replay was asked for; ranges of earlier releases stay as they are, and are read as lists of one."""
    op.add_column("replays", Column("labels", Integer, nullable=False, server_default="0"))
    op.add_column("replays", Column("replay_id", String))
    op.add_column("replays", Column("request", Integer))
    op.add_column("replays", Column("told", JSON))
    op.create_index("replays_once", "replays", ["replay_id"], unique=True)


def _counts(op: Operations) -> None:
    """What is pending, cycles and versions."""


def _letters(op: Operations) -> None:
    """Dead letters and refused users."""


def _instances(op: Operations) -> None:
    """Instances and leases."""


def _policy(op: Operations) -> None:
    """What the trigger decides by, and what is told of a cycle that fails."""
    op.add_column("cycles", Column("last_error", String))
    op.add_column("probes", Column("after_cycle", Integer))  # none: such a probe is simply made again
