"""A GPU's tensor core in NumPy, bit by bit, as far as it is known how one computes.

A block of exact products and the sum so far are aligned to the largest of them, cut off, added up exactly, and the sum
is cut off to float32 (Fasi, Higham, Mikaitis and Pranesh, Numerical behavior of NVIDIA tensor cores, PeerJ CS 7:e330,
2021). `cards` are what was found there and since: the length of a block, and how many bits are kept below float32's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

CARDS = {"V100": (4, 0), "A100": (4, 1), "H100": (8, 2), "one long block": (10_000, 0), "one by one": (1, 0)}


def multiply(left: NDArray[Any], right: NDArray[Any], block: int, more_bits: int, *, splits: int = 1) -> Doubles:
    """left @ right.T, the products added up in `splits` sums, which are then added up, too."""
    width = left.shape[1]
    sums = [
        _sum(left[:, part], right[:, part], block, more_bits)
        for part in np.array_split(np.arange(width), min(splits, width))
    ]
    total = sums[0]
    for one in sums[1:]:
        total = _cut(total + one)
    return total


def _sum(left: NDArray[Any], right: NDArray[Any], block: int, more_bits: int) -> Doubles:
    total = np.zeros((len(left), len(right)))
    for start in range(0, left.shape[1], block):
        some = slice(start, start + block)
        products = left[:, None, some].astype(np.float64) * right[None, :, some]
        addends = np.concatenate([total[:, :, None], products], axis=2)
        largest = np.frexp(np.abs(addends).max(axis=2, keepdims=True))[1] - 1  # 2**largest is not above it
        step = largest - 23 - more_bits
        total = _cut(np.ldexp(np.trunc(np.ldexp(addends, -step)), step).sum(axis=2))
    return total


def _cut(values: Doubles) -> Doubles:
    """Towards zero, to float32."""
    mantissa, exponent = np.frexp(values)
    found: Doubles = np.ldexp(np.trunc(np.ldexp(mantissa, 24)), exponent - 24)
    return found
