"""A restart on the axes of today's users, rotated to where the champion's embeddings are.

Users may come in directions that the champion does not know, or turn. Gradients find such axes slowly: towers that
hardly respond to a direction get hardly any gradient from it. `trainer.learning.initial_weights` computes the axes at
once. The new towers are then rotated, so that the users' embeddings lie as near to the champion's as a rotation brings
them (`trainer.learning.rotation`).
"""

from __future__ import annotations

import numpy as np

from stores.feature_store import Floats
from trainer.learning.initial_weights import set_initial_weights
from trainer.learning.rotation import rotate, rotation_onto, some_of
from trainer.matrix.embeddings import Rows
from trainer.model import TwoTower


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
    users = np.asarray(directions[some_of(train)])
    towers = (model.query, model.candidate)
    before = [np.asarray(tower(users, training=False)) for tower in towers]
    random = [_random(array.shape, generator) for array in model.query.get_weights()]
    for tower in towers:
        tower.set_weights(random)
    set_initial_weights(model, directions, train, threshold)
    after = [np.asarray(tower(users, training=False)) for tower in towers]
    rotate(model, rotation_onto(after, before))


def _random(shape: tuple[int, ...], generator: np.random.Generator) -> Floats:
    """As Keras makes them: Glorot's uniform kernels, no biases."""
    if len(shape) == 1:
        return np.zeros(shape, dtype=np.float32)
    end = np.sqrt(6 / sum(shape))
    return generator.uniform(-end, end, size=shape).astype(np.float32)
