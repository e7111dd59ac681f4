"""One group's offline table as feature rows: each user once, by his latest row.

A table that keeps history is read twice, for it comes in any order: first keys and event times alone, which says which
row is whose, then the rows. So memory holds a key and a time of each user, never a row that is not wanted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from schemas.features import FeatureGroup
from schemas.hopsworks import HopsworksStore
from trainer.features.protocol import FeatureRows, Floats
from trainer.hopsworks.groups import columns_of, native_keys
from trainer.hopsworks.history import Latest, Once, age_columns, ages
from trainer.hopsworks.offline import stream
from trainer.hopsworks.rows import from_batch, joined, keyed, only
from trainer.hopsworks.session import Session

_KEYS_IN_A_FILTER = 1000  # more make a query longer than the rows that it spares


class OfflineTable:
    """Reads one group. `found` is the SDK's feature group."""

    def __init__(self, session: Session, settings: HopsworksStore, group: FeatureGroup, found: Any) -> None:
        self._session = session
        self._settings = settings
        self._group = group
        self._found = found
        self._age = age_columns(found)

    def scan(self) -> Iterator[FeatureRows]:
        """Everybody, each once.

        Raises:
            ContractError: a user has several rows, and nothing tells which is his.
            ClusterError: the table could not be read to its end.
        """
        if not self._age:
            new = self._once()
            for batch in self._batches(columns_of(self._group)):
                rows = from_batch(self._group, batch)
                yield replace(only(rows, new), keyless=rows.keyless)
            return
        latest = Latest()
        for batch in self._batches([self._group.primary_key, *self._age]):
            keys, keyed_rows = keyed(self._group, batch)
            latest.note(keys, ages(keyed_rows, self._age))
        for batch in self._batches(self._columns):
            keys, keyed_rows = keyed(self._group, batch)
            his = [latest.take(key, age) for key, age in zip(keys, ages(keyed_rows, self._age), strict=True)]
            yield replace(self._those(keyed_rows, his), keyless=batch.num_rows - len(keys))
        if moved := latest.left():  # somebody wrote between the two passes
            yield self.read(moved)

    def read(self, keys: Collection[str]) -> FeatureRows:
        """Those of `keys` that are there, each once; errors as of `scan`."""
        wanted = frozenset(keys)
        if not self._age:
            new = self._once()
            batches = self._batches(columns_of(self._group), wanted)
            parts = (only(from_batch(self._group, batch), wanted.__contains__) for batch in batches)
            return joined(self._group, (only(rows, new) for rows in parts))
        latest: dict[str, bytes] = {}
        found: dict[str, list[Floats | None]] = {}
        for batch in self._batches(self._columns, wanted):
            named, rows = keyed(self._group, batch)
            later: dict[str, int] = {}
            for at, (key, age) in enumerate(zip(named, ages(rows, self._age), strict=True)):
                if key in wanted and (key not in latest or latest[key] < age):
                    latest[key], later[key] = age, at
            places = frozenset(later.values())
            part = self._those(rows, [at in places for at in range(len(named))])
            for key, *blocks in zip(part.keys, *part.columns.values(), strict=True):
                # Copies: the blocks of a batch lie in one array, which one of them would keep.
                found[key] = [None if block is None else block.copy() for block in blocks]
        columns = {one.name: [row[at] for row in found.values()] for at, one in enumerate(self._group.columns)}
        return FeatureRows(list(found), columns)

    def _those(self, batch: Any, wanted: Sequence[bool]) -> FeatureRows:
        return from_batch(self._group, batch.filter(pa.array(wanted, pa.bool_())))

    def _batches(self, columns: Sequence[str], keys: Collection[str] | None = None) -> Iterator[Any]:
        """Columns of the table's rows; of `keys`, and of others, where they are few enough for a filter."""
        query = self._found.select(list(columns))
        if keys is not None and len(keys) <= _KEYS_IN_A_FILTER:
            natives = native_keys(self._found, self._group, keys)
            if not natives:
                return
            query = query.filter(self._found[self._group.primary_key].isin(natives))
        what = f"read {self._group.name} offline"
        yield from stream(self._session, self._found, query, what, self._settings.query_timeout)

    @property
    def _columns(self) -> list[str]:
        return list(dict.fromkeys([*columns_of(self._group), *self._age]))

    def _once(self) -> Once:
        return Once(self._group.name, self._found.partition_key or [])
