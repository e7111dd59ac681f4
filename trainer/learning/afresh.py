"""The champion's towers on axes of today: where users have come in directions that it does not know, or turned.

Gradients find new axes slowly, as towers that hardly answer to a direction get hardly any from it;
`trainer.learning.initial` computes them at once. Its towers are turned as a whole so that the users' embeddings lie as
near to the champion's as a rotation can bring them (orthogonal Procrustes, Schönemann 1966), which changes no cosine.
"""

from __future__ import annotations

import numpy as np

from stores.feature_store import Floats
from trainer.learning.initial import begin
from trainer.matrix.embeddings import Rows
from trainer.model import TwoTower

_MOST_USERS = 4096  # whose embeddings are brought together


def begin_afresh(model: TwoTower, directions: Floats, train: Rows, threshold: float, seed: int) -> None:
    """Set a model's weights to where training from scratch begins, turned to where its embeddings are now.

    Args:
        model: a champion.
        directions: (capacity, width) the user matrix.
        train: rows of the training users; nobody else's are looked at (P5).
        threshold: the cosine above which users are similar.
        seed: of the units that are over.
    """
    generator = np.random.default_rng(seed)
    users = np.asarray(directions[train[:: -(-len(train) // _MOST_USERS)]])
    towers = (model.query, model.candidate)
    before = [np.asarray(tower(users, training=False)) for tower in towers]
    random = [_random(array.shape, generator) for array in model.query.get_weights()]
    for tower in towers:
        tower.set_weights(random)
    begin(model, directions, train, threshold)
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
