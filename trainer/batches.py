"""Batches of users for training: anchors with some of their similar users, so that each batch has positives to learn.

Within a batch every pair is labelled from the directions (`trainer.fit`), so one pass through the towers serves
batch-squared pairs. An incremental cycle anchors on the changed users plus a replay share of unchanged ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.policies import FitPolicy
from trainer.embeddings import Rows
from trainer.pairs.graph import Graph
from trainer.pairs.similarity import Places

_NEIGHBOURS = 2  # drawn for each anchor; more would make batches of one clique


@dataclass(frozen=True, slots=True)
class Anchors:
    """Rows that one epoch goes through, and how many of them are replayed."""

    rows: Rows
    replayed: int


def choose_anchors(train: Rows, changed: Rows | None, policy: FitPolicy, generator: np.random.Generator) -> Anchors:
    """All training users where `changed` is None, else the changed among them and a replay share of the others."""
    if changed is None:
        return Anchors(train, replayed=0)
    fresh = np.intersect1d(train, changed)
    others = np.setdiff1d(train, changed, assume_unique=True)
    wanted = int(len(fresh) * policy.replay_share / (1 - policy.replay_share))
    count = min(len(others), max(wanted, policy.min_replay_users))
    return Anchors(np.concatenate([fresh, generator.choice(others, count, replace=False)]), replayed=count)


class Neighbours:
    """Similar users by the graph, of whom only those that may be seen are ever drawn.

    Args:
        graph: the similar pairs.
        allowed: (capacity,) mask of the users that may be drawn.
        asked: rows whose similar users will be asked for; of others, some may be missing.
    """

    def __init__(self, graph: Graph, allowed: NDArray[np.bool_], asked: Rows) -> None:
        self._allowed = allowed
        self._source: Rows | Places
        self._target: Rows | Places
        if graph.cap is not None:
            self._source, self._target = graph.lists.links.source, graph.lists.links.target
            return
        wanted = np.zeros(len(allowed), dtype=bool)
        wanted[asked] = True
        pairs = graph.pairs(touching=wanted)
        both = np.concatenate([pairs, pairs[:, ::-1]])
        both = both[np.argsort(both[:, 0], kind="stable")]
        self._source, self._target = both[:, 0], both[:, 1]

    def draw(self, rows: Rows, generator: np.random.Generator) -> Rows:
        """A random similar user of each of `rows`, where there is one and it is allowed."""
        wanted = rows.astype(self._source.dtype)  # or the search would copy all sources
        start, stop = np.searchsorted(self._source, wanted), np.searchsorted(self._source, wanted, side="right")
        some = stop > start
        at = start[some] + (generator.random(int(some.sum())) * (stop - start)[some]).astype(np.int64)
        drawn = self._target[at].astype(np.int64)
        return drawn[self._allowed[drawn]]

    def first(self, rows: Rows, count: int) -> Rows:
        """Up to `count` similar users of each of `rows`, the nearest where the graph has lists; distinct and sorted."""
        wanted = rows.astype(self._source.dtype)
        start, stop = np.searchsorted(self._source, wanted), np.searchsorted(self._source, wanted, side="right")
        at = start[:, None] + np.arange(count)
        found: Rows = np.unique(self._target[at[at < stop[:, None]]].astype(np.int64))
        allowed: Rows = found[self._allowed[found]]
        return allowed


def batches(
    anchors: Rows, everyone: Rows, neighbours: Neighbours, size: int, generator: np.random.Generator
) -> Iterator[Rows]:
    """One epoch: every anchor once, in random order, in batches of `size` distinct rows where there are so many.

    Each batch holds anchors, similar users of theirs, and random users to fill it.
    """
    size = min(size, len(everyone))
    per_batch = max(1, size // (1 + _NEIGHBOURS))
    order = generator.permutation(anchors)
    for start in range(0, len(order), per_batch):
        chosen = order[start : start + per_batch]
        near = [neighbours.draw(chosen, generator) for _ in range(_NEIGHBOURS)]
        filler = generator.choice(everyone, size, replace=False, shuffle=False)
        _, first = np.unique(candidates := np.concatenate([chosen, *near, filler]), return_index=True)
        yield candidates[np.sort(first)][:size]
