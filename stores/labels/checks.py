"""The check of each label before it is used: a label says whether two users are similar, with a weight.

The time only decides which of two contradicting labels is the later one. So no label is refused for its time: without a
sensible time it counts as the oldest. A check that asked a clock would give another result tomorrow, and a cycle would
keep other labels than a full re-read (P3).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from schemas.cycle import RefusedKind
from schemas.labels import LabelGroup, PairKey
from stores.label_store import LabelRows

LATEST = 2.0**33
"""Seconds since the epoch, in 2242. A later time is wrong: stored in milliseconds, or invented."""

_SAID: dict[object, bool] = {1: True, 0: False, "1": True, "0": False, "true": True, "false": False}
_SHOWN = 40  # characters of a value that is refused
_SMALLEST, _LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class CheckedLabels:
    """Sound labels, each pair once.

    Attributes:
        pairs: the user and the other of each.
        positive: (labels,) whether they are similar.
        weight: (labels,) how much each counts, finite and above 0.
        at: (labels,) time of each, seconds since the epoch; 0.0 where it is not known.
        refused: the reason by pair.
        keyless: rows with an end that names nobody: refused, too, but without a pair to name.
        kinds: number of refused labels by the kind of the reason, without the keyless ones.
    """

    pairs: list[PairKey]
    positive: NDArray[np.bool_]
    weight: NDArray[np.float32]
    at: NDArray[np.float64]
    refused: dict[PairKey, str]
    keyless: int = 0
    kinds: Counter[RefusedKind] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self.pairs)


def check_labels(group: LabelGroup, rows: LabelRows) -> CheckedLabels:
    """The sound labels, and the reasons of the others.

    A label is one of `group.words`, without regard to case and blanks around it, or 1 or 0, as number, text or truth
    value. A weight that is null is 1. A time that is null, before 1970 or after `LATEST` is 0.0.
    """
    meaning = _meaning(group)
    pairs: list[PairKey] = []
    positive: list[bool] = []
    weights: list[float] = []
    times: list[float] = []
    refused: dict[PairKey, str] = {}
    kinds: Counter[RefusedKind] = Counter()
    for pair, label, weight, at in zip(rows.pairs, rows.labels, rows.weights, rows.times, strict=True):
        said, counts = meaning(label), _weight(weight)
        if pair[0] == pair[1]:
            refused[pair] = "a user labels himself"
            kinds[RefusedKind.SELF] += 1
        elif said is None:
            refused[pair] = f"{group.label} is {_shown(label)}, neither 1 nor 0 nor one of {', '.join(group.words)}"
            kinds[RefusedKind.LABEL] += 1
        elif counts is None:
            refused[pair] = f"{group.weight or 'weight'} is {_shown(weight)}, not a finite number above 0"
            kinds[RefusedKind.WEIGHT] += 1
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
        kinds,
    )


def _meaning(group: LabelGroup) -> Callable[[object], bool | None]:
    """A function from a label to whether it says similar; None for what is no label."""
    words = _SAID | {word.strip().casefold(): similar for word, similar in group.words.items()}

    def meaning(label: object) -> bool | None:
        try:
            return words.get(label.strip().casefold() if isinstance(label, str) else label)
        except TypeError:  # a list or the like, which is no key
            return None

    return meaning


def _weight(value: object) -> float | None:
    """The weight of a label; None where it is not a number above 0 that single precision can hold."""
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
