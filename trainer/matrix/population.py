"""The users of a space by part of the split, as rows of its matrix."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from schemas.policies import SplitPolicy
from trainer.matrix.embeddings import Rows, UserMatrix, with_direction
from trainer.matrix.split import Part, positions, split


@dataclass(frozen=True, slots=True)
class Population:
    """The users, by part of the split. Users without a direction are counted, but belong to no part.

    Attributes:
        count: all users.
        everyone: rows of the users with a direction, in order.
        part: (capacity,) part of each row's user; HOLDOUT for a row without one, so that it is never trained on.
        holdout: held-out rows in the order of their hash, so that of too many the same ones are examined.
        order: (capacity,) rank of each row's user by id; 0 where there is none.
    """

    count: int
    everyone: Rows
    part: NDArray[np.int8]
    holdout: Rows
    order: Rows

    def of(self, part: Part) -> Rows:
        """Rows of the users of one part, in the order of their ids, which other users' rows do not change (P5)."""
        rows: Rows = self.everyone[self.part[self.everyone] == part]
        return rows[np.argsort(self.order[rows])]


def populate(matrix: UserMatrix, policy: SplitPolicy) -> Population:
    """Split the users of a matrix."""
    keys, rows = matrix.users()
    part = np.full(len(matrix.directions), Part.HOLDOUT, dtype=np.int8)
    part[rows] = split(policy, keys)
    directed = with_direction(matrix.directions, rows)
    held = directed & (part[rows] == Part.HOLDOUT)
    by_hash = np.argsort(positions(policy.salt, list(compress(keys, held))), kind="stable")
    order = np.zeros(len(part), dtype=np.int64)
    order[rows] = np.arange(len(rows))
    return Population(len(keys), np.sort(rows[directed]), part, rows[held][by_hash], order)
