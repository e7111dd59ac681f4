"""A copy of a ledger on another engine, as of one moment, while the ledger is in use.

What belongs to running services is left out: their lease and their reports. A ledger without a lease gives tokens that
outrank all earlier ones (`consumer.ledger.leases`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from sqlalchemy import JSON, Connection, Engine, Integer, MetaData, Table, func, insert, inspect, select, text, update

from consumer.database.engine import reading
from consumer.database.tables import identity, instances, leases, metadata, versions
from consumer.errors import LedgerError

_LEFT_OUT = {instances.name, leases.name}
_AT_ONCE = 2_000


def copy_ledger(source: Engine, target: Engine, copied: Callable[[int], None] = lambda _: None) -> dict[str, int]:
    """Copy a ledger of this release to an empty database, in one transaction; gives the rows of each table.

    Args:
        source: may be in use; what is committed later is not copied.
        target: SQLite or PostgreSQL, without tables of a ledger.
        copied: called with the number of rows so far.

    Raises:
        LedgerError: the target has a ledger.
    """
    counts: dict[str, int] = {}
    with reading(source) as old, target.begin() as new:
        if set(inspect(new).get_table_names()) & set(metadata.tables):
            raise LedgerError("the database has a ledger already; a copy goes to an empty one")
        metadata.create_all(new)
        for table in metadata.sorted_tables:
            if table.name not in _LEFT_OUT:
                before = sum(counts.values())
                counts[table.name] = _copy(old, new, table, lambda rows, before=before: copied(before + rows))  # type: ignore[misc]
                _go_on_counting(new, table)
    return counts


def skip_versions(target: Engine, after: int) -> None:
    """Have the next version get a higher number than `after`, and than those of all versions on record."""
    with target.begin() as connection:
        highest = connection.scalar(select(func.max(versions.c.version))) or 0
        connection.execute(update(identity).values(min_version_exclusive=max(after, highest)))


def _copy(old: Connection, new: Connection, table: Table, copied: Callable[[int], None]) -> int:
    count = 0
    found = old.execution_options(stream_results=True).execute(select(table))
    into = _with_sql_null(table)
    for rows in _batches(found.mappings()):
        new.execute(insert(into), rows)
        count += len(rows)
        copied(count)
    return count


def _batches(found: Any) -> Iterator[list[dict[str, Any]]]:
    rows = (dict(row) for row in found)
    while batch := list(islice(rows, _AT_ONCE)):
        yield batch


def _with_sql_null(table: Table) -> Table:
    """The table with JSON columns that take None for NULL; they would write the JSON `null`."""
    copy = table.to_metadata(MetaData())
    for column in copy.columns:
        if isinstance(column.type, JSON):
            column.type = JSON(none_as_null=True)
    return copy


def _go_on_counting(connection: Connection, table: Table) -> None:
    """Have a server go on after the numbers that were copied; SQLite does so by itself."""
    column = table.autoincrement_column
    if connection.dialect.name != "postgresql" or column is None or not isinstance(column.type, Integer):
        return
    named = {"table": table.name, "column": column.name}
    sequence = connection.scalar(text("SELECT pg_get_serial_sequence(:table, :column)"), named)
    if sequence is not None:
        last = connection.scalar(select(func.max(column)))
        at = {"sequence": sequence, "last": last or 1, "called": last is not None}
        connection.execute(text("SELECT setval(:sequence, :last, :called)"), at)
