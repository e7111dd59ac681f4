"""Figures, shares and times as people read them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

NOTHING = "-"


class Figure(StrEnum):
    """The figures of `schemas.cycle.Metrics`, as an option names them."""

    ACCURACY = "accuracy"
    AUC = "auc"
    PRECISION = "precision"
    RECALL = "recall"
    F1 = "f1"
    AVERAGE_PRECISION = "average_precision"
    RECALL_AT_10 = "recall_at_10"
    CALIBRATION_ERROR = "calibration_error"
    OUTCOME_AUC = "outcome_auc"
    EARLIER_AUC = "earlier_auc"
    RECALL_AT_50 = "recall_at_50"
    OUTCOME_CALIBRATION_ERROR = "outcome_calibration_error"


FIGURES = {
    "accuracy": "accuracy",
    "auc": "AUC",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "average_precision": "average precision",
    "recall_at_10": "recall@10",
    "calibration_error": "calibration error",
    "outcome_auc": "AUC of outcomes",
    "earlier_auc": "AUC of earlier labels",
    "recall_at_50": "recall@50",
    "outcome_calibration_error": "calibration error of outcomes",
}
"""What people call each figure."""


def figure(value: float | None, digits: int = 4) -> str:
    """A figure; a dash where there is none."""
    return NOTHING if value is None else f"{value:.{digits}f}"


def change(value: float | None, digits: int = 4) -> str:
    """A difference, with its sign."""
    return NOTHING if value is None else f"{value:+.{digits}f}"


def share(value: float | None) -> str:
    """A share in percent."""
    return NOTHING if value is None else f"{100 * value:.3g} %"


def count(value: float | None) -> str:
    """A count, with separators between thousands."""
    return NOTHING if value is None else f"{value:,}"


def long(seconds: float) -> str:
    """A length of time, in the two largest of its units."""
    if seconds < 0:
        return f"-{long(-seconds)}"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def moment(iso: str | None) -> str:
    """A time of a record, to the second, in UTC."""
    return NOTHING if iso is None else f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M:%S} UTC"


def between(start: str | None, end: str | None) -> float | None:
    """Seconds from one time of a record to another; None where one is not known."""
    if start is None or end is None:
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def value(found: Any) -> str:
    """Any value of a setting, in one line."""
    if found is None:
        return "none"
    if isinstance(found, list | tuple):
        return ", ".join(map(value, found)) or "empty"
    if isinstance(found, dict):
        return ", ".join(f"{name} {value(each)}" for name, each in found.items()) or "empty"
    return str(found)
