"""The cosine of pairs of embeddings, and its probability."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stores.feature_store import Floats
from trainer.matrix.embeddings import Rows

_PAIRS_PER_PASS = 8192


def pair_cosines(queries: Floats, candidates: Floats, pairs: Rows) -> NDArray[np.float64]:
    """(pairs,) the cosine of each pair of rows; both sides are (capacity, d) unit rows."""
    found = np.empty(len(pairs), dtype=np.float64)
    for start in range(0, len(pairs), _PAIRS_PER_PASS):
        part = slice(start, start + _PAIRS_PER_PASS)
        found[part] = np.einsum("ij,ij->i", queries[pairs[part, 0]], candidates[pairs[part, 1]])
    return found


def sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probability of each logit."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(values, -60.0, 60.0))))
