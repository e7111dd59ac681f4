"""Shared by all fits: the state of a model in training, the learning rate, and the report of an epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from trainer.model import TwoTower

LONGEST_GRADIENT = 1.0
_RISING_STEPS = 10


@dataclass(frozen=True, slots=True)
class Epoch:
    """The figures of one epoch. `number` counts through all fits of a cycle, which have at most `of` epochs."""

    number: int
    of: int
    loss: float
    train_accuracy: float
    dev_accuracy: float | None
    dev_recall: float | None
    dev_auc: float | None = None
    """On labels of dev users, where labels are learned; so is the next field."""
    dev_recall_at_50: float | None = None
    fit: int = 1
    """Which fit of the cycle it belongs to."""


def rate_at(step: int, steps: int, highest: float) -> float:
    """The learning rate of a step: it rises over the first ten steps, while Adam's moments settle, then falls to zero
    along a cosine."""
    rising = min(1.0, (step + 1) / _RISING_STEPS)
    return highest * rising * 0.5 * (1 + math.cos(math.pi * step / steps))


def state(model: TwoTower) -> list[Any]:
    """Weights and optimizer state."""
    return [variable.numpy() for variable in _variables(model)]


def restore(model: TwoTower, kept: list[Any]) -> None:
    """Set weights and optimizer state to a result of `state`."""
    for variable, value in zip(_variables(model), kept, strict=True):
        variable.assign(value)


def forget(model: TwoTower) -> None:
    """Reset the optimizer: moments of an earlier cycle are of other users, and of a rate that had fallen."""
    for variable in model.whole.optimizer.variables:
        variable.assign(tf.zeros_like(variable))


def _variables(model: TwoTower) -> list[Any]:
    return [*model.whole.weights, *model.whole.optimizer.variables]
