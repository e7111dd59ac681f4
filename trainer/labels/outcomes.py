"""Labels as a cycle uses them: rows of the user matrix, each pair once, with its part of the split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.matrix.embeddings import Rows
from trainer.matrix.split import Part


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Labels between users who have a direction.

    Attributes:
        pairs: (labels, 2) rows of the user and of the other; where labels are not directed the smaller row comes first.
        positive: (labels,) whether they are similar.
        weight: (labels,) weight of each.
        part: (labels,) values of `Part`: HOLDOUT where either end is held out, else DEV where either is, else TRAIN.
        changed: (labels,) whether this cycle has claimed the label, so that no version has learned it.
        directed: whether (a, b) and (b, a) are two labels.
    """

    pairs: Rows
    positive: NDArray[np.bool_]
    weight: NDArray[np.float32]
    part: NDArray[np.int8]
    changed: NDArray[np.bool_]
    directed: bool

    def __len__(self) -> int:
        return len(self.pairs)

    def of(self, which: NDArray[np.bool_]) -> Outcomes:
        """The labels that `which` selects."""
        return Outcomes(
            self.pairs[which],
            self.positive[which],
            self.weight[which],
            self.part[which],
            self.changed[which],
            self.directed,
        )

    @staticmethod
    def none(*, directed: bool = False) -> Outcomes:
        """No labels."""
        return Outcomes(
            np.empty((0, 2), dtype=np.int64),
            np.empty(0, dtype=np.bool_),
            np.empty(0, dtype=np.float32),
            np.empty(0, dtype=np.int8),
            np.empty(0, dtype=np.bool_),
            directed,
        )

    def and_(self, others: Outcomes) -> Outcomes:
        """These labels, then the others."""
        return Outcomes(
            np.concatenate([self.pairs, others.pairs]),
            np.concatenate([self.positive, others.positive]),
            np.concatenate([self.weight, others.weight]),
            np.concatenate([self.part, others.part]),
            np.concatenate([self.changed, others.changed]),
            self.directed,
        )

    def in_part(self, part: Part) -> Outcomes:
        """The labels of one part."""
        return self.of(self.part == part)
