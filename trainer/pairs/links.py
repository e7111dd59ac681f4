"""Links between users: the form of mined neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stores.scratch import Scratch
from trainer.pairs.similarity import RowIds, Similarities

ROWS_AT_A_TIME = 8192
"""Sources whose links are in memory at a time, where all links lie on disk."""


@dataclass(frozen=True, slots=True)
class Links:
    """Directed links between rows of the user matrix: `target[k]` is similar to `source[k]` by `similarity[k]`."""

    source: RowIds
    target: RowIds
    similarity: Similarities

    def __len__(self) -> int:
        return len(self.source)

    def pick(self, which: NDArray[Any] | slice) -> Links:
        """The links that `which`, a mask, positions or a slice, selects."""
        return Links(self.source[which], self.target[which], self.similarity[which])

    @staticmethod
    def join(parts: list[Links]) -> Links:
        """All links of `parts`, one after another."""
        return Links(
            np.concatenate([np.empty(0, np.int32), *(part.source for part in parts)]),
            np.concatenate([np.empty(0, np.int32), *(part.target for part in parts)]),
            np.concatenate([np.empty(0, np.float64), *(part.similarity for part in parts)]),
        )

    def blocks(self, capacity: int) -> Iterator[tuple[int, Links]]:
        """Links that are sorted by source, block by block: the first row of each block of rows, and its links."""
        edges = np.minimum(np.arange(0, capacity + ROWS_AT_A_TIME, ROWS_AT_A_TIME), max(capacity, 0))
        places = np.searchsorted(self.source, edges.astype(self.source.dtype))  # or the search would copy all sources
        for first, (start, stop) in zip(edges, pairwise(places), strict=False):
            yield int(first), self.pick(slice(start, stop))


class Collected:
    """Links that are appended part by part, and are as many as there is room for on disk."""

    def __init__(self, scratch: Scratch) -> None:
        self._arrays = tuple(scratch.growing(kind) for kind in (np.int32, np.int32, np.float64))

    def __len__(self) -> int:
        return len(self._arrays[0])

    def append(self, links: Links) -> None:
        """Add links at the end."""
        source, target, similarity = self._arrays
        source.append(links.source)
        target.append(links.target)
        similarity.append(links.similarity)

    def links(self) -> Links:
        """All of them; nothing is appended afterwards."""
        return Links(*(array.array() for array in self._arrays))
