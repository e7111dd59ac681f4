"""The canonical similarity of two users, which decides every close case.

The last bits of a float32 matrix product depend on the shape of the block, the number of threads and the machine. So a
product only proposes pairs; one float64 dot product decides a pair that is within the product's error of a line (P3).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stores.feature_store import Floats
from trainer.matrix.embeddings import Rows

Similarities = NDArray[np.float64]
RowIds = NDArray[np.int32]
"""Row numbers of the matrix in half the memory of `Rows`, for long arrays."""

_ROWS_PER_DOT = 2048  # fewer would stay in the cache, but threads would wait for the interpreter


def similarity(directions: Floats, left: Rows | RowIds, right: Rows | RowIds) -> Similarities:
    """The canonical similarity of each pair of rows: a float64 dot product, the same for (i, j) and (j, i).

    Products of float32 numbers are exact in float64, and NumPy adds each row in one fixed order.
    """
    found = np.empty(len(left), dtype=np.float64)
    shape = (min(_ROWS_PER_DOT, len(left)), directions.shape[1])
    one, other = np.empty(shape), np.empty(shape)
    for start in range(0, len(left), _ROWS_PER_DOT):
        part = slice(start, min(start + _ROWS_PER_DOT, len(left)))
        count = part.stop - start
        # A cast into buffers that are used again is twice as fast as a product that casts.
        one[:count] = directions[left[part]]
        other[:count] = directions[right[part]]
        np.multiply(one[:count], other[:count], out=one[:count])
        one[:count].sum(axis=1, out=found[part])
    return found
