"""Batches of users for training: anchors with some of their similar users, so that each batch has positive pairs.

All pairs of a batch are labelled from the directions (`trainer.learning.fit`), so one pass through the towers serves
batch-squared pairs. The anchors of an incremental cycle are the changed users plus a replay share of unchanged ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from schemas.policies import FitPolicy
from stores.feature_store import Floats
from stores.scratch import Scratch
from trainer.matrix.embeddings import Rows
from trainer.pairs.graph import Graph
from trainer.pairs.links import Links
from trainer.pairs.nearest import Mask, NearestLists
from trainer.pairs.order import nearest_first
from trainer.pairs.similarity import RowIds, similarity

_NEIGHBOURS = 2  # drawn for each anchor; with more a batch would be one clique
_SHARE_OF_CAP = 3  # a neighbour is one of the nearest cap / 3: a full list nearly always has so many allowed users
_ROWS_AT_A_TIME = 1024
_ALLOWED_AT_A_TIME = 2**15
_ROUNDING = 1e-4  # more than the error of a float32 product


@dataclass(frozen=True, slots=True)
class Anchors:
    """The rows of one epoch, and how many of them are replayed."""

    rows: Rows
    replayed: int


def choose_anchors(train: Rows, changed: Rows | None, policy: FitPolicy, generator: np.random.Generator) -> Anchors:
    """All training users where `changed` is None; else the changed ones among them and a replay share of the others."""
    if changed is None:
        return Anchors(train, replayed=0)
    moved = np.isin(train, changed)
    fresh, others = train[moved], train[~moved]
    wanted = int(len(fresh) * policy.replay_share / (1 - policy.replay_share))
    count = min(len(others), max(wanted, policy.min_replay_users))
    return Anchors(np.concatenate([fresh, generator.choice(others, count, replace=False)]), replayed=count)


class Neighbours:
    """Similar users of some rows, by the graph; only allowed rows are drawn.

    Rows that are not allowed have no influence on the draw (P5). Without a cap it is enough to leave them out. A list
    of a capped graph is a prefix of the similar users, nearest first, so its first k allowed members are the k nearest
    allowed users. Where a list was cut before it has so many, a product finds them.

    Args:
        graph: the similar pairs.
        directions: (capacity, width) the user matrix of the graph.
        order: (capacity,) rank of each row's user by id, for ties.
        allowed: rows that may be drawn.
        asked: distinct rows whose similar users are drawn later.
        threshold: above which users are similar.
    """

    def __init__(
        self, graph: Graph, directions: Floats, order: Rows, allowed: Rows, asked: Rows, threshold: float
    ) -> None:
        may = np.zeros(len(directions), dtype=bool)
        may[allowed] = True
        self._asked = asked = np.sort(asked)
        self._target: Rows | RowIds
        self._start, self._count, self._target = (
            _pairs_with(graph, order, may, asked)
            if graph.cap is None
            else _nearest(graph.lists, max(1, graph.cap // _SHARE_OF_CAP), directions, order, may, asked, threshold)
        )

    def draw(self, rows: Rows, generator: np.random.Generator) -> Rows:
        """A random similar user of each of `rows`, all among `asked`; rows without one are left out."""
        at = np.searchsorted(self._asked, rows)
        at = at[self._count[at] > 0]
        drawn = self._target[self._start[at] + (generator.random(len(at)) * self._count[at]).astype(np.int64)]
        return drawn.astype(np.int64)


def _pairs_with(graph: Graph, order: Rows, may: Mask, asked: Rows) -> tuple[Rows, Rows, Rows]:
    """The rows that `may` be drawn for each of `asked`, by id: where they begin, how many there are, and all of them.

    For a graph without a cap.
    """
    wanted = np.zeros(len(may), dtype=bool)
    wanted[asked] = True
    pairs = graph.pairs(touching=wanted)
    both = np.concatenate([pairs, pairs[:, ::-1]])
    both = both[wanted[both[:, 0]] & may[both[:, 1]]]
    both = both[np.lexsort((order[both[:, 1]], both[:, 0]))]
    start = np.searchsorted(both[:, 0], asked)
    return start, np.searchsorted(both[:, 0], asked, side="right") - start, both[:, 1]


def _nearest(
    lists: NearestLists, k: int, directions: Floats, order: Rows, may: Mask, asked: Rows, threshold: float
) -> tuple[Rows, Rows, RowIds]:
    """The `k` nearest similar rows that `may` be drawn for each of `asked`, in the form of `_pairs_with`."""
    targets = Scratch.beside(directions).growing(np.int32)
    count, lacking = np.zeros(len(asked), dtype=np.int64), np.zeros(len(asked), dtype=bool)
    links = lists.links
    for first in range(0, len(asked), _ROWS_AT_A_TIME):
        part = slice(first, first + _ROWS_AT_A_TIME)
        rows = asked[part].astype(links.source.dtype)  # or the search would copy all sources
        start, stop = np.searchsorted(links.source, rows), np.searchsorted(links.source, rows, side="right")
        at = start[:, None] + np.arange(int((stop - start).max(initial=0)))
        inside = at < stop[:, None]
        found = links.target[np.where(inside, at, 0)] if len(links) else at.astype(links.target.dtype)
        inside &= may[found]
        inside &= np.cumsum(inside, axis=1) <= k
        lacking[part] = (inside.sum(axis=1) < k) & (lists.floor[rows] > -np.inf)  # a list that was not cut is complete
        inside[lacking[part]] = False
        count[part] = inside.sum(axis=1)
        targets.append(found[inside])
    begin = np.cumsum(count) - count
    searched = _searched(asked[lacking], np.flatnonzero(may), k, directions, order, threshold)
    before = np.searchsorted(searched.source, asked[lacking])
    begin[lacking] = len(targets) + before
    count[lacking] = np.searchsorted(searched.source, asked[lacking], side="right") - before
    targets.append(searched.target)
    return begin, count, targets.array()


def _searched(rows: Rows, allowed: Rows, k: int, directions: Floats, order: Rows, threshold: float) -> Links:
    """Links from each of `rows` to the `k` nearest similar `allowed` rows, in the graph's order."""
    found = [Links.join([])]
    for start in range(0, len(rows), _ROWS_AT_A_TIME):
        part = rows[start : start + _ROWS_AT_A_TIME]
        for block in range(0, len(allowed), _ALLOWED_AT_A_TIME):
            others = allowed[block : block + _ALLOWED_AT_A_TIME]
            one, other = np.nonzero(directions[part] @ directions[others].T > threshold - _ROUNDING)
            source, target = part[one], others[other]
            exact = similarity(directions, source, target)
            similar = (exact > threshold) & (source != target)
            links = Links(source.astype(np.int32), target.astype(np.int32), exact)
            found.append(links.pick(similar))
    return nearest_first(Links.join(found), order, k)


def batch_count(anchors: int, everyone: int, size: int) -> int:
    """Number of batches that `batches` makes."""
    return -(-anchors // _per_batch(min(size, everyone)))


def _per_batch(size: int) -> int:
    return max(1, size // (1 + _NEIGHBOURS))


def batches(
    anchors: Rows, everyone: Rows, neighbours: Neighbours, size: int, generator: np.random.Generator
) -> Iterator[Rows]:
    """One epoch: every anchor once, in random order, in batches of at most `size` distinct rows.

    Each batch has anchors, similar users of these, and random users to fill it.
    """
    size = min(size, len(everyone))
    per_batch = _per_batch(size)
    order = generator.permutation(anchors)
    for start in range(0, len(order), per_batch):
        chosen = order[start : start + per_batch]
        near = [neighbours.draw(chosen, generator) for _ in range(_NEIGHBOURS)]
        filler = generator.choice(everyone, size, replace=False, shuffle=False)
        _, first = np.unique(candidates := np.concatenate([chosen, *near, filler]), return_index=True)
        yield candidates[np.sort(first)][:size]
