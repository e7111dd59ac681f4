"""Rotates a model's embeddings to where another model has them. No cosine inside the model changes.

Two models that are trained apart place the same users elsewhere, even where they agree about all cosines. The rotation
that brings the embeddings of one nearest to those of the other has a closed form (orthogonal Procrustes, Schönemann
1966, A generalized solution of the orthogonal Procrustes problem): with the embeddings of the same users as rows of X
and Y, and X'Y = U S V', the orthogonal R = U V' makes |X R - Y| smallest. It may reflect, too. Both towers get the same
rotation, so a query and a candidate keep their cosine. A tower's last layer is linear, and its output is brought to
unit length, so the rotation is multiplied into that layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stores.feature_store import Floats
from trainer.learning.training_state import forget
from trainer.matrix.embeddings import Rows
from trainer.model import TwoTower

_MOST_USERS = 4096  # by whose embeddings a rotation is computed


def rotate_onto(other: TwoTower, model: TwoTower, raw: Floats, train: Rows) -> None:
    """Rotate `model` to where `other` has the training users.

    The optimizer's state is reset: its second moments are of the single weights, and have no rotation.

    Args:
        other: may scale rows otherwise, since its preprocessing is its own. Where its embeddings have another size, as
            those of another release may, no rotation leads there, and the model stays.
        model: rotated in place.
        raw: (capacity, width) raw rows of the user matrix.
        train: rows of the training users, the only ones that are used (P5); without any the model stays.
    """
    if not len(train) or other.query.output_shape != model.query.output_shape:
        return
    rows = np.asarray(raw[some_of(train)])
    rotate(model, rotation_onto(_embeddings(model, rows), _embeddings(other, rows)))
    forget(model)


def some_of(train: Rows) -> Rows:
    """At most 4,096 of `train`, evenly over all; a rotation has fewer degrees of freedom than these have numbers."""
    return train[:: -(-len(train) // _MOST_USERS)]


def _embeddings(model: TwoTower, raw: Floats) -> list[Floats]:
    """Of each tower, (users, d) the embeddings of `raw` rows (users, width)."""
    directions = model.preprocess(raw, training=False)
    return [np.asarray(tower(directions, training=False)) for tower in (model.query, model.candidate)]


def rotation_onto(
    mine: Sequence[NDArray[np.floating[Any]]], others: Sequence[NDArray[np.floating[Any]]]
) -> NDArray[np.float64]:
    """The rotation (d, d) that brings embeddings nearest to those of another model, by the sum of squared distances.

    Args:
        mine, others: of each tower, (users, d) embeddings of the same users by either model. Who has no finite
            embedding in all of them does not count; where nobody does, nothing is rotated.
    """
    sound = np.logical_and.reduce([np.isfinite(each).all(axis=1) for each in (*mine, *others)])
    product = sum(one[sound].T.astype(np.float64) @ other[sound] for one, other in zip(mine, others, strict=True))
    if not sound.any():
        return np.eye(mine[0].shape[1])
    left, _, right = np.linalg.svd(np.asarray(product))
    return np.asarray(left @ right)


def rotate(model: TwoTower, rotation: NDArray[np.float64]) -> None:
    """Rotate the embeddings of both towers by `rotation` (d, d), an orthogonal matrix."""
    for tower in (model.query, model.candidate):
        *first, kernel, bias = tower.get_weights()
        turned = [(array.astype(np.float64) @ rotation).astype(np.float32) for array in (kernel, bias)]
        tower.set_weights([*first, *turned])
