"""Exact blocked mining: for some rows of the user matrix, every similar user, decided the same way whatever the path.

A float32 product finds the candidates; its last bits depend on the shape of the block. So a candidate is everything
within the product's error bound of the line, and one canonical float64 dot product per candidate decides (P3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.policies import PairPolicy
from trainer.embeddings import Rows
from trainer.features.protocol import Floats

Similarities = NDArray[np.float64]

_ROWS_PER_DOT = 4096


@dataclass(frozen=True, slots=True)
class Links:
    """Directed links between rows of the user matrix: `target[k]` is similar to `source[k]` by `similarity[k]`."""

    source: Rows
    target: Rows
    similarity: Similarities

    def __len__(self) -> int:
        return len(self.source)

    def pick(self, which: NDArray[Any]) -> Links:
        """The links that `which`, a mask or positions, selects."""
        return Links(self.source[which], self.target[which], self.similarity[which])

    @staticmethod
    def join(parts: list[Links]) -> Links:
        """All links of `parts`, one after another."""
        return Links(
            np.concatenate([part.source for part in parts]) if parts else np.empty(0, np.int64),
            np.concatenate([part.target for part in parts]) if parts else np.empty(0, np.int64),
            np.concatenate([part.similarity for part in parts]) if parts else np.empty(0, np.float64),
        )


def error_bound(width: int) -> float:
    """Largest error of a float32 dot product of two unit rows of `width`.

    Gamma_n of Higham, Accuracy and Stability of Numerical Algorithms, 3.1, in float32; slightly widened, since rows
    rounded to float32 are not of unit length to the last bit.
    """
    return 1.01 * (width + 2) * 2.0**-24


def similarity(directions: Floats, left: Rows, right: Rows) -> Similarities:
    """The canonical similarity of each pair of rows: a float64 dot product, the same for (i, j) and (j, i)."""
    found = np.empty(len(left), dtype=np.float64)
    for start in range(0, len(left), _ROWS_PER_DOT):
        part = slice(start, start + _ROWS_PER_DOT)
        found[part] = (directions[left[part]].astype(np.float64) * directions[right[part]]).sum(axis=1)
    return found


def mine(
    directions: Floats, rows: Rows, policy: PairPolicy, floor: Floats | None = None
) -> Iterator[tuple[int, Links, Links]]:
    """Similar users of each of `rows`, block by block.

    Args:
        directions: (capacity, width) unit rows; zero rows have no pairs.
        rows: distinct rows to mine.
        policy: threshold, cap and the memory of a block.
        floor: (capacity,) for each row the least similarity that it could use; None uses nothing.

    Yields:
        (rows mined in this block, links out, links in). Links out: from each mined row to all its similar users; with a
        cap, those that cannot be among the cap nearest may be missing. Links in: from any other row to a mined one,
        when the similarity is above the threshold and not below that row's floor.
    """
    threshold = policy.similarity_threshold
    slack = error_bound(directions.shape[1])
    size = max(1, policy.block_megabytes * 2**20 // (12 * len(directions)))
    for start in range(0, len(rows), size):
        block = rows[start : start + size]
        product = np.ascontiguousarray(directions[block]) @ directions.T
        product[np.arange(len(block)), block] = -1.0  # nobody is their own neighbour
        useful = product > threshold - slack
        out = useful & (product >= _bar(product, useful, policy.max_positives_per_user, slack)[:, None])
        into = np.zeros_like(out) if floor is None else useful & (product >= floor - slack)
        at, target = np.nonzero(out | into)
        links = Links(block[at], target.astype(np.int64), similarity(directions, block[at], target))
        similar = links.similarity > threshold
        incoming = links.pick(similar & into[at, target])
        yield (
            len(block),
            links.pick(similar & out[at, target]),
            Links(incoming.target, incoming.source, incoming.similarity),
        )


def _bar(product: Floats, useful: NDArray[np.bool_], cap: int | None, slack: float) -> Floats:
    """For each row of `product`, a similarity below which nothing can be among its `cap` nearest."""
    bar = np.full(len(product), -np.inf, dtype=np.float32)
    if cap is not None:
        crowded = np.flatnonzero(useful.sum(axis=1) > cap)
        if len(crowded):
            bar[crowded] = np.partition(product[crowded], -cap, axis=1)[:, -cap] - 2 * slack
    return bar
