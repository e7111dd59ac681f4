"""Learning: batches of users in which every pair is labelled, until the dev users' score stops rising.

Labels come from the directions, by a float32 product: a pair within rounding of the threshold may get either. The loss
is in `trainer.loss`. Weights and optimizer state of the best epoch are kept, the start counting as epoch 0: a training
that makes the dev users no better leaves the model as it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from schemas.cycle import FitReport, TrainerSettings
from schemas.policies import FitPolicy
from trainer.batches import Anchors, Neighbours, batches, choose_anchors
from trainer.dev import DevExam, dev_exam
from trainer.embeddings import Rows
from trainer.features.protocol import Floats
from trainer.loss import batch_loss
from trainer.model import TwoTower
from trainer.population import Population
from trainer.space import Space
from trainer.split import Part


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a fit may see. None of it belongs to the holdout.

    Attributes:
        directions: (capacity, width) the user matrix.
        train: rows of the training users.
        anchors: rows that an epoch goes through.
        neighbours: similar training users of each.
        dev: what is asked about the dev users after each epoch, or None where there are too few.
        threshold, negative_ratio: of the pair policy.
    """

    directions: Floats
    train: Rows
    anchors: Anchors
    neighbours: Neighbours
    dev: DevExam | None
    threshold: float
    negative_ratio: int

    @staticmethod
    def of(
        space: Space, population: Population, changed: Rows | None, settings: TrainerSettings, seed: int
    ) -> TrainingData:
        """What a cycle trains on: everyone, or around the `changed` rows where given. P5 is kept here."""
        train, dev = population.of(Part.TRAIN), population.of(Part.DEV)
        seen = population.part != Part.HOLDOUT
        pairs = settings.pairs
        anchors = choose_anchors(train, changed, settings.fit, np.random.default_rng(seed))
        return TrainingData(
            directions=space.matrix.directions,
            train=train,
            anchors=anchors,
            neighbours=Neighbours(space.graph, population.part == Part.TRAIN, anchors.rows),
            dev=dev_exam(
                space.matrix.directions,
                dev,
                changed,
                population.everyone[seen[population.everyone]],
                Neighbours(space.graph, seen, dev),
                pairs.similarity_threshold,
                pairs.negative_ratio,
                settings.fit,
                seed,
            ),
            threshold=pairs.similarity_threshold,
            negative_ratio=pairs.negative_ratio,
        )


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch came to."""

    number: int
    of: int
    loss: float
    train_accuracy: float
    dev_accuracy: float | None
    dev_recall: float | None


def fit(
    model: TwoTower,
    data: TrainingData,
    policy: FitPolicy,
    *,
    epochs: int,
    learning_rate: float,
    seed: int,
    warm_start: bool,
    on_epoch: Callable[[Epoch], None],
) -> FitReport:
    """Train `model` in place, for at most `epochs`; `on_epoch` may raise to give up.

    From a warm start the learning rate stays; otherwise it falls along a cosine. With the same inputs and seed the
    weights are the same on the same machine.
    """
    generator = np.random.default_rng(seed)
    step = _training_step(model, data, policy)
    start = None if data.dev is None else data.dev.score(model)
    best_value = -math.inf if start is None else start.value
    best_epoch, best_dev, best = 0, start, _state(model)
    pairs = 0
    last = Epoch(0, epochs, math.nan, math.nan, None, None)
    for number in range(1, epochs + 1):
        fallen = 1.0 if warm_start else 0.5 * (1.0 + math.cos(math.pi * (number - 1) / epochs))
        model.whole.optimizer.learning_rate.assign(learning_rate * fallen)
        seen: list[Any] = []
        for rows in batches(data.anchors.rows, data.train, data.neighbours, policy.batch_users, generator):
            seen.append(step(tf.constant(data.directions[rows])))
            pairs += len(rows) * (len(rows) - 1)
        loss, accuracy = np.mean([[float(value) for value in pair] for pair in seen], axis=0) if seen else (0.0, 0.0)
        dev = None if data.dev is None else data.dev.score(model)
        last = Epoch(
            number, epochs, float(loss), float(accuracy), dev.accuracy if dev else None, dev.recall if dev else None
        )
        on_epoch(last)
        value = -float(loss) if dev is None else dev.value
        if value > best_value:
            best_value, best_epoch, best_dev, best = value, number, dev, _state(model)
        elif number - best_epoch >= policy.patience:
            break
    for variable, value in zip(_variables(model), best, strict=True):
        variable.assign(value)
    if best_dev is not None:
        model.rescale(best_dev.scale, best_dev.bias)
    return FitReport(
        epochs=last.number,
        best_epoch=best_epoch,
        users=len(data.anchors.rows),
        replayed_users=data.anchors.replayed,
        labelled_pairs=pairs,
        loss=last.loss,
        train_accuracy=last.train_accuracy,
        dev_accuracy=best_dev.accuracy if best_dev else None,
        warm_start=warm_start,
        seed=seed,
    )


def _variables(model: TwoTower) -> list[Any]:
    """Weights and optimizer state, which belong together: the next cycle starts from both."""
    return [*model.whole.weights, *model.whole.optimizer.variables]


def _state(model: TwoTower) -> list[Any]:
    return [variable.numpy() for variable in _variables(model)]


def _training_step(model: TwoTower, data: TrainingData, policy: FitPolicy) -> Callable[[Any], tuple[Any, Any]]:
    """One optimizer step on a batch of directions (batch, width); gives (loss, class-balanced accuracy)."""
    variables = model.whole.trainable_variables
    optimizer = model.whole.optimizer

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(directions: Any) -> tuple[Any, Any]:
        truth = tf.matmul(directions, directions, transpose_b=True)
        with tf.GradientTape() as tape:
            query = model.query(directions, training=True)
            candidate = model.candidate(directions, training=True)
            cosine = tf.matmul(query, candidate, transpose_b=True)
            loss, right = batch_loss(
                cosine,
                truth,
                data.threshold,
                model.scale_and_bias.kernel[0, 0],
                model.scale_and_bias.bias[0],
                data.negative_ratio,
                policy,
            )
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss, right

    return step  # type: ignore[no-any-return]
