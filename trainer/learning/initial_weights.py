"""The weights that a new model starts from: both towers keep the cosine, as well as their shape allows.

Labels come from the cosine of directions, so a tower that keeps it knows them already, and training has only to make up
for what 128 numbers cannot hold. Let A be the map of `trainer.matrix.axes`: the leading principal axes of the training
users' directions, at most 128, with what lies outside them projected over the weakest.

    layer 1, 256 units   [relu(A x), relu(-A x)]   their difference is A x: mirrored, or "looks linear"
                                                   (Balduzzi et al. 2017, The Shattered Gradients Problem)
    layer 2, 128 units   relu(q (A x + c))         c the length of A's row: of nobody one long is anything cut off;
                                                   q a quarter, or c would make each step of layer 3 a leap
    layer 3, 128 units   q (A x + c) / q - c

Mirroring layer 2 as well would leave room for only 64 axes. Units that are over, where rows have fewer than 128
numbers, start with Keras's random weights and without a way out, so they disturb nothing and can be learned. The
probability is one half at the threshold.
"""

from __future__ import annotations

import numpy as np

from stores.feature_store import Floats
from trainer.matrix.axes import keeping_map
from trainer.matrix.embeddings import Rows
from trainer.model import TwoTower

_QUIET = 0.25  # a power of two, so that nothing is rounded
_SCALE = 50.0  # steep: the pairs within a few hundredths of the threshold are those to be learned


def set_initial_weights(model: TwoTower, directions: Floats, train: Rows, threshold: float) -> None:
    """Set a model to where training from scratch begins.

    Args:
        model: as it was built.
        directions: (capacity, width) the user matrix.
        train: rows of the training users; nobody else's are looked at (P5), and without any the model stays as it is.
        threshold: the cosine above which users are similar.
    """
    if not len(train):
        return
    weights = cosine_keeping(model.query.get_weights(), directions, train)
    for tower in (model.query, model.candidate):
        tower.set_weights(weights)
    model.rescale(_SCALE, -_SCALE * threshold)


def cosine_keeping(random: list[Floats], directions: Floats, train: Rows) -> list[Floats]:
    """Weights of a tower (kernel and bias of three layers) that keeps the cosine.

    Args:
        random: the tower's weights as Keras made them, which give the shapes and the units that are over.
        directions, train: as of `set_initial_weights`.
    """
    kernel_1, bias_1, kernel_2, bias_2, kernel_3, bias_3 = (array.copy() for array in random)
    mirror = kernel_1.shape[1] // 2
    kept = keeping_map(directions, train, min(mirror, kernel_2.shape[1], kernel_3.shape[1]))
    count = len(kept)
    one, other = np.arange(count), mirror + np.arange(count)
    shift = np.linalg.norm(kept, axis=1)

    kernel_1[:, one], kernel_1[:, other] = kept.T, -kept.T
    kernel_2[:, :count] = 0.0
    kernel_2[one, one], kernel_2[other, one] = _QUIET, -_QUIET
    bias_2[:count] = _QUIET * shift
    kernel_3[:] = 0.0
    kernel_3[one, one] = 1.0 / _QUIET
    bias_3[:count] = -shift
    return [kernel_1, bias_1, kernel_2, bias_2, kernel_3, bias_3]
