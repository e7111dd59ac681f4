"""The rows that a cluster holds: an online table and an offline table, with the commits of the latter."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from schemas.features import FeatureGroup

Values = NDArray[np.float64] | NDArray[np.float32]
Stored = Mapping[str, Values | None]
Row = dict[str, list[float] | None]
Changes = Mapping[str, Mapping[str, ArrayLike | None]]
Table = dict[str, Stored]


@dataclass(frozen=True)
class Commit:
    """One commit of the offline table; `id` is its time in milliseconds."""

    id: int
    inserted: int
    updated: int
    deleted: int


class FeatureTables:
    """Both tables. Every method is one step for readers in other threads."""

    def __init__(self, group: FeatureGroup, element: Literal["double", "float"] = "double") -> None:
        self.auto_materialize = True
        """Whether what the ingestion service writes is in the offline table at once; real clusters lag."""
        self.commits: list[Commit] = []
        """Of the offline table, oldest first."""
        self._columns = [column.name for column in group.columns]
        self._dtype = np.float64 if element == "double" else np.float32
        self._lock = threading.RLock()
        self._online: Table = {}
        self._offline: Table = {}

    @property
    def online(self) -> Mapping[str, Row]:
        """The online rows as they are, by key, with arrays as lists."""
        return _View(self._online)

    @property
    def offline(self) -> Mapping[str, Row]:
        """The offline rows as they are, by key, with arrays as lists."""
        return _View(self._offline)

    def put(self, upserts: Changes, deletes: Iterable[str] = ()) -> None:
        """Write both tables at once, in one commit, without any event. A column that is left out is null."""
        rows, gone = self.rows(upserts), list(deletes)
        with self._lock:
            self._write_online(rows, gone)
            self._write_offline(rows, gone)

    def put_online(self, upserts: Changes, deletes: Iterable[str] = ()) -> None:
        """Write the online table only."""
        rows, gone = self.rows(upserts), list(deletes)
        with self._lock:
            self._write_online(rows, gone)

    def put_offline(self, upserts: Changes, deletes: Iterable[str] = ()) -> None:
        """Write the offline table only, in one commit."""
        rows, gone = self.rows(upserts), list(deletes)
        with self._lock:
            self._write_offline(rows, gone)

    def materialize(self) -> None:
        """Make the offline table what the online table is, in one commit."""
        with self._lock:
            changed = {key: row for key, row in self._online.items() if self._offline.get(key) is not row}
            self._write_offline(changed, [key for key in self._offline if key not in self._online])

    def online_rows(self, keys: Iterable[str] | None = None) -> list[tuple[str, Stored]]:
        """Online rows of one moment: of these keys as far as they are there, or all."""
        with self._lock:
            return _selected(self._online, keys)

    def offline_rows(self, keys: Iterable[str] | None = None) -> list[tuple[str, Stored]]:
        """Offline rows of one moment."""
        with self._lock:
            return _selected(self._offline, keys)

    def rows(self, upserts: Changes) -> Table:
        """Rows as the tables keep them."""
        rows: Table = {}
        for key, given in upserts.items():
            unknown = given.keys() - set(self._columns)
            if unknown:
                raise ValueError(f"row {key!r} has columns that the group lacks: {sorted(unknown)}")
            rows[key] = {name: self._values(given.get(name)) for name in self._columns}
        return rows

    def _values(self, given: ArrayLike | None) -> Values | None:
        # A copy: the test may go on to change its array.
        return None if given is None else np.atleast_1d(np.array(given, dtype=self._dtype))

    def _write_online(self, rows: Table, deletes: Iterable[str]) -> None:
        self._online.update(rows)
        for key in deletes:
            self._online.pop(key, None)

    def _write_offline(self, rows: Table, deletes: Iterable[str]) -> None:
        updated = sum(key in self._offline for key in rows)
        self._offline.update(rows)
        deleted = sum(self._offline.pop(key, None) is not None for key in deletes)
        newest = self.commits[-1].id if self.commits else 0
        now = max(int(time.time() * 1000), newest + 1)
        self.commits.append(Commit(now, len(rows) - updated, updated, deleted))


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
