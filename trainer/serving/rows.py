"""Rows to warm up a model with: real ones of the feature store, or rows drawn at random in the model's scaling."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from schemas.features import FeatureGroup
from schemas.manifest import SpaceInfo
from stores.feature_store import FeatureStore, Floats
from stores.features.checks import check_rows

WANTED = 128
_SEED = 16


def real_rows(store: FeatureStore, group: FeatureGroup) -> Floats:
    """The first sound rows (at most `WANTED`, width) of a snapshot, without the users' names; none where it has none.

    Raises:
        StoreError: the store cannot be read.
    """
    batches = store.snapshot(())
    try:
        checked = (check_rows(group, batch).raw for batch in batches)
        return next((found[:WANTED] for found in checked if len(found)), np.empty((0, group.width), np.float32))
    finally:
        if isinstance(batches, Generator):
            batches.close()  # ends a stream that is not read to its end


def drawn_rows(space: SpaceInfo, group: FeatureGroup) -> Floats:
    """Rows (`WANTED`, width), the same each time: vectors of any direction, scalars as the space was scaled by."""
    generator = np.random.default_rng(_SEED)
    rows = generator.normal(size=(WANTED, group.width))
    for name, where in group.slices().items():
        if (scale := space.scalars.get(name)) is not None:
            rows[:, where] = scale.mean + rows[:, where] * np.sqrt(scale.variance)
            rows[:, where] = np.clip(rows[:, where], scale.low, scale.high) if scale.low is not None else rows[:, where]
    return rows.astype(np.float32)
