"""The candidate vectors of a version. Here they are computed from the feature store when the version is taken.

That is exact and needs nothing else, but takes as long as everybody has to be embedded. Where vectors are written ahead
of time, read them here instead: what matters is that `Vectors` says of which version they are.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from schemas.features import FeatureGroup
from stores.feature_store import Floats
from stores.features.checks import check_rows
from stores.features.local import LocalFeatureStore

_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Vectors:
    """Users and their vectors, (users, dimension), of unit length, made by the candidate tower of `version`."""

    version: int
    users: list[str]
    matrix: Floats

    def nearest(self, query: Floats, count: int) -> list[tuple[str, float]]:
        """The `count` users whose vectors have the greatest cosine with a query vector of unit length."""
        cosines = self.matrix @ query
        count = min(count, len(cosines))
        best = np.argpartition(-cosines, count - 1)[:count] if count else np.empty(0, dtype=np.int64)
        best = best[np.argsort(-cosines[best], kind="stable")]
        return [(self.users[at], float(cosines[at])) for at in best]


class ApartError(Exception):
    """Query and candidates are of versions that must not meet: their cosine means nothing."""


def check_together(version: int, compatible_with: int | None, vectors: Vectors) -> None:
    """Refuse vectors that queries of `version` must not meet (P10).

    Raises:
        ApartError: they are of another version, and not of the one that the manifest says is compatible.
    """
    if vectors.version not in {version, compatible_with}:
        raise ApartError(f"queries of version {version} must not meet vectors of version {vectors.version}")


def computed(version: int, tower: Any, group: FeatureGroup, feature_store: Path) -> Vectors:
    """The vectors of everybody in the feature store, by the candidate tower."""
    users: list[str] = []
    parts: list[Floats] = []
    with closing(LocalFeatureStore(feature_store, group)) as store:
        for batch in store.snapshot():
            rows = check_rows(group, batch)
            users += rows.keys
            blocks = (rows.raw[start : start + _AT_ONCE] for start in range(0, len(rows.raw), _AT_ONCE))
            parts += [np.asarray(tower(block, training=False), dtype=np.float32) for block in blocks]
    return Vectors(version, users, np.concatenate(parts) if parts else np.empty((0, 0), dtype=np.float32))
