"""Cycles that settle users without a version, limits that an operator waives, full retrains that a trainer asks for."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import JSON, Boolean, Column, Integer, String, column, false, select, table, update


def upgrade(op: Operations) -> None:
    """Add columns to `cycles` and `asked`; up to here, who settled users is whose version was made champion."""
    op.add_column("cycles", Column("accept", JSON))
    op.add_column("cycles", Column("settled", Boolean, nullable=False, server_default=false()))
    op.create_index("cycles_of_a_kind", "cycles", ["kind", "number"])
    op.add_column("asked", Column("accept", JSON))
    op.add_column("asked", Column("why", String))
    cycles = table("cycles", column("cycle_id", String), column("settled", Boolean))
    versions = table("versions", column("version", Integer), column("cycle_id", String))
    promotions = table("promotions", column("version", Integer))
    champions = select(versions.c.cycle_id).join(promotions, promotions.c.version == versions.c.version)
    op.get_bind().execute(update(cycles).where(cycles.c.cycle_id.in_(champions)).values(settled=True))
