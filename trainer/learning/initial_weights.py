"""The initial weights of a new model: both towers keep the cosine, as well as their shape allows.

Labels come from the cosine of directions, so a tower that keeps the cosine knows the labels already; training only
makes up for what 128 numbers cannot hold. Let A be the map of `trainer.matrix.axes`: the leading principal axes of the
training users' directions, at most 128, with a projection of everything outside them over the weakest axes.

    layer 1, 256 units   [relu(A x), relu(-A x)]   their difference is A x: mirrored, or "looks linear"
                                                   (Balduzzi et al. 2017, The Shattered Gradients Problem)
    layer 2, 128 units   relu(q (A x + c))         c is the length of A's row, so relu cuts off nothing of a unit row;
                                                   q is a quarter, else c would make each step of layer 3 too large
    layer 3, 128 units   q (A x + c) / q - c

A mirrored layer 2 would have room for 64 axes only. Where rows have fewer than 128 numbers, the spare units start with
Keras's random weights and with outgoing weights of zero: they disturb nothing and can be learned. The probability is
one half at the threshold.
"""

from __future__ import annotations

import numpy as np

from stores.feature_store import Floats
from trainer.matrix.axes import keeping_map
from trainer.matrix.embeddings import Rows
from trainer.model import TwoTower

_QUIET = 0.25  # q; a power of two rounds nothing
_SCALE = 50.0  # steep: pairs within a few hundredths of the threshold are still to be learned


def set_initial_weights(model: TwoTower, directions: Floats, train: Rows, threshold: float) -> None:
    """Set a model to where training from scratch begins.

    Args:
        model: as it was built.
        directions: (capacity, width) the user matrix.
        train: rows of the training users, the only ones that are used (P5); without any the model is not changed.
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
        random: the tower's weights as Keras made them: shapes, and weights of spare units.
        directions, train: as in `set_initial_weights`.
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
