"""Scaling of raw rows into directions: each block on its own, then the whole to unit length.

The same arithmetic lies inside the saved model (`trainer.model`), built from the same frozen statistics; a test holds
the two together. Without it a raw year near 2000 would drown the other 300 dimensions.
"""

from __future__ import annotations

import numpy as np

from schemas.features import FeatureGroup
from schemas.manifest import ScalarScale, SpaceInfo
from trainer.features.protocol import Floats

_TINY = 1e-12


def fit_space(space_id: str, group: FeatureGroup, raw: Floats) -> SpaceInfo:
    """Mean and variance of every scalar column over `raw` (users, group.width), frozen for a new embedding space.

    All-zero rows say nothing about a scalar and are left out. A column that never varies gets variance 1, so it
    becomes zero rather than noise.
    """
    used = raw[raw.any(axis=1)]
    scalars: dict[str, ScalarScale] = {}
    for column in group.columns:
        if column.is_scalar:
            values = used[:, group.slices()[column.name]].astype(np.float64)
            mean, variance = (float(values.mean()), float(values.var())) if len(values) else (0.0, 0.0)
            # Rounded to what the saved model holds, so that model and matrix subtract the same.
            mean, variance = float(np.float32(mean)), float(np.float32(variance))
            scalars[column.name] = ScalarScale(mean=mean, variance=variance if variance > _TINY else 1.0)
    return SpaceInfo(space_id=space_id, scalars=scalars)


def to_directions(space: SpaceInfo, group: FeatureGroup, raw: Floats) -> Floats:
    """Rows of unit length from raw rows, both (users, group.width). An all-zero row has no direction and stays zero."""
    scaled = raw.astype(np.float64)
    for name, where in group.slices().items():
        if name in space.scalars:
            scale = space.scalars[name]
            scaled[:, where] = (scaled[:, where] - scale.mean) / np.sqrt(scale.variance)
        else:
            scaled[:, where] = _unit(scaled[:, where])
    unit = _unit(scaled)
    unit[~raw.any(axis=1)] = 0.0
    return unit.astype(np.float32)


def _unit(
    block: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    # As Keras's UnitNormalization has it, down to the length below which nothing is brought to unit length.
    return np.asarray(block / np.maximum(np.linalg.norm(block, axis=1, keepdims=True), _TINY))
