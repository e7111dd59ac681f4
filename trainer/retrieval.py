"""Nearest users, exactly and over the whole corpus: one product and a selection, block by block.

Nothing is sampled: recall among sampled candidates ranks models otherwise than recall among all of them (Krichene &
Rendle, KDD 2020).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.embeddings import Rows
from trainer.features.protocol import Floats

_BLOCK_BYTES = 2**28  # of similarities at a time
_BLOCK_ROWS = 2**15  # candidates at a time, at most
_GROUP = 16  # columns of a block of which only the best is looked at first


def nearest(queries: Floats, query_rows: Rows, candidates: Floats, candidate_rows: Rows, count: int) -> Rows:
    """(len(query_rows), k) the candidates of largest dot product, nearest first, nobody being their own neighbour.

    Args:
        queries, candidates: (capacity, d) rows of the user matrix; numbers that are not finite count as zero.
        query_rows, candidate_rows: distinct rows to compare.
        count: how many are wanted; k is less where there are not so many candidates besides oneself.
    """
    k = min(count, len(candidate_rows) - 1)
    if k <= 0 or not len(query_rows):
        return np.empty((len(query_rows), max(k, 0)), dtype=np.int64)
    asked = tf.constant(_finite(queries[query_rows]))
    size = min(_BLOCK_ROWS, max(1, _BLOCK_BYTES // (4 * len(query_rows))))
    similarities, rows = [], []
    for start in range(0, len(candidate_rows), size):
        block = candidate_rows[start : start + size]
        product = tf.matmul(asked, _finite(candidates[block]), transpose_b=True).numpy()
        columns = largest(product, min(k + 1, len(block)))  # one more than wanted: a user finds itself too
        similarities.append(np.take_along_axis(product, columns, axis=1))
        rows.append(block[columns])
    best = _top(np.concatenate(similarities, axis=1), k + 1)
    found = np.take_along_axis(np.concatenate(rows, axis=1), best, axis=1)
    others = found != query_rows[:, None]
    others[others.all(axis=1), -1] = False  # a user that did not find itself has found one too many
    kept: Rows = found[others].reshape(len(query_rows), k)
    return kept


def largest(values: Floats, k: int) -> NDArray[np.int32]:
    """(n, k) the columns of the k largest of each row of `values` (n, m), largest first.

    The k largest lie in the k groups of columns with the largest maxima, so most values are only ever compared with
    those of their group.
    """
    groups = values.shape[1] // _GROUP
    if groups <= k:
        return _top(values, k)
    even = groups * _GROUP
    best = _top(values[:, :even].reshape(-1, _GROUP, groups).max(axis=1), k)  # group g: columns g, g + groups, ...
    members = best[:, None, :] + groups * np.arange(_GROUP, dtype=np.int32)[:, None]
    rest = np.broadcast_to(np.arange(even, values.shape[1], dtype=np.int32), (len(values), values.shape[1] - even))
    columns = np.concatenate([members.reshape(len(values), -1), rest], axis=1)
    return np.take_along_axis(columns, _top(np.take_along_axis(values, columns, axis=1), k), axis=1)


def _top(values: Floats, k: int) -> NDArray[np.int32]:
    found: NDArray[np.int32] = tf.math.top_k(values, k).indices.numpy()
    return found


def _finite(rows: NDArray[Any]) -> Floats:
    return rows if np.isfinite(rows).all() else np.nan_to_num(rows, posinf=0.0, neginf=0.0)
