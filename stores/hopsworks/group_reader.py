"""Reads a group of users or of labels from a cluster, through the SDK.

Rows are read by key from the online store, which has their last change. All rows are read from the offline copy, which
lags: it may lack a row whose event came long ago, and may still have a deleted row. So rows that changed recently are
left out of the copy and read by key. A group without an online store has the offline table alone. There the bridge
announces changes that it saw in the same table, so a read is at least as new as the announced commit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import Any

from schemas.events import Group
from schemas.hopsworks import HopsworksStore
from stores.hopsworks.groups import check_group, find_group
from stores.hopsworks.ingestion import await_ingestion
from stores.hopsworks.offline_table import OfflineTable
from stores.hopsworks.online import OnlineStore
from stores.hopsworks.rows import Rows, joined, only
from stores.hopsworks.session import Session


class GroupReader:
    """One group. The cluster gets no request before the first read."""

    def __init__(self, session: Session, settings: HopsworksStore, group: Group, as_of: datetime | None = None) -> None:
        """With `as_of` rows come from the offline table alone, as it was then, where that keeps history."""
        self._session = session
        self._settings = settings
        self._group = group
        self._as_of = as_of
        self._waited = not settings.awaits_ingestion

    def check_contract(self) -> None:
        """Whether the group is there, is as the contract says, and can be read as the settings want it.

        Raises:
            ContractError: the group differs; the message names all differences.
            ClusterError: the group is not there, or the cluster does not say.
        """
        check_group(self._found, self._group, self._settings)

    def snapshot(self, changed: Collection[str]) -> Iterator[Rows]:
        """All rows; those of the keys in `changed` as they are now.

        Where the offline table keeps the history of a key, the latest row counts.
        """
        self._await_ingestion()
        if self._past or not self._found.online_enabled:
            yield from self._offline.scan()
        elif self._settings.snapshot == "online":
            yield from self._online.scan()
        else:
            newer = frozenset(changed)
            for rows in self._offline.scan():
                yield replace(only(rows, lambda key: key not in newer), keyless=rows.keyless)
            yield from self._online.read(sorted(newer))

    def read(self, keys: Sequence[str]) -> Rows:
        """The rows of `keys`, as far as they are there."""
        self._await_ingestion()
        if self._found.online_enabled and not self._past:
            return joined(self._group, self._online.read(keys))
        return self._offline.read(keys)

    def close(self) -> None:
        """Nothing to close: the session belongs to the process, and ends with it."""

    @property
    def keeps_history(self) -> bool:
        """Whether the group can be read as it was at an earlier time.

        Raises:
            ClusterError: the group is not there, or the cluster does not say.
        """
        return self._offline.keeps_history

    @property
    def _past(self) -> bool:
        return self._as_of is not None and self._offline.keeps_history

    def _await_ingestion(self) -> None:
        if not self._waited:
            await_ingestion(self._session, self._group, self._found, self._settings)
            self._waited = True

    @cached_property
    def _found(self) -> Any:
        return find_group(self._session, self._group)

    @cached_property
    def _offline(self) -> OfflineTable:
        return OfflineTable(self._session, self._settings, self._group, self._found, self._as_of)

    @cached_property
    def _online(self) -> OnlineStore:
        return OnlineStore(self._session, self._settings, self._group, self._found)
