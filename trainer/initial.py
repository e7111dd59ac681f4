"""The weights that a new model starts from: both towers keep the cosine, as well as their shape allows.

Labels come from the cosine of directions, so a tower that keeps it knows them already, and training has only to make
up for what 128 numbers cannot hold. Let A be the leading principal axes of the training users' directions, at most 128.

    layer 1, 256 units   [relu(A x), relu(-A x)]   their difference is A x: mirrored, or "looks linear"
                                                   (Balduzzi et al. 2017, The Shattered Gradients Problem)
    layer 2, 128 units   relu(A x + c)             c a little more than any |A x|, so that nothing is cut off
    layer 3, 128 units   (A x + c) - c

Mirroring layer 2 as well would leave room for only 64 axes. Units that are over, where there are fewer than 128 axes,
start with Keras's random weights and without a way out, so they disturb nothing and can be learned. The probability is
one half at the threshold.
"""

from __future__ import annotations

import numpy as np

from trainer.embeddings import Rows
from trainer.features.protocol import Floats
from trainer.model import TwoTower

_MOST_USERS = 20_000  # whose axes are computed; more would not move them
_MARGIN = 1.25  # c over the largest |A x| of the training users
_LEAST_SHIFT = 0.05
_SCALE = 50.0  # steep: the pairs within a few hundredths of the threshold are those to be learned


def begin(model: TwoTower, directions: Floats, train: Rows, threshold: float) -> None:
    """Set a model to where training from scratch begins.

    Args:
        model: as it was built.
        directions: (capacity, width) the user matrix.
        train: rows of the training users; nobody else's are looked at (P5), and without any the model stays as it is.
        threshold: the cosine above which users are similar.
    """
    if not len(train):
        return
    every = -(-len(train) // _MOST_USERS)
    weights = cosine_keeping(model.query.get_weights(), np.asarray(directions[train[::every]]))
    for tower in (model.query, model.candidate):
        tower.set_weights(weights)
    model.rescale(_SCALE, -_SCALE * threshold)


def principal_axes(directions: Floats, count: int) -> Floats:
    """(axes, width) the leading principal axes of directions (users, width): `count`, or all there are."""
    product = (directions.T @ directions).astype(np.float64)
    _, vectors = np.linalg.eigh(product)
    return np.ascontiguousarray(vectors[:, ::-1][:, :count].T, dtype=np.float32)


def cosine_keeping(random: list[Floats], directions: Floats) -> list[Floats]:
    """Weights of a tower (kernel and bias of three layers) that keeps the cosine of `directions` (users, width).

    Args:
        random: the tower's weights as Keras made them, which give the shapes and the units that are over.
        directions: of the training users.
    """
    kernel_1, bias_1, kernel_2, bias_2, kernel_3, bias_3 = (array.copy() for array in random)
    mirror = kernel_1.shape[1] // 2
    axes = principal_axes(directions, min(mirror, kernel_2.shape[1], kernel_3.shape[1]))
    count = len(axes)
    one, other = np.arange(count), mirror + np.arange(count)
    shift = np.maximum(_MARGIN * np.abs(directions @ axes.T).max(axis=0), _LEAST_SHIFT)

    kernel_1[:, one], kernel_1[:, other] = axes.T, -axes.T
    kernel_2[:, :count] = 0.0
    kernel_2[one, one], kernel_2[other, one] = 1.0, -1.0
    bias_2[:count] = shift
    kernel_3[:] = 0.0
    kernel_3[one, one] = 1.0
    bias_3[:count] = -shift
    return [kernel_1, bias_1, kernel_2, bias_2, kernel_3, bias_3]
