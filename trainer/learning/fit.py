"""Fits a model on batches of users in which every pair is labelled, until the score of the dev users stops rising.

Labels come from the directions, by a float32 product: a pair within rounding of the threshold may get either label. The
loss is in `trainer.learning.loss`. Weights and optimizer state of the best epoch are kept; the start counts as epoch 0,
so a fit that does not improve the dev score leaves the model unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from schemas.cycle import FitReport
from schemas.policies import FitPolicy
from trainer.learning.aligned_restart import restart_aligned
from trainer.learning.batches import batch_count, batches
from trainer.learning.label_fit import fit_labels
from trainer.learning.label_step import SimilarityToo
from trainer.learning.loss import batch_loss
from trainer.learning.shapes import Tensor
from trainer.learning.training_data import TrainingData
from trainer.learning.training_state import LONGEST_GRADIENT, Epoch, forget, rate_at, restore, state
from trainer.learning.validation import ValidationScore
from trainer.model import TwoTower

__all__ = ["Epoch", "TrainingData", "fit"]

_WARM_STARTS = 2  # fits from a warm start: from the champion's weights, and from the axes of today's users


@dataclass(frozen=True, slots=True)
class _Run:
    """One fit: its best epoch, and its costs."""

    rate: float
    restarted: bool
    best_epoch: int
    value: float
    score: ValidationScore | None
    state: list[Any]
    epochs: int
    pairs: int
    loss: float
    accuracy: float


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
    """Train `model` in place, for at most `epochs`; `on_epoch` may raise to end the fit.

    A warm start tries two fits, one from the weights as they are and one from `restart_aligned`. The better one on the
    dev users is kept if it is certainly better there than the model was, and in no figure certainly worse. Else the
    model, with its line, is unchanged bit for bit, and nothing was learned. The same inputs and seed give the same
    weights on the same machine.

    Where the objective has outcomes, labels are learned (`trainer.learning.label_fit`), for at most
    `policy.label_epochs`, and always with `policy.learning_rate`: new labels move a model far, and a replay share keeps
    what it knew.
    """
    if policy.objective.has_outcomes:
        if data.labels is None:
            raise ValueError(f"the objective {policy.objective} needs labels, and TrainingData.of was given none")
        return fit_labels(
            model,
            data.labels,
            data.directions,
            SimilarityToo(data.validation, data.threshold, data.negative_ratio),
            policy,
            epochs=min(epochs, policy.label_epochs),
            learning_rate=policy.learning_rate,
            seed=seed,
            warm_start=warm_start,
            on_epoch=on_epoch,
        )
    trainer = _Trainer(model, data, policy, epochs, seed, on_epoch)
    if not warm_start or data.validation is None:
        kept = trainer.run(learning_rate, 1)
        restore(model, kept.state)
        if kept.score is not None:
            model.rescale(kept.score.line.scale, kept.score.line.bias)
        return _report(kept, [kept], data, seed, warm_start=warm_start, learned=True)
    start = data.validation.score(model, own_line=True)
    champion = state(model)
    tried, best = [], None
    for restarted in (False, True):
        restore(model, champion)
        if restarted:
            restart_aligned(model, data.directions, data.train, data.threshold, seed)
        tried.append(run := trainer.run(learning_rate, _WARM_STARTS, start, restarted=restarted))
        assert run.score is not None
        if data.validation.better(run.score, start) and (best is None or run.value > best.value):
            best = run
    restore(model, champion if best is None else best.state)
    if best is not None and best.score is not None:
        model.rescale(best.score.line.scale, best.score.line.bias)
    return _report(best or tried[0], tried, data, seed, warm_start=True, learned=best is not None)


class _Trainer:
    """The shared parts of all fits of a cycle."""

    def __init__(
        self,
        model: TwoTower,
        data: TrainingData,
        policy: FitPolicy,
        epochs: int,
        seed: int,
        on_epoch: Callable[[Epoch], None],
    ) -> None:
        self._model, self._data, self._policy = model, data, policy
        self._epochs, self._seed, self._on_epoch = epochs, seed, on_epoch
        self._step = training_step(model, data.threshold, data.negative_ratio, policy)
        self._done = self._runs = 0

    def run(self, rate: float, fits: int, start: ValidationScore | None = None, *, restarted: bool = False) -> _Run:
        """Train the model from its current weights; afterwards the model is as the last epoch left it.

        The state before the first epoch is epoch 0, and is the best where no other is certainly better.

        Args:
            rate: the highest learning rate.
            fits: number of fits of the cycle, for the report.
            start: score of the model to beat; lines are chosen to keep its precision and recall.
            restarted: whether the weights are from `restart_aligned`, for the report.
        """
        model, data, policy, validation = self._model, self._data, self._policy, self._data.validation
        forget(model)
        self._runs += 1
        generator = np.random.default_rng(self._seed)
        steps = self._epochs * batch_count(len(data.anchors.rows), len(data.train), policy.batch_users)
        first, before = None if validation is None else validation.score(model, start), state(model)
        best_epoch, best, weights, value = 0, first, before, -math.inf if first is None else first.figures.value
        at = pairs = number = 0
        loss = accuracy = 0.0
        for number in range(1, self._epochs + 1):
            seen: list[Any] = []
            for rows in batches(data.anchors.rows, data.train, data.neighbours, policy.batch_users, generator):
                model.whole.optimizer.learning_rate.assign(rate_at(at, steps, rate))
                seen.append(self._step(tf.constant(data.directions[rows])))
                pairs += len(rows) * (len(rows) - 1)
                at += 1
            if seen:
                loss, accuracy = np.mean([[float(each) for each in pair] for pair in seen], axis=0)
            now = None if validation is None else validation.score(model, start)
            self._tell(fits, float(loss), float(accuracy), now)
            new = -float(loss) if now is None else now.figures.value
            if new > value:
                value, best_epoch, best, weights = new, number, now, state(model)
            elif number - best_epoch >= policy.patience:
                break
        if validation is not None and first is not None and best is not None and not validation.better(best, first):
            best_epoch, best, weights, value = 0, first, before, first.figures.value
        return _Run(rate, restarted, best_epoch, value, best, weights, number, pairs, float(loss), float(accuracy))

    def _tell(self, fits: int, loss: float, accuracy: float, validation: ValidationScore | None) -> None:
        self._done += 1
        figures = None if validation is None else validation.figures
        self._on_epoch(
            Epoch(
                self._done,
                self._epochs * fits,
                loss,
                accuracy,
                figures.accuracy if figures else None,
                figures.recall_at_10 if figures else None,
                fit=self._runs,
            )
        )


def _report(
    kept: _Run, tried: list[_Run], data: TrainingData, seed: int, *, warm_start: bool, learned: bool
) -> FitReport:
    return FitReport(
        epochs=kept.epochs,
        best_epoch=kept.best_epoch if learned else 0,
        users=len(data.anchors.rows),
        replayed_users=data.anchors.replayed,
        labelled_pairs=sum(run.pairs for run in tried),
        loss=kept.loss,
        train_accuracy=kept.accuracy,
        dev_accuracy=kept.score.figures.accuracy if kept.score else None,
        warm_start=warm_start,
        seed=seed,
        learned=learned,
        rate=kept.rate if learned else None,
        candidates=len(tried),
        restarted=learned and kept.restarted,
    )


def training_step(
    model: TwoTower, threshold: float, negative_ratio: int, policy: FitPolicy
) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """One optimizer step on a batch of directions (batch, width); returns (loss, class-balanced accuracy).

    Args:
        model: trained in place.
        threshold, negative_ratio: of the pair policy.
        policy: weights of the parts of the loss.
    """
    variables = model.whole.trainable_variables
    optimizer = model.whole.optimizer

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(directions: Tensor) -> tuple[Tensor, Tensor]:
        truth = tf.matmul(directions, directions, transpose_b=True)
        with tf.GradientTape() as tape:
            query = model.query(directions, training=True)
            candidate = model.candidate(directions, training=True)
            cosine = tf.matmul(query, candidate, transpose_b=True)
            loss, right = batch_loss(
                cosine,
                truth,
                threshold,
                model.scale_and_bias.kernel[0, 0],
                model.scale_and_bias.bias[0],
                negative_ratio,
                policy,
            )
        gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, variables), LONGEST_GRADIENT)
        optimizer.apply(gradients, variables)
        return loss, right

    return step  # type: ignore[no-any-return]
