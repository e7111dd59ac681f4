"""The model's input for the demo's listeners, computed on its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrainer.demo.audience import COLUMNS
from retrainer.demo.waves import Row

Doubles = NDArray[np.float64]


def directions(rows: dict[str, Row]) -> Doubles:
    """Blocks scaled, concatenated, the whole of unit length: a row a user."""
    blocks = []
    for column in COLUMNS:
        block = np.stack([row[column.name] for row in rows.values()]).astype(np.float64)
        scale = block.std() if column.is_scalar else np.linalg.norm(block, axis=1, keepdims=True)
        blocks.append((block - block.mean() if column.is_scalar else block) / scale)
    whole = np.concatenate(blocks, axis=1)
    return np.asarray(whole / np.linalg.norm(whole, axis=1, keepdims=True))
