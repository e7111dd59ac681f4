"""Training pairs in the shapes of a notebook, from what users really did."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stores.feature_store import Floats
from trainer.labels.strangers import draw_strangers
from trainer.matrix.embeddings import Rows
from trainer.pairs.notebook import table_of


def label_pairs(
    embeddings: ArrayLike, edges: ArrayLike, negative_ratio: int = 1, seed: int = 0
) -> tuple[Floats, NDArray[np.int64]]:
    """The pairs that users have made, and `negative_ratio` strangers for each.

    Args:
        embeddings: (users, width), one row a user. Taken as float32.
        edges: (edges, 2) row numbers of two users who follow, accepted or befriended one another, in either order; or
            (edges, 3) with a third column: 1, or 0 where one user dismissed or blocked the other. A repeated edge
            counts once.
        negative_ratio: strangers for each edge of 1, at least 1: random partners of its first user, about as popular as
            its second, and never in an edge with that user. A user who knows everybody gets none.
        seed: of the draws.

    Returns:
        pairs (pairs, 2, width) of rows as they were given, and labels (pairs,): 1 similar, 0 not. Edges of 1 come in
        the order of their rows, each followed by its strangers; edges of 0 come last.

    Raises:
        ValueError: `embeddings` are not a finite table of numbers, `edges` are not row numbers of it, an edge joins a
            user to itself, two users have both 1 and 0, or `negative_ratio` is below 1.
    """
    given = table_of(embeddings)
    if negative_ratio < 1:
        raise ValueError(f"negative_ratio must be at least 1, got {negative_ratio}")
    positive, negative = _edges(edges, len(given))
    pair_users = np.repeat(positive, negative_ratio, axis=0)
    partners = np.full(len(pair_users), -1, dtype=np.int64)
    if len(positive):
        both = np.concatenate([positive, positive[:, ::-1]])
        barred = np.concatenate([negative, negative[:, ::-1]])
        found, strangers = draw_strangers(
            pair_users, both, len(given), np.arange(len(given)), np.random.default_rng(seed), barred
        )
        partners[found] = strangers[:, 1]
    drawn = np.stack([pair_users[:, 0], partners], axis=1).reshape(-1, negative_ratio, 2)
    rows = np.concatenate([positive[:, None], drawn], axis=1).reshape(-1, 2)
    labels = np.tile(np.arange(1 + negative_ratio) == 0, len(positive)).astype(np.int64)
    there = rows[:, 1] >= 0
    rows = np.concatenate([rows[there], negative])
    return given[rows], np.concatenate([labels[there], np.zeros(len(negative), dtype=np.int64)])


def _edges(edges: ArrayLike, users: int) -> tuple[Rows, Rows]:
    """(edges, 2) the distinct edges of 1 and those of 0, each with the smaller row first, in order."""
    found = np.asarray(edges)
    if found.size == 0:
        found = np.empty((0, 2), dtype=np.int64)
    if found.ndim != 2 or found.shape[1] not in (2, 3) or not np.issubdtype(found.dtype, np.integer):
        raise ValueError(f"edges must be whole numbers (edges, 2) or (edges, 3), got {found.dtype} {found.shape}")
    ends = np.sort(found[:, :2].astype(np.int64), axis=1)
    if (outside := (ends < 0) | (ends >= users)).any():
        raise ValueError(f"edges name row {int(ends[outside][0])}, and embeddings has rows 0 to {users - 1}")
    if (own := ends[:, 0] == ends[:, 1]).any():
        raise ValueError(f"edge {int(np.argmax(own))} joins row {int(ends[own][0, 0])} to itself")
    says = found[:, 2] if found.shape[1] == 3 else np.ones(len(found), dtype=np.int64)
    if (unknown := ~np.isin(says, (0, 1))).any():
        raise ValueError(f"the third column of edges is 1 or 0, edge {int(np.argmax(unknown))} has {says[unknown][0]}")
    positive, negative = (np.unique(ends[says == kind], axis=0) for kind in (1, 0))
    again, count = np.unique(np.concatenate([positive, negative]), axis=0, return_counts=True)
    if (count > 1).any():
        raise ValueError(f"edges say both 1 and 0 of rows {again[count > 1][0].tolist()}")
    return positive, negative
