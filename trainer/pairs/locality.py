"""An order of rows with similar users side by side, so that the neighbours of a block are in the cache."""

from __future__ import annotations

import numpy as np

from stores.feature_store import Floats
from trainer.matrix.embeddings import Rows

_SAMPLE = 1000


def near_together(points: Floats, size: int) -> Rows:
    """The rows of `points` (rows, width) in an order in which each run of `size` rows is close together.

    The rows are halved again and again at the median along their principal axis (PCA trees; Verma et al., UAI 2009).
    """
    return _halved(points, np.arange(len(points)), size)


def _halved(points: Floats, rows: Rows, size: int) -> Rows:
    if len(rows) <= size:
        return rows
    here = points[rows]
    sample = here[:: -(-len(here) // _SAMPLE)]
    sample = (sample - sample.mean(axis=0)).astype(np.float64)
    axis = np.linalg.eigh(sample.T @ sample)[1][:, -1]
    half = max(1, len(rows) // size // 2) * size
    by = np.argpartition(here @ axis.astype(np.float32), half)
    del here, sample  # not one of them for each level
    return np.concatenate([_halved(points, rows[by[:half]], size), _halved(points, rows[by[half:]], size)])
