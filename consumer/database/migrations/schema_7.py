"""What operators, the schedule and trainers asked for is a table of retrain requests."""

from __future__ import annotations

from alembic.operations import Operations


def upgrade(op: Operations) -> None:
    """Rename the table `asked`, and its index."""
    op.drop_index("asked_and_open", "asked")
    op.rename_table("asked", "retrain_requests")
    op.create_index("retrain_requests_open", "retrain_requests", ["cycle_id"])
