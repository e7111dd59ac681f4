"""Ranges of replays are lists, the ledger counts what is pending, and people see more of what goes on."""

from __future__ import annotations

from uuid import uuid4

from alembic.operations import Operations
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Integer,
    String,
    column,
    func,
    insert,
    literal,
    select,
    table,
)

_FIGURES = ("rows", "untried", "first_event_at", "last_event_at", "fresh_since", "received_at")
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
    """Changes are in portions, of which a claim takes one; the figures of each are kept beside it."""
    _make_portions(op)
    for kind, name, key in (("users", "changes", "user_id"), ("labels", "label_changes", "pair")):
        _divide(op, kind, name, key)
    op.create_index("cycles_of_a_state", "cycles", ["state", "kind", "number"])
    op.create_index("cycles_settled", "cycles", ["settled", "number"])
    op.create_index("cycles_for_a_reason", "cycles", ["reason", "kind", "number"])
    op.create_index("asked_and_open", "asked", ["cycle_id"])


def _make_portions(op: Operations) -> None:
    op.create_table(
        "portions",
        Column("kind", String, primary_key=True),
        Column("number", Integer, primary_key=True, autoincrement=False),
        Column("cycle_id", String, nullable=False),
        Column("rows", BigInteger, nullable=False),
        Column("untried", BigInteger, nullable=False),
        Column("first_event_at", Float),
        Column("last_event_at", Float),
        Column("fresh_since", Float),
        Column("received_at", Float),
    )
    op.create_index("portions_of_a_cycle", "portions", ["cycle_id"])


def _divide(op: Operations, kind: str, name: str, key: str) -> None:
    """A portion for each cycle that has claimed something, and one for what is pending; then the figures of each."""
    times = ("first_event_at", "last_event_at", "fresh_since", "received_at")
    beside = ("operation", "events", "first_position", "last_position", *times, "tried")
    op.create_table(
        f"{name}_in_portions",
        Column("portion", Integer, primary_key=True, autoincrement=False),
        Column(key, String, primary_key=True),
        Column("operation", String, nullable=False),
        Column("events", BigInteger, nullable=False),
        Column("first_position", String, nullable=False),
        Column("last_position", String, nullable=False),
        Column("first_event_at", Float, nullable=False),
        Column("last_event_at", Float, nullable=False),
        Column("fresh_since", Float, nullable=False),
        Column("received_at", Float, nullable=False),
        Column("tried", Boolean, nullable=False),
    )
    old = table(name, column(key), column("cycle_id", String), *(column(one) for one in beside))
    new = table(f"{name}_in_portions", column("portion"), column(key), *(column(one) for one in beside))
    portions = table("portions", *(column(one) for one in ("kind", "number", "cycle_id", *_FIGURES)))
    connection = op.get_bind()
    claimed = connection.scalars(select(old.c.cycle_id).distinct().order_by(old.c.cycle_id.desc())).all()
    for number, cycle_id in enumerate(claimed, start=1):
        rows = select(literal(number), *(old.c[one] for one in (key, *beside))).where(old.c.cycle_id == cycle_id)
        connection.execute(insert(new).from_select(["portion", key, *beside], rows))
        of_portion = new.c.portion == number
        seen = func.min(new.c.first_event_at), func.max(new.c.last_event_at)
        every = connection.execute(select(func.count(), *seen).where(of_portion)).one()
        waits = func.min(new.c.fresh_since), func.max(new.c.received_at)
        fresh = connection.execute(select(func.count(), *waits).where(of_portion, new.c.tried.is_(False))).one()
        figures = dict(zip(_FIGURES, (every[0], fresh[0], every[1], every[2], fresh[1], fresh[2]), strict=True))
        connection.execute(insert(portions).values(kind=kind, number=number, cycle_id=cycle_id, **figures))
    op.drop_table(name)
    op.rename_table(f"{name}_in_portions", name)


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
    op.create_index("dead_letters_of_a_status", "dead_letters", ["status", "id"])
    op.create_index("dead_letters_to_publish", "dead_letters", ["published", "id"])
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
