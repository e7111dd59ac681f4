"""Clusters far apart: users whose graph of similar pairs is known without mining it, however many they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.data import WIDTH, mapped, unit
from benchmarks.ours import Links, similarity
from benchmarks.rows import ResultsDifferError
from stores.feature_store import Floats
from trainer.matrix.embeddings import Rows

CLUSTER = 48
"""Below the default cap, so that nobody's list is full."""
THRESHOLD = 0.8
_CLUSTERS_AT_A_TIME = 100


class Planted:
    """`users` in clusters of CLUSTER around random directions, on disk in `path`.

    Any two of a cluster are similar, and no two of different clusters: checked from the angles, not by mining.
    """

    def __init__(self, path: Path, users: int, seed: int = 0) -> None:
        self._draw = np.random.default_rng(seed)
        self._centres = unit(self._draw.standard_normal((users // CLUSTER, WIDTH), dtype=np.float32))
        self.users = len(self._centres) * CLUSTER
        self.directions = mapped(path, self.users, "w+")
        widest = 0.0
        for start in range(0, len(self._centres), _CLUSTERS_AT_A_TIME):
            numbers = np.arange(start, min(start + _CLUSTERS_AT_A_TIME, len(self._centres))).repeat(CLUSTER)
            members = self.members(numbers)
            self.directions[start * CLUSTER : start * CLUSTER + len(members)] = members
            widest = max(widest, float(self._angles(members, numbers).max()))
        self.directions.flush()  # nobody's timing shall hit the writing to disk
        nearest = _angle(_highest_between(self._centres))
        line = float(np.arccos(THRESHOLD))
        if 2 * widest >= line or nearest - 2 * widest <= line:
            raise ResultsDifferError("the planted clusters are not as far apart as their graph supposes")

    def members(self, clusters: Rows) -> Floats:
        """A new member of each of `clusters`."""
        away = unit(self._draw.standard_normal((len(clusters), WIDTH), dtype=np.float32))
        return unit(self._centres[clusters] + np.float32(0.22) * away)

    def links(self) -> Links:
        """The lists of all users: everybody else in the cluster, nearest first, ties by row."""
        low, high = np.triu_indices(CLUSTER, 1)
        parts = []
        for start in range(0, len(self._centres), _CLUSTERS_AT_A_TIME):
            first = np.arange(start, min(start + _CLUSTERS_AT_A_TIME, len(self._centres)))[:, None] * CLUSTER
            one, other = (first + low).ravel(), (first + high).ravel()
            exact = similarity(self.directions, one, other)
            links = Links(np.concatenate([one, other]), np.concatenate([other, one]), np.concatenate([exact, exact]))
            parts.append(links.pick(np.lexsort((links.target, -links.similarity, links.source))))
        return Links.join(parts)

    def _angles(self, members: Floats, clusters: Rows) -> Floats:
        cosines: Floats = (members * self._centres[clusters]).sum(axis=1)
        return np.arccos(np.minimum(cosines, 1))


def _highest_between(centres: Floats) -> float:
    product = centres @ centres.T
    np.fill_diagonal(product, -1.0)
    return float(product.max())


def _angle(cosine: float) -> float:
    return float(np.arccos(cosine))
