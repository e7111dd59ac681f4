"""The pair function of a notebook, with exact similarities and checked negatives."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from schemas.policies import PairPolicy
from stores.feature_store import Floats
from trainer.pairs.bounds_tuning import choose_projection
from trainer.pairs.graph import Graph, update_graph
from trainer.pairs.negatives import draw_partners
from trainer.pairs.view import View


def generate_pairs(
    embeddings: ArrayLike, similarity_threshold: float = 0.8, negative_ratio: int = 1, seed: int = 0
) -> tuple[Floats, NDArray[np.int64]]:
    """Every similar pair of users, and `negative_ratio` dissimilar ones for each.

    Args:
        embeddings: (users, width), one row a user, of any length; a row of zeros has no pairs. Taken as float32.
        similarity_threshold: between 0 and 1; similar is a cosine above it.
        negative_ratio: dissimilar partners for each similar pair, at least 1: drawn at random for its first user, and
            each checked to be below the threshold. Where nearly everybody is similar there may be fewer.
        seed: of the drawing.

    Returns:
        pairs (pairs, 2, width) of rows as they were given, and labels (pairs,): 1 similar, 0 not. Similar pairs come in
        the order of their rows, each followed by the dissimilar ones drawn for it.

    Raises:
        ValueError: `embeddings` are not a finite table of numbers, or a parameter is out of its range.
    """
    given = table_of(embeddings)
    policy = PairPolicy(
        similarity_threshold=similarity_threshold, max_positives_per_user=None, negative_ratio=negative_ratio
    )
    ratio = policy.negative_ratio
    length = np.linalg.norm(given.astype(np.float64), axis=1, keepdims=True)
    directions = np.divide(given, length, out=np.zeros(given.shape), where=length > 0).astype(np.float32)
    everyone = np.flatnonzero(length > 0)
    projection = choose_projection(directions, everyone, policy.similarity_threshold, None)
    view = View(directions, projection.bounds(projection.shorten(directions)), np.arange(len(given)))
    similar = update_graph(Graph.empty(policy), view, everyone, policy).graph.pairs()

    pair_users = np.repeat(similar[:, 0], ratio)
    generator = np.random.default_rng(seed)
    partners = draw_partners(directions, pair_users, everyone, policy.similarity_threshold, generator, view.bounds)
    dissimilar = np.stack([pair_users, partners], axis=1).reshape(-1, ratio, 2)
    rows = np.concatenate([similar[:, None], dissimilar], axis=1).reshape(-1, 2)
    labels = np.tile(np.arange(1 + ratio) == 0, len(similar)).astype(np.int64)
    found = rows[:, 1] >= 0
    return given[rows[found]], labels[found]


def table_of(embeddings: ArrayLike) -> Floats:
    """(users, width) as float32.

    Raises:
        ValueError: `embeddings` are not a finite table of numbers.
    """
    try:
        with np.errstate(over="ignore"):  # a number too large for float32 becomes infinite
            given = np.asarray(embeddings, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"embeddings must be a table of numbers (users, width): {error}") from error
    if given.ndim != 2:
        raise ValueError(f"embeddings must be a table (users, width), got shape {given.shape}")
    if not (finite := np.isfinite(given).all(axis=1)).all():
        raise ValueError(f"embeddings must be finite, row {int(np.argmin(finite))} is not")
    return given
