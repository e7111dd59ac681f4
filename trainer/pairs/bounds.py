"""Bounds of similarities from a few coordinates: mining leaves out most of the product, and loses no pair.

Rotate the rows to their principal axes and keep the first m coordinates, p(x), and the length of the rest, r(x). By
Cauchy-Schwarz the similarity of two rows lies within r(x) r(y) of p(x).p(y). With r(x) as one more coordinate the upper
bound is a dot product, too, of m + 1 numbers instead of all, so one short matrix product shows which pairs can be
similar. Any axes give true bounds; principal axes give tight bounds (BOND, de Vries et al., SIGMOD 2002, and LEMP,
Teflioudi et al., SIGMOD 2015, prune inner products in this way).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stores.feature_store import Floats
from trainer.matrix.embeddings import Rows
from trainer.pairs.precision import Precision, Stored

Axes = NDArray[np.float64]
"""(width, m) orthonormal columns."""

_LEADING = 32  # coordinates; enough to find users that are close
_TINY = 1e-12  # of a squared length: far above float64 rounding, far below what matters
_ROWS_AT_A_TIME = 65_536  # in float64


@dataclass(frozen=True, slots=True)
class Bounds:
    """Short rows of a user matrix, by which similarities are bounded.

    Attributes:
        short: (capacity, m + 1) m coordinates and the length of the rest; or (capacity, width), the directions
            themselves, where nothing is left out.
        rest: (capacity,) the length of the rest; None where nothing is left out.
        precision: of `short`.
        slack: largest error of a product of short rows as an upper bound.
    """

    short: Stored
    rest: Floats | None
    precision: Precision
    slack: float

    @staticmethod
    def plain(directions: Floats) -> Bounds:
        """Bounds of directions (capacity, width) that leave nothing out: their product and its rounding."""
        return Projection.whole(directions.shape[1]).bounds(directions)

    def upper(self, left: Rows, right: Rows) -> Floats:
        """(pairs,) upper bounds of the similarities of pairs of rows."""
        one, other = (self.precision.load(self.short[rows]) for rows in (left, right))
        found: Floats = np.einsum("ij,ij->i", one, other) + np.float32(self.slack)
        return found

    def leading(self, rows: Rows) -> Floats:
        """(len(rows), a few) the first coordinates of `rows`."""
        return self.precision.load(np.ascontiguousarray(self.short[rows, :_LEADING]))


@dataclass(frozen=True, slots=True)
class Projection:
    """How rows are made short: along which axes, and in which precision. With all axes nothing is left out."""

    axes: Axes
    precision: Precision = Precision.FLOAT32

    @staticmethod
    def whole(width: int, precision: Precision = Precision.FLOAT32) -> Projection:
        """A projection that leaves nothing out."""
        return Projection(np.eye(width), precision)

    @property
    def leaves_out(self) -> bool:
        """Whether short rows are shorter than directions."""
        return bool(self.axes.shape[1] < self.axes.shape[0])

    @property
    def is_plain(self) -> bool:
        """Whether short rows are the directions themselves, and need no memory of their own."""
        return not self.leaves_out and self.precision is Precision.FLOAT32

    @property
    def short_width(self) -> int:
        """Number of values in a short row."""
        return int(self.axes.shape[1] + self.leaves_out)

    def shorten(self, directions: Floats) -> Stored:
        """(rows, short_width) short rows of directions (rows, width): coordinates, and the length of the rest.

        The length is rounded up, so that the bounds stay bounds; a zero row stays zero. Where nothing is left out the
        short rows are the directions.
        """
        if not self.leaves_out:
            return self.precision.store(np.ascontiguousarray(directions))
        short = np.empty((len(directions), self.short_width), dtype=self.precision.dtype)
        for start in range(0, len(directions), _ROWS_AT_A_TIME):
            part = slice(start, start + _ROWS_AT_A_TIME)
            full = directions[part].astype(np.float64)
            along = full @ self.axes
            squared = (full * full).sum(axis=1) - (along * along).sum(axis=1)
            length = np.sqrt(np.maximum(squared, 0.0) + _TINY).astype(np.float32)
            rest = np.where(full.any(axis=1), np.nextafter(length, np.float32(2)), np.float32(0))
            short[part, :-1] = self.precision.store(along.astype(np.float32))
            short[part, -1] = self.precision.store_up(rest)
        return short

    def bounds(self, short: Stored) -> Bounds:
        """The bounds of a matrix whose short rows are `short`."""
        rest = self.precision.load(short[:, -1]) if self.leaves_out else None
        return Bounds(short, rest, self.precision, self.precision.error(self.short_width))
