"""Writing rows as the recommender team's pipeline does: through the SDK, which sends them to the ingestion topic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from schemas.features import FeatureGroup
from schemas.labels import LabelGroup, PairKey
from stores.hopsworks.session import Session
from stores.labels.local import Label


class SdkWriter:
    """Inserts into a feature group and removes from it; returns once the broker has acknowledged the rows."""

    def __init__(self, session: Session, group: FeatureGroup) -> None:
        self._session = session
        self._group = group

    def commit(self, upserts: Mapping[str, Mapping[str, ArrayLike | None]], deletes: Iterable[str] = ()) -> None:
        """Insert rows, then remove others."""
        gone = list(deletes)
        if upserts:
            frame = frame_of(self._group, upserts)
            options = {"start_offline_materialization": False}
            self._session.ask("insert", lambda: self._found().insert(frame, write_options=options))
        if gone:
            keys = pd.DataFrame({self._group.primary_key: gone})
            self._session.ask("remove", lambda: self._found().remove_rows(keys, storage="online"))

    def _found(self) -> Any:
        store = self._session.project.get_feature_store()
        return store.get_feature_group(self._group.name, version=self._group.version)


class SdkLabelWriter:
    """Inserts into a label group and removes from it; returns once the broker has acknowledged the rows.

    Removing needs a group without an event time, for with one an older label of the pair would come back.
    """

    def __init__(self, session: Session, group: LabelGroup) -> None:
        self._session = session
        self._group = group

    def commit(self, upserts: Mapping[PairKey, Label], deletes: Iterable[PairKey] = ()) -> None:
        """Insert labels, then remove others."""
        group, gone = self._group, list(deletes)
        if upserts:
            rows = [(*pair, label.label, pd.Timestamp(label.at, unit="s", tz="UTC")) for pair, label in upserts.items()]
            frame = pd.DataFrame(rows, columns=[group.user_key, group.other_key, group.label, group.labelled_at])
            options = {"start_offline_materialization": False}
            self._session.ask("insert labels", lambda: self._found().insert(frame, write_options=options))
        if gone:
            keys = pd.DataFrame(gone, columns=[group.user_key, group.other_key])
            self._session.ask("remove labels", lambda: self._found().remove_rows(keys, storage="online"))

    def _found(self) -> Any:
        store = self._session.project.get_feature_store()
        return store.get_feature_group(self._group.name, version=self._group.version)


def frame_of(group: FeatureGroup, rows: Mapping[str, Mapping[str, ArrayLike | None]]) -> pd.DataFrame:
    """Rows as a data frame, arrays in its cells."""
    columns: dict[str, list[Any]] = {group.primary_key: list(rows)}
    for column in group.columns:
        columns[column.name] = [np.asarray(row[column.name], dtype=np.float64).tolist() for row in rows.values()]
    return pd.DataFrame(columns)
