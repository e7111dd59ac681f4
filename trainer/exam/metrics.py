"""The figures of a model as people read them, over some of the held-out users."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from schemas.cycle import Metrics
from trainer.exam.answers import Answers
from trainer.exam.exam import PairSet
from trainer.exam.outcome_answers import OutcomeAnswers
from trainer.matrix.embeddings import Rows


def metrics_of(
    answers: Answers,
    users: NDArray[np.bool_],
    pairs: PairSet,
    queries: Rows,
    probability: NDArray[np.float64],
    outcomes: OutcomeAnswers | None = None,
) -> Metrics:
    """The figures of some users.

    Args:
        answers: sums by query.
        users: (queries,) which users count.
        pairs: the sampled pairs of the exam.
        queries: the exam's queries, as rows.
        probability: (pairs,) of similarity, finite.
        outcomes: sums by user of those asked about labels, if any.
    """
    sums = answers.summed(users.astype(np.float64))
    figures = {name: float(value) for name, value in sums.figures().items()}
    said, similar = float(sums.said), float(sums.similar)
    precision, recall = figures["precision"], figures["recall"]
    of_users = np.isin(pairs.rows[:, 0], queries[users])
    label = pairs.similar[of_users]
    one_label = not len(label) or label.all() or not label.any()
    return Metrics(
        accuracy=figures["accuracy"],
        auc=None if one_label else float(roc_auc_score(label, probability[of_users])),
        precision=precision if said else None,
        recall=recall if similar else None,
        f1=2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        average_precision=figures["average_precision"] if 0 < similar < float(sums.pairs) else None,
        recall_at_10=figures["recall_at_10"],
        calibration_error=figures["calibration_error"],
        **outcome_figures(outcomes),
    )


def outcome_figures(answers: OutcomeAnswers | None) -> dict[str, float]:
    """The figures of outcomes, by field of `Metrics`; empty without labels."""
    if answers is None or not len(answers):
        return {}
    sums = answers.summed(np.ones(len(answers)))
    if not sums.wanted:
        return {}
    figures = {name: float(value) for name, value in sums.figures().items()}
    if not sums.other.any():
        del figures["outcome_auc"]
    if not sums.earlier.any() or not sums.earlier_other.any():
        del figures["earlier_auc"]
    return figures
