"""Negatives: dissimilar partners drawn at random, each checked to be below the threshold, reproducible from a seed."""

from __future__ import annotations

import numpy as np

from trainer.embeddings import Rows
from trainer.features.protocol import Floats
from trainer.pairs.mining import similarity

_ROUNDS = 20


def draw_negatives(
    directions: Floats, anchors: Rows, pool: Rows, threshold: float, generator: np.random.Generator
) -> Rows:
    """A dissimilar partner from `pool` for each of `anchors`, as (found, 2) rows: anchor, partner.

    A partner that is the anchor itself or similar to it (the exact similarity, not the float32 product) is drawn anew;
    an anchor that is still without one after 20 rounds, in a pool where nearly everybody is similar to it, is left out.
    Rows of `pool` must have a direction.
    """
    if not len(pool):
        return np.empty((0, 2), dtype=np.int64)
    partner = np.full(len(anchors), -1, dtype=np.int64)
    open_ = np.arange(len(anchors))
    for _ in range(_ROUNDS):
        drawn = pool[generator.integers(len(pool), size=len(open_))]
        fine = (drawn != anchors[open_]) & (similarity(directions, anchors[open_], drawn) <= threshold)
        partner[open_[fine]] = drawn[fine]
        open_ = open_[~fine]
        if not len(open_):
            break
    found = partner >= 0
    return np.stack([anchors[found], partner[found]], axis=1)
