"""The principal axes of the training users, and a linear map that keeps cosines along them and still separates others.

Principal axes lose everything outside them: users in directions that no training user has would become rounding noise.
So a random projection (Johnson and Lindenstrauss 1984) of the outside is added to the weakest outputs. Its volume is
reduced until the training users find their nearest as well as they can. So even a user wholly outside has a direction.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stores.feature_store import Floats
from trainer.matrix.embeddings import Rows

Doubles = NDArray[np.float64]

_MOST_USERS = 20_000  # whose axes are computed; more would not move them
_NO_ENERGY = 1e-6  # share of all squared length; an axis with less does not count
_VOLUMES = (1.0, 0.5, 0.2, 0.1, 0.05)  # of the outside, largest first; with less a fit would lose it
_SAMPLE, _ASKED, _NEAREST = 2_000, 400, 10  # users of the trial, queries among them, and neighbours of a query
_UNFELT, _TIE = 0.001, 1e-6  # of their recall; of two cosines
_SEED = 0


def training_axes(directions: Floats, train: Rows, count: int = 128) -> Floats:
    """(axes, width) the leading principal axes of the training users: at most `count`, and only axes with energy.

    Args:
        directions: (capacity, width) the user matrix.
        train: rows of the training users, the only ones that are used (P5).
        count: number of axes at most.
    """
    return _principal(_sample(directions, train), count).astype(np.float32)


def outside_energy(directions: Floats, axes: Floats) -> Doubles:
    """(users,) the share of each row's squared length outside orthonormal `axes`; 0 for an all-zero row."""
    rows = directions.astype(np.float64)
    length = np.square(rows).sum(axis=1)
    inside = np.square(rows @ axes.T.astype(np.float64)).sum(axis=1)
    return np.asarray(np.clip(1.0 - inside / np.where(length > 0, length, 1.0), 0.0, 1.0) * (length > 0))


def keeping_map(directions: Floats, train: Rows, outputs: int) -> Floats:
    """(n, width) a linear map that keeps the cosines of the training users, as well as n <= `outputs` numbers can.

    Its rows are the principal axes. A random projection of the outside is added to the last rows: to all free ones, and
    to at least half of all. Rows with at most `outputs` independent numbers lose nothing, nor do any where `width` is
    at most `outputs`. The map is the same for the same users.

    Args:
        directions, train: as in `training_axes`.
        outputs: number of outputs.
    """
    rows = _sample(directions, train)
    axes = _principal(rows, outputs)
    kept, width = axes.shape
    count = min(outputs, width)
    room = min(width - kept, max(count - kept, count // 2))
    inside, outside = np.zeros((count, width)), np.zeros((count, width))
    inside[:kept] = axes
    if room:
        outside[count - room :] = _projection(axes, room)
        outside *= 1.0 if width <= outputs else _volume(rows, inside, outside)
    return (inside + outside).astype(np.float32)


def _sample(directions: Floats, train: Rows) -> Doubles:
    every = max(1, -(-len(train) // _MOST_USERS))
    return np.asarray(directions[train[::every]], dtype=np.float64)


def _principal(rows: Doubles, count: int) -> Doubles:
    """(axes, width) the leading axes that `rows` have, at most `count`."""
    energy, vectors = np.linalg.eigh(rows.T @ rows / max(len(rows), 1))
    had = int((energy > _NO_ENERGY * energy.sum()).sum())
    return np.asarray(vectors[:, ::-1][:, : min(count, had)].T)


def _projection(axes: Doubles, room: int) -> Doubles:
    """(room, width) a random projection of the complement of `axes` that keeps squared lengths in the mean."""
    width = axes.shape[1]
    drawn = np.random.default_rng(_SEED).normal(size=(width, room))
    for _ in range(2):  # the second pass removes the rounding of the first
        drawn = np.linalg.qr(drawn - axes.T @ (axes @ drawn))[0]
    return np.asarray(np.sqrt((width - len(axes)) / room) * drawn.T)


def _volume(rows: Doubles, inside: Doubles, outside: Doubles) -> float:
    """The largest of `_VOLUMES` with which a sample of `rows` finds its nearest as well as with any."""
    draw = np.random.default_rng(_SEED)
    sample = rows[draw.choice(len(rows), min(_SAMPLE, len(rows)), replace=False)]
    truth = _cosines(sample)
    last = np.take_along_axis(truth, _nearest(truth), axis=1).min(axis=1, keepdims=True)
    recall = np.array(
        [
            (
                np.take_along_axis(truth, _nearest(_cosines(sample @ (inside + volume * outside).T)), axis=1)
                > last - _TIE
            ).mean()
            for volume in _VOLUMES
        ]
    )
    return _VOLUMES[int(np.argmax(recall >= recall.max() - _UNFELT))]


def _cosines(rows: Doubles) -> Doubles:
    """(asked, users) cosines of the first of `rows` with all; -inf with themselves."""
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    product = unit[:_ASKED] @ unit.T
    np.fill_diagonal(product, -np.inf)
    return np.asarray(product)


def _nearest(cosines: Doubles) -> NDArray[np.intp]:
    """(asked, k) the columns of the largest of each row, unordered."""
    k = min(_NEAREST, cosines.shape[1])
    return np.argpartition(-cosines, k - 1, axis=1)[:, :k]
