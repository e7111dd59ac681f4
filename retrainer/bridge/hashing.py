"""A hash of a row: two rows have the same hash if no trained column differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b

import numpy as np

from retrainer.bridge.ports import KeyedRows

HASH_BYTES = 16
"""Bytes of a hash; enough to avoid chance collisions between rows of one key."""

_MISSING = b"\xff\xff\xff\xff"  # as a length it would be 16 GB


def row_hashes(columns: Sequence[str], rows: KeyedRows) -> Iterator[bytes]:
    """The hash of each row, in order: of these columns alone, numbers as float32, missing and empty cells apart.

    Cells are hashed as they are, sound or not: a row that became unsound is a change, too.
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
