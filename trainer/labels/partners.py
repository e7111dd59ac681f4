"""Known positive pairs, looked up for a whole batch at once: a known partner is never learned as a stranger."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainer.matrix.embeddings import Rows


class Partners:
    """Positive labels by their first user; labels without direction by both.

    Args:
        pairs: (labels, 2) rows of positive labels.
        capacity: rows of the user matrix.
        directed: whether (a, b) says nothing of (b, a).
    """

    def __init__(self, pairs: Rows, capacity: int, *, directed: bool) -> None:
        self.count = len(pairs)
        """Number of positive labels."""
        both = pairs if directed else np.concatenate([pairs, pairs[:, ::-1]])
        both = both[np.argsort(both[:, 0], kind="stable")]
        self._partner = both[:, 1]
        self._start = np.searchsorted(both[:, 0], np.arange(capacity + 1))
        self._column = np.full(capacity, -1, dtype=np.int64)
        self.popularity: Rows = np.bincount(both[:, 1], minlength=capacity)
        """(capacity,) how often each row is a partner."""

    def among(self, users: Rows, others: Rows) -> NDArray[np.bool_]:
        """(users, others) whether each pair is known, or joins a user to itself."""
        distinct, column = np.unique(others, return_inverse=True)
        self._column[distinct] = np.arange(len(distinct))
        start, stop = self._start[users], self._start[users + 1]
        each = np.repeat(np.arange(len(users)), stop - start)
        place = np.arange(len(each)) - np.repeat(np.cumsum(stop - start) - (stop - start), stop - start) + start[each]
        found = np.zeros((len(users), len(distinct)), dtype=bool)
        for who, whom in ((each, self._partner[place]), (np.arange(len(users)), users)):
            at = self._column[whom]
            found[who[at >= 0], at[at >= 0]] = True
        self._column[distinct] = -1
        return np.asarray(found[:, column])
