"""The order of a list of neighbours: nearest first, ties by id, and a cut after so many."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from trainer.matrix.embeddings import Rows
from trainer.pairs.links import Links
from trainer.pairs.similarity import RowIds

_ROWS_AT_A_TIME = 4096


def nearest_first(links: Links, order: Rows, depth: int) -> Links:
    """The links sorted by source, nearest first, ties by `order` of the target; at most `depth` a source.

    `order` (capacity,) is the rank of each row's user by id.
    """
    sources, at = np.unique(links.source, return_inverse=True)
    return ranked(links, at, len(sources), order, depth)


def ranked(links: Links, at: Rows | RowIds, sources: int, order: Rows, depth: int) -> Links:
    """The same where `at` is the place of each link's source among `sources` places; a place may have no links."""
    by = np.argsort(at.astype(np.uint16) if sources <= 2**16 else at, kind="stable")  # 16 bits sort by radix
    links, at = links.pick(by), at[by]
    start = np.searchsorted(at, np.arange(0, sources + _ROWS_AT_A_TIME, _ROWS_AT_A_TIME))
    chosen = [
        first + _chosen(links.pick(slice(first, last)), at[first:last] - at[first], order, depth)
        for first, last in pairwise(start)
        if last > first
    ]
    return links.pick(np.concatenate([np.empty(0, np.int64), *chosen]))


def _chosen(links: Links, at: Rows | RowIds, order: Rows, depth: int) -> Rows:
    """Positions of links, sorted by `at`, in the order of `nearest_first`, cut."""
    count = np.bincount(at)
    first = np.cumsum(count) - count
    table = np.full((len(count), int(count.max())), np.inf)
    table[at, np.arange(len(at)) - first[at]] = -links.similarity
    by = np.argsort(table, axis=1)
    table = np.take_along_axis(table, by, axis=1)
    tied = ((table[:, 1:] == table[:, :-1]) & np.isfinite(table[:, 1:])).any(axis=1)
    positions: Rows = first[:, None] + by
    for row in np.flatnonzero(tied):
        mine = slice(first[row], first[row] + count[row])
        ranked = np.lexsort((order[links.target[mine]], -links.similarity[mine]))
        positions[row, : count[row]] = first[row] + ranked
    rank = np.arange(table.shape[1])
    return positions[(rank < count[:, None]) & (rank < depth)]
