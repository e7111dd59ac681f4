"""The precision in which bounds are multiplied, and the largest error of such a product.

A bound may be coarse as long as its error is known, so fewer bits are enough where a machine multiplies them faster:
bfloat16 on a processor that has instructions for it, TF32 on a GPU. Rows are rounded when they are stored. So the
rounding of a factor is to nearest, whatever a machine does with wider numbers, and what it adds up in is float32.
Each error has a derivation in `Precision.error`; docs/gpu.md has it with the sources.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stores.feature_store import Floats

Stored = NDArray[Any]
"""Rows as they are kept: float32, or its upper half as uint16."""

_SUM = 2.0**-24  # unit roundoff of float32
_ARITHMETIC = 2.0**-20  # more than the error of the few float32 operations after a product
_TENSOR_CORES = 4  # times the error of a sum where addends are cut off, not rounded


class Precision(StrEnum):
    """A floating-point format."""

    FLOAT32 = "float32"
    TF32 = "tf32"
    """float32 whose last 13 bits are zero: what a GPU's tensor cores take of float32 (NVIDIA from Ampere on)."""
    BFLOAT16 = "bfloat16"

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of stored rows."""
        return np.dtype(np.uint16 if self is Precision.BFLOAT16 else np.float32)

    @property
    def price(self) -> float:
        """Time of a product relative to float32 on the processor, where the machine is fast with this precision."""
        return _PRICES[self]

    @property
    def roundoff(self) -> float:
        """Largest relative error of a number that is rounded to this precision, to nearest."""
        return _SUM * 2.0 ** _DROPPED[self]

    def error(self, width: int) -> float:
        """Largest error of a product of two rows of `width`, of length 1 at most, computed in this precision.

        Two errors add up. The sum: gamma_n of Higham, Accuracy and Stability of Numerical Algorithms, 3.1, in float32,
        whatever the order, and twice the rounding of a row to float32; slightly widened, since such rows are not of
        unit length to the last bit. Rounding to the format: of either row, and of the result where that has the format,
        too (bfloat16). A tensor core adds up a few products at a time, aligned to the largest and cut off (Blanchard et
        al., SISC 42(3), 2020; Fasi et al., PeerJ CS 7:e330, 2021): with blocks of b, (b + 2) / b cuts of up to 2^-23
        for each product, so four times the error of rounding holds for all b.
        """
        terms = 1.01 * (width + 4) * _SUM
        if self is Precision.FLOAT32:
            return terms + _ARITHMETIC
        if self is Precision.TF32:
            return _TENSOR_CORES * terms + _ARITHMETIC + 2.1 * self.roundoff
        return terms + _ARITHMETIC + 3.1 * self.roundoff

    def store(self, rows: Floats) -> Stored:
        """Rows of float32 rounded to this precision, to nearest, ties to even."""
        if not (dropped := _DROPPED[self]):
            return rows
        bits = rows.view(np.uint32)
        return self._kept(bits + ((1 << (dropped - 1)) - 1) + ((bits >> dropped) & 1))

    def store_up(self, values: Floats) -> Stored:
        """Values of float32, none of them negative, rounded up to this precision."""
        if not (dropped := _DROPPED[self]):
            return values
        return self._kept(values.view(np.uint32) + ((1 << dropped) - 1))

    def _kept(self, bits: NDArray[np.uint32]) -> Stored:
        """Numbers by their bits, without those that are dropped."""
        if self is Precision.BFLOAT16:
            return (bits >> 16).astype(np.uint16)
        return (bits >> _DROPPED[self] << _DROPPED[self]).astype(np.uint32, copy=False).view(np.float32)

    def load(self, stored: Stored) -> Floats:
        """Stored numbers as float32."""
        return (stored.astype(np.uint32) << 16).view(np.float32) if self is Precision.BFLOAT16 else stored

    def line(self, value: float) -> Any:
        """A number in the form of `product`: a product above `value` is always above this number.

        With bfloat16 `value` has to be above 0.
        """
        if self is not Precision.BFLOAT16:
            return np.nextafter(np.float32(value), np.float32(-np.inf))
        # Upper halves of positive numbers are, as integers, in the order of the numbers, those of negative ones below.
        return np.int16((np.float32(value).view(np.uint32) >> 16) - 1)

    def read(self, products: NDArray[Any]) -> Floats:
        """Products, as `product` gives them, as float32."""
        return self.load(products.view(np.uint16)) if self is Precision.BFLOAT16 else products

    def product(self, left: Stored, right: Stored, out: NDArray[np.float32]) -> NDArray[Any]:
        """left @ right.T of stored rows, on the processor: float32 in `out`, or its upper halves as signed integers."""
        if self is Precision.BFLOAT16:
            return _product_of_bfloat16(left, right)
        return np.matmul(left, right.T, out=out)


_DROPPED = {Precision.FLOAT32: 0, Precision.TF32: 13, Precision.BFLOAT16: 16}
"""Last bits of a float32 that a number of the format lacks."""

_PRICES = {Precision.FLOAT32: 1.0, Precision.TF32: 0.02, Precision.BFLOAT16: 0.35}
"""That of TF32 is no measurement: any GPU with tensor cores multiplies fifty times as fast as a few processor cores."""


def _product_of_bfloat16(left: Stored, right: Stored) -> NDArray[Any]:
    tf = sys.modules["tensorflow"]  # multiplies bfloat16 (oneDNN or Eigen), with sums in float32
    kind = tf.bfloat16.as_numpy_dtype
    with tf.device("CPU:0"):  # where the rows are, and the result is needed
        product = tf.matmul(tf.constant(left.view(kind)), tf.constant(right.view(kind)), transpose_b=True)
    found: NDArray[Any] = product.numpy().view(np.int16)
    return found
