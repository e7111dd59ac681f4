"""Scaling of raw rows into directions: each block on its own, then the whole to unit length.

The saved model has the same arithmetic inside (`trainer.model`), built from the same frozen statistics; a test compares
the two. Without scaling a raw year near 2000 would dominate the other 300 dimensions, and without bounds one year of
1e12 would erase the year of all users.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.features import FeatureGroup
from schemas.manifest import ScalarScale, SpaceInfo
from stores.feature_store import Floats
from trainer.matrix.embeddings import Rows

Doubles = NDArray[np.float64]

SMALLEST = float(np.finfo(np.float32).smallest_normal)
"""Smaller numbers count as zero: some processors flush them to zero, and the saved model runs on any."""

_TINY = 1e-12
_ROWS_AT_A_TIME = 16_384
_ROUNDING = float(np.finfo(np.float32).eps)
_STEPS = 8  # roundings of float32 by which a sum in another order may differ
_LEAST_SHARE = 0.01  # of the users, who need another value before it is more than an outlier
_RARE = 0.2  # of the values, if no more differ from the median: percentiles of all values would miss them
_REACH = 5.0  # times the distance from the median to the 10th or 90th percentile: 6.4 standard deviations if normal


class ScalarDrift(NamedTuple):
    """How far some users have moved in one scalar column."""

    mean_z: float
    """Mean of the standardised and clipped values."""
    clipped: float
    """Share of the users whose value lies beyond the bounds."""


def fit_space(space_id: str, group: FeatureGroup, raw: Floats, rows: Rows | None = None) -> SpaceInfo:
    """The scale of every scalar column over `rows` of `raw` (users, group.width), frozen for a new embedding space.

    Without `rows`, over all. All-zero rows say nothing about a scalar and are left out.
    """
    names = [column.name for column in group.columns if column.is_scalar]
    values = _scalars(group, names, raw, np.arange(len(raw)) if rows is None else rows)
    return SpaceInfo(space_id=space_id, scalars={name: fit_scale(values[name]) for name in names})


def fit_scale(values: Doubles) -> ScalarScale:
    """Bounds of `values` (users,), and mean and variance of those within.

    A bound is five times as far from the median as the 10th or 90th percentile, so a tenth of the values on either side
    has no influence, and normal values are never beyond. Where at least four in five values are the same, median and
    percentiles are those of the other values: the rare side of a flag is no outlier.

    Where fewer than one in a hundred differ from the median by more than float32's rounding, the column is constant:
    both bounds are the mean, so the column becomes zero rather than noise.
    """
    if not len(values):
        return ScalarScale(mean=0.0, variance=1.0)
    middle = float(np.quantile(values, 0.5, method="lower"))
    others = values[np.abs(values - middle) > _rounding(middle)]
    constant = len(others) < _LEAST_SHARE * len(values)
    if constant:
        low, high = middle - float(_rounding(middle)), middle + float(_rounding(middle))
    else:
        telling = others if len(others) <= _RARE * len(values) else values
        tenth, half, ninetieth = (float(one) for one in np.quantile(telling, (0.1, 0.5, 0.9)))
        low = min(middle, half - _REACH * (half - tenth))
        high = max(middle, half + _REACH * (ninetieth - half))
    within = values[(values >= low) & (values <= high)]
    # Rounded as in the saved model, so that model and matrix subtract the same.
    mean, low, high = (float(np.float32(value)) for value in (within.mean(), low, high))
    if constant:
        return ScalarScale(mean=mean, variance=1.0, low=mean, high=mean)
    return ScalarScale(mean=mean, variance=float(within.var()), low=low, high=high)


def to_directions(space: SpaceInfo, group: FeatureGroup, raw: Floats) -> Floats:
    """Rows of unit length from raw rows, both (users, group.width). An all-zero row has no direction and stays zero."""
    scaled = raw.astype(np.float64)
    for name, where in group.slices().items():
        if name in space.scalars:
            scaled[:, where] = _standardised(space.scalars[name], scaled[:, where])
        else:
            scaled[:, where] = _unit(scaled[:, where])
    unit = _unit(scaled)
    unit[~_told(raw)] = 0.0
    return unit.astype(np.float32)


def scalar_drift(space: SpaceInfo, group: FeatureGroup, raw: Floats) -> dict[str, ScalarDrift]:
    """By scalar column, how far `raw` (users, group.width) is from the users that the space was scaled by.

    All-zero rows are left out; without users, all figures are 0. A space of an earlier release has no bounds, so no
    user is beyond them.
    """
    values = _scalars(group, list(space.scalars), raw, np.arange(len(raw)))
    return {name: _drift(scale, values[name]) for name, scale in space.scalars.items()}


def _scalars(group: FeatureGroup, names: Sequence[str], raw: Floats, rows: Rows) -> dict[str, Doubles]:
    """By scalar column, its values in those of `rows` that are not all zero, read a block of rows at a time."""
    if not names:
        return {}
    where, parts = group.slices(), []
    at = [where[name].start for name in names]
    for start in range(0, len(rows), _ROWS_AT_A_TIME):
        block = raw[rows[start : start + _ROWS_AT_A_TIME]]
        parts.append(block[_told(block)][:, at].astype(np.float64))
    values = np.concatenate([np.empty((0, len(at))), *parts])
    return {name: values[:, number] for number, name in enumerate(names)}


def _drift(scale: ScalarScale, values: Doubles) -> ScalarDrift:
    if not len(values):
        return ScalarDrift(0.0, 0.0)
    beyond = np.abs(values - _within(scale, values)) > _rounding(values)  # more than the last digit
    return ScalarDrift(float(_standardised(scale, values).mean()), float(beyond.mean()))


def _standardised(scale: ScalarScale, values: Doubles) -> Doubles:
    return np.asarray((_within(scale, values) - scale.mean) / np.sqrt(scale.variance))


def _within(scale: ScalarScale, values: Doubles) -> Doubles:
    return values if scale.low is None or scale.high is None else np.clip(values, scale.low, scale.high)


def _rounding(value: float | Doubles) -> Doubles:
    """Numbers nearer to `value` than this may be the same number, rounded to float32 in another way."""
    return np.asarray(_STEPS * _ROUNDING * np.abs(value) + SMALLEST / _ROUNDING)


def _told(raw: Floats) -> NDArray[np.bool_]:
    """(users,) whether the row is not all zero."""
    return np.asarray((np.abs(raw) >= SMALLEST).any(axis=1))


def _unit(block: Doubles) -> Doubles:
    # As in Keras's UnitNormalization, with its smallest length that is brought to unit length.
    return np.asarray(block / np.maximum(np.linalg.norm(block, axis=1, keepdims=True), _TINY))
