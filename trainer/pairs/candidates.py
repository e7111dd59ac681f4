"""The wide part of mining: of all pairs of a block of rows with all users, the candidates that may be similar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stores.feature_store import Floats
from trainer.matrix.embeddings import Rows
from trainer.pairs.bounds import Bounds
from trainer.pairs.filters import DeviceFilter, DeviceRows, Filter, ProcessorFilter, TooManyError
from trainer.pairs.precision import Stored
from trainer.pairs.similarity import RowIds

BLOCK_ROWS = 256  # with smaller blocks, threads wait for the interpreter as long as they compute
_COLUMNS = 8192  # the product of a block stays in the cache
_BYTES_PER_BOUND = 5  # a bound, and whether it is above the line
_BYTES_PER_CANDIDATE = 48
_SHARE_OF_TABLE = 1 / 2  # of that, for an entry in the tables by which lists are cut: each row as wide as the fullest


@dataclass(frozen=True, slots=True)
class Candidates:
    """Pairs of a block whose upper bound is above the threshold; each array has one entry a pair.

    Attributes:
        rows: of the block.
        at: place of the mined row in the block.
        source, target: rows of the matrix, never the same.
        upper, lower: bounds of the canonical similarity.
    """

    rows: int
    at: RowIds
    source: RowIds
    target: RowIds
    upper: Floats
    lower: Floats


class Sieve:
    """Finds the candidates of a block, in buffers that are used again: for one thread, with bounded memory.

    Args:
        bounds: of the whole matrix.
        threshold: of the similarity.
        memory: bytes for one block.
        tables: whether candidates are cut by `bar` later, which needs memory, too.
        device: the short rows of `bounds` on a device that multiplies them; None: the processor does.
    """

    def __init__(
        self, bounds: Bounds, threshold: float, memory: int, *, tables: bool = True, device: DeviceRows | None = None
    ) -> None:
        columns = max(1, min(_COLUMNS, memory // 2 // (_BYTES_PER_BOUND * BLOCK_ROWS)))
        line = threshold - bounds.slack
        self._bounds = bounds
        self._filter: Filter = (
            ProcessorFilter(bounds, line, BLOCK_ROWS, columns) if device is None else DeviceFilter(device, line)
        )
        self._room = memory // 2 // _BYTES_PER_CANDIDATE
        self._table = _SHARE_OF_TABLE if tables else 0.0

    def candidates(self, block: Rows) -> Candidates:
        """The candidates of at most BLOCK_ROWS rows, by row within each block of columns.

        Raises:
            TooManyError: there is no room for them, and the block has more than one row.
        """
        short, rest, slack = self._bounds.short, self._bounds.rest, np.float32(self._bounds.slack)
        left = short[block]
        count = np.zeros(len(block), dtype=np.int64)
        parts: list[tuple[RowIds, RowIds, Floats]] = []
        for start in range(0, len(short), self._filter.columns):
            parts.append(self._part(left, block, start, count))
            if len(block) > 1 and count.sum() + len(block) * count.max() * self._table > self._room:
                raise TooManyError
        at, target = (np.concatenate([part[number] for part in parts]) for number in (0, 1))
        middle = np.concatenate([part[2] for part in parts])
        source = block.astype(np.int32)[at]
        lower = middle - slack
        if rest is not None:
            lower -= 2 * rest[source] * rest[target]
        return Candidates(len(block), at, source, target, middle + slack, lower)

    def _part(self, left: Stored, block: Rows, start: int, count: Rows) -> tuple[RowIds, RowIds, Floats]:
        """(at, target, bound) of the candidates among the columns from `start` on, added to the `count` of each row."""
        width = min(self._filter.columns, len(self._bounds.short) - start)
        own = np.flatnonzero((block >= start) & (block < start + width))
        flat, bound = self._filter.above(left, (own, block[own] - start), start, self._room - int(count.sum()))
        here = np.diff(np.searchsorted(flat, np.arange(len(block) + 1) * width))
        at = np.repeat(np.arange(len(block), dtype=np.int32), here)
        count += here
        target = (flat - at * np.int64(width)).astype(np.int32) + np.int32(start)
        return at, target, bound


def bar(found: Candidates, depth: int) -> Floats:
    """For each row of a block, a similarity that at least `depth` users reach; pairs below are not needed."""
    count = np.bincount(found.at, minlength=found.rows)
    line = np.full(found.rows, -np.inf, dtype=np.float32)
    crowded = count > depth
    if crowded.any():
        by = np.argsort(found.at.astype(np.uint16), kind="stable")  # 16 bits: by radix
        place = np.arange(len(by)) - np.repeat(np.cumsum(count) - count, count)
        table = np.full((found.rows, int(count.max())), -np.inf, dtype=np.float32)
        table[found.at[by], place] = found.lower[by]
        line[crowded] = np.partition(table, -depth, axis=1)[crowded, -depth]
    return line
