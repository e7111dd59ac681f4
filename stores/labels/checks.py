"""The check that every label passes before it is used: it says whether two users are similar, with a weight.

The time decides only which of two labels that contradict each other is the later one. So a label without a sensible
time is kept, as the oldest of all, and none is refused for its time: a check that asked a clock would answer otherwise
tomorrow, and what a cycle keeps would not be what a full re-read gives (P3).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from schemas.labels import LabelGroup, PairKey
from stores.label_store import LabelRows

LATEST = 2.0**33
"""Seconds since the epoch, in 2242. A later time is no moment: it was stored in milliseconds, or is made up."""

_SAID: dict[object, bool] = {1: True, 0: False, "1": True, "0": False, "true": True, "false": False}
_SHOWN = 40  # characters of a value that is refused
_SMALLEST, _LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class CheckedLabels:
    """Labels fit for use, each pair once.

    Attributes:
        pairs: the user and the other of each.
        positive: (labels,) whether they are similar.
        weight: (labels,) how much each counts, finite and above 0.
        at: (labels,) when each was given, seconds since the epoch; 0.0 where that is not told.
        refused: the reason by pair.
        keyless: rows of which an end names nobody: refused too, but no pair can be named.
    """

    pairs: list[PairKey]
    positive: NDArray[np.bool_]
    weight: NDArray[np.float32]
    at: NDArray[np.float64]
    refused: dict[PairKey, str]
    keyless: int = 0

    def __len__(self) -> int:
        return len(self.pairs)


def check_labels(group: LabelGroup, rows: LabelRows) -> CheckedLabels:
    """What every sound label says, and the others with their reasons.

    A label is one of `group.words`, without regard to case and blanks around it, or 1 or 0, as number, text or truth
    value. A weight that is null is 1. A time that is null, before 1970 or after `LATEST` is 0.0.
    """
    meaning = _meaning(group)
    pairs: list[PairKey] = []
    positive: list[bool] = []
    weights: list[float] = []
    times: list[float] = []
    refused: dict[PairKey, str] = {}
    for pair, label, weight, at in zip(rows.pairs, rows.labels, rows.weights, rows.times, strict=True):
        said, counts = meaning(label), _weight(weight)
        if pair[0] == pair[1]:
            refused[pair] = "a user labels himself"
        elif said is None:
            refused[pair] = f"{group.label} is {_shown(label)}, neither 1 nor 0 nor one of {', '.join(group.words)}"
        elif counts is None:
            refused[pair] = f"{group.weight or 'weight'} is {_shown(weight)}, not a finite number above 0"
        else:
            pairs.append(pair)
            positive.append(said)
            weights.append(counts)
            times.append(at if at is not None and 0 <= at < LATEST else 0.0)
    return CheckedLabels(
        pairs,
        np.array(positive, dtype=np.bool_),
        np.array(weights, dtype=np.float32),
        np.array(times, dtype=np.float64),
        refused,
        rows.keyless,
    )


def _meaning(group: LabelGroup) -> Callable[[object], bool | None]:
    """Whether a label says similar; None where it says neither."""
    words = _SAID | {word.strip().casefold(): similar for word, similar in group.words.items()}

    def meaning(label: object) -> bool | None:
        try:
            return words.get(label.strip().casefold() if isinstance(label, str) else label)
        except TypeError:  # a list or the like, which is no key
            return None

    return meaning


def _weight(value: object) -> float | None:
    """How much a label counts; None where that is no number above 0 that single precision can hold."""
    if value is None:
        return 1.0
    if not isinstance(value, Real) or isinstance(value, bool):
        return None
    number = float(value)
    return number if math.isfinite(number) and _SMALLEST <= number <= _LARGEST else None


def _shown(value: object) -> str:
    if value is None:
        return "null"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
