"""The candidate vectors: those of a vector set, or computed from the feature store when a version is taken.

A set is read in a moment, and `retrainer vectors` or the service writes it. To compute is exact and needs nothing else,
but takes as long as everybody has to be embedded. Either way `Vectors` says where they come from.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from schemas.features import FeatureGroup
from schemas.jobs.vectors import Origin, Tower
from stores.feature_store import Floats
from stores.features.checks import check_rows
from stores.features.local import LocalFeatureStore
from stores.vectors.reader import VectorSet

_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Vectors:
    """Users and their vectors, (users, dimension), of unit length, by the candidate tower of `origin`."""

    origin: Origin
    users: list[str]
    matrix: Floats
    set: str | None = None
    """The name of the set that they were read from."""

    def nearest(self, query: Floats, count: int) -> list[tuple[str, float]]:
        """The `count` users whose vectors have the greatest cosine with a query vector of unit length."""
        cosines = self.matrix @ query
        count = min(count, len(cosines))
        best = np.argpartition(-cosines, count - 1)[:count] if count else np.empty(0, dtype=np.int64)
        best = best[np.argsort(-cosines[best], kind="stable")]
        return [(self.users[at], float(cosines[at])) for at in best]


def published(out: Path) -> Vectors:
    """The vectors of the set that counts in a folder.

    Raises:
        NoVectors, VectorsDamaged: see VectorSet.open.
    """
    found = VectorSet.open(out, [Tower.CANDIDATE])
    return Vectors(found.stamp.origin, found.users, found.candidates, found.folder.name)


def computed(origin: Origin, tower: Any, group: FeatureGroup, feature_store: Path) -> Vectors:
    """The vectors of everybody in the feature store, by the candidate tower."""
    users: list[str] = []
    parts: list[Floats] = []
    with closing(LocalFeatureStore(feature_store, group)) as store:
        for batch in store.snapshot():
            rows = check_rows(group, batch)
            users += rows.keys
            blocks = (rows.raw[start : start + _AT_ONCE] for start in range(0, len(rows.raw), _AT_ONCE))
            parts += [np.asarray(tower(block, training=False), dtype=np.float32) for block in blocks]
    return Vectors(origin, users, np.concatenate(parts) if parts else np.empty((0, 0), dtype=np.float32))
