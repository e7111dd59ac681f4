"""Fits a model on pair labels, until the labels of dev users are predicted no better.

The loss is in `trainer.learning.label_loss`. From scratch, the best epoch on the dev labels is kept; the start counts
as epoch 0. A cycle that follows a champion goes on from its weights, on labels that are new or of changed users, and on
a replay share of the others. There are two candidates: the last epoch, and the mean of its weights and the champion's
(Wortsman et al. 2022, Model soups). The better one is kept if it is not probably worse than the champion: the champion
was chosen by the same dev labels, so a tie speaks for the model that knows the new labels. The gate has the last word.
Else the model is unchanged bit for bit, and nothing was learned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from schemas.cycle import FitReport
from schemas.policies import FitPolicy, Objective
from stores.feature_store import Floats
from trainer.learning.label_batches import label_batch_count, label_batches
from trainer.learning.label_data import LEAST_LABELS, LabelData
from trainer.learning.label_step import SimilarityToo, tensors, training_step
from trainer.learning.label_validation import LabelScore
from trainer.learning.training_state import Epoch, forget, rate_at, restore, state
from trainer.model import TwoTower


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A model that may be kept."""

    epoch: int
    score: LabelScore | None
    value: float
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
    """Train `model` in place, for at most `epochs`; `on_epoch` may raise to end the fit.

    With too few labels, or a warm start without new labels, the model is unchanged, and the report says why. Scale and
    bias are fitted to the dev labels at the end: the probability is that of an outcome, as if positives and strangers
    were equally many. The same inputs and seed give the same weights on the same machine.
    """
    if (why := _nothing_to_learn(labels, warm_start=warm_start)) is not None:
        return _report(labels, policy, seed, warm_start=warm_start, learned=not warm_start, note=why)
    training = _Training(model, labels, directions, similarity, policy, epochs, learning_rate, seed, on_epoch)
    start = training.candidate(0)
    if warm_start and labels.validation is not None:
        kept, learned = training.follow(start)
    else:
        kept, learned = training.begin(start), True
    restore(model, kept.state)
    if learned and labels.line is not None:
        model.rescale(*labels.line.line(model))
    return _report(
        labels,
        policy,
        seed,
        warm_start=warm_start,
        learned=learned,
        epochs=training.epoch,
        best_epoch=kept.epoch,
        labelled_pairs=training.pairs,
        loss=training.loss,
        train_accuracy=training.accuracy,
        rate=learning_rate if learned else None,
        dev_auc=kept.score.auc if kept.score else None,
        dev_recall_at_50=kept.score.recall_at_50 if kept.score else None,
        candidates=2 if warm_start and labels.validation is not None else 1,
    )


class _Training:
    """One fit of a model, epoch by epoch, with its figures."""

    def __init__(
        self,
        model: TwoTower,
        labels: LabelData,
        directions: Floats,
        similarity: SimilarityToo,
        policy: FitPolicy,
        epochs: int,
        rate: float,
        seed: int,
        on_epoch: Callable[[Epoch], None],
    ) -> None:
        self._model, self._labels, self._directions = model, labels, directions
        self._similarity, self._policy, self._on_epoch = similarity, policy, on_epoch
        self._epochs, self._rate = epochs, rate
        self._generator = np.random.default_rng(seed)
        self._step = training_step(model, similarity, policy, directed=labels.new.directed)
        self._at = self.epoch = self.pairs = 0
        self.loss = self.accuracy = 0.0
        forget(model)

    def candidate(self, epoch: int) -> _Candidate:
        """The model as it is, scored; without dev labels the loss decides."""
        validation = self._labels.validation
        score = None if validation is None else validation.score(self._model)
        value = self._value(score) if score else -self.loss if epoch else -np.inf
        return _Candidate(epoch, score, value, state(self._model))

    def begin(self, start: _Candidate) -> _Candidate:
        """Train from scratch: the best epoch, or the start where none is better."""
        best, validation = start, self._labels.validation
        while self.epoch < self._epochs and self.epoch - best.epoch < self._policy.patience:
            self._go_through()
            now = self.candidate(self.epoch)
            self._tell(now.score)
            if now.value > best.value:
                best = now
        if validation is not None and start.score is not None and best.score is not None:
            return best if validation.better(best.score, start.score) else start
        return best

    def follow(self, champion: _Candidate) -> tuple[_Candidate, bool]:
        """Go on from a champion: the candidate that is kept, and whether it is new."""
        validation = self._labels.validation
        assert validation is not None
        while self.epoch < self._epochs:
            self._go_through()
            if self.epoch < self._epochs:
                self._tell(None)
        tried = [self.candidate(self.epoch)]
        self._tell(tried[0].score)
        halves = zip(champion.state, tried[0].state, strict=True)
        restore(self._model, [((one + other) / 2).astype(one.dtype) for one, other in halves])
        tried.append(self.candidate(self.epoch))
        assert champion.score is not None
        good = [one for one in tried if one.score is not None and validation.holds(one.score, champion.score)]
        if self._policy.objective is Objective.BOTH:  # labels that teach nothing must not cost similarity
            good = [one for one in good if one.value >= champion.value]
        return (max(good, key=lambda one: one.value), True) if good else (champion, False)

    def _go_through(self) -> None:
        """One epoch."""
        policy, seen = self._policy, []
        steps = self._epochs * label_batch_count(self._labels.positives, policy)
        for batch in label_batches(self._labels, policy, self._generator):
            self._model.whole.optimizer.learning_rate.assign(rate_at(self._at, steps, self._rate))
            seen.append(self._step(*tensors(batch, self._directions, policy)))
            self.pairs += len(batch.users) ** 2 + len(batch.refused)
            self._at += 1
        self.epoch += 1
        figures = np.mean([[float(each) for each in pair] for pair in seen], axis=0)
        self.loss, self.accuracy = float(figures[0]), float(figures[1])

    def _tell(self, score: LabelScore | None) -> None:
        auc, recall = (score.auc, score.recall_at_50) if score else (None, None)
        self._on_epoch(Epoch(self.epoch, self._epochs, self.loss, self.accuracy, None, None, auc, recall))

    def _value(self, score: LabelScore) -> float:
        """The value that epochs are compared by; where both are learned, similarity is half of it."""
        alike = self._similarity.validation
        if self._policy.objective is not Objective.BOTH or alike is None:
            return score.value
        return (score.value + alike.score(self._model, own_line=True).figures.value) / 2


def _nothing_to_learn(labels: LabelData, *, warm_start: bool) -> str | None:
    count = labels.partners.count
    if count < LEAST_LABELS:
        kept = "the champion stays" if warm_start else "the model is the one that keeps the cosine"
        return f"{count} positive labels between training users, which is fewer than {LEAST_LABELS}: {kept}"
    if warm_start and not len(labels.new):
        return "no label is new, and nobody who changed has one: there is nothing to learn"
    return None


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
    candidates: int = 1,
    note: str | None = None,
) -> FitReport:
    return FitReport(
        epochs=epochs,
        best_epoch=best_epoch,
        users=len(np.unique(labels.new.pairs)),
        replayed_users=0,
        labelled_pairs=labelled_pairs,
        loss=loss,
        train_accuracy=train_accuracy,
        dev_accuracy=None,
        warm_start=warm_start,
        seed=seed,
        learned=learned,
        rate=rate,
        candidates=candidates,
        objective=policy.objective,
        labels=len(labels.new) + labels.replayed,
        replayed_labels=labels.replayed,
        dev_auc=dev_auc,
        dev_recall_at_50=dev_recall_at_50,
        note=note,
    )
