"""Several instances share a ledger, gaps and new topics are noticed, and dead letters are dealt with one by one."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    false,
    select,
    update,
)

from consumer.database.digest import digest

_UNNAMED = "dead_letters_topic_partition_offset_event_at_key"
_AT_ONCE = 50  # letters in memory


def upgrade(op: Operations) -> None:
    """Leave `tried` out of the index; add the tables `ignored`, `gaps`, `leases` and `instances`, and columns."""
    op.add_column("offsets", Column("topic_id", String))
    op.add_column("offsets", Column("leader_epoch", Integer))
    op.add_column("dead_letters", Column("status", String, nullable=False, server_default="open"))
    op.add_column("dead_letters", Column("settled_at", Float))
    op.add_column("dead_letters", Column("settled_reason", String))
    op.add_column("dead_letters", Column("published", Boolean, nullable=False, server_default=false()))
    op.add_column("dead_letters", Column("digest", String))
    _digest_letters(op.get_bind())
    # Nobody gave the constraint a name: SQLite has none of its own, and PostgreSQL made this one up.
    with op.batch_alter_table("dead_letters", naming_convention={"uq": _UNNAMED}) as letters:
        letters.alter_column("digest", nullable=False)
        letters.drop_constraint(_UNNAMED, type_="unique")
        letters.create_unique_constraint("dead_letters_once", ["topic", "partition", "offset", "event_at", "digest"])
    # `tried` is set by every change that is stored: in an index, it would have to be moved there each time.
    op.drop_index("changes_of_a_cycle", "changes")
    op.create_index("changes_of_a_cycle", "changes", ["cycle_id"])
    op.create_table(
        "ignored",
        Column("topic", String, primary_key=True),
        Column("partition", Integer, primary_key=True),
        Column("reason", String, primary_key=True),
        Column("events", BigInteger, nullable=False),
    )
    op.create_table(
        "gaps",
        Column("number", Integer, primary_key=True, autoincrement=True),
        Column("topic", String, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("from_offset", BigInteger, nullable=False),
        Column("to_offset", BigInteger, nullable=False),
        Column("at", Float, nullable=False),
        Column("reason", String, nullable=False),
    )
    op.create_table(
        "leases",
        Column("name", String, primary_key=True),
        Column("holder", String, nullable=False),
        Column("token", BigInteger, nullable=False),
        Column("renewals", BigInteger, nullable=False),
        Column("renewed_at", Float, nullable=False),
    )
    op.create_table(
        "instances",
        Column("instance_id", String, primary_key=True),
        Column("pid", Integer, nullable=False),
        Column("host", String, nullable=False),
        Column("state", JSON, nullable=False),
        Column("seen_at", Float, nullable=False),
    )


def _digest_letters(connection: Connection) -> None:
    """Letters that there are, so that none of them is taken for another when its record is read again."""
    letters = Table(
        "dead_letters",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("key", LargeBinary),
        Column("value", LargeBinary),
        Column("headers", JSON),
        Column("digest", String),
    )
    of = letters.c
    last = -1
    while found := connection.execute(
        select(of.id, of.key, of.value, of.headers).where(of.id > last).order_by(of.id).limit(_AT_ONCE)
    ).all():
        for number, key, value, headers in found:
            known = digest(key, value, [list(header) for header in headers.items()])  # by name, up to schema 2
            connection.execute(update(letters).where(of.id == number).values(digest=known))
        last = found[-1].id
