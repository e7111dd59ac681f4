"""Users who follow each other by a taste that a part of their traits shows, and by how popular the others are."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
from numpy.typing import NDArray

from schemas.features import Column, FeatureGroup
from schemas.manifest import SpaceInfo
from trainer.labels.outcomes import Outcomes
from trainer.matrix.population import Population
from trainer.matrix.split import Part
from trainer.model import TwoTower, build

TRAITS, SHOWN = 40, 8
GROUP = FeatureGroup(name="tastes", columns=(Column(name="traits", length=TRAITS),))
SPACE = SpaceInfo(space_id="tastes", scalars={})


class Tastes:
    """Traits of unit length; the first few of them are the taste. The last quarter of the users is held out."""

    def __init__(self, users: int = 600, follows: int = 8, seed: int = 0, sharpness: float = 6.0) -> None:
        generator = np.random.default_rng(seed)
        traits = generator.normal(size=(users, TRAITS))
        self.raw: NDArray[np.float32] = (traits / np.linalg.norm(traits, axis=1, keepdims=True)).astype(np.float32)
        taste = traits[:, :SHOWN] / np.linalg.norm(traits[:, :SHOWN], axis=1, keepdims=True)
        appeal = generator.normal(size=users) + sharpness * taste @ taste.T
        chosen = appeal + generator.gumbel(size=(users, users))
        np.fill_diagonal(chosen, -np.inf)
        others = np.argsort(-chosen, axis=1)[:, :follows]
        pairs = np.stack([np.repeat(np.arange(users), follows), others.ravel()], axis=1)
        self.pairs: NDArray[np.int64] = np.unique(np.sort(pairs, axis=1), axis=0)
        self.part = np.where(np.arange(users) < users * 3 // 4, Part.TRAIN, Part.HOLDOUT).astype(np.int8)
        self.everyone = np.arange(users)

    @property
    def population(self) -> Population:
        held = np.flatnonzero(self.part == Part.HOLDOUT)
        return Population(len(self.raw), self.everyone, self.part, held, self.everyone)

    def outcomes(self, *, directed: bool = False, changed: bool = False) -> Outcomes:
        return outcomes_of(self.pairs, self.part, directed=directed, changed=changed)


def outcomes_of(
    pairs: NDArray[np.int64],
    part: NDArray[np.int8],
    positive: NDArray[np.bool_] | None = None,
    *,
    directed: bool = False,
    changed: bool = False,
) -> Outcomes:
    """Labels that weigh one each; a label is held out when either end is."""
    count = len(pairs)
    return Outcomes(
        pairs=pairs,
        positive=np.ones(count, dtype=bool) if positive is None else positive,
        weight=np.ones(count, dtype=np.float32),
        part=part[pairs].max(axis=1),
        changed=np.full(count, changed),
        directed=directed,
    )


def seeing(weights: NDArray[np.float64], scale: float = 10.0, bias: float = -2.0) -> TwoTower:
    """A model whose towers multiply each trait by its weight (TRAITS,), or rows by a matrix (TRAITS, d)."""
    matrix = np.diag(weights) if weights.ndim == 1 else weights
    model = build(SPACE, GROUP, 0.0, 1e-3)
    direction = keras.Input((TRAITS,))
    layer = keras.layers.Dense(matrix.shape[1], use_bias=False)
    tower = keras.Model(direction, keras.layers.UnitNormalization()(layer(direction)))
    layer.set_weights([matrix.astype(np.float32)])
    return replace(model_with(model, tower), scale_and_bias=_line(model, scale, bias))


def model_with(model: TwoTower, tower: keras.Model) -> TwoTower:
    return replace(model, query=tower, candidate=tower)


def _line(model: TwoTower, scale: float, bias: float) -> keras.layers.Layer:
    model.rescale(scale, bias)
    return model.scale_and_bias


def taste_weights(noise: float = 0.0) -> NDArray[np.float64]:
    """Weights that see the taste, and of the other traits a part."""
    return np.where(np.arange(TRAITS) < SHOWN, 1.0, noise)


def learned_from(world: Tastes, pairs: NDArray[np.int64]) -> TwoTower:
    """A model that has learned from follows: it sees the directions that both ends share most, and a little of all."""
    ends = world.raw.astype(np.float64)[pairs]
    shared = ends[:, 0].T @ ends[:, 1]
    _, directions = np.linalg.eigh(shared + shared.T)
    return seeing(np.concatenate([directions[:, -SHOWN:], 0.15 * np.eye(TRAITS)], axis=1))
