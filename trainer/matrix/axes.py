"""The axes that training users have, and how a linear map keeps cosines by them and still tells others apart.

Principal axes lose what lies outside them: users in directions that no training user had would come out as rounding
noise. So the outside is kept too, by a random projection (Johnson and Lindenstrauss 1984) that lies over the weakest
outputs, turned down until the training users find their nearest as well as they can. A user wholly outside has a
direction by it, however low.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stores.feature_store import Floats
from trainer.matrix.embeddings import Rows

Doubles = NDArray[np.float64]

_MOST_USERS = 20_000  # whose axes are computed; more would not move them
_NO_ENERGY = 1e-6  # share of all squared length; an axis with less is one that nobody has
_VOLUMES = (1.0, 0.5, 0.2, 0.1, 0.05)  # of the outside, loudest first; below the last a fit would drown it
_SAMPLE, _ASKED, _NEAREST = 2_000, 400, 10  # users among whom the volume is tried, and how many are asked for how many
_UNFELT, _TIE = 0.001, 1e-6  # of their recall; of two cosines
_SEED = 0


def training_axes(directions: Floats, train: Rows, count: int = 128) -> Floats:
    """(axes, width) the leading principal axes of the training users: at most `count`, and only those that they have.

    Args:
        directions: (capacity, width) the user matrix.
        train: rows of the training users; nobody else's are looked at (P5).
        count: how many at most.
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

    Its rows are their principal axes. Over the last of them lies a random projection of what is outside: over those
    that are free, and half of all at least. Rows with no more than `outputs` independent numbers lose nothing, and nor
    does anybody where `width` is no more. The map is the same for the same users.

    Args:
        directions, train: as of `training_axes`.
        outputs: how many numbers there are to keep them in.
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
    for _ in range(2):  # once more takes away what rounding has left
        drawn = np.linalg.qr(drawn - axes.T @ (axes @ drawn))[0]
    return np.asarray(np.sqrt((width - len(axes)) / room) * drawn.T)


def _volume(rows: Doubles, inside: Doubles, outside: Doubles) -> float:
    """The loudest of `_VOLUMES` by which a sample of `rows` find their nearest as well as by any."""
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
    """(asked, users) of the first of `rows` with all; with themselves none."""
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    product = unit[:_ASKED] @ unit.T
    np.fill_diagonal(product, -np.inf)
    return np.asarray(product)


def _nearest(cosines: Doubles) -> NDArray[np.intp]:
    """(asked, k) the columns of the largest of each row, in no order."""
    k = min(_NEAREST, cosines.shape[1])
    return np.argpartition(-cosines, k - 1, axis=1)[:, :k]
