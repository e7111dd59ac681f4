"""Ranges of replays are lists, the ledger counts what is pending, and people see more of what goes on."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import JSON, BigInteger, Column, Float, Integer, String

# Up to now a record without a usable time got the time of its reading, by which its letter was stored as well. What it
# said itself is not known, and it may have several letters: none of them is lost.
_RECORD_TIMES = """
UPDATE dead_letters SET record_time = CAST(round(event_at * 1000) AS BIGINT)
WHERE stage = 'gap' OR (stage <> 'fetch' AND event_at <> at)
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
    """What a replay was asked for; ranges of earlier releases stay as they are, and are read as lists of one."""
    op.add_column("replays", Column("labels", Integer, nullable=False, server_default="0"))
    op.add_column("replays", Column("replay_id", String))
    op.add_column("replays", Column("request", Integer))
    op.add_column("replays", Column("told", JSON))
    op.create_index("replays_once", "replays", ["replay_id"], unique=True)


def _counts(op: Operations) -> None:
    """What is pending, cycles and versions."""


def _letters(op: Operations) -> None:
    """A letter is known again by what its record says, and not by when it was read; refused users stay on record."""
    with op.batch_alter_table("dead_letters") as letters:
        letters.add_column(Column("record_time", BigInteger))
        letters.add_column(Column("topic_id", String))
    op.execute(_RECORD_TIMES)
    op.execute(_TOPIC_IDS)
    with op.batch_alter_table("dead_letters") as letters:
        letters.alter_column("topic_id", existing_type=String(), nullable=False)
        letters.drop_constraint("dead_letters_once", type_="unique")
        once = ["topic", "partition", "offset", "record_time", "digest", "topic_id"]
        letters.create_unique_constraint("dead_letters_once", once)
    for name, key in (("refused_users", "user_id"), ("refused_labels", "pair")):
        op.create_table(
            name,
            Column(key, String, primary_key=True),
            Column("reason", String, nullable=False),
            Column("since", Float, nullable=False),
            Column("last_at", Float, nullable=False),
            Column("times", BigInteger, nullable=False),
            Column("cycle_id", String, nullable=False),
        )


def _instances(op: Operations) -> None:
    """Instances and leases."""


def _policy(op: Operations) -> None:
    """What the trigger decides by, and what is told of a cycle that fails."""
    op.add_column("cycles", Column("last_error", String))
    op.add_column("probes", Column("after_cycle", Integer))  # none: such a probe is simply made again
