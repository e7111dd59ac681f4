"""A model's answers to the exam by outcomes, summed up by asked user, and the figures of these sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stores.feature_store import Floats
from trainer.exam.answers import Doubles, Sums, share
from trainer.exam.outcome_exam import OutcomeExam
from trainer.exam.parts import search
from trainer.matrix.cosines import pair_cosines, sigmoid
from trainer.workers import HERE, Workers

OUTCOME_FIGURES = ("outcome_auc", "recall_at_50", "outcome_calibration_error", "earlier_auc")
"""The figures that the gate compares where outcomes judge; for the calibration error less is better."""

_BINS = 512
_TENTHS = 10


@dataclass(frozen=True, slots=True)
class OutcomeAnswers(Sums):
    """Sums of weights by user, each (users,) or (users, bins); or summed over users, the same without the first axis.

    Attributes:
        positive, other: (..., bins) positive labels, and strangers and negative labels, by the model's cosine, the
            highest first.
        earlier, earlier_other: (..., bins) the same for labels known before the cycle.
        gap, claimed: (..., 10) probability less label, and pairs, by probability in tenths.
        found, wanted: positive labels whose other user is among the nearest, and all of them.
    """

    positive: Doubles
    other: Doubles
    earlier: Doubles
    earlier_other: Doubles
    gap: Doubles
    claimed: Doubles
    found: Doubles
    wanted: Doubles

    def __len__(self) -> int:
        return len(self.wanted)

    def figures(self) -> dict[str, Doubles]:
        """The figures of sums over users, by name; 0 where there is nothing to divide by.

        Pairs of one bin count as equal: half of the comparisons inside a bin count as right.
        """
        found = {
            "outcome_auc": _auc(self.positive, self.other),
            "recall_at_50": share(self.found, self.wanted),
            "outcome_calibration_error": share(np.abs(self.gap).sum(axis=-1), self.claimed.sum(axis=-1)),
            "earlier_auc": _auc(self.earlier, self.earlier_other),
        }
        assert tuple(found) == OUTCOME_FIGURES
        return found


def _auc(positive: Doubles, other: Doubles) -> Doubles:
    """AUC of (..., bins) weights, the highest cosine first."""
    everybody = other.sum(axis=-1)
    behind = everybody[..., None] - np.cumsum(other, axis=-1) + other / 2
    return share((positive * behind).sum(axis=-1), positive.sum(axis=-1) * everybody)


def answer(
    exam: OutcomeExam, queries: Floats, candidates: Floats, line: tuple[float, float], workers: Workers = HERE
) -> OutcomeAnswers:
    """A model's answers; where a diverged model gives no number for a pair, the answer counts as wrong.

    Args:
        exam: the exam.
        queries, candidates: (capacity, d) unit embeddings, at least of the asked users and of the corpus.
        line: the model's scale and bias.
        workers: who searches the corpus.
    """
    count = len(exam.asked)
    cosine = pair_cosines(queries, candidates, exam.pairs)
    cosine = np.where(np.isfinite(cosine), cosine, np.where(exam.positive, -2.0, 2.0))
    probability = sigmoid(line[0] * cosine + line[1])
    probability = np.where(np.isfinite(probability), probability, ~exam.positive)
    tenth = np.minimum((probability * _TENTHS).astype(np.int64), _TENTHS - 1)
    rank = _bins(cosine)

    def summed(values: Doubles, place: NDArray[np.int64], places: int) -> Doubles:
        total = np.bincount(exam.user * places + place, values, minlength=count * places)
        return np.asarray(total.reshape(count, places), dtype=np.float64)

    nowhere, asked = np.zeros(len(rank), dtype=np.int64), exam.positive * exam.weight
    return OutcomeAnswers(
        positive=summed(asked, rank, _BINS),
        other=summed(~exam.positive * exam.weight, rank, _BINS),
        earlier=summed(asked * exam.earlier, rank, _BINS),
        earlier_other=summed(~exam.positive * exam.earlier * exam.weight, rank, _BINS),
        gap=summed((probability - exam.positive) * exam.weight, tenth, _TENTHS),
        claimed=summed(exam.weight, tenth, _TENTHS),
        found=summed(_is_near(exam, queries, candidates, workers) * asked, nowhere, 1)[:, 0],
        wanted=summed(asked, nowhere, 1)[:, 0],
    )


def _bins(cosine: Doubles) -> NDArray[np.int64]:
    """The bin of each pair, the highest cosine in bin 0: about equal counts, or one distinct cosine a bin if few."""
    edges = np.unique(cosine)[1:]
    if len(edges) >= _BINS:
        edges = np.unique(np.quantile(cosine, np.arange(1, _BINS) / _BINS))
    return np.asarray(_BINS - 1 - np.searchsorted(edges, cosine, side="right"), dtype=np.int64)


def _is_near(exam: OutcomeExam, queries: Floats, candidates: Floats, workers: Workers) -> NDArray[np.bool_]:
    """(pairs,) whether the second user is among the model's nearest to the first in the whole corpus."""
    best = search(queries, exam.asked, candidates, exam.corpus, exam.nearest, exam.known, workers)
    there = np.isfinite(best.values)
    size = len(exam.raw)
    near = (np.arange(len(exam.asked))[:, None] * size + best.rows)[there]
    return np.isin(exam.user * size + exam.pairs[:, 1], near)
