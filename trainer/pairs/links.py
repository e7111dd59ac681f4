"""Links between users: the form of mined neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.pairs.similarity import RowIds, Similarities


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
