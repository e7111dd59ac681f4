"""The seed's notebook, as the algorithm that it is: what a user has today.

Pairs by the full similarity matrix and two nested loops; partners drawn at random that nobody checked to be dissimilar;
every pair copied as two vectors; a model whose loss is taken on the cosine itself.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from stores.feature_store import Floats
from trainer.matrix.embeddings import Rows
from trainer.model import TwoTower

BATCH, EPOCHS, VALIDATION_SPLIT = 32, 10, 0.2
_EMBEDDING = 128


@dataclass(frozen=True, slots=True)
class PairVectors:
    """What the notebook trains on: vectors of both ends (pairs, width), and labels (pairs,), similar being 1."""

    left: Floats
    right: Floats
    labels: Floats

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained model with what it took."""

    model: TwoTower
    seconds: float
    pairs_per_second: float
    """Of those that were trained on, once an epoch."""


def pairs(embeddings: Floats, threshold: float, negative_ratio: int = 0) -> Rows:
    """The similar pairs (pairs, 2) as the notebook finds them, behind each its `negative_ratio` unchecked partners."""
    return _loop(embeddings, threshold, negative_ratio, seed=0)[0]


def pair_vectors(embeddings: Floats, threshold: float, negative_ratio: int = 1, seed: int = 0) -> PairVectors:
    """The notebook's training set for embeddings (users, width)."""
    _, left, right, labels = _loop(embeddings, threshold, negative_ratio, seed)
    return PairVectors(np.array(left), np.array(right), np.array(labels, dtype=np.float32))


def train(data: PairVectors, epochs: int = EPOCHS) -> Fitted:
    """The notebook's model and its `fit`: batch 32, the last fifth of the pairs for validation."""
    import keras

    width = data.left.shape[1]
    towers = [_tower(width, name) for name in ("query", "candidate")]
    cosine = keras.layers.Dot(axes=1, normalize=True)([tower.output for tower in towers])
    whole = keras.Model([tower.input for tower in towers], cosine)
    whole.compile(optimizer=keras.optimizers.Adam(1e-3), loss="binary_crossentropy", metrics=["accuracy"])
    start = time.perf_counter()
    whole.fit(
        [data.left, data.right],
        data.labels,
        batch_size=BATCH,
        epochs=epochs,
        validation_split=VALIDATION_SPLIT,
        verbose=0,
    )
    seconds = time.perf_counter() - start
    return Fitted(_as_ours(whole, towers), seconds, epochs * int(len(data) * (1 - VALIDATION_SPLIT)) / seconds)


def _loop(
    embeddings: Floats, threshold: float, negative_ratio: int, seed: int
) -> tuple[Rows, list[Floats], list[Floats], list[int]]:
    from sklearn.metrics.pairwise import cosine_similarity

    draw = random.Random(seed)
    similarity = cosine_similarity(embeddings)
    users = len(embeddings)
    rows: list[tuple[int, int]] = []
    left: list[Floats] = []
    right: list[Floats] = []
    labels: list[int] = []
    for i in range(users):
        for j in range(i + 1, users):
            if similarity[i, j] > threshold:
                rows.append((i, j))
                left.append(embeddings[i])
                right.append(embeddings[j])
                labels.append(1)
                for _ in range(negative_ratio):
                    other = draw.randrange(users)
                    rows.append((i, other))
                    left.append(embeddings[i])
                    right.append(embeddings[other])
                    labels.append(0)
    return np.array(rows, dtype=np.int64).reshape(-1, 2), left, right, labels


def _tower(width: int, name: str) -> Any:
    import keras
    from keras import layers

    features = keras.Input((width,), name=name)
    hidden = layers.Dropout(0.2)(layers.Dense(256, activation="relu")(features))
    return keras.Model(features, layers.Dense(_EMBEDDING)(layers.Dense(128, activation="relu")(hidden)))


def _as_ours(whole: Any, towers: list[Any]) -> TwoTower:
    """The notebook's model in the form in which ours are scored: similar where the cosine is above one half."""
    import keras
    from keras import layers

    query, candidate = (keras.Model(tower.input, layers.UnitNormalization()(tower.output)) for tower in towers)
    as_it_is = keras.Input(towers[0].input_shape[1:])
    half = layers.Dense(1)
    half.build((None, 1))
    half.set_weights([np.ones((1, 1)), np.array([-0.5])])
    return TwoTower(whole, query, candidate, half, keras.Model(as_it_is, layers.Identity()(as_it_is)))
