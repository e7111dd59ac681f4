"""A short name for what a row holds: two rows have the same one if nothing that is trained on differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b

import numpy as np

from retrainer.bridge.ports import KeyedRows

HASH_BYTES = 16
"""Enough that no two rows of one key have the same hash by chance."""

_MISSING = b"\xff\xff\xff\xff"  # as a length it would be 16 GB


def row_hashes(columns: Sequence[str], rows: KeyedRows) -> Iterator[bytes]:
    """The hash of each row, in order: of these columns alone, numbers as float32, a missing cell told from an empty.

    Cells are hashed as they are, fit for use or not: a row that became bad is a change too.
    """
    for cells in zip(*(rows.columns[name] for name in columns), strict=True):
        digest = blake2b(digest_size=HASH_BYTES)
        for block in cells:
            if block is None:
                digest.update(_MISSING)
            elif not isinstance(block, np.ndarray):
                said = repr(block).encode()
                digest.update(len(said).to_bytes(4, "little"))
                digest.update(said)
            else:
                digest.update(block.size.to_bytes(4, "little"))
                digest.update(block.astype("<f4", copy=False).tobytes())
        yield digest.digest()
