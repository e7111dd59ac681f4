"""Negatives: dissimilar partners drawn at random, each checked to be below the threshold, reproducible from a seed."""

from __future__ import annotations

import numpy as np

from stores.feature_store import Floats
from trainer.matrix.embeddings import Rows
from trainer.pairs.bounds import Bounds
from trainer.pairs.similarity import similarity

_ROUNDS = 20


def draw_negatives(
    directions: Floats,
    pair_users: Rows,
    pool: Rows,
    threshold: float,
    generator: np.random.Generator,
    bounds: Bounds | None = None,
) -> Rows:
    """A dissimilar partner from `pool` for each of `pair_users`, as (found, 2) rows: pair user, partner.

    A pair user without one (see `draw_partners`) is left out.
    """
    partner = draw_partners(directions, pair_users, pool, threshold, generator, bounds)
    found = partner >= 0
    return np.stack([pair_users[found], partner[found]], axis=1)


def draw_partners(
    directions: Floats,
    pair_users: Rows,
    pool: Rows,
    threshold: float,
    generator: np.random.Generator,
    bounds: Bounds | None = None,
) -> Rows:
    """(pair_users,) a dissimilar row from `pool` for each of `pair_users`; -1 where none was found.

    A partner that is the pair user itself, or similar to it by the exact similarity, is drawn again, up to 20 rounds:
    none is found only where nearly everybody in the pool is similar. Rows of `pool` must have a
    direction. With `bounds` most partners need no dot product; the partners are the same.
    """
    partner = np.full(len(pair_users), -1, dtype=np.int64)
    open_ = np.arange(len(pair_users) if len(pool) else 0)
    for _ in range(_ROUNDS):
        drawn = pool[generator.integers(len(pool), size=len(open_))] if len(open_) else open_
        unsure = np.arange(len(open_))
        if bounds is not None:
            unsure = np.flatnonzero(bounds.upper(pair_users[open_], drawn) > threshold)
        fine = drawn != pair_users[open_]
        fine[unsure] &= similarity(directions, pair_users[open_[unsure]], drawn[unsure]) <= threshold
        partner[open_[fine]] = drawn[fine]
        open_ = open_[~fine]
    return partner
