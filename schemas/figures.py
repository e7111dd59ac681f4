"""How the figures of `schemas.cycle.Metrics` are called before people."""

from __future__ import annotations

_WORDS = {
    "recall_at_10": "recall@10",
    "recall_at_50": "recall@50",
    "recall": "recall of pairs",
    "auc": "AUC",
    "f1": "F1",
    "outcome_auc": "AUC of outcomes",
    "earlier_auc": "AUC of earlier labels",
    "outcome_calibration_error": "calibration error of outcomes",
}


def words(figure: str) -> str:
    """A figure's name in words."""
    return _WORDS.get(figure, figure.replace("_", " "))
