"""Embeddings of everybody that a cycle needs more than once: the champion's, by the probe, the gate and the index.

The model is never trained and the rows do not change, so the second answer is the first one, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stores.feature_store import Floats
from trainer.matrix.embeddings import Rows


class Remembered:
    """The candidates of one model in one matrix. One thread at a time; the memory is that of one (capacity, 128) array.

    Whoever gives it to a model promises that neither the model's weights nor the rows of the matrix change any more.
    """

    def __init__(self) -> None:
        self._of: tuple[Floats, Rows] | None = None
        self._found: Floats | None = None

    def candidates(self, raw: Floats, rows: Rows, made: Callable[[], Floats]) -> Floats:
        """What `made` gave for the same matrix and rows the last time, else what it gives now; read-only."""
        if self._of is None or self._found is None or self._of[0] is not raw or not np.array_equal(self._of[1], rows):
            self._found = made()
            self._found.flags.writeable = False
            self._of = raw, rows.copy()
        return self._found
