"""A restart on the axes of today's users, rotated to where the champion's embeddings are.

Users may come in directions that the champion does not know, or turn. Gradients find such axes slowly: towers that
hardly respond to a direction get hardly any gradient from it. `trainer.learning.initial_weights` computes the axes at
once. The new towers are then rotated as a whole, so that the users' embeddings lie as near to the champion's as a
rotation brings them (orthogonal Procrustes, Schönemann 1966). A rotation changes no cosine.
"""

from __future__ import annotations

import numpy as np

from stores.feature_store import Floats
from trainer.learning.initial_weights import set_initial_weights
from trainer.matrix.embeddings import Rows
from trainer.model import TwoTower

_MOST_USERS = 4096  # by whose embeddings the rotation is computed


def restart_aligned(model: TwoTower, directions: Floats, train: Rows, threshold: float, seed: int) -> None:
    """Set a model's weights to where training from scratch begins, rotated to where its embeddings are now.

    Args:
        model: a champion.
        directions: (capacity, width) the user matrix.
        train: rows of the training users, the only ones that are used (P5).
        threshold: the cosine above which users are similar.
        seed: of the random weights of units that no axis needs.
    """
    generator = np.random.default_rng(seed)
    users = np.asarray(directions[train[:: -(-len(train) // _MOST_USERS)]])
    towers = (model.query, model.candidate)
    before = [np.asarray(tower(users, training=False)) for tower in towers]
    random = [_random(array.shape, generator) for array in model.query.get_weights()]
    for tower in towers:
        tower.set_weights(random)
    set_initial_weights(model, directions, train, threshold)
    after = [np.asarray(tower(users, training=False)) for tower in towers]
    left, _, right = np.linalg.svd(sum(new.T @ old for new, old in zip(after, before, strict=True)))
    for tower in towers:
        *first, kernel, bias = tower.get_weights()
        tower.set_weights([*first, kernel @ (left @ right), bias @ (left @ right)])


def _random(shape: tuple[int, ...], generator: np.random.Generator) -> Floats:
    """As Keras makes them: Glorot's uniform kernels, no biases."""
    if len(shape) == 1:
        return np.zeros(shape, dtype=np.float32)
    end = np.sqrt(6 / sum(shape))
    return generator.uniform(-end, end, size=shape).astype(np.float32)
