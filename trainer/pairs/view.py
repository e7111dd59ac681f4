"""The input of mining: the directions of a user matrix, their bounds, and the order of the users' ids."""

from __future__ import annotations

from dataclasses import dataclass

from stores.feature_store import Floats
from trainer.matrix.embeddings import Rows
from trainer.pairs.bounds import Bounds


@dataclass(frozen=True, slots=True)
class View:
    """A user matrix as it is now.

    Attributes:
        directions: (capacity, width) unit rows; free rows, and those of users without a direction, are zero.
        bounds: of the same rows; they change the time, not the pairs.
        order: (capacity,) rank of each row's user by id, for ties; rows without a user may hold anything.
    """

    directions: Floats
    bounds: Bounds
    order: Rows
