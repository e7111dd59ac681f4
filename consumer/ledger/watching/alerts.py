"""Alerts on record: what is wrong, was told, and is not over. Each step is a compare-and-set, so that of two instances
one tells.

Refusals in a row have a record here, too: it ends with the next version.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, update

from consumer.database.dialect import upsert
from consumer.database.tables import alerts


@dataclass(frozen=True, slots=True)
class OnRecord:
    """An alert that was told. Times are seconds since the epoch, by the clock of the instance that found it."""

    name: str
    since: float
    told_at: float
    """When it was told last."""
    summary: str


def on_record(connection: Connection) -> dict[str, OnRecord]:
    """All alerts on record, by name."""
    rows = connection.execute(select(alerts).order_by(alerts.c.since))
    return {row.name: OnRecord(row.name, row.since, row.told_at, row.summary) for row in rows}


def begin(connection: Connection, alert: OnRecord) -> bool:
    """Put an alert on record; False where it is there already."""
    row = upsert(connection, alerts).values(
        name=alert.name, since=alert.since, told_at=alert.told_at, summary=alert.summary
    )
    return connection.scalar(row.on_conflict_do_nothing().returning(alerts.c.name)) is not None


def repeat(connection: Connection, seen: OnRecord, told_at: float, summary: str) -> bool:
    """Note that an alert is told again; False where another instance was faster."""
    which = alerts.c.name == seen.name, alerts.c.since == seen.since, alerts.c.told_at == seen.told_at
    return connection.execute(update(alerts).where(*which).values(told_at=told_at, summary=summary)).rowcount == 1


def end(connection: Connection, seen: OnRecord) -> bool:
    """Take an alert off the record; False where another instance was faster."""
    which = alerts.c.name == seen.name, alerts.c.since == seen.since
    return connection.execute(delete(alerts).where(*which)).rowcount == 1
