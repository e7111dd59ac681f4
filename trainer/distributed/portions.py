"""How the rows of a mining are cut into portions, one for each task."""

from __future__ import annotations

from trainer.matrix.embeddings import Rows
from trainer.pairs.bounds import Bounds
from trainer.pairs.candidates import BLOCK_ROWS
from trainer.pairs.locality import near_together

_PER_PROCESSOR = 4  # portions: the slowest one keeps the others waiting for a quarter of the time at most
_MOST = 4096  # rows of a portion: what is done again when a worker dies
_WORTH_ARRANGING = 4096


def portions(rows: Rows, bounds: Bounds, processors: int) -> list[Rows]:
    """The rows in portions of similar size, users who are alike together where that is worth it."""
    even = -(-len(rows) // (_PER_PROCESSOR * max(1, processors)))
    size = min(_MOST, max(BLOCK_ROWS, even))
    if bounds.rest is not None and len(rows) > _WORTH_ARRANGING:
        given = rows
        rows = given[near_together(lambda some: bounds.leading(given[some]), len(given), size)]
    return [rows[start : start + size] for start in range(0, len(rows), size)]
