"""The bounds of a space on disk: the projection, and the short row of each row of the user matrix, mapped into memory.

    short.bin        (rows, m + 1) short rows (`trainer.pairs.bounds`); absent where they are the directions
    projection.npz   the projection, and the count of short rows; written last: without it, short rows are recreated

The projection is chosen when all pairs are mined and stays until they are mined again. Users who drift make its bounds
less tight, never wrong.
"""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from schemas.policies import PairPolicy
from stores.feature_store import Floats
from stores.files import lengthen, replacing
from trainer.matrix.embeddings import Rows
from trainer.pairs.bounds import Bounds, Projection
from trainer.pairs.bounds_tuning import choose_projection
from trainer.pairs.hardware import fast_precisions
from trainer.pairs.precision import Precision, Stored

_SHORT_FILE = "short.bin"
_PROJECTION_FILE = "projection.npz"
_ROWS_AT_A_TIME = 65_536


class ShortRows:
    """The short rows of one space, in its folder."""

    def __init__(self, folder: Path) -> None:
        self._short = folder / _SHORT_FILE
        self._projection = folder / _PROJECTION_FILE

    def recreate(
        self, directions: Floats, everyone: Rows, policy: PairPolicy, precisions: tuple[Precision, ...] | None = None
    ) -> Bounds:
        """The bounds of a matrix (capacity, width) by a projection chosen for the users in the rows of `everyone`.

        `precisions` are those to choose from; None: those that this machine multiplies fast.
        """
        threshold, cap = policy.similarity_threshold, policy.max_positives_per_user
        projection = choose_projection(directions, everyone, threshold, cap, precisions)
        self._projection.unlink(missing_ok=True)
        self._short.unlink(missing_ok=True)
        return self._written(directions, projection, np.arange(len(directions)))

    def current(
        self,
        directions: Floats,
        changed: Rows,
        everyone: Rows,
        policy: PairPolicy,
        precisions: tuple[Precision, ...] | None = None,
    ) -> Bounds:
        """The bounds after the rows of `changed` were written or freed.

        Bounds that are missing, damaged, or of none of `precisions` (see `recreate`) are recreated.
        """
        precisions = precisions or fast_precisions()
        try:
            with np.load(self._projection, allow_pickle=False) as stored:
                projection, rows = Projection(stored["axes"], Precision(str(stored["precision"]))), int(stored["rows"])
            held = 0 if projection.is_plain else self._short.stat().st_size
        except (OSError, EOFError, ValueError, KeyError, BadZipFile):
            return self.recreate(directions, everyone, policy, precisions)
        least = 0 if projection.is_plain else rows * projection.short_width * projection.precision.dtype.itemsize
        if len(projection.axes) != directions.shape[1] or held < least or projection.precision not in precisions:
            return self.recreate(directions, everyone, policy, precisions)
        return self._written(directions, projection, changed, held=rows)

    def _written(self, directions: Floats, projection: Projection, changed: Rows, held: int = -1) -> Bounds:
        """The bounds once the short rows of `changed` are written, and the file is as long as the matrix."""
        short = directions if projection.is_plain else self._kept(directions, projection, changed)
        if held != len(directions):
            with replacing(self._projection) as file:
                np.savez(
                    file,
                    axes=projection.axes,
                    precision=np.array(projection.precision.value),
                    rows=np.int64(len(directions)),
                )
        return projection.bounds(short)

    def _kept(self, directions: Floats, projection: Projection, changed: Rows) -> Stored:
        shape = (len(directions), projection.short_width)
        lengthen(self._short, shape[0] * shape[1] * projection.precision.dtype.itemsize)
        short = np.memmap(self._short, dtype=projection.precision.dtype, mode="r+", shape=shape)
        for start in range(0, len(changed), _ROWS_AT_A_TIME):
            part = changed[start : start + _ROWS_AT_A_TIME]
            short[part] = projection.shorten(directions[part])
        short.flush()
        return short
