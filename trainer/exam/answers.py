"""A model's answers to an exam, summed up by held-out user, and the figures of these sums.

Every figure is a function of sums over users. So the figures of a slice come from the sums over its users, and the
figures of a bootstrap sample from the sums where each user counts as often as drawn.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

FIGURES = ("accuracy", "precision", "recall", "average_precision", "recall_at_10", "calibration_error")
"""The figures that the gate compares; for the last one less is better."""

LOSSES = frozenset({"calibration_error", "outcome_calibration_error"})

NOTHING_KNOWN = {"outcome_auc": 0.5}
"""The figure of a model that knows nothing, where that is more than 0."""


@dataclass(frozen=True, slots=True)
class Sums(ABC):
    """Sums by user, each (users,) or (users, bins); or, summed over users, the same without the first axis."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of users."""

    @abstractmethod
    def figures(self) -> dict[str, Doubles]:
        """The figures of sums over users, by name; 0 where there is nothing to divide by."""

    def of(self, users: NDArray[np.bool_]) -> Self:
        """The sums of some users."""
        return replace(self, **{one.name: getattr(self, one.name)[users] for one in fields(self)})

    def summed(self, weights: Doubles) -> Self:
        """Sums over users, each counted by its weight.

        Args:
            weights: (users,), or (draws, users) for many sums at once.
        """
        return replace(self, **{one.name: weights @ getattr(self, one.name) for one in fields(self)})


@dataclass(frozen=True, slots=True)
class Answers(Sums):
    """Of the exam by similarity.

    Attributes:
        right_similar, asked_similar: sampled similar pairs that the model labels right, and all of them.
        right_other, asked_other: the same for sampled dissimilar pairs.
        said, said_right, similar: of all pairs, those that the model calls similar, those of them that are, and all
            that are.
        pairs: all pairs.
        ranked, ranked_similar: (..., bins) pairs and similar pairs by the model's cosine, the highest first; all other
            pairs are below the last bin.
        gap, claimed: (..., 10) probability less label, and pairs, by probability in tenths from a tenth on.
        found, wanted: a user's nearest that the model finds, and the number that was asked for.
    """

    right_similar: Doubles
    asked_similar: Doubles
    right_other: Doubles
    asked_other: Doubles
    said: Doubles
    said_right: Doubles
    similar: Doubles
    pairs: Doubles
    ranked: Doubles
    ranked_similar: Doubles
    gap: Doubles
    claimed: Doubles
    found: Doubles
    wanted: Doubles

    def __len__(self) -> int:
        return len(self.pairs)

    def figures(self) -> dict[str, Doubles]:
        """The figures of sums over users, by name; 0 where there is nothing to divide by."""
        similar, other = share(self.right_similar, self.asked_similar), share(self.right_other, self.asked_other)
        found = {
            "accuracy": (similar + other) / 2,
            "precision": share(self.said_right, self.said),
            "recall": share(self.said_right, self.similar),
            "average_precision": _average_precision(self),
            "recall_at_10": share(self.found, self.wanted),
            "calibration_error": share(np.abs(self.gap).sum(axis=-1), self.claimed.sum(axis=-1)),
        }
        assert tuple(found) == FIGURES
        return found


def share(part: Doubles, whole: Doubles) -> Doubles:
    """`part` divided by `whole`; 0 where `whole` is 0."""
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=np.asarray(whole) > 0)


def _average_precision(sums: Answers) -> Doubles:
    """Precision in the middle of each bin, weighted by its similar pairs; pairs in no bin come last.

    Pairs of one bin count as if in random order.
    """
    ranked, similar = np.cumsum(sums.ranked, axis=-1), np.cumsum(sums.ranked_similar, axis=-1)
    middle = share(similar - sums.ranked_similar / 2, ranked - sums.ranked / 2)
    in_bins = (sums.ranked_similar * middle).sum(axis=-1)
    last = (sums.similar - similar[..., -1]) * share(sums.similar, sums.pairs)
    return share(in_bins + last, sums.similar)
