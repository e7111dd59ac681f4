"""The curves of a model, from the answers that it has given to an exam. Nothing is scored again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from schemas.evidence import CalibrationBin, Curve, Histogram, ModelEvidence
from trainer.exam.answers import Doubles
from trainer.exam.evaluate import Score
from trainer.exam.exam import PairSet

_BARS = 100  # of a histogram over cosines from -1 to 1
_POINTS = 120  # of a curve, at most
_DIGITS = 5


def model_evidence(score: Score, pairs: PairSet) -> ModelEvidence:
    """What a report shows of one model.

    Args:
        score: its score on an exam, and on the exam by outcomes if there was one.
        pairs: the sampled pairs of the exam.
    """
    everybody = np.ones(len(score.answers))
    sums = score.answers.summed(everybody)
    told = score.outcomes
    outcomes = None if told is None or not len(told) else told.summed(np.ones(len(told)))
    return ModelEvidence(
        histogram=_histogram(score.cosine, pairs.similar),
        roc=_roc(pairs.similar, score.probability),
        precision_recall=_precision_recall(sums.ranked, sums.ranked_similar, float(sums.similar), float(sums.pairs)),
        calibration=_calibration(sums.gap, sums.claimed),
        outcome_roc=None if outcomes is None else _binned_roc(outcomes.positive, outcomes.other),
        outcome_calibration=() if outcomes is None else _calibration(outcomes.gap, outcomes.claimed),
    )


def _histogram(cosine: Doubles | None, similar: NDArray[np.bool_]) -> Histogram:
    if cosine is None:
        raise ValueError("the score is of a simulation, which has no cosines")
    known = np.isfinite(cosine)
    similar_counts, other_counts = (
        np.histogram(np.clip(cosine[known & which], -1.0, 1.0), _BARS, (-1.0, 1.0))[0] for which in (similar, ~similar)
    )
    return Histogram(low=-1.0, high=1.0, similar=_whole(similar_counts), dissimilar=_whole(other_counts))


def _roc(similar: NDArray[np.bool_], probability: Doubles) -> Curve | None:
    if not len(similar) or similar.all() or not similar.any():
        return None
    false, true, _ = roc_curve(similar, probability)
    return _thinned(false, true)


def _binned_roc(positive: Doubles, other: Doubles) -> Curve | None:
    """Of weights by bin, the highest cosine first."""
    if not positive.sum() or not other.sum():
        return None
    false, true = (np.concatenate([[0.0], np.cumsum(part) / part.sum()]) for part in (other, positive))
    return _thinned(false, true)


def _precision_recall(ranked: Doubles, ranked_similar: Doubles, similar: float, pairs: float) -> Curve | None:
    """From the bins of the ranking, the highest cosine first; pairs below all bins end the curve."""
    if not 0 < similar < pairs:
        return None
    said, right = np.cumsum(ranked), np.cumsum(ranked_similar)
    some = said > 0
    recall = np.concatenate([right[some] / similar, [1.0]])
    precision = np.concatenate([right[some] / said[some], [similar / pairs]])
    return _thinned(recall, precision)


def _calibration(gap: Doubles, claimed: Doubles) -> tuple[CalibrationBin, ...]:
    count = len(claimed)
    return tuple(
        CalibrationBin(
            low=at / count,
            high=(at + 1) / count,
            pairs=round(float(claimed[at]), 3),
            gap=round(float(gap[at] / claimed[at]), _DIGITS),
        )
        for at in range(count)
        if claimed[at] > 0
    )


def _thinned(x: Doubles, y: Doubles) -> Curve:
    """A curve with few points, evenly along its length, both ends among them."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    wanted = np.linspace(0.0, along[-1], _POINTS)
    chosen = np.unique(np.concatenate([[0, len(x) - 1], np.searchsorted(along, wanted).clip(0, len(x) - 1)]))
    return Curve(x=_rounded(x[chosen]), y=_rounded(y[chosen]))


def _rounded(values: Doubles) -> tuple[float, ...]:
    return tuple(round(float(value), _DIGITS) for value in values)


def _whole(values: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(value) for value in values)
