"""The local feature store: one SQLite file holding a feature group, and an outbox of its change events.

The format is ours; everything else follows the Hopsworks notification topic. Only a commit creates anything, see
`outbox.py`; reading a store that does not exist is an error, see `local_file.py`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from schemas.events import encode
from schemas.features import FeatureGroup
from stores.errors import ContractError
from stores.feature_store import FeatureRows, Floats
from stores.features.local_file import Reading, Table, quoted
from stores.features.outbox import Outbox, OutboxEvent, committing
from stores.keys import user_key

_KEYS_PER_QUERY = 500  # SQLite allows 999 parameters on old builds


class LocalFeatureStore:
    """A feature group in a SQLite file. Any number of processes may read while one commits.

    Nothing is opened before it is used. Every method that reads raises ContractError where the file, the group's table
    or a column of the contract is missing. `untouched` readers leave no trace, see `stores.sqlite_readonly`.
    """

    def __init__(self, path: Path, group: FeatureGroup, *, untouched: bool = False) -> None:
        self._untouched = untouched
        self._group = group
        self._path = path
        self._names = [column.name for column in group.columns]
        self._described = Table(
            f"{group.name}_{group.version}",
            (group.primary_key, *self._names),
            named_by="RETRAINER_FEATURE_GROUP__NAME and __VERSION",
            columns_named_by="RETRAINER_FEATURE_GROUP__COLUMNS and __PRIMARY_KEY",
        )
        self._table = quoted(self._described.name)
        self._key = quoted(group.primary_key)
        self._selected = ", ".join([self._key, *map(quoted, self._names)])
        self._outbox = Outbox("outbox", partial(encode, group))
        self._reader: Reading | None = None
        self._writer: sqlite3.Connection | None = None

    def check_contract(self) -> None:
        """See FeatureStore."""
        self._reading()

    def snapshot(self, changed: Collection[str] = ()) -> Iterator[FeatureRows]:  # noqa: ARG002  (there is one copy)
        """See FeatureStore. A connection of its own holds one read transaction, so later commits stay unseen."""
        with closing(Reading(self._path, self._described, untouched=self._untouched)) as reading:
            yield from map(self._decoded, reading.batches(f"SELECT {self._selected} FROM {self._table}"))  # noqa: S608

    def read(self, keys: Sequence[str]) -> FeatureRows:
        """See FeatureStore."""
        reading, wanted = self._reading(), list(dict.fromkeys(keys))
        rows: list[tuple[object, ...]] = []
        for start in range(0, len(wanted), _KEYS_PER_QUERY):
            part = wanted[start : start + _KEYS_PER_QUERY]
            marks = ", ".join("?" * len(part))
            rows += reading.all(f"SELECT {self._selected} FROM {self._table} WHERE {self._key} IN ({marks})", part)  # noqa: S608
        return self._decoded(rows)

    def commit(self, upserts: Mapping[str, Mapping[str, ArrayLike | None]], deletes: Iterable[str] = ()) -> None:
        """Write rows and their change events in one transaction.

        Args:
            upserts: column values by column name, by user; a column left out is stored as missing.
            deletes: users to remove; unknown ones are announced too, as a real store may.

        Raises:
            ContractError: a key names nobody, such as None; nothing is written.
        """
        removed = list(deletes)
        if nameless := [key for key in (*upserts, *removed) if not isinstance(key, str) or not key]:
            raise ContractError(f"{self._path}: {nameless[0]!r} is no user id, which is a text that is not empty")
        rows = [(key, *(_encoded(row.get(name)) for name in self._names)) for key, row in upserts.items()]
        marks = ", ".join("?" * (1 + len(self._names)))
        with self._writing() as db:
            db.execute("BEGIN IMMEDIATE")
            db.executemany(f"INSERT OR REPLACE INTO {self._table} VALUES ({marks})", rows)  # noqa: S608
            db.executemany(f"DELETE FROM {self._table} WHERE {self._key} = ?", [(key,) for key in removed])  # noqa: S608
            self._outbox.add(db, upserts, removed)

    def outbox(self, limit: int = 1000) -> list[OutboxEvent]:
        """The oldest events not yet published, in the order of their commits; none where nothing was ever committed."""
        if not self._path.exists():
            return []
        return self._outbox.waiting(self._reading(), limit)

    def published(self, up_to: int) -> None:
        """Forget the events with an id of at most `up_to`; call it once the broker has acknowledged them."""
        self._outbox.forget(self._writing(), up_to)

    def count(self) -> int:
        """See FeatureStore."""
        ((number,),) = self._reading().all(f"SELECT count(*) FROM {self._table}")  # noqa: S608
        return int(number)

    def close(self) -> None:
        """See FeatureStore."""
        for opened in (self._reader, self._writer):
            if opened is not None:
                opened.close()
        self._reader = self._writer = None

    def _reading(self) -> Reading:
        if self._reader is None:
            self._reader = Reading(self._path, self._described, untouched=self._untouched)
        return self._reader

    def _writing(self) -> sqlite3.Connection:
        """The connection of commits; the first one makes whatever is missing."""
        if self._writer is None:
            db = committing(self._path)
            blobs = ", ".join(f"{quoted(name)} BLOB" for name in self._names)
            db.execute(
                f"CREATE TABLE IF NOT EXISTS {self._table} ({self._key} TEXT PRIMARY KEY, {blobs}) WITHOUT ROWID"
            )
            self._outbox.create(db)
            self._writer = db
        return self._writer

    def _decoded(self, found: Sequence[Sequence[object]]) -> FeatureRows:
        keyed = [(key, row) for row in found if (key := user_key(row[0])) is not None]
        columns = {name: [_decoded(row[at]) for _, row in keyed] for at, name in enumerate(self._names, start=1)}
        return FeatureRows([key for key, _ in keyed], columns, keyless=len(found) - len(keyed))


def _encoded(values: ArrayLike | None) -> bytes | None:
    return None if values is None else np.atleast_1d(np.asarray(values, dtype="<f4")).tobytes()


def _decoded(blob: object) -> Floats | None:
    if not isinstance(blob, bytes):
        return None
    return np.frombuffer(blob, dtype="<f4") if len(blob) % 4 == 0 else np.empty(0, dtype=np.float32)
