"""The choice of a projection: the axes and the precision that make mining cheapest for the data at hand.

The cost is estimated on a sample, in units of one coordinate in a float32 product: the product of short rows for every
pair, and a full dot product for every pair that the bounds leave open. The choice does not change the pairs.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from stores.feature_store import Floats
from trainer.matrix.embeddings import Rows
from trainer.pairs.bounds import Projection
from trainer.pairs.hardware import fast_precisions
from trainer.pairs.precision import Precision

Doubles = NDArray[np.float64]

_TRIED = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
_SAMPLED_ROWS, _SAMPLED_OTHERS, _SAMPLED_FOR_AXES = 64, 8192, 20_000
_GATHERING = 60  # cost of a coordinate in a dot product of two rows fetched from memory, where 1 is in a product


def choose_projection(
    directions: Floats,
    everyone: Rows,
    threshold: float,
    cap: int | None,
    precisions: tuple[Precision, ...] | None = None,
) -> Projection:
    """The cheapest projection for the rows of `everyone`.

    Args:
        directions: (capacity, width) unit rows.
        everyone: rows with a user.
        threshold, cap: of the pair policy.
        precisions: to choose from; None: those that this machine multiplies fast.
    """
    width = directions.shape[1]
    if not len(everyone):
        return Projection.whole(width)
    generator = np.random.default_rng(0)
    sample = directions[_some(everyone, _SAMPLED_FOR_AXES, generator)].astype(np.float64)
    axes = np.linalg.eigh(sample.T @ sample)[1][:, ::-1]
    some, others = (
        directions[_some(everyone, count, generator)].astype(np.float64) @ axes
        for count in (_SAMPLED_ROWS, _SAMPLED_OTHERS)
    )
    # The cap, scaled to the sample.
    nearest = None if cap is None else max(1, round(cap * len(others) / len(everyone)))
    costs = {
        (precision, kept): precision.price * (kept + (kept < width)) + open_share * _GATHERING * width
        for kept in (*(kept for kept in _TRIED if kept < width), width)
        for precision, open_share in _open_shares(
            some, others, kept, threshold, nearest, precisions or fast_precisions()
        )
    }
    precision, kept = min(costs, key=lambda projection: costs[projection])
    return Projection(np.ascontiguousarray(axes[:, :kept]), precision)


def _open_shares(
    some: Doubles, others: Doubles, kept: int, threshold: float, nearest: int | None, precisions: tuple[Precision, ...]
) -> Iterator[tuple[Precision, float]]:
    """The share of pairs that need a full dot product when `kept` of the coordinates are used, by precision."""
    middle = some[:, :kept].astype(np.float32) @ others[:, :kept].T.astype(np.float32)
    left, right = (np.linalg.norm(rows[:, kept:], axis=1).astype(np.float32) for rows in (some, others))
    rest = np.outer(left, right)
    upper, lower = middle + rest, middle - rest
    line = np.full(len(some), threshold, dtype=np.float32)
    if nearest is not None and nearest <= len(others):
        line = np.maximum(line, np.partition(lower, -nearest, axis=1)[:, -nearest])
    for precision in precisions:
        slack = precision.error(kept + 1)
        if precision is Precision.BFLOAT16 and threshold <= precision.error(others.shape[1]):
            continue  # its line would not be above 0
        if nearest is None:
            open_ = (upper > threshold - slack) & (lower <= threshold + slack)
        else:
            open_ = upper > (line - 2 * slack)[:, None]
        yield precision, float(open_.mean())


def _some(rows: Rows, count: int, generator: np.random.Generator) -> Rows:
    return rows if len(rows) <= count else np.sort(generator.choice(rows, count, replace=False))
