"""The wide product of mining, behind a small protocol: a block of short rows times all, and what is above a line.

`ProcessorFilter` multiplies with NumPy, or TensorFlow where rows are bfloat16, in buffers that are used again.
`DeviceFilter` has TensorFlow multiply, compare and gather on one device, a GPU or the processor: the short rows lie
there for as long as a mining lasts, and only what is above the line comes back.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from stores.feature_store import Floats
from trainer.matrix.embeddings import Rows
from trainer.pairs.bounds import Bounds
from trainer.pairs.precision import Precision, Stored

_COLUMNS_ON_DEVICE = 65_536  # 64 MB of products for a block of 256 rows: the start of an operation is then no cost


class TooManyError(Exception):
    """A block has more candidates than there is room for; a smaller block has fewer."""


class Filter(Protocol):
    """Multiplies a block of short rows with all of them, part by part. One thread uses it at a time."""

    @property
    def columns(self) -> int:
        """Number of rows in a part; the last part may have fewer."""

    def above(self, left: Stored, own: tuple[Rows, Rows], start: int, room: int) -> tuple[Rows, Floats]:
        """What is above the line in the product of a block with the part that begins at row `start`.

        Args:
            left: (rows, short width) the block.
            own: (place in the block, place in the part) of rows that are in both: no user is its own neighbour.
            start: the part's first row, a multiple of `columns`.
            room: for so many products; a block of one row has always room.

        Returns:
            Places in the flattened product (rows * part), ascending, and the products there, each within
            `Precision.error` of the exact one. Every pair whose product is above the line is among them.

        Raises:
            TooManyError: there is no room for them.
        """


class ProcessorFilter:
    """Multiplies on the processor, in any precision.

    Args:
        bounds: of the whole matrix.
        line: products above it are wanted.
        rows: of the largest block.
        columns: in a part; the product of a block should stay in the cache.
    """

    def __init__(self, bounds: Bounds, line: float, rows: int, columns: int) -> None:
        self._bounds = bounds
        self._line = bounds.precision.line(line)
        self._product = np.empty(rows * columns, dtype=np.float32)
        self._above = np.empty(rows * columns, dtype=np.bool_)
        self.columns = columns

    def above(self, left: Stored, own: tuple[Rows, Rows], start: int, room: int) -> tuple[Rows, Floats]:
        """See `Filter`."""
        right = self._bounds.short[start : start + self.columns]
        shape, size = (len(left), len(right)), len(left) * len(right)
        product = self._bounds.precision.product(left, right, self._product[:size].reshape(shape))
        above = np.greater(product, self._line, out=self._above[:size].reshape(shape))
        above[own] = False
        if len(left) > 1 and np.count_nonzero(above) > room:  # before they are spread out
            raise TooManyError
        at = np.flatnonzero(above)
        return at, self._bounds.precision.read(product.reshape(-1)[at])


class DeviceRows:
    """Short rows of TF32 in the memory of a device, for all threads of one mining.

    Args:
        bounds: of the whole matrix.
        device: as TensorFlow names it, such as /GPU:0.

    Raises:
        ValueError: the rows are not of TF32. A device may round float32 to that, so its error is that of TF32.
        `no_room()`: the device has no memory for them.
    """

    def __init__(self, bounds: Bounds, device: str) -> None:
        if bounds.precision is not Precision.TF32:
            raise ValueError(f"rows of {bounds.precision} are not multiplied on {device}: only those of tf32 are")
        self._tf = sys.modules["tensorflow"]
        self._device = device
        self.columns = _COLUMNS_ON_DEVICE
        with self._tf.device(device):
            self._parts = [
                self._tf.constant(np.ascontiguousarray(bounds.short[start : start + self.columns]))
                for start in range(0, len(bounds.short), self.columns)
            ]

    def above(self, left: Stored, line: float, start: int) -> tuple[Any, Any, int]:
        """The flattened product of a block with a part, which of it is above the line, and how many are."""
        tf = self._tf
        with tf.device(self._device):
            product = tf.matmul(tf.constant(left), self._parts[start // self.columns], transpose_b=True)
            product = tf.reshape(product, [-1])
            above = product > line
            return product, above, int(tf.math.count_nonzero(above))

    def gathered(self, product: Any, above: Any) -> tuple[Rows, Floats]:
        """Places and products of what is above the line."""
        with self._tf.device(self._device):
            at = self._tf.where(above)[:, 0]
            return at.numpy(), self._tf.gather(product, at).numpy()


class DeviceFilter:
    """Multiplies on a device, in TF32.

    Args:
        rows: on the device.
        line: products above it are wanted.
    """

    def __init__(self, rows: DeviceRows, line: float) -> None:
        self._rows = rows
        self._line = Precision.TF32.line(line)
        self.columns = rows.columns

    def above(self, left: Stored, own: tuple[Rows, Rows], start: int, room: int) -> tuple[Rows, Floats]:
        """See `Filter`. Where the device has no memory for the product, there is no room, either."""
        try:
            product, above, count = self._rows.above(left, self._line, start)
            if len(left) > 1 and count - len(own[0]) > room:  # before they are gathered
                raise TooManyError
            at, found = self._rows.gathered(product, above)
        except no_room():
            if len(left) > 1:
                raise TooManyError from None
            raise
        if len(own[0]):
            width = product.shape[0] // len(left)
            first, end = (np.searchsorted(at, own[0] * width + own[1], side) for side in ("left", "right"))
            others = np.ones(len(at), dtype=np.bool_)
            others[first[first < end]] = False
            at, found = at[others], found[others]
        if len(left) > 1 and len(at) > room:
            raise TooManyError
        return at, found


def no_room() -> tuple[type[Exception], ...]:
    """What TensorFlow raises where a device has no memory left, when it computes and when something is copied."""
    errors = sys.modules["tensorflow"].errors
    return errors.ResourceExhaustedError, errors.InternalError


@contextmanager
def tensor_cores() -> Iterator[None]:
    """Let float32 be multiplied in TF32 where a GPU can: all other products of a trainer are in full float32."""
    switch = sys.modules["tensorflow"].config.experimental
    before = switch.tensor_float_32_execution_enabled()
    switch.enable_tensor_float_32_execution(True)
    try:
        yield
    finally:
        switch.enable_tensor_float_32_execution(before)
