"""The rows that a cluster holds: an online table and an offline table, with the commits of the latter.

The online table has one row a key. An upsert into the offline one merges on key, event time and partition, as far as
the group has these: with another event time it adds a row, and the old one stays.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from schemas.events import Group
from schemas.labels import LabelGroup
from tests.hopsworks_double.rows.columns import kinds_of

Values = NDArray[Any]
Stored = Mapping[str, Values | None]
Row = dict[str, list[float] | None]
Changes = Mapping[str, Mapping[str, ArrayLike | None]]
Table = dict[str, Stored]
Identity = tuple[object, ...]
"""What tells a row of the offline table from all others: its key, then event time and partition."""


@dataclass(frozen=True)
class Commit:
    """One commit of the offline table; `id` is its time in milliseconds."""

    id: int
    inserted: int
    updated: int
    deleted: int


class FeatureTables:
    """Both tables. Every method is one step for readers in other threads."""

    def __init__(
        self,
        group: Group,
        element: Literal["double", "float"] = "double",
        event_time: str | None = None,
        partition: str | None = None,
    ) -> None:
        self.auto_materialize = True
        """Whether what the ingestion service writes is in the offline table at once; real clusters lag."""
        self.commits: list[Commit] = []
        """Of the offline table, oldest first."""
        self._event_time = event_time
        self._apart = [name for name in (event_time, partition) if name is not None]
        self._columns = [name for name in kinds_of(group) if name not in self._apart]
        self._dtype = None if isinstance(group, LabelGroup) else np.float64 if element == "double" else np.float32
        self._lock = threading.RLock()
        self._online: Table = {}
        self._offline: dict[Identity, Stored] = {}

    @property
    def online(self) -> Mapping[str, Row]:
        """The online rows as they are, by key, with arrays as lists."""
        return _View(self._online)

    @property
    def offline(self) -> Mapping[str, Row]:
        """The offline rows as they are, by key, with arrays as lists; the latest of each."""
        with self._lock:
            ranked = sorted(self._offline.items(), key=lambda item: [(one is not None, one) for one in item[0][1:]])
            return _View({str(identity[0]): row for identity, row in ranked})

    def put(self, upserts: Changes, deletes: Iterable[str] = ()) -> None:
        """Write both tables at once, in one commit, without any event.

        A column that is left out is null, an event time that is left out the commit's.
        """
        with self._lock:
            rows, gone = self._at(self._now(), self.rows(upserts)), list(deletes)
            self._write_online(rows, gone)
            self._write_offline(rows, gone)

    def put_online(self, upserts: Changes, deletes: Iterable[str] = ()) -> None:
        """Write the online table only."""
        with self._lock:
            self._write_online(self._at(self._now(), self.rows(upserts)), list(deletes))

    def put_offline(self, upserts: Changes, deletes: Iterable[str] = ()) -> None:
        """Write the offline table only, in one commit."""
        with self._lock:
            self._write_offline(self._at(self._now(), self.rows(upserts)), list(deletes))

    def materialize(self) -> None:
        """Make the latest rows of the offline table what the online table is, in one commit."""
        with self._lock:
            online = self._online.items()
            changed = {key: row for key, row in online if self._offline.get(self._identity(key, row)) is not row}
            self._write_offline(changed, {str(one[0]) for one in self._offline} - self._online.keys())

    def online_rows(self, keys: Iterable[str] | None = None) -> list[tuple[str, Stored]]:
        """Online rows of one moment: of these keys as far as they are there, or all."""
        with self._lock:
            return _selected(self._online, keys)

    def offline_rows(self, keys: Iterable[str] | None = None) -> list[tuple[str, Stored]]:
        """Offline rows of one moment, a key's as often as it has them, in the order in which they were written."""
        wanted = None if keys is None else set(keys)
        with self._lock:
            rows = [(str(identity[0]), row) for identity, row in self._offline.items()]
        return rows if wanted is None else [(key, row) for key, row in rows if key in wanted]

    def rows(self, upserts: Changes) -> Table:
        """Rows as the tables keep them."""
        rows: Table = {}
        for key, given in upserts.items():
            unknown = given.keys() - {*self._columns, *self._apart}
            if unknown:
                raise ValueError(f"row {key!r} has columns that the group lacks: {sorted(unknown)}")
            apart = {name: given[name] for name in self._apart if name in given}
            rows[key] = {name: self._values(given.get(name)) for name in self._columns} | {
                name: None if value is None else np.atleast_1d(np.array(value)) for name, value in apart.items()
            }
        return rows

    def _values(self, given: ArrayLike | None) -> Values | None:
        # A copy: the test may go on to change its array.
        return None if given is None else np.atleast_1d(np.array(given, dtype=self._dtype))

    def _now(self) -> int:
        """The next commit's time in milliseconds."""
        return max(int(time.time() * 1000), self.commits[-1].id + 1 if self.commits else 0)

    def _at(self, now: int, rows: Table) -> Table:
        """The rows, with an event time where the group has one."""
        if self._event_time is None:
            return rows
        return {key: {self._event_time: np.array([now]), **row} for key, row in rows.items()}

    def _identity(self, key: str, row: Stored) -> Identity:
        return (key, *(None if (value := row.get(name)) is None else value[0] for name in self._apart))

    def _write_online(self, rows: Table, deletes: Iterable[str]) -> None:
        self._online.update({key: row for key, row in rows.items() if not self._is_older(row, self._online.get(key))})
        for key in deletes:
            self._online.pop(key, None)

    def _is_older(self, row: Stored, than: Stored | None) -> bool:
        if self._event_time is None or than is None or (there := than.get(self._event_time)) is None:
            return False
        comes = row.get(self._event_time)
        return comes is None or bool(comes[0] < there[0])

    def _write_offline(self, rows: Table, deletes: Iterable[str]) -> None:
        now, gone = self._now(), set(deletes)
        comes = {self._identity(key, row): row for key, row in rows.items()}
        updated = sum(identity in self._offline for identity in comes)
        self._offline.update(comes)
        goes = [identity for identity in self._offline if identity[0] in gone] if gone else []
        for identity in goes:
            del self._offline[identity]
        self.commits.append(Commit(now, len(comes) - updated, updated, len(goes)))


class _View(Mapping[str, Row]):
    """A table to look at."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def __getitem__(self, key: str) -> Row:
        return {name: None if values is None else values.tolist() for name, values in self._table[key].items()}

    def __contains__(self, key: object) -> bool:
        return key in self._table

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._table))

    def __len__(self) -> int:
        return len(self._table)


def _selected(table: Table, keys: Iterable[str] | None) -> list[tuple[str, Stored]]:
    if keys is None:
        return list(table.items())
    return [(key, table[key]) for key in keys if key in table]
