"""The precision in which bounds are multiplied: float32, or bfloat16 where the machine multiplies it faster.

A bound may be coarse as long as its error is known, so half the bits are enough: a processor with instructions for
bfloat16 makes three products in the time of one. TensorFlow (oneDNN or Eigen) multiplies bfloat16, with sums in
float32.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from enum import StrEnum
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stores.feature_store import Floats

Stored = NDArray[Any]
"""Precision as they are kept: float32, or its upper half as uint16."""

_ROUNDING = 2.0**-8  # of bfloat16, relative, to nearest
_ARITHMETIC = 2.0**-20  # more than the error of the few float32 operations after a product
_TRIAL_ROWS, _TRIAL_OTHERS, _TRIAL_WIDTH = 256, 4096, 96
_WORTH_IT = 1.3


class Precision(StrEnum):
    """A floating-point format."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of stored rows."""
        return np.dtype(np.float32 if self is Precision.FLOAT32 else np.uint16)

    @property
    def price(self) -> float:
        """Time of a product relative to float32."""
        return 1.0 if self is Precision.FLOAT32 else 0.35

    def error(self, width: int) -> float:
        """Largest error of a product of two rows of `width`, of length 1 at most, computed in this precision.

        Gamma_n of Higham, Accuracy and Stability of Numerical Algorithms, 3.1, in float32, whatever the order of the
        sum, and twice the rounding of a row to float32; slightly widened, since such rows are not of unit length to the
        last bit. With bfloat16 the rounding of either row and of the result comes on top.
        """
        summing = 1.01 * (width + 4) * 2.0**-24 + _ARITHMETIC
        return summing if self is Precision.FLOAT32 else summing + 3.1 * _ROUNDING

    def store(self, rows: Floats) -> Stored:
        """Rows of float32 rounded to this precision, to nearest, ties to even."""
        if self is Precision.FLOAT32:
            return rows
        bits = rows.view(np.uint32)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)

    def store_up(self, values: Floats) -> Stored:
        """Values of float32, none of them negative, rounded up to this precision."""
        return values if self is Precision.FLOAT32 else ((values.view(np.uint32) + 0xFFFF) >> 16).astype(np.uint16)

    def load(self, stored: Stored) -> Floats:
        """Stored numbers as float32."""
        return stored if self is Precision.FLOAT32 else (stored.astype(np.uint32) << 16).view(np.float32)

    def line(self, value: float) -> Any:
        """A number in the form of `product`: a product above `value` is always above this number.

        With bfloat16 `value` has to be above 0.
        """
        if self is Precision.FLOAT32:
            return np.nextafter(np.float32(value), np.float32(-np.inf))
        # Upper halves of positive numbers are, as integers, in the order of the numbers, those of negative ones below.
        return np.int16((np.float32(value).view(np.uint32) >> 16) - 1)

    def read(self, products: NDArray[Any]) -> Floats:
        """Products, as `product` gives them, as float32."""
        return products if self is Precision.FLOAT32 else self.load(products.view(np.uint16))

    def product(self, left: Stored, right: Stored, out: NDArray[np.float32]) -> NDArray[Any]:
        """left @ right.T of stored rows: float32 in `out`, or its upper halves as signed integers."""
        return np.matmul(left, right.T, out=out) if self is Precision.FLOAT32 else _product_of_bfloat16(left, right)


def _product_of_bfloat16(left: Stored, right: Stored) -> NDArray[Any]:
    tf = sys.modules["tensorflow"]
    kind = tf.bfloat16.as_numpy_dtype
    with tf.device("CPU:0"):  # where the rows are, and the result is needed
        product = tf.matmul(tf.constant(left.view(kind)), tf.constant(right.view(kind)), transpose_b=True)
    found: NDArray[Any] = product.numpy().view(np.int16)
    return found


@cache
def fast_precisions() -> tuple[Precision, ...]:
    """The precisions of this machine: bfloat16, too, where TensorFlow is loaded, correct and clearly faster."""
    if "tensorflow" not in sys.modules:
        return (Precision.FLOAT32,)
    generator = np.random.default_rng(0)
    rows = generator.standard_normal((_TRIAL_ROWS + _TRIAL_OTHERS, _TRIAL_WIDTH), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    left, right = rows[:_TRIAL_ROWS], rows[_TRIAL_ROWS:]
    out = np.empty((_TRIAL_ROWS, _TRIAL_OTHERS), dtype=np.float32)
    half = Precision.BFLOAT16
    few, many = half.store(left), half.store(right)
    coarse = half.load(half.product(few, many, out).view(np.uint16))
    if not np.abs(coarse - left.astype(np.float64) @ right.T).max() <= half.error(_TRIAL_WIDTH):  # also for NaN
        return (Precision.FLOAT32,)
    slow = _seconds(lambda: Precision.FLOAT32.product(left, right, out))
    faster = slow > _WORTH_IT * _seconds(lambda: half.product(few, many, out))
    return (Precision.FLOAT32, half) if faster else (Precision.FLOAT32,)


def _seconds(run: Callable[[], object]) -> float:
    """The shortest of three runs."""
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return min(taken)
