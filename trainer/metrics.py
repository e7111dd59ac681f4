"""The figures of a model, from what it said of labelled pairs and whom it found for its queries."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from schemas.cycle import Metrics

_BINS = 10


def metrics_of(
    similar: NDArray[np.bool_],
    probability: NDArray[np.float64],
    right: NDArray[np.bool_],
    recall: NDArray[np.float64],
) -> Metrics:
    """The figures of some pairs and queries.

    Args:
        similar: (pairs,) the label.
        probability: (pairs,) of being similar, finite.
        right: (pairs,) whether the model tells the pair right.
        recall: (queries,) share of the true nearest that were found. Means over nothing are 0.
    """
    one_label = similar.all() or not similar.any()
    return Metrics(
        accuracy=float(right.mean()) if len(right) else 0.0,
        auc=None if one_label else float(roc_auc_score(similar, probability)),
        average_precision=None if one_label else float(average_precision_score(similar, probability)),
        recall_at_10=float(recall.mean()) if len(recall) else 0.0,
        calibration_error=_calibration_error(probability, similar),
    )


def _calibration_error(probability: NDArray[np.float64], label: NDArray[np.bool_]) -> float:
    """Expected calibration error over ten equal bins (Naeini et al., AAAI 2015)."""
    if not len(label):
        return 0.0
    bins = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    gap = np.bincount(bins, probability - label, minlength=_BINS)
    return float(np.abs(gap).sum() / len(label))
