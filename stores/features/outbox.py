"""Commits to the local feature store's file: rows and their change events in one transaction (transactional outbox).

So no change is without its event. A relay publishes the outbox, each event at least once. Only a commit creates files.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from stores.features.local_file import BUSY_SECONDS, Reading


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """A change event waiting to be published: Kafka key, value and headers as they go on the wire."""

    id: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class Outbox:
    """Waiting events of one group: a key, and whether it was deleted. `encode` makes an event's value from its key."""

    def __init__(self, table: str, encode: Callable[[str], bytes]) -> None:
        self._table = table
        self._encode = encode

    def create(self, db: sqlite3.Connection) -> None:
        """Make the table if it is missing."""
        db.execute(
            f"CREATE TABLE IF NOT EXISTS {self._table} "
            "(id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, deleted INTEGER NOT NULL)"
        )

    def add(self, db: sqlite3.Connection, upserts: Iterable[str], deletes: Iterable[str]) -> None:
        """Note changes, in the transaction that makes them."""
        events = [(key, 0) for key in upserts] + [(key, 1) for key in deletes]
        db.executemany(f"INSERT INTO {self._table} (key, deleted) VALUES (?, ?)", events)  # noqa: S608

    def waiting(self, reading: Reading, limit: int) -> list[OutboxEvent]:
        """The oldest events, in the order of their commits."""
        rows = reading.all(f"SELECT id, key, deleted FROM {self._table} ORDER BY id LIMIT ?", (limit,))  # noqa: S608
        return [
            OutboxEvent(
                id=number,
                key=key.encode(),
                value=self._encode(key),
                headers=(("operation", b"delete"),) if deleted else (),
            )
            for number, key, deleted in rows
        ]

    def forget(self, db: sqlite3.Connection, up_to: int) -> None:
        """Remove the events with an id of at most `up_to`."""
        db.execute(f"DELETE FROM {self._table} WHERE id <= ?", (up_to,))  # noqa: S608


def committing(path: Path) -> sqlite3.Connection:
    """A connection that commits to the file; a missing file is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    return db
