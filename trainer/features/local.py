"""The local feature store: one SQLite file holding a feature group, and an outbox of its change events.

A commit writes rows and events in one transaction (transactional outbox), so a change cannot be without its event; a
relay publishes the outbox at least once. The format is ours; everything else follows the Hopsworks notification topic.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from schemas.events import encode
from schemas.features import FeatureGroup
from trainer.errors import ContractError
from trainer.features.protocol import FeatureRows, Floats

_SNAPSHOT_ROWS = 4096
_KEYS_PER_QUERY = 500  # SQLite allows 999 parameters on old builds


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """A change event waiting to be published: Kafka key, value and headers as they go on the wire."""

    id: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class LocalFeatureStore:
    """A feature group in a SQLite file. Any number of processes may read while one commits."""

    def __init__(self, path: Path, group: FeatureGroup) -> None:
        self._group = group
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, timeout=30, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        names = [column.name for column in group.columns]
        self._names = names
        self._table = _quoted(f"{group.name}_{group.version}")
        self._key = _quoted(group.primary_key)
        self._columns = ", ".join(_quoted(name) for name in names)
        blobs = ", ".join(f"{_quoted(name)} BLOB" for name in names)
        self._db.execute(
            f"CREATE TABLE IF NOT EXISTS {self._table} ({self._key} TEXT PRIMARY KEY, {blobs}) WITHOUT ROWID"
        )
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS outbox "
            "(id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, deleted INTEGER NOT NULL)"
        )

    def check_contract(self) -> None:
        """See FeatureStore."""
        found = {row[1] for row in self._db.execute(f"PRAGMA table_info({self._table})")}
        if lacking := [name for name in (self._group.primary_key, *self._names) if name not in found]:
            raise ContractError(f"{self._path}: table {self._table} lacks {', '.join(lacking)}; it has {sorted(found)}")

    def snapshot(self, changed: Collection[str] = ()) -> Iterator[FeatureRows]:  # noqa: ARG002  (there is one copy)
        """See FeatureStore. A connection of its own holds one read transaction, so later commits stay unseen."""
        with closing(sqlite3.connect(self._path, timeout=30, isolation_level=None)) as db:
            db.execute("BEGIN")
            cursor = db.execute(f"SELECT {self._key}, {self._columns} FROM {self._table}")  # noqa: S608
            while rows := cursor.fetchmany(_SNAPSHOT_ROWS):
                yield self._decoded(rows)

    def read(self, keys: Sequence[str]) -> FeatureRows:
        """See FeatureStore."""
        wanted = list(dict.fromkeys(keys))
        rows: list[tuple[object, ...]] = []
        for start in range(0, len(wanted), _KEYS_PER_QUERY):
            part = wanted[start : start + _KEYS_PER_QUERY]
            marks = ", ".join("?" * len(part))
            query = f"SELECT {self._key}, {self._columns} FROM {self._table} WHERE {self._key} IN ({marks})"  # noqa: S608
            rows += self._db.execute(query, part).fetchall()
        return self._decoded(rows)

    def commit(self, upserts: Mapping[str, Mapping[str, ArrayLike | None]], deletes: Iterable[str] = ()) -> None:
        """Write rows and their change events in one transaction.

        Args:
            upserts: column values by column name, by user; a column left out is stored as missing.
            deletes: users to remove; unknown ones are announced too, as a real store may.
        """
        removed = list(deletes)
        rows = [(key, *(_encoded(row.get(name)) for name in self._names)) for key, row in upserts.items()]
        marks = ", ".join("?" * (1 + len(self._names)))
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(f"INSERT OR REPLACE INTO {self._table} VALUES ({marks})", rows)  # noqa: S608
            self._db.executemany(f"DELETE FROM {self._table} WHERE {self._key} = ?", [(key,) for key in removed])  # noqa: S608
            events = [(key, 0) for key in upserts] + [(key, 1) for key in removed]
            self._db.executemany("INSERT INTO outbox (key, deleted) VALUES (?, ?)", events)

    def outbox(self, limit: int = 1000) -> list[OutboxEvent]:
        """The oldest events not yet published, in the order of their commits."""
        rows = self._db.execute("SELECT id, key, deleted FROM outbox ORDER BY id LIMIT ?", (limit,)).fetchall()
        return [
            OutboxEvent(
                id=number,
                key=key.encode(),
                value=encode(self._group, key),
                headers=(("operation", b"delete"),) if deleted else (),
            )
            for number, key, deleted in rows
        ]

    def published(self, up_to: int) -> None:
        """Forget the events with an id of at most `up_to`; call it once the broker has acknowledged them."""
        self._db.execute("DELETE FROM outbox WHERE id <= ?", (up_to,))

    def count(self) -> int:
        """See FeatureStore."""
        (number,) = self._db.execute(f"SELECT count(*) FROM {self._table}").fetchone()  # noqa: S608
        return int(number)

    def close(self) -> None:
        """See FeatureStore."""
        self._db.close()

    def _decoded(self, rows: Sequence[Sequence[object]]) -> FeatureRows:
        keys = [str(row[0]) for row in rows]
        columns = {name: [_decoded(row[at]) for row in rows] for at, name in enumerate(self._names, start=1)}
        return FeatureRows(keys, columns)


def _encoded(values: ArrayLike | None) -> bytes | None:
    return None if values is None else np.atleast_1d(np.asarray(values, dtype="<f4")).tobytes()


def _decoded(blob: object) -> Floats | None:
    if not isinstance(blob, bytes):
        return None
    return np.frombuffer(blob, dtype="<f4") if len(blob) % 4 == 0 else np.empty(0, dtype=np.float32)


def _quoted(name: str) -> str:
    """An SQL identifier, whatever characters the feature group's name has."""
    return '"' + name.replace('"', '""') + '"'
