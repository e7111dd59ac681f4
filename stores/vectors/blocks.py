"""Vectors in blocks, in the order of the user ids, so that memory never holds all of them, and two sets are merged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from schemas.jobs.vectors import Tower, VectorStamp
from stores.feature_store import Floats

BLOCK = 8192
"""Users a block: 8 MB of vectors of both towers."""

Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class VectorBlock:
    """The vectors of some users.

    Attributes:
        users: distinct ids, in their order.
        vectors: by tower (len(users), dimension).
        hashes: (len(users),) of the raw rows that the vectors were computed from; an equal row has an equal hash.
    """

    users: list[str]
    vectors: Mapping[Tower, Floats]
    hashes: Hashes


class VectorFile(Protocol):
    """Vectors that were written: a set, or a single file."""

    @property
    def stamp(self) -> VectorStamp:
        """What they are."""

    def blocks(self, towers: Sequence[Tower] | None = None) -> Iterator[VectorBlock]:
        """All of them, in the order of the ids; with `()` for `towers` only ids and hashes.

        Raises:
            VectorsDamaged: they cannot be read.
        """

    def close(self) -> None:
        """Close the files. Closing twice is fine."""


class VectorWriter(Protocol):
    """Vectors that are being written. They count only after `finish`."""

    def add(self, block: VectorBlock) -> None:
        """Write a block, whose users come after those before."""

    def finish(self, stamp: VectorStamp) -> None:
        """Write the stamp, and put all of it in place in one rename."""

    def drop(self) -> None:
        """Remove what was written, where it was not finished; does nothing after `finish`."""
