"""A model's answers to an exam, summed up by held-out user, and the figures that they come to.

Every figure is a function of sums over users. So the figures of a slice are those of the sums over its users, and the
figures of a bootstrap sample are those of the sums with each user counted as often as it was drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

FIGURES = ("accuracy", "precision", "recall", "average_precision", "recall_at_10", "calibration_error")
"""What the gate compares; of the last one less is better."""

LOSSES = frozenset({"calibration_error"})


@dataclass(frozen=True, slots=True)
class Answers:
    """Sums by user, each (users,) or (users, bins); or, summed over users, the same without the first axis.

    Attributes:
        right_similar, asked_similar: sampled similar pairs told right, and all of them.
        right_other, asked_other: the same of sampled dissimilar pairs.
        said, said_right, similar: of all pairs those that are called similar, those that are so rightly, and those that
            are similar.
        pairs: all pairs.
        ranked, ranked_similar: (..., bins) pairs and similar pairs by how alike the model finds them, most alike first;
            the rest of both is less alike than any in a bin.
        gap, claimed: (..., 10) probability less label, and pairs, by probability in tenths from a tenth on.
        found, wanted: of a user's nearest those that were found, and how many were asked for.
    """

    right_similar: Numbers
    asked_similar: Numbers
    right_other: Numbers
    asked_other: Numbers
    said: Numbers
    said_right: Numbers
    similar: Numbers
    pairs: Numbers
    ranked: Numbers
    ranked_similar: Numbers
    gap: Numbers
    claimed: Numbers
    found: Numbers
    wanted: Numbers

    def __len__(self) -> int:
        return len(self.pairs)

    def of(self, users: NDArray[np.bool_]) -> Answers:
        """The sums of some users."""
        return Answers(**{one.name: getattr(self, one.name)[users] for one in fields(Answers)})

    def summed(self, weights: Numbers) -> Answers:
        """Sums over users, each counted by its weight.

        Args:
            weights: (users,), or (draws, users) for many sums at once.
        """
        return Answers(**{one.name: weights @ getattr(self, one.name) for one in fields(Answers)})


def figures_of(sums: Answers) -> dict[str, Numbers]:
    """The figures of sums over users, by name; 0 where there is nothing to divide by."""
    found = {
        "accuracy": (_share(sums.right_similar, sums.asked_similar) + _share(sums.right_other, sums.asked_other)) / 2,
        "precision": _share(sums.said_right, sums.said),
        "recall": _share(sums.said_right, sums.similar),
        "average_precision": _average_precision(sums),
        "recall_at_10": _share(sums.found, sums.wanted),
        "calibration_error": _share(np.abs(sums.gap).sum(axis=-1), sums.claimed.sum(axis=-1)),
    }
    assert tuple(found) == FIGURES
    return found


def _average_precision(sums: Answers) -> Numbers:
    """Precision in the middle of each bin, weighted by the similar pairs in it; those in no bin come last of all pairs.

    Pairs of one bin count as in random order.
    """
    ranked, similar = np.cumsum(sums.ranked, axis=-1), np.cumsum(sums.ranked_similar, axis=-1)
    middle = _share(similar - sums.ranked_similar / 2, ranked - sums.ranked / 2)
    in_bins = (sums.ranked_similar * middle).sum(axis=-1)
    last = (sums.similar - similar[..., -1]) * _share(sums.similar, sums.pairs)
    return _share(in_bins + last, sums.similar)


def _share(part: Numbers, whole: Numbers) -> Numbers:
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=np.asarray(whole) > 0)
