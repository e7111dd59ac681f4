"""The feature store of a Hopsworks cluster.

By key users are read online, where their last change is. All of them are read from the offline copy, which lags: it may
lack a row whose event was heard long ago, and may still have one that was deleted. So whoever changed lately is left
out of the copy and read by key. A group without an online store has the offline table alone; there the bridge names
users whom it has seen changed in that very table, so what is read is at least as new as the commit that was announced.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from schemas.features import FeatureGroup
from schemas.hopsworks import HopsworksStore
from trainer.features.protocol import FeatureRows
from trainer.hopsworks.groups import check_group, columns_of, find_group, native_keys
from trainer.hopsworks.ingestion import await_ingestion
from trainer.hopsworks.offline import stream
from trainer.hopsworks.online import OnlineStore
from trainer.hopsworks.rows import from_batch, joined, only
from trainer.hopsworks.session import Session

_KEYS_IN_A_FILTER = 1000  # more make a query longer than the rows that it spares


class HopsworksFeatureStore:
    """A feature group, read through the SDK. Nothing is asked of the cluster before something is read."""

    def __init__(self, session: Session, settings: HopsworksStore, group: FeatureGroup) -> None:
        self._session = session
        self._settings = settings
        self._group = group
        self._waited = not settings.awaits_ingestion

    def check_contract(self) -> None:
        """See FeatureStore."""
        check_group(self._found, self._group, self._settings)

    def snapshot(self, changed: Collection[str]) -> Iterator[FeatureRows]:
        """See FeatureStore. A key that the offline table should hold twice counts once, as it comes first."""
        self._await_ingestion()
        if not self._found.online_enabled:
            yield from self._offline()
        elif self._settings.snapshot == "online":
            yield from self._online.scan()
        else:
            newer = frozenset(changed)
            for rows in self._offline():
                yield replace(only(rows, lambda key: key not in newer), keyless=rows.keyless)
            yield from self._online.read(sorted(newer))

    def read(self, keys: Sequence[str]) -> FeatureRows:
        """See FeatureStore."""
        self._await_ingestion()
        if self._found.online_enabled:
            return joined(self._group, self._online.read(keys))
        wanted = frozenset(keys)
        return joined(self._group, (only(rows, wanted.__contains__) for rows in self._offline(wanted)))

    def count(self) -> int | None:
        """See FeatureStore. The cluster does not tell without counting."""
        return None

    def close(self) -> None:
        """See FeatureStore. The session is the process's, and ends with it."""

    def _offline(self, keys: Collection[str] | None = None) -> Iterator[FeatureRows]:
        """The offline table; of it only `keys`, and others, where they are few enough for a filter."""
        query = self._found.select(columns_of(self._group))
        what = f"read {self._group.name} offline"
        if keys is not None and len(keys) <= _KEYS_IN_A_FILTER:
            natives = native_keys(self._found, self._group, keys)
            if not natives:
                return
            query = query.filter(self._found[self._group.primary_key].isin(natives))
        seen: set[str] = set()
        for batch in stream(self._session, self._found, query, what, self._settings.query_timeout):
            found = from_batch(self._group, batch)
            yield replace(only(found, _Unseen(seen)), keyless=found.keyless)

    def _await_ingestion(self) -> None:
        if not self._waited:
            await_ingestion(self._session, self._group, self._found, self._settings)
            self._waited = True

    @cached_property
    def _found(self) -> Any:
        return find_group(self._session, self._group)

    @cached_property
    def _online(self) -> OnlineStore:
        return OnlineStore(self._session, self._settings, self._group, self._found)


class _Unseen:
    """Says of a key, once, that it is new."""

    def __init__(self, seen: set[str]) -> None:
        self._seen = seen

    def __call__(self, key: str) -> bool:
        if key in self._seen:
            return False
        self._seen.add(key)
        return True
