"""The feature store of a Hopsworks cluster: users as rows of their feature group."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from schemas.features import FeatureGroup
from schemas.hopsworks import HopsworksStore
from stores.feature_store import FeatureRows
from stores.hopsworks.group_reader import GroupReader
from stores.hopsworks.rows import Rows
from stores.hopsworks.session import Session


class HopsworksFeatureStore:
    """A feature group, read through the SDK. The cluster gets no request before the first read."""

    def __init__(
        self, session: Session, settings: HopsworksStore, group: FeatureGroup, as_of: datetime | None = None
    ) -> None:
        """With `as_of` the rows are those of then, where the group keeps history; see `keeps_history`."""
        self._reader = GroupReader(session, settings, group, as_of)

    @property
    def keeps_history(self) -> bool:
        """Whether the group can be read as it was at an earlier time; it can where it has an event time."""
        return self._reader.keeps_history

    def check_contract(self) -> None:
        """See FeatureStore."""
        self._reader.check_contract()

    def snapshot(self, changed: Collection[str]) -> Iterator[FeatureRows]:
        """See FeatureStore. Where the offline table keeps the history of a user, the latest row counts."""
        return map(_users, self._reader.snapshot(changed))

    def read(self, keys: Sequence[str]) -> FeatureRows:
        """See FeatureStore."""
        return _users(self._reader.read(keys))

    def count(self) -> int | None:
        """See FeatureStore. The cluster would have to count all rows."""
        return None

    def close(self) -> None:
        """See FeatureStore."""
        self._reader.close()


def _users(rows: Rows) -> FeatureRows:
    return FeatureRows(rows.keys, rows.columns, rows.keyless)
