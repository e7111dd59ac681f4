"""Versions one can go back to: who promoted what, what persons ordered, who was learned by whom, and model events."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Integer, String, column, false, table

_KINDS = (("changes", "learned"), ("label_changes", "learned_labels"))


def upgrade(op: Operations) -> None:
    """Change what each part of the ledger needs."""
    _changes(op)
    _versions(op)
    _interventions(op)
    _outbox(op)
    op.add_column("identity", Column("min_version_exclusive", Integer, nullable=False, server_default="0"))


def _changes(op: Operations) -> None:
    """What was settled is told by whole rows; of rows of earlier releases key and time are all that is known."""
    for changes, learned in _KINDS:
        op.add_column(changes, Column("learned_by", String))
        for name in ("operation", "first_position", "last_position", "cycle_id"):
            op.add_column(learned, Column(name, String))
        op.add_column(learned, Column("events", BigInteger))
        op.add_column(learned, Column("first_event_at", Float))
        op.add_column(learned, Column("last_event_at", Float))
        op.create_index(f"ix_{learned}_cycle_id", learned, ["cycle_id"])


def _versions(op: Operations) -> None:
    op.add_column("versions", Column("not_promoted", String))
    op.add_column("versions", Column("withdrawn", Boolean, nullable=False, server_default=false()))
    op.add_column("versions", Column("deleted_at", Float))
    op.add_column("versions", Column("freed_bytes", BigInteger))
    op.add_column("promotions", Column("action", String, nullable=False, server_default="cycle"))
    op.add_column("promotions", Column("by", String))
    op.add_column("promotions", Column("previous", Integer))
    op.add_column("promotions", Column("hold_down_until", Float))
    op.create_index("promotions_of_an_action", "promotions", ["action", "number"])
    # What cycles of earlier releases have settled was noted for a week only.
    op.add_column("cycles", Column("forgotten", Boolean, nullable=False, server_default=false()))
    cycles = table("cycles", column("forgotten", Boolean), column("settled", Boolean))
    op.execute(cycles.update().values(forgotten=cycles.c.settled))
    op.create_index("promotions_of_a_version", "promotions", ["version", "number"])


def _interventions(op: Operations) -> None:
    op.create_table(
        "interventions",
        Column("number", Integer, primary_key=True, autoincrement=True),
        Column("action", String, nullable=False),
        Column("at", Float, nullable=False),
        Column("by", String, nullable=False),
        Column("reason", String, nullable=False),
        Column("version", Integer),
    )
    op.create_index("interventions_of_an_action", "interventions", ["action", "number"])


def _outbox(op: Operations) -> None:
    op.create_table(
        "outbox",
        Column("number", Integer, primary_key=True, autoincrement=True),
        Column("event_id", String, nullable=False, unique=True),
        Column("event", JSON, nullable=False),
        Column("at", Float, nullable=False),
        Column("sent_to_topic", Boolean, nullable=False, server_default=false()),
        Column("sent_to_webhook", Boolean, nullable=False, server_default=false()),
        Column("last_error", String),
    )
    op.create_index("outbox_for_the_topic", "outbox", ["sent_to_topic", "number"])
    op.create_index("outbox_for_the_webhook", "outbox", ["sent_to_webhook", "number"])
