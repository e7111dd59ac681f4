"""An order of rows with similar users side by side, so that the neighbours of a block are in the cache."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stores.feature_store import Floats
from trainer.matrix.embeddings import Rows

_SAMPLE = 1000
_ROWS_AT_A_TIME = 16_384


def near_together(points: Callable[[Rows], Floats], count: int, size: int) -> Rows:
    """The rows below `count` in an order in which each run of `size` rows is close together.

    `points` gives (n, width) coordinates of n rows; a block of them is asked for at a time.

    The rows are halved again and again at the median along their principal axis (PCA trees; Verma et al., UAI 2009).
    """
    return _halved(points, np.arange(count), size)


def _halved(points: Callable[[Rows], Floats], rows: Rows, size: int) -> Rows:
    if len(rows) <= size:
        return rows
    sample = points(rows[:: -(-len(rows) // _SAMPLE)])
    sample = (sample - sample.mean(axis=0)).astype(np.float64)
    axis = np.linalg.eigh(sample.T @ sample)[1][:, -1]
    half = max(1, len(rows) // size // 2) * size
    parts = (rows[start : start + _ROWS_AT_A_TIME] for start in range(0, len(rows), _ROWS_AT_A_TIME))
    along = np.concatenate([points(part) @ axis.astype(np.float32) for part in parts])
    by = np.argpartition(along, half)
    del along, sample  # not one of them for each level
    return np.concatenate([_halved(points, rows[by[:half]], size), _halved(points, rows[by[half:]], size)])
