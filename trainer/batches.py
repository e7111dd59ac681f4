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
from trainer.pairs.mining import Links

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
    """The graph as lists, restricted to the users that may be trained on."""

    def __init__(self, links: Links, allowed: NDArray[np.bool_]) -> None:
        inside = links.pick(allowed[links.source] & allowed[links.target])
        both = np.concatenate([inside.source, inside.target])
        by = np.argsort(both, kind="stable")
        self._targets = np.concatenate([inside.target, inside.source])[by]
        self._start = np.searchsorted(both[by], np.arange(len(allowed) + 1))

    def draw(self, rows: Rows, generator: np.random.Generator) -> Rows:
        """A random similar user of each of `rows` that has one."""
        start, stop = self._start[rows], self._start[rows + 1]
        some = stop > start
        at = start[some] + (generator.random(int(some.sum())) * (stop - start)[some]).astype(np.int64)
        return self._targets[at]


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
        filler = generator.choice(everyone, size, replace=False)
        _, first = np.unique(candidates := np.concatenate([chosen, *near, filler]), return_index=True)
        yield candidates[np.sort(first)][:size]
