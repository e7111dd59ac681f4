"""Nearest users, exactly and over the whole corpus: one product and a selection, block by block.

Nothing is sampled: recall among sampled candidates may rank models in another order than recall among all (Krichene &
Rendle, KDD 2020).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from stores.feature_store import Floats
from trainer.matrix.embeddings import Rows

_BLOCK_BYTES = 2**25  # of similarities at a time
_BLOCK_ROWS = 2**15  # candidates at a time, at most
_GROUP = 16  # columns of a group; only the best of a group is looked at first


class Best:
    """The largest values of each query with their rows, over blocks that are added one by one.

    Attributes:
        values: (queries, k) largest first; -inf where there are fewer.
        rows: (queries, k) the row of each value.
    """

    def __init__(self, queries: int, k: int) -> None:
        self.values: Floats = np.full((queries, k), -np.inf, dtype=np.float32)
        self.rows: Rows = np.full((queries, k), -1, dtype=np.int64)

    def add(self, values: Floats, rows: Rows) -> None:
        """Add a block: `values` (queries, m) of the candidates `rows` (m,)."""
        k = self.values.shape[1]
        if not k or not len(rows) or not len(values):
            return
        columns = largest(values, min(k, len(rows)))
        both = np.concatenate([self.values, np.take_along_axis(values, columns, axis=1)], axis=1)
        names = np.concatenate([self.rows, rows[columns]], axis=1)
        order = top(both, k)
        self.values = np.take_along_axis(both, order, axis=1)
        self.rows = np.take_along_axis(names, order, axis=1)


def nearest(queries: Floats, query_rows: Rows, candidates: Floats, candidate_rows: Rows, count: int) -> Rows:
    """(len(query_rows), k) the candidates of largest dot product, nearest first; no user is its own neighbour.

    Args:
        queries, candidates: (capacity, d) rows of the user matrix.
        query_rows, candidate_rows: distinct rows to compare.
        count: number wanted; k is smaller where there are fewer candidates besides the query.
    """
    best = Best(len(query_rows), max(0, min(count, len(candidate_rows) - 1)))
    for where in column_blocks(len(query_rows), len(candidate_rows)):
        block = candidate_rows[where]
        values = product(queries[query_rows], candidates[block])
        values[query_rows[:, None] == block] = -np.inf
        best.add(values, block)
    return best.rows


def column_blocks(queries: int, candidates: int) -> Iterator[slice]:
    """Slices that cover all candidates, each small enough for the memory of its similarities to the queries."""
    size = min(_BLOCK_ROWS, max(1, _BLOCK_BYTES // (4 * max(queries, 1))))
    for start in range(0, candidates, size):
        yield slice(start, min(start + size, candidates))


def product(queries: Floats, candidates: Floats) -> Floats:
    """(queries, candidates) dot products of rows; a number that is not finite makes its whole row count as zero."""
    found: Floats = tf.matmul(_finite(queries), _finite(candidates), transpose_b=True).numpy()
    return found


def largest(values: Floats, k: int) -> NDArray[np.int32]:
    """(n, k) the columns of the k largest of each row of `values` (n, m), largest first.

    The k largest lie in the k groups of columns with the largest maxima, so most values are only compared inside their
    group.
    """
    groups = values.shape[1] // _GROUP
    if groups <= k:
        return top(values, k)
    even = groups * _GROUP
    best = top(values[:, :even].reshape(-1, _GROUP, groups).max(axis=1), k)  # group g: columns g, g + groups, ...
    members = best[:, None, :] + groups * np.arange(_GROUP, dtype=np.int32)[:, None]
    rest = np.broadcast_to(np.arange(even, values.shape[1], dtype=np.int32), (len(values), values.shape[1] - even))
    columns = np.concatenate([members.reshape(len(values), -1), rest], axis=1)
    return np.take_along_axis(columns, top(np.take_along_axis(values, columns, axis=1), k), axis=1)


def top(values: Floats, k: int) -> NDArray[np.int32]:
    """(n, k) the columns of the k largest of each row of `values` (n, m), largest first, by a plain selection."""
    found: NDArray[np.int32] = tf.math.top_k(values, k).indices.numpy()
    return found


def _finite(rows: NDArray[Any]) -> Floats:
    sound = np.isfinite(rows).all(axis=1)
    return rows if sound.all() else np.where(sound[:, None], rows, np.float32(0.0))
