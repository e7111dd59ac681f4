"""Learning: batches of users in which every pair is labelled, until the dev users' accuracy stops rising.

Labels come from the directions, by a float32 product: a pair within rounding of the threshold may get either.
Loss: binary cross-entropy of sigmoid(scale * cosine + bias) over all pairs of a batch, with positives and negatives
weighted 1 to `negative_ratio` whatever their number. Weights and optimizer state of the best epoch are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from schemas.cycle import FitReport, TrainerSettings
from schemas.policies import FitPolicy
from trainer.batches import Anchors, Neighbours, batches, choose_anchors
from trainer.embeddings import Rows
from trainer.evaluate import PairSet, labelled_pairs, pair_accuracy
from trainer.features.protocol import Floats
from trainer.model import TwoTower
from trainer.pairs.graph import pairs_of
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
        dev: labelled pairs with an end in the dev users, or None where there are none.
        threshold, negative_ratio: of the pair policy.
    """

    directions: Floats
    train: Rows
    anchors: Anchors
    neighbours: Neighbours
    dev: PairSet | None
    threshold: float
    negative_ratio: int

    @staticmethod
    def of(
        space: Space, population: Population, changed: Rows | None, settings: TrainerSettings, seed: int
    ) -> TrainingData:
        """What a cycle trains on: everyone, or around the `changed` rows where given. P5 is kept here."""
        training = population.part == Part.TRAIN
        train = population.of(Part.TRAIN)
        dev = labelled_pairs(
            space.matrix.directions,
            population.without_holdout(pairs_of(space.links)),
            population.part == Part.DEV,
            population.everyone[population.part[population.everyone] != Part.HOLDOUT],
            settings.pairs,
            seed,
        )
        return TrainingData(
            directions=space.matrix.directions,
            train=train,
            anchors=choose_anchors(train, changed, settings.fit, np.random.default_rng(seed)),
            neighbours=Neighbours(space.links, training),
            dev=dev if len(dev) else None,
            threshold=settings.pairs.similarity_threshold,
            negative_ratio=settings.pairs.negative_ratio,
        )


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch came to."""

    number: int
    of: int
    loss: float
    train_accuracy: float
    dev_accuracy: float | None


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

    With the same inputs and seed the weights are the same on the same machine.
    """
    generator = np.random.default_rng(seed)
    step = _training_step(model, data.threshold, data.negative_ratio)
    model.whole.optimizer.learning_rate.assign(learning_rate)
    best_score, best_epoch, best = -np.inf, 0, _state(model)
    pairs = 0
    last = Epoch(0, epochs, float("nan"), float("nan"), None)
    for number in range(1, epochs + 1):
        sums = np.zeros(2)
        count = 0
        for rows in batches(data.anchors.rows, data.train, data.neighbours, policy.batch_users, generator):
            sums += np.array([float(value) for value in step(tf.constant(data.directions[rows]))])
            pairs += len(rows) * (len(rows) - 1)
            count += 1
        loss, accuracy = sums / max(count, 1)
        dev = None if data.dev is None else pair_accuracy(model, data.directions, data.dev)
        last = Epoch(number, epochs, float(loss), float(accuracy), dev)
        on_epoch(last)
        score = -loss if dev is None else dev
        if score > best_score:
            best_score, best_epoch, best = score, number, _state(model)
        elif number - best_epoch >= policy.patience:
            break
    for variable, value in zip(_variables(model), best, strict=True):
        variable.assign(value)
    return FitReport(
        epochs=last.number,
        best_epoch=best_epoch,
        users=len(data.anchors.rows),
        replayed_users=data.anchors.replayed,
        labelled_pairs=pairs,
        loss=last.loss,
        train_accuracy=last.train_accuracy,
        dev_accuracy=last.dev_accuracy if data.dev is None else float(best_score),
        warm_start=warm_start,
        seed=seed,
    )


def _variables(model: TwoTower) -> list[Any]:
    """Weights and optimizer state, which belong together: the next cycle starts from both."""
    return [*model.whole.weights, *model.whole.optimizer.variables]


def _state(model: TwoTower) -> list[Any]:
    return [variable.numpy() for variable in _variables(model)]


def _training_step(model: TwoTower, threshold: float, negative_ratio: int) -> Callable[[Any], tuple[Any, Any]]:
    """One optimizer step on a batch of directions (batch, width); gives (loss, class-balanced accuracy)."""
    variables = model.whole.trainable_variables
    optimizer = model.whole.optimizer

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(directions: Any) -> tuple[Any, Any]:
        labels = tf.cast(tf.matmul(directions, directions, transpose_b=True) > threshold, tf.float32)
        others = 1.0 - tf.eye(tf.shape(directions)[0])
        positive, negative = others * labels, others * (1.0 - labels)
        weights = tf.math.divide_no_nan(positive, tf.reduce_sum(positive))
        weights += negative_ratio * tf.math.divide_no_nan(negative, tf.reduce_sum(negative))
        weights /= tf.reduce_sum(weights)
        with tf.GradientTape() as tape:
            query = model.query(directions, training=True)
            candidate = model.candidate(directions, training=True)
            cosine = tf.matmul(query, candidate, transpose_b=True)
            logits = model.scale_and_bias.kernel[0, 0] * cosine + model.scale_and_bias.bias[0]
            losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
            loss = tf.reduce_sum(weights * losses)
        optimizer.apply(tape.gradient(loss, variables), variables)
        right = tf.cast(tf.equal(logits > 0.0, labels > 0.5), tf.float32)
        return loss, tf.reduce_sum(weights * right)

    return step  # type: ignore[no-any-return]
