"""Learning from pair labels: batches of what users did, until the labels of dev users are predicted no better.

The loss is in `trainer.labels.loss`. A cycle that follows a champion goes on from its weights, on labels that are new
or of users who changed and a replay share of the others. It is kept where it is probably better on the dev users'
labels than the champion, and in neither figure worse; else the model is bit for bit as it was, and nothing was learned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from schemas.cycle import FitReport
from schemas.policies import FitPolicy, Objective
from trainer.dev import DevExam
from trainer.embeddings import Rows
from trainer.features.protocol import Floats
from trainer.labels.batches import LabelBatch, label_batch_count, label_batches
from trainer.labels.dev import LabelScore
from trainer.labels.loss import outcome_loss, refusal_loss
from trainer.labels.material import LEAST_LABELS, LabelData
from trainer.loss import batch_loss
from trainer.model import TwoTower
from trainer.training import LONGEST_GRADIENT, Epoch, forget, rate_at, restore, state

_STEEP = 50.0  # the scale at which similarity is told where both are learned; the model's own is for outcomes


@dataclass(frozen=True, slots=True)
class SimilarityToo:
    """What the objective `both` needs beside labels: the dev exam by similarity, threshold and ratio of the pairs."""

    dev: DevExam | None
    threshold: float
    negative_ratio: int


@dataclass(frozen=True, slots=True)
class _Kept:
    """The best epoch of a training."""

    epoch: int
    value: float
    score: LabelScore | None
    state: list[Any]


def fit_labels(
    model: TwoTower,
    labels: LabelData,
    directions: Floats,
    similarity: SimilarityToo,
    policy: FitPolicy,
    *,
    epochs: int,
    learning_rate: float,
    seed: int,
    warm_start: bool,
    on_epoch: Callable[[Epoch], None],
) -> FitReport:
    """Train `model` in place, for at most `epochs`; `on_epoch` may raise to give up.

    With too few labels, or where a warm start finds none to learn, the model stays as it is and the report says why.
    Scale and bias are drawn on the dev users' labels at the end: the probability is that of an outcome, as if likely
    ones and others were as many. With the same inputs and seed the weights are the same on the same machine.
    """
    if (why := _nothing_to_learn(labels, warm_start=warm_start)) is not None:
        return _report(labels, policy, seed, warm_start=warm_start, learned=not warm_start, note=why)
    generator = np.random.default_rng(seed)
    steps = epochs * label_batch_count(len(labels.positives), policy)
    step = _training_step(model, similarity, policy, directed=labels.positives.directed)
    forget(model)
    dev = labels.dev
    first = None if dev is None else dev.score(model)
    start = best = _Kept(0, -np.inf if first is None else _value(first, model, similarity, policy), first, state(model))
    at = pairs = number = 0
    loss = accuracy = 0.0
    for number in range(1, epochs + 1):
        seen = []
        for batch in label_batches(labels, policy, generator):
            model.whole.optimizer.learning_rate.assign(rate_at(at, steps, learning_rate))
            seen.append(step(*_tensors(batch, directions, policy)))
            pairs += len(batch.users) ** 2 + len(batch.refused)
            at += 1
        loss, accuracy = (
            float(figure) for figure in np.mean([[float(each) for each in pair] for pair in seen], axis=0)
        )
        now = None if dev is None else dev.score(model)
        figures = (now.auc, now.recall_at_50) if now else (None, None)
        on_epoch(Epoch(number, epochs, loss, accuracy, None, None, *figures))
        value = -loss if now is None else _value(now, model, similarity, policy)
        if value > best.value:
            best = _Kept(number, value, now, state(model))
        elif number - best.epoch >= policy.patience:
            break
    learned = True
    if dev is not None and first is not None and best.score is not None and not dev.better(best.score, first):
        best, learned = start, not warm_start
    restore(model, best.state)
    if learned and labels.line is not None:
        model.rescale(*labels.line.line(model))
    return _report(
        labels,
        policy,
        seed,
        warm_start=warm_start,
        learned=learned,
        epochs=number,
        best_epoch=best.epoch,
        labelled_pairs=pairs,
        loss=loss,
        train_accuracy=accuracy,
        rate=learning_rate if learned else None,
        dev_auc=best.score.auc if best.score else None,
        dev_recall_at_50=best.score.recall_at_50 if best.score else None,
    )


def _nothing_to_learn(labels: LabelData, *, warm_start: bool) -> str | None:
    count = labels.partners.count
    if count < LEAST_LABELS:
        kept = "the champion stays" if warm_start else "the model is the one that keeps the cosine"
        return f"{count} positive labels between training users, which is fewer than {LEAST_LABELS}: {kept}"
    if warm_start and not labels.fresh:
        return "no label is new, and nobody who changed has one: there is nothing to learn"
    return None


def _value(score: LabelScore, model: TwoTower, similarity: SimilarityToo, policy: FitPolicy) -> float:
    """What epochs are compared by; where both are learned, similarity is half of it."""
    if policy.objective is not Objective.BOTH or similarity.dev is None:
        return score.value
    return (score.value + similarity.dev.score(model, own_line=True).figures.value) / 2


def _tensors(batch: LabelBatch, directions: Floats, policy: FitPolicy) -> list[Any]:
    """A batch as the step takes it; the last are directions of distinct users, where similarity is learned too."""
    both = policy.objective is Objective.BOTH
    alike: Rows = np.unique(batch.users)[: policy.batch_users] if both else batch.users[:0]
    arrays = [
        directions[np.concatenate([batch.users, batch.refused[:, 0]])],
        directions[np.concatenate([batch.others, batch.refused[:, 1]])],
        batch.weight,
        batch.known,
        batch.log_share_users,
        batch.log_share_others,
        batch.refused_weight,
        directions[alike],
    ]
    return [tf.constant(array) for array in arrays]


def _training_step(
    model: TwoTower, similarity: SimilarityToo, policy: FitPolicy, *, directed: bool
) -> Callable[..., tuple[Any, Any]]:
    """One optimizer step on `_tensors`; gives the loss, and the share of strangers told from the other user."""
    variables = model.query.trainable_variables + model.candidate.trainable_variables
    optimizer = model.whole.optimizer

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(
        users: Any,
        others: Any,
        weight: Any,
        known: Any,
        log_share_users: Any,
        log_share_others: Any,
        refused_weight: Any,
        alike: Any,
    ) -> tuple[Any, Any]:
        count = tf.shape(weight)[0]
        truth = tf.matmul(users[:count], others[:count], transpose_b=True)
        with tf.GradientTape() as tape:
            query, candidate = model.query(users, training=True), model.candidate(others, training=True)
            cosine = tf.matmul(query[:count], candidate[:count], transpose_b=True)
            loss, right = outcome_loss(
                cosine, truth, known, weight, log_share_users, log_share_others, policy, directed=directed
            )
            refused = tf.reduce_sum(query[count:] * candidate[count:], axis=1)
            loss += refusal_loss(refused, refused_weight, cosine, known, policy)
            if policy.objective is Objective.BOTH:
                loss += _similarity_loss(model, alike, similarity, policy)
        gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, variables), LONGEST_GRADIENT)
        optimizer.apply(gradients, variables)
        return loss, right

    return step  # type: ignore[no-any-return]


def _similarity_loss(model: TwoTower, alike: Any, similarity: SimilarityToo, policy: FitPolicy) -> Any:
    query, candidate = model.query(alike, training=True), model.candidate(alike, training=True)
    loss, _ = batch_loss(
        tf.matmul(query, candidate, transpose_b=True),
        tf.matmul(alike, alike, transpose_b=True),
        similarity.threshold,
        _STEEP,
        -_STEEP * similarity.threshold,
        similarity.negative_ratio,
        policy,
    )
    return loss


def _report(
    labels: LabelData,
    policy: FitPolicy,
    seed: int,
    *,
    warm_start: bool,
    learned: bool,
    epochs: int = 0,
    best_epoch: int = 0,
    labelled_pairs: int = 0,
    loss: float = 0.0,
    train_accuracy: float = 0.0,
    rate: float | None = None,
    dev_auc: float | None = None,
    dev_recall_at_50: float | None = None,
    note: str | None = None,
) -> FitReport:
    return FitReport(
        epochs=epochs,
        best_epoch=best_epoch,
        users=labels.users,
        replayed_users=0,
        labelled_pairs=labelled_pairs,
        loss=loss,
        train_accuracy=train_accuracy,
        dev_accuracy=None,
        warm_start=warm_start,
        seed=seed,
        learned=learned,
        rate=rate,
        objective=policy.objective,
        labels=labels.fresh + labels.replayed,
        replayed_labels=labels.replayed,
        dev_auc=dev_auc,
        dev_recall_at_50=dev_recall_at_50,
        note=note,
    )
