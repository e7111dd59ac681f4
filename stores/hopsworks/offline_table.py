"""One group's offline table as rows: each key once, by its latest row.

A table that keeps history is read twice, because its rows come in any order: first keys and event times alone, which
decide the latest row of each key, then the rows. So memory holds one time for each key, and no row that is not wanted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from schemas.events import Group, key_columns, value_columns
from schemas.hopsworks import HopsworksStore
from stores.hopsworks.groups import columns_of, native_keys, with_keys
from stores.hopsworks.history import Latest, Once, age_columns, ages, until
from stores.hopsworks.offline import stream
from stores.hopsworks.rows import Rows, from_batch, joined, keyed, only
from stores.hopsworks.session import Session

_KEYS_IN_A_FILTER = 1000  # more make a query longer than the rows that it spares


class OfflineTable:
    """Reads one group. `found` is the SDK's feature group.

    With `as_of` rows of a later event time do not count, so a table that keeps history is read as it was then. It lacks
    the rows that were deleted since. The SDK's own `as_of` is not for us: the query service does not take it.
    """

    def __init__(
        self, session: Session, settings: HopsworksStore, group: Group, found: Any, as_of: datetime | None = None
    ) -> None:
        self._session = session
        self._settings = settings
        self._group = group
        self._found = found
        self._age = age_columns(found)
        self._as_of = as_of if self._age else None

    @property
    def keeps_history(self) -> bool:
        """Whether an earlier row of a key stays beside a later one."""
        return bool(self._age)

    def scan(self) -> Iterator[Rows]:
        """All rows, of each key one.

        Raises:
            ContractError: a key has several rows, and nothing decides which is the latest.
            ClusterError: the table could not be read to its end.
        """
        if not self._age:
            new = self._once()
            for batch in self._batches(columns_of(self._group)):
                rows = from_batch(self._group, batch)
                yield replace(only(rows, new), keyless=rows.keyless)
            return
        latest = Latest()
        for batch in self._batches(list(dict.fromkeys([*key_columns(self._group), *self._age]))):
            keys, keyed_rows = keyed(self._group, batch)
            latest.note(keys, ages(keyed_rows, self._age))
        for batch in self._batches(self._columns):
            keys, keyed_rows = keyed(self._group, batch)
            his = [latest.take(key, age) for key, age in zip(keys, ages(keyed_rows, self._age), strict=True)]
            yield replace(self._those(keyed_rows, his), keyless=batch.num_rows - len(keys))
        if moved := latest.left():  # somebody wrote between the two passes
            yield self.read(moved)

    def read(self, keys: Collection[str]) -> Rows:
        """The rows of `keys` that are there, each once. Raises as `scan` does."""
        wanted = frozenset(keys)
        if not self._age:
            new = self._once()
            batches = self._batches(columns_of(self._group), wanted)
            parts = (only(from_batch(self._group, batch), wanted.__contains__) for batch in batches)
            return joined(self._group, (only(rows, new) for rows in parts))
        latest: dict[str, bytes] = {}
        found: dict[str, list[Any]] = {}
        for batch in self._batches(self._columns, wanted):
            named, rows = keyed(self._group, batch)
            later: dict[str, int] = {}
            for at, (key, age) in enumerate(zip(named, ages(rows, self._age), strict=True)):
                if key in wanted and (key not in latest or latest[key] < age):
                    latest[key], later[key] = age, at
            places = frozenset(later.values())
            part = self._those(rows, [at in places for at in range(len(named))])
            for key, *blocks in zip(part.keys, *part.columns.values(), strict=True):
                # Copies: the blocks of a batch share one array, and one block would keep all of it in memory.
                found[key] = [block.copy() if isinstance(block, np.ndarray) else block for block in blocks]
        columns = {name: [row[at] for row in found.values()] for at, name in enumerate(value_columns(self._group))}
        return Rows(list(found), columns)

    def _those(self, batch: Any, wanted: Sequence[bool]) -> Rows:
        return from_batch(self._group, batch.filter(pa.array(wanted, pa.bool_())))

    def _batches(self, columns: Sequence[str], keys: Collection[str] | None = None) -> Iterator[Any]:
        """Columns of all rows; where `keys` are few enough for a filter, of these keys' rows and maybe some others."""
        query = self._found.select(list(columns))
        if keys is not None and len(keys) <= _KEYS_IN_A_FILTER:
            natives = native_keys(self._found, self._group, keys)
            if not natives:
                return
            query = query.filter(with_keys(self._found, natives))
        what = f"read {self._group.name} offline"
        batches = stream(self._session, self._found, query, what, self._settings.query_timeout)
        as_of = self._as_of
        yield from batches if as_of is None else (until(batch, self._age[0], as_of) for batch in batches)

    @property
    def _columns(self) -> list[str]:
        return list(dict.fromkeys([*columns_of(self._group), *self._age]))

    def _once(self) -> Once:
        return Once(self._group.name, self._found.partition_key or [])
