"""A short name for what a user's row holds: two rows have the same one if nothing that is trained on differs."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

from schemas.features import FeatureGroup
from trainer.features.protocol import FeatureRows

HASH_BYTES = 16
"""Enough that no two rows of one user have the same hash by chance."""

_MISSING = b"\xff\xff\xff\xff"  # as a length it would be 16 GB


def row_hashes(group: FeatureGroup, rows: FeatureRows) -> Iterator[bytes]:
    """The hash of each row, in order: of the contract's columns alone, as float32, a missing block told from an empty.

    Blocks are hashed as they are, fit for use or not: a row that became bad is a change too.
    """
    columns = [rows.columns[column.name] for column in group.columns]
    for blocks in zip(*columns, strict=True):
        digest = blake2b(digest_size=HASH_BYTES)
        for block in blocks:
            if block is None:
                digest.update(_MISSING)
            else:
                digest.update(block.size.to_bytes(4, "little"))
                digest.update(block.astype("<f4", copy=False).tobytes())
        yield digest.digest()
